"""What a ledger of many may be called, and which there are in a folder.

A name is a DNS label in lower case, so that it means the same in a path, in a host name and in every file system.  A
folder by another name, a file and a symbolic link are not looked into.
"""

import os
import re
from pathlib import Path
from typing import Final

from pfgov.app.tenancy.limits import NAMED_LEDGERS_MAX
from pfgov.errors import NotFoundError, file_errors

NAME_LENGTH_MAX: Final = 63
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class UnknownLedgerError(NotFoundError):
    """The server has no ledger of that name."""

    code = "ledger.unknown"


def unknown(name: str) -> UnknownLedgerError:
    """Return the error for a *name* that no ledger here has."""
    return UnknownLedgerError(
        f"there is no ledger {name[:NAME_LENGTH_MAX]!r} here",
        hint="check the address: it ends in /l/NAME, or begins with NAME where ledgers have hosts; or create it in the "
        "server's folder: pfgov init --dir DIR/NAME",
    )


def is_name(text: str) -> bool:
    """Whether *text* can name a ledger: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end."""
    return _NAME.fullmatch(text) is not None


def ledger_names(folder: Path) -> tuple[list[str], bool]:
    """Return the names in *folder*, in order, and whether there are more than may be known.

    Raises:
        StoreUnavailableError: the folder cannot be read.
    """
    with file_errors(folder), os.scandir(folder) as found:
        names = sorted(
            one.name for one in found if is_name(one.name) and one.is_dir(follow_symlinks=False)
        )
    return names[:NAMED_LEDGERS_MAX], len(names) > NAMED_LEDGERS_MAX


def is_folder(path: Path) -> bool:
    """Whether *path* is a folder itself, and no link to one."""
    return path.is_dir() and not path.is_symlink()
