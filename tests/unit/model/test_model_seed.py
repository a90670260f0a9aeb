"""The specification's own inputs work as printed, for ever."""

import hashlib
import re
from pathlib import Path

import pytest

from pfgov.core import commands as c
from pfgov.model import FlightPacket, MemberRegistration, parse_json

SEED = Path(__file__).parents[2] / "data" / "seed"
DIGESTS = {
    "packet.json": "19ce8954e8420d63882f8cdb66824fd6b692cf2e3d637c1f926f124c56a2487b",
    "register-member.sh": "5bef5d3ce55ff34d34b1e94a2f3f2ea2eb3989f783911de48de6b7f6b27bbea7",
}
COMMITMENT = c.Commitment(digest="ab" * 32, size=256)


def seed_packet() -> FlightPacket:
    """The specification's packet, read by the border."""
    return parse_json(FlightPacket, (SEED / "packet.json").read_bytes(), limit=10_000)


def seed_member() -> MemberRegistration:
    """The body of the specification's request, read by the border."""
    body = re.search(r"-d '(\{.*\})'", (SEED / "register-member.sh").read_text(), re.DOTALL)
    assert body is not None
    return parse_json(MemberRegistration, body.group(1).encode(), limit=10_000)


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_the_golden_inputs_are_never_edited(name: str) -> None:
    """The golden inputs are byte for byte what the specification prints."""
    assert hashlib.sha256((SEED / name).read_bytes()).hexdigest() == DIGESTS[name]


def test_every_field_of_the_packet_arrives() -> None:
    """Each field of the printed packet stands in the action, the mid-life ones as claims."""
    assert seed_packet().to_action(packet_id="fp-001", context=COMMITMENT) == c.SubmitPacket(
        packet_id="fp-001",
        workload_type="customer-remediation",
        required_capabilities=("customer_validation", "policy_review"),
        constraints=c.Constraints(
            pii_review_required=True, minimum_trust_score="0.9", allowed_regions=("us-east",)
        ),
        handoff=c.HandoffTerms(allowed=True, reason="source_member_unhealthy"),
        created_at=1_781_380_800_000_000,
        lineage_id="lin-7742",
        step="policy_review_pending",
        context=COMMITMENT,
        claimed_owner="agent-customer-01",
        claimed_owners=("agent-triage-02",),
        claimed_status="ASSIGNED",
        claimed_event="handoff_completed",
        claimed_state_hash="sha256:9c12...",
    )


def test_the_context_is_a_payload_and_not_in_the_action() -> None:
    """The case id reaches the payload, and no byte of it the ledger."""
    packet = seed_packet()
    assert packet.context_payload() == (
        b'{"case_id":"CUST-88291","state_hash":"sha256:9c12...","step":"policy_review_pending"}'
    )
    assert "CUST-88291" not in repr(packet.to_action(packet_id="fp-001", context=COMMITMENT))


def test_the_registration_arrives_verbatim() -> None:
    """The printed request keeps its capacities and its claimed trust."""
    assert seed_member().to_action() == c.RegisterMember(
        member_id="agent-planner-01",
        type="agent",
        capabilities=(c.Capability(name="planning"), c.Capability(name="routing")),
        capacity=(("cpu", "50"), ("memory", "500")),
        trust_score="0.95",
    )
