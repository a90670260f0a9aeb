"""The receipt that a page shows after an action: which entry, and a seal that only this server makes.

An address that somebody else wrote shows none: whoever follows it would be told that they did what they never did.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final

_KEY: Final = secrets.token_bytes(32)
"""Of this process: a receipt is for the next page, not for keeping."""

_SEALED: Final = re.compile(r"([0-9]{1,15})\.([0-9a-f]{32})", re.ASCII)


def after(url: str, principal: str, position: int | None) -> str:
    """Return the address of a page with the receipt of what *principal* did; *url* where nothing is recorded."""
    return url if position is None else f"{url}?did={position}.{_seal(principal, position)}"


def shown(did: str, principal: str) -> int | None:
    """Return the entry whose receipt is shown to *principal*; None where *did* is not what this server gave them."""
    found = _SEALED.fullmatch(did)
    if found is None or not hmac.compare_digest(found[2], _seal(principal, int(found[1]))):
        return None
    return int(found[1])


def _seal(principal: str, position: int) -> str:
    text = f"{position} {principal}".encode()
    return hmac.new(_KEY, text, hashlib.sha256).hexdigest()[:32]
