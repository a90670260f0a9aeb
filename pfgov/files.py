"""Files of ours, read and replaced: what lies under a name may be anything, and must neither hang nor fill anybody.

A pipe that nobody writes to keeps its reader waiting for ever, one that nobody reads its writer, and a device never
ends.  Under a name where a file of ours belongs only a regular file is read, and of that no more than it may have; what
is written goes to a new file, never into one that lies there.  This module does not know what is in any of them.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, Final

OURS_BYTES_MAX: Final = 4 << 20
"""More than any file has that pfgov writes for itself."""


def check_regular(path: Path) -> None:
    """Refuse what is at *path*, if there is something, where somebody else is about to open it.

    Raises:
        OSError: it is no regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise _odd(path)


def _odd(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", str(path))


def read_regular(path: Path, most: int = OURS_BYTES_MAX) -> bytes:
    """Return what is in the file *path*: at most *most* bytes, and one more if it has more.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with _regular(path) as file:
        return file.read(most + 1)


@contextlib.contextmanager
def _regular(path: Path) -> Generator[BinaryIO]:
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise _odd(path)
        with os.fdopen(number, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(number)


def copy_regular(path: Path, to: Path) -> None:
    """Let what is in the file *path* be in the file *to*, as a whole, and readable for no more people at any time.

    Raises:
        OSError: it cannot be read or written, or is no regular file.
    """
    with _regular(path) as source:
        _replace(to, source, 0o600, durably=False)
        to.chmod(stat.S_IMODE(os.fstat(source.fileno()).st_mode) & 0o755)


def public_opener(path: str, flags: int) -> int:
    """Open a file that others may read and only its owner writes: as Python's ``open`` wants it."""
    return os.open(path, flags, 0o644)


def make_public(folder: Path) -> None:
    """Let *folder* be there, and what it lies in, for whoever the umask lets read it and for its owner alone to write.

    Raises:
        OSError: it cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o755, exist_ok=True)


def replace_private(path: Path, raw: bytes, *, durably: bool = False) -> None:
    """Let *raw* be what is in the file *path*, as a whole, for its owner alone; *durably* before this returns.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    _replace(path, raw, 0o600, durably=durably)


def replace_public(path: Path, raw: bytes, *, durably: bool = False) -> None:
    """Let *raw* be what is in the file *path*, as a whole, for whoever the umask lets read it; as the above.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    _replace(path, raw, 0o644, durably=durably)


def _replace(path: Path, raw: bytes | BinaryIO, mode: int, *, durably: bool) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)  # of a process that was killed, or somebody's pipe or link
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(raw, bytes):
                file.write(raw)
            else:
                shutil.copyfileobj(raw, file)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durably:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
