"""Python source for checked expressions: the fast path behind the exact evaluator.

The one obligation: generated code either yields what the exact evaluator would yield, or
raises.  Any exception sends its caller to the exact evaluator, so errors, absent facts and
error absorption need no code at all.  What needs care is Python succeeding where CEL
differs; every operation below is emitted only behind proof of its operands' exact types.
In *guarded* code the proof is a ``type(x) is`` test; in *typed* code, for facts that a
schema has validated, it is the declared type.

This module emits expressions; loops are in :mod:`emit_loops`, calls in :mod:`emit_calls`,
whole functions in :mod:`generate`.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.emit_code import (
    KINDS,
    Code,
    UnsupportedError,
    bound_locals,
    items_of,
    kind_of,
    structure,
)  # fmt: skip
from pfgov.policy.cel.errors import CelError, WorkExceededError
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.types import (
    BOOL,
    CelType,
    ListType,
    MapType,
    Record,
)  # fmt: skip
from pfgov.policy.cel.values import is_list


@dataclass(slots=True)
class Emitter:
    """Collects the lines of one function.

    Attributes:
        typed: Trust declared types of facts.
        emit_call: Emits a call.
        emit_fold: Emits a loop.
        shared: Roots whose values are hoisted out of the member loop; empty outside a batch.
        constants: Objects that the code refers to by name.
        containers: Local names of hoisted records by access path.
    """

    typed: bool
    emit_call: Callable[["Emitter", ir.Call], Code]
    emit_fold: Callable[["Emitter", ir.Fold], Code]
    shared: frozenset[str] = frozenset()
    constants: dict[str, object] = field(default_factory=dict[str, object])
    root_names: dict[str, str] = field(default_factory=dict[str, str])
    containers: dict[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    lines: list[str] = field(default_factory=list[str])
    indent: int = 1
    prologue: list[str] = field(default_factory=list[str])
    hoists: dict[object, Code] = field(default_factory=dict[object, Code])
    memos: dict[int, str] = field(default_factory=dict[int, str])
    locals: dict[tuple[int, int], Code] = field(default_factory=dict[tuple[int, int], Code])
    owner: int = 0
    depth: int = 0
    counter: int = 0
    loop_bound: int = 0
    maybe_poison: frozenset[str] = frozenset()
    hoisting: bool = False
    short: set[str] = field(default_factory=set[str])
    invariants: dict[object, Code] = field(default_factory=dict[object, Code])

    # --- lines ------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Append one line at the current indentation."""
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def block(self, head: str) -> Generator[None]:
        """Lines inside ``head:``."""
        self.line(f"{head}:")
        self.indent += 1
        yield
        self.indent -= 1

    def temp(self, prefix: str = "t") -> str:
        """A fresh local name."""
        self.counter += 1
        return f"{prefix}{self.counter}"

    def constant(self, value: object, prefix: str = "K") -> str:
        """A name for *value* in the globals of the generated code."""
        for name, known in self.constants.items():
            if known is value:
                return name
        name = f"{prefix}{len(self.constants)}"
        self.constants[name] = value
        return name

    # --- proofs -----------------------------------------------------------------------------

    @staticmethod
    def safe(code: Code) -> str:
        """*code* as text that may stand anywhere."""
        if code.risky:
            return f"({code.text} if {code.text} is not POISON else bail())"
        return code.text

    def proven(self, code: Code, kind: str, *, used: bool = False) -> str:
        """*code* as text whose value is of exact type *kind*; the text raises otherwise.

        *used*: the text stands where Python is sure to use the object.
        """
        if code.kind == kind:
            return code.text if used else self.safe(code)
        if code.bare:
            return f"({code.text} if type({code.text}) is {kind} else bail())"
        name = self.temp()
        return f"({name} if type({name} := {code.text}) is {kind} else bail())"

    def numeric(self, code: Code, *, used: bool = False) -> str:
        """*code* as text whose value is a double (a small integer becomes one)."""
        if code.kind == "float":
            return code.text if used else self.safe(code)
        if code.bare:
            return f"({code.text} if type({code.text}) is float else number({code.text}))"
        name = self.temp()
        return f"({name} if type({name} := {code.text}) is float else number({name}))"

    def expression(self, node: ir.Node, kind: str, *, used: bool = False) -> str:
        """*node* as text whose value is of exact type *kind*."""
        code = self.hoisted(node, kind) or self.value(node)
        if kind == "float":
            return self.numeric(code, used=used)
        return self.proven(code, kind, used=used)

    def operand(self, node: ir.Node, kind: str) -> str:
        """:meth:`expression` for a place where Python is sure to use the object."""
        return self.expression(node, kind, used=True)

    def hoisted(self, node: ir.Node, kind: str) -> Code | None:
        """A name computed once, before the member loop, when *node* reads only shared facts."""
        if not self.shared or self.hoisting or not self.is_shared(node):
            return None
        key = (structure(node), kind)
        if key not in self.hoists:
            self.hoists[key] = self.hoist(node, kind)
        return self.hoists[key]

    def hoist(self, node: ir.Node, kind: str) -> Code:
        """Emit *node* into the prologue: its value, or poison."""
        name = self.temp("h")
        lines, indent = self.lines, self.indent
        self.lines, self.indent, self.hoisting = self.prologue, 1, True
        try:
            with self.block("try"):
                code = self.hoisted_value(node, kind)
                self.line(f"{name} = {code.text}")
            with self.block("except Exception"):
                self.line(f"{name} = POISON")
        finally:
            self.lines, self.indent, self.hoisting = lines, indent, False
        return Code(name, code.kind, code.items, bare=True, risky=True)

    def hoisted_value(self, node: ir.Node, kind: str) -> Code:
        """*node* proven to be of *kind*, which may also be ``texts`` or ``textset``."""
        code = self.value(node)
        match kind:
            case "texts":
                checked = code.text if code.items == "str" else f"text_list({code.text})"
                return Code(checked, "list", "str")
            case "textset":
                return Code(f"text_set({code.text})", "textset", "str")
            case "float":
                return Code(self.numeric(code), "float")
            case "":
                return code
            case _:
                return Code(self.proven(code, kind), kind, code.items)

    def is_shared(self, node: ir.Node) -> bool:
        """Whether *node* reads facts, but only shared ones, and no macro variable."""
        reads = False
        stack = [node]
        bound: set[int] = set()
        while stack:
            part = stack.pop()
            match part:
                case ir.Var(name=name):
                    if name not in self.shared:
                        return False
                    reads = True
                case ir.Named(expression=expression):
                    if not expression.roots <= self.shared:
                        return False
                    reads = True
                case ir.Local(slot=slot):
                    if slot not in bound:
                        return False
                case _:
                    bound |= {local.slot for local in bound_locals(part)}
                    stack.extend(ir.children(part))
        return reads

    # --- values -----------------------------------------------------------------------------

    def value(self, node: ir.Node) -> Code:
        """Emit *node*; statements it needs are appended first."""
        hoisted = self.hoisted(node, "")
        if hoisted is not None:
            return hoisted
        if self.invariants:
            known = self.invariants.get(structure(node))
            if known is not None:
                return known
        rule = _RULES.get(type(node))
        if rule is None:
            raise UnsupportedError(type(node).__name__)
        return rule(self, node)

    def call(self, node: ir.Call) -> Code:
        """A call; when nothing in it varies, its value."""
        values = [a.value for a in node.arguments if isinstance(a, ir.Const)]
        ours = STANDARD.get(node.function.name) is node.function
        if ours and len(values) == len(node.arguments):
            try:
                return self.literal(node.function.call(*values))
            except (CelError, WorkExceededError):
                pass  # it fails at run time, as it should
        return self.emit_call(self, node)

    def list_literal(self, node: ir.MakeList) -> Code:
        """A list literal."""
        if any(node.optional):
            raise UnsupportedError("optional item")
        if all(isinstance(item, ir.Const) for item in node.items):
            return self.literal([item.value for item in node.items if isinstance(item, ir.Const)])
        parts = [self.value(item) for item in node.items]
        kinds = {part.kind for part in parts}
        inner = kinds.pop() if len(kinds) == 1 else ""
        return Code(f"[{', '.join(self.safe(part) for part in parts)}]", "list", inner)

    def root(self, node: ir.Var) -> Code:
        """A declared root; the function's head has tested that a record is a dict."""
        kind = "dict" if kind_of(node.type) == "dict" else ""
        risky = node.name in self.maybe_poison
        return Code(self.root_name(node.name), kind, bare=True, risky=risky)

    def root_name(self, name: str) -> str:
        """The local variable that holds the root *name*."""
        if name not in self.root_names:
            self.root_names[name] = f"r{len(self.root_names)}_{_safe(name)}"
        return self.root_names[name]

    def container_name(self, path: tuple[str, ...]) -> str:
        """A local variable for the record at *path*."""
        return f"p{len(self.containers)}_{_safe('_'.join(path))}"

    def has(self, node: ir.Has) -> Code:
        """``has(operand.name)``."""
        return Code(f"({node.name!r} in {self.record(node.operand)})", "bool")

    def literal(self, value: object) -> Code:
        """A constant: by ``repr`` of exact simple types only, anything else by reference."""
        kind = type(value).__name__ if type(value).__name__ in KINDS else ""
        if value is None or type(value) in (bool, str, bytes):
            return Code(repr(value), kind, bare=True)
        if type(value) is int or (type(value) is float and value - value == 0):
            return Code(f"({value!r})", kind, bare=True)
        inner = ""
        if is_list(value) and value and all(type(item) is str for item in value):
            inner = "str"
        return Code(self.constant(value), kind, inner, bare=True)

    def trusted(self, type_: CelType) -> tuple[str, str]:
        """Kind and item kind that a fact of *type_* is known to have."""
        return (kind_of(type_), items_of(type_)) if self.typed else ("", "")

    def field(self, node: ir.Select) -> Code:
        """``operand.name``."""
        kind, items = self.trusted(node.type)
        path = ir.path_of(node)
        if path is not None and path in self.containers:
            return Code(self.containers[path], "dict", bare=True)
        return Code(f"{self.record(node.operand)}[{node.name!r}]", kind, items)

    def listed(self, node: ir.Node) -> str:
        """*node* as text whose value is a list short enough to be searched without counting work."""
        code = self.hoisted(node, "list") or self.value(node)
        bounded = isinstance(node.type, ListType) and node.type.max_items is not None
        if code.text in self.short or (self.typed and bounded):
            return self.proven(code, "list", used=True)
        name = code.text if code.bare else self.temp()
        first = name if code.bare else f"({name} := {code.text})"
        return f"({name} if type({first}) is list and len({name}) <= {self.loop_bound} else bail())"

    def record(self, node: ir.Node) -> str:
        """*node* as text whose value is a ``dict``."""
        return self.proven(self.value(node), "dict", used=True)

    def index(self, node: ir.Index) -> Code:
        """``operand[key]``."""
        kind, items = self.trusted(node.type)
        if isinstance(node.operand.type, (MapType, Record)):
            container, key = self.record(node.operand), self.expression(node.key, "str")
            return Code(f"{container}[{key}]", kind, items)
        container, key = self.safe(self.value(node.operand)), self.safe(self.value(node.key))
        return Code(f"item({container}, {key})", kind, items)

    def or_value(self, node: ir.OrValue) -> Code:
        """``record.?name.orValue(x)``, the one use of optionals that is generated."""
        target = node.target
        if not (node.unwrap and isinstance(target, ir.OptionalAccess)):
            raise UnsupportedError("or")
        key = target.key
        if not (isinstance(key, ir.Const) and type(key.value) is str) or self.lifted(node.other):
            raise UnsupportedError("or")
        if isinstance(target.operand, ir.OptionalAccess):
            raise UnsupportedError("or")
        name = self.temp()
        record = self.record(target.operand)
        other = self.value(node.other)
        kind, items = self.trusted(node.type)
        text = f"({name} if ({name} := {record}.get({key.value!r}, UNSET)) is not UNSET else {self.safe(other)})"
        same = (kind, items) if (kind, items) == (other.kind, other.items) else ("", "")
        return Code(text, *same)

    def named(self, node: ir.Named) -> Code:
        """A named sub-expression: into a memo when several clauses use it, else in place."""
        expression = node.expression
        memo = self.memos.get(id(expression))
        if memo is None:
            return self.inline(expression)
        kind = "bool" if expression.type == BOOL else ""
        return Code(memo, kind, bare=True, risky=True)

    def memoise(self, expression: ir.Checked, memo: str) -> None:
        """Compute *expression* into *memo*, or poison it."""
        with self.block("try"):
            code = self.inline(expression)
            text = self.proven(code, "bool") if expression.type == BOOL else self.safe(code)
            self.line(f"{memo} = {text}")
        with self.block("except Exception"):
            self.line(f"{memo} = POISON")

    def inline(self, expression: ir.Checked) -> Code:
        """Another expression in place, with its own macro variables."""
        owner, self.owner = self.owner, id(expression)
        try:
            return self.value(expression.root)
        finally:
            self.owner = owner

    # --- logic ------------------------------------------------------------------------------

    def condition(self, node: ir.Node) -> str:
        """*node* as text whose value is a bool, for a place that tests it."""
        return self.operand(node, "bool")

    def logic(self, node: ir.Logic) -> Code:
        """``&&`` and ``||``, their operands in the order of the exact evaluator."""
        operands = [node.operands[index] for index in ir.evaluation_order(node)]
        word = " and " if node.kind == "all" else " or "
        first = next((i for i, part in enumerate(operands) if self.lifted(part)), len(operands))
        # Up to the first operand that needs statements, one expression.  The value of its last
        # operand leaves it untested, so that one must not be poison.
        texts = [self.condition(part) for part in operands[: max(first - 1, 0)]]
        texts += [self.expression(part, "bool") for part in operands[max(first - 1, 0) : first]]
        if first == len(operands):
            return Code(f"({word.join(texts)})", "bool")
        result = self.temp("b")
        self.line(f"{result} = {word.join(texts) or node.kind == 'all'}")
        for part in operands[first:]:
            with self.block(f"if {result}" if node.kind == "all" else f"if not {result}"):
                self.line(f"{result} = {self.expression(part, 'bool')}")
        return Code(result, "bool", bare=True)

    def lifted(self, node: ir.Node) -> bool:
        """Whether *node* needs statements here (a hoisted one needs none)."""
        if self.shared and not self.hoisting and self.is_shared(node):
            return False
        stack = [node]
        while stack:
            part = stack.pop()
            if isinstance(part, ir.Named):
                if id(part.expression) not in self.memos:
                    stack.append(part.expression.root)
            elif isinstance(part, (ir.Fold, ir.Bind)):
                return True
            stack.extend(ir.children(part))
        return False

    def ternary(self, node: ir.Ternary) -> Code:
        """``condition ? then : otherwise``."""
        if self.lifted(node.then) or self.lifted(node.otherwise):
            result = self.temp("v")
            with self.block(f"if {self.condition(node.condition)}"):
                then = self.value(node.then)
                self.line(f"{result} = {self.safe(then)}")
            with self.block("else"):
                otherwise = self.value(node.otherwise)
                self.line(f"{result} = {self.safe(otherwise)}")
            text, bare = result, True
        else:
            condition = self.condition(node.condition)
            then, otherwise = self.value(node.then), self.value(node.otherwise)
            text, bare = f"({self.safe(then)} if {condition} else {self.safe(otherwise)})", False
        kind = then.kind if then.kind == otherwise.kind else ""
        return Code(text, kind, then.items if then.items == otherwise.items else "", bare=bare)

    def bind(self, node: ir.Bind) -> Code:
        """``cel.bind``."""
        code = self.value(node.value)
        name = self.temp("c")
        self.line(f"{name} = {self.safe(code)}")
        self.locals[self.owner, node.local.slot] = Code(name, code.kind, code.items, bare=True)
        return self.value(node.result)


_RULES: Final[dict[type[ir.Node], Callable[[Emitter, Any], Code]]] = {
    ir.Const: lambda emitter, node: emitter.literal(node.value),
    ir.Local: lambda emitter, node: emitter.locals[emitter.owner, node.slot],
    ir.Var: Emitter.root,
    ir.Named: Emitter.named,
    ir.Select: Emitter.field,
    ir.Index: Emitter.index,
    ir.Has: Emitter.has,
    ir.OrValue: Emitter.or_value,
    ir.Call: Emitter.call,
    ir.Logic: Emitter.logic,
    ir.Ternary: Emitter.ternary,
    ir.Fold: lambda emitter, node: emitter.emit_fold(emitter, node),
    ir.Bind: Emitter.bind,
    ir.MakeList: Emitter.list_literal,
}


def _safe(name: str) -> str:
    """*name* as part of an identifier, for the reader only (a counter makes it unique)."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)
