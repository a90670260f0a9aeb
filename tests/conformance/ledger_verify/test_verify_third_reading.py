"""What a verifier written from FORMAT.md alone refused or left open, and ours did not: the package and the page."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conformance.ledger_verify.corpus.key_events import revoke, rotate
from conformance.ledger_verify.corpus.memory_log import MemoryLog, signer
from conformance.ledger_verify.corpus.receipts import dumped, receipt_of
from conformance.ledger_verify.corpus.run import ask
from conformance.ledger_verify.corpus.story import begin, create, tell
from conformance.ledger_verify.corpus.tools import Export, stolen
from support.other_verifiers import page_in_node

from pfgov_ledger import keys, note
from pfgov_ledger.report import dumps

Verify = Callable[[bytes, str | None, dict[str, Any]], dict[str, Any]]
FILE: dict[str, Any] = {
    "question": {"kind": "file", "subject": None},
    "witnesses": [],
    "quorum": 0,
    "max_age": None,
    "now": 0,
    "quick": False,
}


def by_package(data: bytes, anchor: str | None, case: dict[str, Any]) -> dict[str, Any]:
    """The package's report."""
    report: dict[str, Any] = json.loads(
        dumps(ask(base64.b64encode(data).decode(), anchor, case, None))
    )
    return report


@pytest.fixture(scope="module", params=["package", "page"])
def verify(request: pytest.FixtureRequest) -> Iterator[Verify]:
    """Each of the two programs that are written by hand; the one-file verifier is built from the package."""
    if request.param == "package":
        yield by_package
        return
    with page_in_node() as page:
        yield lambda data, anchor, case: json.loads(page.report(data, anchor, case))


def short_range(log: MemoryLog, *, last: int) -> Export:
    """A range that says it goes on to entry *last*, which is left out."""
    export = Export(log.range(5, last + 1))
    export.drop(last)
    return export


def test_a_range_that_ends_early_is_read_to_its_end(verify: Verify) -> None:
    """A range without its last entry counts as damage, so that nobody looks who signed its checkpoint."""
    log = tell()
    export = short_range(log, last=9)
    export.drop(log.size() - 1)  # the index entry, whose place would show the gap before
    thief = stolen("log", log.origin)
    text = log.latest_checkpoint().partition(b"\n\n")[0] + b"\n"
    export.set_note(note.sign(text, [thief]))
    verdicts = verify(export.build(), log.anchor().to_text(), FILE)["verdicts"]
    assert verdicts["integrity"]["code"] == "ledger.sequence"
    assert verdicts["integrity"]["position"] == 9
    assert verdicts["authenticity"]["code"] == "ledger.checkpoint_unsigned"
    assert verdicts["freshness"]["why"] == "not_asked"


@pytest.mark.parametrize("quick", [False, True])
def test_a_broken_range_says_nothing_of_its_signers(verify: Verify, quick: bool) -> None:
    """Authenticity of a range passes although no map proof was held against its key events."""
    log = tell()
    export = short_range(log, last=9)
    report = verify(export.build(), log.anchor().to_text(), {**FILE, "quick": quick})
    assert report["verdicts"]["authenticity"] == {"status": "not_checked", "why": "no_index"}


def test_quick_leaves_out_signatures_and_nothing_else(verify: Verify) -> None:
    """A quick look accepts a range from which the revocation of the log key that signed it was left out."""
    log, _ = begin()
    create(log, "fp-001")
    second = keys.SeedSigner(role="log", name=log.origin, seed=b"\x07" * 32)
    rotate(log, "log", None, second, [log.recovery, second])
    revoke(log, "log", log.log_key.public, [log.recovery])
    create(log, "fp-002")
    log.commit_index()  # still under the first key, which a thief has
    export = Export(log.range(5, 6))
    export.lines = [
        line
        for line in export.lines
        if "map" not in line
        and not ("e" in line and b'"subject":"keys"' in base64.b64decode(line["e"]))
    ]
    for quick in (False, True):
        report = verify(export.build(), log.anchor().to_text(), {**FILE, "quick": quick})
        assert report["verdicts"]["authenticity"] == {"status": "not_checked", "why": "no_index"}
        assert report["exit_status"] == 4


def test_a_plain_signature_makes_nobody_a_witness(verify: Verify) -> None:
    """A quorum is reached by a signature of type 0x01, which states no time and says nothing of one view."""
    log = tell()
    other = signer("log", "log.example/other")
    export = Export(log.full())
    text, _, lines = log.latest_checkpoint().partition(b"\n\n")
    more = note.sign(text + b"\n", [other]).partition(b"\n\n")[2]
    export.set_note(text + b"\n\n" + lines + more)
    case = {**FILE, "witnesses": [str(keys.vkey_of(other))], "quorum": 1, "max_age": 60}
    report = verify(export.build(), log.anchor().to_text(), case)
    for name in ("freshness", "non_equivocation"):
        assert report["verdicts"][name] == {"status": "not_checked", "why": "witness_type"}
    assert report["checkpoint"]["cosigned_by"] == []
    assert report["exit_status"] == 4


def test_an_empty_signature_is_none(verify: Verify) -> None:
    """A receipt whose signature has no bytes only counts as one whose issuer is not known."""
    log = tell()
    members = receipt_of(log)
    del members["issuer"]
    members["signature"] = ""
    report = verify(dumped(members), log.anchor().to_text(), FILE)
    assert report["verdicts"]["authenticity"]["code"] == "ledger.signature_missing"
    assert report["exit_status"] == 1


@pytest.mark.parametrize("place", [7, 2**53 - 1])
def test_a_key_statement_is_about_the_event_that_carries_it(verify: Verify, place: int) -> None:
    """The signers of a key event are believed although the event has another place than they signed."""
    log, _ = begin()
    second, third = (signer("issuer", f"{log.origin}/engine-{number}") for number in (2, 3))
    at = rotate(log, "issuer", log.issuer, second, [log.issuer, second])
    rotate(log, "issuer", None, third, [log.recovery, third])
    log.commit()
    export = Export(log.full())
    export.edit(at, lambda entry: entry.update(subject_seq=place), log.issuer)
    export.remerkle(log.log_key)
    verdicts = verify(export.build(), log.anchor().to_text(), FILE)["verdicts"]
    assert verdicts["integrity"]["code"] == "ledger.subject_sequence"
    assert verdicts["authenticity"]["code"] == "ledger.signature_invalid"
    assert verdicts["authenticity"]["position"] == at
