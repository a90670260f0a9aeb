"""``python -m pfgov.cli``: the same as ``pfgov``."""

from pfgov.cli import main

if __name__ == "__main__":
    main()
