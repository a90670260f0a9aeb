"""Source text to syntax tree: cel-python's grammar, our tree.

What is valid is read by :mod:`pfgov.policy.cel.descent`, which imports nothing and gives the same tree.  Everything
that it does not expect is asked of cel-python, so that what is refused, and with which words, is its business.
Only ``celpy.celparser.CELParser`` is used, never an interpreter or runner, and only on the neutral text of
:mod:`pfgov.policy.cel.scan`.  One parser serves the whole process, under a lock, because cel-python keeps it in a class
attribute.  The interpreter's recursion limit, which cel-python lowers in places, is put back.  Every loop below that
could be long is a loop, not a recursion: only brackets nest, and the scan has bounded those.
"""

import re
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from pfgov.policy.cel import literals, macros
from pfgov.policy.cel.descent import RESERVED, descend
from pfgov.policy.cel.errors import CelSyntaxError
from pfgov.policy.cel.limits import TREE_DEPTH, TREE_NODES
from pfgov.policy.cel.scan import Scan, scan
from pfgov.policy.cel.syntax import (
    And,
    Ast,
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
    Span,
    Ternary,
    Unary,
    children,
)  # fmt: skip

_LOCK: Final = threading.Lock()
_OPERATORS: Final = {
    "relation_lt": "<", "relation_le": "<=", "relation_ge": ">=", "relation_gt": ">",
    "relation_eq": "==", "relation_ne": "!=", "relation_in": "in",
    "addition_add": "+", "addition_sub": "-",
    "multiplication_mul": "*", "multiplication_div": "/", "multiplication_mod": "%",
}  # fmt: skip


def parse(source: str) -> Ast:
    """Parse one CEL expression.

    Raises:
        CelSyntaxError: It is no expression of our profile; the first problem, with its position.
    """
    scanned = scan(source)
    root = descend(scanned) or by_grammar(scanned)
    _bound(scanned, root)
    return Ast(source, root)


def by_grammar(scanned: Scan) -> Node:
    """Return the tree that cel-python's grammar gives *scanned*.

    Raises:
        CelSyntaxError: It is no expression of our profile; the first problem, with its position.
    """
    return _Builder(scanned).build(_tree(scanned))


def _tree(scanned: Scan) -> Any:
    limit = sys.getrecursionlimit()
    # Imported here: celpy pulls in half a second of modules that a reader of ledgers never needs.
    from celpy.celparser import CELParseError, CELParser

    with _LOCK:
        try:
            parser: Any = CELParser()
            return parser.parse(scanned.neutral)
        except CELParseError as error:
            raise _unexpected(scanned, error) from None
        finally:
            sys.setrecursionlimit(limit)


def _unexpected(scanned: Scan, error: Any) -> CelSyntaxError:
    cause: Any = error.__context__  # lark's own error knows the token
    if getattr(getattr(cause, "token", None), "type", "$END") == "$END":
        end = len(scanned.neutral.rstrip())
        hint = None
        if scanned.neutral.rstrip().endswith("%"):
            hint = "% is the remainder of a division: write 0.8 for 80 %"
        elif "?" in scanned.neutral and ":" not in scanned.neutral:
            hint = "write condition ? one : other; a rule has `when`"
        return scanned.error("cel.syntax", "the expression ends too early", end, hint)
    # Literals that span lines are one line in the neutral text, so count there.
    starts: list[int] = [0, *(i + 1 for i, c in enumerate(scanned.neutral) if c == "\n")]
    offset = starts[int(error.line) - 1] + int(error.column) - 1
    token = re.match(r"\w+|.", scanned.source[offset:], re.DOTALL)
    shown = token.group() if token else ""
    hint = _slip(scanned.source, offset)
    return scanned.error("cel.syntax", f"unexpected `{shown}`", offset, hint)


_SLIPS: Final = (
    # (what stands before the place, what stands there, what to write)
    (r"[0-9]$", r",\s*[0-9]", "a number has a point, and nothing between thousands: 0.6, 1000"),
    (r"-$", r">", "write list.all(x, condition)"),
    (r"\?$|", r"\?", "write has(x) ? x : other, or x.orValue(other) after .?"),
    (r"\*$", r"\*", "there are no powers: write x * x"),
    (r"\bin\s*[({][^)}]*$", r",", "write a list: x in [a, b]"),
    (
        r"",
        r"::",
        'who asks has principal.rights and principal.members: write "operator" in principal.rights',
    ),
    (r"", r":", "write condition ? one : other"),
)


