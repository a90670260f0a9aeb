"""What does not fit, kept to be shown to others: which of it proves something, and how much of each is kept.

Two checkpoints of one size with two roots, both signed by a log's key, prove that it has two histories, and nobody but
whoever holds that key can make them.  A signed checkpoint that does not fit what came with it proves nothing by itself,
for the other half may be anybody's.  What nobody signed proves nothing at all.  Each kind has room of its own, and what
was signed is known by the text that was signed: whatever else a stranger writes beside it makes it no other.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from pfgov.errors import file_errors
from pfgov.files import replace_private

FOLDER: Final = "evidence"

PROOFS_MAX: Final = 1_000
"""Files that are kept of what proves that one log has two histories; what comes after is not."""

SIGNED_MAX: Final = 256
"""Files of what a log's key signed and does not fit by itself; with one more the oldest gives way."""

UNSIGNED_MAX: Final = 64
"""Files of what nobody signed, which a server can make up without end; what comes after is not kept."""

_NAME: Final = re.compile(r"(?P<of>.*?)[0-9a-f]{64}\.txt", re.ASCII)


class Evidence:
    """The folder *evidence* in a folder of ours.  A log, where there are several, is named by *of*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def keep_proof(self, text: bytes, raw: bytes, of: str = "") -> str | None:
        """Keep *raw*, in which *text* is signed and proves something; return the file's name, None without room.

        Raises:
            StoreUnavailableError: it cannot be written; as of the others.
        """
        return self._keep(of, text, raw, PROOFS_MAX)

    def keep_signed(self, text: bytes, raw: bytes, of: str = "") -> str | None:
        """Keep *raw*, in which *text* is signed and does not fit by itself."""
        return self._keep(f"{of}signed-", text, raw, SIGNED_MAX, gives_way=True)

    def keep_unsigned(self, raw: bytes) -> str | None:
        """Keep *raw*, which nobody signed."""
        return self._keep("unsigned-", raw, raw, UNSIGNED_MAX)

    def _keep(
        self, of: str, known_by: bytes, raw: bytes, most: int, *, gives_way: bool = False
    ) -> str | None:
        name = f"{of}{hashlib.sha256(known_by).hexdigest()}.txt"
        path = self._folder / name
        with file_errors(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                kept = [one for one in self._folder.iterdir() if _is_of(one.name, of)]
                if len(kept) >= most and not gives_way:
                    return None
                kept.sort(key=lambda one: one.lstat().st_mtime_ns)
                for one in kept[: len(kept) - most + 1]:
                    one.unlink()
                replace_private(path, raw)
        return f"{FOLDER}/{name}"


def _is_of(name: str, of: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and found["of"] == of
