"""Moving a ledger from its file into a database: every row, the keys beside it, and an end to the old place.

The old folder is locked all the while, so that nothing is written that would be missing.  It is closed only when
whoever moves the ledger is content with the copy; until then the copy can be thrown away.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pfgov.engine.layout import Layout
from pfgov.engine.maintenance.restoring import restore
from pfgov.errors import InvalidError, StoreCorruptError, StoreUnavailableError, file_errors
from pfgov.files import copy_regular
from pfgov.storage.port import Store

STORES: Final = (
    "ledger.db", "head.db", "writer.lock", "commit.lock", "head.lock", "store.url", "moved.txt",
)  # fmt: skip
"""Names, or their beginnings, of what belongs to a store and is not copied."""


@contextmanager
def migrating(old: Store, new: Store) -> Generator[int]:
    """Copy the ledger of *old* to *new*, give its size, and when the block ends well close the old place.

    Raises:
        InvalidError: ``migrate.kind``, the old one is in a database already.
        StoreCorruptError: ``store.rolled_back``, more was published than the old place holds.
        StoreLockedError: somebody writes it.
        PfgovError: ``store.*`` or ``ledger.exists``.
    """
    old.require()
    if old.can_be_led:
        raise InvalidError(
            f"{old.location} is in a database already",
            code="migrate.kind",
            hint="another database takes it over by its own means: pg_dump, or replication",
        )
    lock = old.lock_writer(None)
    try:
        _copy_beside(old.directory, new.directory)
        done = restore(new, Path(old.location), is_newest=True)
        known = old.read_head(done.origin)
        if known is None or known != new.read_head(done.origin):
            raise StoreCorruptError(
                f"the head lock of {old.directory} does not stand where its ledger ends",
                code="store.rolled_back",
                hint="let a writer open it once: pfgov tick; then move it",
            )
        yield done.size
        old.leave_for(str(new.directory.absolute()))
    finally:
        lock.release()


def _copy_beside(old: Path, new: Path) -> None:
    """Copy keys, anchor and whatever else lies in the folder and is no store's."""
    Layout(new).make()
    with file_errors(new):
        for path in sorted(old.iterdir()):
            if path.name.startswith(STORES) or path.is_symlink():
                continue
            if path.is_file():
                copy_regular(path, new / path.name)
            elif path.name == "keys":
                for key in sorted(path.iterdir()):
                    copy_regular(key, new / "keys" / key.name)
    if not Layout(new).anchor.exists():
        raise StoreUnavailableError(f"there is no anchor in {old}", code="store.missing")
