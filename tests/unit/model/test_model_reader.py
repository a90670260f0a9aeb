"""The strict reader refuses what two readers could understand differently, and says where it is."""

from decimal import Decimal

import pytest

from pfgov.errors import InputError, InvalidError, TooLargeError
from pfgov.limits import INTEGER_MAX, JSON_DEPTH_MAX, NUMBER_LENGTH_MAX
from pfgov.model import Json, check_tree, read_json, write_json

LIMIT = 1_000_000

REFUSED: dict[str, tuple[bytes, str, str]] = {
    # name: bytes, JSON pointer, words of the message
    "empty": (b"", "", "not JSON"),
    "garbage": (b"trust: high", "", "not JSON"),
    "trailing data": (b"{} {}", "", "Extra data at line 1, column 4"),
    "not UTF-8": (b'{"a": "\xff"}', "", "byte 7 is not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "", "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf{}", "", "byte order mark"),
    "encoded surrogate": (b'"\xed\xa0\x80"', "", "not UTF-8"),
    "duplicate key": (b'{"a": {"b": 1, "b": 2}}', "/a", 'the key "b" appears twice'),
    "duplicate by escape": (b'{"a": 1, "\\u0061": 2}', "", 'the key "a" appears twice'),
    "NaN": (b'{"trust_score": NaN}', "/trust_score", "NaN is not a number in JSON"),
    "Infinity": (b"[0, Infinity]", "/1", "Infinity is not"),
    "-Infinity": (b"[-Infinity]", "/0", "-Infinity is not"),
    "integer beyond 2**53": (b'{"a/b": 9007199254740992}', "/a~1b", "beyond 2**53 - 1"),
    "long integer": (b'{"a~": ' + b"9" * 5_000 + b"}", "/a~0", "beyond 2**53 - 1"),
    "long fraction": (b"[0." + b"1" * NUMBER_LENGTH_MAX + b"]", "/0", "out of range"),
    "huge exponent": (b"[1e9999]", "/0", "out of range"),
    "vast exponent": (b"[1e99999999999]", "/0", "out of range"),
    "tiny exponent": (b"[1e-401]", "/0", "out of range"),
    "lone surrogate": (b'{"a": "\\ud800"}', "/a", "U+D800"),
    "lone surrogate in a key": (b'{"\\udc00": 1}', "", "U+DC00"),
    "NUL": (b'{"a": ["\\u0000"]}', "/a/0", "U+0000"),
    "noncharacter": (b'"\\uffff"', "", "U+FFFF"),
    "astral noncharacter": ('"\U0010fffe"'.encode(), "", "U+10FFFE"),
    "control character": (b'"\x01"', "", "not JSON"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    """Each of these is refused as invalid, at its place, in words that name it."""
    raw, pointer, words = REFUSED[name]
    with pytest.raises(InvalidError) as caught:
        read_json(raw, limit=LIMIT)
    assert (caught.value.pointer, words in caught.value.message) == (pointer, True)
    assert caught.value.errors[0].pointer == pointer


def test_size_is_limited_at_the_byte() -> None:
    """A body of exactly the limit is read, one byte more is not."""
    assert read_json(b'"ab"', limit=4) == "ab"
    with pytest.raises(TooLargeError):
        read_json(b'"abc"', limit=4)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_limited(opening: bytes, closing: bytes) -> None:
    """The deepest allowed nesting is read, one more is refused, and so is absurdly more."""
    inner = b"1"
    read_json(opening * JSON_DEPTH_MAX + inner + closing * JSON_DEPTH_MAX, limit=LIMIT)
    for depth in (JSON_DEPTH_MAX + 1, 200_000):
        with pytest.raises(TooLargeError, match="nested deeper"):
            read_json(opening * depth + inner + closing * depth, limit=10 * LIMIT)


def test_integers_at_the_edge_are_exact() -> None:
    """The largest integers of the profile are read exactly."""
    edge = str(INTEGER_MAX).encode()
    assert read_json(b"[" + edge + b",-" + edge + b",-0]", limit=LIMIT) == [
        INTEGER_MAX,
        -INTEGER_MAX,
        0,
    ]


def test_fractions_are_exact() -> None:
    """A fraction is the decimal that was written, not the nearest double."""
    assert read_json(b"0.1", limit=LIMIT) == Decimal("0.1")
    assert read_json(b"[0.90]", limit=LIMIT) == read_json(b"[0.9]", limit=LIMIT)


@pytest.mark.parametrize(
    ("tree", "written"),
    [
        ({"b": 1, "a": [True, None, "ä\n"]}, '{"a":[true,null,"ä\\n"],"b":1}'),
        (Decimal("0.90"), "0.9"),
        (Decimal("1.0"), "1"),
        (Decimal("1E+2"), "100"),
        (Decimal("-0.0"), "0"),
        (Decimal("-0.00100"), "-0.001"),
        (Decimal("12.5"), "12.5"),
        (Decimal("1e300"), "1e300"),
        (Decimal("1.5e-300"), "15e-301"),
        (0.25, "0.25"),
        (INTEGER_MAX, str(INTEGER_MAX)),
    ],
)
def test_equal_values_have_equal_bytes(tree: Json, written: str) -> None:
    """A tree is written in one way: sorted keys, numbers by value, no spaces."""
    assert write_json(tree) == written.encode()


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        ({"a": float("nan")}, "/a"),
        ({"a": [float("inf")]}, "/a/0"),
        ({1: "a"}, ""),
        ({"a": b"bytes"}, "/a"),
        ({"a": {1, 2}}, "/a"),
        ({"a": 2**53}, "/a"),
        ({"a": Decimal("NaN")}, "/a"),
    ],
)
def test_trees_from_other_readers_are_checked(tree: object, pointer: str) -> None:
    """What YAML can hold and JSON cannot is refused at its place."""
    with pytest.raises(InputError) as caught:
        check_tree(tree)
    assert caught.value.pointer == pointer


def test_a_plain_tree_passes() -> None:
    """A tree of plain values is returned as it is."""
    tree = {"a": [1, 0.5, "x", None, True]}
    assert check_tree(tree) is tree
