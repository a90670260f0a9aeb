"""``python -P -m pfgov_ledger``: the same as ``pfgov-verify``.

Without ``-P`` Python puts the current folder first among the places to import from, and whoever wrote the
export may have written that folder.  It is taken out before anything else is imported; a module
called ``pfgov_ledger`` there would still have run instead of this one, which only ``-P`` prevents.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    here = os.getcwd()  # noqa: PTH109 (pathlib is not imported yet, and must not be)
    sys.path[:] = [place for place in sys.path if place not in {"", here}]
    os.environ["PYTHONSAFEPATH"] = "1"  # for the processes that check signatures

from pfgov_ledger.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
