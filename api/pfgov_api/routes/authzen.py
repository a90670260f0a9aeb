"""AuthZEN 1.0: evaluation, evaluations and subject search on the same evaluator as everything else.

A subject of type ``member`` asks for an action (``assign``, ``handoff``, ``accept``, ``retain``; ``own`` is whichever
fits) on a resource of type ``packet``.  Evaluations are recorded like decisions; a search never is, and finds whom the
same evaluation of each member would permit (OpenID AuthZEN Authorization API 1.0).
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field

from pfgov import commands as c
from pfgov import events as e
from pfgov.errors import IllegalTransitionError, InvalidError, NotFoundError
from pfgov.model import Wire
from pfgov.model.fields import Bounded
from pfgov_api.disclosure import require_packet
from pfgov_api.operations import ANYONE, HOLDERS, Answer, Call, Operation
from pfgov_api.routes.running import run

EVALUATIONS_MAX = 100

SEARCHED_AT_ONCE: Final = 256
"""Members that a search asks about before it lets others have the thread."""

_NOBODY: Final = (NotFoundError, IllegalTransitionError)
"""Nobody may own a packet that is not there or has ended, and no member that is not there may own one."""

_ASKS = frozenset({"operator", "submitter"})
_Id = Annotated[str, Field(min_length=1, max_length=128)]


class Entity(Wire):
    """A subject or a resource."""

    type: _Id
    id: _Id
    properties: dict[str, Any] = Field(default={})


class SubjectKind(Wire):
    """The subjects that a search looks for."""

    type: _Id
    id: str | None = None
    properties: dict[str, Any] = Field(default={})


class ActionName(Wire):
    """An action."""

    name: _Id
    properties: dict[str, Any] = Field(default={})


class Evaluation(Wire):
    """May this subject do this to that resource?"""

    subject: Entity
    action: ActionName
    resource: Entity
    context: dict[str, Any] = Field(default={})


class PartialEvaluation(Wire):
    """One of several questions; what it leaves out is taken from the whole."""

    subject: Entity | None = None
    action: ActionName | None = None
    resource: Entity | None = None
    context: dict[str, Any] | None = None


class EvaluationOptions(Wire):
    """How several questions are answered."""

    evaluations_semantic: Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"] = (
        "execute_all"
    )


class Evaluations(PartialEvaluation):
    """Several questions at once."""

    evaluations: Annotated[
        tuple[PartialEvaluation, ...], Bounded(EVALUATIONS_MAX, unique=False)
    ] = ()
    options: EvaluationOptions = EvaluationOptions()


class SubjectSearch(Wire):
    """Which members may do this to that packet?"""

    subject: SubjectKind
    action: ActionName
    resource: Entity
    context: dict[str, Any] = Field(default={})


_POINTS: dict[str, Any] = {
    "own": None,
    "assign": "assign",
    "handoff": "handoff",
    "accept": "accept",
    "retain": "retain",
}


def _question(subject_type: str, action: ActionName, resource: Entity) -> c.EvaluateDecision | str:
    """Return what evaluation and search both ask of each member, named later; or why nobody may be asked about."""
    if subject_type != "member" or resource.type != "packet":
        return "the subject must be of type member and the resource of type packet"
    if action.name not in _POINTS:
        return f"actions are {', '.join(_POINTS)}"
    return c.EvaluateDecision(packet_id=resource.id, member_id="", point=_POINTS[action.name])


def _verdict(events: Sequence[e.Event]) -> e.DecisionEvaluated:
    event = events[0]
    if not isinstance(event, e.DecisionEvaluated):
        raise TypeError(event.type)
    return event


def _is_permitted(event: e.DecisionEvaluated) -> bool:
    return event.outcome == "allowed"


async def _answer(
    call: Call, subject: Entity, action: ActionName, resource: Entity, part: int = 0
) -> dict[str, Any]:
    asked = _question(subject.type, action, resource)
    if isinstance(asked, str):
        return _no(asked)
    try:
        receipt = await run(call, msgspec.structs.replace(asked, member_id=subject.id), part=part)
    except _NOBODY as error:
        return _no(error.message)
    event = _verdict(receipt.events)
    context = {
        "reasons": list(event.reasons),
        "position": receipt.position,
        "outcome": event.outcome,
    }
    return {"decision": _is_permitted(event), "context": context}


def _no(why: str) -> dict[str, Any]:
    return {"decision": False, "context": {"reasons": [why]}}


async def _evaluation(call: Call) -> Answer:
    body: Evaluation = call.body
    return Answer(await _answer(call, body.subject, body.action, body.resource))


async def _evaluations(call: Call) -> Answer:
    body: Evaluations = call.body
    semantic = body.options.evaluations_semantic
    answers: list[dict[str, Any]] = []
    if not body.evaluations:
        if body.subject is None or body.action is None or body.resource is None:
            raise InvalidError("subject, action and resource are required", pointer="")
        return Answer(await _answer(call, body.subject, body.action, body.resource))
    for part, one in enumerate(body.evaluations):
        subject, action = one.subject or body.subject, one.action or body.action
        resource = one.resource or body.resource
        if subject is None or action is None or resource is None:
            answers.append(_no("subject, action and resource are required"))
        else:
            answers.append(await _answer(call, subject, action, resource, part))
        decided = answers[-1]["decision"]
        if (semantic == "deny_on_first_deny" and not decided) or (
            semantic == "permit_on_first_permit" and decided
        ):
            break
    return Answer({"evaluations": answers})


async def _search(call: Call) -> Answer:
    body: SubjectSearch = call.body
    asked = _question(body.subject.type, body.action, body.resource)
    found: list[str] = []
    if not isinstance(asked, str):
        with suppress(*_NOBODY):
            require_packet(call, call.service.glance.packet(asked.packet_id))
            found = await _permitted(call, asked)
    return Answer({"results": [{"type": "member", "id": name} for name in found]})


async def _permitted(call: Call, asked: c.EvaluateDecision) -> list[str]:
    """Return the members that an evaluation would permit, each asked for itself; nothing is recorded.

    Who may not evaluate, and searches nevertheless, sees what an operator would be told.
    """
    engine = call.service.engine
    asks = call.principal if _ASKS.intersection(call.principal.rights) else c.LOCAL_OPERATOR

    def permitted(members: Sequence[str]) -> list[str]:
        questions = (msgspec.structs.replace(asked, member_id=one) for one in members)
        verdicts = (_verdict(engine.rehearse(one, principal=asks).events) for one in questions)
        return [one.member_id for one in verdicts if _is_permitted(one)]

    fleet = await call.service.in_turn(lambda: engine.look(lambda state: sorted(state.members)))
    found: list[str] = []
    for start in range(0, len(fleet), SEARCHED_AT_ONCE):
        some = fleet[start : start + SEARCHED_AT_ONCE]
        found += await call.service.in_turn(partial(permitted, some))
    return found


async def _configuration(call: Call) -> Answer:
    base = call.service.public_url or f"http://{call.headers.get('host', 'localhost')}"
    return Answer(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
            "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
            "search_subject_endpoint": f"{base}/access/v1/search/subject",
        }
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation("authzen_evaluation", "POST", "/access/v1/evaluation", _ASKS, "AuthZEN: one question.", _evaluation,
              "AuthzenDecision", body=Evaluation, tag="authzen", writes=True),
    Operation("authzen_evaluations", "POST", "/access/v1/evaluations", _ASKS, "AuthZEN: several questions.",
    _evaluations,
              "Object", body=Evaluations, tag="authzen", writes=True),
    Operation("authzen_search_subject", "POST", "/access/v1/search/subject", HOLDERS, "AuthZEN: which members may.",
    _search,
              "AuthzenSubjects", body=SubjectSearch, tag="authzen"),
    Operation("authzen_configuration", "GET", "/.well-known/authzen-configuration", ANYONE, "AuthZEN: where to ask.",
              _configuration, "Object", tag="authzen"),
)  # fmt: skip
