"""A database in which somebody wrote is no mistake of ours: whoever reads over HTTP is told that it was changed."""

import shutil
from pathlib import Path

import pytest
from support import api_server
from support.api_server import Api, path_values
from support.intruder import inside

from pfgov_api.routes import OPERATIONS

DEEP = b'{"more":' + b"[" * 3_000 + b"]" * 3_000 + b","
"""The beginning of an object with a field more, which is nested too deep to follow."""

READS = [one for one in OPERATIONS if one.method == "GET" and one.name != "stream_events"]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which a packet has a context, and which nobody has open."""
    with Api(tmp_path_factory.mktemp("closed")) as api:
        api.member("m1")
        api.packet("p1", context_checkpoint={"a": 1})
        for number in range(3):
            api.packet(f"later-{number}")
    return api.directory


def _changed(directory: Path, statement: str, *values: object) -> None:
    with inside(directory) as database:
        assert database.execute(statement, values).rowcount > 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET raw = CAST(? || substr(CAST(raw AS TEXT), 2) AS BLOB) WHERE seq = 0",
        "UPDATE entry SET raw = CAST(? || substr(CAST(raw AS TEXT), 2) AS BLOB) WHERE subject = 'packet/p1'",
        "UPDATE entry SET time = 9223372036854775807 WHERE subject = 'packet/p1' AND ? != ''",
    ],
)
def test_no_read_of_a_changed_database_is_a_mistake_of_ours(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A read that comes upon a changed entry is answered as if pfgov had failed, with a traceback in the log."""
    directory = tmp_path / "ledger"
    shutil.copytree(closed, directory)
    monkeypatch.setattr(api_server, "fresh", lambda _: directory)
    told: set[str] = set()
    with Api(tmp_path) as api:
        # under a server that runs: a ledger whose genesis was changed is not opened
        _changed(directory, change, DEEP.decode())
        for operation in READS:
            for seq in ("0", "3") if "{seq}" in operation.path else ("0",):
                answer = api.get(operation.path.format(**path_values(seq=seq)))
                assert answer.status_code != 500, (operation.name, answer.text)
                if answer.status_code == 503:
                    told.add(answer.json()["code"])
    assert "store.altered" in told
