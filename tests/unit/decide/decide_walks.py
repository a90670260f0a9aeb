"""Seeded walks through the rules: commands of every kind, sensible and not, and what each came to, as lines of text.

The lines are kept under ``tests/data/decide-walks``: a line that changes is another decision, another entry, another
sentence of a refusal or another state.  Run this file to write them anew, then read the difference.
"""

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from support import review_world
from support.hostile import Seeded, chance, one, some
from support.world import START, FakePolicy, World, active_only
from unit.decide.decide_draws import MEMBERS, draw

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import RULES, LeaseView, NeedsOverlayError, NeedsViewError
from pfgov.core.lifecycle import TERMINAL
from pfgov.errors import PfgovError

DATA: Final = Path(__file__).parents[2] / "data" / "decide-walks"

STEPS: Final = 400
PRINCIPALS: Final = (
    c.LOCAL_OPERATOR,
    c.ENGINE,
    review_world.REVIEWER,
    review_world.SECOND_REVIEWER,
    review_world.SUBMITTER,
    c.Principal(id="key:op", rights=("operator",)),
    c.Principal(id="key:admin", rights=("admin",), name="admin"),
    c.Principal(id="key:emergency", rights=("emergency",)),
    c.Principal(id="key:none", rights=()),
    c.Principal(id="key:both", rights=("member:m1", "member:m2", "reviewer")),
    c.Principal(
        id="key:grants",
        rights=("admin", "member:m1", "member:m2", "member:m3", "reviewer", "assessor"),
    ),
)
APPROVERS: Final = (
    review_world.REVIEWER,
    review_world.SECOND_REVIEWER,
    c.Principal(id="key:admin", rights=("admin",), name="admin"),
    c.Principal(id="key:admin2", rights=("admin", "emergency"), name="admin2"),
    *PRINCIPALS[-2:],
)
RARE: Final = (
    c.CompletePacket, c.CreateLedger, c.RefusePolicy, c.CommitIndex, c.ChangeLeader, c.RevokeKey, c.HaltExpiry,
    c.RetireMember, c.FailMember, c.DrainMember, c.CancelPacket, c.FailPacket, c.EraseAttachment, c.QuarantineMember,
)  # fmt: skip
COMMON: Final = (
    c.RegisterMember, c.SubmitPacket, c.SubmitPacket, c.PlacePacket, c.HandOff, c.AcceptHandoff, c.CommitCheckpoint,
    c.ReviewPacket, c.UpdatePacket, c.UpdateMember, c.RequeuePacket, c.AbortHandoff, c.RejudgeOwner, c.ReleaseMember,
    c.RecoverMember, c.EvaluateDecision, c.CancelDrain, c.HandOff, c.AcceptHandoff, c.ReviewPacket,
)  # fmt: skip
GOVERNING: Final = (
    c.Configure, c.Configure, c.ActivatePolicy, c.ProposePolicy, c.ApprovePolicy, c.TrustPublisher, c.RotatePublisher,
    c.RevokePublisher, c.RotateKey, c.RevokeKey, c.ResumeExpiry, c.HaltExpiry, c.EraseAttachment, c.ChangeLeader,
)  # fmt: skip
TRUSTING: Final = (
    c.AssessTrust, c.AssessTrust, c.ExpireTrust, c.RegisterMember, c.UpdateMember, c.SubmitPacket, c.RefusePolicy,
)  # fmt: skip
PUBLISHING: Final = (
    c.TrustPublisher, c.RotatePublisher, c.RotatePublisher, c.RevokePublisher, c.ActivatePolicy, c.RefusePolicy,
    c.RegisterMember, c.SubmitPacket,
)  # fmt: skip


def plain(value: Any) -> str:
    """Return *value* as one line of JSON."""
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=True, separators=(",", ":"))


def refused(error: PfgovError) -> str:
    """Return everything that a refusal says."""
    said = [error.code, error.message, error.hint or "", error.pointer or ""]
    return ascii(" | ".join([type(error).__name__, *said]))[1:-1]


