"""The front door: one linear pass over the source before any parser may see it.

It enforces the limits (length, nesting), refuses unterminated literals, and gives
an author's typical slips (``=`` for ``==``, ``and`` for ``&&``, typographic quotes)
a message of their own.  Then it hands on a *neutral* text of the same length, in
which every literal is a harmless placeholder: the string pattern of cel-python's
lexer is exponential (39 characters took 17 seconds) and must never meet a real one.
Syntax that cel-python lacks (``.?field``, ``[?key]``, back-quoted names) is blanked
in the neutral text and remembered by offset.  Knows tokens, not grammar.
"""

import bisect
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pfgov.core.lookalikes import alike, called, is_unseen
from pfgov.policy.cel import literals
from pfgov.policy.cel.errors import CelSyntaxError
from pfgov.policy.cel.limits import NESTING, SOURCE_CHARACTERS, TOKENS
from pfgov.policy.cel.syntax import Constant, Span

_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r\n\f]+|//[^\n]*)"
    r"|(?P<quoted>[rR]?[bB]?(?:\"|')|[bB][rR](?:\"|'))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>0x[0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)"
    r"|(?P<backquoted>`)"
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])"
)
_FIELD: Final = re.compile(r"`([A-Za-z0-9_.\-/ ]+)`")
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_KEYWORDS: Final = frozenset({"true", "false", "null", "in"})
_CONSTANTS: Final[dict[str, Constant]] = {"true": True, "false": False, "null": None}
_WORD_OPERATORS: Final = {"and": "&&", "or": "||", "AND": "&&", "OR": "||", "is": "=="}
_CALLED: Final = {
    "contains": "item in list, or text.contains(part)",
    "startsWith": "text.startsWith(part)",
    "endsWith": "text.endsWith(part)",
    "matches": "text.matches(pattern)",
    "between": "x >= low && x <= high",
    "like": "text.matches(pattern)",
    **dict.fromkeys(
        ("includes", "holds", "contain", "include"), "item in list, or text.contains(part)"
    ),
    **dict.fromkeys(
        ("subset", "subsetof", "within"), "part.all(x, x in list), or sets.contains(list, part)"
    ),
    **dict.fromkeys(("intersects", "overlaps"), "sets.intersects(list, other)"),
    **dict.fromkeys(("eq", "equals", "EQ"), "a == b"),
    **dict.fromkeys(("ne", "neq", "NE"), "a != b"),
    **dict.fromkeys(("gt", "gte", "ge", "lt", "lte", "le"), "one of < <= > >="),
    "has": "has(member.region)",
    "xor": "a != b",
    "for": "list.all(x, condition), list.exists(x, condition) or list.filter(x, condition)",
}
"""Words that other languages have for operators -> what to write here."""

_SLIPS: Final = {
    "=": ("`=` is not an operator", "write == to compare"),
    "<>": ("`<>` is not an operator", "write !="),
    "=>": (
        "`=>` is not an operator",
        "write >= to compare; a macro is written list.all(x, condition)",
    ),
    "=~": ("`=~` is not an operator", "write text.matches(pattern)"),
    "~": ("`~` is not an operator", "write text.matches(pattern)"),
    "&": ("`&` is not an operator", "write && for and; of lists: sets.intersects(list, other)"),
    "|": ("`|` is not an operator", "write || for or"),
    "\N{LEFT DOUBLE QUOTATION MARK}": ("a typographic quote", 'write a plain "'),
    "\N{RIGHT DOUBLE QUOTATION MARK}": ("a typographic quote", 'write a plain "'),
    "\N{LEFT SINGLE QUOTATION MARK}": ("a typographic quote", "write a plain '"),
    "\N{RIGHT SINGLE QUOTATION MARK}": ("a typographic quote", "write a plain '"),
    "#": ("`#` does not start a comment", "write // for a comment"),
    ";": ("`;` does not belong in an expression", "one expression, without a terminator"),
    "$": ("`$` does not belong in an expression", "write params.name, without a sigil"),
    "?.": ("`?.` is not an operator", "write .? before the field, and .orValue(other) behind it"),
    "@": ("`@` does not belong in an expression", "write the name alone; a text in quotes"),
    "^": ("`^` is not an operator", "there are no powers: write x * x; of two conditions: a != b"),
    "\\": ("`\\` stands outside of a text", 'write a plain "; what YAML escapes, it reads itself'),
}

