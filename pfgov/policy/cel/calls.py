"""Calls in the exact evaluator: a function on its evaluated arguments, with blame and accounting.

Blame: a type error names the fact whose value is of the wrong type, where there is one.
Accounting: what a call builds, and the lists it searches or compares, are work.  What a
function does is none of this module's business.
"""

from collections.abc import Sequence
from typing import Final, cast

from pfgov.policy.cel import ir
from pfgov.policy.cel.closures import Closure, Frame
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.library import traversal
from pfgov.policy.cel.types import CelType
from pfgov.policy.cel.values import CONTAINERS, is_list, type_name


def call(node: ir.Call, arguments: tuple[Closure, ...]) -> Closure:
    """A function applied to its arguments, all evaluated first."""
    if node.function.heavy:
        apply = _charged(node, arguments)
    elif len(arguments) == 1:
        apply = _unary(node, *arguments)
    elif len(arguments) == 2:
        apply = _binary(node, *arguments)
    else:
        apply = _general(node, arguments)
    if node.function.result_size((1, 1, 1, 1)) is not None:
        return _producing(apply)
    return apply


_UNEXPECTED: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
                      ValueError)  # fmt: skip
"""What a host's function may raise by mistake: an error like any other, so that the order of
operands does not matter.  Anything else ends the evaluation."""


def _broken(error: Exception) -> CelError:
    if isinstance(error, RecursionError):
        return CelError("the facts are nested too deeply")
    return CelError(f"a function failed: {type(error).__name__}")


def _unary(node: ir.Call, only: Closure) -> Closure:
    implementation = node.function.call

    def apply(frame: Frame) -> object:
        value = only(frame)
        try:
            return implementation(value)
        except CelError as error:
            raise _blamed(error, node, (value,)) from None
        except _UNEXPECTED as error:
            raise _broken(error) from None

    return apply


def _binary(node: ir.Call, first: Closure, second: Closure) -> Closure:
    implementation = node.function.call

    def apply(frame: Frame) -> object:
        left, right = first(frame), second(frame)
        try:
            return implementation(left, right)
        except CelError as error:
            raise _blamed(error, node, (left, right)) from None
        except _UNEXPECTED as error:
            raise _broken(error) from None

    return apply


def _general(node: ir.Call, arguments: tuple[Closure, ...]) -> Closure:
    implementation = node.function.call

    def apply(frame: Frame) -> object:
        values = tuple(argument(frame) for argument in arguments)
        try:
            return implementation(*values)
        except CelError as error:
            raise _blamed(error, node, values) from None
        except _UNEXPECTED as error:
            raise _broken(error) from None

    return apply


def _charged(node: ir.Call, arguments: tuple[Closure, ...]) -> Closure:
    """A call whose time grows with the lists it is given: their size is work."""
    if len(arguments) == 2:
        return _charged_pair(node, *arguments)
    implementation, function = node.function.call, node.function

    def apply(frame: Frame) -> object:
        values = [argument(frame) for argument in arguments]
        if any(type(value) in CONTAINERS for value in values):
            frame[0].spend_call(function, values)
        try:
            return implementation(*values)
        except CelError as error:
            raise _blamed(error, node, values) from None
        except _UNEXPECTED as error:
            raise _broken(error) from None

    return apply


def _charged_pair(node: ir.Call, first: Closure, second: Closure) -> Closure:
    """The same for ``==``, ``in`` and their like, where most operands are scalars."""
    implementation, function = node.function.call, node.function
    searches = function.name == "@in"

    def apply(frame: Frame) -> object:
        left, right = first(frame), second(frame)
        if type(right) in CONTAINERS:
            if type(left) in CONTAINERS:
                frame[0].spend_call(function, (left, right))
            elif searches and is_list(right):
                # A scalar is compared with each item, but never looks inside one.
                frame[0].spend(len(right))
        try:
            return implementation(left, right)
        except CelError as error:
            raise _blamed(error, node, (left, right)) from None
        except _UNEXPECTED as error:
            raise _broken(error) from None

    return apply


def _producing(apply: Closure) -> Closure:
    """A call that builds a string, bytes or list: its size is work."""

    def produce(frame: Frame) -> object:
        value = apply(frame)
        if type(value) in _SIZED:
            frame[0].spend(traversal(len(cast("str", value))))
        return value

    return produce


_SIZED: Final = frozenset({str, bytes, list})


def _blamed(error: CelError, node: ir.Call, values: Sequence[object]) -> CelError:
    """Name the fact whose value is of the wrong type, where there is one."""
    if error.kind != "type" or error.path is not None:
        return error
    for argument, value in zip(node.arguments, values, strict=True):
        path = ir.path_of(argument)
        if path is not None and not _is_of(value, argument.type):
            shown = ".".join(path)
            return CelError(
                f"{shown} is {type_name(value)}, not {argument.type}", kind="type", path=shown
            )
    return error


_RUNTIME_NAMES: Final = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "null_type": "null",
}


def _is_of(value: object, type_: CelType) -> bool:
    name = type_name(value)
    wanted = str(type_).partition("(")[0]
    return wanted in ("dyn", _RUNTIME_NAMES.get(name, name))
