"""Random damage to real exports: never an exception, never a pass of changed bytes."""

import io

from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.story import tell
from hypothesis import given, settings
from hypothesis import strategies as st
from support.searching import examples

from pfgov_ledger import keys
from pfgov_ledger.verify import verify

ANCHOR = keys.parse_anchor((VECTORS / "anchor.txt").read_text())
GOLDEN = VECTORS / "golden" / "v1"
FILES = [
    (GOLDEN / name).read_bytes()
    for name in (
        "full.lineage.jsonl",
        "full-gzip.lineage.jsonl.gz",
        "packet-fp-001.lineage.jsonl",
        "packet-absent.lineage.jsonl",
        "range.lineage.jsonl",
        "keys-full.lineage.jsonl",
        "entry-13.tlog-proof",
        "entry-13.receipt.json",
    )
]
KEYS_ANCHORED = {FILES[5]}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(an export, the same with some bytes flipped, cut out, doubled, moved or put in)."""
    original = draw(st.sampled_from(FILES))
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        length = draw(st.integers(1, 40))
        match draw(st.integers(0, 5)):
            case 0:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case 4:
                other = draw(st.integers(0, len(data) - 1))
                data[at : at + length], data[other : other + length] = (
                    data[other : other + length],
                    data[at : at + length],
                )
            case _:
                lines = bytes(data).splitlines(keepends=True)
                first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
                lines[first], lines[second] = lines[second], lines[first]
                data = bytearray(b"".join(lines))
        if not data:
            data = bytearray(b"x")
    return original, bytes(data)


@settings(max_examples=examples(600), deadline=None)
@given(damaged())
def test_damage_never_passes_and_never_raises(pair: tuple[bytes, bytes]) -> None:
    """A changed export passes, or makes the verifier raise."""
    original, data = pair
    report = verify(io.BytesIO(data), anchor=ANCHOR)
    assert report.to_text()
    if data != original and not is_only_unsigned(original, data):
        assert report.exit_status != 0, data


def is_only_unsigned(original: bytes, data: bytes) -> bool:
    """Whether only spaces of a receipt's JSON, or signature lines nobody knows, were changed.

    A receipt is ordinary JSON, and a proof's checkpoint may carry lines of unknown keys.
    """
    return (
        original in FILES[6:]
        and verify(io.BytesIO(data), anchor=ANCHOR).exit_status == 0
        and (
            verify(io.BytesIO(original), anchor=ANCHOR).to_json()
            == verify(io.BytesIO(data), anchor=ANCHOR).to_json()
        )
    )


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=400))
def test_rubbish_never_raises(data: bytes) -> None:
    """Bytes of any kind make the verifier raise, or pass."""
    assert verify(io.BytesIO(data), anchor=ANCHOR).exit_status != 0


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(1, 25), st.integers(0, 25))
def test_honest_growth_never_alarms(remembered: int, more: int) -> None:
    """A log that only grew since a remembered checkpoint is called a fork or a rollback."""
    log = GROWING
    sizes = sorted(log.notes)
    small, large = sorted((sizes[remembered % len(sizes)], sizes[more % len(sizes)]))
    assert growth(small, large) == 0


GROWING = tell()
EXPORTS: dict[int, bytes] = {}


def growth(small: int, large: int) -> int:
    """The exit status for the log of *large* entries, when that of *small* is remembered."""
    from conformance.ledger_verify.corpus.outsiders import older_of

    from pfgov_ledger import checkpoint, note

    if large not in EXPORTS:
        EXPORTS[large] = older_of(GROWING, large)
    remembered = checkpoint.parse_text(note.split(GROWING.notes[small])[0])
    report = verify(io.BytesIO(EXPORTS[large]), anchor=ANCHOR, remembered=remembered)
    return report.exit_status
