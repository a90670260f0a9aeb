"""Keys that come and go: honest rotations and revocations, and those that nobody authorised."""

from collections.abc import Callable, Iterator
from typing import Any

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.memory_log import MemoryLog, signer
from conformance.ledger_verify.corpus.outsiders import PACKET
from conformance.ledger_verify.corpus.story import (
    assign,
    begin,
    create,
    genesis,
    owner,
    packet,
    register,
)
from conformance.ledger_verify.corpus.tools import Export, Line, stolen

from pfgov_ledger import keys, lifecycle

IDENTITY_POINT = (1).to_bytes(32, "little")


def rotate(
    log: MemoryLog,
    role: str,
    old: keys.SeedSigner | None,
    new: Any,
    signers: list[Any],
    *,
    public: bytes | None = None,
) -> int:
    """Append ``key_rotated`` with the signatures of *signers*."""
    at = log.subjects.get("keys", [])
    prev = log.rows[at[-1] if at else 0].leaf
    fresh = new.public if public is None else public
    message = lifecycle.rotation(
        origin=log.origin,
        seq=len(at),
        prev=prev,
        role=role,
        old=None if old is None else old.public,
        new=fresh,
    )
    body: Line = {
        "new": fresh.hex(),
        "role": role,
        "signatures": [[s.public.hex(), s.sign(message).hex()] for s in signers],
    }
    if old is not None:
        body["old"] = old.public.hex()
    return log.add("key_rotated", "keys", body)


def revoke(
    log: MemoryLog, role: str, key: bytes, signers: list[Any], suspect_from: int | None = None
) -> int:
    """Append ``key_revoked`` with the signatures of *signers*."""
    at = log.subjects.get("keys", [])
    prev = log.rows[at[-1] if at else 0].leaf
    message = lifecycle.revocation(
        origin=log.origin,
        seq=len(at),
        prev=prev,
        role=role,
        key=key,
        suspect_from=suspect_from,
    )
    body: Line = {
        "key": key.hex(),
        "role": role,
        "signatures": [[s.public.hex(), s.sign(message).hex()] for s in signers],
    }
    if suspect_from is not None:
        body["suspect_from"] = suspect_from
    return log.add("key_revoked", "keys", body)


def rotated() -> MemoryLog:
    """An honest log whose issuer and log keys rotated, and whose first issuer was then revoked."""
    log, policy = begin()
    first, second = log.issuer, signer("issuer", "log.example/fixture-1/engine-2")
    rotate(log, "issuer", first, second, [first, second])
    log.sign_with(second)
    create(log, "fp-001")
    log.commit()
    old, new = log.log_key, keys.SeedSigner(role="log", name=log.origin, seed=b"\x07" * 32)
    rotate(log, "log", old, new, [old, new])
    log.sign_with(second, new)
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    third = signer("issuer", "log.example/fixture-1/engine-3")
    rotate(log, "issuer", None, third, [log.recovery, third])
    revoke(log, "issuer", second.public, [log.recovery], suspect_from=8)
    log.sign_with(third)
    packet(log, "fp-001", "packet_completed", epoch=1, owner=owner("agent-a"))
    log.commit_index()
    return log


