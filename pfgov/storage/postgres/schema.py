"""The tables of the ledgers in a PostgreSQL database, as literal statements, and the check that they are these.

One schema, ``pfgov``, holds any number of ledgers; every table begins with the ledger's number.  The row of ``head`` is
what a commit moves, guarded by size and term: whoever is no longer the leader moves nothing and so writes nothing.
Entries, checkpoints, tree nodes and policy sets are append-only: triggers refuse the rest, as a seat-belt.  Names are
compared byte by byte (``COLLATE "C"``), as everywhere else.  This module runs no other statement.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pfgov.errors import StoreCorruptError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

VERSION: Final = 3
"""The version of the schema."""

LEADERSHIP_LOST: Final = "PF001"
"""SQLSTATE of a commit by somebody who is not the leader any more."""

CREATING: Final = 0x50464756
"""Key of the advisory lock under which the schema is created: the letters PFGV."""

_NAME: Final = 'text COLLATE "C"'

TABLES: Final = {
    "about": "CREATE TABLE pfgov.about (version int NOT NULL)",
    "head": f"""CREATE TABLE pfgov.head (
        ledger int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name {_NAME} NOT NULL UNIQUE,
        size bigint NOT NULL DEFAULT 0,
        term bigint NOT NULL DEFAULT 0,
        leader {_NAME},
        holder text NOT NULL DEFAULT '',
        address text,
        until timestamptz NOT NULL DEFAULT clock_timestamp()
    )""",
    # the ledger
    "entry": f"""CREATE TABLE pfgov.entry (
        ledger int NOT NULL,
        seq bigint NOT NULL,
        subject {_NAME} NOT NULL,
        subject_seq bigint NOT NULL,
        type {_NAME} NOT NULL,
        time bigint NOT NULL,
        leaf bytea NOT NULL,
        signature bytea NOT NULL,
        raw bytea NOT NULL,
        PRIMARY KEY (ledger, seq)
    )""",
    "checkpoint": """CREATE TABLE pfgov.checkpoint (
        ledger int NOT NULL,
        size bigint NOT NULL,
        note bytea NOT NULL,
        PRIMARY KEY (ledger, size)
    )""",
    "node": """CREATE TABLE pfgov.node (
        ledger int NOT NULL,
        level int NOT NULL,
        place bigint NOT NULL,
        hash bytea NOT NULL,
        PRIMARY KEY (ledger, level, place)
    )""",
    # folded tables: rebuilt by folding the entries
    "member": f"""CREATE TABLE pfgov.member (
        ledger int NOT NULL,
        member_id {_NAME} NOT NULL,
        status {_NAME} NOT NULL,
        as_of bigint NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (ledger, member_id)
    )""",
    "packet": f"""CREATE TABLE pfgov.packet (
        ledger int NOT NULL,
        packet_id {_NAME} NOT NULL,
        status {_NAME} NOT NULL,
        owner {_NAME},
        epoch bigint NOT NULL,
        as_of bigint NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (ledger, packet_id)
    )""",
    "ledger_state": f"""CREATE TABLE pfgov.ledger_state (
        ledger int NOT NULL,
        key {_NAME} NOT NULL,
        as_of bigint NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (ledger, key)
    )""",
    # beside the ledger
    "idempotency": f"""CREATE TABLE pfgov.idempotency (
        ledger int NOT NULL,
        principal {_NAME} NOT NULL,
        key {_NAME} NOT NULL,
        digest bytea NOT NULL,
        first bigint NOT NULL,
        length bigint NOT NULL,
        time bigint NOT NULL,
        refusal bytea,
        id bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (ledger, principal, key)
    )""",
    "attachment": f"""CREATE TABLE pfgov.attachment (
        ledger int NOT NULL,
        digest {_NAME} NOT NULL,
        subject {_NAME} NOT NULL,
        field {_NAME} NOT NULL,
        parent {_NAME},
        first bigint NOT NULL,
        state {_NAME} NOT NULL CHECK (state IN ('present', 'erased')),
        salt bytea,
        payload bytea,
        id bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (ledger, digest),
        CHECK ((state = 'present') = (salt IS NOT NULL AND payload IS NOT NULL))
    )""",
    "policy_set": f"""CREATE TABLE pfgov.policy_set (
        ledger int NOT NULL,
        digest {_NAME} NOT NULL,
        document bytea NOT NULL,
        PRIMARY KEY (ledger, digest)
    )""",
    "verdict_table": f"""CREATE TABLE pfgov.verdict_table (
        ledger int NOT NULL,
        digest {_NAME} NOT NULL,
        first bigint NOT NULL,
        body bytea NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (ledger, digest)
    )""",
    "lease": f"""CREATE TABLE pfgov.lease (
        ledger int NOT NULL,
        member_id {_NAME} NOT NULL,
        incarnation bigint NOT NULL,
        last_seen bigint NOT NULL,
        ttl bigint NOT NULL,
        stretch bigint NOT NULL,
        is_graced bigint NOT NULL,
        kept_at bigint NOT NULL,
        session text NOT NULL,
        PRIMARY KEY (ledger, member_id)
    )""",
    # who is there: nothing that is signed
    "server": f"""CREATE TABLE pfgov.server (
        ledger int NOT NULL,
        token {_NAME} NOT NULL,
        holder text NOT NULL,
        address text NOT NULL,
        size bigint NOT NULL,
        seen timestamptz NOT NULL,
        draining boolean NOT NULL DEFAULT false,
        PRIMARY KEY (ledger, token)
    )""",
}
"""Table -> the statement that creates it."""

INDEXES: Final = {
    "entry_subject": "CREATE UNIQUE INDEX entry_subject ON pfgov.entry (ledger, subject, subject_seq)",
    "entry_erased": "CREATE INDEX entry_erased ON pfgov.entry (ledger, seq) WHERE type = 'attachment_erased'",
    "entry_index": "CREATE INDEX entry_index ON pfgov.entry (ledger, seq) WHERE type = 'index_committed'",
    "packet_status": "CREATE INDEX packet_status ON pfgov.packet (ledger, status, packet_id)",
    "packet_owner": (
        "CREATE INDEX packet_owner ON pfgov.packet (ledger, owner, status, packet_id) WHERE owner IS NOT NULL"
    ),
    "attachment_subject": "CREATE INDEX attachment_subject ON pfgov.attachment (ledger, subject)",
    "attachment_parent": "CREATE INDEX attachment_parent ON pfgov.attachment (ledger, parent) WHERE parent IS NOT NULL",
    "verdict_table_first": "CREATE INDEX verdict_table_first ON pfgov.verdict_table (ledger, first)",
    "idempotency_time": "CREATE INDEX idempotency_time ON pfgov.idempotency (ledger, time)",
}

MIGRATIONS: Final = {
    1: (TABLES["server"],),
    2: (INDEXES["packet_status"], INDEXES["packet_owner"]),
}
"""Version -> the statements that make the next one of it."""

FUNCTIONS: Final = {
    "advance": """CREATE FUNCTION pfgov.advance(
        of_ledger int, at_size bigint, at_term bigint, to_size bigint, seconds double precision
    ) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE pfgov.head
        SET size = to_size, until = clock_timestamp() + make_interval(secs => seconds)
        WHERE ledger = of_ledger AND size = at_size AND term = at_term;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'another leader writes this ledger' USING ERRCODE = 'PF001';
        END IF;
    END $$""",
    "refuse": """CREATE FUNCTION pfgov.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$""",
}

APPEND_ONLY: Final = ("entry", "checkpoint", "node", "policy_set")

TRIGGERS: Final = {
    f"{table}_append_only": (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pfgov.{table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION pfgov.refuse()"
    )
    for table in APPEND_ONLY
}

_MADE: Final = """
    SELECT 'table', c.relname, string_agg(concat_ws(
        ' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname), ',' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE c.relnamespace = 'pfgov'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY c.relname
    UNION ALL SELECT 'index', c.relname, concat_ws(' ', i.indisunique, i.indisvalid, i.indpred IS NOT NULL, i.indkey)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'pfgov'::regnamespace
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'pfgov'::regnamespace
    UNION ALL SELECT 'trigger', c.relname, concat_ws(
        ' ', t.tgname, t.tgenabled, t.tgtype,
        n.nspname || '.' || p.proname)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE c.relnamespace = 'pfgov'::regnamespace AND NOT t.tgisinternal"""
"""What there is in the schema, from columns of the catalogue that an upgrade of the server leaves as they are."""

AS_MADE: Final = {
    1: "e453afd587e7d35da1c8b39fad836d4ce3f2f409c146781c881e583f16d9e6d5",
    2: "4baf178e17329af8bc7ae1fd2474e231334653a263d1c2919306e74bd99425d7",
    3: "0d26b11e8dddc394aacf302def4a73720b9ea0310bb8bc24169796253472c3f3",
}
"""Version -> the digest of what it makes.  The schema's own comment says it too, for earlier versions of pfgov, and is
not believed: whoever changes a table can change that.
"""

_STRANGE: Final = """
    SELECT 'rule ' || r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace = 'pfgov'::regnamespace
    UNION ALL SELECT 'policy ' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    WHERE c.relnamespace = 'pfgov'::regnamespace
    UNION ALL SELECT 'row security of ' || relname FROM pg_class
    WHERE relnamespace = 'pfgov'::regnamespace AND (relrowsecurity OR relforcerowsecurity)
    UNION ALL SELECT 'relation ' || relname FROM pg_class
    WHERE relnamespace = 'pfgov'::regnamespace AND relkind NOT IN ('r', 'i', 'S')
    UNION ALL SELECT 'heir ' || c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
    JOIN pg_class p ON p.oid = h.inhparent WHERE p.relnamespace = 'pfgov'::regnamespace
    UNION ALL SELECT 'function ' || proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE pronamespace = 'pfgov'::regnamespace AND (prosecdef OR proconfig IS NOT NULL OR lanname <> 'plpgsql'
        OR concat_ws(' ', proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)) NOT IN (
            'advance of_ledger integer, at_size bigint, at_term bigint, to_size bigint, seconds double precision void',
            'refuse  trigger'))
    UNION ALL SELECT 'collation in ' || c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'pfgov'::regnamespace AND a.attcollation <> 0 AND a.attcollation NOT IN (
        SELECT oid FROM pg_collation WHERE collnamespace = 'pg_catalog'::regnamespace AND collname IN ('C', 'default'))
    UNION ALL SELECT 'constraint ' || conname FROM pg_constraint
    WHERE (connamespace = 'pfgov'::regnamespace
        OR confrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'pfgov'::regnamespace))
    AND contype NOT IN ('p', 'u', 'n') AND NOT (contype = 'c' AND pg_get_constraintdef(oid) IN (
        'CHECK ((state = ANY (ARRAY[''present''::text, ''erased''::text])))',
        'CHECK (((state = ''present''::text) = ((salt IS NOT NULL) AND (payload IS NOT NULL))))'))
    UNION ALL SELECT 'default in ' || c.relname FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
    WHERE c.relnamespace = 'pfgov'::regnamespace
    AND pg_get_expr(adbin, adrelid) NOT IN ('0', quote_literal('') || '::text', 'clock_timestamp()', 'false')
    UNION ALL SELECT 'index ' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_class t ON t.oid = i.indrelid
    WHERE c.relnamespace = 'pfgov'::regnamespace AND (i.indexprs IS NOT NULL OR NOT i.indimmediate
        OR NOT starts_with(c.relname, t.relname || '_')
        OR EXISTS (SELECT 1 FROM unnest(i.indclass::oid[]) o WHERE o >= 16384)
        OR pg_get_expr(i.indpred, i.indrelid) NOT IN (
            '(type = ''attachment_erased''::text)', '(type = ''index_committed''::text)', '(parent IS NOT NULL)',
            '(owner IS NOT NULL)'))
    UNION ALL SELECT 'trigger ' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'pfgov'::regnamespace
    AND (t.tgisinternal OR t.tgqual IS NOT NULL OR t.tgnargs > 0 OR t.tgattr::text <> '' OR t.tgconstraint <> 0)
    UNION ALL SELECT 'storage of ' || relname FROM pg_class
    WHERE relnamespace = 'pfgov'::regnamespace AND (relpersistence <> 'p' OR relam >= 16384)
    ORDER BY 1"""
"""What :func:`create` never makes: what would answer or write something else than a table does, run something at a
commit, guard less, or be gone after a crash.  Ids from 16,384 on are not the server's own.
"""


_PLAIN_ABOUT: Final = """SELECT 1 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.oid = to_regclass('pfgov.about') AND c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relrowsecurity
    AND a.attname = 'version' AND a.atttypid = 'int4'::regtype AND a.attgenerated = ''"""
"""Whether the schema's version can be asked for: it is before all else is known to be as it was made."""


