"""A ledger behind a server: the session with it, the table of its routes, and the ledger port over both.

Nobody imports this for a ledger in a folder.
"""

from pfgov.app.remote.ledger import RemoteLedger
from pfgov.app.remote.session import Address, Session

__all__ = ["Address", "RemoteLedger", "Session"]
