"""One sentence for every event: complete, in words, and with the names that matter."""

import pytest

from pfgov.app.views import sentence
from pfgov.app.views.sentences import SENTENCES
from pfgov.core import commands as c
from pfgov.core import events as e

A = e.Owner(member_id="a", incarnation=1)
B = e.Owner(member_id="b", incarnation=2)
X = c.Commitment(digest="0" * 64, size=64)
RING = e.SchedulerRef(name="ring", version="1")
CONFIGURATION = e.Configuration(scheduler=RING)
DECISION = e.Decision(
    point="assign", policy="p" * 64, considered=3, eligible=1, scheduler=RING, table="t" * 64,
    rejected=tuple((f"kernel/r{i}", i) for i in range(1, 7)),
)  # fmt: skip
NOBODY = e.Decision(point="assign", policy="", considered=0, eligible=0, table="")
RULES = (e.RuleRef(policy="kernel", rule="pii-review"),)
LEASE = e.Lease(last_seen=0, ttl=30_000_000)
HOUR = 3_600_000_000


def member(cls: type[e.Event], **fields: object) -> e.Event:
    """Return an event about the member a."""
    return cls(member_id="a", **fields)  # type: ignore[call-arg]


def packet(cls: type[e.Event], **fields: object) -> e.Event:
    """Return an event about the packet p."""
    return cls(packet_id="p", **fields)  # type: ignore[call-arg]


