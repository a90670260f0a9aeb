"""JSON in files of ours, in a database, or in what another server sent: whatever is wrong with it is one error.

msgspec has an error of its own for most of what can be wrong.  Bytes that are no UTF-8, and brackets in brackets beyond
what the interpreter can follow, come through it as errors of others, also in a field that nobody asked for.  Who caught
the first kind alone took somebody's file for a mistake of ours.  What is in any of them is not known here.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

T = TypeVar("T")

OTHERS: Final = (UnicodeDecodeError, RecursionError)
"""What decoding may raise besides msgspec's own error."""


class Reader(Generic[T]):
    """Makes values of one kind of JSON.

    How, it learns when it is first asked: most runs ask few of all that there are.
    """

    def __init__(self, kind: type[T] | Any) -> None:
        self._kind = kind

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        return msgspec.json.Decoder(self._kind).decode

    def decode(self, raw: bytes) -> T:
        """Return what *raw* says.

        Raises:
            msgspec.DecodeError: it says nothing of this kind.
        """
        try:
            return cast("T", self._decode(raw))
        except OTHERS as error:
            raise other(error) from None


def other(error: Exception) -> msgspec.DecodeError:
    """Return one of :data:`OTHERS` as the error that everybody expects.

    >>> str(other(RecursionError()))
    'it is nested too deep'
    """
    if isinstance(error, RecursionError):
        return msgspec.DecodeError("it is nested too deep")
    return msgspec.DecodeError("it is no UTF-8")
