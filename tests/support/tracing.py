"""Which functions of ours are called, in which order, over all threads, while something is done."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCES = tuple(f"{ROOT / source}/" for source in ("pfgov", "api/pfgov_api", "ledger/pfgov_ledger"))


class Called(NamedTuple):
    """A function of ours: its file, from the root of the tree, and its qualified name."""

    file: str
    name: str


class Tracer:
    """Records calls while :attr:`is_on`; only of threads that start while it is installed."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.is_on = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """The profile function of a thread."""
        if self.is_on and event == "call":
            code = frame.f_code
            if code.co_filename.startswith(SOURCES):
                file = code.co_filename.removeprefix(f"{ROOT}/")
                self.calls.append(Called(file, code.co_qualname))

    @contextmanager
    def recording(self) -> Generator[list[Called]]:
        """Record what is called inside the block."""
        self.calls = []
        self.is_on = True
        try:
            yield self.calls
        finally:
            self.is_on = False

    @property
    def files(self) -> set[str]:
        """The files that were passed."""
        return {called.file for called in self.calls}


@contextmanager
def tracing() -> Generator[Tracer]:
    """Give a tracer that sees every thread that starts inside the block."""
    tracer = Tracer()
    threading.setprofile(tracer)
    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        yield tracer
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]  # as its documentation says
