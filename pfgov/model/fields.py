"""The kinds of values that wire models are made of: names, texts, exact numbers, moments.

Each is checked once, here, with the bounds of :mod:`pfgov.limits`, and refuses every coercion: ``"1"`` is not a
number, ``true`` is not 1, 0.1234567 is not a score.  This module does not know which models use them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sized
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from pfgov.core.capability import canonical_version, parse_requirement
from pfgov.core.capability import check_name as check_capability
from pfgov.core.commands import Pairs
from pfgov.core.ids import RESERVED_IDS, RESERVED_PREFIXES, is_reserved
from pfgov.core.lookalikes import oddity
from pfgov.core.quantity import to_micro, to_text
from pfgov.core.spelling import (
    CLASS_PATTERN,
    NAME_PATTERN,
    REGION_PATTERN,
    check_class,
    check_dimension,
    check_label,
    check_name,
    check_region,
)
from pfgov.core.verdicts import RESERVED
from pfgov.errors import PfgovError
from pfgov.limits import (
    DIMENSIONS_MAX,
    HANDOFFS_MAX,
    ID_LENGTH_MAX,
    INTEGER_MAX,
    LABEL_LENGTH_MAX,
    LABELS_MAX,
    LEASE_SECONDS_MAX,
    LEASE_SECONDS_MIN,
    NAME_LENGTH_MAX,
    PRIORITY_MAX,
    PROGRESS_SECONDS_MAX,
    QUANTITY_MAX,
    TEXT_LENGTH_MAX,
    WEIGHT_MAX,
)
from pfgov.model.border import shown
from pfgov.model.times import to_microseconds, to_moment

T = TypeVar("T")

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
"""Identifiers of members and packets, and names of schedulers."""

LABEL_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:/-]*"
"""Names of labels and attributes."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _refused(error: PfgovError) -> PydanticCustomError:
    return PydanticCustomError(
        "pfgov", "{detail}", {"detail": error.message, "code": error.code, "hint": error.hint}
    )


def refuse(
    detail: str, *, hint: str | None = None, code: str = "input.invalid"
) -> PydanticCustomError:
    """Return what a validator raises to refuse its value, in our words."""
    return PydanticCustomError("pfgov", "{detail}", {"detail": detail, "code": code, "hint": hint})


def _checked(check: Callable[[Any], T]) -> Callable[[Any], T]:
    """Let *check* raise our errors inside a pydantic validator."""

    def run(value: Any) -> T:
        try:
            return check(value)
        except PfgovError as error:
            raise _refused(error) from None

    return run


def _pattern(pattern: str, what: str, hint: str, length_max: int) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if len(value) > length_max:
            raise refuse(
                f"{len(value)} characters are more than the {length_max} allowed",
                code="input.too_large",
            )
        if not compiled.fullmatch(value):
            odd = oddity(value)
            raise refuse(f"{shown(value)} is not {what}", hint=f"{odd}; {hint}" if odd else hint)
        return value

    return check


def _spelt(check: Callable[[str], str], length_max: int) -> Callable[[str], str]:
    """Return a validator of names that have one spelling (:mod:`pfgov.core.spelling`)."""

    def checked(value: str) -> str:
        if len(value) > length_max:
            raise refuse(
                f"{len(value)} characters are more than the {length_max} allowed",
                code="input.too_large",
            )
        return _checked(check)(value)

    return checked


def _requirement(text: str) -> str:
    requirement = parse_requirement(text)
    check_name(requirement.name)
    return str(requirement)


