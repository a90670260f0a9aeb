"""Tokens to syntax tree, quickly: recursive descent over what :mod:`pfgov.policy.cel.scan` found.

A stored policy set is compiled whenever a ledger is opened, and cel-python takes a quarter of a second to import and to
build its tables.  So valid expressions are read here.  This parser accepts no expression that cel-python's grammar does
not, gives the same tree down to the spans (a test holds both over every expression there is), and explains nothing: at
whatever it does not expect it returns None, and :mod:`pfgov.policy.cel.parser` asks cel-python, which has the last word
and the message.

The levels are those of the CEL language definition, "Syntax".  Chains are loops; only brackets recurse, and the scan
has bounded those.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from pfgov.policy.cel import literals, macros
from pfgov.policy.cel.scan import Scan, Token
from pfgov.policy.cel.syntax import (
    And,
    Binary,
    Call,
    Ident,
    Index,
    ListLiteral,
    Literal_,
    MapLiteral,
    Node,
    Or,
    Select,
    Ternary,
    Unary,
)

RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "package", "namespace", "null", "return", "true", "var", "void", "while",
    }
)  # fmt: skip
"""Words that name nothing (CEL language definition, "Syntax")."""

_RELATIONS: Final = frozenset({"<", "<=", ">=", ">", "==", "!=", "in"})
_ADDITIONS: Final = frozenset({"+", "-"})
_MULTIPLICATIONS: Final = frozenset({"*", "/", "%"})
_END: Final = Token("end", "", 0, 0)


class _Read(NamedTuple):
    """A node, and where it stands with the parentheses around it."""

    node: Node
    start: int
    end: int


class _UnsureError(Exception):
    """Something that this parser does not expect: cel-python is asked."""


def descend(scanned: Scan) -> Node | None:
    """Return the tree of *scanned*; None where cel-python's grammar has to be asked."""
    try:
        return _Descent(scanned).whole()
    except _UnsureError:
        return None


def _unsure(_code: str, _message: str, _node: Node) -> _UnsureError:
    return _UnsureError()


