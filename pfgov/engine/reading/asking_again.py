"""Asking another policy set at a recorded moment: what would this command have come to under it?

There is one implementation of the question, and this is it: the recorded command is decided again on the state before
it, at its time and with the scheduler of that moment, but with other policies.  History is not changed, and what would
have followed from another answer is not guessed.  What is counted, and where the history comes from, is not known here.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import Decided, NeedsOverlayError, NeedsViewError, Tools
from pfgov.core.decide.guarding import PolicyDeniedError
from pfgov.core.judging import Judged
from pfgov.core.verdicts import Point, Verdict
from pfgov.engine.reading.replay import Moment, Replay
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet

Outcome = Literal["allowed", "escalated", "denied", "no_candidate", "no_capacity", "refused"]

RANK: Final = {"allowed": 2, "escalated": 1}
"""How much an outcome allows; what is not named allows nothing."""

_VERDICT_RANK: Final = {"allow": 2, "escalate": 1, "deny": 0}

DIFFERENCES_MAX: Final = 256
"""Pairs of judged fleets whose difference is remembered; then all are dropped."""

VIEWS_MAX: Final = 8
"""Views of a context that one decision can ask for; more is an engine's mistake."""

_GUARDED: Final[dict[type[c.Action], Point]] = {
    c.SubmitPacket: Point.SUBMIT,
    c.UpdatePacket: Point.UPDATE,
    c.UpdateMember: Point.UPDATE_MEMBER,
    c.ReviewPacket: Point.REVIEW,
    c.CompletePacket: Point.COMPLETE,
    c.ActivatePolicy: Point.ACTIVATE,
}
"""Commands that are asked about at a guarding point before anything else."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a command came to as far as policy decides it.

    Attributes:
        point: The decision point that was reached last.
        outcome: As entries say it; ``refused`` where nothing would be recorded.
        winner: The member that owns the packet then, or joined.
        obligations: What the winner owes.
        table: The digest of the verdict table, where there is one.
        rules: The names of the rules that did not allow it, where no table says so.
    """

    point: Point
    outcome: Outcome
    winner: str | None = None
    obligations: tuple[c.Obligation, ...] = ()
    table: str | None = None
    rules: tuple[str, ...] = ()


def ruling_of(command: c.Command, events: "tuple[e.Event, ...] | list[e.Event]") -> Ruling | None:
    """Return what *events* say that policy decided of *command*; None where it was not asked."""
    for event in events:
        found = _ruled(event)
        if found is not None:
            return found
    point = _GUARDED.get(type(command.do))
    if point is None or not events or "engine" in command.principal.rights:
        return None
    return Ruling(point, "allowed")


def _ruled(event: e.Event) -> Ruling | None:
    match event:
        case e.AssignmentDecision(decision=decision, outcome=outcome, owner=owner):
            winner = owner.member_id if owner is not None else None
            return Ruling(Point(decision.point), outcome, winner, event.obligations, decision.table)
        case e.HandoffStarted(decision=decision, target=target):
            return Ruling(
                Point(decision.point), "allowed", target.member_id, event.obligations, decision.table
            )  # fmt: skip
        case e.HandoffCompleted(decision=decision, owner=owner):
            return Ruling(Point.ACCEPT, "allowed", owner.member_id, (), decision.table)
        case e.HandoffDenied(decision=decision, outcome=outcome):
            return Ruling(Point(decision.point), outcome, None, (), decision.table)
        case e.HandoffEscalated(decision=decision):
            return Ruling(Point(decision.point), "escalated", None, (), decision.table)
        case e.HandoffAborted(cause="policy"):
            return Ruling(Point.ACCEPT, "denied", rules=event.reasons)
        case e.DecisionEvaluated(decision=decision, outcome=outcome):
            winner = event.member_id if outcome == "allowed" else None
            return Ruling(Point(decision.point), outcome, winner, event.obligations, decision.table)
        case e.MemberRegistered():
            return Ruling(Point.REGISTER, "allowed", event.member_id)
        case e.RegistrationDenied():
            return Ruling(Point.REGISTER, "denied", None, (), event.table, event.reasons)
        case e.PolicyDenied():
            return Ruling(Point(event.point), "refused", rules=event.reasons)
        case e.OwnershipRevoked(cause="retain_denied"):
            return Ruling(Point.RETAIN, "denied", rules=event.reasons)
        case e.CheckpointCommitted(obligations=obligations) if obligations:
            return Ruling(Point.RETAIN, "allowed", event.owner.member_id, obligations)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Compared:
    """A recorded ruling beside the one of another set.

    Attributes:
        old: What is recorded.
        new: What the other set would have made of it.
        widened: Members that would be more eligible, in id order.
        narrowed: Members that would be less eligible, in id order.
        lifted: Rules that kept the widened ones out and would not any more.
        imposed: Rules that would keep the narrowed ones out and did not.
    """

    old: Ruling
    new: Ruling
    widened: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()
    imposed: tuple[str, ...] = ()

    @property
    def change(self) -> str | None:
        """What is different, by one name: ``deny_to_allow`` and so on, ``other_winner`` ...; None if nothing is."""
        old, new = _word(self.old.outcome), _word(self.new.outcome)
        if old != new:
            return f"{old}_to_{new}"
        if self.old.winner != self.new.winner:
            return "other_winner"
        if set(self.old.obligations) != set(self.new.obligations):
            return "other_obligations"
        return "other_candidates" if self.widened or self.narrowed else None

    @property
    def is_widening(self) -> bool:
        """Whether something that was not allowed would be, or was owed would not be."""
        return (
            RANK.get(self.new.outcome, 0) > RANK.get(self.old.outcome, 0)
            or bool(self.widened)
            or (self._is_same_winner and bool({*self.old.obligations} - {*self.new.obligations}))
        )

    @property
    def is_narrowing(self) -> bool:
        """Whether something that was allowed would not be, or something more would be owed."""
        return (
            RANK.get(self.new.outcome, 0) < RANK.get(self.old.outcome, 0)
            or bool(self.narrowed)
            or (self._is_same_winner and bool({*self.new.obligations} - {*self.old.obligations}))
        )

    @property
    def _is_same_winner(self) -> bool:
        return self.old.winner is not None and self.old.winner == self.new.winner


