"""Waiting for what comes to hold in its own time: how long that took is said, and never asserted."""

import time
from collections.abc import Callable
from typing import Any


def until(what: Callable[[], Any], patience_seconds: float) -> float:
    """Wait until *what* holds; return how many seconds that took.

    Raises:
        AssertionError: it does not come to hold.
    """
    began = time.monotonic()
    while time.monotonic() - began < patience_seconds:
        if what():
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"{what} does not come to hold")