def _text(length_max: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if len(value) > length_max:
            raise refuse(
                f"{len(value)} characters are more than the {length_max} allowed",
                code="input.too_large",
            )
        found = _CONTROL.search(value)
        if found:
            raise refuse(f"U+{ord(found.group()):04X} may not stand here", hint="use plain text")
        return value

    return check


def _exact(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise refuse(f"{shown(value)} is not a number", hint="write a plain number, without quotes")
    return Decimal(to_text(to_micro(value)))


def _quantity(value: object) -> Decimal:
    exact = _checked(_exact)(value)
    if exact < 0:
        raise refuse(f"{shown(value)} is negative")
    return exact


def _score(value: object) -> Decimal:
    exact = _checked(_exact)(value)
    if not 0 <= exact <= 1:
        raise refuse(f"{shown(value)} is not between 0 and 1")
    return exact


def _whole(least: int, most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise refuse(f"{value} is not between {least} and {most}")
        return value

    return check


def _moment(value: object) -> int:
    if not isinstance(value, str):
        raise refuse(
            f"{shown(value)} is not a moment in RFC 3339", hint='write "2026-06-13T20:00:00Z"'
        )
    return to_microseconds(value)


class Bounded:
    """Marks a field as a list or map of at most so many things, each once.

    A list is read into a tuple.  Only a list is: pydantic would fill a tuple from any collection.
    """

    def __init__(self, count_max: int, *, unique: bool = True) -> None:
        self.count_max = count_max
        self.unique = unique

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Wrap the schema of the plain tuple or dict."""
        inner = handler(source)
        if inner["type"] != "tuple":
            return core_schema.no_info_before_validator_function(self._count, inner)
        listed = cast("core_schema.TupleSchema", {**inner, "strict": False})
        checked = core_schema.no_info_before_validator_function(self._list, listed)
        if not self.unique:
            return checked
        return core_schema.no_info_after_validator_function(self._once, checked)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say the bound in the JSON Schema, too."""
        described = handler(schema)
        if described.get("type") == "array":
            return {**described, "maxItems": self.count_max, "uniqueItems": self.unique}
        return {**described, "maxProperties": self.count_max}

    def _count(self, value: Any) -> Any:
        if isinstance(value, Sized) and len(value) > self.count_max:
            raise refuse(
                f"{len(value)} are more than the {self.count_max} allowed", code="input.too_large"
            )
        return value

    def _list(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise refuse(f"{shown(value)} is not a list")
        return self._count(cast("object", value))

    def _once(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        named = [value if isinstance(value, str) else str(value.name) for value in values]
        twice = repeated(named)
        if twice is not None:
            raise refuse(f"{shown(twice)} is listed twice")
        return values


Id: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(
            ID_PATTERN,
            "an identifier",
            "begin with a letter or digit; then letters, digits and . _ : @ ~ -",
            ID_LENGTH_MAX,
        )
    ),
    Field(json_schema_extra={"pattern": f"^{ID_PATTERN}$"}),
]
"""An identifier: compared byte by byte, never folded."""


def _unreserved(value: str) -> str:
    if is_reserved(value):
        raise refuse(
            f"{shown(value)} is kept for principals that are no members",
            hint=f"begin with none of {', '.join(RESERVED_PREFIXES)}",
        )
    return value


_RESERVED_WORDS: Final = "|".join(
    (*RESERVED_PREFIXES, *(f"{one}$" for one in sorted(RESERVED_IDS)))
)
_RESERVED: Final = (
    f"^({re.sub('[a-z]', lambda one: f'[{one[0]}{one[0].upper()}]', _RESERVED_WORDS)})"
)

NewMemberId: TypeAlias = Annotated[
    Id,
    AfterValidator(_unreserved),
    Field(json_schema_extra={"pattern": f"^{ID_PATTERN}$", "not": {"pattern": _RESERVED}}),
]
"""The identifier of a member that joins.  A ledger may hold members from before any name was reserved."""

Region: TypeAlias = Annotated[
    str,
    AfterValidator(_spelt(check_region, ID_LENGTH_MAX)),
    Field(json_schema_extra={"pattern": f"^{REGION_PATTERN}$"}),
]
"""A region, possibly inside another."""

DataClass: TypeAlias = Annotated[
    str,
    AfterValidator(_spelt(check_class, ID_LENGTH_MAX)),
    Field(json_schema_extra={"pattern": f"^{CLASS_PATTERN}$"}),
]
"""A class of data, or the clearance for one."""

WorkloadType: TypeAlias = Annotated[
    str,
    AfterValidator(_spelt(check_name, ID_LENGTH_MAX)),
    Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"}),
]
"""A kind of work."""

Dimension: TypeAlias = Annotated[str, AfterValidator(_spelt(check_dimension, NAME_LENGTH_MAX))]
"""A resource dimension: ``cpu``, ``memory``, ``tasks``, or your own."""

LabelName: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(
            LABEL_PATTERN,
            "a label name",
            "begin with a letter or digit; then letters, digits and . _ : / -",
            NAME_LENGTH_MAX,
        )
    ),
]
"""The name of a label or an attribute."""

LabelValue: TypeAlias = Annotated[
    str, AfterValidator(_text(LABEL_LENGTH_MAX)), AfterValidator(_checked(check_label))
]
"""The value of a label or an attribute."""

Text: TypeAlias = Annotated[
    str,
    AfterValidator(_text(TEXT_LENGTH_MAX)),
    Field(json_schema_extra={"maxLength": TEXT_LENGTH_MAX}),
]
"""A description: plain text without control or direction characters."""


def _own_words(value: str) -> str:
    if value.startswith(_ENGINES_REASONS):
        raise refuse(
            f"reasons that begin with {_ENGINES_REASONS} are the engine's own",
            hint="say it in your own words",
        )
    return value


_ENGINES_REASONS: Final = f"{RESERVED}:"

Reason: TypeAlias = Annotated[Text, AfterValidator(_own_words)]
"""Why somebody does something: a text that nobody takes for what the engine found."""

CapabilityName: TypeAlias = Annotated[
    str, AfterValidator(_checked(check_capability)), AfterValidator(_checked(check_name))
]
"""What a member can do."""

Version: TypeAlias = Annotated[str, AfterValidator(_checked(canonical_version))]
"""A PEP 440 version, in its canonical spelling."""

Required: TypeAlias = Annotated[str, AfterValidator(_checked(_requirement))]
"""A capability that a packet requires: a name, or a name and a version range."""

Quantity: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": QUANTITY_MAX}),
]
"""An amount of a resource: at least 0, at most six fraction digits."""

