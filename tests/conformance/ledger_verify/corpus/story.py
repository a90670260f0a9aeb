"""The honest history that the corpus starts from: three packets, three members, two policy sets.

Packet fp-001 is owned, saves its progress, loses its owner, moves, and completes; fp-002 is handed
off in two phases and has a payload erased; fp-003 waits.  Bodies are what the engine writes, without
the recorded commands.
"""

from typing import Any

from conformance.ledger_verify.corpus.memory_log import START, MemoryLog

Body = dict[str, Any]

POLICY_ONE = b'{"policies":["kernel","trust"],"semantics":1}'
POLICY_TWO = b'{"policies":["kernel","region","trust"],"semantics":1}'


def owner(member_id: str, incarnation: int = 1) -> Body:
    """A member in one of its lives."""
    return {"incarnation": incarnation, "member_id": member_id}


def decision(point: str, policy: str) -> Body:
    """How a verdict came about, as short as it can be."""
    return {
        "considered": 3,
        "eligible": 1,
        "point": point,
        "policy": policy,
        "rejected": [["trust/minimum", 2]],
        "scheduler": {"name": "rendezvous", "parameters": [["seed", "1"]], "version": "1"},
        "table": "ab" * 32,
    }


def genesis(log: MemoryLog, **changes: Any) -> int:
    """The first entry."""
    body: Body = {
        "configuration": {"scheduler": {"name": "rendezvous", "version": "1"}},
        "engine": "pfgov 0.1.0",
        "keys": [
            {"public": key.public.hex(), "role": key.role}
            for key in (log.log_key, log.issuer, log.recovery)
        ],
        "origin": log.origin,
        "predecessor": None,
        "semantics": 1,
        **changes,
    }
    return log.add("ledger_created", "ledger", body)


def activate(log: MemoryLog, content: bytes, previous: str | None = None) -> str:
    """A policy set becomes binding."""
    digest = log.policy(content)
    body: Body = {
        "digest": digest,
        "points": ["assign", "handoff"],
        "policies": [{"mode": "enforce", "name": "kernel", "version": "1"}],
    }
    if previous is not None:
        body["previous"] = previous
    log.add("policy_activated", "policy", body)
    return digest


def register(log: MemoryLog, member_id: str, policy: str, incarnation: int = 1) -> int:
    """A member joins."""
    return log.add(
        "member_registered",
        f"member/{member_id}",
        {
            "capacity": [["cpu", "8"], ["memory", "16.5"]],
            "incarnation": incarnation,
            "kind": "agent",
            "labels": [["team", "blue"], ["zone", "é"]],
            "member_id": member_id,
            "policy": policy,
            "principal": "local",
            "region": "eu-west/1a",
        },
    )


def create(log: MemoryLog, packet_id: str, payload: bytes | None = None) -> int:
    """A packet is submitted."""
    body: Body = {
        "constraints": {"minimum_trust_score": "0.85"},
        "created_at": START,
        "handoff": {},
        "lineage_id": f"lineage-{packet_id}",
        "packet_id": packet_id,
        "workload_type": "summarise",
    }
    if payload is not None:
        body["context"] = log.commitment(f"packet/{packet_id}", "context", payload)
    return log.add("packet_created", f"packet/{packet_id}", body)


def packet(log: MemoryLog, packet_id: str, event: str, *, index: int = 0, **body: Any) -> int:
    """An event of a packet."""
    return log.add(event, f"packet/{packet_id}", {"packet_id": packet_id, **body}, index=index)


def assign(
    log: MemoryLog, packet_id: str, to: Body, epoch: int, policy: str, *, index: int = 0
) -> int:
    """A packet that waits gets an owner."""
    return packet(
        log,
        packet_id,
        "assignment_decision",
        index=index,
        outcome="allowed",
        owner=to,
        epoch=epoch,
        decision=decision("assign", policy),
    )


