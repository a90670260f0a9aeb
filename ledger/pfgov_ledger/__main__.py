"""``python -m pfgov_ledger``: the same as ``pfgov-verify``."""

from pfgov_ledger.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