def answers(world: World, action: c.Action, who: c.Principal) -> Iterator[str]:
    """Do *action* as the engine would, with the views and the whole that are asked for, and say what came of it."""
    before = len(world.entries)
    for _ in range(3):
        try:
            world.do(action, who)
        except PfgovError as error:
            yield f"  ! {refused(error)}"
        except NeedsViewError as needs:
            view = c.View(paths=needs.paths, view=c.Commitment(digest="d" * 64, size=64))
            yield f"  ? view {needs.paths} of {plain(needs.context)}"
            if "views" not in action.__struct_fields__:
                break
            action = msgspec.structs.replace(action, views=(view,))
            continue
        except NeedsOverlayError as needs:
            yield f"  ? whole {needs.paths}"
            action = msgspec.structs.replace(action, context=needs.whole, view=needs.written)
        break
    for stamp, event in world.entries[before:]:
        yield f"  {stamp.seq} {event.type} {e.encode_body(event).decode()}"


def rows(world: World) -> Iterator[str]:
    """Return what the state is, row by row."""
    for table, key in sorted(world.state.rows()):
        row = world.state.row(table, key)
        yield f"  = {table} {key} {row.decode()}"


def touched(world: World, before: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], bytes]:
    """Return the rows; the store is told of each that is not as *before*, and of none that does not exist."""
    found = {key: world.state.row(*key) for key in world.state.rows()}
    changed = {key for key, row in found.items() if before.get(key) != row}
    assert changed <= world.state.touched <= set(found), changed ^ world.state.touched
    world.state.touched.clear()
    return found


def follow_ups(world: World) -> Iterator[str]:
    """Do what is due, three times."""
    for _ in range(3):
        for action in world.due():
            yield f"due {plain(action)}"
            yield from answers(world, action, c.ENGINE)


def see(world: World, source: Seeded) -> None:
    """Some members with a lease are heard."""
    for name, member in world.state.members.items():
        if member.lease_seconds is not None and chance(source, 70):
            world.leases[name] = LeaseView(
                member.incarnation, world.now, member.lease_seconds * 1_000_000
            )


def counted(world: World) -> str:
    """Return what the state has counted, which must be what a count finds."""
    state = world.state
    live = sum(packet.status not in TERMINAL for packet in state.packets.values())
    expiring = sum(
        one.attested is not None and one.attested.expires_at is not None
        for one in state.members.values()
    )
    assert (state.live_packets, state.expiring, state.time) == (
        live,
        expiring,
        world.entries[-1][0].time,
    )
    denials = [(one.principal, one.at - START, one.what) for one in state.denials]
    return f"  # {live} live, {expiring} expiring, denied {plain(denials[-3:])} of {len(denials)}"


def walk(
    world: World,
    seed: int,
    common: tuple[type[c.Action], ...],
    settings: c.Pairs = (),
    *,
    counts: bool = False,
) -> Iterator[str]:
    """Take *STEPS* steps, and say after each what changed, with *counts* also what the state has counted."""
    source = Seeded(random.Random(seed))
    kinds = [kind for kind in RULES if kind not in RARE and kind is not c.CompletePacket]
    for name, mode in (("m1", "auto"), ("m2", "accept"), ("m3", "accept")):
        joins = c.RegisterMember(member_id=name, type="agent", region="eu-1", handoff_mode=mode)
        yield from answers(world, joins, c.LOCAL_OPERATOR)
    yield from answers(world, c.Configure(settings=settings), c.LOCAL_OPERATOR)
    stored = touched(world, {})
    for number in range(STEPS):
        kind = (
            one(source, (*common, *common, *common, *kinds))
            if chance(source, 92)
            else one(source, RARE)
        )
        if len(world.state.unowned) + len(world.state.owned) < 2 and chance(source, 60):
            kind = one(source, (c.RegisterMember, c.SubmitPacket))
        action = draw(world, source, kind)
        who = principal(source, action)
        yield f"{number} {who.id} {plain(action)}"
        yield from answers(world, action, who)
        if chance(source, 25):
            world.wait(one(source, (1, 1, 1, 5, 5, 40, 700)))
            see(world, source)
            yield from follow_ups(world)
        stored = touched(world, stored)
        if counts:
            yield counted(world)
    yield from rows(world)


