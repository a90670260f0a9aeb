"""One entry's proof of inclusion from the committed tree, as a C2SP tlog-proof.

The server and the command line hand out the same bytes.  The format is :mod:`pfgov_ledger.proof`'s business, the tree's
nodes are the store's; nothing here signs or writes.
"""

from pfgov.engine.reading import LedgerReader
from pfgov.engine.signing import ledger_keys
from pfgov.engine.writer import StoredNodes
from pfgov.errors import NotFoundError
from pfgov.storage.queries import Queries
from pfgov.storage.writing import EntryRow
from pfgov_ledger import entry, keys, proof, receipt


def prove(reader: LedgerReader, position: int) -> bytes:
    """Return the C2SP tlog-proof of the entry at *position* against the newest checkpoint, the entry in it.

    Raises:
        NotFoundError: ``entry.not_found``, there is no such entry yet.
    """
    with reader.snapshot() as queries:
        row, note = _proven(queries, position)
        extra = receipt.write_extra(row.raw, row.signature, _issuer(queries, row))
        made = proof.make(StoredNodes(queries), position, note, extra=extra)
    return proof.write(made)


def vouchers(reader: LedgerReader, position: int) -> dict[str, str]:
    """Return what lets the receipt of the entry at *position* verify alone: the issuer's key, and a proof.

    Raises:
        NotFoundError: ``entry.not_found``, there is no such entry yet.
    """
    with reader.snapshot() as queries:
        row, note = _proven(queries, position)
        made = proof.make(StoredNodes(queries), position, note)
        issuer = _issuer(queries, row)
    found = {"proof": proof.write(made).decode()}
    return found if issuer is None else {"issuer": issuer.hex(), **found}


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
