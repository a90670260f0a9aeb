import pytest

from pfgov_ledger import canonical, errors

REFUSED = [
    (b"", "ledger.not_json"),
    (b"nul", "ledger.not_json"),
    (b'{"a":1', "ledger.not_json"),
    (b'{"a":1,}', "ledger.not_json"),
    (b"[1,]", "ledger.not_json"),
    (b'{"a":1}{}', "ledger.not_json"),
    (b'{"a":"\x01"}', "ledger.not_json"),
    (b'{"a":"\\x"}', "ledger.not_json"),
    (b'{"a":"\\u12g4"}', "ledger.not_json"),
    (b'{"a":+1}', "ledger.not_json"),
    (b'{"a":01}', "ledger.not_json"),
    (b"{'a':1}", "ledger.not_json"),
    (b'{"a":"\xff"}', "ledger.not_utf8"),
    (b'{"a":"\xc0\x80"}', "ledger.not_utf8"),
    (b"\xef\xbb\xbf{}", "ledger.byte_order_mark"),
    (b'{"a":1,"a":1}', "ledger.duplicate_key"),
    (b'{"a":1,"\\u0061":2}', "ledger.duplicate_key"),
    (b'{"A":1}', "ledger.key_name"),
    (b'{"":1}', "ledger.key_name"),
    (b'{"a b":1}', "ledger.key_name"),
    (b'{"_a":1}', "ledger.key_name"),
    (b'{"x\\"name":1}', "ledger.key_name"),
    (b'{"a":1.0}', "ledger.float"),
    (b'{"a":1e3}', "ledger.float"),
    (b'{"a":-0.0}', "ledger.float"),
    (b'{"a":1E400}', "ledger.float"),
    (b'{"a":-0}', "ledger.negative_zero"),
    (b'{"a":NaN}', "ledger.not_a_number"),
    (b'{"a":Infinity}', "ledger.not_a_number"),
    (b'{"a":-Infinity}', "ledger.not_a_number"),
    (b'{"a":9007199254740992}', "ledger.integer_range"),
    (b'{"a":-9007199254740992}', "ledger.integer_range"),
    (b"[123456789012345678901234567890]", "ledger.integer_range"),
    (b"[" + b"9" * 5000 + b"]", "ledger.integer_range"),
    (b'{"a":"\\ud800"}', "ledger.lone_surrogate"),
    (b'{"a":"\\udc00\\ud800"}', "ledger.lone_surrogate"),
    (b'{"a":"\xed\xa0\x80"}', "ledger.lone_surrogate"),
    (b'{"a":"\\u0000"}', "ledger.forbidden_character"),
    (b'{"a":"\\ufffe"}', "ledger.forbidden_character"),
    ('{"a":"\uffff"}'.encode(), "ledger.forbidden_character"),
    ('{"a":"\ufdd0"}'.encode(), "ledger.forbidden_character"),
    ('{"a":"\U0001fffe"}'.encode(), "ledger.forbidden_character"),
    ('{"a":"\U0010ffff"}'.encode(), "ledger.forbidden_character"),
    (b"[" * 17 + b"]" * 17, "ledger.too_deep"),
    (b"[" * 60_000, "ledger.too_deep"),
    (b'{"a":' * 60_000, "ledger.too_deep"),
    (b'{"a": 1}', "ledger.non_canonical"),
    (b'{"a":1}\n', "ledger.non_canonical"),
    (b'\r\n{"a":1}', "ledger.non_canonical"),
    (b'{"b":1,"a":1}', "ledger.non_canonical"),
    (b'{"a":"\\u0041"}', "ledger.non_canonical"),
    (b'{"a":"\\/"}', "ledger.non_canonical"),
    (b'{"a":"\\u000A"}', "ledger.non_canonical"),
    (b'{"a":"\\u001F"}', "ledger.non_canonical"),
    (b'{"a":"\\ud83d\\ude00"}', "ledger.non_canonical"),
    (b" " * (canonical.TEXT_BYTES_MAX + 1), "ledger.oversize"),
]


