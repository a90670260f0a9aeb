"""Proofs from the committed tree: C2SP tlog-proofs of entries, and consistency between two sizes."""

import base64

from pfgov.engine.proofs import prove
from pfgov.engine.reading import LedgerReader
from pfgov.engine.writer import StoredNodes
from pfgov.errors import InvalidError
from pfgov_ledger import merkle


def proof_of(reader: LedgerReader, position: int, *, alone: bool = True) -> bytes:
    """Return the C2SP tlog-proof of the entry at *position* against the newest checkpoint.

    One that stands *alone* carries the entry, too; inside a receipt it is there already.

    Raises:
        NotFoundError: there is no such entry yet.
    """
    return prove(reader, position, alone=alone)


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
