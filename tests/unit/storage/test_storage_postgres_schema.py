"""The schema of a ledger in PostgreSQL: a change from outside is noticed, and another role is none."""

import time
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
        "CREATE TRIGGER more BEFORE INSERT ON pfgov.packet FOR EACH STATEMENT EXECUTE FUNCTION pfgov.refuse()",
        (
            "CREATE OR REPLACE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pfgov.entry"
            " FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION pfgov.refuse()"
        ),
        "ALTER TABLE pfgov.entry ADD CHECK (query_to_xml('SELECT 1', true, true, '') IS NOT NULL) NOT VALID",
        "ALTER TABLE pfgov.head ALTER COLUMN holder SET DEFAULT md5('x')",
        (
            "DROP INDEX pfgov.entry_erased;"
            " CREATE INDEX entry_erased ON pfgov.entry (ledger, seq) WHERE length(type) > 3"
        ),
        "ALTER TABLE pfgov.lease ADD FOREIGN KEY (ledger, member_id) REFERENCES pfgov.member ON DELETE CASCADE",
        "ALTER TABLE pfgov.lease SET UNLOGGED",
        pytest.param(
            'CREATE COLLATION public."C" FROM "POSIX";'
            ' ALTER TABLE pfgov.packet ALTER COLUMN packet_id TYPE text COLLATE public."C"',
            id="another-C",
        ),
        pytest.param(
            "CREATE DOMAIN public.any_size AS bigint CHECK (VALUE > -9); DROP FUNCTION pfgov.advance;"
            + schema.FUNCTIONS["advance"].replace("at_size bigint", "at_size public.any_size"),
            id="arguments",
        ),
        pytest.param(
            "DROP INDEX pfgov.entry_subject;"
            " CREATE UNIQUE INDEX entry_subject ON pfgov.attachment (ledger, subject, field)",
            id="index-elsewhere",
        ),
        "ALTER TABLE pfgov.member DROP CONSTRAINT member_pkey, ADD PRIMARY KEY (ledger, member_id) DEFERRABLE",
        pytest.param(
            "DROP TABLE pfgov.about; CREATE TABLE pfgov.about (version text);"
            " INSERT INTO pfgov.about VALUES ('x')",
            id="version-text",
        ),
        pytest.param(
            "DROP TABLE pfgov.about;"
            " CREATE VIEW pfgov.about AS SELECT 3 AS version FROM pg_sleep(30)",
            id="version-view",
        ),
        pytest.param(
            "ALTER TABLE pfgov.head DROP COLUMN size, ADD COLUMN size text;"
            " UPDATE pfgov.head SET size = 'x'",
            id="text-for-size",
        ),
        "UPDATE pfgov.about SET version = 0",
        "UPDATE pfgov.about SET version = 1",
        "UPDATE pfgov.about SET version = 2",
        "UPDATE pfgov.about SET version = -1",
        "DELETE FROM pfgov.about",
    ],
)
def test_postgres_a_changed_schema_is_noticed(
    tmp_path: Path, server: postgres.Server, statement: str
) -> None:
    """Somebody removes a guard or adds one, writes into the schema's comment that it is as it was, and nobody hears."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        connection.execute(statement)
        connection.execute(f"COMMENT ON SCHEMA pfgov IS '{schema._digest(connection)}'")
    began = time.monotonic()
    for attempt in (
        lambda: opened(directory),
        lambda: LedgerReader(open_store(directory)),
        lambda: open_store(directory).exists(),
        lambda: open_store(directory).nodes(),
    ):
        with pytest.raises(StoreCorruptError, match="changed from outside"):
            attempt()
    assert time.monotonic() - began < 20, "what stands in the place of a table was waited for"


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


@pytest.mark.parametrize("comment", ["NULL", "'of an earlier version, under another role'"])
def test_postgres_what_the_schemas_comment_says_is_not_believed(
    tmp_path: Path, server: postgres.Server, comment: str
) -> None:
    """A ledger made by an earlier version, or restored without its comment, is refused as changed from outside."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        connection.execute(f"COMMENT ON SCHEMA pfgov IS {comment}")
    opened(directory).close()


@pytest.mark.parametrize("version", sorted(schema.MIGRATIONS))
def test_postgres_an_earlier_schema_is_brought_up_to_date(
    tmp_path: Path, server: postgres.Server, version: int
) -> None:
    """The digest of an earlier version's schema is another than what that made."""
    directory = postgres.created(postgres.alone(server, tmp_path))
    with postgres.connected(open_store(directory)) as connection:
        postgres.as_version(connection, version)
    LedgerReader(open_store(directory)).close()
    opened(directory).close()
    with postgres.connected(open_store(directory)) as connection:
        found = connection.execute("SELECT version FROM pfgov.about").fetchone()
    assert found == (schema.VERSION,)


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
