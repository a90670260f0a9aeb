"""Where a root over many ledgers is kept: in files, whatever holds the ledgers."""

from pfgov.storage.sqlite.root import (
    PUBLISHED,
    VKEY,
    Added,
    Head,
    Leaf,
    Offer,
    RootLostError,
    RootReader,
    require,
    stored,
)
from pfgov.storage.sqlite.root_writing import OFFERS_MAX, Refusal, RootWriter

__all__ = [
    "OFFERS_MAX", "PUBLISHED", "VKEY", "Added", "Head", "Leaf", "Offer", "Refusal", "RootLostError", "RootReader",
    "RootWriter", "require", "stored",
]  # fmt: skip
