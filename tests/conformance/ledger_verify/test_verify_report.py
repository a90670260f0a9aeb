"""The report is what its schema and FORMAT.md say."""

import json
import re

import jsonschema
import pytest
from conformance.ledger_verify.corpus.build import ROOT, VECTORS
from conformance.ledger_verify.corpus.run import run

from pfgov_ledger.export_format import KINDS
from pfgov_ledger.report import EXPLANATIONS
from pfgov_ledger.verdicts import VERDICTS, WHY

SCHEMA = json.loads((ROOT / "ledger" / "report.schema.json").read_text())
FORMAT = (ROOT / "ledger" / "FORMAT.md").read_text()


def test_every_report_fits_the_schema() -> None:
    """A report of the corpus is outside its published schema."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for path in sorted(VECTORS.glob("*/*/*.case.json")):
        _, report = run(path, VECTORS)
        validator.validate(report.to_json())
        assert [*report.to_json(), "via"] == list(SCHEMA["properties"])  # where a root was named


def test_the_schema_names_the_same_verdicts() -> None:
    """The schema, the package and the text know different verdicts."""
    assert tuple(SCHEMA["$defs"]["name"]["enum"]) == VERDICTS
    assert tuple(SCHEMA["properties"]["verdicts"]["required"]) == VERDICTS
    for name in VERDICTS:
        assert f"*{name.replace('_', '-')}*" in FORMAT


def test_the_format_lists_every_reason() -> None:
    """FORMAT.md and the package give different reasons of *not checked*."""
    table = FORMAT.split("### What is not checked")[1].split("|---|---|---|\n")[1].split("\n\n")[0]
    assert dict(re.findall(r"\| `(\w+)` \| (.*?) \|", table)) == WHY


def test_the_format_names_only_codes_that_exist() -> None:
    """FORMAT.md names a code that nothing raises."""
    for code in re.findall(r"`ledger\.([a-z0-9_]+)`", FORMAT):
        assert f"ledger.{code}" in EXPLANATIONS, code


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_describes_every_kind(kind: str) -> None:
    """A kind of export is not described."""
    assert f"* `{kind}`:" in FORMAT


def test_the_printed_export_is_the_golden_one() -> None:
    """The example of an export in FORMAT.md begins otherwise than the file it names."""
    printed = FORMAT.split("```export\n")[1].split("```")[0].splitlines()
    golden = (VECTORS / "golden/v1/packet-absent.lineage.jsonl").read_text().splitlines()
    assert printed[0] == golden[0]
    assert printed[-2:] == [
        golden[-2],
        golden[-1].replace(golden[-1][-66:-2], golden[-1][-66:-58] + "..."),
    ]
