"""The layout of an expression's text: one blank where there should be one, none elsewhere.

Only white space changes: the tokens stay as their author wrote them, parentheses, quotes and numbers included, so the
meaning cannot.  An expression over several lines, or with a comment, was laid out by hand and is left alone.  Knows
tokens, not trees.
"""

import re
from typing import Final

from pfgov.policy.cel.errors import CelLoadError
from pfgov.policy.cel.parser import parse

_TOKEN: Final = re.compile(
    r'''(?P<text>[rRbB]{0,2}(?:"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))'''
    r"|(?P<number>0x[0-9a-fA-F]+[uU]?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*|`[^`]*`)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])"
    r"|(?P<blank>[ \t]+)"
)
_BINARY: Final = frozenset({"&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"})
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}


def laid_out(text: str) -> str:
    """Return *text* with its white space in order; unchanged where it was laid out by hand or is no expression.

    >>> laid_out("a&&( b||!c ) &&  x.exists( y,y==-1 )")
    'a && (b || !c) && x.exists(y, y == -1)'
    >>> laid_out("p?q:{'k' :1,?m:n}[ ?'k' ]")
    "p ? q : {'k': 1, ?m: n}[?'k']"
    """
    tokens = _tokens(text)
    if tokens is None:
        return text
    made = _Writer().write(tokens)
    try:
        # "- 3" is a minus before a number, and "-3" is another one.
        return made if parse(made) == parse(text) else text
    except CelLoadError:
        return text


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """Return (kind, token) pairs without the blanks; None where a line, a comment or anything else stands."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or text.startswith("//", at):
            return None
        kind = match.lastgroup or ""
        if kind == "sign" and match[0] == "." and _starts_number(text, at, found):
            return None
        if kind != "blank":
            found.append((kind, match[0]))
        at = match.end()
    return found


def _starts_number(text: str, at: int, found: list[tuple[str, str]]) -> bool:
    """Whether a dot begins a number where a value is expected: which of the two it is takes a grammar to say."""
    return text[at + 1 : at + 2].isdigit() and not (found and found[-1][0] in {"name", "text"})


class _Writer:
    """Puts tokens side by side, and knows in which bracket it is."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        # The open brackets, each with the number of conditionals that wait for their colon in it.
        self._open: list[tuple[str, int]] = [("", 0)]
        self._last = ""
        self._is_value = (
            False  # whether the last token ends a value, so that an operator comes next
        )

    def write(self, tokens: list[tuple[str, str]]) -> str:
        """Return the text of *tokens*."""
        for kind, word in tokens:
            if kind == "sign":
                self._sign(word)
            elif word == "in":
                self._spaced(word)
            else:
                glued = self._last in {"", ".", "(", "[", "{", "!", "unary", "marker"}
                self._add(word if glued else f" {word}", word, is_value=True)
        return "".join(self._parts)

    def _sign(self, token: str) -> None:
        bracket, waiting = self._open[-1]
        match token:
            case "?" if not self._is_value:
                self._add(" ?" if self._last == "," else "?", "marker", is_value=False)
            case "?":
                self._open[-1] = (bracket, waiting + 1)
                self._spaced(token)
            case ":" if waiting:
                self._open[-1] = (bracket, waiting - 1)
                self._spaced(token)
            case "," | ":":
                self._add(token, ",", is_value=False)
            case "(" | "[" | "{":
                self._open.append((token, 0))
                # A call, an index or a message stands at its name; a group or a list is a value of its own.
                glued = self._is_value or self._last in {
                    "",
                    "(",
                    "[",
                    "{",
                    "!",
                    "unary",
                    "marker",
                    ".",
                }
                self._add(token if glued else f" {token}", token, is_value=False)
            case ")" | "]" | "}":
                if len(self._open) > 1:
                    self._open.pop()
                self._add(token, token, is_value=True)
            case ".":
                glued = self._is_value or self._last in {"", "(", "[", "{", "!", "unary"}
                self._add("." if glued else " .", ".", is_value=False)
            case "!":
                self._prefix("!", "!")
            case "-" if not self._is_value:
                self._prefix("-", "unary")
            case _:
                self._spaced(token)

    def _prefix(self, token: str, name: str) -> None:
        glued = self._last in {"", "(", "[", "{", "!", "unary", "marker"}
        self._add(token if glued else f" {token}", name, is_value=False)

    def _spaced(self, token: str) -> None:
        self._add(f" {token}", token, is_value=False)

    def _add(self, text: str, last: str, *, is_value: bool) -> None:
        self._parts.append(text)
        self._last, self._is_value = last, is_value
