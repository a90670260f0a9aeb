"""The tick: what is due now, and what becomes due by it, a bounded number of follow-ups.

Each follow-up goes through the sequencer like everybody's commands.  While the wall clock has just leaped ahead nothing
is due, and that is recorded; it ends, on the record, when the clock is back or has been steady for a while, or when an
operator says so.  Halts about leases are in :mod:`pfgov.core.decide.expiry`.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from pfgov.core import commands as c
from pfgov.core.decide import due, next_due
from pfgov.core.decide.expiry import survey
from pfgov.engine.answers import LOCAL, Caller, Receipt, Request
from pfgov.engine.options import TickReport
from pfgov.engine.sequencing.sequencer import Sequencer
from pfgov.errors import PfgovError, StateConflictError
from pfgov.limits import CLOCK_LEAP_MAX, FOLLOW_UPS_PER_TICK_MAX

ROUNDS_PER_TICK: Final = 4
"""How often one tick looks again after its follow-ups had an effect: so many steps of a cascade cost no waiting."""

CLOCK: Final = "clock_jump"


def tick(sequencer: Sequencer, limit: int = FOLLOW_UPS_PER_TICK_MAX) -> TickReport:
    """Run at most *limit* follow-ups that are due now, and what becomes due by them: death, revocation, next owner.

    Raises:
        ClockError: the machine's clock cannot be right.
        PfgovError: ``store.*``, the state cannot be loaded.
    """
    sequencer.drain()
    if sequencer.state.configuration is None:
        return TickReport(0, 0, sequencer.halted)
    effective = _watch_clock(sequencer)
    tried = effective
    if _is_in_doubt(sequencer):
        return TickReport(tried, effective, sequencer.halted)
    for _ in range(ROUNDS_PER_TICK):
        decider = sequencer.decider
        now = sequencer.now()
        is_older = decider.state.halt is None and sequencer.halted not in {None, CLOCK}
        leases = {} if is_older else sequencer.leases.view()
        actions = due(
            decider.state,
            decider.memory,
            leases,
            now,
            limit=limit - tried,
            is_timed=decider.is_timed,
        )
        had_effect = _follow_up(sequencer, actions)
        tried, effective = tried + len(actions), effective + had_effect
        if not had_effect or tried >= limit:
            break
    sequencer.trim()
    sequencer.keep_leases()
    return TickReport(tried, effective, sequencer.halted)


def rest(sequencer: Sequencer) -> int | None:
    """Tick until nothing more is due, and return when time brings the next thing up; None where it never will.

    That is the present where something still is, or where it cannot be told; and while a lease runs, for what is known
    of it is in memory: who had a packet before, above all.

    Raises:
        PfgovError: as :func:`tick`.
    """
    report = tick(sequencer)
    for _ in range(ROUNDS_PER_TICK):
        if not report.tried:
            break
        report = tick(sequencer)
    now, decider = sequencer.now(), sequencer.decider
    leases = sequencer.leases.view()
    if report.tried or sequencer.halted is not None or sequencer.time.ahead:
        return now
    if not sequencer.leases.former.are_over() or any(one.end > now for one in leases.values()):
        return now
    return next_due(decider.state, decider.memory, leases, now, is_timed=decider.is_timed)


def _watch_clock(sequencer: Sequencer) -> int:
    """Record that the wall clock leaped ahead, or that this is over; return the number of entries."""
    sequencer.now()
    time, halted = sequencer.time, sequencer.halted
    bound = sequencer.state.settings.clock_jump_max
    if halted is None and bound < time.ahead and not _goes_on(sequencer):
        return _follow_up(sequencer, [c.HaltExpiry(cause=CLOCK, jump=time.ahead)])
    if halted != CLOCK or (time.ahead > 0 and not _may_be_taken(sequencer)):
        return 0
    if time.ahead > 0:
        # The wall clock is taken at its word: what it leaped is not held against anybody.
        sequencer.leases.stretch(time.ahead)
        time.trust()
    sequencer.unhalt()
    return _follow_up(sequencer, [c.ResumeExpiry(cause="clock")])


def _may_be_taken(sequencer: Sequencer) -> bool:
    return _goes_on(sequencer) and sequencer.time.ahead <= CLOCK_LEAP_MAX


def _goes_on(sequencer: Sequencer) -> bool:
    """Whether the wall clock has been steadily ahead for so long that waiting tells nothing more."""
    return sequencer.time.doubted_for >= sequencer.state.settings.clock_jump_max


def _is_in_doubt(sequencer: Sequencer) -> bool:
    """Whether nothing is due: afterwards work goes on by the time that passed, whatever the wall clock says."""
    return sequencer.halted == CLOCK and not _goes_on(sequencer)


def _follow_up(
    sequencer: Sequencer, actions: Sequence[c.Action], principal: c.Principal = c.ENGINE
) -> int:
    """Run *actions*; return how many had an effect."""
    futures: list[Future[Receipt]] = [Future() for _ in actions]
    requests = [
        Request(action, principal, outcome=future)
        for action, future in zip(actions, futures, strict=True)
    ]
    sequencer.run(requests)
    sequencer.drain()
    return sum(
        1 for r, f in zip(requests, futures, strict=True) if r.events and f.exception() is None
    )


def resume(
    sequencer: Sequencer,
    caller: Caller = LOCAL,
    *,
    dead: Sequence[str] = (),
    share_permille: int | None = None,
) -> None:
    """End a halt, because somebody looked.

    Members named as *dead* end however many they are, and so do those that were named before and are silent; with
    *share_permille* all that are silent do, if they are no more than that share of all.  Everybody else gets a whole
    lease from now.

    Raises:
        GrantEndedError: *caller* lost its rights while it waited for its turn.
        StateConflictError: ``expiry.more_than_that``, more are silent than was acknowledged.
        PfgovError: ``member.not_found``, ``access.forbidden``, ``store.*``.
    """
    caller.require_rights()
    sequencer.drain()
    if sequencer.time.ahead > 0 or sequencer.halted == CLOCK:
        sequencer.leases.stretch(max(sequencer.time.ahead, 0))
    sequencer.time.trust()
    state = sequencer.state
    now = sequencer.now()
    found = survey(state, sequencer.leases.view(), now)
    if share_permille is not None and found.is_too_many(state, share_permille=share_permille):
        raise StateConflictError(
            f"{len(found.ending)} of {found.leased} leases are over: more than that share",
            code="expiry.more_than_that",
            hint="look at the network first; or name who is dead: pfgov tick --resume --dead ID",
        )
    newest = max((lease.last_seen for lease in found.ending.values()), default=None)
    action = c.ResumeExpiry(
        dead=tuple(dead),
        silent_since=None if share_permille is None or newest is None else newest + 1,
        overdue=len(found.ending),
        leased=found.leased,
        share_permille=share_permille,
    )
    request = Request(action, caller.principal, holds=caller.holds)
    sequencer.run([request])
    sequencer.drain()
    if request.error is not None:
        raise request.error
    sequencer.unhalt()
    for member_id in dead:
        sequencer.leases.former.dead(member_id)
    declared = found.over - found.ending.keys() if dead else set[str]()
    silent = found.over if share_permille is not None else declared
    sequencer.leases.begin_anew(sequencer.state, now, without={*dead, *silent})
    with suppress(PfgovError):
        sequencer.keep_leases(at_once=True)
