"""Scenarios: fleets, work and churn as data.  Rates are per hour of virtual time, durations in seconds.

Each scenario asks one question of the specification or shows one of its pains; the driver
(:mod:`pfgov.sim.workload`) only reads these fields, so that a new scenario is a new row here.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Fleet:
    """The members at the start, and what each is like; lists are dealt out in turn.

    Attributes:
        members: How many.
        tasks: Packets each takes at a time; 0 for no limit.
        cpu: Units of cpu each has; 0 for no limit.
        weights: Shares of the work.
        regions: Where they are.
        trust: Attested scores.
        skills: What they can do, some of these each.
        skills_each: How many of the skills each member has.
        unreliability: Probability that a piece of work fails, in permille.
        lease_seconds: How long a silence may last.
    """

    members: int = 12
    tasks: int = 0
    cpu: int = 0
    weights: tuple[int, ...] = (1,)
    regions: tuple[str, ...] = ("us-east/1a",)
    trust: tuple[str, ...] = ("0.9",)
    skills: tuple[str, ...] = ("work",)
    skills_each: int = 1
    unreliability: tuple[int, ...] = (0,)
    lease_seconds: int = 10


@dataclass(frozen=True, slots=True)
class Work:
    """What arrives.

    Attributes:
        packets_per_hour: Mean arrivals (Poisson).
        at_once: Packets that are there from the start.
        seconds: Mean time one takes (exponential); 0 for work that never ends by itself.
        cpu: Units of cpu one takes, dealt out in turn.
        minimum_trust: Demanded scores, dealt out in turn; empty for none.
        regions: Allowed regions, dealt out in turn; empty for any.
        priorities: Dealt out in turn.
    """

    packets_per_hour: float = 1_200.0
    at_once: int = 0
    seconds: float = 30.0
    cpu: tuple[str, ...] = ()
    minimum_trust: tuple[str, ...] = ("",)
    regions: tuple[tuple[str, ...], ...] = ((),)
    priorities: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Churn:
    """How the fleet changes; each rate is per member and hour.

    Attributes:
        failures: Sudden deaths: the member goes silent.
        repair_seconds: Mean time until a dead one recovers; 0 for never.
        leaves: Orderly departures (drain).
        joins: New members, per member of the first fleet and hour.
        withdrawals: A capability is withdrawn, and discovered again later.
        trust_changes: An assessor sets another score, one of *trust_scores*.
        pressure: A member reports high pressure, and later normal.
        policy_at: The moments when the stricter policy set becomes binding, and the first one again.
        restarts: Restarts of the engine in an hour: every other one is a kill.
        clock_steps: Steps of the wall clock in an hour, a few seconds either way.
        trust_scores: What assessors say; those that the fleet began with keep a long run as it began.
    """

    failures: float = 0.0
    repair_seconds: float = 60.0
    leaves: float = 0.0
    joins: float = 0.0
    withdrawals: float = 0.0
    trust_changes: float = 0.0
    pressure: float = 0.0
    policy_at: tuple[int, ...] = ()
    restarts: float = 0.0
    clock_steps: float = 0.0
    trust_scores: tuple[str, ...] = ("0.45", "0.65", "0.8", "0.9", "0.95")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world to run."""

    name: str
    asks: str
    minutes: int = 10
    scheduler: str = "rendezvous"
    fleet: Fleet = Fleet()
    work: Work = Work()
    churn: Churn = Churn()
    settings: tuple[tuple[str, str], ...] = ()
    tick_seconds: int = 1
    window_minutes: int = 0


DAY: Final = 86_400
WEEK: Final = 7 * DAY

_AGENTS: Final = Fleet(
    members=16,
    tasks=4,
    trust=("0.95", "0.9", "0.8", "0.7"),
    skills=("plan", "route", "review", "write"),
    skills_each=2,
    unreliability=(10, 50, 150, 300),
)
_STEADY: Final = ("0.95", "0.9", "0.85", "0.8", "0.7")
"""Five scores for members that offer skills in fours: over the fleet each skill comes with each score."""
_NODES: Final = Fleet(members=12, cpu=16, tasks=16)
_RING: Final = Fleet(members=16)
_STANDING: Final = Work(packets_per_hour=0.0, at_once=400, seconds=0.0)

