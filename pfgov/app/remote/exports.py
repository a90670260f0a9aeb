"""An export as a server sends it, held against the digest that the server names for it.

What the export proves is not asked here: that is the verifier's business.
"""

import hashlib
from typing import BinaryIO, Final

from pfgov.app.remote.errors import CutExportError
from pfgov.app.remote.session import Session
from pfgov_ledger.export import GzipWriter, Progress, Written
from pfgov_ledger.export_format import LINE_BYTES_MAX

WRITTEN: Final = "pfgov-export"
"""The header that says what was written."""


def fetch(
    session: Session, path: str, file: BinaryIO, progress: Progress | None, *, compress: bool
) -> Written:
    """Write the export at *path* to *file*.

    Raises:
        CutExportError: it is not the one that the server wrote, or none.
        PfgovError: the server refuses, or cannot be asked.
    """
    out = GzipWriter(file) if compress else file
    body = _Body()
    with session.stream(path) as answer:
        written = _written(answer.headers.get(WRITTEN, ""))
        for piece in answer.iter_bytes():
            out.write(piece)
            body.add(piece)
            if body.held > LINE_BYTES_MAX:
                raise CutExportError(
                    f"what {session.to.url} sent is no export: a line of it is longer than any has",
                    hint="is that the server, and this its address? --url, or PFGOV_URL",
                )
            if progress is not None:
                progress(min(body.lines, written.entries), written.entries)
    if isinstance(out, GzipWriter):
        out.close()
    if body.sha256 != written.sha256:
        raise CutExportError(
            f"the export that {session.to.url} sent is not the one that it wrote",
            hint="fetch it again; if that goes on, something on the way changes it",
        )
    return written


class _Body:
    """Takes notice of an export that passes: its lines, and the digest of all but the last."""

    def __init__(self) -> None:
        self.lines = 0
        self._digest = hashlib.sha256()
        self._last = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._last)

    def add(self, piece: bytes) -> None:
        """Take the next piece; the last whole line is held back, because it may be the trailer."""
        before = self.held
        self._last += piece
        # No line ends in what was held back, but perhaps with its last byte.
        end = self._last.rfind(b"\n", max(before - 1, 0), max(self.held - 1, 0)) + 1
        self._digest.update(self._last[:end])
        del self._last[:end]
        self.lines += piece.count(b"\n")

    @property
    def sha256(self) -> str:
        """The digest before the last line."""
        return self._digest.hexdigest()


def _written(text: str) -> Written:
    """Return what the header of an export says."""
    answer: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        answer[name] = value
    numbers = {n: int(v) for n, v in answer.items() if v.isascii() and v.isdigit() and len(v) <= 15}
    known = ("size", "entries", "attachments", "policies", "altered", "lines")
    return Written(
        kind=answer.get("kind", "full"),
        sha256=answer.get("sha256", ""),
        **{name: numbers.get(name, 0) for name in known},
    )
