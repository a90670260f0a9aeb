"""The lines of a lineage export: what each kind looks like, and how it is read.

``FORMAT.md`` section "Export".  A line is canonical JSON and a line feed, at most
:data:`LINE_BYTES_MAX` bytes; its kind is its set of members.  This module neither reads files nor
believes anything that a line says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from pfgov_ledger import canonical, entry, errors, merkle, strict64, vocabulary
from pfgov_ledger.canonical import Json
from pfgov_ledger.subject_map import MapProof

VERSION: Final = 1
LINE_BYTES_MAX: Final = 131_072
"""The longest line, its line feed counted."""
CHUNK_BYTES_MAX: Final = 65_536
"""Payload bytes in one attachment or policy line."""
ATTACHMENT_CHUNKS_MAX: Final = 64
"""Chunks of one payload."""
POLICY_CHUNKS_MAX: Final = 256
"""Chunks of one policy set."""
TEXT_MAX: Final = 255
"""Characters of a text in the header."""
KINDS: Final = ("full", "subject", "range")

_ENTRY_START, _ENTRY_MIDDLE, _ENTRY_END = b'{"e":"', b'","s":"', b'"}'
_ENTRY_AT: Final = len(_ENTRY_START)
_SIGNATURE_AT: Final = -len(strict64.encode(bytes(64)) + '"}')
_MIDDLE_AT: Final = _SIGNATURE_AT - len(_ENTRY_MIDDLE)
_PAYLOAD: Final = re.compile(
    rb'\{"attachment":"([0-9a-f]{64})","chunk":0,"chunks":1,"data":"([^"]*)",'
    rb'"field":"([a-z][a-z0-9_]{0,63})","salt":"([^"]*)"\}'
)
"""The two lines that most of a file consists of, without a JSON parser."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: what the file says it is. Untrusted; a reader asks its own question.

    ``size`` is the checkpoint's size, ``start`` and ``stop`` the range of entries shown, ``subject``
    the subject of a subject export, ``writer`` free text.
    """

    kind: str
    origin: str
    size: int
    start: int
    stop: int
    subject: str | None
    writer: str


class EntryLine(NamedTuple):
    """An entry's bytes, its issuer signature, and in partial exports its inclusion path."""

    raw: bytes
    signature: bytes
    path: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class ChunkLine:
    """A piece of a payload (``salt`` and ``field`` set) or of a policy set (both None)."""

    digest: str
    chunk: int
    chunks: int
    data: bytes
    salt: bytes | None
    field: str | None


@dataclass(frozen=True, slots=True)
class AlteredLine:
    """The exporter has no payload that opens the commitment *digest*: what it kept there was changed."""

    digest: str


@dataclass(frozen=True, slots=True)
class MapLine:
    """Where the subject map committed in entry *index* has *subject*, or shows that it has not."""

    index: int
    subject: str
    proof: MapProof


@dataclass(frozen=True, slots=True)
class ConsistencyLine:
    """The proof that the checkpoint's tree extends the tree of the first *since* entries."""

    since: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CheckpointLine:
    """The signed checkpoint."""

    note: bytes


@dataclass(frozen=True, slots=True)
class Trailer:
    """The last line: counts, and the digest of all bytes before it. It detects damage, no more."""

    entries: int
    lines: int
    sha256: str


Line: TypeAlias = (
    Header
    | EntryLine
    | ChunkLine
    | AlteredLine
    | MapLine
    | ConsistencyLine
    | CheckpointLine
    | Trailer
)


# --- reading ---------------------------------------------------------------------------------


def parse_line(text: bytes) -> Line:
    """Read one line, given without its line feed.

    Raises:
        VersionError: A header of a version that this code does not know.
        errors.LineError: The line is none of the kinds.
        MalformedError: It is not canonical, or a value in it is not; the subclass says how.
    """
    return read_at_once(text) or read_strictly(text)


def read_at_once(text: bytes) -> EntryLine | ChunkLine | None:
    """What :func:`read_strictly` gives, for the lines that most of a file consists of; else None."""
    return _entry_at_once(text) or _payload_at_once(text)


def read_strictly(text: bytes) -> Line:
    """Read any line, and say what is wrong with it; see :func:`parse_line`."""
    members = canonical.decode(text)
    if not isinstance(members, dict):
        raise errors.LineError("a line is an object")
    reader: Callable[[dict[str, Json]], Line] | None = _READERS.get(frozenset(members))
    if reader is None:
        if "lineage" in members:
            _check_version(members["lineage"])
        raise errors.LineError("no line has these members", found=", ".join(sorted(members))[:200])
    return reader(members)


def _entry_at_once(text: bytes) -> EntryLine | None:
    """The entry line of a full export, if it is one beyond doubt; else the slow way says what is wrong."""
    if (
        text[:_ENTRY_AT] != _ENTRY_START
        or text[_MIDDLE_AT:_SIGNATURE_AT] != _ENTRY_MIDDLE
        or text[-2:] != _ENTRY_END
    ):
        return None
    raw = strict64.decode_at_once(text[_ENTRY_AT:_MIDDLE_AT])
    signature = strict64.decode_at_once(text[_SIGNATURE_AT:-2])
    if raw is None or signature is None:
        return None
    return EntryLine(raw, signature, None)


