"""Histories that are signed and linked as they must be, and could not have happened.

Each is one packet with one entry that breaks one rule of custody; the operator wrote it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from conformance.ledger_verify.corpus.case import Case, Failures
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.story import assign, begin, create, owner, packet, register
from conformance.ledger_verify.corpus.tools import Line


def _story(name: str, code: str, about: str, act: Callable[[MemoryLog, str], int]) -> Case:
    log, policy = begin()
    create(log, "fp-001")
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    at = act(log, policy)
    packet(log, "fp-001", "review_expired", point="assign", rules=[])
    log.commit_index()
    failures: Failures = {"custody": (code, at)}
    return Case(code, name, about, log.full(), failures)


def _hand_over(log: MemoryLog, target: Line, source: Line, epoch: int) -> int:
    return packet(
        log,
        "fp-001",
        "handoff_started",
        source=source,
        target=target,
        epoch=epoch,
        reason="requested",
        deadline=log.time,
        decision={},
    )


def cases() -> Iterator[Case]:
    """Every impossible history."""
    a, b, c = owner("agent-a"), owner("agent-b"), owner("agent-c")

    def complete(log: MemoryLog, **body: Any) -> int:
        return packet(log, "fp-001", "handoff_completed", decision={}, **body)

    def accepted(log: MemoryLog, **body: Any) -> int:
        _hand_over(log, b, a, 1)
        return complete(log, **body)

    def ended(log: MemoryLog, event: str, **body: Any) -> int:
        packet(log, "fp-001", "packet_completed", epoch=1, owner=a)
        return packet(log, "fp-001", event, **body)

    def dead(log: MemoryLog, policy: str) -> int:
        register(log, "agent-d", policy)
        log.add(
            "member_failed",
            "member/agent-d",
            {"cause": "reported", "incarnation": 1, "member_id": "agent-d"},
        )
        packet(log, "fp-001", "packet_requeued", epoch=2, owner=a, reason="requested")
        return assign(log, "fp-001", owner("agent-d"), 3, policy)

    def stranger(log: MemoryLog, policy: str) -> int:
        packet(log, "fp-001", "packet_requeued", epoch=2, owner=a, reason="requested")
        return assign(log, "fp-001", owner("agent-z"), 3, policy)

    def former_life(log: MemoryLog, policy: str) -> int:
        log.add(
            "member_failed",
            "member/agent-b",
            {"cause": "reported", "incarnation": 1, "member_id": "agent-b"},
        )
        log.add("member_recovered", "member/agent-b", {"incarnation": 2, "member_id": "agent-b"})
        packet(log, "fp-001", "packet_requeued", epoch=2, owner=a, reason="requested")
        return assign(log, "fp-001", b, 3, policy)

    def started_twice(log: MemoryLog) -> int:
        _hand_over(log, b, a, 1)
        return _hand_over(log, c, a, 1)

    def aborted_for_other(log: MemoryLog) -> int:
        _hand_over(log, b, a, 1)
        return packet(
            log, "fp-001", "handoff_aborted", source=a, target=c, epoch=1, cause="timeout"
        )

    def risen(log: MemoryLog) -> int:
        body: Line = {"cause": "reported", "incarnation": 1, "member_id": "agent-b"}
        log.add("member_failed", "member/agent-b", body)
        again: Line = {"incarnation": 1, "member_id": "agent-b"}
        return log.add("member_recovered", "member/agent-b", again)

    def while_moving(log: MemoryLog) -> int:
        _hand_over(log, b, a, 1)
        return packet(log, "fp-001", "checkpoint_committed", epoch=1, owner=a, context={})

    stories: list[tuple[str, str, str, Callable[[MemoryLog, str], int]]] = [
        ("two_owners", "two_owners", "A packet that is owned is assigned again.",
         lambda log, p: assign(log, "fp-001", b, 2, p)),
        ("skipped_epoch", "epoch_skipped", "A revocation raises the epoch by two.",
         lambda log, p: packet(log, "fp-001", "ownership_revoked", epoch=3, owner=a, cause="drain")),
        ("same_epoch_handoff", "epoch_skipped", "A handoff completes under the old epoch.",
         lambda log, p: accepted(log, epoch=1, source=a, owner=b)),
        ("stale_checkpoint", "epoch_skipped", "The owner writes under an old epoch.",
         lambda log, p: packet(log, "fp-001", "checkpoint_committed", epoch=0, owner=a, context={})),
        ("act_after_completion", "after_terminal", "A completed packet is handed off.",
         lambda log, p: ended(log, "handoff_started", source=a, target=b, epoch=1, reason="", deadline=0, decision={})),
        ("complete_twice", "after_terminal", "A packet completes twice.",
         lambda log, p: ended(log, "packet_completed", epoch=1, owner=a)),
        ("revive", "after_terminal", "A completed packet is created again.",
         lambda log, p: ended(log, "packet_created", created_at=0)),
        ("stranger", "owner_unregistered", "The owner was never registered.", stranger),
        ("dead_owner", "owner_unregistered", "The owner had failed.", dead),
        ("former_life", "owner_unregistered", "The owner is an incarnation that is over.", former_life),
        ("wrong_source", "handoff_source", "A handoff starts from a member that does not own the packet.",
         lambda log, p: _hand_over(log, b, c, 1)),
        ("wrong_target", "handoff_target", "A handoff completes for another target.",
         lambda log, p: accepted(log, epoch=2, source=a, owner=c)),
        ("write_by_other", "not_owner", "A member that does not own the packet completes it.",
         lambda log, p: packet(log, "fp-001", "packet_completed", epoch=1, owner=b)),
        ("owner_gives_up_for_other", "not_owner", "A member that does not own the packet fails it.",
         lambda log, p: packet(log, "fp-001", "packet_failed", cause="owner", epoch=1, owner=b)),
        ("handoff_without_start", "custody_order", "A handoff completes that never started.",
         lambda log, p: complete(log, epoch=2, source=a, owner=b)),
        ("write_while_moving", "custody_order", "The source writes while a handoff is pending.",
         lambda log, p: while_moving(log)),
        ("started_twice", "custody_order", "A second handoff starts while one is pending.",
         lambda log, p: started_twice(log)),
        ("aborted_for_other", "handoff_target", "A handoff is aborted for another target.",
         lambda log, p: aborted_for_other(log)),
        ("risen", "custody_order", "A member that failed is back in the same incarnation.",
         lambda log, p: risen(log)),
        ("no_owner_named", "entry_shape", "An allowed assignment names no owner.",
         lambda log, p: packet(log, "fp-001", "assignment_decision", outcome="allowed", epoch=2)),
        ("true_for_one", "entry_shape", "An incarnation is true, which some languages take for 1.",
         lambda log, p: packet(log, "fp-001", "packet_completed", epoch=1, owner=a | {"incarnation": True})),
        ("true_epoch", "entry_shape", "An epoch is true, which some languages take for 1.",
         lambda log, p: packet(log, "fp-001", "packet_completed", epoch=True, owner=a)),
        ("no_epoch", "entry_shape", "A completion names no epoch.",
         lambda log, p: packet(log, "fp-001", "packet_completed", owner=a)),
        ("created_twice", "custody_order", "A packet is created twice.",
         lambda log, p: packet(log, "fp-001", "packet_created", created_at=0)),
        ("incarnation_again", "custody_order", "A member registers again in the same incarnation.",
         lambda log, p: register(log, "agent-b", p)),
    ]  # fmt: skip
    for name, code, about, act in stories:
        yield _story(name, code, about, act)
    log, policy = begin()
    at = assign(log, "fp-001", a, 1, policy)
    log.commit()
    yield Case(
        "custody_order",
        "never_created",
        "A packet that was never created is assigned.",
        log.full(),
        {"custody": ("custody_order", at)},
    )
