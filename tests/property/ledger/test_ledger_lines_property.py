"""The quick way to read a line of an export is a short cut, never another opinion."""

import base64

from conformance.ledger_verify.corpus.build import VECTORS
from hypothesis import given
from hypothesis import strategies as st

from pfgov_ledger import strict64
from pfgov_ledger.export_format import read_at_once, read_strictly

LINES = list(
    dict.fromkeys(
        line
        for path in sorted(VECTORS.glob("*/*/*.lineage.jsonl"))
        for line in path.read_bytes().split(b"\n")
    )
)
QUICK = [line for line in LINES if read_at_once(line) is not None]


def agree(line: bytes) -> None:
    """What is read at once is what is read strictly."""
    found = read_at_once(line)
    assert found is None or found == read_strictly(line)


def test_every_line_of_the_corpus_is_read_alike() -> None:
    """A line of the corpus is read otherwise at once than strictly."""
    assert len({type(read_at_once(line)) for line in QUICK}) == 2
    for line in LINES:
        agree(line)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A line with some bytes changed, cut out or put in."""
    line = bytearray(draw(st.sampled_from(QUICK)))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(line)))
        piece = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"=", b"==", b'"', b"A", b"=A"]))
        )
        line[at : at + draw(st.integers(0, 4))] = piece
    return bytes(line)


@given(damaged())
def test_damaged_lines_are_read_alike(line: bytes) -> None:
    """A damaged line is read at once although it is refused, or is read otherwise."""
    agree(line)


ALPHABET = st.sampled_from([*"ABCDQRZaz09+/", *"===", "\n", " ", "-", "\xe9"])
BASE64 = st.one_of(
    st.binary(max_size=40).map(base64.b64encode).map(bytes.decode), st.text(ALPHABET, max_size=13)
)


@given(BASE64, st.integers(0, 60), ALPHABET)
def test_base64_has_one_spelling(text: str, at: int, other: str) -> None:
    """The decoder takes a spelling of base64 that no encoder writes, or refuses the one that it does."""
    for candidate in (text, text[:at] + other + text[at + 1 :], text[:at] + other + text[at:]):
        try:
            expected = base64.b64decode(candidate, validate=True)
        except ValueError:
            expected = b"\xff" * 99
        if base64.b64encode(expected).decode() == candidate:
            assert (
                strict64.decode_at_once(candidate.encode())
                == expected
                == strict64.decode(candidate)
            )
        else:
            assert strict64.decode_at_once(candidate.encode()) is None
