"""The commands about the ledger itself."""

from pfgov.cli.ledger import (
    convert,
    create,
    doctor,
    erase,
    export,
    keys,
    listing,
    look,
    migrate,
    prove,
    report,
    restore,
    tiles,
    verify,
)
from pfgov.cli.ledger.group import ledger

__all__ = [
    "convert",
    "create",
    "doctor",
    "erase",
    "export",
    "keys",
    "ledger",
    "listing",
    "look",
    "migrate",
    "prove",
    "report",
    "restore",
    "tiles",
    "verify",
]
