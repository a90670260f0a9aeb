"""AuthZEN 1.0: evaluation, evaluations and the three searches on the same evaluator as everything else.

A subject of type ``member`` asks for an action (``assign``, ``handoff``, ``accept``, ``retain``; ``own`` is whichever
fits, or the one that its property ``point`` names) on a resource of type ``packet``.  Evaluations are recorded like
decisions; a search never is, and finds what the same evaluation of each would permit (OpenID AuthZEN Authorization API
1.0).  Facts about members and packets come from the ledger, never from who asks: other ``properties`` are passed over.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from pfgov.app import visibility
from pfgov.app.prepare import Prepared
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.errors import IllegalTransitionError, InvalidError, NotFoundError
from pfgov_api.answers import run
from pfgov_api.authzen_bodies import (
    ActionName,
    ActionSearch,
    Entity,
    Evaluation,
    Evaluations,
    Page,
    PartialEvaluation,
    ResourceSearch,
    SubjectSearch,
    Unreadable,
)
from pfgov_api.operations import ANYONE, HOLDERS, Answer, Call, Operation

SEARCHED_AT_ONCE: Final = 256
"""Members or packets that a search asks about before it lets others have the thread."""

PAGE_MAX: Final = 1_000
"""Results of a page, whatever limit is asked for."""

EXAMINED_MAX: Final = 2_000
"""Packets that one page asks about: where that is not enough, the page is short, and its token goes on."""

_NOBODY: Final = (NotFoundError, IllegalTransitionError)
"""Nobody may own a packet that is not there or has ended, and no member that is not there may own one."""

_ASKS = frozenset({"operator", "submitter"})

_POINTS: Final[dict[str, Any]] = {
    "own": None,
    "assign": "assign",
    "handoff": "handoff",
    "accept": "accept",
    "retain": "retain",
}


def _point(action: ActionName) -> Any:
    """Return the decision point that *action* names; ``own`` may name it by its property ``point``."""
    named = action.properties.get("point")
    if action.name == "own" and isinstance(named, str):
        return _POINTS.get(named, named)
    return _POINTS.get(action.name, action.name)


def _question(
    subject_type: str, action: ActionName, resource_type: str
) -> c.EvaluateDecision | str:
    """Return what evaluation and search both ask, of whom is named later; or why nobody may be asked about."""
    if subject_type != "member" or resource_type != "packet":
        return "the subject must be of type member and the resource of type packet"
    point = _point(action)
    if point is not None and point not in _POINTS:
        return f"actions are {', '.join(_POINTS)}"
    return c.EvaluateDecision(packet_id="", member_id="", point=point)


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
    asked = _question(subject.type, action, resource.type)
    if isinstance(asked, str):
        return _no(asked)
    try:
        question = msgspec.structs.replace(asked, member_id=subject.id, packet_id=resource.id)
        receipt = await run(call, Prepared(question), part=part)
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
    semantic = body.options and body.options.evaluations_semantic
    answers: list[dict[str, Any]] = []
    if not body.evaluations:
        whole = _whole(body, body)
        if isinstance(whole, Unreadable):
            raise InvalidError(whole.why, pointer="")
        return Answer(await _answer(call, *whole))
    for part, one in enumerate(body.evaluations):
        whole = _whole(one, body)
        if isinstance(whole, Unreadable):
            answers.append(_no(whole.why))
        else:
            answers.append(await _answer(call, *whole, part))
        decided = answers[-1]["decision"]
        if (semantic == "deny_on_first_deny" and not decided) or (
            semantic == "permit_on_first_permit" and decided
        ):
            break
    return Answer({"evaluations": answers})


def _whole(
    one: PartialEvaluation | Unreadable, defaults: PartialEvaluation
) -> tuple[Entity, ActionName, Entity] | Unreadable:
    """Return the question that *one* asks with *defaults* for what it leaves out; a default that it does not need may
    be whatever it is.
    """
    if isinstance(one, Unreadable):
        return one
    subject: Entity | Unreadable | None = one.subject or defaults.subject
    action: ActionName | Unreadable | None = one.action or defaults.action
    resource: Entity | Unreadable | None = one.resource or defaults.resource
    for name, part in (("subject", subject), ("action", action), ("resource", resource)):
        if isinstance(part, Unreadable):
            return Unreadable(f"{name}.{part.why}")
    if (
        isinstance(subject, Entity)
        and isinstance(action, ActionName)
        and isinstance(resource, Entity)
    ):
        return subject, action, resource
    return Unreadable("subject, action and resource are required")


# --- searches -----------------------------------------------------------------------------


async def _search_subject(call: Call) -> Answer:
    body: SubjectSearch = call.body
    asked = _question(body.subject.type, body.action, body.resource.type)
    limit, after = _span(call, body.page)
    found: list[str] = []
    if not isinstance(asked, str):
        question = msgspec.structs.replace(asked, packet_id=body.resource.id)
        with suppress(*_NOBODY):
            await call.read(lambda ledger: ledger.record(question.packet_id))
            fleet = await call.service.exclusively(
                lambda: call.ledger.look(
                    lambda state: sorted(one for one in state.members if one > after)
                )
            )
            found = await _permitted(call, question, "member_id", fleet, limit)
    return _page(call, body.page, [{"type": "member", "id": one} for one in found], limit)


async def _search_resource(call: Call) -> Answer:
    """Find packets in id order, those that who asks may read; of each it is asked what an evaluation asks."""
    body: ResourceSearch = call.body
    asked = _question(body.subject.type, body.action, body.resource.type)
    limit, after = _span(call, body.page)
    found: list[str] = []
    going_on: str | None = None
    if not isinstance(asked, str):
        _only_its_own(call, body.subject.id)
        question = msgspec.structs.replace(asked, member_id=body.subject.id)
        ids, going_on = await call.service.at_length(
            call.grant.share, call.ledger.live_packets, after, EXAMINED_MAX
        )
        with suppress(NotFoundError):  # no such member
            found = await _permitted(call, question, "packet_id", ids, limit)
    results = [{"type": "packet", "id": one} for one in found]
    return _page(call, body.page, results, limit, going_on=going_on)


def _only_its_own(call: Call, member_id: str) -> None:
    """Refuse a question of a member's key about another member.

    Raises:
        ForbiddenError: it is one.
    """
    if visibility.members_of(call.principal) is not None:
        visibility.require_member(call.principal, member_id)


async def _search_action(call: Call) -> Answer:
    body: ActionSearch = call.body
    limit, after = _span(call, body.page)
    found: list[str] = []
    if body.subject.type == "member" and body.resource.type == "packet":
        with suppress(*_NOBODY):
            await call.read(lambda ledger: ledger.record(body.resource.id))
            _only_its_own(call, body.subject.id)
            for name in sorted(_POINTS):
                asked = c.EvaluateDecision(
                    packet_id=body.resource.id, member_id=body.subject.id, point=_POINTS[name]
                )
                if name > after and await _permitted(
                    call, asked, "member_id", [body.subject.id], 1
                ):
                    found.append(name)
    return _page(call, body.page, [{"name": one} for one in found], limit)


async def _permitted(
    call: Call, asked: c.EvaluateDecision, varying: str, names: Sequence[str], limit: int
) -> list[str]:
    """Return those of *names*, as the field *varying* of the question, that an evaluation would permit; nothing is
    recorded, and one more than *limit* is enough.

    Who may not evaluate, and searches nevertheless, sees what an operator would be told.
    """
    ledger = call.ledger
    asks = call.principal if _ASKS.intersection(call.principal.rights) else c.LOCAL_OPERATOR

    def permitted(some: Sequence[str]) -> list[str]:
        found: list[str] = []
        for one in some:
            question: Any = msgspec.structs.replace(asked, **{varying: one})
            with suppress(IllegalTransitionError):  # it has ended meanwhile
                verdict = _verdict(ledger.dry_run(question, principal=asks).events)
                found += [one] if _is_permitted(verdict) else []
        return found

    found: list[str] = []
    for start in range(0, len(names), SEARCHED_AT_ONCE):
        some = names[start : start + SEARCHED_AT_ONCE]
        found += await call.service.asked(call.grant.share, partial(permitted, some))
        if len(found) > limit:
            break
    return found


# --- pages --------------------------------------------------------------------------------


def _asked_digest(call: Call) -> str:
    """Return what a token is bound to: the question without its page, by its meaning."""
    asked = call.body.model_dump(exclude={"page"}, mode="json")
    return hashlib.sha256(
        msgspec.json.encode([call.operation.name, asked], order="deterministic")
    ).hexdigest()[:16]


def _span(call: Call, wanted: Page | None) -> tuple[int, str]:
    """Return how many results are wanted, and after which.

    Raises:
        InvalidError: the token is not one that this search gave.
    """
    if wanted is None:
        return PAGE_MAX, ""
    limit = min(wanted.limit or PAGE_MAX, PAGE_MAX)
    if not wanted.token:
        return limit, ""
    digest, _, after = _untoken(wanted.token).partition(":")
    if digest != _asked_digest(call):
        raise InvalidError(
            "page.token does not belong to this search",
            hint="send the next_token of the page before, with the same question",
            pointer="/page/token",
        )
    return limit, after


def _untoken(token: str) -> str:
    with suppress(ValueError):
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    return ""


def _page(
    call: Call,
    wanted: Page | None,
    results: list[dict[str, str]],
    limit: int,
    *,
    going_on: str | None = None,
) -> Answer:
    """Return a page; where more may follow its token is not empty, and who asked for no page gets none that is whole."""
    shown, after = results[:limit], going_on
    if len(results) > limit:
        after = shown[-1].get("id") or shown[-1]["name"]
    if wanted is None and after is None:
        return Answer({"results": shown})
    token = ""
    if after is not None:
        raw = f"{_asked_digest(call)}:{after}".encode()
        token = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return Answer({"page": {"next_token": token, "count": len(shown)}, "results": shown})


# --- where to ask -------------------------------------------------------------------------


async def _configuration(call: Call) -> Answer:
    base = call.site + call.mount
    return Answer(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
            "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
            "search_subject_endpoint": f"{base}/access/v1/search/subject",
            "search_resource_endpoint": f"{base}/access/v1/search/resource",
            "search_action_endpoint": f"{base}/access/v1/search/action",
        }
    )


def _asks(
    name: str,
    about: str,
    handler: Callable[[Call], Any],
    answer: str,
    body: Any,
    *,
    access: frozenset[str] = HOLDERS,
    writes: bool = False,
) -> Operation:
    """Return the route of a question; as the standard has it, a body that is not JSON is a 400 like every other."""
    return Operation(
        f"authzen_{name}", "POST", f"/access/v1/{name.replace('_', '/')}", access, about, handler, answer,
        body=body, tag="authzen", writes=writes, media_type_status=400,
    )  # fmt: skip


OPERATIONS: tuple[Operation, ...] = (
    _asks("evaluation", "AuthZEN: one question.", _evaluation, "AuthzenDecision", Evaluation, access=_ASKS, writes=True),
    _asks("evaluations", "AuthZEN: several questions, each answered by itself; one alone where `evaluations` is left out.",
          _evaluations, "AuthzenDecisions", Evaluations, access=_ASKS, writes=True),
    _asks("search_subject", "AuthZEN: which members may.", _search_subject, "AuthzenEntities", SubjectSearch),
    _asks("search_resource", "AuthZEN: which packets a member may have, in id order; a member's key asks for its own.",
          _search_resource, "AuthzenEntities", ResourceSearch),
    _asks("search_action", "AuthZEN: what a member may do to a packet.", _search_action, "AuthzenActions", ActionSearch),
    Operation("authzen_configuration", "GET", "/.well-known/authzen-configuration", ANYONE, "AuthZEN: where to ask.",
              _configuration, "AuthzenConfiguration", tag="authzen"),
)  # fmt: skip
