"""Reading an export as a stream of lines, plain or gzip, in bounded memory.

Whatever the file is (empty, binary, a line without end, a compressed bomb), at most one line and
one buffer are held.  What the lines mean is not known here.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from pfgov_ledger import errors
from pfgov_ledger.export_format import LINE_BYTES_MAX

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The only member header that is accepted: no name, no time, no operating system (RFC 1952)."""
OTHER_GZIP: Final = "could not check: this gzip form is not the export's; gunzip it first"
_BUFFER_BYTES: Final = 1 << 18
_RAW_DEFLATE: Final = -15


class Readable(Protocol):
    """A binary file, or anything that reads like one."""

    def read(self, size: int = -1, /) -> bytes:
        """At most *size* bytes; none at the end."""
        ...


class LineReader:
    """Iterates over complete lines, without their line feeds.

    Attributes:
        lines: Complete lines given out.
        tail: What followed the last line feed, once the end was reached.
        is_cut: Whether the file ended inside a line or inside its compression.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._block: list[bytes] = []
        self._lines_before = 0
        self.lines = 0
        self.tail = b""
        self.is_cut = False

    def digest_before_last(self) -> str:
        """SHA-256 (hex) of all bytes before the line that iteration has just given out."""
        digest = self._digest.copy()
        for line in self._block[: self.lines - self._lines_before - 1]:
            digest.update(line + b"\n")
        return digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield lines.

        Raises:
            errors.LineOversizeError, errors.LineEndingError, errors.GzipError, errors.GzipTrailingError: See each.
        """
        pending = b""
        for block in self._blocks():
            data = pending + block
            self._block, self._lines_before = data.split(b"\n"), self.lines
            lines = self._block
            pending = lines.pop()
            for line in lines:
                if len(line) >= LINE_BYTES_MAX or line.endswith(b"\r"):
                    raise _refusal(line)
                self.lines += 1
                yield line
            if len(pending) >= LINE_BYTES_MAX:
                raise _refusal(pending)
            self._digest.update(memoryview(data)[: len(data) - len(pending)])
        self.tail = pending
        self.is_cut = self.is_cut or bool(pending)

    def _blocks(self) -> Iterator[bytes]:
        first = self._stream.read(_BUFFER_BYTES)
        while GZIP_HEADER.startswith(first) and (more := self._stream.read(_BUFFER_BYTES)):
            first += more
        if not first.startswith(GZIP_MAGIC) and first != GZIP_MAGIC[:1]:
            while first:
                yield first
                first = self._stream.read(_BUFFER_BYTES)
            return
        if not first.startswith(GZIP_HEADER):
            if GZIP_HEADER.startswith(first):
                self.is_cut = True
                return
            raise errors.GzipError(
                expected=GZIP_HEADER.hex(), found=first[: len(GZIP_HEADER)].hex()
            )
        yield from self._inflated(first[len(GZIP_HEADER) :])

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        inflater, crc, size = zlib.decompressobj(_RAW_DEFLATE), 0, 0
        while not inflater.eof:
            before = inflater.copy()
            try:
                block = inflater.decompress(data, _BUFFER_BYTES)
            except zlib.error as error:
                yield from _before_fault(before.decompress, data)
                raise errors.GzipError(str(error)) from None
            crc, size = zlib.crc32(block, crc), size + len(block)
            if block:
                yield block
            data = inflater.unconsumed_tail
            if not (data or block or inflater.eof):
                data = self._stream.read(_BUFFER_BYTES)
                if not data:
                    self.is_cut = True
                    return
        rest = inflater.unused_data
        while len(rest) <= 8 and (more := self._stream.read(_BUFFER_BYTES)):
            rest += more
        if len(rest) < 8:
            self.is_cut = True
            return
        if rest[:8] != crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"):
            raise errors.GzipError("the checksum does not fit")
        if len(rest) > 8:
            raise errors.GzipTrailingError


def is_other_gzip(path: Path) -> bool:
    """Whether the file at *path* is gzip of another form than an export's: packed again, and no sign of forgery."""
    try:
        with path.open("rb") as file:
            head = file.read(len(GZIP_HEADER))
    except OSError:
        return False
    return head.startswith(GZIP_MAGIC) and head != GZIP_HEADER[: len(head)]


def _before_fault(decompress: Callable[[bytes], bytes], data: bytes) -> Iterator[bytes]:
    """What *data* gives before the byte with which it is found to be damaged, however it is buffered.

    In blocks: byte by byte a long line would be begun anew with each.
    """
    block = bytearray()
    for at in range(len(data)):
        try:
            block += decompress(data[at : at + 1])
        except zlib.error:
            break
        if len(block) >= _BUFFER_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _refusal(line: bytes) -> errors.LedgerError:
    if len(line) >= LINE_BYTES_MAX:
        return errors.LineOversizeError(expected=f"at most {LINE_BYTES_MAX} bytes")
    return errors.LineEndingError()
