"""The commands about the ledger itself."""

from pfgov.cli.ledger import doctor, erase, export, look, prove, verify
from pfgov.cli.ledger.group import ledger

__all__ = ["doctor", "erase", "export", "ledger", "look", "prove", "verify"]
