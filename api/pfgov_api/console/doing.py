"""Doing something from a page: the form that says what will happen, and the command that it becomes.

A form is a page of its own.  Its fields become the JSON body that the API would get, and the API's own model reads it;
its idempotency key is drawn with it, so that pressing twice does it once.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pfgov.app.views import MemberView, PacketView
from pfgov.errors import ForbiddenError, InvalidError, NotFoundError, PfgovError, StateConflictError
from pfgov_api.console import ahead, changing, receipts
from pfgov_api.console.actions import ACTIONS, BY_NAME, DIGESTED, Action, Field
from pfgov_api.console.fragments import Drawn
from pfgov_api.console.pages import as_written, in_utc
from pfgov_api.console.rendering import render, segment
from pfgov_api.console.visiting import Visitor, operations
from pfgov_api.problems import status_of

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be done, and about what."""

    action: Action
    subject: str

    @property
    def path(self) -> dict[str, str]:
        """The parameters of the operation's path."""
        match self.action.about:
            case "proposal":
                return {"digest": self.subject}
            case "member" | "packet":
                return {f"{self.action.about}_id": self.subject}
            case _:
                return {}

    @property
    def here(self) -> str:
        """The part of the console that it belongs to."""
        return self.action.here

    @property
    def back(self) -> str:
        """The page to return to."""
        return self._page(self.subject)

    @property
    def name(self) -> str:
        """What it is about, as a person reads it: a digest by its beginning."""
        return self.subject[:12] if self.action.about in DIGESTED else self.subject

    def _page(self, name: str) -> str:
        has_pages = bool(name) and self.here in {"members", "workloads"}
        return f"/console/{self.here}" + (f"/{segment(name)}" if has_pages else "")

    def after(self, done: Mapping[str, Any], principal: str) -> str:
        """Return the page to go to when it was done: of what it was about, or of what it made, with its receipt."""
        result: Mapping[str, Any] = done["result"]
        made = self.subject or str(result.get("packet_id") or result.get("member_id") or "")
        return receipts.after(self._page(made), principal, done["receipt"].get("position"))

    @property
    def url(self) -> str:
        """The page of the form."""
        return f"/console/do/{self.action.name}" + (
            f"/{segment(self.subject)}" if self.subject else ""
        )


def match(rest: str) -> Target | None:
    """Return what ``do/OPERATION`` or ``do/OPERATION/ID`` asks for; None for another path."""
    parts = rest.split("/")
    if parts[0] != "do":
        return None
    action = BY_NAME.get(parts[1]) if len(parts) > 1 else None
    if action is None or len(parts) != (3 if action.about else 2):
        raise NotFoundError(f"there is nothing to do at {rest[:200]!r}", code="http.not_found")
    return Target(action, parts[2] if action.about else "")


def chosen(rest: str, query: Mapping[str, str]) -> str | None:
    """Return the page of the form about what was named in a field, ``do/OPERATION?id=ID``; None for anything else."""
    action, subject = BY_NAME.get(rest.removeprefix("do/")), query.get("id", "").strip()
    return Target(action, subject).url if action is not None and action.about and subject else None


def offered(visitor: Visitor, about: str, status: str) -> list[Action]:
    """Return what *visitor* may do to a member or packet at *status*; what cannot be taken back comes last."""
    found = [
        one
        for one in ACTIONS
        if one.about == about and status in one.statuses and visitor.may(one.operation)
    ]
    return sorted(found, key=lambda one: one.is_grave)


def may_judge(visitor: Visitor, action: Action, proposer: str) -> bool:
    """Whether *visitor* may do it to what *proposer* proposed.

    Nobody approves their own; and their own is all that somebody turns down who may approve none.
    """
    is_own = visitor.grant.principal.id == proposer
    if action.operation == "approve_proposal":
        return not is_own and visitor.may(action.operation)
    return visitor.may(action.operation) and (is_own or visitor.may("approve_proposal"))


def may_review(visitor: Visitor, packet: PacketView) -> bool:
    """Whether *visitor* is whom the rule asks that keeps *packet* waiting for a review."""
    asked = packet.review
    return asked is not None and visitor.may("review_packet") and asked.to in visitor.rights


