"""Publishers of policy sets: the statement with which one of their keys hands over to the next.

Both keys sign it, for one ledger and one name: the old one lets go, and the new one is there.  Which keys are trusted
is in the ledger, and is decided there.
"""

import re
from pathlib import Path
from typing import Final

from pfgov.engine.layout import key_errors
from pfgov.errors import ForbiddenError, InvalidError
from pfgov.model import PublisherRotation, check_tree, parse
from pfgov.model.fields import ID_PATTERN
from pfgov_ledger import canonical, dsse, ed25519
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer, file_signer, generate, open_signer, write_file

FORMAT: Final = "pfgov.publisher-rotation/v1"

NAME_HINT: Final = (
    "name it as ledgers know it: a letter or digit; then letters, digits and . _ : @ ~ -"
)


def signer(text: str) -> Signer:
    """Return the signer that a file, or a URI like ``env:VARIABLE``, names.

    Raises:
        SigningKeyError: there is none, or others can read it.
    """
    is_uri = ":" in text and not Path(text).exists()
    with key_errors(hint="pfgov policy publisher key FILE --name NAME makes one"):
        return open_signer(text) if is_uri else file_signer(Path(text))


def make_key(path: Path, name: str) -> str:
    """Make a publisher's key in a new file that only its owner can read; return its public half, in hex.

    Raises:
        InvalidError: the name cannot be one.
        SigningKeyError: the file cannot be written or is there already.
    """
    if not re.fullmatch(ID_PATTERN, name, re.ASCII):
        raise InvalidError(f"{name[:64]!r} cannot be a publisher's name", hint=NAME_HINT)
    with key_errors(hint="name another file, and the publisher as ledgers know it"):
        made = generate(role="publisher", name=name)
        write_file(path, made)
    return made.public.hex()


def statement(origin: str, name: str, old: str, new: str) -> bytes:
    """Return what the signatures of a rotation are over: keys in hex."""
    said: canonical.Json = {
        "format": FORMAT, "name": name, "new": new, "old": old, "origin": origin,
    }  # fmt: skip
    return dsse.pae(dsse.PUBLISHER_STATEMENT_TYPE, canonical.encode(said))


def rotation(
    origin: str, name: str, old: Signer, new: Signer, expires_at: str | None
) -> PublisherRotation:
    """Return what lets *new* take over from *old* in the ledger *origin*, until a moment in RFC 3339, signed by both.

    Raises:
        InputError: a name or a moment is none.
    """
    message = statement(origin, name, old.public.hex(), new.public.hex())
    body = {
        "origin": origin,
        "name": name,
        "old": old.public.hex(),
        "new": new.public.hex(),
        "signatures": [[key.public.hex(), key.sign(message).hex()] for key in (old, new)],
    }
    until = {} if expires_at is None else {"expires_at": expires_at}
    return parse(PublisherRotation, check_tree(body | until))


def check_rotation(asked: PublisherRotation) -> None:
    """Refuse a rotation that not both keys signed, the old one first.

    Raises:
        ForbiddenError: ``publisher.signature``.
    """
    message = statement(asked.origin, asked.name, asked.old, asked.new)
    if tuple(public for public, _ in asked.signatures) != (asked.old, asked.new):
        raise _unsigned("the old key signs first, then the new one")
    try:
        for public, signature in asked.signatures:
            ed25519.check(bytes.fromhex(public), message, bytes.fromhex(signature))
    except LedgerError as error:
        raise _unsigned(str(error)) from None


def _unsigned(why: str) -> ForbiddenError:
    return ForbiddenError(
        f"the rotation is not signed by both keys: {why}",
        code="publisher.signature",
        hint="sign it anew: pfgov policy publisher rotate NAME --key FILE --new FILE",
    )
