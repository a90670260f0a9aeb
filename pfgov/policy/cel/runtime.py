"""What generated code calls: guards that give up, and a value that refuses every use.

Giving up is always right: the caller of generated code catches any exception and asks
the exact evaluator.  So nothing here has to say why.
"""

from typing import Final, NoReturn, cast

from pfgov.policy.cel.limits import DOUBLE_EXACT
from pfgov.policy.cel.values import extent


class GiveUpError(Exception):
    """Generated code met something it was not made for; the exact evaluator decides."""


_GIVE_UP: Final = GiveUpError()


def bail(_value: object = None) -> NoReturn:
    """Leave the fast path."""
    raise _GIVE_UP


class Poison:
    """Stands for a shared value that could not be computed: any use of it leaves the fast path.

    Identity and ``type()`` do not go through the object, so generated code never tests a
    possibly poisoned value only by identity.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, *_args: object) -> NoReturn:
        raise _GIVE_UP

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _refuse
    __getattr__ = _refuse


POISON: Final = Poison()


def number(value: object) -> float:
    """An integer as the double that it converts to exactly."""
    if type(value) is int and -DOUBLE_EXACT <= value <= DOUBLE_EXACT:
        return float(value)
    raise _GIVE_UP


def text_list(value: object) -> list[str]:
    """A list whose items are all exact strings."""
    if type(value) is list and all(type(item) is str for item in cast("list[object]", value)):
        return cast("list[str]", value)
    raise _GIVE_UP


def text_set(value: object) -> frozenset[str]:
    """The same as a set, for membership of exact strings."""
    return frozenset(text_list(value))


def short(value: object, bound: int) -> object:
    """*value*, if it is not longer than *bound* (so that the work stays within the budget)."""
    if type(value) in _SIZED and len(cast("str", value)) > bound:
        raise _GIVE_UP
    return value


def small(value: object, bound: int) -> object:
    """*value*, if comparing it as a whole is little work."""
    if extent(value, bound + 1) <= bound:
        return value
    raise _GIVE_UP


_SIZED: Final = frozenset({str, bytes, list, dict})
