"""What the verifier says of the attack corpus and of damaged random logs, word for word, as lines of text.

A report's texts are no format, and the other verifiers are held to its codes and positions alone; but they are what
a person reads who was told that a ledger does not verify.  The lines are kept under ``tests/data/verify-reports``: run
this file to write them anew, then read the difference.
"""

import base64
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    ROOT: Final = Path(__file__).parents[3]
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "ledger")]

from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.run import ask, run
from conformance.ledger_verify.differential import questions

from pfgov_ledger.report import Report
from pfgov_ledger.verdicts import Status

DATA: Final = Path(__file__).parents[2] / "data" / "verify-reports"

_ZLIB: Final = re.compile(r"Error -\d+ while decompressing data: [^|;]*")
"""What another zlib may word otherwise."""

QUESTIONS: Final = 240
SEED: Final = 13


def said(report: Report) -> str:
    """Return every word that a report has for what failed and what was not checked."""
    parts = [f"exit {report.exit_status}"]
    for name, verdict in report.verdicts.items():
        if verdict.status is Status.PASS:
            continue
        words = (
            verdict.code, verdict.position, verdict.expected, verdict.found, verdict.why, verdict.detail
        )  # fmt: skip
        parts.append(f"{name}: {'; '.join('-' if word is None else str(word) for word in words)}")
    return _ZLIB.sub("(zlib's words)", ascii(" | ".join(parts))[1:-1])


def case_lines() -> Iterator[str]:
    """One line for each attack of the corpus."""
    for path in sorted(VECTORS.glob("tampered/*/*.case.json")):
        yield f"{path.parent.name}/{path.name.removesuffix('.case.json')} -> {said(run(path, VECTORS)[1])}"


def question_lines() -> Iterator[str]:
    """One line for each of many questions about random logs, most of them damaged; none of what a zlib packed."""
    for number, asked in enumerate(itertools.islice(questions(SEED), QUESTIONS)):
        if asked.data.startswith(b"\x1f\x8b"):
            continue
        kept = None if asked.remembered is None else base64.b64encode(asked.remembered).decode()
        report = ask(base64.b64encode(asked.data).decode(), asked.anchor, asked.case, kept)
        yield f"{number} {ascii(asked.how)[1:-1]} -> {said(report)}"


FILES: Final = {"attacks.txt": case_lines, "questions.txt": question_lines}
"""The files of lines, and what makes them."""


if __name__ == "__main__":
    for file_name, lines in FILES.items():
        (DATA / file_name).write_text("".join(f"{line}\n" for line in lines()))
