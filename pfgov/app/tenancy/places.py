"""One ledger of many: whether it is open, who uses it, and when it is to be looked at; and what was done with all.

Nothing is opened here.
"""

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from pfgov.app.hosting import Host
from pfgov.app.tenancy.limits import RETRY_SECONDS
from pfgov.app.tenancy.names import UnknownLedgerError, unknown
from pfgov.app.tenancy.notes import Note
from pfgov.errors import BusyError, PfgovError, StoreUnavailableError
from pfgov.limits import MICRO

NEVER: Final = None
"""When a ledger is to be looked at that only a request can change."""


class TooManyLedgersError(BusyError):
    """As many ledgers as may be open are in use, or as many as may wait to be opened do."""

    code = "ledger.too_many_open"


class Stage(Enum):
    """How a ledger stands."""

    RESTING = "resting"
    OPENING = "opening"
    OPEN = "open"
    STANDBY = "standby"
    CLOSING = "closing"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Place:
    """The place of one ledger.

    Attributes:
        name: What it is called here.
        directory: Its folder.
        host: What serves it while it is open.
        users: Requests and streams that are being answered from it.
        used_at: When the last of them ended, on the monotonic clock in microseconds.
        look_at: Until when it is not asked again whether it may rest, on the same clock.
        visit_at: The moment of the wall clock at which something is due while it rests; None if never.
        note: How it stood when it was last closed.
        failure: Why it cannot be opened.
        retry_at: Until when that is not tried again, on the monotonic clock.
        wait: How long that was.
        was_open: Whether this process had it open: its leases then went on, for it was always listened for.
        can_be_led: Whether several servers may have it by turns.
        opening: What opens it, where something does.
        closing: What closes it, where something does.
    """

    name: str
    directory: Path
    host: Host | None = None
    users: int = 0
    used_at: int = 0
    look_at: int = 0
    visit_at: int | None = NEVER
    note: Note | None = None
    failure: PfgovError | None = None
    retry_at: int = 0
    wait: int = 0
    was_open: bool = False
    can_be_led: bool = False
    opening: "asyncio.Task[Host] | None" = field(default=None, repr=False)
    closing: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def stage(self) -> Stage:
        """How it stands."""
        if self.host is not None:
            return Stage.OPEN if self.host.leads else Stage.STANDBY
        if self.closing is not None:
            return Stage.CLOSING
        if self.opening is not None:
            return Stage.OPENING
        return Stage.RESTING if self.failure is None else Stage.FAILED

    @property
    def is_at_rest(self) -> bool:
        """Whether nobody has it open, nor is about to."""
        return not self.users and self.stage in {Stage.RESTING, Stage.FAILED}

    def fails(self, error: PfgovError, now: int) -> None:
        """Remember why it cannot be opened, and for how long that is not tried again."""
        least, most = (round(seconds * MICRO) for seconds in RETRY_SECONDS)
        self.wait = min(max(2 * self.wait, least), most)
        self.failure, self.retry_at = error, now + self.wait

    def works(self) -> None:
        """Forget that it could not be opened."""
        self.failure, self.retry_at, self.wait = None, 0, 0

    def refuse(self, now: int) -> None:
        """Refuse to open what could not be opened a moment ago, at *now*.

        What is wrong with it is for whoever runs the server: its users are told the kind.

        Raises:
            UnknownLedgerError: there is no ledger in its folder.
            StoreUnavailableError: everything else, with the code of the reason.
        """
        if self.failure is not None and now < self.retry_at:
            raise self.failed(self.failure)

    def failed(self, why: PfgovError) -> PfgovError:
        """Return what users of this ledger are told of *why* it cannot be opened."""
        if isinstance(why, UnknownLedgerError):
            return unknown(self.name)
        return StoreUnavailableError(
            f"the ledger {self.name} cannot be opened ({why.code})",
            code=why.code,
            hint="whoever runs the server finds out why with: pfgov ledger list",
        )


@dataclass(slots=True)
class Counts:
    """What a keeper did."""

    openings: int = 0
    opening_micros: int = 0
    closings: int = 0
    failures: int = 0
    visits: int = 0
    refused: int = 0
