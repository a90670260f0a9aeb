"""From hostile bytes to checked values: a bounded tree first, then a wire model, and everything wrong at once.

Stricter than the standard reader in everything that two readers could understand differently: UTF-8 only, no
duplicate keys, no NaN or Infinity, no integer beyond 2**53 - 1, no NUL, lone surrogate or noncharacter, bounded
size, depth and number length.  Fractions are read as exact decimals, never as floats.  :func:`check_tree` does the
same for trees from YAML.

pydantic does the walking; what it finds becomes errors of :mod:`pfgov.errors`: a JSON pointer, one sentence with
the offending value, a hint, and for an unknown field the one that was probably meant.  This module does not know
any particular model.
"""

import difflib
import json
import math
import re
import typing
from collections.abc import Sized
from decimal import Decimal
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, cast

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pfgov.core.commands import Action
from pfgov.errors import InputError, InvalidError, Problem, TooLargeError, UnknownFieldError
from pfgov.limits import ACTION_BYTES_MAX, INTEGER_MAX, JSON_DEPTH_MAX, NUMBER_LENGTH_MAX

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"
"""What :func:`read_json` returns.  (A tree from YAML may also hold floats.)"""

_EXPONENT_MAX: Final = 400  # beyond any double; keeps arithmetic on the decimal cheap
_FORBIDDEN: Final = re.compile(
    "[\x00\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_SHOWN_LENGTH_MAX: Final = 60


class _Refused:
    """A value that is JSON, but not ours; kept in the tree until its place is known."""

    def __init__(self, message: str) -> None:
        self.message = message


def read_json(raw: bytes, *, limit: int) -> Json:
    """Return the value that *raw* stands for.

    Args:
        raw: What came in.
        limit: The most bytes that are acceptable.

    Raises:
        TooLargeError: more than *limit* bytes, or nested deeper than ``JSON_DEPTH_MAX``.
        InvalidError: not JSON, or JSON that another reader could understand differently.
    """
    if len(raw) > limit:
        raise TooLargeError(f"{len(raw)} bytes are more than the {limit} allowed")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise _not_json("it starts with a byte order mark")
    try:
        tree = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep("") from None
    _check(tree, "", JSON_DEPTH_MAX)
    return cast("Json", tree)


def check_tree(tree: object) -> Json:
    """Return *tree*, made by another reader (YAML), if it holds only what JSON input may hold.

    Raises:
        TooLargeError: it is nested deeper than ``JSON_DEPTH_MAX``.
        InvalidError: it holds something else than plain values, or a value that JSON input may not hold.
    """
    _check(tree, "", JSON_DEPTH_MAX)
    return cast("Json", tree)


def write_json(tree: Json) -> bytes:
    """Return *tree* as compact JSON with sorted keys: equal trees give equal bytes.

    Numbers are written by value (``0.90`` as ``0.9``, ``1.0`` as ``1``), keys in code point order.  These are the
    bytes of a context payload; entries have their own profile (``ledger/FORMAT.md``).
    """
    return _write(tree).encode()


def pointer_of(parts: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a path.

    >>> pointer_of(("labels", "a/b", 0))
    '/labels/a~1b/0'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def shown(value: object) -> str:
    """Return *value* as a message may show it: one line, shortened."""
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        text = str(value)
    else:
        text = json.dumps(value, default=lambda other: type(other).__name__)
    if len(text) <= _SHOWN_LENGTH_MAX:
        return text
    return text[: _SHOWN_LENGTH_MAX - 4] + ('..."' if text.startswith('"') else "...")


def _object(pairs: list[tuple[str, Any]]) -> object:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = next(name for index, name in enumerate(names) if name in names[:index])
    return _Refused(f"the key {shown(twice)} appears twice")


def _integer(text: str) -> object:
    if len(text) <= 17 and abs(value := int(text)) <= INTEGER_MAX:
        return value
    return _Refused(f"{text[:_SHOWN_LENGTH_MAX]} is beyond 2**53 - 1: not every reader keeps it")


def _fraction(text: str) -> object:
    if len(text) <= NUMBER_LENGTH_MAX:
        exponent = text.lower().partition("e")[2]
        if len(exponent) <= 4 and abs(int(exponent or "0")) <= _EXPONENT_MAX:
            return Decimal(text)
    return _Refused(f"the number {text[:_SHOWN_LENGTH_MAX]} is out of range")


def _constant(text: str) -> object:
    return _Refused(f"{text} is not a number in JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)


def _check(value: object, pointer: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, dict):
        if depth == 0:
            raise _too_deep(pointer)
        for name, item in cast("dict[object, object]", value).items():
            if not isinstance(name, str):
                raise InvalidError(f"the key {shown(name)} is not a text", pointer=pointer)
            _check_text(name, pointer)
            _check(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth - 1)
    elif isinstance(value, list):
        if depth == 0:
            raise _too_deep(pointer)
        for index, item in enumerate(cast("list[object]", value)):
            _check(item, f"{pointer}/{index}", depth - 1)
    elif value is not None and not isinstance(value, bool):
        _check_number(value, pointer)


def _check_number(value: object, pointer: str) -> None:
    if isinstance(value, _Refused):
        raise InvalidError(value.message, pointer=pointer)
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise InvalidError("an integer is beyond 2**53 - 1", pointer=pointer)
    elif isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise InvalidError(f"{value} is not a finite number", pointer=pointer)
    else:
        raise InvalidError(
            f"a {type(value).__name__} is not a plain value",
            hint="write dates as texts, in quotes",
            pointer=pointer,
        )


def _check_text(text: str, pointer: str) -> None:
    if not text.isascii() or "\x00" in text:
        found = _FORBIDDEN.search(text)
        if found:
            raise InvalidError(
                f"U+{ord(found.group()):04X} may not stand in a text", pointer=pointer
            )


def _write(value: Json) -> str:
    if isinstance(value, dict):
        members = (f"{_quote(name)}:{_write(value[name])}" for name in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):  # tuples stand in the dumps of wire models
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, float):  # a tree from YAML
        return _number(Decimal(repr(value)))
    return _quote(value)


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    power = int(exponent) + len(text) - len(kept)
    if not kept:
        return "0"
    minus = "-" if sign else ""
    if power >= 0 and len(kept) + power <= 16 and int(kept) * 10**power <= INTEGER_MAX:
        return f"{minus}{int(kept) * 10**power}"
    if -16 <= power < 0:
        whole, fraction = kept.rjust(1 - power, "0")[:power], kept.rjust(1 - power, "0")[power:]
        return f"{minus}{whole}.{fraction}"
    return f"{minus}{kept}e{power}"


_quote: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _not_json(why: str) -> InvalidError:
    return InvalidError(
        f"this is not JSON: {why}",
        code="input.not_json",
        hint="check it with a JSON tool",
        pointer="",
    )


def _too_deep(pointer: str) -> TooLargeError:
    return TooLargeError(f"nested deeper than {JSON_DEPTH_MAX}", pointer=pointer)


# --- against a model ----------------------------------------------------------------------

W = TypeVar("W", bound="Wire")
A = TypeVar("A", bound=Action)

FEW_ITEMS: Final = 6
"""Labels, requirements, owners ... of one action, of the largest kind, that cannot make it too large."""

PROBLEMS_MAX: Final = 32
"""Problems reported for one input; a reader mends these first."""


class Wire(BaseModel):
    """What may be sent: strict, frozen, and without a field that is not in the model."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=False,
        hide_input_in_errors=True,
    )

    def wire(self) -> dict[str, Any]:
        """Return the tree that reads back as this value: only the fields that were set."""
        return self.model_dump(exclude_unset=True, by_alias=True)


def parse(model: type[W], tree: object) -> W:
    """Return *tree* as a *model*.

    Args:
        model: The wire model.
        tree: What :func:`pfgov.model.border.read_json` or ``check_tree`` returned.

    Raises:
        UnknownFieldError: the first problem is a field that does not exist.
        TooLargeError: the first problem is a limit.
        InvalidError: the first problem is anything else.  ``errors`` of each holds all problems.
    """
    try:
        return model.model_validate(tree)  # strict by its configuration
    except ValidationError as error:
        found = error.errors(include_url=False)
    # Only what is reported is looked into: there may be tens of thousands.
    raise _failure([_problem(model, one) for one in found[:PROBLEMS_MAX]], len(found))


def parse_json(model: type[W], raw: bytes, *, limit: int) -> W:
    """Return the JSON *raw* (at most *limit* bytes) as a *model*.

    Raises:
        InputError: as :func:`pfgov.model.border.read_json` and :func:`parse` say.
    """
    return parse(model, read_json(raw, limit=limit))


def bounded(action: A, *collections: Sized | None) -> A:
    """Return *action* if the ledger can hold it.

    Every field has its own bound; together they could still be more than an entry takes, but not with few things in
    its *collections*: then it is not encoded here, only to be measured.  A test makes the largest of that kind.

    Raises:
        TooLargeError: more than ``ACTION_BYTES_MAX`` bytes in the ledger's encoding.
    """
    if collections and sum(map(len, filter(None, collections))) <= FEW_ITEMS:
        return action
    size = len(_ENCODER.encode(action))
    if size > ACTION_BYTES_MAX:
        raise TooLargeError(
            f"{size} bytes as the ledger writes it are more than the {ACTION_BYTES_MAX} allowed",
            hint="shorten descriptions, labels or lists; large data belongs into the context checkpoint",
            pointer="",
        )
    return action


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def _failure(problems: list[Problem], count: int) -> InputError:
    first = problems[0]
    where = _dotted(first.pointer)
    message = f"{where}: {first.detail}" if where else first.detail
    if count > 1:
        message += f" (and {count - 1} more)"
    kind = _KINDS.get(first.code, InvalidError)
    return kind(
        message,
        code=first.code,
        hint=first.hint,
        pointer=first.pointer,
        errors=problems,
    )


_KINDS: Final[dict[str, type[InputError]]] = {
    "input.unknown_field": UnknownFieldError,
    "input.too_large": TooLargeError,
}


def _dotted(pointer: str) -> str:
    return pointer[1:].replace("/", ".").replace("~1", "/").replace("~0", "~")


def _problem(model: type[Wire], found: ErrorDetails) -> Problem:
    kind = found["type"]
    path = found["loc"]
    # Pydantic marks what is wrong with a key by a last step "[key]", which may also be a name that was sent.
    if kind != "extra_forbidden" and path[-1:] == ("[key]",) and path[-2:-1] == (found["input"],):
        path = path[:-1]
    pointer = pointer_of(path)
    context = found.get("ctx", {})
    if kind == "pfgov":
        return Problem(pointer, context["detail"], context["code"], context["hint"])
    if kind == "extra_forbidden":
        return _unknown(model, path)
    if kind == "missing":
        return Problem(pointer, "is required")
    value = shown(found["input"])
    if kind == "literal_error":
        return Problem(pointer, f"{value} is not one of {context['expected']}")
    if kind in _TOO:
        return Problem(pointer, f"{value} is {_TOO[kind].format_map(context)}")
    return Problem(pointer, f"{value} is not {_WANTED.get(kind, 'acceptable')}")


_TOO: Final = {
    "too_short": "too little: {min_length} or more are needed",
    "too_long": "too much: {max_length} are allowed",
    "string_too_short": "too short: {min_length} or more characters are needed",
    "string_too_long": "too long: {max_length} characters are allowed",
    "greater_than_equal": "too small: {ge} is the least that is taken",
    "less_than_equal": "too large: {le} is the most that is taken",
    "string_pattern_mismatch": "not of the form {pattern}",
}
_WANTED: Final = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "tuple_type": "a list",
}


def _unknown(model: type[Wire], path: tuple[str | int, ...]) -> Problem:
    owner = _model_at(model, path[:-1])
    names = _names(owner)
    name = str(path[-1])
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    there_are = f"there are: {', '.join(names)}" if names else "there are no fields here"
    hint = f"did you mean {near[0]}?" if near else there_are
    return Problem(pointer_of(path), "no such field", "input.unknown_field", hint)


def _names(model: type[BaseModel]) -> list[str]:
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel]:
    for part in path:
        if isinstance(part, str):
            field = next(
                field for name, field in model.model_fields.items() if part in (name, field.alias)
            )
            model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in typing.get_args(annotation):
        found = _model_in(part)
        if found is not None:
            return found
    return None
