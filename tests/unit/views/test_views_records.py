"""Members, packets and entries as they are shown: exact, complete, and JSON."""

import json

import msgspec

from pfgov.app.views import entry_view, member_view, packet_view
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import MemberStatus, PacketStatus
from pfgov.core.records import (
    Drain,
    Member,
    Packet,
    Pending,
    Review,
    ReviewRequest,
    Terms,
    TrustScore,
    Waiting,
)

T = 1_781_380_800_000_000
MOMENT = "2026-06-13T20:00:00Z"
X = c.Commitment(digest="a" * 64, size=128)
V = c.Commitment(digest="b" * 64, size=64)
RULES = (e.RuleRef(policy="kernel", rule="pii-review"),)
REVIEW = Review(position=5, reviewer="r", point="place", policy="s", rules=RULES)
REDACT = c.Obligation(type="redact", paths=("/a",))
PENDING = Pending(
    position=9, target="b", incarnation=2, deadline=T, reason="drain", context=X, view=V
)
FLY = c.Capability(name="fly", version="2.0", attributes=(("k", "v"),))


def test_a_member_in_full() -> None:
    """Quantities are numbers, moments RFC 3339, maps objects; claimed trust stands apart from attested trust."""
    member = Member(
        member_id="a", incarnation=2, kind="agent", status=MemberStatus.DRAINING, principal="local",
        capabilities={"fly": FLY, "walk": c.Capability(name="walk")},
        capacity={"memory": 500_000_000, "cpu": 2_500_000}, region="eu/1", clearances=("pii",), labels=(("x", "y"),),
        attested=TrustScore(950_000, "local", T, T), claimed_trust="0.99", used={"cpu": 1_000_000}, active=1,
        pressure=900_000, drain=Drain("stop_first", T, T), quarantine_until=T, lease_seconds=30,
    )  # fmt: skip
    shown = json.loads(msgspec.json.encode(member_view(member, ["q", "p"])))
    assert shown["status"] == "DRAINING"
    assert shown["capabilities"] == [
        {"name": "fly", "version": "2.0", "attributes": [["k", "v"]]},
        {"name": "walk"},
    ]
    assert list(shown["capacity"].items()) == [("cpu", 2.5), ("memory", 500)]
    assert shown["trust"] == {
        "score": 0.95, "source": "local", "assessed_at": MOMENT, "expires_at": MOMENT,
    }  # fmt: skip
    assert shown["claimed_trust"] == 0.99
    assert shown["reliability"] == 0.5
    assert shown["drain"] == {
        "mode": "stop_first",
        "since": MOMENT,
        "deadline": MOMENT,
        "stays": False,
    }
    assert shown["owns"] == ["p", "q"]


def test_a_plain_member() -> None:
    """What a member does not have is null or empty, never left out."""
    member = Member(
        member_id="a", incarnation=1, kind="node", status=MemberStatus.ACTIVE, principal="local"
    )
    shown = json.loads(msgspec.json.encode(member_view(member)))
    assert shown["trust"] is None
    assert shown["drain"] is None
    assert shown["owns"] == []


def packet(**fields: object) -> Packet:
    """Return a packet with these fields."""
    base: dict[str, object] = {
        "packet_id": "p", "terms": Terms(workload_type="w"), "status": PacketStatus.PENDING,
        "created_at": T, "lineage_id": "l",
    }  # fmt: skip
    return Packet(**{**base, **fields})  # type: ignore[arg-type]


def test_a_packet_in_full() -> None:
    """The specification's names, with the handoff, the reviews and the claims in their places."""
    terms = Terms(
        workload_type="w", required_capabilities=("fly",), data_classes=("pii",), deadline=T,
        demand=(("cpu", 500_000),),
        constraints=c.Constraints(pii_review_required=True, minimum_trust_score="0.9", allowed_regions=("eu",)),
    )  # fmt: skip
    shown = json.loads(
        msgspec.json.encode(
            packet_view(
                packet(
                    terms=terms, status=PacketStatus.HANDOFF_PENDING, owner="a", incarnation=1, epoch=3,
                    owners=("z",),
                    context=X, step="half", handoff_count=1, imported=e.Imported(status="ASSIGNED"),
                    pending=PENDING,
                    reviews=(REVIEW,), obligations=(REDACT,),
                )
            )
        )
    )  # fmt: skip
    assert shown["current_owner"] == "a"
    assert shown["previous_owners"] == ["z"]
    assert shown["policy_constraints"] == {
        "pii_review_required": True, "minimum_trust_score": 0.9, "allowed_regions": ["eu"],
    }  # fmt: skip
    assert shown["context_checkpoint"] == {"step": "half", "commitment": "a" * 64, "size": 128}
    assert shown["handoff"]["pending"]["view"] == "b" * 64
    assert shown["handoff"]["pending"]["position"] == 9
    assert shown["reviews"][0]["rules"] == ["kernel/pii-review"]
    assert shown["obligations"] == [{"type": "redact", "paths": ["/a"]}]
    assert shown["imported"] == {"status": "ASSIGNED"}
    assert shown["demand"] == {"cpu": 0.5}
    assert shown["audit"]["created_at"] == MOMENT


def test_a_waiting_packet() -> None:
    """What a packet waits for, and whom, can be read."""
    request = ReviewRequest(point="place", policy="s", rules=RULES, to="reviewer", expires_at=T)
    view = packet_view(
        packet(
            status=PacketStatus.AWAITING_REVIEW,
            request=request,
            waiting=Waiting(outcome="escalated", reasons=(("kernel/pii-review", 2),), since=T),
        )
    )
    assert view.review is not None
    assert (view.review.to, view.review.expires_at) == ("reviewer", MOMENT)
    assert view.waiting is not None
    assert view.waiting.reasons == {"kernel/pii-review": 2}
    assert view.waiting.since == MOMENT
    assert view.current_owner is None
    assert view.incarnation is None
    assert view.context_checkpoint.commitment is None


def test_an_entry() -> None:
    """An entry shows who caused it; its body and the command come when asked for."""
    command = c.Command(
        id="1", principal=c.LOCAL_OPERATOR, do=c.CancelPacket(packet_id="p"), request_id="r"
    )
    event = e.PacketCancelled(packet_id="p", epoch=0, reason="r", command=command)
    view = entry_view(seq=7, time=T, event=event, leaf=b"\x01", with_body=True)
    assert (view.seq, view.time, view.type, view.subject) == (
        7,
        MOMENT,
        "packet_cancelled",
        "packet/p",
    )
    assert (view.principal, view.request_id, view.leaf) == ("local", "r", "01")
    assert view.body is not None
    assert view.body["command"]["do"]["kind"] == "cancel_packet"
    bare = entry_view(seq=7, time=T, event=msgspec.structs.replace(event, command=None))
    assert (bare.principal, bare.body, bare.leaf) == (None, None, None)
