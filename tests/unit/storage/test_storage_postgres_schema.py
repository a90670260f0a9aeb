"""The schema of a ledger in PostgreSQL: a change from outside is noticed, and another role is none."""

import hashlib
from pathlib import Path

import pytest
from support import postgres
from support.ledgers import (
    opened,
    packet,
    submit,
)

from pfgov.engine import LedgerReader
from pfgov.errors import (
    StoreCorruptError,
)
from pfgov.storage import open_store
from pfgov.storage.port import (
    Store,
)
from pfgov.storage.postgres import schema


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER entry_append_only ON pfgov.entry",
        "ALTER TABLE pfgov.entry DISABLE TRIGGER ALL",
        "ALTER TABLE pfgov.member ADD COLUMN extra text",
        "DROP INDEX pfgov.entry_subject",
        "CREATE OR REPLACE FUNCTION pfgov.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        'ALTER TABLE pfgov.packet ALTER COLUMN packet_id TYPE text COLLATE "default"',
        "CREATE RULE lose AS ON INSERT TO pfgov.attachment DO INSTEAD NOTHING",
        "ALTER TABLE pfgov.entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "CREATE POLICY few ON pfgov.member USING (member_id <> 'a')",
        "CREATE TABLE public.more () INHERITS (pfgov.member)",
        "CREATE VIEW pfgov.lookalike AS SELECT * FROM pfgov.member",
        "ALTER FUNCTION pfgov.advance SECURITY DEFINER",
    ],
)
def test_postgres_a_changed_schema_is_noticed(
    tmp_path: Path, server: postgres.Server, statement: str
) -> None:
    """Somebody removes a guard, and nobody hears of it."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        connection.execute(statement)
    for attempt in (lambda: opened(directory), lambda: LedgerReader(open_store(directory))):
        with pytest.raises(StoreCorruptError, match="changed from outside"):
            attempt()


@pytest.mark.parametrize("path", ["public", "pfgov, public", "evil, pg_catalog", "''"])
def test_postgres_a_roles_search_path_changes_nothing(
    tmp_path: Path, server: postgres.Server, path: str
) -> None:
    """A setting of the role has a ledger refused, or another function called in the place of the server's."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        connection.execute("CREATE SCHEMA evil")
        for called, gives in (
            ("clock_timestamp()", "timestamptz"),
            ("set_config(text, text, boolean)", "text"),
        ):
            connection.execute(
                f"CREATE FUNCTION evil.{called} RETURNS {gives} LANGUAGE plpgsql"
                " AS $$ BEGIN RAISE EXCEPTION 'not the server''s'; END $$".encode()
            )
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET search_path = {path}")
    with opened(directory) as engine:
        submit(engine, packet("p1"))
    with LedgerReader(open_store(directory)) as reader:
        assert reader.packet("p1").packet_id == "p1"


@pytest.mark.parametrize("named", ["refuse", "pfgov.refuse"])
def test_postgres_a_schema_remembered_by_another_role_is_as_it_was(
    tmp_path: Path, server: postgres.Server, named: str
) -> None:
    """A ledger made, or restored, under a role of another name is refused as changed from outside."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        text = schema._MADE.replace("{ours}", "''" if named == "refuse" else "'pfgov.'")
        rows = sorted("\t".join(row) for row in connection.execute(text.encode()).fetchall())
        assert any(row.endswith(f" {named}") for row in rows)
        digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        connection.execute(f"COMMENT ON SCHEMA pfgov IS '{digest}'".encode())
    opened(directory).close()


@pytest.mark.parametrize("table", ["entry", "checkpoint", "policy_set"])
@pytest.mark.parametrize(
    "verb", ["UPDATE pfgov.{} SET ledger = 0", "DELETE FROM pfgov.{}", "TRUNCATE pfgov.{}"]
)
def test_postgres_what_is_recorded_is_not_changed_by_accident(
    place: Store, table: str, verb: str
) -> None:
    """A statement in a hurry changes the ledger."""
    import psycopg

    postgres.created(place)
    with postgres.connected(place) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(verb.format(table))
