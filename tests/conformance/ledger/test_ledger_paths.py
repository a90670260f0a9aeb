"""``ledger/vectors/paths.json`` is what its script writes, and the verifier judges each path so."""

import io
import json
from typing import Any

import pytest
from conformance.ledger.ledger_paths import PATH, text

from pfgov_ledger import keys, note
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.verify import verify

FILE: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


def test_paths_are_current() -> None:
    """ledger/vectors/paths.json is not what the code gives: run ledger_paths.py, and say why it changed."""
    assert PATH.read_text(encoding="utf-8") == text()


@pytest.mark.parametrize(
    "case",
    [*FILE["good"], *FILE["broken"]],
    ids=lambda case: case.get("about", f"{case['ledger']} {case.get('seq')}"),
)
def test_paths_are_judged_as_the_file_says(case: dict[str, Any]) -> None:
    """A path of the file passes, fails, or has another code than the file says."""
    report = verify(
        io.BytesIO(case["path"].encode()),
        anchor=keys.parse_anchor(FILE["anchors"][case["ledger"]]),
        via=note.parse_vkey(FILE["root"]),
        witnessing=Witnessing((note.parse_vkey(FILE["witness"]),), 1 if "seq" in case else 0),
    )
    found = {name: one.code for name, one in report.verdicts.items() if one.code is not None}
    assert found == case.get("fails", {})
    assert report.exit_status == (1 if found else 0)
