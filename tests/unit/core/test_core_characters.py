"""Characters as decisions see them: those of Unicode 14.0, on every interpreter."""

import hashlib
import sys
import unicodedata

import pytest

from pfgov.core.characters import (
    category,
    escaped,
    folded,
    is_alphanumeric,
    is_assigned,
    is_printable,
    normalized,
)  # fmt: skip
from pfgov.core.spelling import check_label, check_recorded_label
from pfgov.errors import InvalidError
from pfgov.policy.judging.functions import class_within
from pfgov.policy.judging.messages import show

SINCE_15 = "\U0001fae8"
"""A face that Unicode knows since 15.0."""

CODES = (*range(0x33480), *range(0xE0000, 0xE0200), 0xF0000, sys.maxunicode)
"""Code points of every version so far; beyond there are none, or they are for private use."""

EVERYTHING = "2ec779b8"


def _all_that_is_asked(char: str) -> bytes:
    answers = (
        is_printable(char), escaped(repr(char)), category(char), folded(char), is_alphanumeric(char),
        normalized("NFC", char), normalized("NFKD", char),
    )  # fmt: skip
    return escaped(repr(answers)).encode("utf-8", "surrogatepass")


def test_characters_are_the_same_on_every_interpreter() -> None:
    """What is said of some code point differs from what was said of it when decisions were recorded."""
    digest = hashlib.sha256()
    for code in CODES:
        digest.update(_all_that_is_asked(chr(code)))
    assert digest.hexdigest()[:8] == EVERYTHING


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="Python knows another Unicode")
def test_characters_are_those_of_python_where_it_knows_unicode_14() -> None:
    """The table differs from UnicodeData-14.0.0, which CPython 3.11 was made from."""
    for code in CODES:
        char = chr(code)
        assert (is_assigned(char), category(char)) == (
            unicodedata.category(char) != "Cn",
            unicodedata.category(char),
        )
        assert (is_printable(char), escaped(repr(char))) == (char.isprintable(), repr(char))
        assert (folded(char), is_alphanumeric(char)) == (char.casefold(), char.isalnum())


def test_characters_beside_each_other_are_one_text() -> None:
    """Marks are not put onto the letter before them, or over a character that is not known."""
    assert normalized("NFC", "e\u0301") == "\xe9"
    assert normalized("NFC", f"e{SINCE_15}\u0301") == f"e{SINCE_15}\u0301"
    assert normalized("NFKD", f"\ufb01{SINCE_15}\xe9") == f"fi{SINCE_15}e\u0301"
    assert folded(f"STRASSE\xdf{SINCE_15}A") == f"strassess{SINCE_15}a"
    assert not is_printable(f"a{SINCE_15}")
    assert is_printable("\u0434\u4e2d\U0001f600 a")


def test_sentences_of_decisions_escape_what_unicode_14_does_not_know() -> None:
    """A reason shows a character as it is on an interpreter that knows it, and is another reason there."""
    assert show(f"tier {SINCE_15}") == r"'tier \U0001fae8'"
    assert show("tier \U0001f600") == "tier \U0001f600"
    assert escaped(f"'{SINCE_15}\u1c89'") == r"'\U0001fae8\u1c89'"
    assert class_within("pii\u1c89", "pii") is not class_within("pii\u0434", "pii")


def test_labels_on_record_hold_what_newer_interpreters_know() -> None:
    """A label that was let in where its character is known is refused when the entry is replayed elsewhere."""
    assert check_recorded_label(f"tier {SINCE_15}") == f"tier {SINCE_15}"
    for wrong in ("a\u200b", " a", "e\u0301", f"{SINCE_15}e\u0301", "a\ue000", "\u3164"):
        with pytest.raises(InvalidError, match="the value"):
            check_recorded_label(wrong)
        with pytest.raises(InvalidError, match="the value"):
            check_label(wrong)


def test_labels_that_come_in_are_held_against_what_the_interpreter_knows() -> None:
    """What nobody here can see gets into a label."""
    unknown = next(c for c in map(chr, range(0xE0200, 0xE0FFF)) if unicodedata.category(c) == "Cn")
    assert check_recorded_label(f"a{unknown}") == f"a{unknown}"
    with pytest.raises(InvalidError, match="does not know"):
        check_label(f"a{unknown}")
