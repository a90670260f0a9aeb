"""A PostgreSQL server, and a place for a ledger in it."""

from pathlib import Path

import pytest
from support import postgres

from pfgov.storage import keep_in_database, open_store
from pfgov.storage.port import Store


@pytest.fixture
def server() -> postgres.Server:
    """The server that the tests of this process share."""
    return postgres.server()


@pytest.fixture
def place(server: postgres.Server, tmp_path: Path) -> Store:
    """A place for a ledger, in a database."""
    keep_in_database(tmp_path / "ledger", server.url())
    return open_store(tmp_path / "ledger")
