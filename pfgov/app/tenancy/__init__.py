"""Many ledgers of one process: a folder of them, each with a name, opened when asked for and closed when it rests.

``names`` is what a name may be and which there are, ``notes`` what is left beside a ledger that rests, ``limits`` how
many and how long, ``keeping`` opens and closes, ``making`` adds one.  Nothing here knows HTTP, nor who may enter.
"""

from pfgov.app.tenancy.keeping import Keeper
from pfgov.app.tenancy.making import Request
from pfgov.app.tenancy.names import UnknownLedgerError, is_name, ledger_names, unknown
from pfgov.app.tenancy.places import Place, Stage, TooManyLedgersError

__all__ = [
    "Keeper",
    "Place",
    "Request",
    "Stage",
    "TooManyLedgersError",
    "UnknownLedgerError",
    "is_name",
    "ledger_names",
    "unknown",
]
