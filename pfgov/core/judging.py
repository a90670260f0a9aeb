"""Between ``decide`` and whatever judges: the facts it is given, the verdicts put together, and their table.

A fact is the nearest double of an exact decimal; an absent optional fact is an absent key, so that a policy which reads
it gets ``missing``.  The packet's context body is never a fact.  The shape is declared, typed and documented in
:mod:`pfgov.policy.facts`, against which every expression is checked at load; a test holds the two together.

The verdict table is canonical JSON, one row a member: ``[id, outcome, active, score, reasons]``.  The entry of a
decision holds its digest, so that every byte counts.  Members of one kind share a verdict, and most of a row is written
once a kind; a table that is asked for again and again keeps its rows.  This module judges nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import msgspec

from pfgov.core import events as e
from pfgov.core.commands import Principal
from pfgov.core.labelling import LabelJudge
from pfgov.core.policy_port import Kinds
from pfgov.core.quantity import from_text, to_float
from pfgov.core.records import ENCODE, Member, Packet, Terms
from pfgov.core.verdicts import Reason, Verdict
from pfgov.limits import MICRO, NEAREST_LOSERS_MAX, REASONS_PER_LOSER_MAX, REJECTED_RULES_MAX

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

RENDERED_MAX: Final = 4_096
"""Reasons whose text in the verdict table is remembered; then all are dropped."""

Rendered = dict[int, tuple[Reason, str]]
"""By the identity of a reason, which is kept alive with it: its text in the verdict table."""


_UNSCORED: Final = ",null"


class Kind(msgspec.Struct, frozen=True, gc=False):
    """One verdict, and what is said of each member that shares it.

    Attributes:
        verdict: The verdict.
        before: What stands in a row of the verdict table between the member's id and its load.
        after: What stands there behind its load, for a member without a score.
    """

    verdict: Verdict
    before: str
    after: str


def kind_of(verdict: Verdict, rendered: Rendered) -> Kind:
    """Return what *verdict* says, written out once; *rendered* remembers the texts of reasons."""
    texts = [(rendered.get(id(r)) or _remembered(r, rendered))[1] for r in verdict.reasons]
    return Kind(verdict, f'","{verdict.outcome}",', f"{_UNSCORED},[{','.join(texts)}]]")


def _remembered(reason: Reason, rendered: Rendered) -> tuple[Reason, str]:
    if len(rendered) >= RENDERED_MAX:
        rendered.clear()
    known = rendered[id(reason)] = (reason, _text(reason))
    return known


def _text(r: Reason) -> str:
    parts = (r.name, r.effect, r.cause, r.message, r.observed, r.bound, r.missing)
    return ENCODE(parts).decode()


def table_of(
    members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int], scores: Mapping[str, int]
) -> bytes:
    """Return the table of *members*, each of the kind that *of* numbers; *scores* are of those that may own it."""
    before, after, scored = _texts(kinds)
    score_of = scores.get
    rows = [
        f'["{one.member_id}{before[at]}{one.active}{after[at]}'
        if (rest := scored[at]) is None or (score := score_of(one.member_id)) is None
        else f'["{one.member_id}{before[at]}{one.active},{score}{rest}'
        for one, at in zip(members, of, strict=True)
    ]
    return _array(list(map(str.encode, rows)))


def _texts(kinds: Sequence[Kind]) -> tuple[list[str], list[str], list[str | None]]:
    """Return what stands before a load, behind it without a score, and behind a score where there may be one."""
    scored = [
        kind.after.removeprefix(_UNSCORED) if kind.verdict.outcome == "allow" else None
        for kind in kinds
    ]
    return [kind.before for kind in kinds], [kind.after for kind in kinds], scored


def _array(rows: list[bytes]) -> bytes:
    """Return *rows* as one array.  It is put together at once: two copies of a large table cost more than its hash."""
    if not rows:
        return b"[]"
    rows[0] = b"[" + rows[0]
    rows[-1] += b"]"
    return b",".join(rows)


@dataclass(slots=True)
class Written:
    """The rows of one table without scores, and the loads that they tell of.

    Members, kinds and numbers have to be the same each time; loads may change.
    """

    known: list[bytes]
    loads: list[int]

    def table(
        self,
        members: Sequence[Member],
        kinds: Sequence[Kind],
        of: Sequence[int],
        scores: Mapping[str, int],
        allowed: Iterable[int],
    ) -> bytes:
        """Return what :func:`table_of` does; *allowed* are the indices of members that may have a score."""
        before, after, scored = _texts(kinds)
        rows = self._rows(members, of, before, after)
        for index in allowed:
            one, at = members[index], of[index]
            score = scores.get(one.member_id)
            if score is not None:
                rows[index] = (
                    f'["{one.member_id}{before[at]}{one.active},{score}{scored[at]}'.encode()
                )
        return _array(rows)

    def _rows(
        self,
        members: Sequence[Member],
        of: Sequence[int],
        before: Sequence[str],
        after: Sequence[str],
    ) -> list[bytes]:
        """Return the rows as the loads are now; the list is the caller's own."""
        loads = [member.active for member in members]
        if len(self.known) != len(loads):
            changed: Iterable[int] = range(len(loads))
            self.known = [b""] * len(loads)
        elif loads == self.loads:
            changed = ()
        else:
            pairs = enumerate(zip(loads, self.loads, strict=True))
            changed = [index for index, (now, then) in pairs if now != then]
        for index in changed:
            at = of[index]
            row = f'["{members[index].member_id}{before[at]}{loads[index]}{after[at]}'
            self.known[index] = row.encode()
        self.loads = loads
        return self.known.copy()


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
