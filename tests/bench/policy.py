"""How fast a decision is, as ratios measured in one interleaved run.

``python tests/bench/policy.py [--rounds N] [--oracle PYTHON]``.  Rows: hand-written
Python (the practical limit), our generated code (guarded, typed, batch) and exact
evaluator, cel-python's interpreter, and Google's C++ engine through cel-expr-python.
Times are processor time, so that a busy machine does not count.
The C++ engine runs in a process of its own (it can abort the interpreter), with its
own clock around its own loop; ``--oracle`` names a Python that has it installed.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import celpy
from celpy.adapter import json_to_cel
from policy_cases import (
    CLAUSES,
    ENVIRONMENT,
    HAND,
    MEMBER,
    PACKET,
    POLICIES,
    hand_filter,
    members_mixed,
)  # fmt: skip

from pfgov.policy.cel import Clause, check, exact, generate, parse

CPP = Path(__file__).with_name("policy_cpp.py")


def timed(run: Callable[[], object], count: int) -> float:
    """Seconds for one of *count* runs."""
    gc.disable()
    try:
        start = time.process_time()
        for _ in range(count):
            run()
        return (time.process_time() - start) / count
    finally:
        gc.enable()


class Cpp:
    """The C++ engine in its own process: one line in, one time out."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, str(CPP)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask({"policies": POLICIES, "packet": PACKET, "member": MEMBER})

    def ask(self, question: object) -> object:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict):
            raise SystemExit(f"oracle: {answer['error']}")
        return answer

    def time(self, name: str, count: int) -> float:
        return float(str(self.ask({"time": name, "count": count})))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def celpy_runner(source: str) -> Callable[[], object]:
    """cel-python's interpreter on the same facts, converted each time as it requires."""
    environment = celpy.Environment()
    program = environment.program(environment.compile(source))

    def run() -> object:
        return program.evaluate({"packet": json_to_cel(PACKET), "member": json_to_cel(MEMBER)})

    return run


def runners(name: str, cpp: Cpp | None) -> dict[str, tuple[Callable[[], object] | None, int]]:
    """Per row: the thing to time (None: the C++ process) and how often a round runs it."""
    source = POLICIES[name]
    checked = check(parse(source), ENVIRONMENT)
    generated = generate([Clause(name, checked)])
    facts = {"packet": PACKET, "member": MEMBER}
    hand, slow = HAND[name], exact(checked)
    assert generated.decide(facts) == generated.decide_typed(facts) == ()
    assert slow(facts) is True
    assert hand(PACKET, MEMBER) is True
    rows: dict[str, tuple[Callable[[], object] | None, int]] = {
        "hand-written": (lambda: hand(PACKET, MEMBER), 3000),
        "typed": (lambda: generated.decide_typed(facts), 3000),
        "guarded": (lambda: generated.decide(facts), 3000),
        "exact": (lambda: slow(facts), 500),
        "cel-python": (celpy_runner(source), 3),
    }
    if cpp is not None:
        rows["C++"] = (None, 500)
    return rows


def single(name: str, rounds: int, cpp: Cpp | None) -> dict[str, float]:
    """Median seconds per decision and row."""
    rows = runners(name, cpp)
    times: dict[str, list[float]] = {row: [] for row in rows}
    for _ in range(rounds):
        for row, (run, count) in rows.items():
            if run is None:
                assert cpp is not None
                times[row].append(cpp.time(name, count))
            else:
                times[row].append(timed(run, count))
    return {row: statistics.median(found) for row, found in times.items()}


def batch(rounds: int) -> dict[str, float]:
    """1,000 mixed members, 12 clauses: with reasons for all, against hand-written without."""
    clauses = [
        Clause(f"clause-{index}", check(parse(text), ENVIRONMENT))
        for index, text in enumerate(CLAUSES)
    ]
    generated = generate(clauses)
    members = members_mixed(1000)
    shared = {"packet": PACKET}
    rows: dict[str, Callable[[], object]] = {
        "hand-written, no reasons": lambda: hand_filter(PACKET, members),
        "typed batch, reasons": lambda: generated.filter_typed(shared, members),
        "guarded batch, reasons": lambda: generated.filter(shared, members),
        "guarded one by one": lambda: [
            generated.decide({"packet": PACKET, "member": member}) for member in members
        ],
    }
    allowed = [not findings for findings in generated.filter(shared, members)]
    assert allowed == hand_filter(PACKET, members)
    assert generated.filter(shared, members) == generated.filter_typed(shared, members)
    times: dict[str, list[float]] = {row: [] for row in rows}
    for _ in range(rounds):
        for row, run in rows.items():
            times[row].append(timed(run, 3))
    return {row: statistics.median(found) for row, found in times.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--oracle", help="a Python with cel-expr-python installed")
    options = parser.parse_args()
    cpp = Cpp(options.oracle) if options.oracle else None
    if cpp is None:
        print("C++ row skipped: no --oracle")
    for name in POLICIES:
        found = single(name, options.rounds, cpp)
        hand, slowest = found["hand-written"], found["cel-python"]
        print(f"\n{name}: {'':14} {'us':>9} {'x hand':>8} {'cel-python / it':>16} {'C++ / it':>9}")
        for row, seconds in found.items():
            versus = f"{found['C++'] / seconds:9.1f}" if "C++" in found else ""
            print(
                f"    {row:14} {seconds * 1e6:9.3f} {seconds / hand:8.2f}"
                f" {slowest / seconds:16.1f} {versus}"
            )
    found = batch(options.rounds)
    hand = found["hand-written, no reasons"]
    print("\n1,000 members x 12 clauses      ms   x hand")
    for row, seconds in found.items():
        print(f"    {row:26} {seconds * 1e3:6.3f} {seconds / hand:7.2f}")
    if cpp is not None:
        cpp.close()


if __name__ == "__main__":
    main()
