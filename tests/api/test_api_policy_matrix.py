"""Every decision point, through every door, for every kind of principal: a rule that denies has effect.

The matrix is made from the schema's points and from the routes: a new point or a new route that writes fails here until
it has a row.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from support import hostile
from support import policy_kit as kit
from support.api_server import Api
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import SECOND, START, claim, fresh, opened, packet, register, submit

from pfgov.client import Client, DeniedError
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.verdicts import GUARDING, PLACING, Point
from pfgov.engine import Engine
from pfgov.engine.reading.exporting import stored_log, write_export
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet
from pfgov_api.routes import OPERATIONS

OPEN = '  - {id: open, on: [register, place, retain], require: member.id != "nobody"}\n'
NEVER = '  - {id: never, on: [POINT], deny: principal.id != "nobody"}\n'


@cache
def policies(point: str | None = None) -> PolicySet:
    """Return a set that allows everything, but nothing at *point*."""
    rules, on = OPEN, "[register, place, retain]"
    if point is not None:
        rules += NEVER.replace("POINT", point)
        on = f"[register, place, retain{'' if point in PLACING else f', {point}'}]"
    with TemporaryDirectory() as folder:
        return kit.load(Path(folder), kit.policy(rules, on=on))


def prepare(engine: Engine, clock: ManualClock, point: str) -> None:
    """Make what *point* is about, while everything is allowed; then let nothing through there."""
    engine.activate(policies(), principal=c.LOCAL_OPERATOR)
    # The command line reads the real clock, years after this one.
    submit(engine, c.Configure(settings=(("review_timeout", "900000000"),)))
    register(engine, "m1")
    submit(engine, packet("p1"))
    reviewed = c.Constraints(pii_review_required=True)
    submit(engine, packet("r1", constraints=reviewed, hold=True))
    submit(engine, c.PlacePacket(packet_id="r1"))
    register(engine, "m2")
    clock.advance(SECOND)
    engine.tick()
    engine.activate(policies(point), principal=c.LOCAL_OPERATOR)


@dataclass(frozen=True)
class Effect:
    """What has to stay as it was, read from the ledger itself."""

    engine: Engine

    def of(self, point: str) -> object:
        """Return what an act at *point* would change."""
        reader = self.engine.reader
        if point == "register":
            return "m9" in self.engine.look(lambda state: set(state.members))
        if point in {"submit", "assign"}:
            found = self.engine.look(lambda state: state.packets.get("p9"))
            return None if found is None else found.owner or "nobody"
        if point in {"handoff", "accept", "complete"}:
            found = reader.packet("p1")
            return found.owner, found.status
        if point == "retain":
            return self.engine.look(lambda state: state.packets["p1"].owner) is None
        if point == "update":
            return reader.packet("p1").terms.priority
        if point == "update_member":
            return self.engine.look(lambda state: state.members["m1"].weight)
        if point == "review":
            return len(reader.packet("r1").reviews)
        return self.engine.look(lambda state: state.policy)


BEFORE_AND_ALLOWED: Final[Mapping[str, tuple[object, object]]] = {
    "register": (False, False), "submit": (None, None), "assign": (None, "nobody"),
    "handoff": (("m1", "ASSIGNED"), ("m1", "ASSIGNED")), "accept": (("m1", "ASSIGNED"), ("m1", "ASSIGNED")),
    "complete": (("m1", "ASSIGNED"), ("m1", "ASSIGNED")), "update": (0, 0), "update_member": (1, 1), "review": (0, 0),
}  # fmt: skip
"""What an act may leave: as it was, or a packet that waits."""


def holds(engine: Engine, point: str) -> None:
    """Check that what was denied did not happen."""
    if point in BEFORE_AND_ALLOWED:
        assert Effect(engine).of(point) in BEFORE_AND_ALLOWED[point]
    elif point == "activate":
        assert Effect(engine).of(point) == policies("activate").digest


# --- the library ----------------------------------------------------------------------------------


def _export(engine: Engine, principal: c.Principal) -> None:
    with stored_log(engine.reader) as log:
        write_export(log, io.BytesIO(), principal=principal, now=START)


ACTS: Final[Mapping[str, Callable[[Engine, c.Principal], object]]] = {
    "register": lambda e, who: e.submit(c.RegisterMember(member_id="m9", type="agent"), principal=who),
    "assign": lambda e, who: e.submit(packet("p9"), principal=who),
    "submit": lambda e, who: e.submit(packet("p9"), principal=who),
    "handoff": lambda e, who: e.submit(c.HandOff(packet_id="p1", target="m2"), principal=who),
    "accept": lambda e, who: e.submit(c.HandOff(packet_id="p1", target="m2"), principal=who),
    "retain": lambda e, _: e.tick(),
    "update": lambda e, who: e.submit(c.UpdatePacket(packet_id="p1", priority=5), principal=who),
    "update_member": lambda e, who: e.submit(c.UpdateMember(member_id="m1", weight=3), principal=who),
    "review": lambda e, who: e.submit(
        c.ReviewPacket(packet_id="r1", granted=True, version=e.reader.packet("r1").version), principal=who
    ),
    "complete": lambda e, who: e.submit(
        c.CompletePacket(packet_id="p1", owner=claim(e, "p1")), principal=who
    ),
    "export": _export,
    "activate": lambda e, who: e.activate(policies(), principal=who),
}  # fmt: skip
"""How the library does what each point is about."""

MUST_RAISE: Final = {str(point) for point in GUARDING} | {"register"}
ALL_SCOPES: Final = hostile.PRINCIPALS[5]


def test_every_point_has_a_row() -> None:
    """A decision point that is added to the schema has to be tried here."""
    assert {str(point) for point in Point} == set(ACTS) == set(PLACING | GUARDING)


def _code(
    act: Callable[[Engine, c.Principal], object], engine: Engine, principal: c.Principal
) -> str | None:
    """Return the code of the refusal, or None."""
    try:
        act(engine, principal)
    except PfgovError as error:
        return error.code
    return None


@pytest.mark.parametrize("point", sorted(ACTS))
def test_a_denial_has_effect_in_the_library_for_everybody(tmp_path: Path, point: str) -> None:
    """Whoever asks, with all rights or with none: what the rule denies does not happen, and is said to be denied."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        prepare(engine, clock, point)
        for principal in (*hostile.PRINCIPALS, ALL_SCOPES):
            code = _code(ACTS[point], engine, principal)
            lacking = {"access.forbidden", "review.own_member"}
            if principal == ALL_SCOPES and point in MUST_RAISE:
                assert code == "policy.denied"
            elif point in MUST_RAISE:
                assert code in {"policy.denied", *lacking}, principal
            else:
                assert code in {
                    None, "packet.exists", "handoff.pending", "ownership.unnamed", *lacking
                }, principal  # fmt: skip
            holds(engine, point)
        if point == "retain":
            revoked = [r for r in engine.reader.entries() if r.event.type == "ownership_revoked"]
            assert revoked, "nobody keeps what nobody may keep"
        engine.reader.replay()