def _word(outcome: str) -> str:
    return {"allowed": "allow", "escalated": "escalate"}.get(outcome, "deny")


class Asker:
    """Asks one policy set at the moments of a history that is being run again."""

    def __init__(self, policies: PolicySet, replay: Replay) -> None:
        self.policies = policies
        self._replay = replay
        self._facts: dict[str, dict[str, object]] = {}
        self._candidates: dict[str, Judged] = {}
        self._differences: dict[tuple[int, int], _Difference] = {}
        self._tools = Tools(
            policies=self._set_of,
            scheduler=replay.scheduler_of,
            index=replay.tools.index,
            candidates=self._candidates,
            explains=False,
        )

    def _set_of(self, digest: str) -> PolicySet:
        """Return the asked set for the one in force, and what the ledger has for one that is made binding."""
        if digest == (self._replay.state.policy or ""):
            return self.policies
        return self._replay.set_of(digest)

    def changed(self, touched: set[tuple[str, str]]) -> None:
        """Forget the facts of members that changed."""
        for table, key in touched:
            if table == "member":
                self._facts.pop(key, None)

    def ask(self, moment: Moment) -> Compared | None:
        """Return what the set makes of a recorded command beside what is recorded; None where policy has no say."""
        old = ruling_of(moment.command, moment.events)
        state = self._replay.state
        is_first = isinstance(moment.command.do, c.ActivatePolicy) and state.policy is None
        if old is None or is_first:
            return None
        if self._says_the_same(moment.command, old):
            return Compared(old, old)
        self._candidates.clear()
        held, state.facts = state.facts, self._facts  # labels may be of other types in the set
        try:
            new = self._ruling(moment, old)
        finally:
            state.facts = held
        before = moment.candidates.get(old.table or "")
        after = self._candidates.get(new.table or "")
        if before is None or after is None or not before.members or not after.members:
            return _without_candidates(old, new, before, after)
        found = self._difference(before, after)
        return Compared(old, new, found.widened, found.narrowed, found.lifted, found.imposed)

    def _says_the_same(self, command: c.Command, old: Ruling) -> bool:
        """Whether the set is not asked about *command* at all: completing asks at its guarding point alone."""
        return (
            type(command.do) is c.CompletePacket
            and old.outcome == "allowed"
            and Point.COMPLETE not in self.policies.guards
        )

    def _difference(self, before: Judged, after: Judged) -> "_Difference":
        """Return how the candidates differ; of verdicts that were remembered, as it was found before."""
        key = id(before), id(after)
        found = self._differences.get(key)
        if found is None:
            if len(self._differences) >= DIFFERENCES_MAX:
                self._differences.clear()
            found = self._differences[key] = _differ(before, after)
        return found

    def _ruling(self, moment: Moment, old: Ruling) -> Ruling:
        try:
            decided = self._decided(moment)
            if isinstance(decided.refusal, PolicyDeniedError):
                raise decided.refusal
        except PfgovError as error:
            rules = error.rules if isinstance(error, PolicyDeniedError) else (error.code,)
            point = _GUARDED.get(type(moment.command.do), old.point)
            return Ruling(point, "refused", rules=rules)
        found = ruling_of(moment.command, decided.events)
        return self._unrecorded(moment, old) if found is None else found

    def _decided(self, moment: Moment) -> Decided:
        """Decide; where a view of a context is asked for that nobody committed to, go on with an empty stand-in."""
        command = moment.command
        for _ in range(VIEWS_MAX):
            try:
                return self._replay.decide(command, moment.time, self._tools)
            except NeedsViewError as need:
                view = c.View(paths=need.paths, view=c.Commitment(digest="0" * 64, size=0))
                action = cast("Any", command.do)
                do = msgspec.structs.replace(action, views=(*action.views, view))
                command = msgspec.structs.replace(command, do=do)
            except NeedsOverlayError:
                break
        return Decided([])

    def _unrecorded(self, moment: Moment, old: Ruling) -> Ruling:
        """Return what stands where the set would have left everything as it was."""
        do = moment.command.do
        packet = self._replay.state.packets.get(getattr(do, "packet_id", ""))
        if isinstance(do, c.RejudgeOwner) and packet is not None:
            return Ruling(Point.RETAIN, "allowed", packet.owner, packet.obligations)
        if isinstance(do, c.AbortHandoff):
            return Ruling(Point.ACCEPT, "allowed")
        waiting = packet.waiting if packet is not None else None
        if waiting is None:
            return Ruling(old.point, "denied")
        rules = tuple(name for name, _ in waiting.reasons)
        return Ruling(old.point, cast("Outcome", waiting.outcome), rules=rules)