SCENARIOS: Final[dict[str, Scenario]] = {
    one.name: one
    for one in (
        Scenario(
            "default",
            "What does an ordinary hour look like?",
            churn=Churn(failures=3, leaves=1, joins=1),
        ),
        Scenario("calm", "With no churn at all, does anything move?"),
        Scenario(
            "low-churn", "A failure now and then.", churn=Churn(failures=1.5, leaves=0.5, joins=0.5)
        ),
        Scenario(
            "moderate-churn",
            "Members come and go all the time.",
            churn=Churn(failures=6, leaves=3, joins=3),
        ),
        Scenario(
            "high-churn",
            "A fleet that will not stand still.",
            churn=Churn(failures=30, repair_seconds=30, leaves=12, joins=12),
        ),
        Scenario(
            "agent-swarm",
            "Forty unreliable agents with overlapping skills.",
            scheduler="agent",
            fleet=replace(_AGENTS, members=40),
            work=Work(packets_per_hour=6_000, seconds=40),
            churn=Churn(failures=12, repair_seconds=45, withdrawals=6, trust_changes=6),
        ),
        Scenario(
            "consistent-hashing",
            "Virtual nodes: how much work is remapped on join, leave, fail and recover?",
            scheduler="ring",
            fleet=_RING,
            work=_STANDING,
            churn=Churn(failures=4, leaves=2, joins=4, repair_seconds=60),
            settings=(("rebalance_budget", "0"),),
        ),
        Scenario(
            "k8s-scheduling",
            "Capacity: pressure, eviction and safe reassignment.",
            scheduler="binpack",
            fleet=_NODES,
            work=Work(
                packets_per_hour=6_000, seconds=60, cpu=("0.5", "1", "2"), priorities=(0, 5, 9)
            ),
            churn=Churn(failures=3, leaves=3, joins=3, pressure=12),
        ),
        Scenario(
            "agentic-registry",
            "Agentic routing: do reliability and trust matching decide who completes?",
            scheduler="trust-weighted",
            fleet=_AGENTS,
            work=Work(packets_per_hour=3_000, seconds=30, minimum_trust=("", "0.75", "0.9")),
            churn=Churn(failures=6, withdrawals=12, trust_changes=12),
        ),
        Scenario("pods-restart", "Pain: pods restart.", churn=Churn(failures=40, repair_seconds=8)),
        Scenario("nodes-scale", "Pain: nodes scale.", churn=Churn(leaves=30, joins=30)),
        Scenario(
            "agents-fail",
            "Pain: agents fail.",
            scheduler="agent",
            fleet=_AGENTS,
            churn=Churn(failures=20),
        ),
        Scenario(
            "tools-disappear", "Pain: tools disappear.", fleet=_AGENTS, churn=Churn(withdrawals=40)
        ),
        Scenario(
            "capabilities-change",
            "Pain: capabilities change.",
            fleet=replace(_AGENTS, skills_each=3),
            churn=Churn(withdrawals=60, trust_changes=10),
        ),
        Scenario(
            "policies-evolve",
            "Pain: policies evolve.",
            fleet=replace(_AGENTS, trust=("0.95", "0.8", "0.65", "0.55"), unreliability=(0,)),
            churn=Churn(failures=2, policy_at=(150, 300, 450)),
        ),
        Scenario(
            "context-stranded",
            "Pain: context is stranded.",
            work=Work(packets_per_hour=900, seconds=120),
            churn=Churn(failures=15, repair_seconds=0, joins=15),
        ),
        Scenario(
            "audit-fragments",
            "Pain: the audit is in fragments.",
            fleet=replace(_AGENTS, regions=("us-east/1a", "eu/central")),
            work=Work(packets_per_hour=1_200, regions=((), ("us-east",), ("eu",))),
            churn=Churn(failures=8, leaves=4, joins=4, trust_changes=8),
        ),
        Scenario(
            "showcase",
            "Everything at once: agents, nodes, regions, churn, pressure and a change of policy.",
            scheduler="agent",
            fleet=replace(
                _AGENTS, members=24, cpu=8, regions=("us-east/1a", "us-east/1b", "eu/central")
            ),
            work=Work(
                packets_per_hour=4_000,
                seconds=40,
                cpu=("0.5", "1"),
                minimum_trust=("", "0.75"),
                regions=((), ("us-east",)),
                priorities=(0, 5),
            ),
            churn=Churn(
                failures=10,
                leaves=3,
                joins=6,
                withdrawals=6,
                trust_changes=6,
                pressure=6,
                policy_at=(200, 400),
            ),
            settings=(("rebalance_budget", "4"), ("rebalance_cooldown", "30")),
        ),
        Scenario(
            "soak",
            "Four weeks of two hundred members: does anything grow that should not?",
            minutes=28 * DAY // 60,
            fleet=replace(
                _AGENTS,
                members=200,
                tasks=1,
                unreliability=(5, 20, 50, 100),
                lease_seconds=3_600,
                trust=_STEADY,
            ),
            work=Work(
                packets_per_hour=75, seconds=7_200, priorities=(0, 5, 9), minimum_trust=("", "0.75")
            ),
            churn=Churn(
                failures=0.05 / 24,
                repair_seconds=7_200,
                leaves=0.05 / 24,
                joins=0.05 / 24,
                withdrawals=0.05 / 24,
                trust_changes=0.1 / 24,
                pressure=0.1 / 24,
                policy_at=tuple(day * DAY + 3_600 * 10 for day in range(1, 28, 2)),
                restarts=2 / 24,
                clock_steps=4 / 24,
                trust_scores=_STEADY,
            ),
            settings=(("rebalance_budget", "4"), ("rebalance_cooldown", "3600")),
            tick_seconds=60,
            window_minutes=WEEK // 60,
        ),
    )
}
"""Every scenario, by name."""
