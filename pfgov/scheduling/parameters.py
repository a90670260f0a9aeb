"""Scheduler parameters: text pairs from the configuration, checked against a table.

A scheduler declares its parameters as data; what it records in the ledger is every parameter in
force, defaults included, in one canonical spelling.  This module does not know what any parameter
means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pfgov.core.scheduler import BadParameterError, Pairs

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in *low*..*high*; 0 is also allowed when *zero* says what it means."""

    name: str
    default: int
    low: int
    high: int
    zero: str | None = None

    def canonical(self, text: str) -> str:
        """Return *text*, or raise ValueError with what would be allowed."""
        if _WHOLE.fullmatch(text):
            value = int(text)
            if self.low <= value <= self.high or (value == 0 and self.zero is not None):
                return text
        zero = f", or 0 ({self.zero})" if self.zero is not None else ""
        raise ValueError(f"a whole number {self.low}..{self.high}{zero}")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    name: str
    default: str
    options: tuple[str, ...]

    def canonical(self, text: str) -> str:
        """Return *text*, or raise ValueError with what would be allowed."""
        if text not in self.options:
            raise ValueError(f"one of {', '.join(self.options)}")
        return text


@dataclass(frozen=True, slots=True)
class Names:
    """A comma-separated set of dimension names, 1..*count_max* of them; recorded in order."""

    name: str
    default: str
    count_max: int

    def canonical(self, text: str) -> str:
        """Return the names sorted, or raise ValueError with what would be allowed."""
        names = sorted({part.strip() for part in text.split(",")})
        if len(names) > self.count_max or not all(map(_NAME.fullmatch, names)):
            raise ValueError(f"1..{self.count_max} names such as cpu,memory")
        return ",".join(names)


Parameter = Whole | OneOf | Names


def settle(scheduler: str, declared: Sequence[Parameter], given: Pairs) -> dict[str, str]:
    """Return the value of every declared parameter, in byte order of the names.

    Raises:
        BadParameterError: a name is unknown or given twice, or a value is not allowed.
    """
    known = {parameter.name: parameter for parameter in declared}
    values = {parameter.name: str(parameter.default) for parameter in declared}
    seen: set[str] = set()
    for name, text in given:
        if name not in known:
            raise BadParameterError(
                f"scheduler {scheduler} has no parameter {name!r}", hint=_advice(name, known)
            )
        if name in seen:
            raise BadParameterError(f"scheduler {scheduler}: parameter {name} is given twice")
        seen.add(name)
        try:
            values[name] = known[name].canonical(text)
        except ValueError as error:
            raise BadParameterError(
                f"scheduler {scheduler}: parameter {name} is {text!r}, not {error}"
            ) from None
    return dict(sorted(values.items()))


def _advice(name: str, known: dict[str, Parameter]) -> str:
    if close := get_close_matches(name, known, n=1):
        return f"did you mean {close[0]!r}?"
    if not known:
        return "it takes no parameters"
    return f"it has {', '.join(sorted(known))}"
