"""Types as the checker sees them: what a fact is declared to be, with its bounds.

A type is frozen data.  ``max_items`` and ``max_length`` bound the static cost of an
expression and ``allowed`` names the only values a string takes; whoever declares
them must enforce them where facts enter.  This module knows neither values nor
expressions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class CelType:
    """Any type.  ``str(type)`` is how a message names it."""


@dataclass(frozen=True, slots=True)
class Simple(CelType):
    """A type without parameters."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class StringType(CelType):
    """A string of at most ``max_length`` code points; one of ``allowed`` when that is given."""

    max_length: int | None = None
    allowed: frozenset[str] | None = None

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class BytesType(CelType):
    """Bytes, at most ``max_length``."""

    max_length: int | None = None

    def __str__(self) -> str:
        return "bytes"


@dataclass(frozen=True, slots=True)
class NumberType(CelType):
    """An int, uint or double (``name``) between ``minimum`` and ``maximum``, both inclusive."""

    name: str
    minimum: float | None = None
    maximum: float | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListType(CelType):
    """A list of ``elem``, at most ``max_items``."""

    elem: CelType
    max_items: int | None = None

    def __str__(self) -> str:
        return f"list({self.elem})"


@dataclass(frozen=True, slots=True)
class MapType(CelType):
    """A map from ``key`` to ``value``, at most ``max_items`` entries."""

    key: CelType
    value: CelType
    max_items: int | None = None

    def __str__(self) -> str:
        return f"map({self.key}, {self.value})"


@dataclass(frozen=True, slots=True)
class OptionalType(CelType):
    """A value of type ``elem`` that may be absent (``optional.of`` and ``a.?b``)."""

    elem: CelType

    def __str__(self) -> str:
        return f"optional({self.elem})"


@dataclass(frozen=True, slots=True)
class TypeType(CelType):
    """The type of a type value; ``of`` is the type it denotes."""

    of: CelType

    def __str__(self) -> str:
        return "type"


@dataclass(frozen=True, slots=True)
class TypeParam(CelType):
    """A free variable in a function's signature, such as the ``A`` of ``list(A)``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record.

    ``optional``: the field may be absent; reading it then, without ``has()``, is the
    outcome *missing*.  ``doc`` is one sentence for the generated reference.
    """

    type: CelType
    optional: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Record(CelType):
    """A map with known fields, each of its own type.  Nothing else may be selected from it."""

    name: str
    fields: Mapping[str, Field] = field(compare=False)

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)


BOOL: Final = Simple("bool")
INT: Final = NumberType("int")
UINT: Final = NumberType("uint")
DOUBLE: Final = NumberType("double")
STRING: Final = StringType()
BYTES: Final = BytesType()
NULL: Final = Simple("null")
TIMESTAMP: Final = Simple("timestamp")
DURATION: Final = Simple("duration")
DYN: Final = Simple("dyn")
FREE: Final = TypeParam("_")
"""What the items of an empty list are: nothing yet."""


def is_number(type_: CelType) -> bool:
    """Whether *type_* is int, uint or double."""
    return isinstance(type_, NumberType)


def plain(type_: CelType) -> CelType:
    """*type_* without its bounds: what overload resolution compares."""
    match type_:
        case StringType():
            return STRING
        case BytesType():
            return BYTES
        case NumberType(name=name):
            return {"int": INT, "uint": UINT, "double": DOUBLE}[name]
        case ListType(elem=elem):
            return ListType(plain(elem))
        case MapType(key=key, value=value):
            return MapType(plain(key), plain(value))
        case OptionalType(elem=elem):
            return OptionalType(plain(elem))
        case _:
            return type_


def fits(given: CelType, wanted: CelType, bindings: dict[str, CelType] | None = None) -> bool:
    """Whether a value of type *given* may stand where *wanted* is expected.

    ``dyn`` fits everywhere and takes everything.  A record is a map with string keys.
    *bindings* collects what the type parameters of *wanted* stand for.
    """
    if isinstance(wanted, TypeParam):
        return _bind(wanted, given, bindings if bindings is not None else {})
    if DYN in (given, wanted) or isinstance(given, TypeParam):
        return True
    match given, wanted:
        case ListType(elem=a), ListType(elem=b):
            return fits(a, b, bindings)
        case MapType(key=ka, value=va), MapType(key=kb, value=vb):
            return fits(ka, kb, bindings) and fits(va, vb, bindings)
        case Record(), MapType(key=kb, value=vb):
            return fits(STRING, kb, bindings) and fits(DYN, vb, bindings)
        case OptionalType(elem=a), OptionalType(elem=b):
            return fits(a, b, bindings)
        case TypeType(), TypeType():
            return True
        case Record(), Record():
            return given == wanted
        case _:
            return plain(given) == plain(wanted)


def _bind(param: TypeParam, given: CelType, bindings: dict[str, CelType]) -> bool:
    bound = bindings.get(param.name)
    if bound is None or bound in (DYN, FREE):
        bindings[param.name] = given
        return True
    if fits(given, bound):
        bindings[param.name] = join(given, bound)
        return True
    return is_dynamic(given)


def is_dynamic(type_: CelType) -> bool:
    """Whether *type_* is ``dyn`` or built from it."""
    match type_:
        case ListType(elem=elem) | OptionalType(elem=elem):
            return is_dynamic(elem)
        case MapType(key=key, value=value):
            return is_dynamic(key) or is_dynamic(value)
        case _:
            return type_ == DYN


def settled(type_: CelType) -> CelType:
    """*type_* with nothing left open: what was free becomes ``dyn``."""
    return substitute(type_, {FREE.name: DYN})


def substitute(type_: CelType, bindings: Mapping[str, CelType]) -> CelType:
    """*type_* with its type parameters replaced; an unbound one becomes ``dyn`` (but free stays)."""
    match type_:
        case TypeParam(name=name):
            return bindings.get(name, FREE if type_ == FREE else DYN)
        case ListType(elem=elem, max_items=bound):
            return ListType(substitute(elem, bindings), bound)
        case MapType(key=key, value=value, max_items=bound):
            return MapType(substitute(key, bindings), substitute(value, bindings), bound)
        case OptionalType(elem=elem):
            return OptionalType(substitute(elem, bindings))
        case _:
            return type_


def join(left: CelType, right: CelType) -> CelType:
    """The narrowest type that holds values of both, with the wider bounds; else ``dyn``."""
    if right in (left, FREE):
        return left
    if left == FREE:
        return right
    match left, right:
        case StringType(), StringType():
            allowed = None
            if left.allowed is not None and right.allowed is not None:
                allowed = left.allowed | right.allowed
            return StringType(_wider(left.max_length, right.max_length), allowed)
        case BytesType(), BytesType():
            return BytesType(_wider(left.max_length, right.max_length))
        case NumberType(name=a), NumberType(name=b) if a == b:
            return plain(left)
        case ListType(), ListType():
            return ListType(join(left.elem, right.elem), _wider(left.max_items, right.max_items))
        case MapType(), MapType():
            return MapType(
                join(left.key, right.key),
                join(left.value, right.value),
                _wider(left.max_items, right.max_items),
            )
        case OptionalType(elem=a), OptionalType(elem=b):
            return OptionalType(join(a, b))
        case _:
            return DYN


def _wider(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else max(left, right)