@dataclass(frozen=True, slots=True)
class Proposed:
    """A policy set that is proposed: by which entry, and by whom."""

    position: int
    proposer: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of policy is about, as the body names it."""

    body: Mapping[str, str]


Subject = MemberView | PacketView | Proposed | Change


async def ask(
    visitor: Visitor,
    target: Target,
    given: Mapping[str, str],
    error: PfgovError | None = None,
    found: ahead.Ahead | None = None,
) -> Drawn:
    """Return the form, with what was *given* before, the *error* that it met, and what was *found* by looking first.

    Raises:
        PfgovError: who asks may not do it, or there is no such member or packet.
    """
    action = target.action
    if not visitor.may(action.operation):
        await visitor.act(action.operation, target.path, {}, secrets.token_urlsafe(18))
    subject = await _subject(visitor, target)
    if error is None and isinstance(subject, Proposed):
        _require_judge(visitor, target, subject)
    seen = found or await _look_ahead(visitor, target, subject, given)
    fixed = _fixed(action, subject)
    title = (action.title or f"{action.verb} {{id}}").replace("{id}", target.name).strip()
    operation = operations()[action.operation]

    def draw() -> Drawn:
        html = render(
            "do.html",
            action=action,
            target=target,
            subject=subject,
            ahead=seen,
            fixed=fixed,
            given=given,
            error=error,
            title=title,
            key=secrets.token_urlsafe(18),
            may_look=bool(action.can_look) and visitor.may("discover"),
            route=f"{operation.method} {operation.path}",
        )
        return Drawn(title, target.here, html.encode(), 200 if error is None else status_of(error))

    return await asyncio.to_thread(draw)


async def run(visitor: Visitor, target: Target, form: Mapping[str, str]) -> str | Drawn:
    """Do it; return where to go then, or the form again with why it was refused.

    Raises:
        PfgovError: the form itself is not one of ours.
    """
    action = target.action
    try:
        if action.can_look and form.get("look"):
            is_new = action.operation == "submit_packet"
            looked = await _discovered(visitor, action, form) if is_new else None
            return await ask(visitor, target, form, found=looked)
        if action.must_type and form.get("typed", "").strip() != target.name:
            raise InvalidError(
                f"type {target.name} to confirm",
                hint="it cannot be taken back",
                pointer="/typed",
            )
        body = _body(action, form)
        if action.ends_halt:
            return await _resumed(visitor, target, body)
        done = await visitor.act(action.operation, target.path, body, form.get("key", ""))
    except PfgovError as error:
        return await ask(visitor, target, form, error)
    return target.after(done, visitor.grant.principal.id)


def _target(packet: PacketView, given: Mapping[str, str]) -> str:
    """Return whom a packet is to go to: who was named, or who is to take it over already."""
    pending = packet.handoff.pending or {}
    return given.get("target", "").strip() or str(pending.get("target", ""))


async def _resumed(visitor: Visitor, target: Target, body: Mapping[str, Any]) -> str:
    """End a halt; pressed twice it is ended once, because the second finds none.

    Raises:
        StateConflictError: there is no halt.
    """
    if (await visitor.ask("status"))["halted"] is None:
        raise StateConflictError(
            "there is no halt: leases end",
            code="expiry.not_halted",
            hint="somebody ended it already",
        )
    await visitor.begin(target.action.operation, body)
    query = {"newest": "true", "limit": 1, "type": "expiry_resumed"}
    entries = (await visitor.ask("list_entries", query))["items"]
    place = entries[0].seq if entries else None
    return receipts.after(target.back, visitor.grant.principal.id, place)


async def _subject(visitor: Visitor, target: Target) -> Subject | None:
    if not target.action.about:
        return None
    match target.action.about:
        case "proposal":
            return await _proposal(visitor, target.subject)
        case "set":
            if visitor.may("show_policies"):
                await visitor.ask("show_policies", {"digest": target.subject})  # or there is none
            return Change({"digest": target.subject})
        case "policy":
            return await _shadowed(visitor, target.subject)
        case "publisher":
            return await _publisher(visitor, target.subject)
        case _:
            pass
    found: MemberView | PacketView = await visitor.ask(
        f"show_{target.action.about}", None, **target.path
    )
    return found


def _require_judge(visitor: Visitor, target: Target, proposed: Proposed) -> None:
    """Say before a form is filled in what the rule would say after it.

    Raises:
        ForbiddenError: it is for somebody else.
    """
    if may_judge(visitor, target.action, proposed.proposer):
        return
    if visitor.grant.principal.id == proposed.proposer:
        raise ForbiddenError(
            "whoever proposed a policy set cannot approve it",
            code="policy.own_proposal",
            hint="somebody else has to look at it",
        )
    raise ForbiddenError(
        f"{target.name} is for an admin to turn down, or for whoever proposed it",
        hint="use a key with the scope admin",
    )


async def _shadowed(visitor: Visitor, name: str) -> Change:
    """Return the policy *name* as the body names it.

    Raises:
        NotFoundError: it is not in shadow mode.
    """
    for one in (await visitor.ask("show_policies"))["policies"]:
        if (one["name"], one["mode"]) == (name, "shadow"):
            return Change({"name": name})
    raise NotFoundError(
        f"no policy {name[:64]!r} of the binding set is in shadow mode",
        code="policy.not_shadowed",
        hint="see /console/policies",
    )


async def _publisher(visitor: Visitor, key: str) -> Change:
    """Return whose key this is.

    Raises:
        NotFoundError: nobody's.
    """
    for one in (await visitor.ask("list_publishers"))["items"]:
        if any(known["key"] == key for known in one["keys"]):
            return Change({"name": one["name"], "public_key": key})
    raise NotFoundError(
        f"no publisher has the key {key[:12]}",
        code="publisher.unknown",
        hint="see /console/policies",
    )


async def _proposal(visitor: Visitor, digest: str) -> Proposed:
    """Return what is open under *digest*.

    Raises:
        NotFoundError: nothing is.
    """
    for one in (await visitor.ask("list_proposals"))["items"]:
        if one["digest"] == digest:
            return Proposed(int(one["proposal"]), str(one["proposer"]))
    raise NotFoundError(
        f"{digest[:12]} is not proposed", code="policy.not_proposed", hint="see /console/policies"
    )


async def _look_ahead(
    visitor: Visitor, target: Target, subject: Subject | None, given: Mapping[str, str]
) -> ahead.Ahead | None:
    """Return what would change, where the action says that this is shown first."""
    match target.action.looks_ahead:
        case "packets" if isinstance(subject, PacketView):
            target_id = _target(subject, given)
            if target_id:
                return await ahead.of_target(visitor, subject, target_id)
            return await ahead.of_packets(visitor, [subject.packet_id])
        case "packets" if isinstance(subject, MemberView):
            return await ahead.of_packets(visitor, subject.owns)
        case "capability" if isinstance(subject, MemberView):
            names = _list(given.get("withdrawn", ""))
            return await ahead.without(visitor, subject, names) if names else None
        case "review" if isinstance(subject, PacketView) and subject.review is not None:
            return await ahead.of_review(visitor, subject, subject.review)
        case "silence":
            return await ahead.of_silence(visitor)
        case "impact" if target.action.about == "set":
            return await changing.of_set(visitor, target.subject)
        case "impact":
            return await changing.of_shadow(visitor, target.subject)
        case _:
            return None


async def _discovered(visitor: Visitor, action: Action, form: Mapping[str, str]) -> ahead.Ahead:
    """Return who could own what the form describes; nothing is recorded."""
    found = (await visitor.begin("discover", {"packet": _body(action, form)})).body
    return ahead.Ahead([(form.get("packet_id") or "it", ahead.then(ahead.where(found)))])


def _fixed(action: Action, subject: Subject | None) -> dict[str, str]:
    """Return what the body has to name besides what a person says: exactly what this page shows."""
    if isinstance(subject, Proposed):
        return {"proposal": str(subject.position)}
    if isinstance(subject, Change):
        return dict(subject.body)
    if not isinstance(subject, PacketView):
        return {}
    if action.operation == "review_packet":
        return {"version": str(subject.version)}
    pending = subject.handoff.pending
    if action.operation == "accept_handoff" and pending is not None:
        named = {"member_id": pending["target"], "incarnation": pending["incarnation"]}
        named |= {"handoff": pending["position"], "view": pending["view"]}
        return {name: str(value) for name, value in named.items() if value is not None}
    return {}


_NAMED: Final = (
    Field("proposal", "", "number"),
    Field("digest", ""),
    Field("name", ""),
    Field("public_key", "", goes="key"),
)
"""What a body names of a change of policy."""

_FIXED: Final = {
    "version": "number",
    "member_id": "text",
    "incarnation": "number",
    "handoff": "number",
    "view": "text",
}


def _body(action: Action, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON body that *form* says; what was left empty is left out."""
    body: dict[str, Any] = dict(action.always)
    fields = [*action.fields]
    if action.here == "policies" and action.about:
        fields += _NAMED
    if action.operation in {"review_packet", "accept_handoff"}:
        fields += [Field(name, name, kind) for name, kind in _FIXED.items()]  # type: ignore[arg-type]
    for one in fields:
        text = form.get(one.name, "").strip()
        if not text:
            continue
        *outer, name = (one.goes or one.name).split(".")
        place = body
        for part in outer:
            place = place.setdefault(part, {})
        place[name] = _value(one, text)
    return body


