"""One entry's proof of inclusion from the committed tree, as a C2SP tlog-proof.

The server and the command line hand out the same bytes.  The format is :mod:`pfgov_ledger.proof`'s business, the tree's
nodes are the store's; nothing here signs or writes.
"""

from pfgov.engine.reading import LedgerReader
from pfgov.engine.writer import StoredNodes
from pfgov.errors import NotFoundError
from pfgov_ledger import proof, receipt


def prove(reader: LedgerReader, position: int, *, alone: bool = True) -> bytes:
    """Return the C2SP tlog-proof of the entry at *position* against the newest checkpoint.

    Args:
        reader: The ledger.
        position: The entry's ``seq``.
        alone: Whether the proof carries the entry, too; inside a receipt it is there already.

    Raises:
        NotFoundError: ``entry.not_found``, there is no such entry yet.
    """
    with reader.snapshot() as queries:
        row, latest = queries.entry(position), queries.checkpoint()
        if row is None or latest is None or position >= latest[0]:
            size = 0 if latest is None else latest[0]
            raise NotFoundError(
                f"there is no entry {position}",
                code="entry.not_found",
                hint=f"the ledger holds 0 to {size - 1}" if size else None,
            )
        extra = receipt.write_extra(row.raw, row.signature) if alone else None
        made = proof.make(StoredNodes(queries), position, latest[1], extra=extra)
    return proof.write(made)
