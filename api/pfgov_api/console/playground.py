"""The playground of policies: a text that is tried on facts, weighed against the recorded decisions, and sent on.

A form without script: each button sends the whole text, and the page comes back with what was asked for.  Nothing is
compiled here, and no test is run; the API does that in a process of its own.  What is made binding is what was weighed:
its digest is compared again, and the beginning of it is typed.  A signed bundle may stand in the place of the text, and
a signed report of impact goes with a proposal or an activation.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pfgov.app.change import bundling
from pfgov.app.change.showing import LIMITS, from_answer
from pfgov.app.fleet import FleetView
from pfgov.app.views import MemberView
from pfgov.errors import InvalidError, PfgovError
from pfgov.policy.files.folder import FIXTURES, TEST_SUFFIX
from pfgov_api.console import changing, policy_texts, receipts
from pfgov_api.console.fragments import Drawn
from pfgov_api.console.pages import Shown, Visit, as_written
from pfgov_api.console.rendering import render
from pfgov_api.console.visiting import Visitor
from pfgov_api.problems import status_of

EXAMPLES: Final = 3
TYPED: Final = 8
"""Characters of a digest that are typed before its set is made binding."""

RECORDED: Final = frozenset({"propose", "activate"})
"""The buttons that record something."""

CHECKS_SHOWN: Final = 50
"""Checks of each kind, those that fail and those that pass, that a page shows."""

POINTS: Final = ("assign", "handoff", "accept", "retain")
PACKET: Final[Mapping[str, Any]] = {
    "workload_type": "claim-intake",
    "required_capabilities": [],
    "policy_constraints": {"minimum_trust_score": 0.5},
    "data_classes": [],
}


@dataclass(slots=True)
class Tried:
    """What is in the form, and what came of the button that was pressed."""

    text: str = ""
    packet: str = ""
    members: str = ""
    action: str = "assign"
    note: str = ""
    bundle: str = ""
    report: str = ""
    tests: str = ""
    verdicts: Mapping[str, Any] | None = None
    weighed: Mapping[str, Any] | None = None
    tested: Mapping[str, Any] | None = None
    error: PfgovError | None = None
    pressed: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))


async def begin(visit: Visit) -> Shown:
    """Return the playground with the text of a set: the binding one, that of a digest, or one that ships."""
    visitor, name = visit.visitor, visit.query.get("set", "")
    fleet: FleetView = await visitor.ask("show_fleet")
    text = await _text(visitor, name)
    examples = [_registration(one) for one in fleet.members if one.status == "ACTIVE"][:EXAMPLES]
    tried = Tried(
        text,
        json.dumps(PACKET, indent=2),
        json.dumps(examples or [_EXAMPLE], indent=2, ensure_ascii=False),
        tests=await _tests(visitor, name),
    )
    values = await _values(visitor, tried)
    return Shown("Playground", "playground.html", lambda: {**values, "set": name})


_EXAMPLE: Final = {"id": "agent-01", "type": "agent", "trust_score": 0.9, "region": "eu-west"}


async def _text(visitor: Visitor, name: str) -> str:
    if name.startswith("pack:") and name[5:] in policy_texts.PACKS:
        return await asyncio.to_thread(policy_texts.pack, name[5:])
    if not visitor.may("policy_document"):
        return ""
    document = await recorded(visitor, name or None)
    return await asyncio.to_thread(lambda: policy_texts.text_of(policy_texts.set_of(document)))


async def _tests(visitor: Visitor, name: str) -> str:
    """Return the tests of a set that ships with pfgov; those of another one are not recorded with it."""
    if name.startswith("pack:"):
        chosen = name[5:] if name[5:] in policy_texts.PACKS else None
    else:
        digest = name or (await visitor.ask("status")).get("policy") or ""
        chosen = await asyncio.to_thread(policy_texts.pack_of, digest)
    return "" if chosen is None else await asyncio.to_thread(policy_texts.tests_of_pack, chosen)


async def recorded(visitor: Visitor, digest: str | None) -> bytes:
    """Return the document of a recorded set; empty where the kernel alone binds.

    Raises:
        PfgovError: there is none of that digest, or who asks may not read it.
    """
    if digest is None and (await visitor.ask("status")).get("policy") is None:
        return b""
    found: bytes = await visitor.ask("policy_document", {"digest": digest})
    return found


def _registration(member: MemberView) -> dict[str, Any]:
    """Return a member of the fleet as facts that can be edited."""
    found = {
        "id": member.id,
        "type": member.type,
        "capabilities": [
            {key: one[key] for key in ("name", "version") if key in one}
            for one in member.capabilities
        ],
        "capacity": member.capacity,
        "trust_score": member.trust.score if member.trust else None,
        "region": member.region,
        "clearances": member.clearances,
        "labels": member.labels,
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


async def run(visitor: Visitor, form: Mapping[str, str]) -> str | Drawn:
    """Do what the pressed button says; return where to go then, or the page with what came of it."""
    text, packet, members = (
        as_written(form.get(name, "")) for name in ("text", "packet", "members")
    )
    action, note = form.get("action", "assign"), form.get("note", "")
    bundle, report, tests = (
        as_written(form.get(name, "")) for name in ("bundle", "report", "tests")
    )
    pressed = form.get("do", "ask")
    tried = Tried(text, packet, members, action, note, bundle, report, tests, pressed=pressed)
    try:
        match tried.pressed:
            case "weigh":
                tried.weighed = await _weigh(visitor, tried)
            case "test":
                tried.tested = await _test(visitor, tried)
            case "propose":
                return await _propose(visitor, tried, form.get("key", ""))
            case "activate":
                return await _activate(visitor, tried, form)
            case _:
                tried.verdicts = await _ask(visitor, tried)
    except PfgovError as error:
        tried.error = error
    values = await _values(visitor, tried)
    status = 200 if tried.error is None else status_of(tried.error)

    def draw() -> Drawn:
        return Drawn("Playground", "policies", render("playground.html", **values).encode(), status)

    return await asyncio.to_thread(draw)


def _files(tried: Tried) -> dict[str, str]:
    """Return the policy files of the text, or of the bundle in its place: its tests and fixtures are not asked.

    Raises:
        InvalidError: there is none.
        BundleError: the bundle is not as its publisher signed it.
    """
    if tried.bundle.strip():
        found = bundling.opened(tried.bundle.strip().encode()).files
        return {
            f"{at:02}.yaml": found[name]
            for at, name in enumerate(sorted(found), 1)
            if not name.endswith(TEST_SUFFIX) and FIXTURES not in name.split("/")
        }
    files = policy_texts.files_of(tried.text)
    if not files:
        raise InvalidError(
            "there is no policy in the text", hint="begin with a set that ships", pointer="/files"
        )
    return files


async def _ask(visitor: Visitor, tried: Tried) -> Mapping[str, Any]:
    body: dict[str, Any] = {
        "packet": _json("packet", tried.packet),
        "members": _json("members", tried.members),
        "action": tried.action,
        "in_full": True,
    }
    if tried.text.strip() or tried.bundle.strip():
        body["files"] = await asyncio.to_thread(_files, tried)
    found: Mapping[str, Any] = (await visitor.begin("evaluate_policies", body)).body
    return found


async def _test(visitor: Visitor, tried: Tried) -> Mapping[str, Any]:
    """Return what the tests come to: those of the text, or where there are none those of the bundle.

    Raises:
        InvalidError: there is none.
    """
    body: dict[str, Any] = {}
    if tried.bundle.strip():
        body["bundle"] = tried.bundle.strip()
    elif tried.text.strip():
        body["files"] = await asyncio.to_thread(_files, tried)
    if tried.tests.strip():
        body["tests"] = policy_texts.tests_of(tried.tests)
    elif not tried.bundle.strip():
        raise InvalidError(
            "there is no test in the text",
            hint="paste or drop what stands beside the policies: NAME.test.yaml, and the fixtures",
            pointer="/tests",
        )
    found: Mapping[str, Any] = (await visitor.begin("test_policies", body)).body
    rows = {
        kind: [one for one in found["results"] if one["passed"] is kind] for kind in (True, False)
    }
    return {
        **found,
        "is_of_text": "tests" in body,
        "failing": rows[False][:CHECKS_SHOWN],
        "passing": rows[True][:CHECKS_SHOWN],
        "missed": [*found["coverage"]["missed"], *found["coverage"]["points"]["missed"]][
            :CHECKS_SHOWN
        ],
    }


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidError(
            f"the {name} cannot be read as JSON", hint="see the example", pointer=f"/{name}"
        ) from None


async def _weigh(visitor: Visitor, tried: Tried) -> Mapping[str, Any]:
    files = await asyncio.to_thread(_files, tried)
    found = (await visitor.begin("policy_impact", {"files": files})).body
    report = from_answer(found["report"])
    fleet: FleetView = await visitor.ask("show_fleet")
    lines = None if tried.bundle.strip() else await _difference(visitor, tried.text)
    return {
        **changing.shown(found["report"]),
        "bundle": await asyncio.to_thread(_carried, tried),
        "proposed": report.proposed,
        "is_same": report.binding == report.proposed,
        "is_fresh": found["fresh"],
        "uncovered": report.now.uncovered,
        "owned": fleet.owned,
        "limits": LIMITS,
        "lines": lines,
        "typed": report.proposed[:TYPED],
    }


def _carried(tried: Tried) -> list[tuple[str, Any]]:
    """Return what a person is told of the bundle; nothing where there is none."""
    if not tried.bundle.strip():
        return []
    opened = bundling.opened(tried.bundle.strip().encode())
    rows = dict(bundling.summary(opened))
    return [(name, rows[name]) for name in ("publisher", "version", "key", "tests") if name in rows]


async def _sent(tried: Tried) -> dict[str, Any]:
    """Return the body that proposes the set or makes it binding: as a bundle if it came in one, with its report."""
    body: dict[str, Any] = (
        {"bundle": tried.bundle.strip()}
        if tried.bundle.strip()
        else {"files": await asyncio.to_thread(_files, tried)}
    )
    if tried.report.strip():
        body["report"] = tried.report.strip()
    return body


async def _difference(visitor: Visitor, text: str) -> Any:
    if not visitor.may("policy_document"):
        return None
    document = await recorded(visitor, None)

    def compare() -> Any:
        before = policy_texts.text_of(policy_texts.set_of(document))
        return policy_texts.lines_changed(before, text)

    return await asyncio.to_thread(compare)


async def _propose(visitor: Visitor, tried: Tried, key: str) -> str:
    body = await _sent(tried)
    if tried.note.strip():
        body["note"] = tried.note.strip()
    return await _done(visitor, "propose_policies", body, key)


async def _activate(visitor: Visitor, tried: Tried, form: Mapping[str, str]) -> str:
    """Make the text binding, if it is what was weighed.

    Raises:
        InvalidError: it changed since, or the beginning of its digest was not typed; it was weighed again.
        PfgovError: as the operation does.
    """
    if not visitor.may("activate_policies"):
        await visitor.act("activate_policies", {}, {}, form.get("key", ""))  # which says why not
    tried.weighed = await _weigh(visitor, tried)
    if form.get("weighed") != tried.weighed["proposed"]:
        raise InvalidError(
            "the text is not the one that was weighed",
            hint="this is what it would do now; look again",
            pointer="/text",
        )
    if form.get("typed", "").strip() != tried.weighed["typed"]:
        raise InvalidError(
            f"type {tried.weighed['typed']} to confirm",
            hint="the beginning of the digest of what was weighed",
            pointer="/typed",
        )
    uncovered = [one for one in tried.weighed["uncovered"] if form.get(f"leave-{one}") == "true"]
    body = {**await _sent(tried), "leave_uncovered": uncovered}
    return await _done(visitor, "activate_policies", body, form.get("key", ""))


async def _done(visitor: Visitor, name: str, body: Mapping[str, Any], key: str) -> str:
    answer = await visitor.act(name, {}, body, key)
    place = answer["receipt"].get("position")
    return receipts.after("/console/policies", visitor.grant.principal.id, place)


async def _values(visitor: Visitor, tried: Tried) -> dict[str, Any]:
    settings = (await visitor.ask("show_configuration"))["configuration"]
    return {
        "tried": tried,
        "points": POINTS,
        "packs": policy_texts.PACKS,
        "set": None,
        "approvals": int(settings.get("activation_approvals", 0) or 0),
        "may_read": visitor.may("policy_document"),
        "may_test": visitor.may("test_policies"),
        "may_weigh": visitor.may("policy_impact"),
        "may_propose": visitor.may("propose_policies"),
        "may_activate": visitor.may("activate_policies"),
    }