def is_there(connection: "Connection") -> bool:
    """Whether the database has a schema of ours."""
    row = connection.execute("SELECT to_regclass('pfgov.about') IS NOT NULL").fetchone()
    return bool(row and row[0])


def create(connection: "Connection") -> None:
    """Create the schema where it is missing, or bring an older one up to date; two that begin at once do it once.

    Raises:
        StoreError: ``store.foreign``, the database's encoding is another.
        StoreCorruptError: an older schema was changed from outside.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (CREATING,))
        if is_there(connection):
            _migrate(connection)
            return
        encoding = connection.execute("SHOW server_encoding").fetchone()
        if encoding is None or encoding[0] != "UTF8":
            raise StoreError(
                f"the database's encoding is {encoding and encoding[0]}, not UTF8",
                code="store.foreign",
                hint="create it with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            )
        connection.execute("CREATE SCHEMA IF NOT EXISTS pfgov")
        for statements in (TABLES, INDEXES, FUNCTIONS, TRIGGERS):
            for statement in statements.values():
                connection.execute(statement.encode())
        connection.execute("INSERT INTO pfgov.about VALUES (%s)", (VERSION,))
        _remember(connection)


def _remember(connection: "Connection") -> None:
    """Keep what the schema looks like, to be compared on opening."""
    comment = connection.execute(
        "SELECT format('COMMENT ON SCHEMA pfgov IS %%L', %s::text)",
        (_digest(connection),),
    ).fetchone()
    if comment is not None:
        connection.execute(str(comment[0]).encode())


def _migrate(connection: "Connection") -> None:
    version = _version(connection)
    if version >= VERSION:
        return
    _require_as_made(connection, version)
    for older in range(version, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(statement.encode())
    connection.execute("UPDATE pfgov.about SET version = %s", (VERSION,))
    _remember(connection)


def missing(location: str) -> StoreUnavailableError:
    """Return the error for a place that holds no ledger."""
    return StoreUnavailableError(
        f"{location} holds no ledger",
        code="store.missing",
        hint="create one with: pfgov init --store URL",
    )


def check(connection: "Connection") -> None:
    """Refuse a database whose schema is not what :func:`create` made.

    Raises:
        StoreUnavailableError: ``store.missing``, there is no schema.
        StoreCorruptError: a table, an index, a function or a trigger was changed from outside.
        StoreError: ``store.newer``, a later version of pfgov made it.
    """
    if not is_there(connection):
        raise missing("the database")
    version = _version(connection)
    if version > VERSION:
        raise StoreError(
            f"the database has schema {version}, and this pfgov knows up to {VERSION}",
            code="store.newer",
            hint="use the version of pfgov that wrote it, or a later one",
        )
    _require_as_made(connection, version)


def _version(connection: "Connection") -> int:
    found = connection.execute(_PLAIN_ABOUT).fetchone()
    if found is None:
        raise _changed("table about")
    row = connection.execute("SELECT version FROM ONLY pfgov.about").fetchone()
    return 0 if row is None else int(row[0])


def _require_as_made(connection: "Connection", version: int) -> None:
    strange = [str(row[0]) for row in connection.execute(_STRANGE).fetchall()]
    if strange or _digest(connection) != AS_MADE.get(version):
        raise _changed(", ".join(strange))


def _changed(what: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"the schema pfgov was changed from outside{': ' if what else ''}{what[:200]}",
        hint="restore it from a backup, or export what verifies and begin a successor: pfgov ledger succeed",
    )


def _digest(connection: "Connection") -> str:
    rows = sorted("\t".join(row) for row in connection.execute(_MADE.encode()).fetchall())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
