"""Which facts an expression reads: every access path, and whether it may be absent.

A path is the longest chain of fields from a root: ``member.load.cpu`` is one path, not
three.  Used for messages, for coverage of the facts, and for naming what is missing.
"""

from collections.abc import Mapping

from pfgov.policy.cel import ir


def accesses(root: ir.Node, named: Mapping[str, ir.Checked]) -> tuple[ir.Access, ...]:
    """The access paths of *root* and of its named sub-expressions, sorted by path."""
    found: dict[tuple[str, ...], ir.Access] = {}
    _collect(root, found)
    for checked in named.values():
        _collect(checked.root, found)
    return tuple(found[path] for path in sorted(found))


def _collect(root: ir.Node, found: dict[tuple[str, ...], ir.Access]) -> None:
    stack = [root]
    while stack:
        node = stack.pop()
        path, guarded = _path(node)
        if path is None:
            stack.extend(ir.children(node))
            continue
        access = ir.Access(path, _optional(node), guarded)
        known = found.get(path)
        if known is not None:
            access = ir.Access(
                path, access.optional or known.optional, access.guarded and known.guarded
            )
        found[path] = access


def _path(node: ir.Node) -> tuple[tuple[str, ...] | None, bool]:
    match node:
        case ir.Has(operand=operand, name=name):
            prefix = ir.path_of(operand)
            return (None if prefix is None else (*prefix, name)), True
        case ir.OptionalAccess(operand=operand, key=ir.Const(value=key)) if type(key) is str:
            prefix = ir.path_of(operand)
            return (None if prefix is None else (*prefix, key)), True
        case _:
            return ir.path_of(node), False


def _optional(node: ir.Node) -> bool:
    """Whether some step of the chain may be absent."""
    while True:
        match node:
            case ir.Select(operand=operand, maybe_absent=maybe_absent):
                if maybe_absent:
                    return True
                node = operand
            case ir.Index() | ir.Has() | ir.OptionalAccess():
                return True
            case _:
                return False
