"""What policy withholds is withheld from the first moment, and from the moment on that it begins to."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import policy_kit as kit
from support.ledgers import (
    OPERATOR,
    SECOND,
    START,
    claim,
    fresh,
    open_policy,
    opened,
    packet,
    register,
    submit,
    verified,
)  # fmt: skip

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine import Engine, LedgerReader
from pfgov.policy import PolicySet
from pfgov.storage import open_store

WHOLE = {"open": 1, "people": [{"name": "a", "email": "x"}, {"name": "b", "email": "y"}]}
CUT = {"open": 1, "people": [{"name": "a"}, {"name": "b"}]}


def hiding(folder: Path, *points: str, when: str = '!("secret" in member.clearances)') -> PolicySet:
    """Return a set that withholds addresses at *points* from members without the clearance."""
    folder.mkdir()
    rules = (
        f"  - id: hides\n    on: [{', '.join(points)}]\n    when: '{when}'\n"
        "    obligations: [{type: redact, paths: [/people/email]}, {type: notify, to: dpo}]\n"
        "  - {id: named, require: 'member.id != \"nobody\"'}\n"
    )
    return kit.load(folder, kit.policy(rules, on="[register, place, retain]"))


def given(engine: Engine, content: bytes = json.dumps(WHOLE).encode()) -> None:
    """Submit ``p`` with a context."""
    context = engine.attach("packet/p", "context", content)
    submit(engine, packet("p", context=context.commitment), attachments=(context,))


def shown(engine: Engine) -> Any:
    """Return what the owner of ``p`` may read."""
    found = engine.reader.packet("p")
    named = found.view or found.context
    assert named is not None
    payload = engine.reader.payload(named.digest)
    assert payload is not None
    return json.loads(payload)


def replayed(directory: Path) -> None:
    """Run every command of the ledger again."""
    with LedgerReader(open_store(directory)) as reader:
        assert reader.replay().entries == reader.head().size


@pytest.mark.parametrize("mode", ["auto", "accept"])
@pytest.mark.parametrize("points", [("retain",), ("place",), ("place", "retain")])
def test_engine_a_redaction_binds_from_the_first_moment(
    tmp_path: Path, points: tuple[str, ...], mode: str
) -> None:
    """An owner, or the target of a handoff, reads the whole before what policy withholds from an owner is withheld."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        engine.activate(hiding(tmp_path / "h", *points), principal=OPERATOR)
        register(engine, "m")
        given(engine)
        assert shown(engine) == CUT
        register(engine, "n", handoff_mode=mode)
        submit(engine, c.HandOff(packet_id="p", target="n"))
        pending = engine.reader.packet("p").pending
        if mode == "accept":
            assert pending is not None
            assert pending.view is not None
            assert json.loads(engine.reader.payload(pending.view.digest) or b"") == CUT
            taken = c.AcceptHandoff(
                packet_id="p", member_id="n", incarnation=1, handoff=pending.position, view=pending.view.digest
            )  # fmt: skip
            submit(engine, taken)
        assert (engine.reader.packet("p").owner, shown(engine)) == ("n", CUT)
        register(engine, "cleared", clearances=("secret",))
        submit(engine, c.HandOff(packet_id="p", target="cleared"))
        assert shown(engine) == WHOLE
        assert engine.settle() == 0
        assert verified(directory, tmp_path).exit_status == 0


@pytest.mark.parametrize("cause", ["policy", "clearance", "terms"])
def test_engine_a_redaction_that_arises_later_narrows_what_the_owner_reads(
    tmp_path: Path, cause: str
) -> None:
    """After a change of policy, of the owner or of the packet the owner goes on reading what is withheld now."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        when = 'member.clearances.size() == 0 || "hot" in packet.data_classes'
        policy = hiding(tmp_path / "h", "retain", when=when)
        if cause != "policy":
            engine.activate(policy, principal=OPERATOR)
        register(engine, "m", clearances=() if cause == "policy" else ("secret",))
        given(engine)
        assert shown(engine) == WHOLE
        before = claim(engine, "p")
        clock.advance(SECOND)
        if cause == "policy":
            engine.activate(policy, principal=OPERATOR)
        elif cause == "clearance":
            submit(engine, c.UpdateMember(member_id="m", clearances=()))
        else:
            submit(engine, c.UpdatePacket(packet_id="p", data_classes=("hot",)))
        engine.settle()
        assert shown(engine) == CUT
        assert claim(engine, "p") == before
        told = [f.event for f in engine.reader.entries() if f.row.type == "checkpoint_committed"]
        (narrowed,) = told
        assert isinstance(narrowed, e.CheckpointCommitted)
        assert [o.type for o in narrowed.obligations] == ["redact"]
        written = engine.attach("packet/p", "context", json.dumps({**CUT, "open": 2}).encode())
        save = c.CommitCheckpoint(packet_id="p", owner=before, context=written.commitment)
        submit(engine, save, attachments=(written,))
        assert shown(engine) == {**CUT, "open": 2}
        context = engine.reader.packet("p").context
        assert context is not None
        assert json.loads(engine.reader.payload(context.digest) or b"") == {**WHOLE, "open": 2}
        assert engine.settle() == 0
        if (
            cause == "clearance"
        ):  # given back, it stays withheld: what an owner may read only narrows
            submit(engine, c.UpdateMember(member_id="m", clearances=("secret",)))
            engine.settle()
            assert shown(engine) == {**CUT, "open": 2}
        assert verified(directory, tmp_path).exit_status == 0
    replayed(directory)
    with opened(directory, clock) as engine:
        assert shown(engine) == {**CUT, "open": 2}


def test_engine_a_revoked_packet_is_whole_for_who_may_read_it(tmp_path: Path) -> None:
    """What was withheld from one owner stays withheld from the next, whom policy does not mind."""
    with opened(fresh(tmp_path)) as engine:
        engine.activate(hiding(tmp_path / "h", "retain"), principal=OPERATOR)
        register(engine, "m")
        given(engine)
        assert shown(engine) == CUT
        register(engine, "n", clearances=("secret",))
        submit(engine, c.FailMember(member_id="m"))
        engine.settle()
        assert (engine.reader.packet("p").owner, shown(engine)) == ("n", WHOLE)


def test_engine_what_cannot_be_redacted_is_withheld_as_a_whole(tmp_path: Path) -> None:
    """An owner keeps reading a context that policy would redact, because it cannot be."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        given(engine, b"people: x")
        engine.activate(hiding(tmp_path / "h", "retain"), principal=OPERATOR)
        engine.settle()
        assert shown(engine) is None


def test_engine_a_redaction_stops_a_handoff_that_is_under_way(tmp_path: Path) -> None:
    """A handoff pins a context for its target while its owner learns that less may be read."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        given(engine)
        register(engine, "n", handoff_mode="accept")
        submit(engine, c.HandOff(packet_id="p", target="n"))
        engine.activate(hiding(tmp_path / "h", "retain"), principal=OPERATOR)
        submit(engine, c.RejudgeOwner(packet_id="p", epoch=1), principal=c.ENGINE)
        assert [f.row.type for f in engine.reader.entries()][-2:] == [
            "handoff_aborted", "checkpoint_committed",
        ]  # fmt: skip
        assert (engine.reader.packet("p").owner, shown(engine)) == ("m", CUT)
        assert open_policy().redacts
