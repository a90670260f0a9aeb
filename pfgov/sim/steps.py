"""Steps: what may happen next in a history, as data drawn from a seed.

A step is a name and a few small integers that the simulation reads modulo what there is, so that any sublist of a
history is a history too: that is what lets a failing one be shrunk by leaving steps out.  This module knows neither
the engine nor time.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple


class Step(NamedTuple):
    """One thing that happens: its name, and three draws that it may use."""

    name: str
    a: int = 0
    b: int = 0
    c: int = 0

    def __str__(self) -> str:
        return f"{self.name}({self.a},{self.b},{self.c})"


DRAW: Final = 1_000_000_007
"""Draws are in 0..DRAW-1; a prime, so that different moduli read different things from one draw."""

WEIGHTS: Final[Mapping[str, int]] = {
    # members come, change and go
    "register": 30,
    "recover": 14,
    "fail": 6,
    "drain": 5,
    "cancel_drain": 2,
    "retire": 2,
    "quarantine": 3,
    "release": 3,
    "trust": 8,
    "change": 8,
    "pressure": 4,
    # packets are submitted and moved
    "submit": 60,
    "place": 8,
    "hand_off": 14,
    "requeue": 3,
    "cancel": 2,
    "narrow": 4,
    "review": 10,
    # members do their work, believing what they last heard
    "heartbeat": 70,
    "learn": 60,
    "work": 70,
    "accept": 20,
    "abort": 4,
    "pause": 10,
    "resume": 14,
    "kill": 6,
    "restart": 10,
    # the network
    "deliver": 60,
    "drop": 6,
    "repeat": 6,
    # time and the engine
    "advance": 60,
    "tick": 70,
    "late_tick": 6,
    "skew": 3,
    "leap": 2,
    "resume_expiry": 4,
    "policy": 5,
    "reload": 40,
    "storage_fault": 8,
    "disk_full": 2,
    "crash": 6,
}
"""How often each step is drawn, relative to the others.  Faults can be switched off with :func:`without_faults`."""

FAULTS: Final = frozenset(
    {
        "drop", "repeat", "pause", "kill", "late_tick", "skew", "leap", "storage_fault", "disk_full", "crash", "fail",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a history is.  The bar of the design: 200 steps, 3-12 members, 5-40 packets."""

    steps: int = 200
    members_min: int = 3
    members_max: int = 12
    packets_min: int = 5
    packets_max: int = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """A history before it runs: how many members and packets, the steps, and the folder of its other policy set."""

    seed: int
    members: int
    packets: int
    steps: tuple[Step, ...]
    policies: Literal["policies", "telling"] = "policies"


def without_faults(weights: Mapping[str, int]) -> dict[str, int]:
    """Return *weights* without anything that fails."""
    return {name: weight for name, weight in weights.items() if name not in FAULTS}


SWARM: Final = (0.0, 0.3, 1.0, 1.0, 3.0, 10.0)
"""By how much the weight of a step is multiplied in one history of a swarm."""

_NEEDED: Final = frozenset({"register", "submit", "tick", "advance"})
"""Steps that no history of a swarm is without."""

_LARGE: Final = Shape(members_min=8, members_max=16)
_TELLING: Final = {**WEIGHTS, "register": 40, "hand_off": 40, "policy": 30}
"""Weights that the telling policies need: many members, who hand off, and the set binding for long."""


def swarm_weights(seed: int) -> dict[str, float]:
    """Return weights under which some steps are drawn far more often and others never, other ones for each seed.

    What needs many steps of one kind, or none of another, is hardly ever drawn under one set of weights (Groce et al.,
    "Swarm Testing", ISSTA 2012).
    """
    source = random.Random(seed)
    drawn = {name: weight * source.choice(SWARM) for name, weight in WEIGHTS.items()}
    return {name: max(w, WEIGHTS[name] / 3) if name in _NEEDED else w for name, w in drawn.items()}


def draw_swarm_plan(seed: int) -> Plan:
    """Return the history of *seed* in a swarm; in every second one reasons tell of all that a rule can read."""
    if seed % 2 == 0:
        return draw_plan(seed, weights=swarm_weights(seed))
    return replace(draw_plan(seed, shape=_LARGE, weights=_TELLING), policies="telling")


def draw_plan(
    seed: int, *, shape: Shape | None = None, weights: Mapping[str, float] = WEIGHTS
) -> Plan:
    """Return the history of *seed*: equal seeds, shapes and weights give equal histories."""
    shape = shape or Shape()
    source = random.Random(seed)
    members = source.randint(shape.members_min, shape.members_max)
    packets = source.randint(shape.packets_min, shape.packets_max)
    names, numbers = list(weights), list(weights.values())
    opening = [
        Step("register", i, source.randrange(DRAW), source.randrange(DRAW)) for i in range(members)
    ]
    drawn = source.choices(names, numbers, k=max(shape.steps - len(opening), 0))
    return Plan(seed, members, packets, (*opening, *(_step(name, source) for name in drawn)))


def _step(name: str, source: random.Random) -> Step:
    return Step(name, source.randrange(DRAW), source.randrange(DRAW), source.randrange(DRAW))
