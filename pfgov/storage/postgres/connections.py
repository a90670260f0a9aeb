"""Connections to a ledger's database, and how its URL is read.

A URL is libpq's, with the ledger's name as its fragment: ``postgresql://role@host/database#name``.  A password does not
belong into it: libpq takes one from ``~/.pgpass`` or a service file.  Every connection notices within seconds that the
other side is gone, and no statement waits for ever.
"""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urldefrag

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pfgov.errors import InvalidError
from pfgov.storage.postgres.errors import translating

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

SCHEMES: Final = ("postgresql://", "postgres://")
"""What the URL of a PostgreSQL database begins with."""

SEARCH_PATH: Final = "pg_catalog, pg_temp"
"""Where names without a schema are looked for: never where another role could have put its own (PostgreSQL's manual,
"Writing SECURITY DEFINER Functions Safely").
"""

CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 60
SILENCE_SECONDS: Final = 10
"""How long an unanswered packet may stay so before the connection counts as dead."""

_NAME: Final = re.compile(r"[a-z0-9](?:[-_.]?[a-z0-9]){0,62}", re.ASCII)


class Address(NamedTuple):
    """Where a ledger is: the database, the ledger's name in it, and both in words, without a password."""

    conninfo: str
    name: str
    location: str


def read_url(url: str, file: Path | None = None) -> Address:
    """Return what *url*, which *file* says if it is not typed, names.

    Raises:
        InvalidError: ``store.url``, it is no URL of a PostgreSQL database, or its fragment no ledger's name.
    """
    conninfo, name = urldefrag(url)
    hint = (
        "write postgresql://ROLE@HOST/DATABASE#NAME; NAME is lower-case, main where it is left out"
    )
    if not url.startswith(SCHEMES):
        where = f"{file} names no PostgreSQL database" if file else "this is no PostgreSQL database"
        raise InvalidError(where, code="store.url", hint=hint)
    name = name or "main"
    if not _NAME.fullmatch(name):
        raise InvalidError(f"{name[:80]!r} cannot name a ledger", code="store.url", hint=hint)
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.Error as error:
        raise InvalidError(
            f"the store's URL cannot be read: {type(error).__name__}", code="store.url", hint=hint
        ) from None
    host = parts.get("host") or "localhost"
    database = parts.get("dbname") or parts.get("user") or ""
    return Address(conninfo, name, f"postgresql://{host}/{database}#{name}")


def connect(address: Address, *, read_only: bool = False) -> Connection:
    """Return a connection in autocommit mode.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    with translating(address.location):
        connection: Connection = psycopg.connect(
            address.conninfo,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="pfgov",
            client_encoding="utf8",
            keepalives_idle=SILENCE_SECONDS,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=SILENCE_SECONDS * 1_000,
        )
        connection.execute(f"SET search_path = {SEARCH_PATH}".encode())  # before any function
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false)", (f"{STATEMENT_SECONDS}s",)
        )
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
    return connection
