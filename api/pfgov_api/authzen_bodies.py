"""What AuthZEN 1.0 sends: read for what the standard names, and for nothing else.

Members that are not known here are passed over, and one that is null is one that was left out (OpenID AuthZEN
Authorization API 1.0, 10.1.1): a later version of the standard may add some.  What is known is read as strictly as
everything else.  This module knows no ledger and no route.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from pfgov.limits import INTEGER_MAX
from pfgov.model import Wire
from pfgov.model.fields import Bounded

EVALUATIONS_MAX: Final = 100

_Id = Annotated[str, Field(min_length=1, max_length=128)]


def _left_out(value: Any) -> Any:
    return {} if value is None else value


_Properties = Annotated[
    dict[str, Any],
    BeforeValidator(_left_out),
    WithJsonSchema({"type": ["object", "null"], "additionalProperties": True}),
]
"""An object, or nothing: nothing here is read from it unless it says so."""


class Open(Wire):
    """What may have members of which nothing is known here."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")


class Entity(Open):
    """A subject or a resource."""

    type: _Id
    id: _Id
    properties: _Properties = Field(default={})


class EntityKind(Open):
    """What a search looks for; an id is passed over."""

    type: _Id
    id: Any = None
    properties: _Properties = Field(default={})


class ActionName(Open):
    """An action; ``own`` reads the property ``point``: assign, handoff, accept or retain."""

    name: _Id
    properties: _Properties = Field(default={})


class Evaluation(Open):
    """May this subject do this to that resource?"""

    subject: Entity
    action: ActionName
    resource: Entity
    context: _Properties = Field(default={})


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands where something else should, and why it cannot be read: an answer to one question, not to all."""

    why: str


def _or_unreadable(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = str(first.get("ctx", {}).get("error", first["msg"]))
        return Unreadable(f"{where}: {why}" if where else why)


_EachForItself = WrapValidator(_or_unreadable)

_ANYTHING = WithJsonSchema(
    {"description": "Read by itself: what it is not is the answer to this question alone."}
)
"""What the API's description says of it, since anything is taken in."""


_ANY_OF_THEM: Final = {
    "description": "A question, which may leave out what is the same for all of them."
}


class PartialEvaluation(Open):
    """One of several questions; what it leaves out is taken from the whole."""

    subject: Annotated[Entity | None, _EachForItself, _ANYTHING] = None
    action: Annotated[ActionName | None, _EachForItself, _ANYTHING] = None
    resource: Annotated[Entity | None, _EachForItself, _ANYTHING] = None
    context: dict[str, Any] | None = None


class EvaluationOptions(Open):
    """How several questions are answered."""

    evaluations_semantic: (
        Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"] | None
    ) = None


def _no_questions(value: Any) -> Any:
    return () if value is None else value


class Evaluations(PartialEvaluation):
    """Several questions at once."""

    evaluations: Annotated[
        tuple[Annotated[PartialEvaluation, _EachForItself, _ANYTHING], ...],
        Bounded(EVALUATIONS_MAX, unique=False),
        BeforeValidator(_no_questions),
        WithJsonSchema(
            {"type": ["array", "null"], "items": _ANY_OF_THEM, "maxItems": EVALUATIONS_MAX}
        ),
    ] = ()
    options: EvaluationOptions | None = None


class Page(Open):
    """Which part of what a search finds: at most ``limit``, after what the page with this ``next_token`` ended with."""

    token: str | None = Field(default=None, max_length=512)
    limit: int | None = Field(default=None, ge=1, le=INTEGER_MAX)
    properties: _Properties = Field(default={})


class SubjectSearch(Open):
    """Which members may do this to that packet?"""

    subject: EntityKind
    action: ActionName
    resource: Entity
    context: _Properties = Field(default={})
    page: Page | None = None


class ResourceSearch(Open):
    """To which packets may that member do this?"""

    subject: Entity
    action: ActionName
    resource: EntityKind
    context: _Properties = Field(default={})
    page: Page | None = None


class ActionSearch(Open):
    """What may that member do to that packet?"""

    subject: Entity
    resource: Entity
    context: _Properties = Field(default={})
    page: Page | None = None
