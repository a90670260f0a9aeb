"""The command line.  Each sub-command is imported when it is called."""

import sys


def main() -> None:
    """Run the ``pfgov`` command line."""
    sys.exit("not built yet")
