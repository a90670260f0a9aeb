"""The report of a verification: one JSON form for every verifier, and the same for people.

The JSON has a published schema (``ledger/report.schema.json``) and no free text, so that the three
verifiers can be compared byte for byte; the sentences are for people only and may change.
"""

import json
from dataclasses import dataclass, field
from typing import Final

from pfgov_ledger import canonical, errors
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.escaping import shown
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    VERDICTS,
    WHY,
    Status,
    Verdict,
    exit_status,
    first_failure,
)

REPORT_VERSION: Final = 1
_MARK: Final = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.NOT_CHECKED: "not checked",
    Status.NOT_APPLICABLE: "does not apply",
}
_TRUST: Final = {
    "anchor": "the anchor: log key and genesis entry",
    "log_key_only": "the log key only; whoever stole it could have written another genesis",
    "none": "nothing: no anchor was given",
}


@dataclass(frozen=True, slots=True)
class Signed:
    """The checkpoint of the file; ``is_trusted`` once an anchored key's signature held."""

    size: int
    root: str
    is_trusted: bool
    cosigned_by: tuple[tuple[str, int], ...] = ()


def signed_of(signed: Checkpoint, opened: Opened | None) -> Signed:
    """The checkpoint for a report; *opened* is the same under trusted keys, if it could be opened."""
    witnesses = () if opened is None else opened.witnesses
    return Signed(
        signed.size,
        signed.root.hex(),
        opened is not None,
        tuple((v.vkey.name, min(v.time or 0, canonical.INTEGER_MAX)) for v in witnesses),
    )


@dataclass(frozen=True, slots=True)
class Via:
    """The root through which a path leads, and where in it the ledger's checkpoint is; empty if that was not found."""

    origin: str | None = None
    index: int | None = None
    checkpoint: Signed | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What the file says it is, and how many entries it has."""

    kind: str
    origin: str
    subject: str | None
    size: int
    start: int
    stop: int
    entries: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a verification found.

    ``question`` is what was asked (``file``: whatever the file says it is); ``covered`` is the
    position before which a subject's history was shown to be whole; ``is_absent`` that it has
    no entry there.
    """

    verdicts: dict[str, Verdict]
    required: tuple[str, ...]
    question: tuple[str, str | None]
    trust: str
    export: Shape | None = None
    checkpoint: Signed | None = None
    is_truncated: bool = False
    covered: int | None = None
    is_absent: bool = False
    attachments: dict[str, int] = field(default_factory=dict[str, int])
    erasures: tuple[tuple[int, str], ...] = ()
    suspects: tuple[tuple[str, int], ...] = ()
    via: Via | None = None
    """The root that the reader named; None where none was."""
    note: bytes = b""
    """The checkpoint's bytes if a trusted key signed it, for :mod:`pfgov_ledger.remember`; not part of the JSON."""
    anchor: str = ""
    """The anchor under the log key that signed and is active now, if the old one fixes genesis; not in the JSON."""

    @property
    def exit_status(self) -> int:
        """What a program that prints this report exits with (``FORMAT.md``, "Exit status")."""
        return exit_status(self.verdicts, self.required, is_truncated=self.is_truncated)

    @property
    def first_failure(self) -> str | None:
        """The failed verdict with the lowest position."""
        return first_failure(self.verdicts)

    def to_json(self) -> dict[str, object]:
        """The report as plain values, in the order of the schema."""
        signed, shape = self.checkpoint, self.export
        return {
            "report": REPORT_VERSION,
            "exit_status": self.exit_status,
            "question": {"kind": self.question[0], "subject": self.question[1]},
            "trust": self.trust,
            "required": [name for name in VERDICTS if name in self.required],
            "first_failure": self.first_failure,
            "verdicts": {name: _verdict(self.verdicts[name]) for name in VERDICTS},
            "truncated": self.is_truncated,
            "export": None
            if shape is None
            else {
                "kind": shape.kind,
                "origin": shape.origin,
                "subject": shape.subject,
                "size": shape.size,
                "start": shape.start,
                "stop": shape.stop,
                "entries": shape.entries,
            },
            "checkpoint": None if signed is None else _signed(signed),
            "covered": self.covered,
            "absent": self.is_absent,
            "attachments": self._counts(),
            "erasures": [{"seq": seq, "why": why} for seq, why in self.erasures],
            "suspects": [{"issuer": key, "from": seq} for key, seq in self.suspects],
            **self._through(),
        }

    def _through(self) -> dict[str, object]:
        """What is said of the root; nothing where none was named."""
        via = self.via
        if via is None:
            return {}
        signed = None if via.checkpoint is None else _signed(via.checkpoint)
        return {"via": {"origin": via.origin, "index": via.index, "checkpoint": signed}}

    def _counts(self) -> dict[str, int]:
        """How many payloads are what; ``altered`` is left out where none is."""
        counts = {
            name: self.attachments.get(name, 0) for name in ("disclosed", "withheld", "erased")
        }
        altered = self.attachments.get("altered", 0)
        return {**counts, "altered": altered} if altered else counts

    def to_text(self) -> str:
        """The report for people: a line for each verdict, then where trust came from.

        What the file says is escaped (:mod:`pfgov_ledger.escaping`): it must not steer the terminal.
        """
        lines = list(self._headline())
        for name in VERDICTS:
            lines.extend(
                _verdict_lines(name, self.verdicts[name], is_required=name in self.required)
            )
        lines.append(f"  trust             {_TRUST[self.trust]}")
        lines.extend(self._facts())
        lines.append(self._conclusion())
        return "".join(f"{shown(line)}\n" for line in lines)

    def _headline(self) -> list[str]:
        shape = self.export
        if shape is None:
            return ["nothing that could be read as a lineage export"]
        what = {
            "full": "the whole log",
            "subject": f"the history of {shape.subject}",
            "range": f"entries {shape.start} to {shape.stop - 1}",
            "receipt": f"entry {shape.start}",
        }.get(shape.kind, shape.kind)
        return [
            f"{shape.origin}: {what}, {shape.entries} {'entry' if shape.entries == 1 else 'entries'}"
        ]

    def _facts(self) -> list[str]:
        lines: list[str] = []
        if self.checkpoint is not None:
            held = "signed" if self.checkpoint.is_trusted else "not authenticated"
            lines.append(f"  checkpoint        size {self.checkpoint.size}, {held}")
            lines += _witness_lines(self.checkpoint)
        if self.via is not None and self.via.checkpoint is not None:
            root = self.via.checkpoint
            held = "signed" if root.is_trusted else "not authenticated"
            lines.append(f"  root              {self.via.origin}, size {root.size}, {held}")
            lines += _witness_lines(root)
            lines.append(
                f"{'':20}that it has the ledger's checkpoint at {self.via.index} is proven; "
                "that it has no other history of this ledger is its operator's word"
            )
        if self.covered is not None:
            absent = "; there is no entry of it" if self.is_absent else ""
            lines.append(f"  covered           entries before {self.covered}{absent}")
        if any(self.attachments.values()):
            counts = ", ".join(
                f"{count} {name}" for name, count in self.attachments.items() if name != "altered"
            )
            lines.append(f"  payloads          {counts}")
        if altered := self.attachments.get("altered"):
            lines.append(
                f"  altered           {altered}: what the exporter keeps does not open the commitment"
            )
        lines += [f"  erased            by entry {seq}: {why}" for seq, why in self.erasures]
        lines += [
            f"  suspect           issuer key {key[:16]} from entry {seq} on"
            for key, seq in self.suspects
        ]
        return lines

    def _conclusion(self) -> str:
        first = self.first_failure
        if first is not None:
            verdict = self.verdicts[first]
            where = "" if verdict.position is None else f" at {verdict.position}"
            return f"FAILED: {verdict.code}{where}: {explain(verdict.code)}"
        status = self.exit_status
        if status == 5:
            return "TRUNCATED: what is there holds, but the file ends early; get the whole file"
        if status == 4:
            names = [n for n in VERDICTS if n in self.required]
            missing = [n for n in names if self.verdicts[n].status is not Status.PASS]
            hint = (
                "; name the anchor with --key"
                if AUTHENTICITY in missing and self.trust == "none"
                else ""
            )
            return f"NOT ESTABLISHED: {', '.join(missing)} could not be checked{hint}"
        return "PASSED"


