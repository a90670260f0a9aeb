"""Files that are read and made: whatever lies under a name, nobody waits for it, and nothing is replaced by half.

What is in them is not known here.
"""

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, most: int) -> tuple[bytes, int]:
    """The first *most* bytes of the file *path*, and its mode.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    # O_NONBLOCK: whoever reads a pipe waits for somebody to write it, perhaps for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle).st_mode
        if not stat.S_ISREG(found):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(most), stat.S_IMODE(found)


def create(path: Path, data: bytes, mode: int) -> None:
    """Make the file *path*, durably and as a whole or not at all; it replaces nothing.

    One process at a time: what an interrupted one left beside *path* is removed.

    Args:
        path: Where.
        data: What is in it.
        mode: Its permissions, less what the umask takes; where they are its owner's alone, whatever the umask is.

    Raises:
        OSError: Something lies there already, or it cannot be written.
    """
    part = path.parent / f"{path.name}.part"
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if not mode & 0o077:
                os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.link(part, path)  # unlike a rename it never replaces anything
    finally:
        part.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
