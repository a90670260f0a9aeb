"""FORMAT.md section 12 is what the verifiers do: its checks at their lines, its codes, its example of who decides."""

import re
from pathlib import Path

import pytest
from conformance.ledger_verify.corpus.build import ROOT, VECTORS
from conformance.ledger_verify.corpus.run import run

from pfgov_ledger import errors, impact
from pfgov_ledger.report import EXPLANATIONS
from pfgov_ledger.verdicts import Status

LEDGER = ROOT / "ledger"
FORMAT = (LEDGER / "FORMAT.md").read_text(encoding="utf-8")
SECTION = FORMAT.split("## 12. Verification procedure")[1].split("\n## ")[0]
NUMBERS = [int(number) for number in re.findall(r"^\| ([0-9]+) \| ", SECTION, re.MULTILINE)]
CODES = SECTION.split("### Codes")[1].split("\n### ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in CODES.splitlines()
    if line.startswith("| `")
]
NEVER_REPORTED = {cls.code for cls in (
    errors.LedgerError, errors.MalformedError, errors.ChainError, errors.AuthenticityError, errors.TreeError,
    errors.AttachmentError, errors.CustodyError, errors.UsageError, errors.KeyFileError, errors.SchemeError,
    errors.RememberError, errors.IndexNeededError,
)}  # fmt: skip
"""The classes above others, and refusals of a caller or of a writer."""

OF_PATHS = {code for code in EXPLANATIONS if code.startswith("ledger.via_")}
"""What only a path through a root is refused with: section 11 says it, and the page does not know roots."""


def met(text: str, mark: str) -> list[int]:
    """The numbers of the checks of section 12 that stand in comments."""
    return [int(number) for number in re.findall(rf"{mark} FORMAT 12 \(([0-9]+)\)", text)]


def test_the_checks_are_numbered_through() -> None:
    """The table of checks leaves a number out or has one twice."""
    assert list(range(1, 24)) == NUMBERS


def test_every_check_stands_at_its_line_in_the_package() -> None:
    """A check of the text is made nowhere in the package, or at two places that can come apart."""
    found = [
        number
        for path in sorted((LEDGER / "pfgov_ledger").glob("*.py"))
        for number in met(path.read_text(), "#")
    ]
    assert sorted(found) == NUMBERS


def test_every_check_stands_at_its_line_in_the_page() -> None:
    """A check of the text is made nowhere in the page, or at two places that can come apart."""
    assert sorted(met((LEDGER / "verify.html").read_text(), "//")) == NUMBERS


def codes_of(row: list[str]) -> list[str]:
    """The codes that a row of the table is about."""
    return re.findall(r"`([a-z0-9_]+)`", row[0])


def test_every_code_has_its_row() -> None:
    """A code that a verifier reports is not in the table, or is there twice, or never comes out."""
    listed = [f"ledger.{code}" for row in ROWS for code in codes_of(row)]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(EXPLANATIONS) - NEVER_REPORTED - OF_PATHS


def test_every_code_of_a_path_is_explained() -> None:
    """A code of a path through a root is not in the section about them, or none of the code's."""
    text = (LEDGER / "FORMAT.md").read_text()
    section = text.partition("### Paths through a root\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(ledger\.via_[a-z]+)`", section)) == OF_PATHS


def test_refusals_of_bytes_show_no_values() -> None:
    """The table promises a value for a refusal of bytes, or none for another failure."""
    malformed = {
        f"ledger.{code}" for row in ROWS if row[3:5] == ["-", "-"] for code in codes_of(row)
    }

    def below(cls: type[errors.LedgerError]) -> set[str]:
        return {cls.code}.union(*(below(sub) for sub in cls.__subclasses__()))

    elsewhere = {impact.ImpactAlteredError.code}  # of a report about an export, not of an export
    assert malformed == below(errors.MalformedError) - NEVER_REPORTED - OF_PATHS - elsewhere


@pytest.mark.parametrize(
    "path", sorted(VECTORS.glob("*/*/*.case.json")), ids=lambda path: path.stem
)
def test_failures_are_where_the_table_says(path: Path) -> None:
    """A code fails another verdict than its row names, or shows a value where the row has none."""
    _, report = run(path, VECTORS)
    for name, verdict in report.verdicts.items():
        if verdict.status is not Status.FAIL:
            continue
        (row,) = [row for row in ROWS if str(verdict.code).removeprefix("ledger.") in codes_of(row)]
        assert name.replace("_", "-") in row[1]
        if row[3] in {"-", "null"}:
            assert verdict.expected is None
        if "null" not in row[3] and "if there is" not in row[3] and row[3] != "-":
            assert verdict.expected is not None
        if row[2] in {"0", "own", "k", "size"}:
            assert verdict.position is not None


def test_every_code_of_the_table_has_a_vector() -> None:
    """A code of the table is shown by no file of the corpus."""
    shown = {path.parent.name for path in VECTORS.glob("tampered/*/*.case.json")}
    listed = {code for row in ROWS for code in codes_of(row)}
    assert listed - shown == {"key_limit"}  # a thousand keys would be a megabyte
