"""Time as Kubernetes and this controller write it, from a clock that is given."""

from datetime import UTC, datetime
from typing import Final

from pfgov.clock import Clock

MICRO: Final = 1_000_000


def seconds(clock: Clock) -> float:
    """Return the seconds of a clock that never goes back."""
    return clock.monotonic() / MICRO


def stamp(clock: Clock) -> str:
    """Return the wall clock's second in RFC 3339, as ``metav1.Time``."""
    return datetime.fromtimestamp(clock.now() // MICRO, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fine_stamp(clock: Clock) -> str:
    """Return the wall clock's microsecond in RFC 3339, as ``metav1.MicroTime``."""
    moment = datetime.fromtimestamp(clock.now() // MICRO, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{clock.now() % MICRO:06}Z"
