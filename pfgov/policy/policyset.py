"""A compiled policy set: immutable, identified by its digest, answering for all candidates at once.

    policies = load_starter()
    verdict, = policies.judge(Question(Point.ASSIGN, "assign", packet=..., ...), [member])

The engine asks with facts as plain dictionaries (:mod:`pfgov.policy.facts` has their shape) and
gets one :class:`~pfgov.verdicts.Verdict` a candidate.  The set knows nothing of state, time or
ledgers: the present comes with the question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pfgov.policy import facts
from pfgov.policy.cel import Timestamp
from pfgov.policy.clauses import PlannedRule
from pfgov.policy.document import digest_of
from pfgov.policy.fleet import Fleet
from pfgov.policy.judge import Judge
from pfgov.policy.model import KERNEL, Bundle
from pfgov.verdicts import Point, Verdict

Facts = Mapping[str, object]


def _nobody() -> Facts:
    return {"id": "", "rights": []}


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
    """

    point: Point
    action: str
    packet: Facts | None = None
    source: Facts | None = None
    principal: Facts = field(default_factory=_nobody)
    reason: str = ""
    now: int = 0

    def shared(self) -> dict[str, object]:
        """Return the facts that are the same for every candidate; what is None is absent."""
        values: dict[str, object] = {
            "principal": self.principal,
            "action": self.action,
            "reason": self.reason,
            "now": Timestamp(self.now * 1_000),
        }
        if self.packet is not None:
            values["packet"] = self.packet
        if self.source is not None:
            values["source"] = self.source
        return values


@dataclass(frozen=True, slots=True, eq=False)
class PolicySet:
    """What the loader returns; make it with :func:`pfgov.policy.load_directory` and its like.

    Attributes:
        digest: Hex SHA-256 of ``document``: the set's identity in every ledger entry.
        document: The canonical form, from which the set can be compiled again.
        bundle: The policies and definitions as they were written.
        points: Decision points covered by an enforcing policy besides the kernel.
        reads: Paths of facts that some rule reads, by decision point.
        reads_load: Points whose rules read a load, a reliability or a pressure.
        reads_time: Points whose rules read ``now``.
        reads_history: Points whose rules read what changes as a packet moves.
        redacts: Points with a rule that withholds parts of the context.
    """

    digest: str
    document: bytes
    bundle: Bundle
    points: frozenset[Point]
    reads: Mapping[Point, frozenset[str]]
    reads_load: frozenset[Point]
    reads_time: frozenset[Point]
    reads_history: frozenset[Point]
    redacts: frozenset[Point]
    judges: Mapping[Point, Judge]

    @staticmethod
    def from_document(raw: bytes, *, generated: bool = False) -> "PolicySet":
        """Return the set that *raw* describes; see :func:`pfgov.policy.load.from_document`."""
        from pfgov.policy.load import from_document

        return from_document(raw, generated=generated)

    @property
    def policies(self) -> tuple[tuple[str, str, str], ...]:
        """(name, version, mode) of every policy, the kernel among them, by name."""
        return tuple((p.name, p.version, p.mode) for p in self.bundle.policies)

    def judge(
        self, question: Question, members: Sequence[Facts], *, validated: bool = False
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, in order.

        With *validated* the caller vouches that all facts were made from validated models
        (:mod:`pfgov.facts`); without, they may be any dictionaries, and what is not of its declared
        type or range denies.
        """
        return self.judges[question.point].verdicts(question.shared(), members, validated=validated)

    def fleet(self, point: Point) -> Fleet:
        """Return what judges the same candidates again and again at *point*: faster, with the same verdicts.

        It is asked with ``question.shared()`` and facts made from validated models.
        """
        return self.judges[point].fleet()

    def judge_one(
        self, question: Question, member: Facts | None = None, *, validated: bool = False
    ) -> Verdict:
        """Return the verdict on one member, or on none at ``export``."""
        shared = question.shared()
        found = self.judges[question.point].verdicts(shared, [member or {}], validated=validated)
        return found[0]


def make_set(
    bundle: Bundle,
    document: bytes,
    rules: Mapping[Point, Sequence[PlannedRule]],
    *,
    generated: bool,
) -> PolicySet:
    """Return the set of compiled *rules*, which the compiler made from *bundle*."""
    points = frozenset(
        point
        for policy in bundle.policies
        if policy.name != KERNEL and policy.mode == "enforce"
        for rule in policy.rules
        for point in rule.on
    )
    reads = {point: _reads(rules[point]) for point in Point}
    return PolicySet(
        digest=digest_of(document),
        document=document,
        bundle=bundle,
        points=points,
        reads=MappingProxyType(reads),
        reads_load=_where(reads, ("member", "source"), facts.LOAD_PATHS),
        reads_time=frozenset(point for point in Point if "now" in reads[point]),
        reads_history=_where(reads, ("packet",), facts.HISTORY_PATHS),
        redacts=frozenset(point for point in Point if any(map(_redacts, rules[point]))),
        judges=MappingProxyType(
            {
                point: Judge(point, rules[point], covered=point in points, generated=generated)
                for point in Point
            }
        ),
    )


def _redacts(rule: PlannedRule) -> bool:
    return not rule.shadow and any(o.type == "redact" for o in rule.rule.obligations)


def _reads(rules: Sequence[PlannedRule]) -> frozenset[str]:
    found: set[str] = set()
    for rule in rules:
        found.update(str(access) for access in rule.clause.paths)
        for checked in rule.message.values if rule.message else ():
            found.update(str(access) for access in checked.paths)
    return frozenset(found)


def _where(
    reads: Mapping[Point, frozenset[str]], roots: tuple[str, ...], names: frozenset[str]
) -> frozenset[Point]:
    def touches(path: str) -> bool:
        root, _, rest = path.partition(".")
        return root in roots and (not rest or rest.partition(".")[0] in names)

    return frozenset(point for point in Point if any(touches(path) for path in reads[point]))
