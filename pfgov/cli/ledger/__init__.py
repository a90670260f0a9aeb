"""The commands about the ledger itself."""

from pfgov.cli.ledger import doctor, erase, export, keys, look, prove, verify
from pfgov.cli.ledger.group import ledger

__all__ = ["doctor", "erase", "export", "keys", "ledger", "look", "prove", "verify"]
