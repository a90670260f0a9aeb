"""How fast one packet is placed among a thousand members, as ratios within one run: part of ``make bench``.

A placement is judging every member by the shipped starter policies with all reasons, ranking, choosing, and the digest
of the whole verdict table: ``decide`` in process, without store and keys.  Cases: packets that share their terms (the
whole answer is looked up), packets that each bring new terms (constraints, regions, labels), and new terms on a fleet
in which no two members have the same trust; the last with a rule that reads load, too.  Each beside the same judged one
by one, without classes.  All cases take turns, round after round; times are processor time.
"""

import argparse
import gc
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.decide import Tools, decide, judging
from pfgov.core.records import Stamp
from pfgov.core.state import State
from pfgov.policy import PolicySet, load_directory, load_starter, shipped_directory
from pfgov.scheduling.registry import scheduler

NOW = 1_782_331_200_000_000
REGIONS = ("us-east/1a", "us-east", "us-west", "eu-west", "eu-north")
BUSY = """
apiVersion: pfgov/v1
kind: Policy
metadata: {name: busy, version: "1"}
on: [place, retain, register]
rules: [{id: busy, deny: member.load.active > 50, message: "{member.load.active} packets"}]
"""


class Fleet:
    """A state with so many members, on which packets are decided but never applied."""

    def __init__(self, members: int, policy: PolicySet, *, trusts: int) -> None:
        self.state = State()
        self.tools = Tools(
            policies=lambda _: policy,
            scheduler=lambda ref: scheduler(ref.name, ref.parameters),
            index=lambda: (0, "0" * 64),
            complete=True,
        )
        self._take(
            c.CreateLedger(
                origin="bench/placement",
                engine="bench",
                semantics=e.SEMANTICS,
                keys=(("issuer", "1" * 64), ("log", "2" * 64)),
                scheduler="rendezvous",
            )
        )
        self._take(c.ActivatePolicy(digest=policy.digest, policies=policy.policies, points=()))
        draw = random.Random(1)
        for number in range(members):
            self._take(_member(draw, number, trusts))

    def decide(self, action: c.Action) -> list[e.Event]:
        """Return what *action* comes to."""
        command = c.Command(id="c", principal=c.LOCAL_OPERATOR, do=action)  # type: ignore[arg-type]
        return decide(self.state, command, NOW, self.tools).events

    def _take(self, action: c.Action) -> None:
        for event in self.decide(action):
            apply(self.state, event, Stamp(self.state.size, NOW))


def _member(draw: random.Random, number: int, trusts: int) -> c.RegisterMember:
    return c.RegisterMember(
        member_id=f"agent-{number:04}",
        type="agent",
        capabilities=(
            c.Capability(name="ocr", version=draw.choice(["1.1", "1.4", "2.0"])),
            c.Capability(name="scan"),
        )[: draw.choice([1, 2])],
        capacity=(("cpu", "100000"), ("memory", "400000")),
        region=draw.choice(REGIONS),
        trust_score=_decimal(draw.randrange(400_000, 1_000_000, 600_000 // trusts)),
        clearances=("pii",) if draw.random() < 0.7 else (),
    )


def _decimal(millionths: int) -> str:
    return f"0.{millionths:06}".rstrip("0")


def packets(seed: int, *, fresh: bool) -> Iterator[c.SubmitPacket]:
    """Return packets without end: each with terms that no packet had before, or all with the same."""
    draw, number = random.Random(seed), 0
    constraints = c.Constraints(minimum_trust_score="0.83", allowed_regions=("us-east",))
    labels: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    while True:
        number += 1
        if fresh:
            constraints = c.Constraints(
                minimum_trust_score=_decimal(draw.randrange(300_000, 990_000)),
                allowed_regions=tuple(sorted(draw.sample(REGIONS, draw.randrange(1, 4)))),
            )
            labels = (("job", f"{seed}-{number}"),)
            classes = ("pii",) if draw.random() < 0.3 else ()
        yield c.SubmitPacket(
            packet_id=f"p{seed}-{number}",
            workload_type="document",
            required_capabilities=("ocr>=1.2",),
            constraints=constraints,
            demand=(("cpu", "0.25"), ("memory", "1")),
            data_classes=classes,
            labels=labels,
            lineage_id="bench",
        )


def with_busy() -> PolicySet:
    """Return the starter policies with one that reads load."""
    with tempfile.TemporaryDirectory(prefix="pfgov-bench-") as folder:
        shutil.copytree(shipped_directory("starter"), folder, dirs_exist_ok=True)
        (Path(folder) / "busy.policy.yaml").write_text(BUSY, encoding="utf-8")
        return load_directory(folder)


def _run(fleet: Fleet, source: Iterator[c.SubmitPacket], smallest: int) -> Callable[[int], float]:
    def run(count: int) -> float:
        asked = [next(source) for _ in range(count)]
        with mock.patch.object(judging, "FLEET_FROM", smallest):
            start = time.process_time()
            for action in asked:
                fleet.decide(action)
            return count / (time.process_time() - start)

    return run


def main() -> None:
    """Run all cases in turn and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--members", type=int, default=1_000)
    options = parser.parse_args()
    starter, size = load_starter(), options.members
    cases: dict[str, tuple[Callable[[int], float], Callable[[int], float]]] = {}
    for name, policy, trusts, fresh in (
        ("shared terms, 60 trusts", starter, 60, False),
        ("new terms, 60 trusts", starter, 60, True),
        ("new terms, every trust its own", starter, 600_000, True),
        ("new terms, 60 trusts, load is read", with_busy(), 60, True),
    ):
        fleets = [Fleet(size, policy, trusts=trusts) for _ in range(2)]
        cases[name] = (
            _run(fleets[0], packets(1, fresh=fresh), 1),
            _run(fleets[1], packets(1, fresh=fresh), 1_000_000),
        )
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in cases}
    gc.freeze()
    for by_class, plain in cases.values():
        by_class(10)
        plain(2)
    for _ in range(options.rounds):
        for name, (by_class, plain) in cases.items():
            found[name][0].append(by_class(40))
            found[name][1].append(plain(5))
    print(
        f"{f'placement among {size:,} members':38}{'median/s':>10}{'min':>8}{'max':>8}{'one by one':>12}{'ratio':>8}"
    )
    for name, (fast, slow) in found.items():
        middle, other = statistics.median(fast), statistics.median(slow)
        print(
            f"{name:38}{middle:>10,.0f}{min(fast):>8,.0f}{max(fast):>8,.0f}{other:>12,.0f}{middle / other:>8.1f}"
        )


if __name__ == "__main__":
    main()
