"""Where the suite writes: in memory, where there is room for it.

Most tests write ledgers, and each commit waits for the disk.  No test is about that wait: a process that is killed
loses nothing on either kind of file system.  What measures a disk (``tests/bench``) does not come by here.  ``TMPDIR``
says otherwise.
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "pfgov-tests-"
FREE_BYTES_MIN = 6 << 30  # the suite writes 1 GB at most at a time
MEMORY_BYTES_MIN = 8 << 30


def _available_bytes() -> int:
    """Return how much memory the kernel could still give: 0 where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(one.split()[1]) << 10 for one in lines if one.startswith("MemAvailable:")), 0)


def _is_over(folder: Path) -> bool:
    """Whether the run that made *folder* has ended."""
    number = folder.name.removeprefix(PREFIX).partition("-")[0]
    return number.isdecimal() and not Path("/proc", number).exists()


def make() -> Path | None:
    """Make a folder in memory and have every temporary file of this process and its children go there.

    Returns:
        The folder, for :func:`give_back`; None where the disk is used.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return None
    for left in MEMORY.glob(PREFIX + "*"):
        if _is_over(left):
            shutil.rmtree(left, ignore_errors=True)
    if shutil.disk_usage(MEMORY).free < FREE_BYTES_MIN or _available_bytes() < MEMORY_BYTES_MIN:
        return None
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o711)  # some tests give a folder in it to another user
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def give_back(folder: Path) -> None:
    """Remove what :func:`make` made; from here on temporary files go where they went before."""
    os.environ.pop("TMPDIR", None)
    tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)
