"""The story in this process: told to a person, silent for a program, and honest when something does not hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from pfgov.cli import run
from pfgov.cli.demo import run as playing
from pfgov.cli.demo.stage import specified_member, specified_packet
from pfgov_ledger.report import Report


def test_the_whole_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told to the end, exits 0, and the kept ledger is named in what to try next."""
    assert run(["demo", "--keep", str(tmp_path / "kept")]) == 0
    out = capsys.readouterr().out
    assert "12. One byte is changed" in out
    assert f"pfgov --dir {tmp_path / 'kept' / 'ledger'} packet explain fp-001" in out
    assert run(["--dir", str(tmp_path / "kept" / "ledger"), "ledger", "verify", "--replay"]) == 0


def test_a_story_that_does_not_hold_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the changed export verified, the demo would say so and exit 1."""
    real = playing.examine

    def blind(path: Path, **options: Any) -> Report:
        return real(Path(str(path).replace("forged-", "")), **options)

    monkeypatch.setattr(playing, "examine", blind)
    assert run(["demo", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["tampered"] is None
    assert run(["demo"]) == 1
    assert "NOT FOUND" in capsys.readouterr().out


def test_the_inputs_are_read_as_they_stand() -> None:
    """The packet and the body of the request are those of the specification."""
    assert specified_packet()["packet_id"] == "fp-001"
    assert specified_member()["id"] == "agent-planner-01"
    assert str(specified_member()["trust_score"]) == "0.95"


def test_one_byte_is_one_byte(tmp_path: Path) -> None:
    """Exactly one byte of the export differs."""
    assert run(["demo", "--json", "--keep", str(tmp_path / "kept")]) == 0
    good = (tmp_path / "kept" / "demo.lineage.jsonl").read_bytes()
    bad = (tmp_path / "kept" / "forged-demo.lineage.jsonl").read_bytes()
    assert len(good) == len(bad)
    assert sum(a != b for a, b in zip(good, bad, strict=True)) == 1
