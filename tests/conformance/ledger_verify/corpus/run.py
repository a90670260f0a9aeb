"""Verifying a case of the corpus as its description says, with the package."""

import json
from pathlib import Path
from typing import Any

from pfgov_ledger import checkpoint, keys, note
from pfgov_ledger.conclusions import Question, Witnessing
from pfgov_ledger.report import Report
from pfgov_ledger.verdicts import Status
from pfgov_ledger.verify import verify


def run(path: Path, vectors: Path, **more: Any) -> tuple[dict[str, Any], Report]:
    """Verify the case described in *path*; returns the description and the report."""
    case = json.loads(path.read_bytes())
    remembered = None
    if case["remember"] is not None:
        raw = (vectors / case["remember"]).read_bytes()
        remembered = checkpoint.parse_text(note.split(raw)[0])
    report = verify(
        path.parent / case["file"],
        anchor=keys.parse_anchor((vectors / case["anchor"]).read_text()),
        question=Question(case["question"]["kind"], case["question"]["subject"]),
        remembered=remembered,
        witnessing=Witnessing(
            tuple(note.parse_vkey(text) for text in case["witnesses"]),
            case["quorum"],
            case["max_age"],
            case["now"],
        ),
        quick=case["quick"],
        **more,
    )
    return case, report


def failures(report: Report) -> dict[str, Any]:
    """The failed verdicts of a report, as a case describes them."""
    return {
        name: {"code": verdict.code, "position": verdict.position}
        for name, verdict in report.verdicts.items()
        if verdict.status is Status.FAIL
    }
