"""The commands about the ledger itself."""

from pfgov.cli.ledger import (
    convert,
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
