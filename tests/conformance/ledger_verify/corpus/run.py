"""Verifying a case of the corpus as its description says, with the package."""

import base64
import io
import json
from pathlib import Path
from typing import Any

from pfgov_ledger import keys, note, remember
from pfgov_ledger.conclusions import Question, Witnessing
from pfgov_ledger.report import Report
from pfgov_ledger.verdicts import Status
from pfgov_ledger.verify import verify


def run(path: Path, vectors: Path, **more: Any) -> tuple[dict[str, Any], Report]:
    """Verify the case described in *path*; returns the description and the report."""
    case = json.loads(path.read_bytes())
    kept = None if case["remember"] is None else (vectors / case["remember"]).read_bytes()
    anchor = (vectors / case["anchor"]).read_text()
    return case, _verified(path.parent / case["file"], anchor, case, kept, **more)


def ask(data: str, anchor: str | None, case: dict[str, Any], remembered: str | None) -> Report:
    """Verify what a program asks of another: bytes as base64, and the rest as a case says it."""
    kept = None if remembered is None else base64.b64decode(remembered)
    return _verified(io.BytesIO(base64.b64decode(data)), anchor, case, kept)


def _verified(
    source: Any, anchor: str | None, case: dict[str, Any], kept: bytes | None, **more: Any
) -> Report:
    return verify(
        source,
        anchor=None if anchor is None else keys.parse_anchor(anchor),
        question=Question(case["question"]["kind"], case["question"]["subject"]),
        remembered=None if kept is None else remember.parse(kept),
        witnessing=Witnessing(
            tuple(note.parse_vkey(text) for text in case["witnesses"]),
            case["quorum"],
            case["max_age"],
            case["now"],
        ),
        quick=case["quick"],
        **more,
    )


def failures(report: Report) -> dict[str, Any]:
    """The failed verdicts of a report, as a case describes them."""
    return {
        name: {"code": verdict.code, "position": verdict.position}
        for name, verdict in report.verdicts.items()
        if verdict.status is Status.FAIL
    }
