"""Taking in a ledger that was kept in a file: every row of it, in one transaction, into a ledger that has none."""

import re
from pathlib import Path

from pfgov.errors import DuplicateError
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, connect
from pfgov.storage.postgres.errors import translating
from pfgov.storage.sqlite.copying import stored_rows


def copy_in(source: Path, address: Address) -> None:
    """Copy the ledger's database at *source* to *address*; all of it or nothing.

    Raises:
        DuplicateError: ``ledger.exists``, there are entries already.
        PfgovError: ``store.*``, the source cannot be read, or the database cannot be reached or written.
    """
    connection = connect(address)
    try:
        with translating(address.location):
            schema.create(connection)
            schema.check(connection)
            with connection.transaction():
                connection.execute(
                    "INSERT INTO pfgov.head (name) VALUES (%s) ON CONFLICT (name) DO NOTHING",
                    (address.name,),
                )
                row = connection.execute(
                    "SELECT ledger, size FROM pfgov.head WHERE name = %s FOR UPDATE",
                    (address.name,),
                ).fetchone()
                if row is None or row[1]:
                    raise DuplicateError(
                        f"{address.location} holds a ledger already",
                        code="ledger.exists",
                        hint="choose another name after the # of its URL",
                    )
                ledger, size = row[0], 0
                last: object = b""
                for table, columns, rows in stored_rows(source):
                    names = ", ".join(("ledger", *columns))
                    with connection.cursor().copy(
                        f"COPY pfgov.{table} ({names}) FROM STDIN".encode()
                    ) as copy:
                        for values in rows:
                            copy.write_row((ledger, *values))
                            if table == "entry":
                                size, last = size + 1, values[columns.index("raw")]
                connection.execute(
                    "UPDATE pfgov.head SET size = %s, term = greatest(term, %s) WHERE ledger = %s",
                    (size, _term(last), ledger),
                )
    finally:
        connection.close()


def _term(raw: object) -> int:
    """Return the term of the entry *raw*, which no later one may undercut: another database counted it."""
    if not isinstance(raw, bytes):
        return 0
    found = re.search(rb'"term":(\d+),"time":\d+,"type":"[a-z_]+","v":1}$', raw)
    return int(found[1]) if found else 0
