"""Between ``decide`` and whatever judges: the facts it is given, a question, the verdicts, and their table.

``decide`` asks before anything moves and never looks behind the answer; :mod:`pfgov.policy` fulfils the two protocols.

A fact is the nearest double of an exact decimal; an absent optional fact is an absent key, so that a policy which reads
it gets ``missing``.  The packet's context body is never a fact.  The shape is declared, typed and documented in
:mod:`pfgov.policy.facts`, against which every expression is checked at load; a test holds the two together.

Members of one kind share a verdict, and most of the table is worked out once a kind.  This module knows neither the
language of policies nor how they are evaluated, and judges nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Protocol

from pfgov.core import events as e
from pfgov.core.commands import Principal
from pfgov.core.labelling import LabelJudge
from pfgov.core.quantity import from_text, to_float
from pfgov.core.records import Member, Packet, Terms
from pfgov.core.tables import Kind, Rendered, Written, kind_of, table_of
from pfgov.core.verdicts import Point, Reason, Verdict
from pfgov.limits import MICRO, NEAREST_LOSERS_MAX, REASONS_PER_LOSER_MAX, REJECTED_RULES_MAX

Facts = Mapping[str, object]


def _nobody() -> Facts:
    return {"id": "", "rights": [], "members": []}


@dataclass(frozen=True, slots=True)
class Question:
    """What is being decided, apart from the candidates.

    Attributes:
        point: The decision point.
        action: What is being done; one of the points' names.
        packet: Facts of the packet; None where there is none.
        source: Facts of the last owner on a handoff, else None.
        principal: Facts of who asks.
        reason: Why, as recorded.
        now: Microseconds since 1970, from the ledger entry being made.
        more: Facts that only this point has, by root: ``before``, ``review``, ``export``, ``activation``.
    """

    point: Point
    action: str
    packet: Facts | None = None
    source: Facts | None = None
    principal: Facts = field(default_factory=_nobody)
    reason: str = ""
    now: int = 0
    more: Mapping[str, Facts] = field(default_factory=dict[str, Facts])


@dataclass(frozen=True, slots=True)
class Kinds:
    """Verdicts, each said once.

    Attributes:
        verdicts: One for each kind of candidate.
        of: For each candidate the number of its kind.
    """

    verdicts: Sequence[Verdict]
    of: Sequence[int]

    def each(self) -> list[Verdict]:
        """Return one verdict for each candidate."""
        return [self.verdicts[kind] for kind in self.of]


class FleetJudge(Protocol):
    """Judges the same candidates again and again at one decision point."""

    def kinds(self, question: Question, members: Sequence[Facts]) -> Kinds:
        """Return the verdicts on *members*; the record of a member whose facts changed is another one."""
        ...


class PolicyJudge(Protocol):
    """A compiled policy set as ``decide`` sees it; :class:`pfgov.policy.PolicySet` is one."""

    def __hash__(self) -> int:
        """Two sets are the same only when they are one object."""
        ...

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the set's canonical form: its identity in every ledger entry."""
        ...

    @property
    def reads(self) -> Mapping[Point, frozenset[str]]:
        """Paths of facts that some rule reads, by decision point."""
        ...

    @property
    def reads_load(self) -> frozenset[Point]:
        """Points whose rules read a load, a reliability or a pressure."""
        ...

    @property
    def reads_time(self) -> frozenset[Point]:
        """Points whose rules read ``now``."""
        ...

    @property
    def reads_history(self) -> frozenset[Point]:
        """Points whose rules read what changes as a packet moves."""
        ...

    @property
    def redacts(self) -> frozenset[Point]:
        """Points with a rule that withholds parts of the context."""
        ...

    @property
    def policies(self) -> tuple[tuple[str, str, str], ...]:
        """(name, version, mode) of every policy, by name."""
        ...

    @property
    def points(self) -> Collection[Point]:
        """Points that an enforcing policy besides the kernel covers."""
        ...

    @property
    def guards(self) -> frozenset[Point]:
        """Guarding points with a rule: those at which there is something to ask."""
        ...

    @property
    def semantics(self) -> int:
        """The number of the meaning under which the set was written."""
        ...

    @property
    def labels(self) -> LabelJudge:
        """What the set declares of labels."""
        ...

    def reads_of(
        self, points: Iterable[Point], policy: str, rule: str
    ) -> tuple[tuple[str, ...], ...]:
        """Return the paths of facts that the rule *rule* of *policy* reads at *points*, in order."""
        ...

    def judge(
        self, question: Question, members: Sequence[Facts], *, validated: bool = False
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, in order.

        With *validated* the caller vouches that all facts were made from validated models.
        """
        ...

    def judge_one(
        self, question: Question, member: Facts | None = None, *, validated: bool = False
    ) -> Verdict:
        """Return the verdict on one member, or on none where the point has none."""
        ...

    def fleet(self, point: Point) -> FleetJudge:
        """Return what judges the same candidates again and again at *point*, with the same verdicts."""
        ...


# --- facts --------------------------------------------------------------------------------


def member_facts(member: Member, labels: LabelJudge) -> dict[str, Any]:
    """Return everything about *member* that a policy may read, its labels as *labels* declare them."""
    facts: dict[str, Any] = {
        "id": member.member_id,
        "type": member.kind,
        "capabilities": list(member.capabilities),
        "capability_versions": {name: c.version or "" for name, c in member.capabilities.items()},
        "clearances": list(member.clearances),
        "reliability": to_float(member.reliability),
        "status": member.status.value,
        "capacity": _capacity(member.capacity),
        "labels": labels.facts("member", member.labels),
        "incarnation": member.incarnation,
        "load": member_load(member),
    }
    if member.region is not None:
        facts["region"] = member.region
    if member.attested is not None:
        facts["trust_score"] = to_float(member.attested.score)
    return facts


def member_load(member: Member) -> dict[str, Any]:
    """Return the part of a member's facts that changes with every placement."""
    used = member.used
    return {
        "active": member.active,
        "cpu": to_float(used.get("cpu", 0)),
        "memory": to_float(used.get("memory", 0)),
        "pressure": to_float(member.pressure),
    }


def _capacity(capacity: Mapping[str, int]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        name: to_float(capacity[name]) for name in ("cpu", "memory") if name in capacity
    }
    if "tasks" in capacity:
        facts["tasks"] = capacity["tasks"] // MICRO
    return facts


def terms_facts(terms: Terms, labels: LabelJudge) -> dict[str, Any]:
    """Return the part of a packet's facts that its terms alone decide, its labels as *labels* declare them."""
    constraints: dict[str, Any] = {"pii_review_required": terms.constraints.pii_review_required}
    if terms.constraints.minimum_trust_score is not None:
        constraints["minimum_trust_score"] = to_float(
            from_text(terms.constraints.minimum_trust_score)
        )
    if terms.constraints.allowed_regions is not None:
        constraints["allowed_regions"] = list(terms.constraints.allowed_regions)
    handoff: dict[str, Any] = {"allowed": terms.handoff.allowed}
    if terms.handoff.reason is not None:
        handoff["reason"] = terms.handoff.reason
    demand = dict(terms.demand)
    return {
        "workload_type": terms.workload_type,
        "priority": terms.priority,
        "required_capabilities": list(terms.required_capabilities),
        "data_classes": list(terms.data_classes),
        "scanned_by": list(terms.scanned_by),
        "policy_constraints": constraints,
        "handoff": handoff,
        "labels": labels.facts("packet", terms.labels),
        "demand": {
            "cpu": to_float(demand.get("cpu", 0)),
            "memory": to_float(demand.get("memory", 0)),
        },
    }


TERMS_FACTS: Final = frozenset(
    {
        "workload_type", "priority", "required_capabilities", "data_classes", "policy_constraints", "handoff",
        "labels", "demand", "scanned_by",
    }
)  # fmt: skip
"""Facts of a packet that only its terms decide."""

MOVING_FACTS: Final = frozenset({("handoff_count",), ("previous_owners",), ("epoch",), ("step",)})
"""First steps of a packet's facts that change as it moves and is worked on."""

LOAD_FACTS: Final = frozenset({("load",), ("reliability",)})
"""First steps of a member's facts that its work changes, not the member."""

REVIEW_FACTS: Final = frozenset({("reviews",), ("reviewed_for",)})
"""First steps of a packet's facts that a review itself changes."""


def packet_facts(packet: Packet, terms: dict[str, Any]) -> dict[str, Any]:
    """Return everything about *packet* that a policy may read; *terms* as :func:`terms_facts` made them."""
    facts = dict(terms)
    facts["packet_id"] = packet.packet_id
    facts["handoff_count"] = packet.handoff_count
    facts["previous_owners"] = list(packet.owners)
    facts["epoch"] = packet.epoch
    if packet.step is not None:
        facts["step"] = packet.step
    if packet.submitted_by is not None:
        facts["submitted_by"] = {
            "id": packet.submitted_by,
            "members": list(packet.submitted_for),
        }
    facts["reviews"] = [review.reviewer for review in packet.reviews]
    facts["reviewed_for"] = [m for review in packet.reviews for m in review.reviewed_for]
    return facts


def principal_facts(principal: Principal) -> dict[str, Any]:
    """Return what a policy may read about who asks."""
    facts: dict[str, Any] = {
        "id": principal.id,
        "rights": list(principal.rights),
        "members": list(principal.members),
    }
    if principal.name is not None:
        facts["name"] = principal.name
    if principal.issuer is not None:
        facts["issuer"] = principal.issuer
    return facts


# --- the verdict table --------------------------------------------------------------------

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts and what follows from them.

    Attributes:
        members: Who was judged, in id order.
        kinds: Every verdict that one of them got; perhaps some that nobody got.
        of: For each member the number of its kind.
        open: Indices of those that nothing denies.
        allowed: Indices of those that may own the packet.
        rejected: How often each rule kept somebody out, by name.
        shadow: How often each shadowed rule would have.
        losers: The nearest of those that may not.
        gone: Indices of members that are not counted, because they have failed or retired and others have not.
        written: The rows of its table as they were last written, where it is kept.
    """

    members: Sequence[Member]
    kinds: Sequence[Kind]
    of: Sequence[int]
    open: tuple[int, ...]
    allowed: tuple[int, ...]
    rejected: Counts
    shadow: Counts
    losers: tuple[e.Loser, ...]
    gone: Sequence[int] = ()
    written: Written | None = None

    def kept(self) -> "Judged":
        """Return the same to be asked again and again: its rows are written once, and anew where a load changed."""
        return replace(self, written=Written([], []))

    def verdict(self, index: int) -> Verdict:
        """Return the verdict on one member."""
        return self.kinds[self.of[index]].verdict

    def table(self, scores: dict[str, int]) -> bytes:
        """Return the verdict table: one row a member, ``[id, outcome, active, score, reasons]``, canonical JSON."""
        scored = self.allowed if scores else ()
        if self.written is None:
            return table_of(self.members, self.kinds, self.of, scores)
        return self.written.table(self.members, self.kinds, self.of, scores, scored)

    def amended(self, changes: dict[int, Verdict], rendered: Rendered) -> "Judged":
        """Return the same with some verdicts replaced."""
        kinds, of, numbers = list(self.kinds), list(self.of), dict[int, int]()
        for index, verdict in changes.items():
            number = numbers.setdefault(id(verdict), len(kinds))
            if number == len(kinds):
                kinds.append(kind_of(verdict, rendered))
            of[index] = number
        return summed_up(self.members, kinds, of, self.gone)


def summed_up(
    members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int], gone: Sequence[int] = ()
) -> Judged:
    """Return what follows from the *kinds* of *members*; most is said once a kind."""
    outcomes = [kind.verdict.outcome for kind in kinds]
    counts = Counter(of)
    for index in gone:
        counts[of[index]] -= 1
    held = [(kinds[number].verdict, count) for number, count in sorted(counts.items()) if count]
    is_open = tuple([at for at, number in enumerate(of) if outcomes[number] != "deny"])
    allowed = tuple([at for at in is_open if outcomes[of[at]] == "allow"])
    return Judged(
        members=members,
        kinds=kinds,
        of=of,
        open=is_open,
        allowed=allowed,
        rejected=_counts((verdict.reasons, count) for verdict, count in held),
        shadow=_counts((verdict.shadow, count) for verdict, count in held if verdict.shadow),
        losers=_losers(members, kinds, of, gone),
        gone=gone,
    )


def of_verdicts(
    members: Sequence[Member], verdicts: Sequence[Verdict], rendered: Rendered
) -> Judged:
    """Return what follows from one verdict for each of *members*."""
    found = shared_kinds(verdicts)
    return summed_up(members, [kind_of(verdict, rendered) for verdict in found.verdicts], found.of)


def _losers(
    members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int], gone: Sequence[int]
) -> tuple[e.Loser, ...]:
    """Return those of whom the fewest reasons keep out, the first by id among equals."""
    faults = [0 if kind.verdict.outcome == "allow" else len(kind.verdict.reasons) for kind in kinds]
    counts = [faults[number] for number in of]
    for index in gone:
        counts[index] = 0
    nearest: list[int] = []
    for count in sorted(set(counts) - {0}):
        nearest += islice((at for at, n in enumerate(counts) if n == count), NEAREST_LOSERS_MAX)
        if len(nearest) >= NEAREST_LOSERS_MAX:
            break
    return tuple(
        e.Loser(
            member_id=members[at].member_id,
            reasons=tuple(r.name for r in kinds[of[at]].verdict.reasons[:REASONS_PER_LOSER_MAX]),
        )
        for at in nearest[:NEAREST_LOSERS_MAX]
    )


def _counts(groups: Iterable[tuple[tuple[Reason, ...], int]]) -> Counts:
    each: dict[int, int] = {}
    reasons: dict[int, Reason] = {}
    for found, count in groups:
        for reason in found:
            key = id(reason)
            if key in each:
                each[key] += count
            else:
                each[key] = count
                reasons[key] = reason
    counted: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], str] = {}
    for key, reason in reasons.items():
        rule = (reason.policy, reason.rule)
        counted[rule] = counted.get(rule, 0) + each[key]
        if rule not in names:
            names[rule] = reason.name
    return tuple(sorted((names[rule], count) for rule, count in counted.items()))[
        :REJECTED_RULES_MAX
    ]


def shared_kinds(verdicts: Sequence[Verdict]) -> Kinds:
    """Return *verdicts* with each that several members share said once."""
    numbers: dict[int, int] = {}
    of = [numbers.setdefault(id(verdict), len(numbers)) for verdict in verdicts]
    each = dict(zip(of, verdicts, strict=True))
    return Kinds(list(each.values()), of)
