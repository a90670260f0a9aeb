"""Where a root over many ledgers is kept: in files, whatever holds the ledgers."""

from pfgov.storage.sqlite.root import (
    OFFERS_MAX,
    PUBLISHED,
    VKEY,
    Added,
    Head,
    Leaf,
    Offer,
    Refusal,
    RootLostError,
    RootReader,
    RootWriter,
    require,
    stored,
)

__all__ = [
    "OFFERS_MAX", "PUBLISHED", "VKEY", "Added", "Head", "Leaf", "Offer", "Refusal", "RootLostError", "RootReader",
    "RootWriter", "require", "stored",
]  # fmt: skip
