"""Forms are a short cut, never another opinion: what one reads, the strict way reads to the same entry."""

import re
from pathlib import Path

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.run import failures, run
from hypothesis import assume, given
from hypothesis import strategies as st

from pfgov_ledger import chain, entry, examine, forms, strict64
from pfgov_ledger.commitments import named_in
from pfgov_ledger.report import dumps

CASES = sorted(VECTORS.glob("*/*/*.case.json"))
_ENTRY = re.compile(rb'"e":"([A-Za-z0-9+/=]*)"')


def entries_of(path: Path) -> list[bytes]:
    """The bytes of every entry in a file that is not compressed."""
    found = (strict64.decode_at_once(text) for text in _ENTRY.findall(path.read_bytes()))
    return [raw for raw in found if raw]


FILES = sorted(VECTORS.glob("*/*/*.lineage.jsonl"))
HONEST = list(
    dict.fromkeys(raw for path in FILES if "golden" in path.parts for raw in entries_of(path))
)
EVERY = list(dict.fromkeys(raw for path in FILES for raw in entries_of(path)))


def trained() -> forms.Forms:
    """Forms of every kind of entry in the golden files that can have one."""
    made = forms.Forms()
    for raw in HONEST:
        for _ in range(forms.LEARN_AFTER):
            if made.read(raw) is None:
                made.learn(entry.parse(raw))
    return made


FORMS = trained()
READABLE = [raw for raw in HONEST if FORMS.read(raw) is not None]


def agree(raw: bytes) -> bool:
    """Whether a form reads *raw*; then the strict way reads it too, and to the same."""
    found = FORMS.read(raw)
    if found is None:
        return False
    of, named = found
    strict = entry.parse(raw)
    chain.check_body(strict)
    assert of._replace(body={}) == strict._replace(body={})
    assert of.body == {k: v for k, v in strict.body.items() if k in forms.READ}
    assert sorted(named) == sorted(named_in(strict.body, raw))
    return True


def test_forms_read_most_entries_of_packets_and_members() -> None:
    """The short cut is not taken, so that nothing here tests it."""
    ruled = [raw for raw in HONEST if b'"subject":"packet/' in raw or b'"subject":"member/' in raw]
    assert len(READABLE) > len(ruled) * 0.8


def test_forms_agree_on_every_entry_of_the_corpus() -> None:
    """A form reads an entry of the corpus otherwise than the strict way, or one that that refuses."""
    assert sum(map(agree, EVERY)) >= len(READABLE)


_PIECES = st.sampled_from(
    [b"0", b"-0", b"01", b"9007199254740992", b"-1", b"1e3", b"1.0", b'"', b'\\"', b"\\u0041", b"\\n", b"\x00",
     b"\x1f", b"\x7f", b"\xc3\xa9", b"\xff", b"\xef\xb7\x90", b" ", b"\n", b"null", b"true", b"[]", b"{}", b',"a":1',
     b'"digest":"', b'"size":1', b'"packet_id":"fp-002",', b'["a","b"],', b"/", b"~", b"f" * 65],
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An entry with a token exchanged, a digit or a letter changed, or something put in, out or twice."""
    raw = draw(st.sampled_from(READABLE))
    for _ in range(draw(st.integers(1, 2))):
        tokens = [m.span() for m in re.finditer(rb'"[^"]*"|-?[0-9]+|[\[\]{}:,]|[a-z]+', raw)]
        start, end = draw(st.sampled_from(tokens))
        match draw(st.integers(0, 4)):
            case 0:
                raw = raw[:start] + draw(_PIECES) + raw[end:]
            case 1:
                other = draw(st.sampled_from(tokens))
                raw = raw[:start] + raw[other[0] : other[1]] + raw[end:]
            case 2:
                at = draw(st.integers(start, end - 1))
                raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
            case 3:
                at = draw(st.integers(start, end))
                raw = raw[:at] + draw(_PIECES) + raw[at:]
            case _:
                raw = raw[:start] + raw[end:]
    return raw


@given(damaged())
def test_forms_agree_on_damaged_entries(raw: bytes) -> None:
    """A form reads bytes that the strict way refuses, or reads them to something else."""
    agree(raw)


@given(st.sampled_from(READABLE), st.data())
def test_forms_read_other_values(raw: bytes, data: st.DataObject) -> None:
    """An entry that says another number is no longer read by the form that was made for it."""
    numbers = [m.span(1) for m in re.finditer(rb":([0-9]+)[,}]", raw[: raw.rindex(b',"command"')])]
    assume(numbers)
    start, end = data.draw(st.sampled_from(numbers))
    assert agree(raw[:start] + b"%d" % data.draw(st.integers(0, 9 * 10**15 - 1)) + raw[end:])


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_forms_change_no_report(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the corpus gets another report once forms of honest entries are at hand."""
    case, strictly = run(path, VECTORS)
    monkeypatch.setattr(examine, "Forms", lambda: FORMS)
    _, quickly = run(path, VECTORS)
    assert dumps(quickly) == dumps(strictly)
    assert failures(quickly) == case["expect"]["failures"]


def test_forms_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in which no two entries are alike makes a form of each."""
    monkeypatch.setattr(forms, "FORMS_MAX", 3)
    made, read = forms.Forms(), 0
    for raw in READABLE * forms.LEARN_AFTER:
        if made.read(raw) is None:
            made.learn(entry.parse(raw))
        else:
            read += 1
    assert 0 < read < len(READABLE) * forms.LEARN_AFTER
    assert sum(made.read(raw) is not None for raw in READABLE) < len(READABLE)


def test_forms_keep_nothing_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form is made of a large entry, or long values are kept."""
    raw = next(raw for raw in READABLE if b'"owner":{"' in raw and b'"epoch":' in raw)
    long = re.sub(rb'("member_id":")([^"]*)(")', rb"\g<1>" + b"m" * 300 + rb"\g<3>", raw)
    assert agree(long)
    made = forms.Forms()
    monkeypatch.setattr(forms, "FORM_BYTES_MAX", len(long) - 1)
    for _ in range(forms.LEARN_AFTER):
        made.learn(entry.parse(long))
    assert made.read(long) is None
    for _ in range(forms.LEARN_AFTER):
        made.learn(entry.parse(raw))
    assert made.read(long) is not None


def test_a_form_leaves_out_what_might_be_a_commitment() -> None:
    """An object that would be a commitment under another digest is hidden by a form."""
    raw = next(raw for raw in READABLE if b'"digest":"' in raw)
    digest = re.search(rb'"digest":"([0-9a-f]{64})"', raw)
    assert digest is not None
    odd = raw.replace(digest.group(1), b"none")
    made = forms.Forms()
    for _ in range(forms.LEARN_AFTER * 2):
        made.learn(entry.parse(odd))
    assert made.read(odd) is None
    assert made.read(raw) is None
