"""Checking a tree against a wire model, and saying everything that is wrong with it at once.

pydantic does the walking; what it finds becomes errors of :mod:`pfgov.errors`: a JSON pointer, one sentence with
the offending value, a hint, and for an unknown field the one that was probably meant.  This module does not know
any particular model.
"""

import difflib
import typing
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pfgov.commands import Action
from pfgov.errors import InputError, InvalidError, Problem, TooLargeError, UnknownFieldError
from pfgov.limits import ACTION_BYTES_MAX
from pfgov.model.reader import pointer_of, read_json, shown

W = TypeVar("W", bound="Wire")
A = TypeVar("A", bound=Action)

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
        tree: What :func:`pfgov.model.reader.read_json` or ``check_tree`` returned.

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
        InputError: as :func:`pfgov.model.reader.read_json` and :func:`parse` say.
    """
    return parse(model, read_json(raw, limit=limit))


def bounded(action: A) -> A:
    """Return *action* if the ledger can hold it.

    Every field has its own bound; together they could still be more than an entry takes.

    Raises:
        TooLargeError: more than ``ACTION_BYTES_MAX`` bytes in the ledger's encoding.
    """
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
