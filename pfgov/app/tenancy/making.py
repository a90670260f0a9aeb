"""Making one ledger of many while a server runs: all of it under another name first, then moved to where it is served.

What is not finished lies under a name that no ledger can have, so that nobody serves it, and is taken away: at once
when a step fails, by a later making when the process ended between two steps.  Who may make one, and who may enter it,
is not known here; for the disk alone, and for threads.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pfgov.app.tenancy import limits
from pfgov.app.tenancy.names import is_name
from pfgov.clock import Clock
from pfgov.decoding import Reader
from pfgov.engine import Engine
from pfgov.errors import ConflictError, DuplicateError, InvalidError, file_errors
from pfgov.files import read_regular, replace_private
from pfgov.limits import MICRO
from pfgov.storage import open_store

MADE: Final = "made.json"
"""The file beside a ledger that says by which request it was made."""

UNFINISHED: Final = ".making-"
"""With what the names begin under which ledgers are made: no ledger's name does."""


class TooManyNamesError(ConflictError):
    """The folder has as many ledgers as may be known."""

    code = "ledger.too_many"


class Made(msgspec.Struct, frozen=True):
    """By which request a ledger was made; ``at`` in microseconds."""

    by: str
    asked: str
    origin: str
    at: int


_MADE: Final = Reader[Made](Made)


@dataclass(frozen=True, slots=True)
class Request:
    """A ledger that is wanted: its name, who asks, and a digest of all that was asked."""

    name: str
    by: str
    asked: str


def make_ledger(
    folder: Path, wanted: Request, clock: Clock, finish: Callable[[Path], None]
) -> tuple[Made, bool]:
    """Make a ledger in *folder*, or find the one that the same request made; return how, and whether it was there.

    Args:
        folder: The folder of the ledgers' folders.
        wanted: What is asked for.
        clock: Says when.
        finish: Puts the rest into its folder, before anybody sees that.

    Raises:
        InvalidError: that is no name.
        DuplicateError: ``ledger.exists``, there is something by that name, made otherwise.
        TooManyNamesError: the folder is full.
        PfgovError: ``store.*`` or ``key.*``, it cannot be written; nothing is left of it.
    """
    if not is_name(wanted.name):
        raise InvalidError(f"{wanted.name[:64]!r} cannot name a ledger", pointer="/name")
    target = folder / wanted.name
    with file_errors(folder):
        if os.path.lexists(target):
            return _found(target, wanted), True
        if sum(is_name(one.name) for one in folder.iterdir()) >= limits.NAMED_LEDGERS_MAX:
            raise TooManyNamesError(
                f"there are {limits.NAMED_LEDGERS_MAX} ledgers already", hint="use another server"
            )
        _clear(folder, clock.now())
        unfinished = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
        unfinished.mkdir(mode=0o700)
    try:
        with Engine.create(open_store(unfinished), clock=clock) as engine:
            made = Made(wanted.by, wanted.asked, engine.status().origin, clock.now())
        finish(unfinished)
        with file_errors(target):
            replace_private(unfinished / MADE, msgspec.json.encode(made), durably=True)
            _move(unfinished, target, wanted.name)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return made, False


def _found(target: Path, wanted: Request) -> Made:
    """Return how the ledger there was made, if it was by what is wanted now."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        made = _MADE.decode(read_regular(target / MADE))
        if (made.by, made.asked) == (wanted.by, wanted.asked):
            return made
    raise _exists(wanted.name)


def _exists(name: str) -> DuplicateError:
    return DuplicateError(
        f"there is a ledger {name} already",
        code="ledger.exists",
        hint="choose another name: pfgov ledger list",
        pointer="/name",
    )


def _move(unfinished: Path, target: Path, name: str) -> None:
    """Let *unfinished* be at *target* from now on, unless something came there meanwhile."""
    if os.path.lexists(target):
        raise _exists(name)
    unfinished.rename(target)
    handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear(folder: Path, now: int) -> None:
    """Take away what makings left that ended between two steps; not what another process may be at."""
    for one in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if now / MICRO - one.stat().st_mtime > limits.UNFINISHED_SECONDS:
                shutil.rmtree(one, ignore_errors=True)
