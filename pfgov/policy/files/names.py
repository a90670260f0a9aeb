"""Which free names an expression mentions, before anything is resolved.

Needed for two questions that the checker cannot answer alone: is this root known at all, only not
at this decision point; and which params, variables and imports does nobody use.  Works on the
syntax tree, and knows that macros bind names of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pfgov.policy.cel import syntax


@dataclass(frozen=True, slots=True)
class Mention:
    """A free name: ``packet``, or ``params.floor`` with its ``member``; and where it stands."""

    root: str
    member: str | None
    line: int
    column: int


def mentions(ast: syntax.Ast) -> tuple[Mention, ...]:
    """Return every free name of *ast*, in source order."""
    found = _walk(ast.root, frozenset())
    return tuple(sorted(found, key=lambda mention: (mention.line, mention.column)))


def _walk(node: syntax.Node, bound: frozenset[str]) -> Iterator[Mention]:
    match node:
        case syntax.Ident(name=name):
            if name not in bound:
                yield Mention(name, None, node.line, node.column)
        case (
            syntax.Select(operand=syntax.Ident(name=root), name=member)
            | syntax.Has(operand=syntax.Ident(name=root), name=member)
        ):
            if root not in bound:
                yield Mention(root, member, node.line, node.column)
        case syntax.Fold(target=target, variables=variables, condition=condition, result=result):
            yield from _walk(target, bound)
            inner = bound | set(variables)
            for part in (condition, result):
                if part is not None:
                    yield from _walk(part, inner)
        case syntax.OptMap(target=target, variable=variable, result=result):
            yield from _walk(target, bound)
            yield from _walk(result, bound | {variable})
        case syntax.Bind(variable=variable, value=value, result=result):
            yield from _walk(value, bound)
            yield from _walk(result, bound | {variable})
        case _:
            for child in syntax.children(node):
                yield from _walk(child, bound)
