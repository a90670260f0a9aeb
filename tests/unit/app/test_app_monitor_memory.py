"""What a monitor remembers in its file, changed by somebody else: it is named, and nothing of it is run."""

import sqlite3
from pathlib import Path

import pytest
from support.doctored import of_export

from pfgov.app.monitor.watching import STATE, Monitor
from pfgov_ledger import keys
from pfgov_ledger.following import FollowingFileError

VECTORS = Path(__file__).parents[3] / "ledger" / "vectors"


def _look(folder: Path) -> str:
    anchor = keys.parse_anchor((VECTORS / "anchor.txt").read_text())
    shown = of_export(VECTORS / "golden" / "v1" / "full.lineage.jsonl")
    with Monitor(folder, anchor, shown) as monitor:
        return monitor.look().status


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE subject SET name = x'00' WHERE name = (SELECT min(name) FROM subject)",
        "UPDATE subject SET next_seq = -1",
        "UPDATE subject SET next_seq = 1.5",
        "UPDATE subject SET leaf = 'abc'",
        f"UPDATE subject SET custody = '{'[' * 100_000}'",
        "CREATE TRIGGER more AFTER INSERT ON place BEGIN DELETE FROM policy; END",
        "CREATE VIEW more AS SELECT * FROM place",
    ],
)
def test_monitor_a_memory_that_was_changed_is_named(tmp_path: Path, statement: str) -> None:
    """What a monitor remembers holds something of another kind: it fails as if by a mistake of ours, or runs it."""
    assert _look(tmp_path) == "ok"
    with sqlite3.connect(tmp_path / STATE) as database:
        database.execute(statement)
    database.close()
    with pytest.raises(FollowingFileError):
        _look(tmp_path)