@pytest.mark.parametrize("point", sorted({str(p) for p in GUARDING} | {"register"}))
def test_without_the_rule_the_same_act_goes_through(tmp_path: Path, point: str) -> None:
    """The row tests the rule: where nothing is denied, the act has its effect."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        prepare(engine, clock, "export" if point != "export" else "complete")
        ACTS[point](engine, ALL_SCOPES if point != "review" else c.LOCAL_OPERATOR)


# --- HTTP -----------------------------------------------------------------------------------------

FILES: Final = {"open.policy.yaml": kit.policy(OPEN, on="[register, place, retain]")}

HTTP: Final[Mapping[str, Callable[[Api], Any]]] = {
    "register": lambda api: api.post("/api/members/register", {"id": "m9", "type": "agent"}),
    "assign": lambda api: api.post("/api/packets", {"packet_id": "p9", "workload_type": "scan"}),
    "submit": lambda api: api.post("/api/packets", {"packet_id": "p9", "workload_type": "scan"}),
    "handoff": lambda api: api.post("/api/packets/p1/handoff", {"target": "m2"}),
    "accept": lambda api: api.post("/api/packets/p1/handoff", {"target": "m2"}),
    "retain": lambda api: api.post("/api/tick"),
    "update": lambda api: api("PATCH", "/api/packets/p1", {"priority": 5}),
    "update_member": lambda api: api("PATCH", "/api/members/m1", {"weight": 3}),
    "review": lambda api: api.post(
        "/api/packets/r1/reviews",
        {"granted": True, "version": api.get("/api/packets/r1").json()["version"]},
    ),
    "complete": lambda api: api.post("/api/packets/p1/complete", api.claim()),
    "export": lambda api: api.get("/api/ledger/export"),
    "activate": lambda api: api.post("/api/policies/activate", {"files": FILES}),
}
"""How HTTP does what each point is about."""

POINTS_OF_ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "register_member": ("register",), "submit_packet": ("submit", "assign"), "update_packet": ("update",),
    "assign_packet": ("assign", "handoff"), "hand_off_packet": ("handoff", "accept"), "accept_handoff": ("accept",),
    "complete_packet": ("complete",), "review_packet": ("review",), "update_member": ("update_member",),
    "activate_policies": ("activate",), "roll_back_policies": ("activate",), "promote_policy": ("activate",),
    "export_ledger": ("export",), "export_packet": ("export",), "tick": ("retain",),
    "authzen_evaluation": ("assign", "handoff", "accept", "retain"),
    "authzen_evaluations": ("assign", "handoff", "accept", "retain"),
    "evaluate_decision": ("assign", "handoff", "accept", "retain"),
    "evaluate_decisions": ("assign", "handoff", "accept", "retain"),
}  # fmt: skip
"""The points at which what a route does is judged."""

LEFT_TO_RIGHTS: Final = frozenset(
    {
        "erase_payloads", "rotate_key", "revoke_key", "configure", "drain_member", "cancel_drain", "retire_member",
        "fail_member", "recover_member", "quarantine_member", "release_member", "assess_trust", "report_pressure",
        "abort_handoff", "checkpoint_packet", "fail_packet", "requeue_packet", "cancel_packet", "reset_expiry",
        "propose_policies", "approve_proposal", "reject_proposal", "trust_publisher", "rotate_publisher",
        "revoke_publisher",
    }
)  # fmt: skip
"""Routes that change something about which no point of the schema asks: rights alone decide there."""


def test_every_route_that_writes_has_a_row() -> None:
    """A new route that changes something is judged at a point, or said here to be left to rights."""
    writing = {operation.name for operation in OPERATIONS if operation.writes}
    known = set(POINTS_OF_ROUTES) | LEFT_TO_RIGHTS
    assert writing - known == set()
    assert {point for points in POINTS_OF_ROUTES.values() for point in points} == set(HTTP)


@pytest.mark.parametrize("point", sorted(HTTP))
def test_a_denial_has_effect_over_http(tmp_path: Path, point: str) -> None:
    """The same over HTTP, as the operator of this machine."""
    with Api(tmp_path) as api:
        prepare(api.engine, api.clock, point)
        answer = HTTP[point](api)
        if point in MUST_RAISE:
            assert answer.status_code == 403, answer.text
            assert answer.json()["code"] == "policy.denied"
        holds(api.engine, point)
        if point == "export":
            assert api.get("/api/packets/p1/export").json()["code"] == "policy.denied"
        if point == "retain":
            kinds = {recorded.event.type for recorded in api.engine.reader.entries()}
            assert "ownership_revoked" in kinds


@pytest.mark.parametrize(("path", "body"), [("rollback", {}), ("promote", {"name": "watching"})])
def test_no_other_way_to_another_set_passes_a_denial(
    tmp_path: Path, path: str, body: dict[str, str]
) -> None:
    """Going back, or ending shadow mode, makes a set binding that nobody may make binding."""
    rules = OPEN + NEVER.replace("POINT", "activate")
    on = "[register, place, retain]"
    watching = kit.policy(OPEN, name="watching", on=on, extra="mode: shadow\n")
    with Api(tmp_path) as api:
        api.engine.activate(policies(), principal=c.LOCAL_OPERATOR)
        found = kit.load(
            tmp_path / "set",
            kit.policy(rules, on="[register, place, retain, activate]"),
            watching,
        )
        api.engine.activate(found, principal=c.LOCAL_OPERATOR)
        answer = api.post(f"/api/policies/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "policy.denied"), answer.text
        assert api.get("/api/policies").json()["digest"] == found.digest


@pytest.mark.parametrize("point", ["assign", "handoff", "accept", "retain"])
def test_a_denial_has_effect_in_authzen_and_decisions(tmp_path: Path, point: str) -> None:
    """Who asks through the standard is told no as well, and so is who asks for a recorded decision."""
    with Api(tmp_path) as api:
        prepare(api.engine, api.clock, point)
        question = {
            "subject": {"type": "member", "id": "m2"}, "action": {"name": point},
            "resource": {"type": "packet", "id": "p1"},
        }  # fmt: skip
        assert api.post("/access/v1/evaluation", question).json()["decision"] is False
        asked = {"packet_id": "p1", "member_id": "m2", "point": point}
        assert api.post("/api/decisions", asked).json()["allowed"] is False


# --- the command line, over a folder and over a server; the client --------------------------------

LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "register": ("member", "register", "--id", "m9", "--type", "agent"),
    "assign": ("packet", "submit", "--id", "p9", "--workload", "scan"),
    "submit": ("packet", "submit", "--id", "p9", "--workload", "scan"),
    "handoff": ("packet", "handoff", "p1", "--to", "m2"),
    "accept": ("packet", "handoff", "p1", "--to", "m2"),
    "retain": ("tick",),
    "update": ("packet", "update", "p1", "--priority", "5"),
    "update_member": ("member", "update", "m1", "--weight", "3"),
    "review": ("packet", "review", "r1", "--grant", "--version", "VERSION"),
    "complete": ("packet", "complete", "p1"),
    "export": ("ledger", "export", "--out", "-"),
    "activate": ("policy", "activate", "FOLDER", "--yes"),
}
"""How the command line does what each point is about."""


def _line(point: str, folder: Path, version: int) -> list[str]:
    kit.write(folder, FILES)
    places = {"VERSION": str(version), "FOLDER": str(folder)}
    return [places.get(word, word) for word in LINES[point]]


@pytest.mark.parametrize("point", sorted(LINES))
def test_a_denial_has_effect_on_the_command_line(
    tmp_path: Path, point: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a folder and over a server: the same refusal, and nothing happens."""
    clock = ManualClock(START + SECOND)
    directory = fresh(tmp_path)
    with opened(directory, clock) as engine:
        prepare(engine, clock, point)
        version = engine.reader.packet("r1").version
    line = _line(point, tmp_path / "set", version)
    said = CommandLine(directory, capsys)(*line, "--json")
    if point in MUST_RAISE:
        assert "policy.denied" in said.out + said.err, said
    if point == "retain":
        return
    with Served(directory) as served:
        holds(served.engine, point)
        told = RemoteLine(served.url, capsys)(*line, "--json")
        if point in MUST_RAISE:
            assert "policy.denied" in told.out + told.err, told
        holds(served.engine, point)


def test_a_denial_has_effect_in_the_client(tmp_path: Path) -> None:
    """A program that uses the client hears of it as an error with the code, and nothing happens."""
    acts: dict[str, Callable[[Client], object]] = {
        "register": lambda client: client.register({"id": "m9", "type": "agent"}),
        "submit": lambda client: client.submit({"packet_id": "p9", "workload_type": "scan"}),
        "handoff": lambda client: client.act("p1", "handoff", {"target": "m2"}),
        "complete": lambda client: client.act(
            "p1", "complete", {"member_id": "m1", "incarnation": 1, "epoch": 1}
        ),
    }
    for point, act in acts.items():
        clock = ManualClock(START + SECOND)
        folder = tmp_path / point
        folder.mkdir()
        directory = fresh(folder)
        with opened(directory, clock) as engine:
            prepare(engine, clock, point)
        with Served(directory) as served, Client(served.url) as client:
            if point in MUST_RAISE:
                with pytest.raises(PfgovError) as caught:
                    act(client)
                assert caught.value.code == "policy.denied"
            elif point == "handoff":
                with pytest.raises(DeniedError):
                    act(client)
            else:
                act(client)
            holds(served.engine, point)
