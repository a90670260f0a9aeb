"""The three streams of a program, as whoever started it left them.  Every program of this project begins with it.

Of one that was closed Python has none, and the next file that is opened takes its number: what is written to a stream
by that number goes into a ledger's file.  What reads a stream that is not there is at its end, what writes its answer
into one fails and says so, and words about errors go nowhere.  And a file may say what a terminal has no character for.
"""

import io
import os
import sys
from typing import Final

_STDOUT: Final = 1
_STREAMS: Final = (
    ("stdin", os.O_RDONLY, "r"),
    ("stdout", os.O_RDONLY, "w"),
    ("stderr", os.O_WRONLY, "w"),
)


def take_places() -> None:
    """Put something in the place of each stream that is closed."""
    for number, (name, how, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, how)  # the lowest that is free
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


_AS_NUMBER: Final = "backslashreplace"


def show_anything() -> None:
    """Let what a stream has no character for be written as its number: it is no error."""
    for name, _, how in _STREAMS:
        stream = getattr(sys, name)
        # Standard error is like this from the start, and what it is written to may have been replaced since.
        if how == "w" and isinstance(stream, io.TextIOWrapper) and stream.errors != _AS_NUMBER:
            stream.reconfigure(errors=_AS_NUMBER)


def quiet_stdout() -> None:
    """Nobody reads any more: keep the interpreter from complaining about it while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
