"""The witnesses of a hosted ledger: waiting for their quorum, and what is said of them."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, Final

from pfgov.engine.witnessing.keeping import Witnessed
from pfgov.engine.witnessing.rounds import INTERVAL_SECONDS, Rounds, read_policy, rounds_of
from pfgov.errors import NotFoundError

WITNESSED_SECONDS: Final = 10.0
"""How long an answer waits for a quorum of witnesses, where that was asked for."""

LOOK_SECONDS: Final = 0.1

log = logging.getLogger("pfgov.api")


class Witnesses:
    """Who vouches for a ledger, for whoever hosts it."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds
        self._alarmed: set[str] = set()

    @classmethod
    def of(
        cls, directory: Path, policy: Path, *, interval_seconds: float = INTERVAL_SECONDS
    ) -> "Witnesses":
        """Return those that the C2SP tlog-policy file *policy* names, for the ledger in *directory*.

        Raises:
            InvalidError: ``witness.policy``, the file does not say whom to ask, where, and how many are enough.
            StoreUnavailableError: it cannot be read.
        """
        return cls(rounds_of(directory, read_policy(policy), interval_seconds=interval_seconds))

    def start(self) -> None:
        """Begin to ask."""
        self.rounds.start()

    def stop(self) -> None:
        """Ask nobody any more."""
        self.rounds.stop()

    @property
    def newest(self) -> Witnessed | None:
        """The newest checkpoint that a quorum cosigned."""
        return self.rounds.newest

    @property
    def alarms(self) -> list[str]:
        """The names of witnesses that have seen another history."""
        return [one.name for one in self.rounds.alarms]

    def note(self) -> bytes:
        """Return the newest checkpoint that a quorum cosigned, signed by all of them.

        Raises:
            NotFoundError: ``witness.none``, there is none yet.
        """
        found = self.newest
        if found is None:
            raise nobody_has()
        return found.signed

    async def over(self, position: int, stopping: asyncio.Event) -> bytes | None:
        """Return a checkpoint over the entry at *position* that a quorum cosigned, once there is one; None in time."""
        due = time.monotonic() + WITNESSED_SECONDS
        while True:
            found = self.newest
            if found is not None and found.size > position:
                return found.signed
            if time.monotonic() >= due or stopping.is_set():
                return None
            self.rounds.want()
            await asyncio.sleep(LOOK_SECONDS)

    def covers(self, position: int | None) -> bool:
        """Whether a quorum vouches for the entry at *position*."""
        found = self.newest
        return found is not None and position is not None and position < found.size

    def age_seconds(self, now: int) -> int | None:
        """Return for how long, at *now* (microseconds), a quorum has vouched for nothing newer; None: for nothing."""
        found = self.newest
        return None if found is None else max(now // 1_000_000 - found.time, 0)

    def shown(self, now: int) -> dict[str, Any]:
        """Return how far the ledger is witnessed at *now*, since when, and how each witness stands."""
        found = self.newest
        return {
            "size": 0 if found is None else found.size,
            "age_seconds": self.age_seconds(now),
            "each": [
                {
                    "name": one.name,
                    "key": one.key,
                    "known": one.known,
                    "outcome": one.outcome,
                    "alarm": one.is_alarm,
                    **({"why": one.why} if one.why else {}),
                }
                for one in self.rounds.standings()
            ],
        }

    def gauges(self, now: int) -> dict[str, int]:
        """Return the same as numbers, for whoever watches."""
        found, age = self.newest, self.age_seconds(now)
        return {
            "pfgov_witnessed_entries": 0 if found is None else found.size,
            "pfgov_witness_alarms": len(self.alarms),
            **({} if age is None else {"pfgov_witnessed_age_seconds": age}),
        }

    def log_alarms(self) -> None:
        """Say once of each witness that it has seen another history."""
        alarms = {one.name: one.why for one in self.rounds.alarms}
        for name in sorted(alarms.keys() - self._alarmed):
            log.error("witness %s does not vouch for this ledger: %s", name, alarms[name])
        self._alarmed = set(alarms)


def nobody_has() -> NotFoundError:
    """Return the refusal of what only a quorum of witnesses can give."""
    return NotFoundError(
        "no quorum of witnesses has cosigned a checkpoint yet",
        code="witness.none",
        hint="name witnesses: pfgov serve --witnesses FILE; see how each stands: /api/ledger/witnesses",
    )
