import importlib
import importlib.util
import json
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st
from property.ledger.ledger_strategies import VALUES
from support.searching import examples

from pfgov_ledger import canonical, errors

msgspec: Any = importlib.import_module("msgspec") if importlib.util.find_spec("msgspec") else None


def _outcome(raw: bytes, *, is_strict: bool) -> object:
    try:
        if is_strict:
            return canonical._decode_strict(raw, canonical.DEPTH_MAX)
        return canonical.decode(raw)
    except errors.MalformedError as error:
        return error.code


@settings(max_examples=examples(200), deadline=None)
@given(VALUES)
def test_every_encoder_writes_the_same_bytes(value: Any) -> None:
    """Inside the profile orjson, msgspec, sorted json.dumps and this module agree, and reading inverts it."""
    raw = canonical.encode(value)
    assert raw == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert msgspec is None or raw == msgspec.json.encode(value, order="deterministic")
    assert (
        raw == json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    )
    assert canonical.decode(raw) == value


TOKENS = (
    b"-0", b"1.0", b"1e5", b"NaN", b"Infinity", b"9007199254740992", b"-9007199254740993", b"12345678901234567",
    b"\\u0000", b"\\ud800", b"\\udc00", b"\\u0041", b"\\/", b'\\"', b'"', b":", b",", b"{", b"}", b"[", b"]", b" ",
    b"\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xef\xb7\x90", b"\xf0\x9f\xbf\xbe", b"\xff", b"\x00",
    b'"a":1', b'"A":1', b'{"a":1,"a":2}', b"[" * 17, b"true", b"tru", b"9" * 16, b'"x\\"y":2',
)  # fmt: skip


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    raw = bytearray(canonical.encode(draw(VALUES)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        end = draw(st.integers(at, min(len(raw), at + 4)))
        raw[at:end] = draw(st.sampled_from(TOKENS) | st.binary(max_size=2))
    return bytes(raw)


@settings(max_examples=examples(700), deadline=None)
@given(_damaged())
@example(b'{"a":-0}')
@example(b'{"a":1,"a":1}')
@example('{"a":"\ud7ff\ue000\ufdcf\ufdf0"}'.encode())
def test_the_fast_way_in_never_widens_the_profile(raw: bytes) -> None:
    """On any bytes at all, the fast reader gives the strict parser's value or the strict parser's code."""
    assert _outcome(raw, is_strict=False) == _outcome(raw, is_strict=True)


@settings(max_examples=examples(200), deadline=None)
@given(_damaged())
def test_what_is_accepted_is_canonical(raw: bytes) -> None:
    """No bytes are accepted that a standard parser and a sorting emitter would not give back."""
    try:
        value = canonical.decode(raw)
    except errors.MalformedError:
        return
    assert (
        orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
        == raw
        == canonical.encode(value)
    )