_VERDICTS: Final = {"grant": True, "refuse": False}


def _value(one: Field, text: str) -> Any:
    match one.kind:
        case "number":
            return _number(text)
        case "list":
            return _list(text)
        case "flag":
            return text == "true"
        case "verdict":
            return _VERDICTS.get(text, text)  # what is neither is refused where it goes
        case "moment":
            return in_utc(text)
        case "amounts":
            return {name: _number(amount) for name, amount in _pairs(one, text, " ")}
        case "pairs":
            return dict(_pairs(one, text, "="))
        case "lines":
            return as_written(text)
        case "offers":
            return [_offer(part.split()) for part in text.split(",") if part.strip()]
        case _:
            return text


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> Any:
    """Return *text* as the number that it is; anything else goes on as it is, and is refused with a reason."""
    if not _NUMBER.fullmatch(text) or len(text) > 40:
        return text
    return float(text) if "." in text else int(text)


def _pairs(one: Field, text: str, between: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        name, is_pair, value = part.strip().partition(between)
        if not is_pair:
            raise InvalidError(
                f"{one.label}: {part.strip()[:64]!r} is not like {one.example}",
                pointer=f"/{one.name}",
            )
        found.append((name.strip(), value.strip()))
    return found


def _offer(words: list[str]) -> dict[str, str]:
    return {"name": words[0], **({"version": " ".join(words[1:])} if len(words) > 1 else {})}
