"""Files that a command writes where it was told to: whole or not at all, and never into what lies there.

A name that was typed, or is used where none was, may be a link that somebody laid there, or a pipe that nobody reads.
What is in a file is not known here.
"""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pfgov.errors import PfgovError
from pfgov.files import public_opener


class OutputError(PfgovError):
    """A file that was asked for cannot be written; nothing is left of it."""

    code = "output.unwritable"
    exit_status = 4


@contextmanager
def target(path: Path, *, is_public: bool = False) -> Generator[BinaryIO]:
    """Give a file that takes its name when the block has ended well, and that only its owner may read.

    Args:
        path: Its name; ``-`` is standard output.
        is_public: Whether others may read it, as far as the umask lets them: nothing of a ledger is in it.

    Raises:
        OutputError: it cannot be written.
    """
    if str(path) == "-":
        import sys

        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OutputError(
            f"{path} is no file and is not replaced", hint="name a file that is no link"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "xb", opener=public_opener if is_public else _private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in {None, str(unfinished)}:
            raise _unwritable(path, error) from error
        raise


def put(path: Path, raw: bytes, *, is_public: bool = False) -> None:
    """Let *raw* be what is in the file *path*; as :func:`target`.

    Raises:
        OutputError: it cannot be written.
    """
    with target(path, is_public=is_public) as file:
        file.write(raw)


def _private(path: str, flags: int) -> int:
    """Open a file for its owner alone, whatever the umask: an export holds the contexts of packets."""
    return os.open(path, flags, 0o600)


def _unwritable(path: Path, error: OSError) -> OutputError:
    hints = {
        errno.ENOENT: f"make the folder first: {path.parent}",
        errno.ENOTDIR: f"{path.parent} is no folder; name another place with --out",
        errno.ENOSPC: "make room, or name a place on another disk with --out",
        errno.EDQUOT: "make room, or name a place on another disk with --out",
    }
    hint = hints.get(
        error.errno or 0, f"name a place where you may write, other than {path.parent}"
    )
    return OutputError(f"{path} cannot be written: {error.strerror or error}", hint=hint)
