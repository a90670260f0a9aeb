"""Proofs from the committed tree: consistency between two sizes."""

import base64

from pfgov.engine.reading import LedgerReader
from pfgov.engine.writer import StoredNodes
from pfgov.errors import InvalidError
from pfgov_ledger import merkle


def consistency(reader: LedgerReader, old: int) -> dict[str, object]:
    """Return the RFC 6962 consistency proof from *old* entries to the newest checkpoint.

    Raises:
        InvalidError: *old* is larger than the ledger.
    """
    with reader.snapshot() as queries:
        latest = queries.checkpoint()
        if latest is None or old > latest[0]:
            raise InvalidError(f"the ledger has fewer than {old} entries", pointer="/query/from")
        hashes = merkle.consistency_proof(StoredNodes(queries), old, latest[0]) if old else []
    return {
        "from": old,
        "to": latest[0],
        "hashes": [base64.b64encode(one).decode() for one in hashes],
        "checkpoint": latest[1].decode(),
    }