@dataclass(frozen=True, slots=True)
class _Difference:
    """How verdicts on candidates differ; the verdicts are kept, so that their identities stay theirs."""

    of: tuple[Judged, Judged]
    widened: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()
    imposed: tuple[str, ...] = ()


def _differ(before: Judged, after: Judged) -> _Difference:
    """Compare, member by member, what both sides judged."""
    pairs = _pairs(before, after)
    wider, narrower = set[_Pair](), set[_Pair]()
    lifted, imposed = set[str](), set[str]()
    for pair in set(pairs):
        if pair is None:
            continue
        was, then = before.kinds[pair[0]].verdict, after.kinds[pair[1]].verdict
        rank, now = _VERDICT_RANK[was.outcome], _VERDICT_RANK[then.outcome]
        if now > rank:
            wider.add(pair)
            lifted |= _names(was) - _names(then)
        elif now < rank:
            narrower.add(pair)
            imposed |= _names(then) - _names(was)
    if not wider and not narrower:
        return _Difference((before, after))
    each = list(zip(before.members, pairs, strict=True))
    return _Difference(
        (before, after),
        tuple([member.member_id for member, pair in each if pair in wider]),
        tuple([member.member_id for member, pair in each if pair in narrower]),
        tuple(sorted(lifted)),
        tuple(sorted(imposed)),
    )


_Pair = tuple[int, int]


def _pairs(before: Judged, after: Judged) -> list[_Pair | None]:
    """Return the numbers of both verdicts on each member of *before*; None on one that is not among the others."""
    if before.members is after.members:
        return list(zip(before.of, after.of, strict=True))
    numbers = {m.member_id: number for m, number in zip(after.members, after.of, strict=True)}
    return [
        (number, numbers[member.member_id]) if member.member_id in numbers else None
        for member, number in zip(before.members, before.of, strict=True)
    ]


def _without_candidates(
    old: Ruling, new: Ruling, before: Judged | None, after: Judged | None
) -> Compared:
    """Compare where one side judged no candidates: registered, kept, refused or revoked."""
    rank, now = RANK.get(old.outcome, 0), RANK.get(new.outcome, 0)
    if now > rank:
        member = (new.winner,) if new.winner is not None else ()
        return Compared(old, new, widened=member, lifted=_rules(old, before))
    if now < rank:
        member = (old.winner,) if old.winner is not None else ()
        return Compared(old, new, narrowed=member, imposed=_rules(new, after))
    return Compared(old, new)


def _rules(ruling: Ruling, judged: Judged | None) -> tuple[str, ...]:
    """Return the names of the rules that *ruling* names, or that kept a candidate out."""
    found = set(ruling.rules)
    if judged is not None:
        found.update(*(_names(judged.kinds[number].verdict) for number in set(judged.of)))
    return tuple(sorted(found))


def _names(verdict: Verdict) -> set[str]:
    return {reason.name for reason in verdict.reasons}
