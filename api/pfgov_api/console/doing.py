"""Doing something from a page: the form that says what will happen, and the command that it becomes.

A form is a page of its own.  Its fields become the JSON body that the API would get, and the API's own model reads it;
its idempotency key is drawn with it, so that pressing twice does it once.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pfgov.app.views import MemberView, PacketView
from pfgov.errors import InvalidError, NotFoundError, PfgovError
from pfgov_api.console.actions import ACTIONS, BY_OPERATION, Action, Field
from pfgov_api.console.fragments import Drawn
from pfgov_api.console.rendering import render, segment
from pfgov_api.console.visiting import Visitor, operations
from pfgov_api.problems import status_of

LOOKED_AHEAD_MAX: Final = 12
"""Packets of a member whose next owner is asked for before something is done to it."""

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be done, and about what."""

    action: Action
    subject: str

    @property
    def path(self) -> dict[str, str]:
        """The parameters of the operation's path."""
        if self.action.about == "proposal":
            return {"digest": self.subject}
        return {f"{self.action.about}_id": self.subject} if self.action.about else {}

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
        return self.subject[:12] if self.action.about == "proposal" else self.subject

    def _page(self, name: str) -> str:
        has_pages = bool(name) and self.here in {"members", "workloads"}
        return f"/console/{self.here}" + (f"/{segment(name)}" if has_pages else "")

    def after(self, done: Mapping[str, Any]) -> str:
        """Return the page to go to when it was done: of what it was about, or of what it made, with its receipt."""
        result: Mapping[str, Any] = done["result"]
        made = self.subject or str(result.get("packet_id") or result.get("member_id") or "")
        place = done["receipt"].get("position")
        return self._page(made) + ("" if place is None else f"?did={place}")

    @property
    def url(self) -> str:
        """The page of the form."""
        return f"/console/do/{self.action.operation}" + (
            f"/{segment(self.subject)}" if self.subject else ""
        )


def match(rest: str) -> Target | None:
    """Return what ``do/OPERATION`` or ``do/OPERATION/ID`` asks for; None for another path."""
    parts = rest.split("/")
    if parts[0] != "do":
        return None
    action = BY_OPERATION.get(parts[1]) if len(parts) > 1 else None
    if action is None or len(parts) != (3 if action.about else 2):
        raise NotFoundError(f"there is nothing to do at {rest[:200]!r}", code="http.not_found")
    return Target(action, parts[2] if action.about else "")


