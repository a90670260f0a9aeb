"""A second implementation of ``docs/reference/schedulers.md``: slow, plain, and without a line of pfgov.

``python tests/unit/scheduling/naive_scheduling.py`` writes the vectors beside it.  The property tests
use it as their oracle.  Members are dicts as in the vectors.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

M = 2**53 - 1
MILLION = 1_000_000

Member = dict[str, Any]
Members = list[Member]
Request = dict[str, Any]
Parameters = Mapping[str, str]
Outcomes = list[tuple[int, bool]]
Ranked = tuple[list[int], list[int]]


def h(tag: str, data: bytes) -> int:
    """The hash behind every number."""
    return int.from_bytes(hashlib.sha256(tag.encode() + b"\0" + data).digest()[:8], "big")


def position(packet_id: str) -> int:
    """Where a packet lies on the ring."""
    return h("pfgov/packet/1", packet_id.encode())


def member_number(member_id: str, draw: int = 0) -> int:
    """A member's number for one draw."""
    return h("pfgov/member/1", draw.to_bytes(4, "big") + member_id.encode()) & M


def rank(request: Request, member: Member) -> int:
    """A member's rank among equals."""
    tie = h("pfgov/tie/1", request["epoch"].to_bytes(8, "big") + request["packet_id"].encode())
    return (tie & M | 1) * member_number(member["member_id"]) & M


def has_room(request: Request, member: Member) -> bool:
    """Whether the kernel would let the member take the packet."""
    for dimension, limit in member["capacity"].items():
        taken = member["used"].get(dimension, 0) + request["demand"].get(dimension, 0)
        if taken > limit:
            return False
    tasks = member["capacity"].get("tasks")
    return tasks is None or (member["active"] + 1) * MILLION <= tasks


def in_order(request: Request, members: Members, values: list[int]) -> list[int]:
    """Return the indices, best first."""
    return sorted(
        range(len(members)),
        key=lambda i: (-values[i], -rank(request, members[i]), members[i]["member_id"]),
    )


