"""Whose leases end, and the breaker that keeps a sick observer from holding a whole fleet for dead.

When more than a share of all leases would end at once, nothing ends and that is recorded.  It is over, on the record,
as soon as too few are overdue to halt for; or when members were heard for a whole lease after the halt while others
stayed silent, so that the observer hears and they are dead; or when an operator names the dead or acknowledges the
share.  Leases that such an entry exempts are counted by no later halt.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pfgov.core import commands as c
from pfgov.core.decide.queue import Memory
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.records import Exempt, Halt
from pfgov.core.state import State

MASS: Final = "mass_expiry"
"""Why this module halts; a clock that leaps is noticed elsewhere."""

LEASED: Final = frozenset(
    {MemberStatus.ACTIVE, MemberStatus.SUSPECT, MemberStatus.DRAINING, MemberStatus.QUARANTINED}
)


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease as the engine saw it: wall times in microseconds.

    ``is_graced`` says that it was made whole after a restart and not renewed since: that happens once.  ``kept_at`` is
    when an earlier run kept it for this one.
    """

    incarnation: int
    last_seen: int
    ttl: int
    stretch: int = 0
    is_graced: bool = False
    kept_at: int = 0

    @property
    def end(self) -> int:
        """When it is over."""
        return self.last_seen + self.ttl + self.stretch


@dataclass(slots=True)
class Survey:
    """All leases at one moment.

    Attributes:
        leased: How many there are.
        over: Whose lease is over, exempt or not.
        ending: Those that are over and not exempt: member -> lease.
        actions: What is due for those that are over, or that it is late for.
        newest: When the last of all was renewed.
    """

    leased: int = 0
    over: set[str] = field(default_factory=set[str])
    ending: dict[str, LeaseView] = field(default_factory=dict[str, LeaseView])
    actions: list[c.Action] = field(default_factory=list[c.Action])
    newest: int = 0

    def is_too_many(self, state: State, *, share_permille: int | None = None) -> bool:
        """Whether more end at once than may, or than *share_permille* of all."""
        settings, ending = state.settings, len(self.ending)
        share = settings.expiry_share_permille if share_permille is None else share_permille
        return ending > settings.expiry_floor and ending * 1_000 > self.leased * share


def survey(state: State, leases: Mapping[str, LeaseView], now: int) -> Survey:
    """Return how *leases* stand at *now*."""
    found, exempt = Survey(), state.exempt or Exempt()
    for member_id in sorted(leases):
        member, lease = state.members.get(member_id), leases[member_id]
        if member is None or member.incarnation != lease.incarnation or lease.ttl <= 0:
            continue
        if member.status not in LEASED:
            continue
        found.leased += 1
        found.newest = max(found.newest, lease.last_seen)
        silence = now - lease.last_seen - lease.stretch
        is_late = silence * 1_000 >= lease.ttl * state.settings.suspect_permille
        if now < lease.end and not (is_late and member.status is MemberStatus.ACTIVE):
            continue
        if now >= lease.end:
            found.over.add(member_id)
            is_named = (member_id, member.incarnation) in exempt.dead
            if lease.last_seen >= exempt.silent_since and not is_named:
                found.ending[member_id] = lease
        found.actions.append(
            c.ExpireLease(
                member_id=member_id,
                incarnation=lease.incarnation,
                last_seen=lease.last_seen,
                ttl=lease.ttl,
                stretch=lease.stretch,
            )
        )
    return found


def expiries(
    state: State, memory: Memory, leases: Mapping[str, LeaseView], now: int
) -> Iterator[c.Action]:
    """Yield what is due for *leases* at *now*: ends and suspicions, a halt, or the end of one."""
    found = survey(state, leases, now)
    if state.halt is not None and state.halt.cause == MASS:
        cause = _end_of_halt(state, state.halt, memory, found, now)
        if cause is not None:
            yield c.ResumeExpiry(
                cause=cause,
                silent_since=state.halt.since if cause == "evidence" else None,
                overdue=len(found.ending),
                leased=found.leased,
            )
        return
    memory.hearing_since = None
    if found.is_too_many(state):
        yield c.HaltExpiry(cause=MASS, overdue=len(found.ending), leased=found.leased)
    else:
        yield from found.actions


def _end_of_halt(
    state: State, halt: Halt, memory: Memory, found: Survey, now: int
) -> c.Observed | None:
    """Return what ends *halt* now, if anything does.

    One heartbeat shows that the observer hears again, and who else lives has a whole lease from then on to be heard.
    """
    if not found.ending:
        return "heard"
    longest = max(lease.ttl for lease in found.ending.values())
    if found.newest <= halt.since or now - found.newest >= longest:
        memory.hearing_since = None  # nobody was heard since, or nobody is any more
        return None
    if memory.hearing_since is None:
        memory.hearing_since = now
    if now - memory.hearing_since < longest:
        return None
    return "evidence" if found.is_too_many(state) else "heard"
