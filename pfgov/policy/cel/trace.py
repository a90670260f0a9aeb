"""Why an expression has the value it has: every sub-expression with its value.

The exact evaluator runs once more with a recorder around each closure, so a trace
cannot disagree with a decision.  What was not evaluated (behind a deciding ``&&``) does
not appear.  For people: produced on demand, never on the hot path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.closures import Closure, Context, Frame
from pfgov.policy.cel.errors import CelError, Failure
from pfgov.policy.cel.exact import failure_of, program
from pfgov.policy.cel.syntax import Span

NODES_MAX: Final = 2_000
"""Most sub-expressions recorded; a long loop is cut there."""

_SIGNS: Final = {
    "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_==_": "==", "_!=_": "!=", "@in": "in",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with both its values: ``left operator right``.

    ``left_path``/``right_path`` are access paths such as ``member.trust_score``, or None
    where a side is not a plain fact.
    """

    operator: str
    left: object
    right: object
    left_text: str
    right_text: str
    left_path: str | None
    right_path: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A sub-expression and its value.

    Attributes:
        text: Its source text.
        span: Where it stands in the source of the expression it belongs to.
        value: Its value, or the :class:`Failure` that took its place.
        children: What it was computed from, in order of evaluation.
        comparison: Both sides, when it is a comparison and both have values.
    """

    text: str
    span: Span
    value: object
    children: tuple["Trace", ...]
    comparison: Comparison | None = None

    def walk(self) -> "list[Trace]":
        """This node and all below it, outermost first."""
        found: list[Trace] = []
        stack: list[Trace] = [self]
        while stack:
            node = stack.pop()
            found.append(node)
            stack.extend(reversed(node.children))
        return found


def trace(checked: ir.Checked, values: Mapping[str, object]) -> Trace:
    """Evaluate *checked* on *values* and record the value of every sub-expression."""
    recorder = _Recorder()
    run = program(checked, {}, recorder.observe)
    try:
        run(Context(values))
    except CelError:
        pass  # recorded as the value of the root
    except Exception as error:  # noqa: BLE001 -- as in a decision, whatever ends it is its outcome
        stopped = failure_of(error)
        return Trace(checked.source, checked.root.span, stopped, tuple(recorder.top))
    return recorder.top[0]


class _Recorder:
    def __init__(self) -> None:
        self.top: list[Trace] = []
        self.stack: list[list[Trace]] = [self.top]
        self.count = 0

    def observe(self, checked: ir.Checked, node: ir.Node, closure: Closure) -> Closure:
        text = checked.source[node.span.start : node.span.end]

        def recorded(frame: Frame) -> object:
            self.count += 1
            if self.count > NODES_MAX:
                return closure(frame)
            inner: list[Trace] = []
            outer = self.stack[-1]
            self.stack.append(inner)
            value: object = None
            try:
                value = closure(frame)
            except CelError as error:
                value = error.failure
                raise
            finally:
                self.stack.pop()
                children = tuple(inner)
                outer.append(Trace(text, node.span, value, children, _comparison(node, children)))
            return value

        return recorded


def _comparison(node: ir.Node, children: tuple[Trace, ...]) -> Comparison | None:
    if not isinstance(node, ir.Call) or node.function.name not in _SIGNS or len(children) != 2:
        return None
    left, right = children
    if isinstance(left.value, Failure) or isinstance(right.value, Failure):
        return None
    paths = [_shown(argument) for argument in node.arguments]
    return Comparison(
        _SIGNS[node.function.name], left.value, right.value, left.text, right.text, *paths
    )


def _shown(node: ir.Node) -> str | None:
    if isinstance(node, ir.Const) and node.label:
        return node.label
    path = ir.path_of(node)
    return ".".join(path) if path else None
