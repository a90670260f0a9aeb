"""That a server is one of this ledger's: it signs what it was asked, with the log's key, for the address it listens at.

Which server leads says a row of the database, and whoever writes the database may name another there.  What a standby
sends on carries the keys of whoever asked it.  So before anything goes to an address, whoever answers there proves that
it has the log's key, as every server of the ledger does, and that the address is its own: somebody in between would
have a proof for another.  Who asks and answers is not known here.
"""

import base64
import re
import secrets
from collections.abc import Iterable
from typing import Final

from pfgov_ledger import ed25519
from pfgov_ledger.keys import Signer

CHALLENGE: Final = "pfgov-challenge"
"""The header of a request for liveness that wants a proof: 64 hexadecimal digits that were never used."""

PROOF: Final = "pfgov-proof"
"""The header of the answer: the signature, in Base64."""

_CHALLENGE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def drawn() -> str:
    """Return a new challenge."""
    return secrets.token_hex(32)


def is_challenge(text: str) -> bool:
    """Whether *text* can be a challenge."""
    return _CHALLENGE.fullmatch(text) is not None


def _statement(origin: str, address: str, challenge: str) -> bytes:
    """Return what is signed; no checkpoint begins like this, for no log's name has a space."""
    return f"pfgov server\nv1\n{origin}\n{address}\n{challenge}\n".encode()


def proof(signer: Signer, origin: str, address: str, challenge: str) -> str:
    """Return the proof that the holder of *signer* listens at *address*."""
    return base64.b64encode(signer.sign(_statement(origin, address, challenge))).decode()


def is_proved(
    text: str, publics: Iterable[bytes], origin: str, address: str, challenge: str
) -> bool:
    """Whether *text* proves that who has one of these keys listens at *address*."""
    try:
        signature = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    said = _statement(origin, address, challenge)
    return any(ed25519.verify(public, said, signature) for public in publics)