class _Descent:
    def __init__(self, scanned: Scan) -> None:
        self.scan = scanned
        self.tokens = [*scanned.tokens, _END]
        self.at = 0

    # --- tokens -----------------------------------------------------------------------------

    def peek(self) -> str:
        """Return the operator that is next; nothing where something else is."""
        token = self.tokens[self.at]
        return token.text if token.kind == "operator" else ""

    def take(self, text: str) -> bool:
        if self.peek() == text:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> int:
        """Take the operator *text* and return where it ends."""
        if self.peek() != text:
            raise _UnsureError
        self.at += 1
        return self.tokens[self.at - 1].end

    def word(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "word":
            raise _UnsureError
        self.at += 1
        return token

    # --- levels -----------------------------------------------------------------------------

    def whole(self) -> Node:
        found = self.expression()
        if self.tokens[self.at] is not _END:
            raise _UnsureError
        return found.node

    def expression(self) -> _Read:
        arms: list[tuple[_Read, _Read]] = []
        result = self.disjunction()
        while self.take("?"):
            then = self.disjunction()
            self.expect(":")
            arms.append((result, then))
            result = self.disjunction()
        for condition, then in reversed(arms):
            span = self.scan.span(condition.start, result.end)
            node = Ternary(span, condition.node, then.node, result.node)
            result = _Read(node, condition.start, result.end)
        return result

    def disjunction(self) -> _Read:
        return self.logical("||", Or, self.conjunction)

    def conjunction(self) -> _Read:
        return self.logical("&&", And, self.relation)

    def logical(self, operator: str, kind: type[And | Or], operand: Callable[[], _Read]) -> _Read:
        first = last = operand()
        if self.peek() != operator:
            return first
        nodes = [first.node]
        while self.take(operator):
            last = operand()
            nodes.append(last.node)
        node = kind(self.scan.span(first.start, last.end), tuple(nodes))
        return _Read(node, first.start, last.end)

    def relation(self) -> _Read:
        return self.binary(_RELATIONS, self.addition)

    def addition(self) -> _Read:
        return self.binary(_ADDITIONS, self.multiplication)

    def multiplication(self) -> _Read:
        return self.binary(_MULTIPLICATIONS, self.unary)

    def binary(self, operators: frozenset[str], operand: Callable[[], _Read]) -> _Read:
        result = operand()
        while (operator := self.peek()) in operators:
            self.at += 1
            right = operand()
            span = self.scan.span(result.start, right.end)
            node = Binary(span, operator, result.node, right.node)
            result = _Read(node, result.start, right.end)
        return result

    def unary(self) -> _Read:
        signs: list[Token] = []
        while self.peek() in {"!", "-"} and not self.is_negative_number():
            signs.append(self.tokens[self.at])
            self.at += 1
        result = self.member()
        for sign in reversed(signs):
            node = Unary(self.scan.span(sign.start, result.end), sign.text, result.node)
            result = _Read(node, sign.start, result.end)
        return result

    def is_negative_number(self) -> bool:
        """Whether a sign is next that belongs to a literal: nothing stands between them."""
        sign, following = self.tokens[self.at], self.tokens[self.at + 1]
        return sign.text == "-" and following.kind == "number" and following.start == sign.end

    # --- members ----------------------------------------------------------------------------

    def member(self) -> _Read:
        node, start, end = self.primary()
        while True:
            if self.take("."):
                node, end = self.field(node)
            elif self.take("["):
                key = self.expression()
                end = self.expect("]")
                optional = key.start in self.scan.optional
                node = Index(self.scan.span(node.span.start, end), node, key.node, optional)
            elif self.peek() == "{":
                raise _UnsureError
            else:
                return _Read(node, start, end)

    def field(self, operand: Node) -> tuple[Node, int]:
        word = self.word()
        name = self.scan.fields.get(word.start, word.text)
        at = self.scan.span(word.start, word.end)
        optional = word.start in self.scan.optional
        if not self.take("("):
            span = self.scan.span(operand.span.start, word.end)
            return Select(span, operand, name, optional, at), word.end
        if optional:
            raise _UnsureError
        arguments, end = self.arguments()
        span = self.scan.span(operand.span.start, end)
        return macros.expand(Call(span, name, operand, arguments, at=at), _unsure), end

    def arguments(self) -> tuple[tuple[Node, ...], int]:
        items, end = self.items(")")
        if any(one.start in self.scan.optional for one in items):
            raise _UnsureError
        return tuple(one.node for one in items), end

    def items(self, closing: str) -> tuple[list[_Read], int]:
        """Read expressions with commas between them, up to the bracket *closing*."""
        found: list[_Read] = []
        if self.peek() != closing:
            found.append(self.expression())
            while self.take(","):
                found.append(self.expression())
        return found, self.expect(closing)

    # --- primaries --------------------------------------------------------------------------

    def primary(self) -> _Read:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "constant":
            value = self.scan.constants[token.start]
            return self.read(Literal_(self.scan.span(token.start, token.end), value), token.end)
        if token.kind == "number":
            return self.number(token.text, token.start, token.end)
        if token.kind == "word":
            return self.name(token, token.start, is_absolute=False)
        if token.kind == "operator":
            return self.bracketed(token)
        raise _UnsureError

    def bracketed(self, token: Token) -> _Read:
        if token.text == "(":
            inner = self.expression()
            return _Read(inner.node, token.start, self.expect(")"))
        if token.text == "[":
            items, end = self.items("]")
            marks = tuple(one.start in self.scan.optional for one in items)
            nodes = tuple(one.node for one in items)
            return self.read(ListLiteral(self.scan.span(token.start, end), nodes, marks), end)
        if token.text == "{":
            return self.map(token)
        if token.text == ".":
            word = self.word()
            if word.start in self.scan.fields or word.start in self.scan.optional:
                raise _UnsureError
            return self.name(word, token.start, is_absolute=True)
        if token.text == "-" and self.tokens[self.at].kind == "number":
            number = self.tokens[self.at]
            self.at += 1
            return self.number(f"-{number.text}", token.start, number.end)
        raise _UnsureError

    def read(self, node: Node, end: int) -> _Read:
        return _Read(node, node.span.start, end)

    def number(self, text: str, start: int, end: int) -> _Read:
        try:
            value = literals.number(text)
        except ValueError:  # out of range, or no number of the language, as 1.5u
            raise _UnsureError from None
        return self.read(Literal_(self.scan.span(start, end), value), end)

    def name(self, word: Token, start: int, *, is_absolute: bool) -> _Read:
        if word.text in RESERVED:
            raise _UnsureError
        if not self.take("("):
            ident = Ident(self.scan.span(start, word.end), word.text, is_absolute)
            return self.read(ident, word.end)
        arguments, end = self.arguments()
        call = Call(self.scan.span(start, end), word.text, None, arguments, is_absolute)
        return self.read(macros.expand(call, _unsure), end)

    def map(self, token: Token) -> _Read:
        entries: list[tuple[Node, Node]] = []
        marks: list[bool] = []
        while self.peek() != "}" or entries:
            key = self.expression()
            self.expect(":")
            entries.append((key.node, self.expression().node))
            marks.append(key.start in self.scan.optional)
            if not self.take(","):
                break
        end = self.expect("}")
        node = MapLiteral(self.scan.span(token.start, end), tuple(entries), tuple(marks))
        return self.read(node, end)