def _slip(source: str, offset: int) -> str | None:
    """Return what to write where another language's sign stands at *offset*."""
    for before, here, hint in _SLIPS:
        if re.search(before, source[:offset]) and re.match(here, source[offset:]):
            return hint
    return None


def _bound(scanned: Scan, root: Node) -> None:
    count = 0
    stack = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        count += 1
        if depth > TREE_DEPTH or count > TREE_NODES:
            raise scanned.error(
                "cel.too_deep" if depth > TREE_DEPTH else "cel.too_large",
                f"the expression is too complex (depth {TREE_DEPTH}, {TREE_NODES} parts at most)",
                node.span.start,
            )
        stack.extend((child, depth + 1) for child in children(node))


class _Builder:
    """Turns the parser's tree into ours.  A method takes a tree and returns a node."""

    def __init__(self, scanned: Scan) -> None:
        self.scan = scanned
        self.rules: dict[str, Callable[[Any], Node]] = {
            "expr": self.ternary,
            "conditionalor": self.logical,
            "conditionaland": self.logical,
            "relation": self.binary,
            "addition": self.binary,
            "multiplication": self.binary,
            "unary": self.unary,
            "member_dot": self.member,
            "member_dot_arg": self.member,
            "member_index": self.member,
            "member_object": self.message,
            "literal": self.literal,
            "ident": self.ident,
            "dot_ident": self.ident,
            "ident_arg": self.call,
            "dot_ident_arg": self.call,
            "list_lit": self.list_literal,
            "map_lit": self.map_literal,
        }

    def build(self, tree: Any) -> Node:
        tree = _descend(tree)
        return self.rules[tree.data](tree)

    def span(self, start: Any, end: Any) -> Span:
        return self.scan.span(_start(start), _end(end))

    def refuse(self, code: str, message: str, node: Node) -> CelSyntaxError:
        return self.scan.error(code, message, node.span.start)

    # --- operators --------------------------------------------------------------------------

    def ternary(self, tree: Any) -> Node:
        arms: list[tuple[Any, Node, Node]] = []
        while tree.data == "expr" and len(tree.children) == 3:
            condition, then, otherwise = tree.children
            arms.append((tree, self.build(condition), self.build(then)))
            tree = otherwise
        result = self.build(tree)
        for arm, condition_node, then_node in reversed(arms):
            result = Ternary(self.span(arm, arm), condition_node, then_node, result)
        return result

    def logical(self, tree: Any) -> Node:
        rule, whole = tree.data, tree
        operands: list[Any] = []
        while tree.data == rule and len(tree.children) == 2:
            tree, right = tree.children
            operands.append(right)
        operands.append(tree)
        nodes = tuple(self.build(operand) for operand in reversed(operands))
        return (Or if rule == "conditionalor" else And)(self.span(whole, whole), nodes)

    def binary(self, tree: Any) -> Node:
        rule = tree.data
        steps: list[tuple[str, Any]] = []
        while tree.data == rule and len(tree.children) == 2:
            head, right = tree.children
            steps.append((_OPERATORS[head.data], right))
            tree = head.children[0]
        first, result = tree, self.build(tree)
        for operator, right in reversed(steps):
            result = Binary(self.span(first, right), operator, result, self.build(right))
        return result

    def unary(self, tree: Any) -> Node:
        steps: list[tuple[str, Any]] = []
        while tree.data == "unary" and len(tree.children) == 2:
            sign, operand = tree.children
            steps.append(("!" if sign.data == "unary_not" else "-", tree))
            tree = operand
        result = self.build(tree)
        for operator, whole in reversed(steps):
            result = Unary(self.span(whole, whole), operator, result)
        return result

    # --- members ----------------------------------------------------------------------------

    def member(self, tree: Any) -> Node:
        steps: list[Any] = []
        while tree.data in ("member_dot", "member_dot_arg", "member_index"):
            steps.append(tree)
            tree = _descend(tree.children[0])
        result = self.build(tree)
        for step in reversed(steps):
            result = self.step(step, result)
        return result

    def step(self, tree: Any, operand: Node) -> Node:
        span = self.scan.span(operand.span.start, _end(tree))
        second = tree.children[1]
        optional = _start(second) in self.scan.optional
        if tree.data == "member_index":
            return Index(span, operand, self.build(second), optional)
        name = self.scan.fields.get(_start(second), str(second))
        at = self.span(second, second)
        if tree.data == "member_dot":
            return Select(span, operand, name, optional, at)
        if optional:
            raise self.scan.error("cel.syntax", "`.?` takes a field, not a call", _start(second))
        arguments = self.arguments(tree.children[2:])
        return macros.expand(Call(span, name, operand, arguments, at=at), self.refuse)

    def message(self, tree: Any) -> Node:
        raise self.scan.error(
            "cel.message", "protocol buffer messages are not part of this profile", _start(tree),
            "write a map in braces: {'key': value}",
        )  # fmt: skip

    def call(self, tree: Any) -> Node:
        name = str(tree.children[0])
        self.unreserved(name, tree)
        arguments = self.arguments(tree.children[1:])
        call = Call(self.span(tree, tree), name, None, arguments, tree.data == "dot_ident_arg")
        return macros.expand(call, self.refuse)

    def arguments(self, trees: list[Any]) -> tuple[Node, ...]:
        if not trees:
            return ()
        for expression in trees[0].children:
            if _start(expression) in self.scan.optional:
                raise self.scan.error(
                    "cel.syntax", "`?` does not belong before an argument", _start(expression)
                )
        return tuple(self.build(expression) for expression in trees[0].children)

    # --- primaries --------------------------------------------------------------------------

    def ident(self, tree: Any) -> Node:
        name = str(tree.children[0])
        self.unreserved(name, tree)
        return Ident(self.span(tree, tree), name, tree.data == "dot_ident")

    def unreserved(self, name: str, tree: Any) -> None:
        if name in RESERVED:
            raise self.scan.error("cel.reserved", f"`{name}` is a reserved word", _start(tree))
        start = _start(tree.children[0])
        if start in self.scan.fields:
            raise self.scan.error("cel.backquote", "back-quotes name a field, as in a.`b-c`", start)
        if start in self.scan.optional and start != _start(tree):
            raise self.scan.error("cel.syntax", "`.?` needs a value before it", start)

    def literal(self, tree: Any) -> Node:
        token = tree.children[0]
        offset, span = _start(token), self.span(tree, tree)
        if offset in self.scan.constants:
            return Literal_(span, self.scan.constants[offset])
        try:
            return Literal_(span, literals.number(str(token)))
        except literals.LiteralError as error:
            raise self.scan.error("cel.number", str(error), offset) from None

    def list_literal(self, tree: Any) -> Node:
        items: list[Any] = tree.children[0].children if tree.children else []
        optional = tuple(_start(item) in self.scan.optional for item in items)
        return ListLiteral(
            self.span(tree, tree), tuple(self.build(item) for item in items), optional
        )

    def map_literal(self, tree: Any) -> Node:
        parts: list[Any] = tree.children[0].children if tree.children else []
        keys, values = parts[::2], parts[1::2]
        entries = tuple(
            (self.build(key), self.build(value)) for key, value in zip(keys, values, strict=True)
        )
        optional = tuple(_start(key) in self.scan.optional for key in keys)
        return MapLiteral(self.span(tree, tree), entries, optional)


def _descend(tree: Any) -> Any:
    """Skip the levels of the grammar that only pass one child through."""
    while len(tree.children) == 1 and tree.data in _PASSING:
        tree = tree.children[0]
    return tree


_PASSING: Final = frozenset(
    {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication",
     "unary", "member", "primary", "paren_expr"}
)  # fmt: skip


def _start(item: Any) -> int:
    position = item.start_pos if hasattr(item, "start_pos") else item.meta.start_pos
    return int(position)


def _end(item: Any) -> int:
    position = item.end_pos if hasattr(item, "end_pos") else item.meta.end_pos
    return int(position)