@pytest.mark.parametrize(("raw", "code"), REFUSED, ids=lambda item: repr(item)[:40])
def test_each_offence_has_its_own_code(raw: bytes, code: str) -> None:
    """Bytes outside the profile are refused, and the code says which rule they break."""
    with pytest.raises(errors.MalformedError) as caught:
        canonical.decode(raw)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "raw",
    [
        b"{}", b"[]", b"null", b"true", b"7", b'"x"', b"0", b"-1", b"9007199254740991",
        b'{"a":[1,2,{"b":null}],"a_1":"x","b":-9007199254740991}',
        b'{"a":"\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/"}',
        '{"a":"\N{EURO SIGN}\N{GRINNING FACE}\ufffd\ufb33\u2028"}'.encode(),
        b'{"a":":12345678901234567890,1.5"}', b'{"a":"\\\\u0000"}', b'{"a":"[[[[[[[[[[[[[[[[[["}',
        b"[" * 16 + b"]" * 16,
    ],
    ids=repr,
)  # fmt: skip
def test_canonical_bytes_are_read_and_written_back(raw: bytes) -> None:
    """What is canonical is accepted, and encoding the value gives the same bytes again."""
    assert canonical.encode(canonical.decode(raw)) == raw


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.0, "ledger.float"), (float("nan"), "ledger.float"), ({"A": 1}, "ledger.key_name"),
        ({1: 1}, "ledger.key_name"), (2**53, "ledger.integer_range"), ("\x00", "ledger.forbidden_character"),
        ("\ud800", "ledger.lone_surrogate"), ("\ufdef", "ledger.forbidden_character"), (b"x", "ledger.malformed"),
        ({"a": {1, 2}}, "ledger.malformed"),
    ],
    ids=repr,
)  # fmt: skip
def test_values_outside_the_profile_cannot_be_written(value: object, code: str) -> None:
    """The encoder refuses what the decoder would refuse."""
    with pytest.raises(errors.MalformedError) as caught:
        canonical.encode(value)
    assert caught.value.code == code


def test_encoding_counts_depth_like_decoding() -> None:
    """Sixteen containers are the limit on both sides."""
    value: object = []
    for _ in range(15):
        value = [value]
    canonical.encode(value)
    with pytest.raises(errors.DepthError):
        canonical.encode([value])
    with pytest.raises(errors.DepthError):
        canonical.decode(b"[[]]", depth_max=1)


@pytest.mark.parametrize(
    "value", [{}, "x", [["a"]], [["a", 1, 2]], [[1, 2]], [["b", 1], ["a", 2]], [["a", 1], ["a", 2]], ["ab"],
              [["\U0001f600", 1], ["\ufb33", 1]]],
)  # fmt: skip
def test_maps_that_are_not_sorted_unique_pairs(value: object) -> None:
    """A free-form map out of byte order, or with a name twice, is refused."""
    with pytest.raises(errors.PairsError):
        canonical.check_pairs(value)


def test_maps_in_byte_order() -> None:
    """Names are ordered as UTF-8 bytes, not as UTF-16."""
    canonical.check_pairs([])
    canonical.check_pairs([["a", 1], ["b", [1]], ["\ufb33", 1], ["\U0001f600", 2]])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('it\'s "so"', 'it\'s "so"'),
        (None, "null"),
        (True, "true"),
        (1, "1"),
        ([None, {"b": "\u00fc\n", "a": False}], '[null,{"a":false,"b":"\u00fc\\n"}]'),
        ("\U0001d4ab" * 99, "\U0001d4ab" * 50),
        (["x" * 99], '["' + "x" * 48),
    ],
)
def test_a_value_is_shown_in_one_way(value: object, text: str) -> None:
    """A report shows a value as one language prints it, or at any length."""
    assert canonical.text_of(value, 50) == text
