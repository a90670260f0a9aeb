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
            if given is not None and not 0 < given < inf:
                raise ValueError(f"{name} is {given}: it has to be more than 0")
        if self.skew_seconds is not None and not 0 <= self.skew_seconds < inf:
            raise ValueError(f"skew_seconds is {self.skew_seconds}: it has to be 0 or more")
