"""Taking in a ledger that was kept in a file: every row of it, in one transaction, into a ledger that has none."""

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
                for table, columns, rows in stored_rows(source):
                    names = ", ".join(("ledger", *columns))
                    with connection.cursor().copy(
                        f"COPY pfgov.{table} ({names}) FROM STDIN".encode()
                    ) as copy:
                        for values in rows:
                            copy.write_row((ledger, *values))
                            size += table == "entry"
                connection.execute(
                    "UPDATE pfgov.head SET size = %s WHERE ledger = %s", (size, ledger)
                )
    finally:
        connection.close()