def _payload_at_once(text: bytes) -> ChunkLine | None:
    """The line of a payload that fits in one, if it is one beyond doubt."""
    match = _PAYLOAD.fullmatch(text)
    if match is None:
        return None
    digest, encoded, field, encoded_salt = match.groups()
    data, salt = strict64.decode_at_once(encoded), strict64.decode_at_once(encoded_salt)
    if data is None or len(data) > CHUNK_BYTES_MAX or salt is None or len(salt) != 32:
        return None
    return ChunkLine(digest.decode(), 0, 1, data, salt, field.decode())


def _check_version(version: Json) -> None:
    if type(version) is not int or version != VERSION:
        raise errors.VersionError(expected=str(VERSION), found=repr(version)[:40])


def _header(members: dict[str, Json]) -> Header:
    _check_version(members["lineage"])
    kind, origin, writer = (_text(members, name) for name in ("kind", "origin", "writer"))
    subject = members["subject"]
    if kind not in KINDS or not entry.is_origin(origin):
        raise errors.LineError("the header names no kind or no origin")
    if kind != "subject":
        if subject is not None:
            raise errors.LineError("a subject export, and no other, names a subject")
    elif not isinstance(subject, str) or not vocabulary.is_subject(subject):
        raise errors.LineError("not a subject", found=repr(subject)[:80])
    size, start, stop = (_count(members, name) for name in ("size", "start", "stop"))
    named = subject if isinstance(subject, str) else None
    return Header(kind, origin, size, start, stop, named, writer)


def _entry(members: dict[str, Json]) -> EntryLine:
    raw, signature = strict64.decode(_long(members, "e")), strict64.decode(_long(members, "s"))
    return EntryLine(raw, signature, _path(members["p"]) if "p" in members else None)


def _attachment(members: dict[str, Json]) -> ChunkLine:
    salt, field = strict64.decode(_text(members, "salt"), size=32), _text(members, "field")
    return _chunk(members, "attachment", ATTACHMENT_CHUNKS_MAX, salt, field)


def _altered(members: dict[str, Json]) -> AlteredLine:
    return AlteredLine(_digest(members, "altered"))


def _policy(members: dict[str, Json]) -> ChunkLine:
    return _chunk(members, "policy", POLICY_CHUNKS_MAX, None, None)


def _chunk(
    members: dict[str, Json], name: str, chunks_max: int, salt: bytes | None, field: str | None
) -> ChunkLine:
    digest, data = _digest(members, name), strict64.decode(_long(members, "data"))
    chunk, chunks = _count(members, "chunk"), _count(members, "chunks")
    if not chunk < chunks <= chunks_max or len(data) > CHUNK_BYTES_MAX:
        raise errors.LineError("not a chunk", found=f"{chunk} of {chunks}, {len(data)} bytes")
    return ChunkLine(digest, chunk, chunks, data, salt, field)


def _digest(members: dict[str, Json], name: str) -> str:
    digest = _text(members, name)
    if entry.HEX32.fullmatch(digest) is None:
        raise errors.LineError("a digest is 64 lowercase hexadecimal digits")
    return digest


def _map(members: dict[str, Json]) -> MapLine:
    subject = _text(members, "subject")
    if not vocabulary.is_subject(subject):
        raise errors.LineError("not a subject", found=subject[:80])
    return MapLine(_count(members, "index"), subject, MapProof.from_json(members["map"]))


def _consistency(members: dict[str, Json]) -> ConsistencyLine:
    return ConsistencyLine(_count(members, "since"), _path(members["consistency"]))


def _checkpoint(members: dict[str, Json]) -> CheckpointLine:
    return CheckpointLine(_long(members, "checkpoint").encode())


def _trailer(members: dict[str, Json]) -> Trailer:
    digest = _text(members, "sha256")
    return Trailer(_count(members, "entries"), _count(members, "lines"), digest)


_READERS: Final[dict[frozenset[str], Callable[[dict[str, Json]], Line]]] = {
    frozenset({"kind", "lineage", "origin", "size", "start", "stop", "subject", "writer"}): _header,
    frozenset({"e", "s"}): _entry,
    frozenset({"e", "p", "s"}): _entry,
    frozenset({"attachment", "chunk", "chunks", "data", "field", "salt"}): _attachment,
    frozenset({"altered"}): _altered,
    frozenset({"chunk", "chunks", "data", "policy"}): _policy,
    frozenset({"index", "map", "subject"}): _map,
    frozenset({"consistency", "since"}): _consistency,
    frozenset({"checkpoint"}): _checkpoint,
    frozenset({"entries", "lines", "sha256"}): _trailer,
}
"""The members of a line -> how it is read: the closed set of line kinds."""


def _long(members: dict[str, Json], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise errors.LineError(f"{name} is a string")
    return value


def _text(members: dict[str, Json], name: str) -> str:
    value = _long(members, name)
    if len(value) > TEXT_MAX:
        raise errors.LineError(f"{name} is too long")
    return value


def _count(members: dict[str, Json], name: str) -> int:
    value = members[name]
    if type(value) is not int or value < 0:
        raise errors.LineError(f"{name} is an integer, zero or more")
    return value


def _path(value: Json) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > merkle.PROOF_HASHES_MAX:
        raise errors.LineError("a proof is a list of hashes")
    hashes: list[bytes] = []
    for item in value:
        if not isinstance(item, str):
            raise errors.LineError("a hash is a string")
        hashes.append(strict64.decode(item, size=merkle.HASH_BYTES))
    return tuple(hashes)
