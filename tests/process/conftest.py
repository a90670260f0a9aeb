"""Two ledgers with one history, one in a folder and one behind a server, for a module of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_server import Served, ServedBeside

from pfgov.engine import Engine
from pfgov.storage import open_store


@pytest.fixture(scope="module", params=[Served, ServedBeside], ids=["alone", "beside"])
def twins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Served]]:
    """Two new ledgers of the same name: one in a folder, one behind a server, alone or as one of many."""
    folder = tmp_path_factory.mktemp("twins")
    for name in ("here", "shelf/there"):
        Engine.create(open_store(folder / name), "pfgov.test/twins").close()
    with request.param(folder / "shelf" / "there") as served:
        yield folder / "here", served
