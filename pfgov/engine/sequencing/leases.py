"""Who was heard when: the leases of members, in memory, kept across restarts where that is wanted.

Heartbeats are not entries, nor is what they say of the work's progress.  A lease begins with a registration or update
that names ``lease_seconds``, or with the first heartbeat, and is measured in wall time as the ledger asserts it,
because its evidence is recorded.  When the engine itself was late, every lease is stretched by that lag: a sick server
must not hold its members for dead.  What an overdue lease leads to is decided elsewhere.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from pfgov.core.decide import LeaseView, Progress
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.records import Member
from pfgov.core.state import State
from pfgov.engine.loading.intact import unreadable
from pfgov.engine.sequencing.former_owners import FormerOwners
from pfgov.limits import INTEGER_MAX, MICRO
from pfgov.storage.leases import LeaseRow

KEPT_EVERY: Final = 5_000_000
"""Microseconds between two times at which leases are kept for the next start."""

STRETCH_MAX: Final = 4 * INTEGER_MAX
"""More than any lease is stretched by: it is a difference of moments and lengths."""


class Save(Protocol):
    """What keeps them: all leases, or without ``is_whole`` those of some members."""

    def __call__(self, rows: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Keep *rows*."""
        ...


@dataclass(slots=True)
class Session:
    """The process that lives by a member's lease, by the name that it drew for itself.

    ``must_go`` says that another process waits to take over: this one is renewed no more.
    """

    incarnation: int
    name: str
    must_go: bool = False


