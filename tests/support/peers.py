"""Programs that are not ours and are built from Go's module proxy: where they are, and how to get them.

``make peers`` builds them into ``build/peers``; a variable of the environment may name another file.  Tests that need
one skip where it is not, with what :func:`missing` says.
"""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "peers"


def peer(name: str) -> str:
    """Return the program of that *name*: what ``PFGOV_NAME`` says, else what was built, else an empty text."""
    built = BUILT / name
    return os.environ.get(_variable(name)) or (str(built) if built.is_file() else "")


def missing(name: str) -> str:
    """Return why a test of *name* skips, and what to do."""
    return f"{name} is not here: make peers (needs Go), or name it in {_variable(name)}"


def _variable(name: str) -> str:
    return f"PFGOV_{name.upper()}"
