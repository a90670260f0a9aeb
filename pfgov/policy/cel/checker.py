"""The checker: does this expression make sense of these facts, and what does it cost?

Every name must be declared, every operation must exist on its operands' types, the
result must be what is expected, and the largest possible cost must be affordable.
All problems are reported at once, each with its position and, where one can be guessed,
what was meant.  The result is the checked tree of :mod:`pfgov.policy.cel.ir`.

A deliberate relaxation of CEL: ``double >= int`` is accepted without ``dyn()``, because
comparison across numeric types is defined at run time and an author means it.
"""

from collections.abc import Sequence

from pfgov.policy.cel import constant, cost, ir, overloads, syntax
from pfgov.policy.cel.access import accesses
from pfgov.policy.cel.environment import Constant, Environment
from pfgov.policy.cel.errors import CelCheckErrors, CelError, Problem
from pfgov.policy.cel.hints import did_you_mean
from pfgov.policy.cel.library import Function
from pfgov.policy.cel.limits import COST_UNITS
from pfgov.policy.cel.strings import compile_pattern
from pfgov.policy.cel.times import NAMED_ZONE, is_fixed_zone
from pfgov.policy.cel.types import (
    BOOL,
    DOUBLE,
    DYN,
    FREE,
    INT,
    NULL,
    STRING,
    UINT,
    BytesType,
    CelType,
    Field,
    ListType,
    MapType,
    OptionalType,
    Record,
    StringType,
    fits,
    join,
    settled,
)  # fmt: skip
from pfgov.policy.cel.values import Uint

_BINARY = {
    "+": "_+_", "-": "_-_", "*": "_*_", "/": "_/_", "%": "_%_", "<": "_<_", "<=": "_<=_",
    ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "@in",
}  # fmt: skip
_ZONED = frozenset({
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getHours", "getMinutes", "getSeconds", "getMilliseconds",
})  # fmt: skip


def check(
    ast: syntax.Ast,
    environment: Environment,
    expect: CelType | None = BOOL,
    *,
    cost_limit: int | None = COST_UNITS,
    lenient: bool = False,
) -> ir.Checked:
    """Resolve and type *ast* against *environment*.

    Args:
        ast: From :func:`pfgov.policy.cel.parse`.
        environment: The names and functions it may use.
        expect: The type its value must have; None for any.
        cost_limit: Largest static cost, in units; None for any.
        lenient: Let the types of operands disagree (a run-time error then), as CEL does for
            unchecked expressions.  For conformance runs.

    Raises:
        CelCheckErrors: With every problem.
    """
    checker = _Checker(environment, lenient=lenient)
    root = checker.node(ast.root)
    if not checker.problems:
        checker.result(root, ast.root, expect)
    if checker.problems:
        raise CelCheckErrors(checker.problems)
    estimate = cost.estimate(root, checker.named)
    if cost_limit is not None and estimate.cost > cost_limit:
        raise CelCheckErrors([_too_costly(estimate.cost, cost_limit, ast.root)])
    paths = accesses(root, checker.named)
    roots = frozenset(access.path[0] for access in paths)
    return ir.Checked(
        ast.source, root, settled(root.type), estimate.cost, estimate.size, checker.slots, roots, paths,
        checker.named,
    )  # fmt: skip


def _too_costly(units: int, limit: int, root: syntax.Node) -> Problem:
    return Problem(
        "cel.cost",
        f"may cost up to {units:,} units, more than {limit:,}",
        root.line,
        root.column,
        "loops inside loops multiply; declare bounds or simplify",
    )


