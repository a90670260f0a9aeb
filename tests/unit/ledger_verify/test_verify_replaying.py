"""The replay plug-in: what it is fed, when it is asked, and what its answers become."""

import io
from pathlib import Path

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.story import POLICY_ONE, POLICY_TWO

from pfgov_ledger import errors, keys
from pfgov_ledger.entry import Entry
from pfgov_ledger.verdicts import Status, Verdict
from pfgov_ledger.verify import ReplayUnavailableError, verify

ANCHOR = keys.parse_anchor((VECTORS / "anchor.txt").read_text())
FULL = VECTORS / "golden/v1/full.lineage.jsonl"


class Recorder:
    """A replayer that notes what it gets and raises where it is told to."""

    def __init__(self, at: int | None = None, error: Exception | None = None) -> None:
        self.fed: list[int | bytes] = []
        self.is_finished = False
        self._at, self._error = at, error

    def feed(self, of: Entry) -> None:
        self.fed.append(of.seq)
        if of.seq == self._at and self._error is not None:
            raise self._error

    def policy_set(self, digest: str, content: bytes) -> None:
        assert len(digest) == 64
        self.fed.append(content)

    def finish(self) -> None:
        self.is_finished = True
        if self._at == -1 and self._error is not None:
            raise self._error


def replayed(path: Path, replayer: Recorder) -> Verdict:
    """The verdict of replay."""
    return verify(path, anchor=ANCHOR, replayer=replayer).verdicts["replay"]


def test_every_entry_is_fed_in_order_with_its_policies() -> None:
    """A replayer misses an entry or a policy set, or gets one at the wrong place."""
    replayer = Recorder()
    report = verify(FULL, anchor=ANCHOR, replayer=replayer)
    assert report.verdicts["replay"] == Verdict(Status.PASS)
    assert "replay" in report.required
    fed = list(range(26))
    assert [item for item in replayer.fed if isinstance(item, int)] == fed
    assert replayer.fed[2] == POLICY_ONE
    assert replayer.fed[replayer.fed.index(10) + 1] == POLICY_TWO
    assert replayer.is_finished


@pytest.mark.parametrize("at", [7, -1])
def test_a_difference_is_a_failure(at: int) -> None:
    """An entry that does not follow from its command passes."""
    error = errors.EntryShapeError("differs")
    verdict = replayed(FULL, Recorder(at, error))
    assert (verdict.status, verdict.code) == (Status.FAIL, "ledger.entry_shape")
    assert verdict.position == (7 if at == 7 else 25)


def test_what_cannot_be_replayed_is_not_checked() -> None:
    """A missing scheduler or unknown semantics looks like a pass or a failure."""
    verdict = replayed(FULL, Recorder(3, ReplayUnavailableError("semantics:2")))
    assert (verdict.status, verdict.why) == (Status.NOT_CHECKED, "semantics:2")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("golden/v1/packet-fp-001.lineage.jsonl", "partial"),
        ("tampered/sequence/delete.lineage.jsonl", "integrity_failed"),
        ("tampered/signature_missing/strip_one.lineage.jsonl", "authenticity_failed"),
        ("tampered/policy_missing/no_policy.lineage.jsonl", "completeness_failed"),
    ],
)
def test_nothing_forged_is_replayed(name: str, why: str) -> None:
    """Entries that are not authentic, or not all, reach the policy engine."""
    replayer = Recorder()
    assert replayed(VECTORS / name, replayer).why == why
    assert replayer.fed == []


def test_a_stream_cannot_be_replayed() -> None:
    """A stream, which can be read once, is said to be replayed."""
    replayer = Recorder()
    report = verify(io.BytesIO(FULL.read_bytes()), anchor=ANCHOR, replayer=replayer)
    assert report.verdicts["replay"].why == "stopped"
    assert report.exit_status == 4


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    """The file is swapped between the two readings, and nobody sees."""
    path = tmp_path / "swapped.lineage.jsonl"
    path.write_bytes(FULL.read_bytes())

    class Swapper(Recorder):
        def feed(self, of: Entry) -> None:
            super().feed(of)

    other = VECTORS / "golden/v1/older.lineage.jsonl"
    original = path.read_bytes

    report = None
    replayer = Swapper()
    real_open = Path.open
    opened = 0

    def swapping(self: Path, *arguments: object, **more: object) -> object:
        nonlocal opened
        if self == path:
            opened += 1
            if opened == 2:
                path.write_bytes(other.read_bytes())
                opened += 10
        return real_open(self, *arguments, **more)  # type: ignore[arg-type, call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", swapping)
        report = verify(path, anchor=ANCHOR, replayer=replayer)
    assert original() == other.read_bytes()
    assert report.verdicts["replay"].code == "ledger.root_mismatch"
