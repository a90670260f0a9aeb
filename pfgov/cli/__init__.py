"""The command line: ``pfgov``.

Exit status: 0 yes or done, 1 checked and failed, denied or refused, 2 the command line or the input is wrong, 3 a
policy does not compile, 4 it could not be checked or stored, 5 an export is cut short, 130 interrupted, 141 nobody
read its words to the end.  Each sub-command is imported when it is called.  This module knows how a run ends, and no
command.
"""

import gc
import os
import sys
from collections.abc import Sequence

from pfgov_ledger.streams import quiet_stdout, show_anything, take_places

DEBUG_VARIABLE = "PFGOV_DEBUG"
"""With this environment variable set, an error shows its traceback."""

INTERRUPTED = 130

UNHEARD = 141
"""As of every tool that a closed pipe ends (128 and SIGPIPE): what it found is not known, and is no yes."""


COLLECTED_EVERY = (10_000, 10, 10)
"""Allocations, and collections of the younger generation, after which Python looks for garbage in cycles.

To load a command makes hundreds of thousands of things that all stay: Python's own 700 cost a twentieth of a short run.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    gc.set_threshold(*COLLECTED_EVERY)
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        take_places()
    show_anything()
    given = list(sys.argv[1:] if arguments is None else arguments)
    status = run(given)
    if status:
        try:
            sys.stdout.flush()
        except OSError:  # it is said already
            quiet_stdout()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; errors are printed, not raised."""
    from pfgov.cli.failures import report
    from pfgov.cli.output import Output
    from pfgov.cli.tree import completed, root

    if completed():
        return 0
    output = Output(json="--json" in arguments)
    status: object = UNHEARD
    try:
        with root.make_context("pfgov", list(arguments), obj=output) as context:
            status = root.invoke(context)
        sys.stdout.flush()
    except BrokenPipeError:
        quiet_stdout()
        # If it was done, its last words alone were lost.
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # the last resort: a sentence instead of a traceback
        if os.environ.get(DEBUG_VARIABLE):
            raise
        return report(error, output)
    return status if isinstance(status, int) else 0
