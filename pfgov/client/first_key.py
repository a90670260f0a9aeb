"""The first key of a new ledger: drawn by who is to have it, and told to a server by its id and digest alone."""

import base64
import hashlib
import re
import secrets
from typing import Final

_KEY: Final = re.compile(r"pfgov_(?P<id>[a-z2-7]{8})_[a-z2-7]{52}", re.ASCII)
"""40 random bits of id, 256 of secret."""


def draw_key() -> str:
    """Return a new API key."""
    return f"pfgov_{_text(5)}_{_text(32)}"


def named(key: str) -> dict[str, str]:
    """Return what a server is told of *key*.

    Raises:
        ValueError: it is none that :func:`draw_key` draws; a digest of less could be guessed.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError("a first key is one that pfgov draws: pfgov_, 8 and 52 letters and digits")
    return {"id": found["id"], "digest": hashlib.sha256(key.encode()).hexdigest()}


def new_ledger(name: str, first_key: str | None) -> dict[str, object]:
    """Return what a server is asked with that is to make the ledger *name*.

    Raises:
        ValueError: as of :func:`named`.
    """
    return {"name": name} if first_key is None else {"name": name, "key": named(first_key)}


def _text(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
