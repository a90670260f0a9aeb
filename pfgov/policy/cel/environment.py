"""What an expression may talk about: roots, functions, named sub-expressions, constants.

Declared names are the only names.  A name may contain dots (``variables.handles_pii``);
the longest declared prefix of ``a.b.c`` wins, as the language definition says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pfgov.policy.cel.ir import Checked
from pfgov.policy.cel.library import STANDARD, STANDARD_WITH_ZONES, TYPE_NAMES, Function
from pfgov.policy.cel.types import CelType, TypeType
from pfgov.policy.cel.values import TypeValue


@dataclass(frozen=True, slots=True)
class Constant:
    """A named value fixed at load, such as ``params.trust_floor``."""

    value: object
    type: CelType


Declaration = CelType | Checked | Constant


class Environment:
    """The names and functions of an expression.  Immutable.

    Args:
        variables: Declared roots and their types: the only facts.
        functions: Functions beyond the standard library.
        named: Named sub-expressions by full name, such as ``variables.handles_pii``.
        constants: Named constants by full name, such as ``params.trust_floor``.
        container: Namespace in which names are looked up first.
        named_zones: Allow time zones by name (their tables differ between machines).
        constant_conditions: Allow a condition that reads no fact at all.
    """

    __slots__ = ("constant_conditions", "container", "functions", "named_zones", "names")

    def __init__(
        self,
        variables: Mapping[str, CelType],
        functions: Iterable[Function] = (),
        *,
        named: Mapping[str, Checked] | None = None,
        constants: Mapping[str, Constant] | None = None,
        container: str = "",
        named_zones: bool = False,
        constant_conditions: bool = False,
    ) -> None:
        names: dict[str, Declaration] = {
            name: Constant(TypeValue(name), TypeType(type_)) for name, type_ in TYPE_NAMES.items()
        }
        names.update(variables)
        names.update(named or {})
        names.update(constants or {})
        self.names: Mapping[str, Declaration] = MappingProxyType(names)
        standard = STANDARD_WITH_ZONES if named_zones else STANDARD
        extra = {function.name: function for function in functions}
        self.functions: Mapping[str, Function] = MappingProxyType({**standard, **extra})
        self.container = container
        self.named_zones = named_zones
        self.constant_conditions = constant_conditions

    def candidates(self, name: str, *, absolute: bool) -> list[str]:
        """The full names that *name* may stand for, innermost container first."""
        if absolute or not self.container:
            return [name]
        parts = self.container.split(".")
        return [".".join([*parts[:count], name]) for count in range(len(parts), -1, -1)]

    def find(self, name: str, *, absolute: bool = False) -> tuple[str, Declaration] | None:
        """The declaration that *name* stands for, with its full name."""
        for candidate in self.candidates(name, absolute=absolute):
            found = self.names.get(candidate)
            if found is not None:
                return candidate, found
        return None

    def find_function(self, name: str, *, absolute: bool = False) -> Function | None:
        """The function that *name* stands for."""
        for candidate in self.candidates(name, absolute=absolute):
            found = self.functions.get(candidate)
            if found is not None:
                return found
        return None
