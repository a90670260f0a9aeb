"""What a case of the corpus is: a file, what the reader pins and asks, and what must come out."""

from dataclasses import dataclass, field
from typing import Any

Failures = dict[str, tuple[str, int | None]]
"""Verdict -> (code without ``ledger.``, position)."""


@dataclass(frozen=True)
class Case:
    """One file to verify.

    ``code`` is the folder: the code that names the attack.  ``failures`` are all verdicts that
    must fail, and no others.
    """

    code: str
    name: str
    about: str
    data: bytes
    failures: Failures = field(default_factory=dict)
    exit_status: int = 1
    anchor: str = "anchor.txt"
    question: tuple[str, str | None] = ("file", None)
    remember: str | None = None
    witnesses: tuple[str, ...] = ()
    quorum: int = 0
    max_age: int | None = None
    now: int = 0
    quick: bool = False
    suffix: str = "lineage.jsonl"

    def to_json(self) -> dict[str, Any]:
        """What is written beside the file."""
        return {
            "about": self.about,
            "file": f"{self.name}.{self.suffix}",
            "anchor": self.anchor,
            "question": {"kind": self.question[0], "subject": self.question[1]},
            "remember": self.remember,
            "witnesses": list(self.witnesses),
            "quorum": self.quorum,
            "max_age": self.max_age,
            "now": self.now,
            "quick": self.quick,
            "expect": {
                "exit_status": self.exit_status,
                "failures": {
                    verdict: {"code": f"ledger.{code}", "position": position}
                    for verdict, (code, position) in sorted(self.failures.items())
                },
            },
        }
