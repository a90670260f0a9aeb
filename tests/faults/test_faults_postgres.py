"""Whatever happens to two servers and their database, nothing acknowledged is lost, and everybody gets on again.

A few faults of one seed; ``make faults-postgres`` has a thousand happen.
"""

from pathlib import Path

import pytest
from support.database_faults import Round

pytestmark = [pytest.mark.process, pytest.mark.long]

SEED = 10
"""Its ninth fault left a server waiting for ever for the end of a leader that lived."""


def test_servers_on_a_database_get_on_whatever_happens(tmp_path: Path) -> None:
    """A client is stuck after a fault, what it was promised or shown is not in the ledger, or two led at once."""
    found = Round(tmp_path, SEED)
    try:
        report = found.run(12, told=print)
    finally:
        print(found.log)
        found.close()
    assert report.acknowledged > 0
    assert report.reads > 0
    assert report.terms > 1
