"""The live demonstration: real processes, real kills, and every packet accounted for."""

import json
import subprocess
import sys

import pytest


@pytest.mark.process
@pytest.mark.long
def test_demo_churn_accounts_for_every_packet() -> None:
    """A worker killed with SIGKILL takes a packet with it, or the ledger of a live fleet does not verify."""
    words = [sys.executable, "-m", "pfgov.cli", "demo", "--churn", "--json"]
    done = subprocess.run(words, capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    shown = json.loads(done.stdout)
    assert shown["accounted"] is True
    assert shown["verified"] is True
    assert shown["killed"] >= 6
    assert shown["by_status"] == {"COMPLETED": shown["packets"]}
