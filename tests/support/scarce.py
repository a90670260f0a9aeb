"""``python scarce.py serve ...``: the command line, in a process to which the system gives no threads and no processes.

From SIGUSR1 on (with ``SCARCE_AT_ONCE`` in the environment: from the beginning), until SIGUSR2, every new thread and
process is refused as a limit on processes refuses it.  With ``SCARCE_BY_LIMIT`` it is that limit (RLIMIT_NPROC), which
binds whoever gave up the superuser's privileges (:func:`support.api_process.without_privileges`).
"""

import errno
import os
import resource
import signal
import subprocess
import threading
from typing import Any

from pfgov.cli import main


class Refusing:
    """Stands before a function; while ``active`` it raises instead."""

    active = False

    def __init__(self, function: Any, error: BaseException) -> None:
        self._function = function
        self._error = error

    def __call__(self, *arguments: Any) -> Any:
        if Refusing.active:
            raise self._error
        return self._function(*arguments)


def _switch(number: int, _frame: Any) -> None:
    if "SCARCE_BY_LIMIT" in os.environ:
        most = 1 if number == signal.SIGUSR1 else MANY
        resource.setrlimit(resource.RLIMIT_NPROC, (most, MANY))
    else:
        Refusing.active = number == signal.SIGUSR1


MANY = 4_096


if __name__ == "__main__":
    thread: Any = threading
    thread._start_new_thread = Refusing(
        thread._start_new_thread, RuntimeError("can't start new thread")
    )
    process: Any = subprocess
    refused = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    process._fork_exec = Refusing(process._fork_exec, refused)
    for one in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(one, _switch)
    Refusing.active = "SCARCE_AT_ONCE" in os.environ
    main()
