"""``python -P -m pfgov.cli``: the same as ``pfgov``."""

from pfgov.interpreter import leave_current_folder

if __name__ == "__main__":
    leave_current_folder()
    from pfgov.cli import main

    main()