class Leases:
    """The leases of one ledger's members.  The holder of the exclusive section uses it."""

    def __init__(self, monotonic: Callable[[], int]) -> None:
        """Take the clock by which former owners' leases are counted."""
        self.former = FormerOwners(monotonic)
        self._leases: dict[str, LeaseView] = {}
        self._sessions: dict[str, Session] = {}
        self._kept = 0
        self.progress = Progress()

    def view(self) -> dict[str, LeaseView]:
        """Return the leases as ``due`` reads them."""
        return self._leases

    def heard(
        self, member: Member, now: int, default_seconds: int, *, counts_by: int | None = None
    ) -> None:
        """Begin *member*'s lease, or renew it, at *now* (microseconds).

        A member that *counts_by* a longer lease, which it had, gets that again: it has not heard of the shorter one.
        """
        seconds = default_seconds if member.lease_seconds is None else member.lease_seconds
        before = self._leases.get(member.member_id)
        if counts_by is not None and before is not None:
            seconds = max(seconds, min(counts_by, before.ttl // MICRO))
        self._leases[member.member_id] = LeaseView(member.incarnation, now, seconds * MICRO)
        self.former.lives(member, seconds * MICRO)

    def session(self, member: Member) -> Session | None:
        """Return the process that lives by *member*'s lease in its present life, None if none said its name."""
        found = self._sessions.get(member.member_id)
        return found if found is not None and found.incarnation == member.incarnation else None

    def bind(self, member: Member, session: str, save: Save, now: int) -> None:
        """Let *session* be the one process that lives by *member*'s lease, and *save* that before it is answered."""
        self._sessions[member.member_id] = Session(member.incarnation, session)
        self.keep_one(member, save, now)

    def unbind(self, member: Member, save: Save, now: int, *, is_idle: bool) -> None:
        """Let any process live by *member*'s lease; one that *is_idle*, and takes no work, needs none meanwhile."""
        self._sessions.pop(member.member_id, None)
        if is_idle:
            self._leases.pop(member.member_id, None)
        self.keep_one(member, save, now)

    def keep_one(self, member: Member, save: Save, now: int) -> None:
        """Give one member's lease to *save*; where it has none, all the others."""
        lease = self._leases.get(member.member_id)
        if lease is None:
            save(self.rows(now))
        else:
            save([self._row(member.member_id, lease, now)], is_whole=False)

    def follow(self, state: State, member_ids: Iterable[str], now: int) -> None:
        """Take note of members that were just committed: new lives, new lease times, ends."""
        for member_id in member_ids:
            member = state.members.get(member_id)
            if member is None:
                continue  # its registration was denied
            lease = self._leases.get(member_id)
            if member.status in {MemberStatus.FAILED, MemberStatus.RETIRED}:
                self._end(member_id)
            elif lease is None and _is_away(member):
                continue
            elif lease is None or lease.incarnation != member.incarnation:
                self._end(member_id)
                if member.lease_seconds is not None:
                    self.heard(member, now, 0)
            elif member.lease_seconds is not None and lease.ttl < member.lease_seconds * MICRO:
                self.heard(member, now, 0)
            # A shorter lease begins with the next heartbeat, whose answer says it: the member counts by the old one.

    def _end(self, member_id: str) -> None:
        self._leases.pop(member_id, None)
        self._sessions.pop(member_id, None)

    def stretch(self, lag: int) -> None:
        """Add the engine's own lag (microseconds) to every lease until it is renewed."""
        if lag > 0:
            for member_id, lease in self._leases.items():
                self._leases[member_id] = replace(lease, stretch=lease.stretch + lag)

    def is_overdue_still(self, member_id: str, last_seen: int) -> bool:
        """Whether nobody heard *member_id* since the evidence *last_seen* was collected."""
        lease = self._leases.get(member_id)
        return lease is not None and lease.last_seen <= last_seen

    def begin_anew(self, state: State, now: int, *, without: Collection[str] = ()) -> None:
        """Give every leased member a whole lease from *now*, except those *without*: an operator says that they
        live.
        """
        self.progress.since = now
        for member in state.roster():
            if member.status is MemberStatus.FAILED or member.member_id in without:
                continue
            if member.lease_seconds is not None or member.member_id in self._leases:
                self.heard(member, now, state.settings.lease_seconds)

    def after_restart(self, state: State, now: int) -> None:
        """Let the leases of an earlier run go on at *now*: nobody is to blame for the time in which nobody listened.

        Each goes on with what was left of it when it was kept.  The first time after a member was heard it is a whole
        lease instead, for its heartbeats since then may be lost with the process; that does not add up, so that a
        server that restarts all the time ends the leases of the dead, too.

        A member can have been seen later than now, where the clock of the earlier run was ahead: it counts as seen now.
        Else it would be silent since a moment to come, and no evidence would ever speak against it.
        """
        self.progress.since = now
        kept, self._leases = self._leases, {}
        for member in state.roster():
            if member.status is MemberStatus.FAILED:
                continue
            lease = kept.get(member.member_id)
            if lease is not None and lease.incarnation == member.incarnation:
                left = lease.ttl if not lease.is_graced else max(lease.end - lease.kept_at, 0)
                seen = min(lease.last_seen, now)
                self._leases[member.member_id] = replace(
                    lease, last_seen=seen, stretch=now + left - lease.ttl - seen, is_graced=True
                )
            elif member.lease_seconds is not None and not _is_away(member):
                self.heard(member, now, 0)
                self._leases[member.member_id] = replace(
                    self._leases[member.member_id], is_graced=True
                )
        ttls = {member_id: lease.ttl for member_id, lease in self._leases.items()}
        sessions = {member_id: session.name for member_id, session in self._sessions.items()}
        self.former.after_restart(state, ttls, sessions, now)

    def load(self, rows: Iterable[LeaseRow]) -> None:
        """Take over leases that were kept.

        Raises:
            StoreCorruptError: ``store.altered``, no lease was kept like one of them.
        """
        for row in rows:
            _check(row)
            self._leases[row.member_id] = LeaseView(
                row.incarnation,
                row.last_seen,
                row.ttl,
                row.stretch,
                bool(row.is_graced),
                row.kept_at,
            )
            if row.session:
                self._sessions[row.member_id] = Session(row.incarnation, row.session)

    def keep(self, save: Save, now: int, *, at_once: bool) -> None:
        """Give the leases to *save* if it is time, or *at_once*."""
        if at_once or now - self._kept >= KEPT_EVERY:
            save(self.rows(now))
            self._kept = now
            self.former.trim()

    def rows(self, now: int) -> list[LeaseRow]:
        """Return the leases as they are kept at *now*."""
        return [
            self._row(member_id, lease, now) for member_id, lease in sorted(self._leases.items())
        ]

    def _row(self, member_id: str, lease: LeaseView, now: int) -> LeaseRow:
        session = self._sessions.get(member_id)
        return LeaseRow(
            member_id,
            lease.incarnation,
            lease.last_seen,
            lease.ttl,
            lease.stretch,
            int(lease.is_graced),
            now,
            session.name if session is not None else "",
        )


def _check(row: LeaseRow) -> None:
    numbers = (row.incarnation, row.last_seen, row.ttl, row.kept_at)
    if not all(0 <= one <= INTEGER_MAX for one in numbers) or abs(row.stretch) > STRETCH_MAX:
        raise unreadable(
            f"the lease of {row.member_id[:64]}", ValueError("a number in it is out of range")
        )


def _is_away(member: Member) -> bool:
    """Whether *member* is out for maintenance: it owns nothing, is given nothing, and may be silent."""
    drain = member.drain
    return drain is not None and drain.stays and member.active == 0
