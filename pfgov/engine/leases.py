"""Who was heard when: the leases of members, in memory, kept across restarts where that is wanted.

Heartbeats are not entries.  A lease begins with a registration or update that names ``lease_seconds``, or with the
first heartbeat, and is measured in wall time as the ledger asserts it, because its evidence is recorded.  When the
engine itself was late, every lease is stretched by that lag: a sick server must not hold its members for dead.  What
an overdue lease leads to is decided elsewhere.
"""

from collections.abc import Iterable

from pfgov.decide import LeaseView
from pfgov.lifecycle import MemberStatus
from pfgov.limits import MICRO
from pfgov.records import Member
from pfgov.state import State


class Leases:
    """The leases of one ledger's members.  The holder of the engine's turn uses it."""

    def __init__(self) -> None:
        self._leases: dict[str, LeaseView] = {}

    def view(self) -> dict[str, LeaseView]:
        """Return the leases as ``due`` reads them."""
        return self._leases

    def heard(self, member: Member, now: int, default_seconds: int) -> None:
        """Begin *member*'s lease, or renew it, at *now* (microseconds)."""
        seconds = default_seconds if member.lease_seconds is None else member.lease_seconds
        self._leases[member.member_id] = LeaseView(member.incarnation, now, seconds * MICRO)

    def follow(self, state: State, member_ids: Iterable[str], now: int) -> None:
        """Take note of members that were just committed: new lives, new lease times, ends."""
        for member_id in member_ids:
            member = state.members[member_id]
            lease = self._leases.get(member_id)
            if member.status in {MemberStatus.FAILED, MemberStatus.RETIRED}:
                self._leases.pop(member_id, None)
            elif lease is None or lease.incarnation != member.incarnation:
                self._leases.pop(member_id, None)
                if member.lease_seconds is not None:
                    self.heard(member, now, 0)
            elif member.lease_seconds is not None and lease.ttl != member.lease_seconds * MICRO:
                self.heard(member, now, 0)

    def stretch(self, lag: int) -> None:
        """Add the engine's own lag (microseconds) to every lease until it is renewed."""
        if lag > 0:
            for member_id, lease in self._leases.items():
                self._leases[member_id] = LeaseView(
                    lease.incarnation, lease.last_seen, lease.ttl, lease.stretch + lag
                )

    def is_overdue_still(self, member_id: str, last_seen: int) -> bool:
        """Whether nobody heard *member_id* since the evidence *last_seen* was collected."""
        lease = self._leases.get(member_id)
        return lease is not None and lease.last_seen <= last_seen

    def begin_anew(self, state: State, now: int) -> None:
        """Give every leased member a whole lease from *now*: after a restart nobody is to blame for our silence."""
        leased = set(self._leases)
        self._leases.clear()
        for member in state.roster():
            if member.status is not MemberStatus.FAILED and (
                member.lease_seconds is not None or member.member_id in leased
            ):
                self.heard(member, now, state.settings.lease_seconds)

    def load(self, rows: Iterable[tuple[str, int, int, int]]) -> None:
        """Take over leases that were kept: (member, incarnation, last seen, ttl)."""
        for member_id, incarnation, last_seen, ttl in rows:
            self._leases[member_id] = LeaseView(incarnation, last_seen, ttl)

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Return the leases as they are kept."""
        return [
            (member_id, lease.incarnation, lease.last_seen, lease.ttl)
            for member_id, lease in sorted(self._leases.items())
        ]
