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
from typing import Final, NamedTuple

from pfgov_ledger import canonical, errors, vocabulary
from pfgov_ledger.canonical import Json

VERSION: Final = 1
ENTRY_BYTES_MAX: Final = 65_535
"""C2SP tlog-tiles holds entries behind a 16-bit length."""
ZERO: Final = bytes(32)
"""``prev`` of the first entry and ``subject_prev`` of a subject's first."""

KEYS: Final = (
    "body", "command", "issuer", "log", "prev", "seq", "subject", "subject_prev", "subject_seq",
    "term", "time", "type", "v",
)  # fmt: skip
"""The members of an entry, in canonical order."""

HEX32: Final = re.compile(r"[0-9a-f]{64}")
_TYPE_PATTERN: Final = r"[a-z][a-z0-9_]{0,63}"
_ORIGIN_PATTERN: Final = r"[!#-*,-\[\]-~]{1,255}"
_ORIGIN: Final = re.compile(_ORIGIN_PATTERN)
_KEY_SET: Final = frozenset(KEYS)


class Entry(NamedTuple):
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
    r"""Whether *text* may name a log: 1-255 of printable ASCII without space, ``+``, ``"``, ``\``."""
    return _ORIGIN.fullmatch(text) is not None


def is_genesis(of: "Entry") -> bool:
    """Whether *of* says that it is the first entry of a log."""
    return of.seq == 0 and of.type == "ledger_created"


def leaf_hash(raw: bytes) -> bytes:
    """``SHA-256(0x00 || raw)``: the Merkle leaf and the chain link of an entry (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + raw).digest()


_COUNT: Final = r"(0|[1-9][0-9]{0,15})"
_HASH: Final = r"([0-9a-f]{64})"
_BODY_AT: Final = len(b'{"body":')
_TAIL_START: Final = b',"command":{"index":'
_TAIL: Final = re.compile(
    (
        rf',"command":\{{"index":{_COUNT},"seq":{_COUNT}\}},"issuer":"{_HASH}",'
        rf'"log":"({_ORIGIN_PATTERN})","prev":"{_HASH}","seq":{_COUNT},'
        rf'"subject":"({vocabulary.SUBJECT_PATTERN})","subject_prev":"{_HASH}",'
        rf'"subject_seq":{_COUNT},"term":{_COUNT},"time":{_COUNT},"type":"({_TYPE_PATTERN})","v":1\}}'
    ).encode()
)
"""Everything after the body. Only the body is free-form; the rest has one spelling."""


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
    end = raw.rfind(_TAIL_START)
    tail = _TAIL.fullmatch(raw, end) if end > 0 and raw.startswith(b'{"body":{') else None
    if tail is None:
        raise _refusal(raw)
    (
        index,
        command_seq,
        issuer,
        log,
        prev,
        seq,
        subject,
        subject_prev,
        subject_seq,
        term,
        time,
        kind,
    ) = tail.group(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    if max(map(int, (seq, term, time, subject_seq, command_seq, index))) > canonical.INTEGER_MAX:
        raise _refusal(
            raw
        )  # what stops a parser of the whole comes before what the body alone shows
    body = canonical.decode(raw[_BODY_AT:end], depth_max=canonical.DEPTH_MAX - 1)
    if not isinstance(body, dict):
        raise errors.EntryShapeError("body is an object")
    entry = Entry(
        VERSION, log.decode(), int(seq), int(term), bytes.fromhex(prev.decode()), subject.decode(),
        int(subject_seq), bytes.fromhex(subject_prev.decode()), bytes.fromhex(issuer.decode()),
        int(time), int(command_seq), int(index), kind.decode(), body, raw, leaf_hash(raw),
    )  # fmt: skip
    if entry.command_seq + entry.command_index != entry.seq:
        raise errors.CommandReferenceError(
            position=entry.seq,
            expected=f"{entry.seq}",
            found=f"{command_seq.decode()} + {index.decode()}",
        )
    return entry


def subject_of(raw: bytes) -> tuple[str, int]:
    """The subject in an entry's bytes and its number there, without reading the body.

    Raises:
        MalformedError: They are not an entry's.
    """
    end = raw.rfind(_TAIL_START)
    tail = _TAIL.fullmatch(raw, end) if end > 0 else None
    if tail is None:
        raise _refusal(raw)
    return tail[7].decode(), int(tail[9])


def _refusal(raw: bytes) -> errors.LedgerError:
    """What is wrong with bytes that do not have the shape of an entry."""
    try:
        found = canonical.decode(raw)
    except errors.MalformedError as error:
        return error
    if not isinstance(found, dict):
        return errors.EntryShapeError("an entry is an object")
    if type(found.get("v")) is not int or found["v"] != VERSION:
        return errors.VersionError(expected=str(VERSION), found=repr(found.get("v"))[:40])
    if found.keys() != _KEY_SET:
        odd = sorted(found.keys() ^ _KEY_SET)
        return errors.EntryShapeError("members missing or unknown", found=", ".join(odd)[:200])
    for name, value in found.items():
        wanted = _SHAPES.get(name)
        text = str(value) if type(value) is int else value
        if wanted is not None and not (isinstance(text, str) and re.fullmatch(wanted, text)):
            return errors.EntryShapeError(f"{name} is not as it must be", found=repr(value)[:80])
    return errors.EntryShapeError("body or command is not as it must be")


_SHAPES: Final = {
    **dict.fromkeys(("issuer", "prev", "subject_prev"), _HASH),
    "log": _ORIGIN_PATTERN,
    "subject": vocabulary.SUBJECT_PATTERN,
    "type": _TYPE_PATTERN,
    **dict.fromkeys(("seq", "subject_seq", "term", "time"), _COUNT),
}
"""What each scalar member looks like, numbers as text."""


def check_subject(entry: Entry) -> None:
    """Refuse an entry whose subject is not the one that its type and body name.

    Raises:
        EventUnknownError: The type is not in the vocabulary.
        SubjectMismatchError: The subject is another one, or the body names none.
    """
    named = vocabulary.subject_of(entry.type, entry.body)
    if named != entry.subject:
        raise errors.SubjectMismatchError(position=entry.seq, expected=named, found=entry.subject)
