"""Characters that are taken for others: what a letter of another script looks like, and what nobody sees.

For messages alone.  Names that rules compare and ids are ASCII (decision record 0024), and what is not is refused where
it comes in; here stands only what to say of it, so that a person who sees no difference is told where it is.
"""

import unicodedata
from typing import Final

_LETTERS: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u043a\u051b\u051d\u0475\u04cf"
    "\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b3\u0131\u0251\u0261"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406\u0408\u0405"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "aeopcyxijsdhkqwvlaeikvoptuxyiagABEKMHOPCTXYIJSABEZHIKMNOPTYX",
)
"""Letters of Cyrillic, Greek and Latin -> the ASCII one that they are taken for."""

UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that nobody sees."""

FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters and marks that nobody sees."""


def is_unseen(char: str) -> bool:
    """Whether nobody sees *char*: a control, a filler, a choice between forms of the character before it."""
    is_variant = "\ufe00" <= char <= "\ufe0f"
    return unicodedata.category(char) in UNSEEN or char in FILLERS or is_variant


def alike(char: str) -> str | None:
    r"""Return the ASCII character that *char*, of another script or form, is taken for; None where there is none.

    >>> alike("\u0440"), alike("\uff41"), alike("\u2013"), alike("p")
    ('p', 'a', '-', None)
    """
    if char.isascii():
        return None
    if unicodedata.category(char) == "Pd":
        return "-"
    found = char.translate(_LETTERS)
    found = unicodedata.normalize("NFKC", char) if found == char else found
    return found if len(found) == 1 and found.isascii() else None


def plainly(text: str) -> str:
    """Return *text* as a person reads it: in ASCII where a character is taken for one, without what nobody sees."""
    return "".join(alike(char) or char for char in text if not is_unseen(char))


def called(char: str) -> str:
    r"""Return what *char* is called, as a person can look it up.

    >>> called("\u0440")
    'U+0440 (CYRILLIC SMALL LETTER ER)'
    """
    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X} ({name})" if name else f"U+{ord(char):04X}"


def oddity(text: str) -> str | None:
    r"""Return what is odd about the first character of *text* that is not plain ASCII; None where there is none.

    >>> oddity("\u0440ii"), oddity("pii")
    ('it holds U+0440 (CYRILLIC SMALL LETTER ER), which looks like p', None)
    """
    for char in text:
        if char.isascii() and char.isprintable():
            continue
        if is_unseen(char):
            return f"it holds {called(char)}, which nobody sees"
        like = alike(char)
        like = "a blank" if like == " " else like
        return f"it holds {called(char)}" + (f", which looks like {like}" if like else "")
    return None
