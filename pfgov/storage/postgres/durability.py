"""What a loss would cost, by the settings of the database: nothing here is set, and nothing is refused.

A commit is as durable as the database makes it.  What it does not promise is said in sentences,
for whoever operates it.
"""

from typing import Final

from pfgov.storage.postgres.connections import Address, connect
from pfgov.storage.postgres.errors import translating

_SETTINGS: Final = """SELECT current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
    (SELECT count(*) FROM pg_stat_replication)"""


def risks(address: Address) -> tuple[str, ...]:
    """Return what a loss of the database's primary would cost, in sentences; nothing where it costs nothing.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    connection = connect(address, read_only=True)
    try:
        with translating(address.location):
            row = connection.execute(_SETTINGS).fetchone()
    finally:
        connection.close()
    return () if row is None else weighed(*row)


def weighed(
    fsync: str, full_pages: str, commit: str, standbys: str, connected: int
) -> tuple[str, ...]:
    """Return what these settings cost; *connected* counts the standbys that are there."""
    said: list[str] = []
    if fsync == "off":
        said.append("fsync is off: a crash of the database's machine may lose or damage everything")
    if full_pages == "off":
        said.append("full_page_writes is off: a crash in the middle of a write may damage pages")
    if commit == "off":
        said.append(
            "synchronous_commit is off: a crash loses what was acknowledged in the last moments"
        )
    if not standbys:
        others = f"{connected} asynchronous" if connected else "no"
        said.append(
            f"there is {others} standby and no synchronous one: a loss of the primary's machine loses what was "
            "acknowledged last"
        )
    elif commit in {"off", "local"}:
        said.append(
            f"synchronous_commit is {commit}: commits do not wait for a standby, and its promotion loses the last ones"
        )
    elif commit == "remote_write":
        said.append(
            "synchronous_commit is remote_write: a loss of both machines loses what was acknowledged last"
        )
    return tuple(said)
