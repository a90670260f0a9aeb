"""Four evaluators, one meaning: generated code, the exact evaluator and two other engines.

Seeded, so that a failure names what to run again: ``PFGOV_FUZZ_SEED`` and
``PFGOV_FUZZ_GROUPS`` (default 70 groups of four clauses, over 20,000 judged pairs).
"""

import os
import random
import sys
from collections.abc import Iterator
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel
from property.cel.cel_cpp_oracle import Oracle, oracle_python
from property.cel.cel_worlds import ENVIRONMENT, Expressions, corrupt, draw_clause, draw_facts

from pfgov.policy.cel import (
    CelLoadError,
    Clause,
    Failure,
    Finding,
    Generated,
    check,
    exact,
    generate,
    parse,
    trace,
    unparse,
)  # fmt: skip

SEED = int(os.environ.get("PFGOV_FUZZ_SEED", "20261123"))
GROUPS = int(os.environ.get("PFGOV_FUZZ_GROUPS", "70"))


def _groups(salt: int) -> Iterator[tuple[random.Random, Generated, list[str]]]:
    for group in range(GROUPS):
        rng = random.Random(SEED * 1_000_003 + salt * 100_003 + group)
        made = [draw_clause(rng, index) for index in range(4)]
        yield rng, generate([clause for clause, _ in made]), [text for _, text in made]


