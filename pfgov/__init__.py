"""pfgov: policy-first governance for work that moves between members.

The package decides who owns a Flight Packet, records why in a signed ledger, and
regenerates every decision from the record.  ``ARCHITECTURE.md`` draws the layers.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