def cases() -> Iterator[Case]:
    """Every abuse of key events."""
    log, _ = begin()
    first, second = log.issuer, signer("issuer", "log.example/fixture-1/engine-2")
    rotate(log, "issuer", first, second, [first, second])
    register(log, "agent-d", "00" * 32)
    log.commit()
    yield Case(
        "key_retired",
        "rotated_key",
        "The old key signs entry 6, after its rotation.",
        log.full(),
        {"authenticity": ("key_retired", 6)},
    )
    log, _ = begin()
    rotate(log, "issuer", None, second, [log.recovery, second])
    revoke(log, "issuer", log.issuer.public, [log.recovery])
    register(log, "agent-d", "00" * 32)
    log.commit()
    yield Case(
        "key_revoked",
        "revoked_key",
        "The revoked key signs entry 7, after its revocation.",
        log.full(),
        {"authenticity": ("key_revoked", 7)},
    )
    thief = stolen("issuer", "thief")
    yield _one_rotation(
        "thief_adds_key",
        "A thief of the issuer key adds a key of its own, without the recovery key.",
        lambda log: rotate(log, "issuer", None, thief, [log.issuer, thief]),
    )
    yield _one_rotation(
        "old_key_did_not_sign",
        "A rotation that the old key did not sign.",
        lambda log: rotate(log, "issuer", log.issuer, thief, [thief]),
    )
    yield _one_rotation(
        "new_key_did_not_sign",
        "A rotation to a key whose holder did not sign.",
        lambda log: rotate(log, "issuer", log.issuer, thief, [log.issuer]),
    )
    yield _one_rotation(
        "revocation_by_issuer",
        "A revocation that the recovery key did not sign.",
        lambda log: revoke(log, "issuer", log.issuer.public, [log.issuer]),
    )
    log, _ = begin()
    rotate(log, "issuer", log.issuer, None, [log.issuer], public=IDENTITY_POINT)
    log.commit()
    yield Case(
        "key_weak",
        "small_order_key",
        "A rotation to the identity point, under which one signature fits every message.",
        log.full(),
        {"authenticity": ("key_weak", 5)},
    )
    yield from _hidden_revocation()
    log = MemoryLog()
    genesis(log, keys=[{"public": log.issuer.public.hex(), "role": r} for r in ("log", "issuer")])
    log.commit()
    yield Case(
        "key_role",
        "one_key_two_roles",
        "Genesis gives one key two roles.",
        log.full(),
        {"authenticity": ("key_role", 0)},
        anchor="any-genesis.txt",
    )
    log, _ = begin()
    old, new = log.log_key, keys.SeedSigner(role="log", name=log.origin, seed=b"\x07" * 32)
    rotate(log, "log", old, new, [old, new])
    log.commit()
    yield Case(
        "key_retired",
        "retired_log_key",
        "The checkpoint is signed by the log key that was rotated out.",
        log.full(),
        {"authenticity": ("key_retired", 6)},
    )


def _one_rotation(name: str, about: str, act: Callable[[MemoryLog], int]) -> Case:
    log, _ = begin()
    at = act(log)
    log.commit()
    return Case(
        "rotation_unauthorised",
        name,
        about,
        log.full(),
        {"authenticity": ("rotation_unauthorised", at)},
    )


def _hidden_revocation() -> Iterator[Case]:
    log, policy = begin()
    second = signer("issuer", "log.example/fixture-1/engine-2")
    rotate(log, "issuer", None, second, [log.recovery, second])
    create(log, "fp-001")
    revoked_at = revoke(log, "issuer", log.issuer.public, [log.recovery])
    assign(log, "fp-001", owner("agent-a"), 1, policy)
    log.sign_with(second)
    log.commit_index()
    honest = log.of(PACKET)
    yield Case(
        "key_revoked",
        "revoked_key_in_history",
        "A packet's history in which a revoked key signs.",
        honest,
        {"authenticity": ("key_revoked", 8)},
    )
    export = Export(honest)
    export.drop(revoked_at)
    yield Case(
        "subject_tail_missing",
        "hidden_revocation",
        "The same history, with the revocation left out.",
        export.build(),
        {"completeness": ("subject_tail_missing", 9)},
    )
    export = Export(log.range(6, 9))
    export.drop(revoked_at)
    yield Case(
        "sequence",
        "hidden_revocation_in_range",
        "A range with the revocation left out.",
        export.build(),
        {"integrity": ("sequence", revoked_at)},
    )
    export = Export(log.range(8, 9))
    export.drop(revoked_at)
    yield Case(
        "subject_tail_missing",
        "hidden_revocation_before_range",
        "A range without the revocation that came before it.",
        export.build(),
        {"authenticity": ("subject_tail_missing", 9)},
    )
    export.lines = [line for line in export.lines if "map" not in line]
    yield Case(
        "not_checked",
        "range_without_keys_proof",
        "A range that does not show that its key events are all.",
        export.build(),
        {},
        exit_status=4,
    )