Score: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_score),
    WithJsonSchema(
        {"type": "number", "minimum": 0, "maximum": 1, "description": "at most six decimals"}
    ),
]
"""A trust score or a pressure: 0 to 1, at most six fraction digits."""

Moment: TypeAlias = Annotated[
    int,
    BeforeValidator(_checked(_moment)),
    PlainSerializer(to_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment: RFC 3339 on the wire, microseconds since the epoch inside."""

Priority: TypeAlias = Annotated[int, AfterValidator(_whole(0, PRIORITY_MAX))]
Weight: TypeAlias = Annotated[int, AfterValidator(_whole(1, WEIGHT_MAX))]
HandoffCount: TypeAlias = Annotated[int, AfterValidator(_whole(0, HANDOFFS_MAX))]
ProgressSeconds: TypeAlias = Annotated[int, AfterValidator(_whole(1, PROGRESS_SECONDS_MAX))]
LeaseSeconds: TypeAlias = Annotated[
    int, AfterValidator(_whole(LEASE_SECONDS_MIN, LEASE_SECONDS_MAX))
]

Labels: TypeAlias = Annotated[dict[LabelName, LabelValue], Bounded(LABELS_MAX)]
"""Name -> value, for people and policies."""

Resources: TypeAlias = Annotated[dict[Dimension, Quantity], Bounded(DIMENSIONS_MAX)]
"""Dimension -> amount."""

PublicKey: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(r"[0-9a-f]{64}", "a public key", "64 hexadecimal digits, small letters", 64)
    ),
    Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"}),
]
"""A raw Ed25519 public key in hex; whether it is a good one is the ledger's to say."""

Digest: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(r"[0-9a-f]{64}", "a digest", "64 hexadecimal digits, small letters", 64)
    ),
    Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"}),
]
"""A SHA-256 digest or commitment in hex."""

Signature: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(r"[0-9a-f]{128}", "a signature", "128 hexadecimal digits, small letters", 128)
    ),
    Field(json_schema_extra={"pattern": "^[0-9a-f]{128}$"}),
]
"""An Ed25519 signature in hex; whether it holds is the ledger's to say."""

ORIGIN_PATTERN: Final = r"[!#-*,-\[\]-~]+"

Origin: TypeAlias = Annotated[
    str,
    AfterValidator(
        _pattern(ORIGIN_PATTERN, "a ledger's name", "see it: pfgov ledger keys list", 255)
    ),
    Field(json_schema_extra={"pattern": f"^{ORIGIN_PATTERN}$", "maxLength": 255}),
]
"""The name of a ledger, that of its log key."""

Positive: TypeAlias = Annotated[int, AfterValidator(_whole(1, INTEGER_MAX))]
"""An incarnation: a count that begins at 1."""

Natural: TypeAlias = Annotated[int, AfterValidator(_whole(0, INTEGER_MAX))]
"""An epoch, a position: a count that begins at 0."""

HandoffMode: TypeAlias = Literal["auto", "accept"]


def pairs(values: Mapping[str, str | Decimal]) -> Pairs:
    """Return a map as the ledger keeps it: ``(name, text)`` in byte order of the names."""
    return tuple(sorted((name, decimal_text(value)) for name, value in values.items()))


def decimal_text(value: str | Decimal) -> str:
    """Return an exact number as the ledger writes it; a text stays as it is."""
    return value if isinstance(value, str) else to_text(to_micro(value))


def repeated(values: Iterable[str]) -> str | None:
    """Return the first value that occurs twice, if any."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
