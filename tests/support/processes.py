"""Whether a process runs.

One that ended stays in the process table until its parent has asked how; where its parent is gone, until process 1
has.  In some containers process 1 never asks, so that its number, its folder in ``/proc`` and signals to it are
there for good.
"""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether *pid* is there and has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
