"""Rows of a PostgreSQL database in which somebody wrote, past the triggers: what is there is not believed, and named.

The same of files is :mod:`test_engine_intact`'s; here are a ledger beside which others lie, and its server's own rows.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import postgres
from support.ledgers import STORE_VARIABLE, fresh, opened, packet, place, register, submit

from pfgov.engine import LedgerReader
from pfgov.engine.maintenance.doctor import examine
from pfgov.errors import PfgovError
from pfgov.storage import open_store

DEEP = "[" * 3_000 + "]" * 3_000


def _with_more(column: str) -> str:
    """SQL of an object with a field more, which is nested too deep to follow."""
    return f"convert_to('{{\"more\":{DEEP},' || substr(convert_from({column}, 'UTF8'), 2), 'UTF8')"


CHANGES = {
    "an entry's hash": "UPDATE pfgov.entry SET leaf = decode(repeat('00', 32), 'hex') WHERE OWN AND seq = 4",
    "an entry's bytes": f"UPDATE pfgov.entry SET raw = {_with_more('raw')} WHERE OWN AND seq = 4",
    "an entry that is none": "UPDATE pfgov.entry SET raw = 'null' WHERE OWN AND seq = 4",
    "an entry's time": "UPDATE pfgov.entry SET time = 9223372036854775807 WHERE OWN AND seq = 4",
    "an entry's type": "UPDATE pfgov.entry SET type = 'attachment_erased' WHERE OWN AND seq = 4",
    "a member": f"UPDATE pfgov.member SET body = {_with_more('body')} WHERE OWN",
    "a packet": "UPDATE pfgov.packet SET body = decode('00ff', 'hex') WHERE OWN AND packet_id = 'p'",
    "settings": "UPDATE pfgov.ledger_state SET body = 'null' WHERE OWN AND key = 'ledger'",
    "a payload": "UPDATE pfgov.attachment SET payload = 'null' WHERE OWN",
    "a policy set": "UPDATE pfgov.policy_set SET document = 'null' WHERE OWN",
    "no checkpoint": "DELETE FROM pfgov.checkpoint WHERE OWN",
    "a checkpoint": "UPDATE pfgov.checkpoint SET note = 'x' WHERE OWN",
    "a lease": "INSERT INTO pfgov.lease SELECT ledger, 'm', 1, -9223372036854775808, 1, 0, 0, 0, ''"
    " FROM pfgov.head WHERE OWN",
}

READS: tuple[Callable[[LedgerReader], object], ...] = (
    lambda reader: reader.state(),
    lambda reader: reader.members(),
    lambda reader: reader.packets(),
    lambda reader: reader.head(),
    lambda reader: [one.event for one in reader.entries()],
)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger in a database in which a packet has a context."""
    monkeypatch.setenv(STORE_VARIABLE, "postgresql")
    found = fresh(tmp_path)
    with opened(found) as engine:
        register(engine, "m")
        attached = engine.attach("packet/p", "context", b'{"a":1}')
        submit(engine, packet("p", context=attached.commitment), attachments=(attached,))
        place(engine, "q")
    return found


def _told(kept: Path) -> list[str]:
    """What is said of a ledger, by whoever writes it, whoever reads it, and the doctor."""
    told: list[str] = []
    try:
        with opened(kept) as engine:
            place(engine, "another")
            context = engine.reader.packet("p").context
            assert context is not None
            engine.reader.named_payload(context.digest)
    except PfgovError as error:
        told.append(error.code)
    for ask in READS:
        try:
            with LedgerReader(open_store(kept)) as reader:
                ask(reader)
        except PfgovError as error:
            told.append(error.code)
    return told + [one.check for one in examine(open_store(kept)) if one.outcome == "failed"]


@pytest.mark.parametrize("name", CHANGES)
def test_postgres_a_changed_row_is_named_and_not_taken_for_our_mistake(
    kept: Path, name: str
) -> None:
    """Whoever writes the database makes reads, a start or the doctor fail as if pfgov had a mistake, or is believed."""
    store = open_store(kept)
    with postgres.connected(store) as connection:
        connection.execute("SET session_replication_role = replica")
        (ledger,) = connection.execute("SELECT max(ledger) FROM pfgov.entry").fetchone()
        changed = connection.execute(CHANGES[name].replace("OWN", f"ledger = {ledger}")).rowcount
    assert changed > 0
    assert _told(kept)


def test_postgres_of_rows_as_they_were_nothing_is_said(kept: Path) -> None:
    """The test above finds a fault in a ledger that nobody changed, so that it cannot fail."""
    assert _told(kept) == []
