"""What a rule reads of a packet that was submitted, reviewed and moved is what happened to it, fact by fact."""

from pathlib import Path

import pytest
from support import policy_kit as kit
from support.ledgers import SECOND, START, claim, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.errors import PfgovError

TOLD = {
    # fact: what it is when the second owner completes
    "packet.packet_id": "p1",
    "packet.workload_type": "scan",
    "packet.priority": "7",
    "packet.data_classes": "[finance]",
    "packet.required_capabilities": "[ocr]",
    "packet.epoch": "2",
    "packet.handoff_count": "1",
    "packet.previous_owners": "[m1]",
    "packet.submitted_by.id": "key:desk",
    "packet.submitted_by.members": "[m9]",
    "packet.reviews": "[key:second]",
    "packet.reviewed_for": "[m8]",
    "member.id": "m2",
    "member.clearances": "[finance]",
    "member.load.active": "1",
    "member.incarnation": "1",
    "member.status": "ACTIVE",
    "principal.id": "m2",
    "principal.members": "[m2]",
    "principal.rights": "[member:m2]",
}
"""Literal values: no code of facts made them."""

RULES = (
    "  - {id: free, on: [register, place, retain], deny: member.id == 'nobody'}\n"
    "  - {id: looked, on: [assign], when: packet.priority > 5, escalate: {to: reviewer}}\n"
    "  - {id: told, on: [complete], deny: packet.priority > 0, message: 'MESSAGE'}\n"
)


def told(folder: Path, engine_told: tuple[str, ...]) -> str:
    """Return what a rule at `complete` says of these facts after a submission, a review and a handoff."""
    message = " ; ".join(f"{{{fact}}}" for fact in engine_told)
    text = kit.policy(RULES.replace("MESSAGE", message), on="[register, place, retain, complete]")
    desk = c.Principal(id="key:desk", rights=("member:m9", "submitter"))
    second = c.Principal(id="key:second", rights=("member:m8", "reviewer"))
    own = c.Principal(id="m2", rights=("member:m2",))
    clock = ManualClock(START + SECOND)
    with opened(fresh(folder), clock) as engine:
        engine.activate(kit.load(folder / "set", text), principal=c.LOCAL_OPERATOR)
        asked = packet("p1", priority=7, data_classes=("finance",), required_capabilities=("ocr",))
        register(engine, "m1", clearances=("finance",))
        submit(engine, asked, principal=desk)
        version = engine.reader.packet("p1").version
        submit(
            engine,
            c.ReviewPacket(packet_id="p1", granted=True, version=version, member_id="m1"),
            principal=second,
        )
        clock.advance(SECOND)
        engine.tick()
        register(engine, "m2", clearances=("finance",))
        submit(engine, c.HandOff(packet_id="p1", target="m2", reason="requested"))
        assert engine.reader.packet("p1").owner == "m2"
        with pytest.raises(PfgovError) as refused:
            submit(
                engine, c.CompletePacket(packet_id="p1", owner=claim(engine, "p1")), principal=own
            )
    return str(refused.value)


@pytest.mark.parametrize("half", [0, 1])
def test_a_rule_reads_what_happened(tmp_path: Path, half: int) -> None:
    """A fact of a packet's history is the one that a person would write down, and no other."""
    facts = tuple(TOLD)[half::2]
    said = told(tmp_path, facts)
    for fact in facts:
        assert TOLD[fact] in said, fact
    assert " ; ".join(TOLD[fact].strip("[]") for fact in facts) in said.replace("[", "").replace(
        "]", ""
    )