SAID: list[tuple[e.Event, str]] = [
    (
        e.LedgerCreated(origin="o", semantics=1, engine="0.1", keys=(), configuration=CONFIGURATION),
        "the ledger o begins, with the scheduler ring",
    ),
    (
        e.LeaderChanged(term=7, address="http://b.test:8000"),
        "the server at http://b.test:8000 leads from here on, under term 7",
    ),
    (e.EngineUpgraded(semantics=2, engine="0.2"), "from here on the rules of semantics 2 hold (0.2)"),
    (e.ConfigurationChanged(configuration=CONFIGURATION), "the configuration changed; the scheduler is ring"),
    (
        e.ExpiryHalted(cause="mass_expiry", overdue=4, leased=5),
        "no lease expires: 4 of 5 ended at once",
    ),
    (
        e.ExpiryHalted(cause="clock_jump", jump=HOUR),
        "nothing is due: the clock jumped by 3600 s",
    ),
    (
        e.ExpiryResumed(cause="requested", dead=("a", "b")),
        "leases end again: an operator says so; known to be dead: a, b",
    ),
    (
        e.ExpiryResumed(cause="evidence", overdue=4, leased=6, silent_since=1),
        "leases end again: 4 of 6 stayed silent while others were heard",
    ),
    (
        e.ExpiryResumed(cause="heard", overdue=1, leased=6),
        "leases end again: only 1 of 6 are still silent",
    ),
    (e.ExpiryResumed(cause="clock"), "leases end again: the clock is steady"),
    (e.IndexCommitted(size=9, subjects=3, root="r"), "the map of 3 subjects over 9 entries is committed"),
    (e.KeyRotated(role="log", new="n" * 64, signatures=()), "the log key nnnnnnnnnnnn takes over"),
    (e.KeyRevoked(role="issuer", key="k" * 64, signatures=()), "the issuer key kkkkkkkkkkkk is revoked"),
    (
        e.AttachmentErased(subject_="packet/p", commitment="c", why="retention"),
        "a payload of packet/p was erased (retention)",
    ),
    (
        e.PolicyActivated(
            digest="d" * 64, policies=(e.PolicyRef(name="k", version="1", mode="enforce"),), points=()
        ),
        "the policy set dddddddddddd is binding: k 1",
    ),
    (
        e.PolicyDenied(principal="key:a", point="update", about="packet/p", policy="d" * 64, reasons=("x/y",)),
        "policy denied key:a the update of packet/p because of x/y",
    ),
    (
        e.PolicyProposed(digest="d" * 64, policies=(), points=(), proposer="key:a"),
        "key:a proposes the policy set dddddddddddd",
    ),
    (
        e.PolicyApproved(digest="d" * 64, proposal=3, approver="key:b", remaining=1),
        "key:b approves the policy set dddddddddddd; 1 more to approve",
    ),
    (e.PolicyRejected(digest="d" * 64, proposal=3, reviewer="key:b"), "key:b turns the policy set dddddddddddd down"),
    (
        e.PolicyChangeRefused(digest="d" * 64, action="approve", code="policy.own_proposal", principal="key:a"),
        "approving the policy set dddddddddddd was refused to key:a (policy.own_proposal)",
    ),
    (
        e.PublisherTrusted(name="acme", key="k" * 64, principal="key:a"),
        "key:a trusts the key kkkkkkkkkkkk of the publisher acme",
    ),
    (
        e.PublisherTrusted(name="acme", key="k" * 64, principal="key:a", expires_at=0),
        "key:a trusts the key kkkkkkkkkkkk of the publisher acme until 1970-01-01T00:00:00Z",
    ),
    (
        e.PublisherRotated(name="acme", old="o" * 64, new="n" * 64, principal="key:a", signatures=()),
        "the publisher acme has the key nnnnnnnnnnnn in place of oooooooooooo",
    ),
    (
        e.PublisherRevoked(name="acme", key="k" * 64, principal="key:a"),
        "key:a trusts the key kkkkkkkkkkkk of the publisher acme no more",
    ),
    (e.PolicyRefused(codes=("x",), errors=2), "a policy set did not load (2 errors); the last good one stays"),
    (
        member(e.MemberRegistered, incarnation=1, kind="agent", principal="l", policy="", region="eu",
               trust=c.Trust(score="0.9", source="local", assessed_at=0)),
        "a joined as agent in eu, trust 0.9 by local",
    ),
    (
        member(e.MemberRegistered, incarnation=2, kind="agent", principal="l", policy="", claimed_trust="0.99"),
        "a (life 2) joined as agent, claiming trust 0.99, which counts for nothing",
    ),
    (member(e.RegistrationDenied, policy="", reasons=("x/y",), table=""), "a was kept out because of x/y"),
    (member(e.MemberUpdated, region="eu", weight=2), "a changed: region, weight"),
    (
        member(e.CapabilityDiscovered, capability=c.Capability(name="fly", version="2.0")),
        "a can now do fly 2.0",
    ),
    (member(e.CapabilityDiscovered, capability=c.Capability(name="fly")), "a can now do fly"),
    (member(e.CapabilityWithdrawn, name="fly"), "a can no longer do fly"),
    (
        member(e.TrustAssessed, trust=c.Trust(score="0.9", source="s", assessed_at=0, expires_at=HOUR)),
        "a is trusted 0.9, says s until 1970-01-01T01:00:00Z",
    ),
    (member(e.TrustExpired, expired_at=1), "the trust in a expired; policies see none"),
    (
        member(e.MemberSuspected, incarnation=1, lease=LEASE),
        "a is suspected: silent beyond its lease's warning; no new work",
    ),
    (
        member(e.MemberFailed, incarnation=1, cause="lease_expired", lease=LEASE),
        "a is declared failed: its lease of 30 s ran out",
    ),
    (member(e.MemberFailed, incarnation=1, cause="reported", detail="gone"), "a is reported dead: gone"),
    (member(e.MemberRecovered, incarnation=2), "a (life 2) is back"),
    (
        member(e.MemberDraining, incarnation=1, deadline=HOUR),
        "a is draining until 1970-01-01T01:00:00Z: no new work, and what it owns moves",
    ),
    (member(e.DrainCancelled, incarnation=1), "a stays: its drain is cancelled"),
    (
        member(e.MemberQuarantined, incarnation=1, cause="flapping", until=HOUR),
        "a is quarantined until 1970-01-01T01:00:00Z: it failed too often",
    ),
    (
        member(e.MemberQuarantined, incarnation=1, cause="requested", detail="odd"),
        "a is quarantined: odd",
    ),
    (member(e.MemberReleased, incarnation=1, status="ACTIVE"), "a is released and ACTIVE again"),
    (member(e.MemberRetired, incarnation=1), "a retired, owning nothing"),
    (member(e.PressureChanged, pressure="0.95", level="high"), "a reports pressure 0.95: high"),
    (
        packet(e.PacketCreated, workload_type="w", constraints=c.Constraints(), handoff=c.HandoffTerms(),
               created_at=0, lineage_id="l", hold=True, imported=e.Imported(status="ASSIGNED")),
        "p (w) was submitted and held; the history it claims is kept as imported, not believed",
    ),
    (packet(e.PacketUpdated, priority=1, hold=False), "p changed: priority, hold"),
    (
        packet(e.AssignmentDecision, outcome="allowed", epoch=2, owner=B, source=A, decision=DECISION),
        "p goes to b after a under epoch 2 (by ring, 1 of 3 eligible)",
    ),
    (
        packet(e.AssignmentDecision, outcome="denied", epoch=0, decision=DECISION),
        "nobody may own p: kernel/r1 (1), kernel/r2 (2), kernel/r3 (3), kernel/r4 (4) and 2 more",
    ),
    (
        packet(e.AssignmentDecision, outcome="no_candidate", epoch=0, decision=NOBODY),
        "p has nobody to go to",
    ),
    (
        packet(e.ReviewRequested, point="place", policy="", rules=RULES, to="reviewer", expires_at=1),
        "p waits for a reviewer, asked by kernel/pii-review",
    ),
    (
        packet(e.ReviewRecorded, granted=True, reviewer="r", point="place", policy="", rules=RULES,
               member_id="a", note="ok"),
        "r granted kernel/pii-review on p for a: ok",
    ),
    (
        packet(e.ReviewRecorded, granted=False, reviewer="r", point="place", policy="", rules=RULES),
        "r refused kernel/pii-review on p",
    ),
    (packet(e.ReviewExpired, point="place", rules=RULES), "nobody reviewed p in time"),
    (
        packet(e.HandoffStarted, epoch=1, source=A, target=B, reason="drain", deadline=1, view=X, decision=DECISION),
        "p is to move from a to b (drain); its context is pinned, of which it may read a redacted view",
    ),
    (
        packet(e.HandoffStarted, epoch=1, source=A, target=B, reason="drain", deadline=1, decision=DECISION),
        "p is to move from a to b (drain)",
    ),
    (
        packet(e.HandoffCompleted, epoch=2, source=A, owner=B, decision=DECISION),
        "p moved from a to b under epoch 2",
    ),
    (
        packet(e.HandoffDenied, epoch=1, outcome="denied", source=A, reason="r", decision=NOBODY),
        "p stays with a: nobody may take it",
    ),
    (
        packet(e.HandoffEscalated, epoch=1, source=A, reason="r", decision=DECISION),
        "p stays with a until its move is reviewed",
    ),
    (
        packet(e.HandoffAborted, epoch=1, source=A, target=B, cause="policy", reasons=("k/r",)),
        "p stays with a: the move to b was off, policy denied it at acceptance because of k/r",
    ),
    (
        packet(e.OwnershipRevoked, epoch=2, owner=A, cause="retain_denied", reasons=("k/r",)),
        "p is taken from a, policy no longer lets it keep the packet because of k/r; the epoch is now 2",
    ),
    (packet(e.PacketRequeued, epoch=2, owner=A, reason="r"), "p was put back by or for a (r)"),
    (
        packet(e.CheckpointCommitted, epoch=1, owner=A, step="half", context=X),
        "a saved its progress on p at step half",
    ),
    (packet(e.PacketCompleted, epoch=1, owner=A), "a completed p under epoch 1"),
    (
        packet(e.PacketFailed, epoch=1, cause="deadline", reasons=("k/r",)),
        "p failed: its deadline passed because of k/r",
    ),
    (packet(e.PacketCancelled, epoch=1, reason="r"), "p was cancelled (r)"),
    (
        packet(e.WriteRefused, member_id="a", incarnation=1, claimed_epoch=1, epoch=3, action="x", code="y"),
        "a late write of a to p was refused: it named epoch 1, and the epoch is 3",
    ),
    (
        packet(e.WriteRefused, member_id="a", incarnation=1, claimed_epoch=3, epoch=3, action="x", code="y"),
        "a write of a to p was refused: it does not own it",
    ),
    (
        packet(e.DecisionEvaluated, member_id="a", outcome="denied", reasons=("k/r",), decision=DECISION),
        "asked whether a may own p: denied because of k/r",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "said"), SAID, ids=[event.type for event, _ in SAID])
def test_sentence(event: e.Event, said: str) -> None:
    """The event is said in these words."""
    assert sentence(event) == said


def test_every_event_has_a_sentence() -> None:
    """No event of the vocabulary is without a sentence, and none of the sentences without a test."""
    assert set(SENTENCES) == set(e.EVENTS)
    assert {event.type for event, _ in SAID} == set(e.EVENTS)


@pytest.mark.parametrize("name", ["HandoffAborted", "OwnershipRevoked", "PacketFailed"])
def test_every_cause_has_words(name: str) -> None:
    """Each cause that the vocabulary allows can be said."""
    cls = getattr(e, name)
    causes = typing_literals(cls, "cause")
    made = {
        "HandoffAborted": {"epoch": 1, "source": A, "target": B},
        "OwnershipRevoked": {"epoch": 1, "owner": A},
        "PacketFailed": {"epoch": 1},
    }[name]
    assert all(sentence(packet(cls, cause=cause, **made)) for cause in causes)


def typing_literals(cls: type, field: str) -> tuple[str, ...]:
    """Return the words of a literal field."""
    import typing

    found: tuple[str, ...] = typing.get_args(typing.get_type_hints(cls)[field])
    return found