def rendezvous(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """Scores, and the acceptable members in order (as for every scheduler below)."""
    number = position(request["packet_id"]) & M | 1
    values = [
        max(number * member_number(m["member_id"], j) & M for j in range(m["weight"]))
        for m in members
    ]
    order = in_order(request, members, values)
    return values, [i for i in order if has_room(request, members[i])]


def ring_values(request: Request, members: Members, vnodes: int) -> list[int]:
    """64-bit nearness of every member."""
    start = position(request["packet_id"])
    values = []
    for m in members:
        tokens = [
            h("pfgov/vnode/1", f"{m['member_id']}-vnode-{i}".encode())
            for i in range(vnodes * m["weight"])
        ]
        values.append(2**64 - 1 - min((token - start) % 2**64 for token in tokens))
    return values


def ring(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """The bounded-load ring."""
    values = ring_values(request, members, int(parameters.get("vnodes", 128)))
    bound = int(parameters.get("bound_permille", 1250))
    order = in_order(request, members, values)
    roomy = [i for i in order if has_room(request, members[i])]
    accepted = roomy
    if bound:
        everybody = within_share(members, range(len(members)), bound)
        accepted = [i for i in roomy if i in everybody]
        if not accepted:
            those_with_room = within_share(members, roomy, bound)
            accepted = [i for i in roomy if i in those_with_room]
    return [value >> 11 for value in values], accepted


def within_share(members: Members, indices: Iterable[int], bound: int) -> set[int]:
    """The members within their share of the given ones."""
    active = sum(members[i]["active"] for i in indices)
    weight = sum(members[i]["weight"] for i in indices)
    return {
        i
        for i in indices
        if members[i]["active"] * 1000 * weight < bound * (active + 1) * members[i]["weight"]
    }


def shares(request: Request, member: Member, dimensions: Iterable[str]) -> list[int]:
    """Free shares after placement."""
    found = []
    for dimension in dimensions:
        capacity = member["capacity"].get(dimension)
        used = member["used"].get(dimension, 0)
        demand = request["demand"].get(dimension, 0)
        if dimension == "tasks":
            used, demand = member["active"] * MILLION, MILLION
        if capacity is None:
            found.append(MILLION)
        elif capacity == 0:
            found.append(0)
        else:
            found.append((capacity - used - demand) * MILLION // capacity)
    return found


def binpack(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """Bin packing."""
    dimensions = set(parameters.get("dimensions", "cpu,memory").split(","))
    dimensions |= {d for d, amount in request["demand"].items() if amount > 0}
    n = len(dimensions)
    strategies: dict[str, Callable[[list[int]], int]] = {
        "least-allocated": sum,
        "most-allocated": lambda x: n * MILLION - sum(x),
        "balanced": lambda x: MILLION - isqrt(n * sum(v * v for v in x) - sum(x) ** 2) // n,
        "dominant-resource": min,
    }
    score = strategies[parameters.get("strategy", "least-allocated")]
    values = [score(shares(request, m, dimensions)) if has_room(request, m) else 0 for m in members]
    order = in_order(request, members, values)
    return values, [i for i in order if has_room(request, members[i])]


def agent_like(
    values: list[int], request: Request, members: Members, parameters: Parameters
) -> Ranked:
    """Agentic routing for given scores."""
    cap = int(parameters.get("max_active", 0))
    choices = int(parameters.get("choices", 0))
    roomy = {
        i for i, m in enumerate(members) if has_room(request, m) and (not cap or m["active"] < cap)
    }
    if choices:
        by_rank = in_order(request, members, [0] * len(members))
        roomy = {*[i for i in by_rank if i in roomy][:choices]}
    return values, [i for i in in_order(request, members, values) if i in roomy]


def agent(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """Reliability over load."""
    values = [m["reliability"] * MILLION // (1 + m["active"]) for m in members]
    return agent_like(values, request, members, parameters)


def trust_weighted(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """Reliability times trust over load."""
    values = [m["reliability"] * (m["trust"] or 0) // (1 + m["active"]) for m in members]
    return agent_like(values, request, members, parameters)


def seed_slot(key: str) -> int:
    """A key's slot."""
    return int(hashlib.md5(key.encode()).hexdigest(), 16) % 10000


def seed_holders(member_ids: Iterable[str], vnodes: int) -> dict[int, str]:
    """Who holds which slot."""
    holders = {}
    for member_id in sorted(member_ids):
        for i in range(vnodes):
            holders[seed_slot(f"{member_id}-vnode-{i}")] = member_id
    return holders


def seed_ring(request: Request, members: Members, parameters: Parameters) -> Ranked:
    """The printed ring."""
    holders = seed_holders([m["member_id"] for m in members], int(parameters.get("vnodes", 5)))
    start = seed_slot(request["packet_id"])
    values = []
    for m in members:
        held = [slot for slot, holder in holders.items() if holder == m["member_id"]]
        values.append(10000 - min((slot - start) % 10000 for slot in held) if held else 0)
    order = in_order(request, members, values)
    return values, [i for i in order if has_room(request, members[i])]


SCHEDULERS = {
    "rendezvous": rendezvous,
    "ring": ring,
    "binpack": binpack,
    "agent": agent,
    "trust-weighted": trust_weighted,
    "seed-ring": seed_ring,
}


def choose(
    name: str, parameters: Parameters, request: Request, members: Members
) -> tuple[list[int], str | None, str | None]:
    """Return (scores, chosen id or None, runner-up id or None)."""
    scores, accepted = SCHEDULERS[name](request, members, dict(parameters))
    ids = [members[i]["member_id"] for i in accepted[:2]]
    first, second, *_ = [*ids, None, None]
    return scores, first, second


def faded(count: int, elapsed: int, half_life: int) -> int:
    """What is left of a count."""
    if elapsed <= 0:
        return count
    n, r = divmod(elapsed, half_life)
    return (count >> n) * (2 * half_life - r) // (2 * half_life)


def reliability(half_life: int, outcomes: Outcomes, now: int) -> list[int]:
    """Return [s, f, as_of, value] after (time, success) outcomes, read at *now*."""
    s = f = as_of = 0
    for time, success in outcomes:
        s, f = faded(s, time - as_of, half_life), faded(f, time - as_of, half_life)
        s, f = (min(s + MILLION, 10**15), f) if success else (s, min(f + MILLION, 10**15))
        as_of = max(as_of, time)
    s_now, f_now = faded(s, now - as_of, half_life), faded(f, now - as_of, half_life)
    return [s, f, as_of, (s_now + MILLION) * MILLION // (s_now + f_now + 2 * MILLION)]


# --- the vectors --------------------------------------------------------------------------

CASES = [
    ("rendezvous", {}),
    ("ring", {}),
    ("ring", {"bound_permille": "0", "vnodes": "16"}),
    ("ring", {"bound_permille": "1000"}),
    ("binpack", {}),
    ("binpack", {"strategy": "most-allocated"}),
    ("binpack", {"strategy": "balanced"}),
    ("binpack", {"strategy": "dominant-resource", "dimensions": "cpu,gpu,memory,tasks"}),
    ("agent", {}),
    ("agent", {"choices": "2"}),
    ("agent", {"max_active": "2"}),
    ("trust-weighted", {}),
    ("trust-weighted", {"choices": "3", "max_active": "3"}),
    ("seed-ring", {}),
    ("seed-ring", {"vnodes": "128"}),
]


def random_member(rnd: random.Random, member_id: str) -> Member:
    """A member, often in a corner of the domain."""
    capacity = {
        "cpu": rnd.choice([0, 1, 4, 8, 999_999_999]) * MILLION,
        "memory": rnd.choice([1, 16, 64]) * 1_000 * MILLION,
        "gpu": rnd.choice([0, 1, 2]) * MILLION,
        "tasks": rnd.choice([0, 2, 5, 100]) * MILLION,
    }
    capacity = {d: c for d, c in capacity.items() if rnd.random() < 0.7}
    return {
        "member_id": member_id,
        "weight": rnd.choice([1, 1, 1, 2, 5]),
        "capacity": capacity,
        "used": {d: rnd.randrange(c + 1) for d, c in capacity.items() if d != "tasks" and c},
        "active": rnd.randrange(4),
        "trust": rnd.choice([None, rnd.randrange(MILLION + 1)]),
        "reliability": rnd.choice([500_000, 500_000, rnd.randrange(MILLION)]),
        "region": None,
    }


def scheduler_vectors() -> list[dict[str, Any]]:
    """Requests, members and the choices they lead to."""
    rnd = random.Random(20)
    names = ["ada", "bob", "cyd", "dee", "node-0", "node-1", "node-1-vnode-1", "Zoë", "成员", "m~1"]
    rows = []
    for name, parameters in CASES:
        for number in range(12):
            members = [random_member(rnd, m) for m in rnd.sample(names, rnd.choice([1, 3, 6, 10]))]
            if number == 0:  # idle twins: nothing but the tie-break decides
                members = [
                    {**random_member(rnd, m), "capacity": {}, "used": {}, "active": 0, "weight": 1}
                    | {"trust": 900_000, "reliability": 900_000}
                    for m in names
                ]
            request = {
                "packet_id": rnd.choice(["fp-001", "påket", f"fp-{rnd.randrange(10**6)}"]),
                "epoch": rnd.choice([0, 1, 255, 256, 2**53 - 1]),
                "workload_type": "remediation",
                "demand": {
                    d: rnd.choice([0, 1, 500_000, MILLION])
                    for d in rnd.sample(["cpu", "memory", "gpu"], rnd.randrange(4))
                },
            }
            scores, chosen, runner_up = choose(name, parameters, request, members)
            rows.append(
                {
                    "scheduler": name,
                    "parameters": sorted(parameters.items()),
                    "request": request,
                    "members": members,
                    "scores": scores,
                    "chosen": chosen,
                    "runner_up": runner_up,
                }
            )
    return rows


def reliability_vectors() -> list[dict[str, Any]]:
    """Outcomes and the reliabilities they lead to."""
    rnd = random.Random(21)
    rows = []
    for half_life in (1, 2, 3, 1_000_000, 86_400_000_000):
        for count in (0, 1, 2, 10, 40):
            time = 0
            outcomes: Outcomes = []
            for _ in range(count):
                time += rnd.choice([0, 1, half_life // 3, half_life, 5 * half_life, -1])
                time = max(time, 0)
                outcomes.append((time, rnd.random() < 0.7))
            for later in (0, 1, half_life // 2, half_life, 64 * half_life):
                s, f, as_of, value = reliability(half_life, outcomes, time + later)
                rows.append(
                    {
                        "half_life_us": half_life,
                        "outcomes": outcomes,
                        "record": [s, f, as_of],
                        "now_us": time + later,
                        "value": value,
                    }
                )
    return rows


def write(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(exist_ok=True)
    for name, rows in (
        ("schedulers.json", scheduler_vectors()),
        ("reliability.json", reliability_vectors()),
    ):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "vectors")
