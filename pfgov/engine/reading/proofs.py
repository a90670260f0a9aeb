"""Proofs from the committed tree: one entry's inclusion as a C2SP tlog-proof, and consistency between two sizes.

The server and the command line hand out the same bytes.  The format is :mod:`pfgov_ledger.proof`'s business, the tree's
nodes are the store's; nothing here signs or writes.
"""

from pfgov.engine.keys.signing import ledger_keys
from pfgov.engine.loading.tree import StoredNodes
from pfgov.engine.reading.reader import LedgerReader
from pfgov.errors import NotFoundError
from pfgov.storage.port import EntryRow, Queries
from pfgov_ledger import entry, keys, merkle, proof, receipt


def prove(reader: LedgerReader, position: int, signed: bytes | None = None) -> bytes:
    """Return the C2SP tlog-proof of the entry at *position* against a checkpoint, the entry in it.

    Args:
        reader: The ledger.
        position: Which entry.
        signed: The signed checkpoint, which must cover it; the newest by default.

    Raises:
        NotFoundError: ``entry.not_found``, there is no such entry yet.
    """
    with reader.snapshot() as queries:
        row, note = _proven(queries, position)
        extra = receipt.write_extra(row.raw, row.signature, _issuer(queries, row))
        made = proof.make(StoredNodes(queries), position, signed or note, extra=extra)
    return proof.write(made)


def vouchers(reader: LedgerReader, position: int, signed: bytes | None = None) -> dict[str, str]:
    """Return what lets the receipt of the entry at *position* verify alone: the issuer's key, and a proof.

    Args:
        reader: The ledger.
        position: Which entry.
        signed: The signed checkpoint to prove it against, which must cover it; the newest by default.

    Raises:
        NotFoundError: ``entry.not_found``, there is no such entry yet.
    """
    with reader.snapshot() as queries:
        row, note = _proven(queries, position)
        made = proof.make(StoredNodes(queries), position, signed or note)
        issuer = _issuer(queries, row)
    found = {"proof": proof.write(made).decode()}
    return found if issuer is None else {"issuer": issuer.hex(), **found}


def consistency(reader: LedgerReader, old: int) -> tuple[int, list[bytes], bytes] | None:
    """Return the newest checkpoint's size and note, and between them the RFC 6962 proof that the first *old* entries
    are a prefix; None if there are fewer.
    """
    with reader.snapshot() as queries:
        latest = queries.checkpoint()
        if latest is None or old > latest[0]:
            return None
        nodes = StoredNodes(queries)
        return latest[0], merkle.consistency_proof(nodes, old, latest[0]) if old else [], latest[1]


def _proven(queries: Queries, position: int) -> tuple[EntryRow, bytes]:
    """Return the entry, and the newest checkpoint over it."""
    row, latest = queries.entry(position), queries.checkpoint()
    if row is None or latest is None or position >= latest[0]:
        size = 0 if latest is None else latest[0]
        raise NotFoundError(
            f"there is no entry {position}",
            code="entry.not_found",
            hint=f"the ledger holds 0 to {size - 1}" if size else None,
        )
    return row, latest[1]


def _issuer(queries: Queries, row: EntryRow) -> bytes | None:
    """Return the public key that signed the entry: the ledger knows every key that ever signed, by its hash."""
    wanted = entry.parse(row.raw).issuer.hex()
    known = (bytes.fromhex(public) for public in ledger_keys(queries))
    return next((key for key in known if keys.key_id(key) == wanted), None)