def _witness_lines(signed: Signed) -> list[str]:
    return [f"  witness           {n} saw it at {t} s since 1970" for n, t in signed.cosigned_by]


def _signed(signed: Signed) -> dict[str, object]:
    return {
        "size": signed.size,
        "root": signed.root,
        "trusted": signed.is_trusted,
        "cosigned_by": [{"name": n, "time": t} for n, t in signed.cosigned_by],
    }


def explain(code: str | None) -> str:
    """The sentence that belongs to a code."""
    return EXPLANATIONS.get(code or "", "")


def _tree(cls: type[errors.LedgerError]) -> list[type[errors.LedgerError]]:
    return [cls, *(below for sub in cls.__subclasses__() for below in _tree(sub))]


EXPLANATIONS: Final[dict[str, str]] = {
    cls.code: (cls.__doc__ or "").split("\n", 1)[0].replace("``", "")
    for cls in sorted(_tree(errors.LedgerError), key=lambda cls: cls.code)
    if cls.__module__ == errors.__name__
}
"""Every code and the sentence that explains it."""


def _verdict(verdict: Verdict) -> dict[str, object]:
    if verdict.status is Status.FAIL:
        return {
            "status": "fail",
            "code": verdict.code,
            "position": verdict.position,
            "expected": verdict.expected,
            "found": verdict.found,
        }
    if verdict.status is Status.NOT_CHECKED:
        return {"status": "not_checked", "why": verdict.why}
    return {"status": verdict.status.value}


def _verdict_lines(name: str, verdict: Verdict, *, is_required: bool) -> list[str]:
    mark = _MARK[verdict.status]
    title = f"  {name.replace('_', '-'):<17} {mark}"
    if verdict.status is Status.FAIL:
        where = "" if verdict.position is None else f" at {verdict.position}"
        lines = [f"{title}  {verdict.code}{where}: {explain(verdict.code)}"]
        if verdict.expected is not None or verdict.found is not None:
            lines.append(f"{'':20}expected {verdict.expected}")
            lines.append(f"{'':20}found    {verdict.found}")
        return lines
    if verdict.status is Status.NOT_CHECKED:
        needed = " (required)" if is_required else ""
        return [f"{title}{needed}: {WHY.get(verdict.why or '', verdict.why)}"]
    return [title]


def dumps(report: Report) -> str:
    """The JSON text of a report, the same bytes from every verifier: ASCII without control characters."""
    return json.dumps(report.to_json(), indent=2).replace("\x7f", "\\u007f") + "\n"
