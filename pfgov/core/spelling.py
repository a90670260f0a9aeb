"""The one spelling of each kind of name, so that no other spelling of the same word walks past a rule.

Rules compare names as they stand.  What a person takes for the same name is therefore the same text, or it is refused
where it comes in: capitals, doubled or trailing separators, and characters that nobody sees.  Ids of members and
packets name things and classify nothing; they are compared byte by byte and keep their capitals.  Of members, no two
on record look alike (:func:`looks`; decision record 0024).
"""

import re
import unicodedata
from typing import Final

from pfgov.core.characters import category, normalized
from pfgov.core.lookalikes import FILLERS, UNSEEN, oddity, plainly
from pfgov.errors import InvalidError

CLASS_PATTERN: Final = r"[a-z0-9](?:[-_.]?[a-z0-9])*"
"""Data classes and clearances: lower-case dotted names, the widest first (``pii.email``)."""

NAME_PATTERN: Final = r"[a-z0-9](?:[-_.:]?[a-z0-9])*"
"""Capabilities and workload types: lower-case words joined by one separator each."""

REGION_PATTERN: Final = r"[a-z0-9](?:[-_./]?[a-z0-9])*"
"""Regions: lower-case names in a hierarchy, the widest first (``us-east/1a``)."""

DIMENSION_PATTERN: Final = r"[a-z][a-z0-9_]*"
"""Resource dimensions: they are field names in policies (``packet.demand.cpu``)."""

_CLASS: Final = re.compile(CLASS_PATTERN, re.ASCII)
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
_REGION: Final = re.compile(REGION_PATTERN, re.ASCII)
_DIMENSION: Final = re.compile(DIMENSION_PATTERN, re.ASCII)
_PII_ALIKE: Final = re.compile(r"pii(?!\.|$)", re.ASCII)
_UNSEEN_FOR_GOOD: Final = UNSEEN - {"Cn"}
"""Without characters that Unicode 14.0 does not know: a later one may show them."""
_SAME_STROKES: Final = str.maketrans("01I", "oll")


def looks(member_id: str) -> tuple[str, ...]:
    """Return what *member_id*, in ASCII, may be taken for; two ids look alike where they have one of these in common.

    They differ then in capitals alone, or in characters of the same strokes alone: ``0`` and ``O``, ``1``, ``I`` and
    ``l``.  Separators and ``i`` beside ``l`` are told apart: fleets count with them.

    >>> looks("Agent-10"), looks("agent-1o")
    (('agent-10', 'agent-lo'), ('agent-1o', 'agent-lo'))
    """
    lowered, strokes = member_id.lower(), member_id.translate(_SAME_STROKES).lower()
    return (lowered,) if lowered == strokes else (lowered, strokes)


def check_dimension(text: str, pointer: str | None = None) -> str:
    """Return *text* if it names a resource dimension.

    Raises:
        InvalidError: it is not in its one spelling.
    """
    if not _DIMENSION.fullmatch(text):
        hint = "begin with a letter; then small letters, digits and _"
        raise _refused(text, "a resource dimension", hint, _suggestion(text, "_"), pointer)
    return text


def check_class(text: str, pointer: str | None = None) -> str:
    """Return *text* if it names a data class or a clearance.

    Raises:
        InvalidError: it is not in its one spelling, or reads like a class of personal data and is none.
    """
    if not _CLASS.fullmatch(text):
        hint = "lower-case names, the widest first, joined by dots"
        raise _refused(text, "a data class", hint, _suggestion(text, "."), pointer)
    if _PII_ALIKE.match(text):
        raise _refused(
            text, "a class within pii, though it reads like one", "a class within pii is pii.NAME",
            f"pii.{text[3:].lstrip('-_')}", pointer,
        )  # fmt: skip
    return text


def check_name(text: str, pointer: str | None = None) -> str:
    """Return *text* if it names a capability or a type of work.

    Raises:
        InvalidError: it is not in its one spelling.
    """
    if not _NAME.fullmatch(text):
        hint = "lower-case words with one of - _ . : between them"
        raise _refused(text, "a name", hint, _suggestion(text, "-"), pointer)
    return text


def check_region(text: str, pointer: str | None = None) -> str:
    """Return *text* if it names a region.

    Raises:
        InvalidError: it is not in its one spelling.
    """
    if not _REGION.fullmatch(text):
        hint = "lower-case names, the widest first, such as us-east/1a"
        plain = plainly(text).strip().lower()
        meant = plain if plain != text and _REGION.fullmatch(plain) else None
        raise _refused(text, "a region", hint, meant, pointer)
    return text


LABELS_HOLD: Final = "values of labels are in the normal form NFC, show all that they hold, and have no blank at an end"
"""What :func:`check_label` asks for, in a sentence."""


def check_label(text: str, pointer: str | None = None) -> str:
    """Return *text* if it can be the value of a label: what is seen of it is all of it.

    Raises:
        InvalidError: it begins or ends with a space, holds what nobody sees or this interpreter does not know, or has
            another normal form (NFC).
    """
    check_recorded_label(text, pointer)
    if text.isascii():
        return text
    for char in text:
        kind = unicodedata.category(char)
        if kind == "Cn":
            version = unicodedata.unidata_version
            said = (
                f"the value {text!r} holds U+{ord(char):04X}, which Unicode {version} does not know"
            )
            raise _bad_label(said, pointer)
        if kind in UNSEEN:
            said = f"the value {text!r} holds U+{ord(char):04X}, which nobody sees"
            raise _bad_label(said, pointer)
    if not unicodedata.is_normalized("NFC", text):
        raise _bad_label(f"the value {text!r} is not in normal form (NFC)", pointer)
    return text


def check_recorded_label(text: str, pointer: str | None = None) -> str:
    """Return *text* if it can be the value of a label on record, the same on every interpreter.

    Characters that Unicode 14.0 does not know pass: whether they are seen was asked where they came in.

    Raises:
        InvalidError: what :func:`check_label` says, of the other characters.
    """
    unseen = next((ch for ch in text if _is_unseen(ch)), None)
    if unseen is not None:
        message = f"the value {text!r} holds U+{ord(unseen):04X}, which nobody sees"
    elif text != text.strip():
        message = f"the value {text!r} begins or ends with a space"
    elif normalized("NFC", text) != text:
        message = f"the value {text!r} is not in normal form (NFC)"
    else:
        return text
    raise _bad_label(message, pointer)


def _is_unseen(char: str) -> bool:
    return char in FILLERS or category(char) in _UNSEEN_FOR_GOOD


def _bad_label(message: str, pointer: str | None) -> InvalidError:
    return InvalidError(message, code="label.value", pointer=pointer, hint="write it plainly")


def as_seen(text: str) -> str:
    """Return what is seen of *text*, so that it can be the value of a label; empty where nothing is."""
    seen = (ch for ch in text if unicodedata.category(ch) not in UNSEEN and ch not in FILLERS)
    return unicodedata.normalize("NFC", "".join(seen)).strip()


def _refused(
    text: str, what: str, hint: str, suggestion: str | None, pointer: str | None
) -> InvalidError:
    odd = oddity(text)
    said = f"{odd}; {hint}" if odd else hint
    said = f"{odd or hint}; did you mean {suggestion}?" if suggestion else said
    return InvalidError(f"{text!r} is not {what}", pointer=pointer, hint=said)


def _suggestion(text: str, separator: str) -> str | None:
    plain = re.sub(r"[^a-z0-9_-]+", separator, plainly(text).strip().lower()).strip("-_.")
    return plain if plain and plain != text and _CLASS.fullmatch(plain) else None
