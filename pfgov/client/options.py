"""How a worker lives, as whoever makes one says it.  What follows from it is the worker's."""

from dataclasses import dataclass, field
from math import inf

from pfgov.client.job import OnError


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker lives.

    Attributes:
        lease_seconds: How long the server waits for a heartbeat, if the member is registered by this worker.
        skew_seconds: By how much earlier the worker stops by itself; a tenth of the lease by default.
        on_error: What becomes of a packet whose job raised.
        take_over: Whether a process that lives as this member already is told to stop.
        progress_seconds: For how long a job may save nothing and say nothing; then it is given up.
    """

    lease_seconds: float = 30.0
    skew_seconds: float | None = None
    on_error: OnError = field(default_factory=OnError)
    take_over: bool = False
    progress_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse what a worker could not live by.

        Raises:
            ValueError: a time is none.
        """
        for name in ("lease_seconds", "progress_seconds"):
            given = getattr(self, name)
            if given is not None and not _is_more(given):
                raise ValueError(f"{name} is {given!r}: it has to be a number more than 0")
        skew = self.skew_seconds
        if skew is not None and skew != 0 and not _is_more(skew):
            raise ValueError(f"skew_seconds is {skew!r}: it has to be 0 or more")


def _is_more(given: object) -> bool:
    """Whether *given*, which nothing has checked yet, is a number of which there is an end, and more than 0."""
    return isinstance(given, int | float) and 0 < given < inf