def offered(visitor: Visitor, about: str, status: str) -> list[Action]:
    """Return what *visitor* may do to a member or packet that stands at *status*."""
    return [
        one
        for one in ACTIONS
        if one.about == about and status in one.statuses and visitor.may(one.operation)
    ]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A policy set that is proposed, by the entry that did so."""

    position: int


Subject = MemberView | PacketView | Proposed


@dataclass(slots=True)
class Ahead:
    """What a dry run says: a line for each packet, and how many were not looked at."""

    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    left: int = 0


async def ask(
    visitor: Visitor,
    target: Target,
    given: Mapping[str, str],
    error: PfgovError | None = None,
    found: Ahead | None = None,
) -> Drawn:
    """Return the form, with what was *given* before, the *error* that it met, and what was *found* by looking first.

    Raises:
        PfgovError: who asks may not do it, or there is no such member or packet.
    """
    action = target.action
    if not visitor.may(action.operation):
        await visitor.act(action.operation, target.path, {}, secrets.token_urlsafe(18))
    subject = await _subject(visitor, target)
    ahead = await _look_ahead(visitor, subject) if action.looks_ahead else found
    fixed = _fixed(action, subject)
    title = f"{action.verb} {target.name}".strip()
    operation = operations()[action.operation]

    def draw() -> Drawn:
        html = render(
            "do.html",
            action=action,
            target=target,
            subject=subject,
            ahead=ahead,
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
            return await ask(visitor, target, form, found=await _discovered(visitor, action, form))
        if action.must_type and form.get("typed", "") != target.subject:
            raise InvalidError(
                f"type {target.subject} to confirm",
                hint="it cannot be taken back",
                pointer="/typed",
            )
        body = _body(action, form)
        done = await visitor.act(action.operation, target.path, body, form.get("key", ""))
    except PfgovError as error:
        return await ask(visitor, target, form, error)
    return target.after(done)


async def _subject(visitor: Visitor, target: Target) -> Subject | None:
    if not target.action.about:
        return None
    if target.action.about == "proposal":
        return await _proposal(visitor, target.subject)
    found: MemberView | PacketView = await visitor.ask(
        f"show_{target.action.about}", None, **target.path
    )
    return found


async def _proposal(visitor: Visitor, digest: str) -> Proposed:
    """Return what is open under *digest*.

    Raises:
        NotFoundError: nothing is.
    """
    for one in (await visitor.ask("list_proposals"))["items"]:
        if one["digest"] == digest:
            return Proposed(int(one["proposal"]))
    raise NotFoundError(
        f"{digest[:12]} is not proposed", code="policy.not_proposed", hint="see /console/policies"
    )


async def _look_ahead(visitor: Visitor, subject: Subject | None) -> Ahead | None:
    """Return who would own what then, as dry runs say now; None where that may not be asked."""
    if not visitor.may("discover") or not isinstance(subject, MemberView | PacketView):
        return None
    ahead = Ahead()
    packets = [subject.packet_id] if isinstance(subject, PacketView) else list(subject.owns)
    ahead.left = max(len(packets) - LOOKED_AHEAD_MAX, 0)
    for packet_id in packets[:LOOKED_AHEAD_MAX]:
        try:
            ahead.lines.append((packet_id, _where(await visitor.dry_run(packet_id))))
        except PfgovError as error:
            ahead.lines.append((packet_id, error.message))
    return ahead


def _where(found: Mapping[str, Any]) -> str:
    """Return in words where a packet would go."""
    there, eligible = found["would_go_to"], len(found["eligible"])
    if there:
        return f"would go to {there}, {'the only one' if eligible == 1 else f'one of {eligible}'} who may"
    near = found["nearest_miss"]
    return "nobody may own it now" + (f": {near}" if near else "")


async def _discovered(visitor: Visitor, action: Action, form: Mapping[str, str]) -> Ahead:
    """Return who could own what the form describes; nothing is recorded."""
    found = (await visitor.begin("discover", {"packet": _body(action, form)})).body
    return Ahead([(form.get("packet_id") or "it", _where(found))])


def _fixed(action: Action, subject: Subject | None) -> dict[str, str]:
    """Return what the body has to name besides what a person says: exactly what this page shows."""
    if isinstance(subject, Proposed):
        return {"proposal": str(subject.position)}
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


_FIXED: Final = {
    "version": "number",
    "member_id": "text",
    "incarnation": "number",
    "handoff": "number",
    "view": "text",
    "proposal": "number",
}


def _body(action: Action, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON body that *form* says; what was left empty is left out."""
    body: dict[str, Any] = {}
    fields = [*action.fields]
    if action.about == "proposal" or action.operation in {"review_packet", "accept_handoff"}:
        fields += [Field(name, name, kind) for name, kind in _FIXED.items()]  # type: ignore[arg-type]
    for one in fields:
        text = form.get(one.name, "").strip()
        if not text:
            continue
        *outer, name = one.name.split(".")
        place = body
        for part in outer:
            place = place.setdefault(part, {})
        place[name] = _value(one, text)
    return body


def _value(one: Field, text: str) -> Any:
    match one.kind:
        case "number":
            return _number(text)
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "flag":
            return text == "true"
        case "verdict":
            return text == "grant"
        case "amounts":
            return {name: _number(amount) for name, amount in _pairs(one, text, " ")}
        case "pairs":
            return dict(_pairs(one, text, "="))
        case "offers":
            return [_offer(part.split()) for part in text.split(",") if part.strip()]
        case _:
            return text


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
                f"{one.label}: {part.strip()[:64]!r} is not like {one.hint}", pointer=f"/{one.name}"
            )
        found.append((name.strip(), value.strip()))
    return found


def _offer(words: list[str]) -> dict[str, str]:
    return {"name": words[0], **({"version": " ".join(words[1:])} if len(words) > 1 else {})}
