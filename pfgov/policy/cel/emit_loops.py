"""Generated code for macros over lists: plain ``for`` loops.

A loop runs only over an exact list (in guarded code each string item is tested too), and
only when it is short enough that the exact evaluator could not run out of work.  Macros
over maps and with two variables are left to the exact evaluator.
"""

from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.emit import Emitter
from pfgov.policy.cel.emit_code import Code, UnsupportedError, kind_of, structure
from pfgov.policy.cel.types import ListType

DEPTH_MAX: Final = 4
"""Deepest nesting of generated loops."""


def fold(emitter: Emitter, node: ir.Fold) -> Code:
    """Emit *node*; the result is a local name."""
    # The macros that make maps have two variables, so they end here too.
    if len(node.locals) != 1 or not isinstance(node.target.type, ListType):
        raise UnsupportedError(node.kind)
    if emitter.depth >= DEPTH_MAX:
        raise UnsupportedError("nesting")
    items, proven = _items(emitter, node)
    outer = dict(emitter.invariants)
    for part in (node.condition, node.result):
        if part is not None:
            _load_invariants(emitter, part)
    try:
        return _loop(emitter, node, items, proven)
    finally:
        emitter.invariants = outer


def _loop(emitter: Emitter, node: ir.Fold, items: str, proven: str) -> Code:
    match node.kind:
        case "all" | "exists":
            return _decided(emitter, node, items, proven)
        case "exists_one":
            return _counted(emitter, node, items, proven)
        case _:
            return _collected(emitter, node, items, proven)


def _load_invariants(emitter: Emitter, body: ir.Node) -> None:
    """Load, before the loop, the fields that its body reads whatever the item is.

    Only fields that the schema says are there: another one may stand behind ``has()``.
    """
    stack = [body]
    while stack:
        node = stack.pop()
        path = ir.path_of(node)
        if path is None or not isinstance(node, ir.Select):
            stack.extend(ir.children(node))
        elif _always_there(node) and not emitter.is_shared(node):
            key = structure(node)
            if key not in emitter.invariants:
                emitter.invariants[key] = _load(emitter, node)


def _load(emitter: Emitter, node: ir.Select) -> Code:
    name = emitter.temp("i")
    code = emitter.value(node)
    kind = kind_of(node.type)
    if kind == "list":
        emitter.line(f"{name} = {emitter.listed(node)}")
        emitter.short.add(name)
    elif kind in ("str", "dict"):
        emitter.line(f"{name} = {emitter.proven(code, kind)}")
    else:
        emitter.line(f"{name} = {emitter.safe(code)}")
        kind = code.kind
    return Code(name, kind, code.items, bare=True)


def _always_there(node: ir.Node) -> bool:
    while isinstance(node, ir.Select):
        if node.maybe_absent:
            return False
        node = node.operand
    return True


def _items(emitter: Emitter, node: ir.Fold) -> tuple[str, str]:
    """The list to loop over, as a bare name, and the proven kind of its items."""
    target = node.target
    assert isinstance(target.type, ListType)
    hoisted = emitter.hoisted(target, "texts") if kind_of(target.type.elem) == "str" else None
    code = hoisted or emitter.value(target)
    name = code.text
    if not code.bare or code.kind != "list":
        name = emitter.temp("l")
        emitter.line(f"{name} = {emitter.proven(code, 'list', used=True)}")
    if not (emitter.typed and target.type.max_items is not None):
        with emitter.block(f"if len({name}) > {emitter.loop_bound}"):
            emitter.line("bail()")
    return name, code.items


def _head(emitter: Emitter, node: ir.Fold, proven: str) -> str:
    name = emitter.temp("c")
    local = node.locals[0]
    emitter.locals[emitter.owner, local.slot] = Code(name, proven, bare=True)
    return name


def _guard(emitter: Emitter, node: ir.Fold, name: str, proven: str) -> None:
    """Test an item once, at the top of the body, rather than at each use."""
    wanted = kind_of(node.locals[0].type)
    if wanted and wanted not in ("float", proven):
        with emitter.block(f"if type({name}) is not {wanted}"):
            emitter.line("bail()")
        emitter.locals[emitter.owner, node.locals[0].slot] = Code(name, wanted, bare=True)


def _decided(emitter: Emitter, node: ir.Fold, items: str, proven: str) -> Code:
    assert node.condition is not None
    result = emitter.temp("b")
    exists = node.kind == "exists"
    emitter.line(f"{result} = {not exists}")
    name = _head(emitter, node, proven)
    with emitter.block(f"for {name} in {items}"):
        emitter.depth += 1
        _guard(emitter, node, name, proven)
        test = emitter.condition(node.condition)
        with emitter.block(f"if {test}" if exists else f"if not {test}"):
            emitter.line(f"{result} = {exists}")
            emitter.line("break")
        emitter.depth -= 1
    return Code(result, "bool", bare=True)


def _counted(emitter: Emitter, node: ir.Fold, items: str, proven: str) -> Code:
    assert node.condition is not None
    count = emitter.temp("n")
    emitter.line(f"{count} = 0")
    name = _head(emitter, node, proven)
    with emitter.block(f"for {name} in {items}"):
        emitter.depth += 1
        _guard(emitter, node, name, proven)
        with emitter.block(f"if {emitter.condition(node.condition)}"):
            emitter.line(f"{count} += 1")
        emitter.depth -= 1
    return Code(f"({count} == 1)", "bool")


def _collected(emitter: Emitter, node: ir.Fold, items: str, proven: str) -> Code:
    result = emitter.temp("l")
    emitter.line(f"{result} = []")
    name = _head(emitter, node, proven)
    with emitter.block(f"for {name} in {items}"):
        emitter.depth += 1
        _guard(emitter, node, name, proven)
        if node.condition is not None:
            with emitter.block(f"if not {emitter.condition(node.condition)}"):
                emitter.line("continue")
        kept = emitter.locals[emitter.owner, node.locals[0].slot]
        code = kept if node.result is None else emitter.value(node.result)
        emitter.line(f"{result}.append({emitter.safe(code)})")
        emitter.depth -= 1
    return Code(result, "list", code.kind, bare=True)