_SIGNS: Final = {
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{NOT EQUAL TO}": "!=",
    "\N{ELEMENT OF}": "in",
    "\N{LOGICAL AND}": "&&",
    "\N{LOGICAL OR}": "||",
    "\N{NOT SIGN}": "!",
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
}
"""Signs of mathematics -> what stands for them here."""


def _stranger(character: str) -> tuple[str, str | None]:
    """Return what is wrong with a character that no expression holds outside of a text, and what to write."""
    if character in _SIGNS:
        return f"`{character}` is not an operator", f"write {_SIGNS[character]}"
    if character.isascii():
        return f"unexpected character {character!r}", "write text in quotes"
    message = f"unexpected character {character!r}, {called(character)}"
    like = alike(character)
    if is_unseen(character):
        return f"{message}, which nobody sees", "remove it"
    if like is not None:
        return (
            message,
            "write a plain blank" if like == " " else f"it looks like {like}: write {like}",
        )
    return message, "write text in quotes"


class Token(NamedTuple):
    """A piece of the source: a ``word``, ``number``, ``operator`` (``in`` too), or ``constant``; no mark ``?``."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class Scan:
    """What the pass found.

    Attributes:
        source: The text as written.
        neutral: The same length, safe for the parser.
        constants: Value of the string or bytes literal at an offset.
        optional: Offsets of the token that follows an optional mark ``?``.
        fields: Real name of the back-quoted field at an offset.
        tokens: The tokens, in order.
        comments: Where each comment stands, up to the line feed that ends it.
    """

    source: str
    neutral: str = ""
    constants: dict[int, Constant] = field(default_factory=dict[int, Constant])
    optional: set[int] = field(default_factory=set[int])
    fields: dict[int, str] = field(default_factory=dict[int, str])
    lines: list[int] = field(default_factory=list[int])
    tokens: list[Token] = field(default_factory=list[Token])
    comments: list[Span] = field(default_factory=list[Span])

    def span(self, start: int, end: int) -> Span:
        """The span of ``source[start:end]``."""
        line = bisect.bisect_right(self.lines, start)
        return Span(start, end, line, start - self.lines[line - 1] + 1)

    def error(
        self, code: str, message: str, offset: int, hint: str | None = None
    ) -> CelSyntaxError:
        """A syntax error at *offset*."""
        span = self.span(offset, offset)
        return CelSyntaxError(code, message, span.line, span.column, hint)


def scan(source: str) -> Scan:
    """Check *source* and prepare it for the parser, in time linear in its length.

    Raises:
        CelSyntaxError: A limit is exceeded or a token is malformed.
    """
    result = Scan(source)
    if len(source) > SOURCE_CHARACTERS:
        result.lines = [0]
        raise result.error(
            "cel.too_long", f"{len(source)} characters; at most {SOURCE_CHARACTERS}", 0
        )
    result.lines = [0, *(m.end() for m in re.finditer("\n", source))]
    _Scanner(result).run()
    return result


class _Scanner:
    def __init__(self, result: Scan) -> None:
        self.result = result
        self.source = result.source
        self.output: list[str] = []
        self.open: list[tuple[str, int]] = []
        self.previous = ""  # text of the last token
        self.operand_ended = False  # whether the last token could end an operand
        self.optional_next = False
        self.tokens = 0

    def run(self) -> None:
        position = 0
        while position < len(self.source):
            match = _TOKEN.match(self.source, position)
            if match is None:
                raise self.unexpected(position)
            kind = match.lastgroup
            text = match.group()
            if kind == "space":
                self.output.append(text if text.isspace() else " " * len(text))
                if text.startswith("//"):
                    self.result.comments.append(self.result.span(position, match.end()))
                position = match.end()
                continue
            position = self.token(kind or "", text, position)
        if self.open:
            bracket, offset = self.open[-1]
            raise self.result.error("cel.unbalanced", f"`{bracket}` is never closed", offset)
        if not self.previous:
            raise self.result.error("cel.empty", "the expression is empty", 0)
        self.result.neutral = "".join(self.output)

    def token(self, kind: str, text: str, position: int) -> int:
        self.tokens += 1
        if self.tokens > TOKENS:
            raise self.result.error("cel.too_large", f"more than {TOKENS} tokens", position)
        if kind == "operator":
            self.operator(text, position)
            return position + len(text)
        if self.operand_ended and not (kind == "word" and text == "in"):
            raise self.missing_operator(kind, text, position)
        if self.optional_next:
            self.result.optional.add(position)
            self.optional_next = False
        if kind == "quoted":
            return self.quoted(position, len(text) - 1)
        if kind == "backquoted":
            return self.backquoted(position)
        if kind == "number":
            self.number(text, position)
        else:
            self.word(text, position)
        return position + len(text)

    def emit(self, kind: str, text: str, shown: str, position: int, *, operand: bool) -> None:
        self.output.append(shown)
        self.result.tokens.append(Token(kind, text, position, position + len(text)))
        self.previous = text
        self.operand_ended = operand

    # --- tokens -----------------------------------------------------------------------------

    def operator(self, text: str, position: int) -> None:
        if self.source.startswith("<>", position):
            message, hint = _SLIPS["<>"]
            raise self.result.error("cel.character", message, position, hint)
        is_chained = text == "?" and re.match(
            r"\?\.[A-Za-z_]", self.source[position : position + 3]
        )
        if is_chained and ":" not in self.source[position:]:
            message, hint = _SLIPS["?."]
            raise self.result.error("cel.character", message, position, hint)
        if text == "?" and self.previous in (".", "[", "{", ",") and not self.optional_next:
            self.output.append(" ")
            self.optional_next = True
            return
        if text in "([{":
            if self.optional_next:
                self.result.optional.add(position)
                self.optional_next = False
            self.open.append((text, position))
            if len(self.open) > NESTING:
                raise self.result.error(
                    "cel.too_deep", f"nested more than {NESTING} levels", position
                )
        elif text in ")]}":
            self.close(text, position)
        elif self.optional_next:
            self.result.optional.add(position)
            self.optional_next = False
        self.emit("operator", text, text, position, operand=text in ")]}")

    def close(self, text: str, position: int) -> None:
        if not self.open:
            raise self.result.error("cel.unbalanced", f"`{text}` was never opened", position)
        bracket, offset = self.open.pop()
        if bracket != _PAIRS[text]:
            where = self.result.span(offset, offset)
            raise self.result.error(
                "cel.unbalanced",
                f"`{text}` does not close `{bracket}` of {where.line}:{where.column}",
                position,
            )

    def word(self, text: str, position: int) -> None:
        if self.previous == "." and text in _KEYWORDS:
            is_call = self.source[position + len(text) :].lstrip().startswith("(")
            hint = "write x in [a, b]" if is_call else f"write [{text!r}] or .`{text}`"
            message = f"`{text}` cannot be {'called' if is_call else 'a field name'} here"
            raise self.result.error("cel.keyword", message, position, hint)
        if text in _CONSTANTS:
            # cel-python's lexer drops the position of these; as literals they keep it.
            self.result.constants[position] = _CONSTANTS[text]
            self.emit("constant", text, '"' + "_" * (len(text) - 2) + '"', position, operand=True)
            return
        self.emit(
            "operator" if text == "in" else "word", text, text, position, operand=text != "in"
        )

    def number(self, text: str, position: int) -> None:
        end = position + len(text)
        following = self.source[end : end + 1]
        if following.isalnum() or following == "_":
            hint = "write 1000" if following == "_" else "write text in quotes"
            message = f"`{text}{following}` is not a number"
            raise self.result.error("cel.number", message, position, hint)
        if following == "." and text.isdigit() and not self.source[end + 1 : end + 2].isalpha():
            raise self.result.error(
                "cel.number", f"`{text}.` needs a digit after the point", position
            )
        if following == ".":
            # cel-python would read "24." as a number, so "24.size()" is refused.
            raise self.result.error(
                "cel.number", f"`{text}.` is ambiguous", position, f"write ({text})."
            )
        self.emit("number", text, text, position, operand=True)

    def quoted(self, position: int, prefix: int) -> int:
        end = self.closing(position, prefix)
        text = self.source[position:end]
        try:
            self.result.constants[position] = literals.text_or_bytes(text)
        except literals.LiteralError as error:
            raise self.result.error("cel.escape", str(error), position + error.offset) from None
        self.emit("constant", text, '"' + "_" * (len(text) - 2) + '"', position, operand=True)
        return end

    def closing(self, position: int, prefix: int) -> int:
        """The offset behind the literal that starts at *position*."""
        source, start = self.source, position + prefix
        quote = source[start]
        if source.startswith(quote * 3, start):
            quote *= 3
        raw = "r" in source[position:start].lower()
        index = start + len(quote)
        while index < len(source):
            if source[index] == "\\" and not raw:
                index += 2
            elif source.startswith(quote, index):
                return index + len(quote)
            elif source[index] in "\r\n" and len(quote) == 1:
                break
            else:
                index += 1
        raise self.result.error(
            "cel.unterminated", "the text is not closed on this line", position,
            f"add the closing {quote}",
        )  # fmt: skip

    def backquoted(self, position: int) -> int:
        match = _FIELD.match(self.source, position)
        if match is None or self.previous != ".":
            raise self.result.error(
                "cel.backquote", "back-quotes name a field, as in a.`b-c`", position
            )
        following = self.source[match.end() : match.end() + 1]
        if following.isalnum() or following == "_":
            # In the neutral text the two would be one name.
            raise self.result.error(
                "cel.backquote", f"a space is missing after {match.group()}", match.end()
            )
        self.result.fields[position] = match.group(1)
        name = match.group()
        self.emit("word", name, "_" * len(name), position, operand=True)
        return match.end()

    # --- slips ------------------------------------------------------------------------------

    def missing_operator(self, kind: str, text: str, position: int) -> CelSyntaxError:
        if text in _WORD_OPERATORS:
            hint = f"write {_WORD_OPERATORS[text]}"
        elif text in ("not", "NOT"):
            hint = "write !(a in b)"
        elif kind == "word" and self.source[:position].rstrip().endswith(("not", "NOT")):
            hint = "write !(...)"
        elif self.source.lstrip().startswith(("if ", "if(")):
            hint = "there is no `if`: write condition ? one : other; a rule has `when`"
        elif text in _CALLED:
            hint = f"write {_CALLED[text]}"
        elif kind == "word":
            hint = "write text in quotes"
        else:
            hint = None
        shown = f"`{text}`" if kind in ("word", "number") else "this"
        return self.result.error(
            "cel.missing_operator", f"an operator is missing before {shown}", position, hint
        )

    def unexpected(self, position: int) -> CelSyntaxError:
        character = self.source[position]
        both = self.source[position : position + 2]
        message, hint = _SLIPS.get(both, _SLIPS.get(character, (None, None)))
        if character == "=" and self.source[position - 2 : position] == "==":
            message, hint = "`===` is not an operator", "write =="
        if message is None:
            message, hint = _stranger(character)
        return self.result.error("cel.character", message, position, hint)
