"""The attack corpus and the golden files, against the package."""

import json
import zlib
from pathlib import Path

import pytest
from conformance.ledger_verify.corpus.build import VECTORS, files
from conformance.ledger_verify.corpus.run import failures, run

from pfgov_ledger.report import dumps

CASES = sorted(VECTORS.glob("*/*/*.case.json"))
TAMPERED = [path for path in CASES if path.parts[-3] == "tampered"]
GOLDEN = [path for path in CASES if path.parts[-3] == "golden"]


def name_of(path: Path) -> str:
    """The case as the test's name."""
    return f"{path.parent.name}/{path.name.removesuffix('.case.json')}"


@pytest.mark.parametrize("path", TAMPERED, ids=name_of)
def test_every_attack_is_named_at_its_position(path: Path) -> None:
    """An attack of the corpus passes, or is reported under another code or position."""
    case, report = run(path, VECTORS)
    assert failures(report) == case["expect"]["failures"]
    assert report.exit_status == case["expect"]["exit_status"]


@pytest.mark.parametrize("path", TAMPERED, ids=name_of)
def test_the_folder_names_one_of_the_failures(path: Path) -> None:
    """A case lies in the folder of a code that it does not show."""
    case = json.loads(path.read_bytes())
    codes = {failure["code"] for failure in case["expect"]["failures"].values()}
    if case["expect"]["exit_status"] == 1:
        assert f"ledger.{path.parent.name}" in codes


@pytest.mark.parametrize("path", GOLDEN, ids=name_of)
def test_golden_files_still_verify(path: Path) -> None:
    """A file that an earlier release wrote no longer verifies."""
    case, report = run(path, VECTORS)
    assert failures(report) == {}
    assert report.exit_status == case["expect"]["exit_status"] == 0


@pytest.mark.parametrize("path", GOLDEN, ids=name_of)
def test_golden_reports_do_not_change(path: Path) -> None:
    """The report of a golden file, which programs parse, is another one than it was."""
    _, report = run(path, VECTORS)
    name = path.name.replace(".case.json", ".report.json")
    assert dumps(report) == path.with_name(name).read_text()


def test_the_builder_writes_the_same_bytes() -> None:
    """The corpus on disk is not what its builder writes."""
    for path, content in files():
        found = (VECTORS / path).read_bytes()
        if path.endswith(".gz") and found != content:  # another zlib may compress otherwise
            assert inflated(found) == inflated(content), path
        else:
            assert found == content, path


def inflated(data: bytes) -> bytes:
    """What a gzip file holds, as far as it goes."""
    return zlib.decompressobj(-15).decompress(data[10:])


def test_the_corpus_is_whole() -> None:
    """Attacks went missing from the corpus."""
    assert len(TAMPERED) >= 100
    assert len(GOLDEN) >= 20