class _Checker:
    """One walk over one tree.  ``node`` returns the checked node, of type dyn after a problem."""

    def __init__(self, environment: Environment, *, lenient: bool) -> None:
        self.environment = environment
        self.lenient = lenient
        self.problems: list[Problem] = []
        self.scope: list[ir.Local] = []
        self.slots = 0
        self.named: dict[str, ir.Checked] = {}

    # --- problems ---------------------------------------------------------------------------

    def problem(
        self, code: str, message: str, node: syntax.Node, hint: str | None = None
    ) -> ir.Node:
        self.problems.append(Problem(code, message, node.line, node.column, hint))
        return ir.Const(node.span, DYN, None)

    def mismatch(self, code: str, message: str, node: syntax.Node, hint: str | None = None) -> None:
        """A problem of types, which a lenient check leaves to run time."""
        if not self.lenient:
            self.problem(code, message, node, hint)

    def result(self, root: ir.Node, source: syntax.Node, expect: CelType | None) -> None:
        if expect is not None and not fits(root.type, expect):
            self.mismatch(
                "cel.result", f"the value is {root.type}, not {expect}", source,
                "compare it with something" if expect == BOOL else None,
            )  # fmt: skip
        elif expect == BOOL and not self.environment.constant_conditions:
            found = constant.condition_problem(root)
            if found is not None:
                self.problem("cel.constant", found[0], source, found[1])

    # --- dispatch ---------------------------------------------------------------------------

    def node(self, node: syntax.Node) -> ir.Node:  # noqa: C901 -- one line a node class
        match node:
            case syntax.Literal_(value=value):
                return ir.Const(node.span, _literal_type(value), value)
            case syntax.Ident():
                return self.ident(node)
            case syntax.Select():
                return self.select(node)
            case syntax.Index():
                return self.index(node)
            case syntax.Call():
                return self.call(node)
            case syntax.Unary(operator=operator, operand=operand):
                return self.apply(f"{operator}_", node, [operand])
            case syntax.Binary(operator=operator, left=left, right=right):
                return self.apply(_BINARY[operator], node, [left, right])
            case syntax.And(operands=operands):
                return ir.Logic(node.span, BOOL, "all", self.bools(operands, "&&"))
            case syntax.Or(operands=operands):
                return ir.Logic(node.span, BOOL, "any", self.bools(operands, "||"))
            case syntax.Ternary():
                return self.ternary(node)
            case syntax.ListLiteral():
                return self.list_literal(node)
            case syntax.MapLiteral():
                return self.map_literal(node)
            case syntax.Has():
                return self.has(node)
            case syntax.Fold():
                return self.fold(node)
            case syntax.OptMap():
                return self.opt_map(node)
            case syntax.Bind():
                return self.bind(node)
            case _:
                raise AssertionError(node)

    # --- names ------------------------------------------------------------------------------

    def ident(self, node: syntax.Ident) -> ir.Node:
        return self.resolved(node, node.name, absolute=node.absolute) or self.unknown(node)

    def resolved(self, node: syntax.Node, name: str, *, absolute: bool) -> ir.Node | None:
        if not absolute:
            head, _, rest = name.partition(".")
            for local in reversed(self.scope):
                if local.name == head:
                    return None if rest else ir.Local(node.span, local.type, head, local.slot)
        found = self.environment.find(name, absolute=absolute)
        if found is None:
            return None
        full, declaration = found
        match declaration:
            case Constant(value=value, type=type_):
                return ir.Const(node.span, type_, value, full)
            case ir.Checked():
                self.named.update(declaration.named)
                self.named[full] = declaration
                return ir.Named(node.span, declaration.type, full, declaration)
            case _:
                return ir.Var(node.span, declaration, full)

    def qualified(self, node: syntax.Node) -> tuple[str, bool] | None:
        """The dotted name that a chain of plain fields spells, and whether it is absolute."""
        steps: list[str] = []
        while isinstance(node, syntax.Select) and not node.optional:
            steps.append(node.name)
            node = node.operand
        if not isinstance(node, syntax.Ident):
            return None
        return ".".join([node.name, *reversed(steps)]), node.absolute

    def unknown(self, node: syntax.Node) -> ir.Node:
        spelled = self.qualified(node)
        name = spelled[0] if spelled else ""
        names = [
            known for known, declaration in self.environment.names.items()
            if not (isinstance(declaration, Constant) and type(declaration.value) is not str
                    and "." not in known)
        ]  # fmt: skip
        if self.lenient:
            return self.unbound(node, name)
        locals_ = [local.name for local in self.scope]
        hint = did_you_mean(name, [*names, *locals_])
        return self.problem("cel.unknown_name", f"unknown name `{name}`", node, hint)

    def unbound(self, node: syntax.Node, name: str) -> ir.Node:
        """An unknown name in a lenient check: an error only if it is evaluated."""

        def fail() -> object:
            raise CelError(f"unbound: {name}")

        return ir.Call(node.span, DYN, Function.simple(name, (), DYN, fail), ())

    def namespaces(self, name: str) -> list[str]:
        """Declared names that begin with ``name.``."""
        return [known for known in self.environment.names if known.startswith(f"{name}.")]

    # --- members ----------------------------------------------------------------------------

    def select(self, node: syntax.Select) -> ir.Node:
        if not node.optional:
            spelled = self.qualified(node)
            if spelled is not None:
                whole = self.resolved(node, spelled[0], absolute=spelled[1])
                if whole is not None:
                    return whole
                missing = self.unknown_in_namespace(node)
                if missing is not None:
                    return missing
        operand = self.node(node.operand)
        if node.optional:
            key = ir.Const(node.span, STRING, node.name)
            found = self.field(operand.type, node)
            result = OptionalType(_unwrapped(found.type))
            return ir.OptionalAccess(node.span, result, operand, key)
        found = self.field(operand.type, node)
        return ir.Select(node.span, found.type, operand, node.name, found.optional)

    def unknown_in_namespace(self, node: syntax.Select) -> ir.Node | None:
        """A problem when ``variables.x`` names nothing though ``variables.`` is a namespace."""
        operand = node.operand
        if not isinstance(operand, syntax.Ident):
            return None
        if self.resolved(operand, operand.name, absolute=operand.absolute) is not None:
            return None
        if any(local.name == operand.name for local in self.scope):
            return None
        known = self.namespaces(operand.name)
        if not known:
            return None
        name = f"{operand.name}.{node.name}"
        return self.problem(
            "cel.unknown_name", f"unknown name `{name}`", node, did_you_mean(name, known)
        )

    def field(self, type_: CelType, node: syntax.Select | syntax.Has) -> Field:
        """The declaration of field ``node.name`` of *type_*."""
        match type_:
            case Record(fields=fields):
                found = fields.get(node.name)
                if found is None:
                    hint = did_you_mean(node.name, fields)
                    if hint is None and len(fields) <= 12:
                        hint = f"it has {', '.join(sorted(fields))}"
                    self.problem(
                        "cel.unknown_field", f"{type_} has no field `{node.name}`", node, hint
                    )
                    return Field(DYN)
                return found
            case MapType(key=key, value=value):
                if not fits(STRING, key):
                    self.mismatch("cel.type", f"the keys of {type_} are not strings", node)
                return Field(value, optional=True)
            case OptionalType(elem=elem):
                inner = self.field(settled(elem), node)
                return Field(OptionalType(_unwrapped(inner.type)))
            case _:
                if type_ != DYN:
                    hint = "call it: `()`" if node.name in self.environment.functions else None
                    self.mismatch("cel.type", f"{type_} has no fields", node, hint)
                return Field(DYN, optional=True)

    def index(self, node: syntax.Index) -> ir.Node:
        operand, key = self.node(node.operand), self.node(node.key)
        result = settled(self.item(operand.type, key, node))
        if node.optional:
            return ir.OptionalAccess(node.span, OptionalType(_unwrapped(result)), operand, key)
        return ir.Index(node.span, result, operand, key)

    def item(self, type_: CelType, key: ir.Node, node: syntax.Index) -> CelType:
        match type_:
            case ListType(elem=elem):
                if not fits(key.type, INT):
                    self.mismatch("cel.type", f"a list index is an int, not {key.type}", node.key)
                return elem
            case MapType(key=wanted, value=value):
                if not overloads.comparable(key.type, wanted):
                    self.mismatch(
                        "cel.type", f"the keys of {type_} are {wanted}, not {key.type}", node.key
                    )
                return value
            case Record(fields=fields) if isinstance(key, ir.Const) and type(key.value) is str:
                if key.value not in fields:
                    hint = did_you_mean(key.value, fields)
                    self.problem(
                        "cel.unknown_field", f"{type_} has no field {key.value!r}", node.key, hint
                    )
                    return DYN
                return fields[key.value].type
            case Record() if fits(key.type, STRING):
                return DYN
            case OptionalType(elem=elem):
                return OptionalType(_unwrapped(self.item(settled(elem), key, node)))
            case _:
                if type_ != DYN:
                    self.mismatch("cel.type", f"{type_} cannot be indexed", node)
                return DYN

    def has(self, node: syntax.Has) -> ir.Node:
        operand = self.node(node.operand)
        self.field(operand.type, node)
        return ir.Has(node.span, BOOL, operand, node.name)

    # --- calls ------------------------------------------------------------------------------

    def call(self, node: syntax.Call) -> ir.Node:
        target = node.target
        if target is None:
            function = self.environment.find_function(node.function, absolute=node.absolute)
            if function is None or not function.is_global:
                return self.unknown_function(node)
            return self.invoke(function, node, [self.node(part) for part in node.arguments])
        namespaced = self.namespaced(node, target)
        if namespaced is not None:
            return self.invoke(namespaced, node, [self.node(part) for part in node.arguments])
        operand = self.node(target)
        arguments = [self.node(part) for part in node.arguments]
        if node.function in ("or", "orValue") and len(arguments) == 1:
            return self.or_value(node, operand, arguments[0])
        function = self.environment.functions.get(node.function)
        if function is None or not function.is_member:
            return self.unknown_function(node)
        return self.invoke(function, node, [operand, *arguments])

    def namespaced(self, node: syntax.Call, target: syntax.Node) -> Function | None:
        spelled = self.qualified(target)
        if spelled is None:
            return None
        name, absolute = spelled
        if not absolute and any(local.name == name.split(".")[0] for local in self.scope):
            return None
        return self.environment.find_function(f"{name}.{node.function}", absolute=absolute)

    def unknown_function(self, node: syntax.Call) -> ir.Node:
        wants_member = node.target is not None
        name = node.function
        if self.lenient:
            return self.unbound(node, name)
        found = self.environment.functions.get(name)
        if found is not None:
            hint = f"write {name}(x)" if wants_member else f"write x.{name}(...)"
        else:
            known = [
                function.name for function in self.environment.functions.values()
                if function.is_member == wants_member or not wants_member
            ]  # fmt: skip
            macros = ["all", "exists", "exists_one", "filter", "map"] if wants_member else ["has"]
            hint = did_you_mean(name, [n for n in known if n[0].isalpha()] + macros)
            if name in macros:
                hint = f"a macro: list.{name}(x, condition on x)"
        return self.problem("cel.unknown_function", f"unknown function `{name}`", node, hint)

    def apply(self, name: str, node: syntax.Node, parts: Sequence[syntax.Node]) -> ir.Node:
        function = self.environment.functions[name]
        return self.invoke(function, node, [self.node(part) for part in parts])

    def invoke(
        self, function: Function, node: syntax.Node, arguments: Sequence[ir.Node]
    ) -> ir.Node:
        types = [argument.type for argument in arguments]
        result = overloads.resolve(function, types)
        if result is None:
            message, hint = overloads.complaint(function, types)
            self.mismatch("cel.type", message, node, hint)
            result = function.overloads[0].result if len(function.overloads) == 1 else DYN
        self.arguments(function, node, arguments)
        return ir.Call(node.span, result, function, tuple(arguments))

    def arguments(
        self, function: Function, node: syntax.Node, arguments: Sequence[ir.Node]
    ) -> None:
        """What can be said of constant arguments: patterns, zones, values never taken."""
        last = arguments[-1] if arguments else None
        text = last.value if isinstance(last, ir.Const) and type(last.value) is str else None
        if function.name == "matches" and text is not None:
            try:
                compile_pattern(text)
            except CelError as error:
                self.problem("cel.pattern", str(error), node)
        if function.name in _ZONED and len(arguments) == 2 and not self.environment.named_zones:
            if text is None or not is_fixed_zone(text):
                self.problem("cel.zone", NAMED_ZONE, node)
        found = constant.never_taken(function, arguments)
        if found is not None and not self.lenient:
            self.problem("cel.never_equal", found[0], node, found[1])

    def or_value(self, node: syntax.Call, operand: ir.Node, other: ir.Node) -> ir.Node:
        unwrap = node.function == "orValue"
        inner = operand.type.elem if isinstance(operand.type, OptionalType) else DYN
        if not isinstance(operand.type, OptionalType) and operand.type != DYN:
            self.mismatch("cel.type", f"{operand.type} is not an optional", node)
        result = join(inner, other.type) if unwrap else join(operand.type, other.type)
        return ir.OrValue(node.span, result, operand, other, unwrap)

    def bools(self, operands: Sequence[syntax.Node], sign: str) -> tuple[ir.Node, ...]:
        nodes = [self.node(operand) for operand in operands]
        for node, source in zip(nodes, operands, strict=True):
            if not fits(node.type, BOOL):
                self.mismatch("cel.type", f"`{sign}` needs bool, not {node.type}", source)
        return tuple(nodes)

    def ternary(self, node: syntax.Ternary) -> ir.Node:
        condition = self.bools([node.condition], "?")[0]
        then, otherwise = self.node(node.then), self.node(node.otherwise)
        joined = join(then.type, otherwise.type)
        if joined == DYN and DYN not in (then.type, otherwise.type):
            self.mismatch(
                "cel.type", f"the two values differ: {then.type} and {otherwise.type}", node
            )
        return ir.Ternary(node.span, joined, condition, then, otherwise)

    # --- literals ---------------------------------------------------------------------------

    def list_literal(self, node: syntax.ListLiteral) -> ir.Node:
        items = tuple(self.node(item) for item in node.items)
        types = [
            self.present(item, source) if optional else item.type
            for item, source, optional in zip(items, node.items, node.optional, strict=True)
        ]
        type_ = ListType(_joined(types), len(items))
        return ir.MakeList(node.span, type_, items, node.optional)

    def map_literal(self, node: syntax.MapLiteral) -> ir.Node:
        entries = tuple((self.node(key), self.node(value)) for key, value in node.entries)
        values = [
            self.present(value, source[1]) if optional else value.type
            for (_, value), source, optional in zip(
                entries, node.entries, node.optional, strict=True
            )
        ]
        type_ = MapType(_joined([key.type for key, _ in entries]), _joined(values), len(entries))
        return ir.MakeMap(node.span, type_, entries, node.optional)

    def present(self, item: ir.Node, source: syntax.Node) -> CelType:
        """The type inside an optional item."""
        if isinstance(item.type, OptionalType):
            return item.type.elem
        if item.type != DYN:
            self.mismatch("cel.type", f"`?` needs an optional, not {item.type}", source)
        return DYN

    # --- macros -----------------------------------------------------------------------------

    def local(self, node: syntax.Node, name: str, type_: CelType) -> ir.Local:
        self.slots += 1
        return ir.Local(node.span, settled(type_), name, self.slots - 1)

    def within(self, locals_: Sequence[ir.Local], node: syntax.Node | None) -> ir.Node | None:
        if node is None:
            return None
        self.scope.extend(locals_)
        try:
            return self.node(node)
        finally:
            del self.scope[len(self.scope) - len(locals_) :]

    def fold(self, node: syntax.Fold) -> ir.Node:
        target = self.node(node.target)
        types = self.items(target.type, len(node.variables), node)
        locals_ = tuple(
            self.local(node, name, type_) for name, type_ in zip(node.variables, types, strict=True)
        )
        condition = self.within(locals_, node.condition)
        if condition is not None and not fits(condition.type, BOOL) and node.condition is not None:
            self.mismatch(
                "cel.type", f"the condition is {condition.type}, not bool", node.condition
            )
        result = self.within(locals_, node.result)
        type_ = _fold_type(node.kind, target.type, types, result)
        return ir.Fold(node.span, type_, node.kind, target, locals_, condition, result)

    def items(self, type_: CelType, count: int, node: syntax.Fold) -> list[CelType]:
        """The types of the macro's variables."""
        match type_:
            case ListType(elem=elem):
                return [elem] if count == 1 else [INT, elem]
            case MapType(key=key, value=value):
                return [key, value][:count]
            case Record():
                return [STRING, DYN][:count]
            case _:
                if type_ != DYN:
                    self.mismatch("cel.type", f"{type_} has no items; a list is needed", node)
                return [DYN] * count

    def opt_map(self, node: syntax.OptMap) -> ir.Node:
        target = self.node(node.target)
        inner = target.type.elem if isinstance(target.type, OptionalType) else DYN
        if inner == DYN and target.type != DYN and not isinstance(target.type, OptionalType):
            self.mismatch("cel.type", f"{target.type} is not an optional", node)
        local = self.local(node, node.variable, inner)
        result = self.within([local], node.result)
        assert result is not None
        type_ = result.type if node.flat else OptionalType(result.type)
        return ir.OptMap(node.span, type_, target, local, result, node.flat)

    def bind(self, node: syntax.Bind) -> ir.Node:
        value = self.node(node.value)
        local = self.local(node, node.variable, value.type)
        result = self.within([local], node.result)
        assert result is not None
        return ir.Bind(node.span, result.type, local, value, result)


def _literal_type(value: syntax.Constant) -> CelType:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case str():
            return StringType(len(value))
        case bytes():
            return BytesType(len(value))
        case Uint():
            return UINT
        case int():
            return INT
        case _:
            return DOUBLE


def _unwrapped(type_: CelType) -> CelType:
    return type_.elem if isinstance(type_, OptionalType) else type_


def _joined(types: Sequence[CelType]) -> CelType:
    if not types:
        return FREE
    result = types[0]
    for type_ in types[1:]:
        result = join(result, type_)
    return result


def _fold_type(
    kind: syntax.FoldKind, target: CelType, types: Sequence[CelType], result: ir.Node | None
) -> CelType:
    bound = target.max_items if isinstance(target, (ListType, MapType)) else None
    value = result.type if result is not None else DYN
    match kind:
        case "filter":
            return ListType(types[0], bound)
        case "map" | "transform_list":
            return ListType(value, bound)
        case "transform_map":
            return MapType(types[0], value, bound)
        case "transform_map_entry":
            key, inner = (value.key, value.value) if isinstance(value, MapType) else (DYN, DYN)
            return MapType(key, inner, bound)
        case _:
            return BOOL