def _worlds(rng: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    valid = [draw_facts(rng) for _ in range(6)]
    return valid, [corrupt(rng, facts) for facts in valid for _ in range(3)]


def test_generated_code_gives_what_the_exact_evaluator_gives() -> None:
    """On any facts, however corrupt, fast and exact agree on every clause and every failure."""
    pairs = 0
    seen: dict[str, int] = {}
    for rng, generated, texts in _groups(1):
        valid, broken = _worlds(rng)
        for facts in [*valid, *broken]:
            expected = generated.decide_exact(facts)
            assert generated.decide(facts) == expected, (texts, facts)
            pairs += len(texts)
            for finding in expected:
                kind = finding.value.kind if isinstance(finding.value, Failure) else "value"
                seen[kind] = seen.get(kind, 0) + 1
        for facts in valid:
            assert generated.decide_typed(facts) == generated.decide_exact(facts), (texts, facts)
        pairs += _batches(rng, generated, texts, valid, broken)
    print(f"{pairs} pairs, findings {seen}")
    assert pairs >= 20_000 * GROUPS // 70
    assert min(seen.get(kind, 0) for kind in ("value", "missing", "type", "error")) > 0


def _batches(
    rng: random.Random,
    generated: Generated,
    texts: list[str],
    valid: list[dict[str, Any]],
    broken: list[dict[str, Any]],
) -> int:
    pairs = 0
    everybody = [facts["member"] for facts in (*valid, *broken) if "member" in facts]
    for facts, members, judge in (
        (rng.choice(valid), everybody, generated.filter),
        (rng.choice(broken), everybody, generated.filter),
        (rng.choice(valid), [facts["member"] for facts in valid], generated.filter_typed),
    ):
        shared = {name: value for name, value in facts.items() if name != "member"}
        for member, findings in zip(members, judge(shared, members), strict=True):
            expected = generated.decide_exact({**shared, "member": member})
            assert findings == expected, (texts, shared, member)
            pairs += len(texts)
    return pairs


def test_generated_code_agrees_when_the_work_budget_is_tiny(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the exact evaluator runs out of work, generated code never answers instead."""
    seen = 0
    for budget in (25, 60, 300):
        for module in ("closures", "generate"):
            monkeypatch.setattr(sys.modules[f"pfgov.policy.cel.{module}"], "WORK_UNITS", budget)
        for number, (rng, generated, texts) in enumerate(_groups(3)):
            if number >= GROUPS // 4:
                break
            valid, broken = _worlds(rng)
            for facts in [*valid, *broken]:
                expected = generated.decide_exact(facts)
                assert generated.decide(facts) == expected, (budget, texts, facts)
                seen += sum("too much work" in str(finding.value) for finding in expected)
    assert seen > 0


def test_most_clauses_are_generated() -> None:
    """The fast path is not empty: nearly every random clause has one."""
    total = left = 0
    for _, generated, texts in _groups(2):
        total += len(texts)
        left += len(generated.exact_clauses)
    assert left < total / 20


def test_a_printed_expression_means_the_same() -> None:
    """Unparsing and parsing again gives the same tree, and the same outcome."""
    rng = random.Random(SEED)
    for _ in range(150):
        text = Expressions(rng).condition()
        try:
            ast = parse(text)
            first = exact(check(ast, ENVIRONMENT))
        except CelLoadError:
            continue
        again = parse(unparse(ast))
        assert again == ast, text
        assert unparse(again) == unparse(ast)
        second = exact(check(again, ENVIRONMENT))
        for _ in range(4):
            facts = corrupt(rng, draw_facts(rng))
            assert second(facts) == first(facts), (text, facts)


def test_a_trace_agrees_with_the_decision_it_explains() -> None:
    """The value at the root of a trace is the outcome of the evaluation."""
    rng = random.Random(SEED + 1)
    for _ in range(100):
        clause, text = draw_clause(rng, 0)
        decide = exact(clause.condition)
        for _ in range(4):
            facts = corrupt(rng, draw_facts(rng))
            outcome, root = decide(facts), trace(clause.condition, facts)
            if isinstance(outcome, bool):
                assert root.value is outcome, (text, facts)
            else:
                assert not isinstance(root.value, bool), (text, facts)


# --- other engines ---------------------------------------------------------------------------


_OURS = (
    "variables.", "params.", "prefixed(", "orValue", "cel.bind", "lowerAscii", "now", "joined",
    "packet.due",
)  # fmt: skip


def _draw(rng: random.Random, *, plain: bool) -> str:
    """An expression of standard CEL on facts that JSON can carry; *plain*: of the agreed subset."""
    while True:
        text = Expressions(rng, plain=plain).condition()
        if any(name in text for name in _OURS):
            continue
        try:
            check(parse(text), ENVIRONMENT)
        except CelLoadError:
            continue
        return text


def _json_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Without what JSON cannot carry."""
    return {
        "member": {k: v for k, v in facts["member"].items() if k != "joined"},
        "packet": {k: v for k, v in facts["packet"].items() if k != "due"},
        "action": facts["action"],
    }


def _shown(outcome: bool | Failure) -> bool | str:
    return outcome if isinstance(outcome, bool) else "error"


def test_we_agree_with_cel_python_where_it_is_known_to_be_right() -> None:
    """On the plain subset (no has, no mixed numbers) and valid facts, cel-python says the same."""
    rng = random.Random(SEED + 2)
    environment = celpy.Environment(runner_class=celpy.InterpretedRunner)
    for _ in range(2 * GROUPS):
        text = _draw(rng, plain=True)
        decide = exact(check(parse(text), ENVIRONMENT))
        program = environment.program(environment.compile(text))
        for _ in range(4):
            facts = _json_facts(draw_facts(rng, plain=True))
            activation = {name: json_to_cel(value) for name, value in facts.items()}
            theirs: bool | str
            try:
                theirs = bool(program.evaluate(activation))
            except celpy.CELEvalError:
                theirs = "error"
            assert _shown(decide(facts)) == theirs, (text, facts)


def test_we_agree_with_the_cpp_engine() -> None:
    """On standard CEL and corrupt JSON facts, Google's C++ engine says the same."""
    python = oracle_python()
    if python is None:
        pytest.skip("cel-expr-python is not installed (set PFGOV_CEL_ORACLE to a Python with it)")
    rng = random.Random(SEED + 3)
    oracle = Oracle(python)
    try:
        for _ in range(4 * GROUPS):
            text = _draw(rng, plain=False)
            decide = exact(check(parse(text), ENVIRONMENT))
            worlds = [
                _json_facts(facts)
                for facts in (corrupt(rng, draw_facts(rng), foreign=False) for _ in range(8))
                if {"member", "packet", "action"} <= facts.keys()
                and isinstance(facts["member"], dict)
                and isinstance(facts["packet"], dict)
            ]
            for facts, theirs in zip(worlds, oracle.judge(text, worlds), strict=True):
                if theirs == "refused":
                    continue  # comparing an int with a double, which only our checker allows
                assert _shown(decide(facts)) == theirs, (text, facts)
    finally:
        oracle.close()


def test_a_planted_difference_is_found() -> None:
    """The comparison can fail: a clause with its polarity turned is noticed at once."""
    rng = random.Random(SEED)
    clause, _ = draw_clause(rng, 0)
    turned = Clause(clause.name, clause.condition, clause.when, not clause.quiet)
    honest, planted = generate([clause]), generate([turned])
    worlds = [draw_facts(rng) for _ in range(50)]
    assert any(honest.decide(facts) != planted.decide_exact(facts) for facts in worlds)
    assert all(isinstance(finding, Finding) for facts in worlds for finding in honest.decide(facts))
