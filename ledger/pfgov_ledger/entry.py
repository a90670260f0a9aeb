"""An entry: one event, its place in the log, and the bytes that say so.

Entry bytes are canonical JSON (``FORMAT.md`` section 3).  The bytes are what is stored, hashed,
signed and exported; the fields here are only read from them.  The leaf hash is
``SHA-256(0x00 || bytes)`` (RFC 6962 section 2.1) and serves three structures at once: the chain
(``prev``), the chain of a subject (``subject_prev``) and the Merkle tree.

This module checks one entry alone.  Whether entries follow one another, and who signed them,
is for the verifier.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import canonical, errors, vocabulary
from pfgov_ledger.canonical import Json

VERSION: Final = 1
ENTRY_BYTES_MAX: Final = 65_535
"""C2SP tlog-tiles holds entries behind a 16-bit length."""
ORIGIN_BYTES_MAX: Final = 255
ZERO: Final = bytes(32)
"""``prev`` of the first entry and ``subject_prev`` of a subject's first."""

KEYS: Final = (
    "body", "command", "issuer", "log", "prev", "seq", "subject", "subject_prev", "subject_seq",
    "term", "time", "type", "v",
)  # fmt: skip
"""The members of an entry, in canonical order."""

HEX32: Final = re.compile(r"[0-9a-f]{64}")
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ORIGIN: Final = re.compile(r"[!-*,-~]{1,255}")
_KEY_SET: Final = frozenset(KEYS)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry's bytes say, beside the bytes and their leaf hash.

    ``prev``, ``subject_prev`` and ``issuer`` are 32 raw bytes here and lowercase hexadecimal in
    JSON; ``time`` is microseconds since the epoch, asserted by the writer; the command is the one
    recorded in entry ``command_seq``, of which this is event number ``command_index``.
    """

    v: int
    log: str
    seq: int
    term: int
    prev: bytes
    subject: str
    subject_seq: int
    subject_prev: bytes
    issuer: bytes
    time: int
    command_seq: int
    command_index: int
    type: str
    body: dict[str, Json]
    raw: bytes
    leaf: bytes


def is_origin(text: str) -> bool:
    """Whether *text* may name a log: 1-255 printable ASCII characters, no space, no ``+``."""
    return _ORIGIN.fullmatch(text) is not None


def leaf_hash(raw: bytes) -> bytes:
    """``SHA-256(0x00 || raw)``: the Merkle leaf and the chain link of an entry (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + raw).digest()


def parse(raw: bytes) -> Entry:
    """Read an entry from exactly its bytes.

    Raises:
        OversizeError: More than :data:`ENTRY_BYTES_MAX` bytes.
        VersionError: ``v`` is not 1.
        CommandReferenceError: ``seq`` is not ``command.seq + command.index``.
        MalformedError: Not canonical, or not shaped like an entry; the subclass says how.
    """
    if len(raw) > ENTRY_BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {ENTRY_BYTES_MAX} bytes", found=str(len(raw)))
    found = canonical.decode(raw)
    if not isinstance(found, dict):
        raise errors.EntryShapeError("an entry is an object")
    if found.get("v") != VERSION or found["v"] is True:
        raise errors.VersionError(expected=str(VERSION), found=repr(found.get("v"))[:40])
    if found.keys() != _KEY_SET:
        odd = sorted(found.keys() ^ _KEY_SET)
        raise errors.EntryShapeError("members missing or unknown", found=", ".join(odd)[:200])
    command = found["command"]
    if not isinstance(command, dict) or command.keys() != {"index", "seq"}:
        raise errors.EntryShapeError("command is {index, seq}")
    body = found["body"]
    if not isinstance(body, dict):
        raise errors.EntryShapeError("body is an object")
    log, subject, kind = _text(found, "log"), _text(found, "subject"), _text(found, "type")
    if not is_origin(log):
        raise errors.EntryShapeError("log is an origin", found=log[:80])
    if not vocabulary.is_subject(subject):
        raise errors.EntryShapeError(
            "subject is packet/ID, member/ID, policy, keys or ledger", found=subject[:80]
        )
    if _TYPE.fullmatch(kind) is None:
        raise errors.EntryShapeError("type is a lowercase name", found=kind[:80])
    seq = _count(found, "seq")
    command_seq, command_index = _count(command, "seq"), _count(command, "index")
    if command_seq + command_index != seq:
        raise errors.CommandReferenceError(
            position=seq, expected=f"{seq}", found=f"{command_seq} + {command_index}"
        )
    return Entry(
        VERSION, log, seq, _count(found, "term"), _hash(found, "prev"), subject,
        _count(found, "subject_seq"), _hash(found, "subject_prev"), _hash(found, "issuer"),
        _count(found, "time"), command_seq, command_index, kind, body, raw, leaf_hash(raw),
    )  # fmt: skip


def check_subject(entry: Entry) -> None:
    """Refuse an entry whose subject is not the one that its type and body name.

    Raises:
        EventUnknownError: The type is not in the vocabulary.
        SubjectMismatchError: The subject is another one, or the body names none.
    """
    named = vocabulary.subject_of(entry.type, entry.body)
    if named != entry.subject:
        raise errors.SubjectMismatchError(position=entry.seq, expected=named, found=entry.subject)


def _text(members: dict[str, Json], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise errors.EntryShapeError(f"{name} is a string")
    return value


def _count(members: dict[str, Json], name: str) -> int:
    value = members[name]
    if not isinstance(value, int) or value is True or value is False or value < 0:
        raise errors.EntryShapeError(f"{name} is an integer, zero or more")
    return value


def _hash(members: dict[str, Json], name: str) -> bytes:
    value = members[name]
    if not isinstance(value, str) or HEX32.fullmatch(value) is None:
        raise errors.EntryShapeError(f"{name} is 64 lowercase hexadecimal digits")
    return bytes.fromhex(value)
