"""How this program starts its own interpreter again: nothing is imported from the folder that somebody stands in.

Python puts the current folder, or that of a script, in front of where it looks for modules.  A ``queue.py`` lying there
would run in the writer process, beside the signing keys.  A child therefore starts on a safe path (``-P``) and is told
where this process found its modules, without that folder.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
"""Where this package lies."""


def command(*arguments: str) -> list[str]:
    """Return the words that start this interpreter with *arguments*, on a safe path."""
    return [sys.executable, "-P", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return the environment for such a child, and for whatever it starts: this one's, with *more*."""
    return {
        **os.environ,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(safe_path(sys.path)),
        **more,
    }


def safe_path(path: Sequence[str]) -> list[str]:
    """Return *path* without relative folders, and without the current one unless this package lies there."""
    try:
        here = Path.cwd().resolve()
    except OSError:  # it is gone: nothing can be imported from there
        here = None
    return [
        one
        for one in path
        if Path(one).is_absolute() and ((found := Path(one).resolve()) != here or found == HOME)
    ]


def leave_current_folder() -> None:
    """Import nothing more from the current folder, for a program that was started with ``python -m``."""
    if not sys.flags.safe_path:
        sys.path[:] = safe_path(sys.path)
