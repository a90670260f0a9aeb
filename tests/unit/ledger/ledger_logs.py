"""Small logs for the ledger's tests: fixed keys, a few packets and members, nothing random."""

from collections.abc import Iterable

from pfgov_ledger import keys, note
from pfgov_ledger.appender import Appender, Head, Staged

ORIGIN = "pfgov.example/eu"
TIME = 1_782_331_200_000_000
LOG = keys.SeedSigner(role="log", name=ORIGIN, seed=bytes([1]) * 32)
ISSUER = keys.SeedSigner(role="issuer", name=f"{ORIGIN}/issuer-1", seed=bytes([2]) * 32)
WITNESS = keys.SeedSigner(role="witness", name="witness.example/w1", seed=bytes([3]) * 32)
LOG_VKEY = keys.vkey_of(LOG)
WITNESS_VKEY: note.Vkey = keys.vkey_of(WITNESS)


def appender() -> Appender:
    """An appender on an empty log."""
    return Appender(head=Head(ORIGIN), issuer=ISSUER, log=LOG)


def fill(target: Appender, count: int) -> list[Staged]:
    """Stage *count* events about seven packets."""
    first = target.head.size
    return [
        target.append(
            type="packet_created",
            body={"packet_id": f"fp-{seq % 7}", "note": f"event {seq}"},
            subject=f"packet/fp-{seq % 7}",
            time=TIME + seq,
            command_seq=seq,
            command_index=0,
        )
        for seq in range(first, first + count)
    ]


def leaves(staged: Iterable[Staged]) -> list[bytes]:
    """Their leaf hashes."""
    return [item.leaf for item in staged]