def begin(origin: str | None = None) -> tuple[MemoryLog, str]:
    """Genesis, a policy set and three members; returns the log and the policy's digest."""
    log = MemoryLog() if origin is None else MemoryLog(origin)
    genesis(log)
    first = activate(log, POLICY_ONE)
    log.commit()
    for member_id in ("agent-a", "agent-b", "agent-c"):
        register(log, member_id, first)
    log.commit()
    return log, first


def tell() -> MemoryLog:
    """The whole history, with an index before its end and one at its end."""
    log, first = begin()
    create(log, "fp-001", b'{"customer":"Ada","step":1}')
    assign(log, "fp-001", owner("agent-a"), 1, first, index=1)
    log.commit()
    packet(
        log,
        "fp-001",
        "checkpoint_committed",
        epoch=1,
        owner=owner("agent-a"),
        step="two",
        context=log.commitment("packet/fp-001", "context", b'{"customer":"Ada","step":2}'),
    )
    log.commit()
    create(log, "fp-002", b'{"customer":"Grace"}')
    assign(log, "fp-002", owner("agent-b"), 1, first, index=1)
    log.commit()
    second = activate(log, POLICY_TWO, previous=first)
    log.commit()
    _owner_dies(log, second)
    _two_phases(log, second)
    log.commit_index()
    packet(log, "fp-001", "packet_completed", epoch=3, owner=owner("agent-c"))
    _refused_late_write(log)
    erase(log, "fp-002")
    create(log, "fp-003")
    packet(
        log,
        "fp-003",
        "assignment_decision",
        index=1,
        outcome="no_candidate",
        epoch=0,
        decision=decision("assign", second),
    )
    log.commit()
    log.commit_index()
    return log


def _owner_dies(log: MemoryLog, policy: str) -> None:
    log.add(
        "member_failed",
        "member/agent-a",
        {"cause": "reported", "incarnation": 1, "member_id": "agent-a"},
    )
    packet(
        log,
        "fp-001",
        "ownership_revoked",
        index=1,
        epoch=2,
        owner=owner("agent-a"),
        cause="member_failed",
    )
    log.commit()
    assign(log, "fp-001", owner("agent-c"), 3, policy)
    log.add("member_recovered", "member/agent-a", {"incarnation": 2, "member_id": "agent-a"})
    log.commit()


def _two_phases(log: MemoryLog, policy: str) -> None:
    both = {"source": owner("agent-b"), "target": owner("agent-a", 2)}
    packet(
        log,
        "fp-002",
        "handoff_started",
        **both,
        epoch=1,
        reason="requested",
        deadline=START + 60_000_000,
        decision=decision("handoff", policy),
        view=log.commitment("packet/fp-002", "view", b'{"customer":"(withheld)"}'),
    )
    packet(log, "fp-002", "handoff_aborted", **both, epoch=1, cause="timeout")
    log.commit()
    packet(
        log,
        "fp-002",
        "handoff_started",
        **both,
        epoch=1,
        reason="requested",
        deadline=START + 90_000_000,
        decision=decision("handoff", policy),
    )
    packet(
        log,
        "fp-002",
        "handoff_completed",
        index=1,
        epoch=2,
        source=owner("agent-b"),
        owner=owner("agent-a", 2),
        decision=decision("accept", policy),
    )
    log.commit()


def _refused_late_write(log: MemoryLog) -> None:
    packet(
        log,
        "fp-001",
        "write_refused",
        member_id="agent-a",
        incarnation=1,
        claimed_epoch=1,
        epoch=3,
        action="complete_packet",
        code="stale_epoch",
    )
    log.commit()


def erase(log: MemoryLog, packet_id: str) -> int:
    """The first payload of a packet is erased, and the erasure recorded."""
    from pfgov_ledger import entry

    created = entry.parse(log.rows[log.subjects[f"packet/{packet_id}"][0]].raw)
    context: Any = created.body["context"]
    del log.payloads[context["digest"]]
    return log.add(
        "attachment_erased",
        f"packet/{packet_id}",
        {
            "commitment": context["digest"],
            "subject": f"packet/{packet_id}",
            "why": "data_subject_request",
        },
    )