def principal(source: Seeded, action: c.Action) -> c.Principal:
    """Return who asks: mostly somebody who may, sometimes one who acts for members, sometimes anybody."""
    if chance(source, 12):
        return c.Principal(
            id="key:m", rights=tuple(f"member:{m}" for m in sorted(some(source, MEMBERS, 2)))
        )
    if isinstance(action, c.ReviewPacket | c.ApprovePolicy) and chance(source, 60):
        return one(source, APPROVERS)
    if chance(source, 85):
        return c.ENGINE if action.right == "engine" else c.LOCAL_OPERATOR
    return one(source, PRINCIPALS)


# --- worlds ----------------------------------------------------------------------------------

LABELS: Final = review_world.LABELS
RULES_OF_WALKS: Final = (
    review_world.RULES
    + """  - id: withheld
    on: [place, retain]
    when: packet.workload_type == "secret" || packet.data_classes.exists(x, x == "pci")
    require: member.id != "m4"
    message: "m4 reads no secrets"
    obligations: [{type: redact, paths: [/secret]}]
"""
)


GUARDS: Final = """  - id: guarded
    on: [submit, update, review, complete]
    require: principal.id != "local" || !has(packet.labels.risk) || packet.labels.risk != "high"
    message: "nothing risky by who sits here"
  - id: no-strangers
    on: [register]
    require: '!has(member.region) || member.region != "nowhere"'
    message: "nobody from nowhere"
  - id: heavy
    on: [update_member]
    require: member.id != "m2"
    message: "m2 stays as it is"
  - id: bound
    on: [activate]
    require: principal.id != "local"
    message: "not by who sits here"
"""


def _guarded(folder: Path) -> World:
    points = "[register, place, retain, submit, update, update_member, review, complete, activate]"
    return review_world.world_of(folder, RULES_OF_WALKS + GUARDS, on=points)


def _judged(folder: Path) -> World:
    return review_world.world_of(folder, RULES_OF_WALKS)


def _plain(_: Path) -> World:
    return World(policy=FakePolicy(active_only))


def _older(semantics: int) -> Callable[[Path], World]:
    def made(folder: Path) -> World:
        world = _judged(folder)
        world.state.semantics = semantics
        return world

    return made


APPROVED: Final = (("activation_approvals", "2"),)
BUNDLED: Final = (("activation_bundle", "1"),)
REPORTED: Final = (("activation_report", "50"), ("activation_report_lag", "20"))

WALKS: Final[dict[str, Callable[[Path], Iterator[str]]]] = {
    "judged-1": lambda folder: walk(_judged(folder), 1, COMMON),
    "judged-2": lambda folder: walk(_judged(folder), 2, COMMON),
    "plain-3": lambda folder: walk(_plain(folder), 3, COMMON),
    "approved-4": lambda folder: walk(_plain(folder), 4, GOVERNING, APPROVED),
    "bundled-5": lambda folder: walk(_plain(folder), 5, GOVERNING, BUNDLED),
    "reported-6": lambda folder: walk(_plain(folder), 6, GOVERNING, REPORTED),
    "older-1": lambda folder: walk(_older(1)(folder), 7, COMMON),
    "older-3": lambda folder: walk(_older(3)(folder), 8, (*COMMON, *GOVERNING)),
    "older-5": lambda folder: walk(_older(5)(folder), 9, COMMON),
    "older-4": lambda folder: walk(_older(4)(folder), 10, (*COMMON, *GOVERNING), counts=True),
    "guarded-11": lambda folder: walk(_guarded(folder), 11, (*COMMON, *TRUSTING), counts=True),
    "published-12": lambda folder: walk(_plain(folder), 12, PUBLISHING, BUNDLED, counts=True),
}
"""Each walk by its world and its seed, the commands that are common in it, and the settings it begins with."""


if __name__ == "__main__":
    for walk_name in WALKS:
        with tempfile.TemporaryDirectory() as place:
            text = "".join(f"{line}\n" for line in WALKS[walk_name](Path(place)))
        (DATA / f"{walk_name}.txt").write_text(text)
