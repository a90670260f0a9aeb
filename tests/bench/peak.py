"""The peak of a process's memory.

``ru_maxrss`` will not do: it goes on across ``exec``, so that a small process that a large one started says the size of
the large one.  ``VmHWM`` (proc(5)) begins anew with each program.
"""

import re
import sys
from pathlib import Path


def megabytes() -> float:
    """Return the largest resident size of this program so far, in MiB.

    Raises:
        SystemExit: the system has no ``/proc/self/status``.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        sys.exit("this system does not say how large a process became (no /proc/self/status)")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
