"""What a server says of the root over its ledgers: its checkpoint, and paths through it."""

from pfgov.app.remote.session import Session
from pfgov.client.core import Ask


def root_note(session: Session) -> bytes:
    """Return the newest checkpoint of the root that the server keeps.

    Raises:
        NotFoundError: ``root.none``, it keeps none.
    """
    return _text(session, "/api/ledger/root")


def path(session: Session, seq: int) -> bytes:
    """Return the path of the entry at *seq* of the ledger that is asked; errors as of a path."""
    return _text(session, f"/api/ledger/proof/{seq}?via=root")


def _text(session: Session, path: str) -> bytes:
    found: bytes = session.raw(Ask("GET", path)).content
    return found
