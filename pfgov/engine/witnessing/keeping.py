"""What witnesses said, kept beside the ledger: the newest checkpoint that a quorum cosigned, and whom each has seen.

Two files that can be lost: without them each witness is asked what it knows, and the next round makes a new note.  The
note is whole or absent; nothing here is secret, and nothing is trusted that was not verified when it was kept.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from pfgov.decoding import Reader
from pfgov.errors import file_errors
from pfgov.files import read_regular, replace_public
from pfgov_ledger import checkpoint, note
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.tlog_policy import Policy

NOTE: Final = "witnessed.note"
KNOWN: Final = "witnesses.json"


class Witnessed(Struct, frozen=True):
    """A checkpoint that a quorum of witnesses cosigned.

    Attributes:
        size: Entries that it covers.
        signed: The note, with the log's signature and the witnesses'.
        time: Since when a quorum has vouched for it, by the witnesses' clocks, in seconds since the epoch.
    """

    size: int
    signed: bytes
    time: int


def witnessed(signed: bytes, policy: Policy) -> Witnessed | None:
    """Return *signed* if enough witnesses of *policy* cosigned it, with a signature that holds; else None."""
    try:
        text, _ = note.split(signed)
        keys = [party.vkey for party in policy.witnesses.values()]
        opened = note.open_note(signed, keys, checkpoint.algorithms(keys))
        stated = checkpoint.parse_text(text)
    except LedgerError:
        return None
    times = sorted((one.time or 0, one.vkey.public) for one in opened.verified)
    for at in range(
        1, len(times) + 1
    ):  # in the order in which they vouched: the one that makes it enough says when
        if policy.is_met({public for _, public in times[:at]}):
            return Witnessed(stated.size, signed, times[at - 1][0])
    return None


def load_note(folder: Path, policy: Policy) -> Witnessed | None:
    """Return the note that was kept in *folder*, if it is there and still enough."""
    try:
        raw = read_regular(folder / NOTE)
    except OSError:
        return None
    return witnessed(raw, policy)


def kept(folder: Path) -> Witnessed | None:
    """Return the note that was kept in *folder* as it stands there: it was verified then, and is not here."""
    try:
        raw = read_regular(folder / NOTE)
        text, lines = note.split(raw)
        stated = checkpoint.parse_text(text)
    except (OSError, LedgerError):
        return None
    times = [
        int.from_bytes(signature[:8], "big")
        for _, _, signature in lines
        if len(signature) in _WITH_TIME
    ]
    return Witnessed(stated.size, raw, max(times)) if times else None


_SIZES: Final = Reader[dict[str, int]](dict[str, int])
_WITH_TIME: Final = (8 + 64, 8 + 2_420)
"""How long cosignatures are: a time, then Ed25519 or ML-DSA-44."""


def save_note(folder: Path, found: Witnessed) -> None:
    """Keep *found*.

    Raises:
        StoreUnavailableError: the file cannot be written.
    """
    _write(folder / NOTE, found.signed)


def load_known(folder: Path) -> dict[str, int]:
    """Return verifier key -> the size that this witness has seen; what cannot be read is asked again."""
    try:
        return _SIZES.decode(read_regular(folder / KNOWN))
    except (OSError, msgspec.MsgspecError):
        return {}


def save_known(folder: Path, known: Mapping[str, int]) -> None:
    """Keep whom each witness has seen; raises as :func:`save_note`."""
    _write(folder / KNOWN, msgspec.json.encode(known, order="sorted"))


def _write(path: Path, raw: bytes) -> None:
    with file_errors(path):
        replace_public(path, raw)
