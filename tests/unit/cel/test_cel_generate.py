"""Generated code: what is hoisted, what falls back, and that text from outside never becomes code."""

import random
import sys
import threading
import time
from typing import Any

import pytest
from unit.cel.cel_kit import ENVIRONMENT, MEMBER, PACKET

from pfgov.policy.cel import (
    BOOL,
    DYN,
    INT,
    QUIET,
    STRING,
    CelError,
    Clause,
    Constant,
    Environment,
    Failure,
    Field,
    Finding,
    Function,
    Generated,
    ListType,
    MapType,
    Record,
    StringType,
    check,
    generate,
    parse,
)  # fmt: skip

GOOD: dict[str, Any] = {
    "member": {
        "trust_score": 0.9, "region": "eu", "status": "ACTIVE", "clearances": ["a", "b"],
        "load": {"cpu": 1, "memory": 1}, "capacity": {"cpu": 4, "memory": 4}, "labels": {"k": "v"},
        "draining": False,
    },
    "packet": {
        "data_classes": ["a"], "minimum_trust_score": 0.5, "handoff_count": 1, "extra": {},
        "items": [],
    },
}  # fmt: skip


def build(*sources: str, environment: Environment = ENVIRONMENT, **options: Any) -> Generated:
    """The generated judges of conditions that are wanted true."""
    clauses = [
        Clause(f"r{index}", check(parse(source), environment, cost_limit=None), **options)
        for index, source in enumerate(sources)
    ]
    return generate(clauses)


def shared(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without the member."""
    return {name: value for name, value in facts.items() if name != "member"}


def test_quiet_is_one_object() -> None:
    """When every clause is quiet the answer is the empty tuple, cheap to recognise."""
    judged = build("member.status == 'ACTIVE'", "member.trust_score > packet.minimum_trust_score")
    assert judged.decide(GOOD) is QUIET
    assert judged.decide_typed(GOOD) is QUIET
    assert judged.filter(shared(GOOD), [GOOD["member"]]) == [QUIET]
    assert judged.exact_clauses == ()
    assert generate([]).decide(GOOD) == generate([]).decide({}) == ()
    assert generate([]).filter({}, [{}, {}]) == [(), ()]


def test_findings_come_in_the_order_of_the_clauses() -> None:
    """Shared and member clauses mix, and still the findings are in clause order."""
    judged = build(
        "member.draining", "packet.handoff_count > 5", "member.region == 'us'",
        "packet.handoff_count > 6",
    )  # fmt: skip
    for findings in (
        judged.decide(GOOD),
        judged.filter(shared(GOOD), [GOOD["member"]])[0],
        judged.filter_typed(shared(GOOD), [GOOD["member"]])[0],
    ):
        assert [finding.index for finding in findings] == [0, 1, 2, 3]
    broken = judged.filter(shared(GOOD), [{}, "no member"])  # type: ignore[list-item]
    assert [[finding.index for finding in findings] for findings in broken] == [[0, 1, 2, 3]] * 2


def test_when_decides_whether_a_clause_applies() -> None:
    """False in when is quiet, true judges, and a failure in when is a finding of its own."""
    clause = Clause(
        "r", check(parse("member.region == 'us'"), ENVIRONMENT),
        when=check(parse("member.trust_score > 0.5"), ENVIRONMENT),
    )  # fmt: skip
    judged = generate([clause])
    assert judged.decide(GOOD) == (Finding(0, "r", value=False),)
    low = {**GOOD, "member": {**GOOD["member"], "trust_score": 0.1}}
    assert judged.decide(low) is QUIET
    none = {**GOOD, "member": {"region": "us"}}
    (finding,) = judged.decide(none)
    assert finding.in_when
    assert isinstance(finding.value, Failure)
    assert finding.value.path == "member.trust_score"


def test_a_prohibition_speaks_when_true() -> None:
    """With quiet=False a clause is quiet when false, and speaks when true or failing."""
    judged = build("member.trust_score < 0.5", quiet=False)
    assert judged.decide(GOOD) is QUIET
    low = {"member": {"trust_score": 0.1}}
    assert judged.decide(low) == (Finding(0, "r0", value=True),)
    (finding,) = judged.decide({"member": {}})
    assert isinstance(finding.value, Failure)


def test_shared_parts_are_computed_once_for_many_members() -> None:
    """What reads no member is outside the loop: a host function is called once, not per member."""
    calls: list[object] = []

    def slow(value: object) -> object:
        calls.append(value)
        return True

    environment = Environment(
        {"member": MEMBER, "packet": PACKET}, [Function.simple("slow", (INT,), BOOL, slow)]
    )
    judged = build(
        "slow(packet.handoff_count) && member.status == 'ACTIVE'", environment=environment
    )
    judged.filter(shared(GOOD), [GOOD["member"]] * 50)
    assert calls == [1]


def test_a_shared_part_that_fails_is_not_laundered() -> None:
    """A hoisted value that could not be computed never passes unseen, not even into an empty list."""
    sources = [
        "packet.extra.absent in member.clearances",
        "[packet.extra.absent] == packet.items",
        "member.clearances.exists(c, c == packet.extra.absent)",
        "packet.extra.absent == member.region || packet.extra.absent == member.status",
        "member.draining ? true : packet.extra.absent",
        "(member.draining ? packet.extra.absent : packet.extra.absent) in member.clearances",
        "has(packet.extra.absent) && packet.extra.absent > member.trust_score",
        "member.clearances.map(c, packet.extra.absent).size() == 0",
        "cel.bind(v, packet.extra.absent, member.draining) || member.draining",
        "{packet.extra.absent: 1}.size() == member.load.cpu",
    ]
    judged = build(*sources)
    empty = {**GOOD["member"], "clearances": []}
    members = [GOOD["member"], empty, {}]
    for packet in (GOOD["packet"], {**GOOD["packet"], "extra": {"absent": 1}}, {}, None):
        facts = {"packet": packet}
        found = judged.filter(facts, members)
        assert found == [judged.decide_exact({**facts, "member": member}) for member in members]


def test_names_used_twice_are_computed_once_per_member() -> None:
    """A variable that several rules use costs one evaluation a decision, shared or not."""
    calls: list[object] = []

    def slow(value: object) -> object:
        calls.append(value)
        if value == "bad":
            raise CelError("bad")
        return value == "eu"

    functions = [Function.simple("slow", (STRING,), BOOL, slow)]
    roots = {"member": MEMBER, "packet": PACKET}
    base = Environment(roots, functions)
    first = check(parse("slow(member.region)"), base)
    second = check(
        parse("variables.first && slow(member.status)"),
        Environment(roots, functions, named={"variables.first": first}),
    )
    named = {"variables.first": first, "variables.second": second}
    environment = Environment(roots, functions, named=named)
    judged = build(
        "variables.first", "variables.first || variables.second", "!variables.second",
        environment=environment,
    )  # fmt: skip
    assert judged.decide(GOOD) == ()
    assert calls == ["eu", "ACTIVE"]
    bad = {**GOOD, "member": {**GOOD["member"], "region": "bad"}}
    assert judged.decide(bad) == judged.decide_exact(bad) != ()


def test_text_from_outside_never_becomes_code() -> None:
    """Names, keys, constants and rule ids are data in the generated source, whatever they hold."""
    evil = "'];import os;os.abort();x=['"
    environment = Environment(
        {
            "member": Record("member", {
                evil: Field(STRING), "a.b": Field(STRING), "a_b": Field(STRING),
                "class": Field(Record("class", {"if": Field(INT), evil: Field(INT)})),
            }),
            "packet": MapType(STRING, STRING),
            "a.b": INT,
            "a_b": INT,
        },
        constants={"params.evil": Constant(evil, STRING), "params.inf": Constant(1e999, DYN)},
    )  # fmt: skip
    member = {evil: evil, "a.b": "1", "a_b": "2", "class": {"if": 1, evil: 2}}
    facts = {"member": member, "packet": {evil: "x\n'"}, "a.b": 1, "a_b": 2}
    sources = [
        f'member["{evil}"] == params.evil',
        f'packet["{evil}"] == "x\\n\'"',
        "member.`class`.`if` == 1 && member.`class`.`if` < 2",
        f'member.`class`["{evil}"] == 2',
        "a.b == 1 && a_b == 2",
        "member.`a.b` == '1' && member.a_b == '2'",
        "dyn(member.a_b) == '2' && params.inf != member.a_b",
    ]
    clauses = [
        Clause(f"{evil}{index}", check(parse(text), environment))
        for index, text in enumerate(sources)
    ]
    judged = generate(clauses)
    assert judged.decide(facts) == judged.decide_typed(facts) == judged.decide_exact(facts) == ()
    assert judged.filter({k: v for k, v in facts.items() if k != "member"}, [member]) == [()]
    assert "os.abort()" not in judged.sources["decide"].replace(repr(evil), "")


def test_parts_that_are_not_generated_are_judged_exactly() -> None:
    """A clause with an unsupported macro still decides, and is reported as exact."""
    sources = [
        "member.labels.all(k, v, k != v)",
        "member.labels.exists(k, k == 'k')",
        "packet.items.transformList(i, v, i).size() == 0",
        "optional.of(member.region).optMap(v, v + 'x').value() == 'eux'",
        "member.?region.or(optional.of('x')).value() == 'eu'",
        "type(member.region) == string",
        "{'a': member.region}.a == 'eu'",
        "[?member.?region].size() == 1",
        "member.clearances.all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, a != 'z')))))",
    ]
    judged = build(*sources)
    assert judged.exact_clauses
    assert judged.decide(GOOD) == judged.decide_exact(GOOD)
    assert judged.filter(shared(GOOD), [GOOD["member"], {}]) == [
        judged.decide_exact(GOOD),
        judged.decide_exact({**GOOD, "member": {}}),
    ]


def test_long_lists_fall_back_to_the_one_that_counts_work() -> None:
    """Facts larger than anyone declared give the exact evaluator's answer, cost failures included."""
    judged = build(
        "member.clearances.all(c, c in packet.data_classes)", "'zz' in member.clearances",
        "packet.items == packet.items", "(member.region + member.region).size() < 9",
        "packet.items.all(v, v in packet.items)",
    )  # fmt: skip
    texts = [str(index) for index in range(1_500)]
    facts = {
        "member": {**GOOD["member"], "clearances": texts, "region": "r" * 5_000},
        "packet": {**GOOD["packet"], "data_classes": texts, "items": list(range(1_500))},
    }
    expected = judged.decide_exact(facts)
    assert [f.value.kind for f in expected if isinstance(f.value, Failure)] == ["cost", "cost"]
    assert judged.decide(facts) == expected
    assert judged.filter(shared(facts), [facts["member"]]) == [expected]


def test_typed_code_drops_the_guards() -> None:
    """Typed source has no type tests; guarded source has them."""
    judged = build("member.load.cpu + 1 <= member.capacity.cpu", "member.status == 'ACTIVE'")
    assert "type(" in judged.sources["decide"]
    assert "type(" in judged.sources["filter"]
    assert "type(" not in judged.sources["decide_typed"]
    assert "type(" not in judged.sources["filter_typed"]


def test_typed_code_still_fails_closed_on_absent_facts() -> None:
    """Absent optional facts are failures in typed code too; overflow is an error."""
    judged = build("member.trust_score >= 0.5", "member.load.cpu + 1 > 0", "has(member.capacity)")
    facts = {"member": {"load": {"cpu": 2**63 - 1, "memory": 0}}}
    assert judged.decide_typed(facts) == judged.decide_exact(facts)
    kinds = [
        getattr(finding.value, "kind", finding.value) for finding in judged.decide_typed(facts)
    ]
    assert kinds == ["missing", "error", False]


def test_a_source_that_python_refuses_is_judged_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Python's own compiler gives up, the clauses are judged exactly, never dropped."""

    def refuse(*_arguments: object) -> object:
        raise SyntaxError("too many statically nested blocks")

    module = sys.modules["pfgov.policy.cel.generate"]
    monkeypatch.setattr(module, "compile", refuse, raising=False)
    judged = generate([Clause("r", check(parse("member.draining"), ENVIRONMENT))])
    assert judged.exact_clauses == ("r",)
    assert judged.decide(GOOD) == (Finding(0, "r", value=False),)
    assert judged.filter(shared(GOOD), [GOOD["member"]]) == [(Finding(0, "r", value=False),)]


def test_a_batch_takes_another_varying_root() -> None:
    """The root that varies is a choice; it need not be called member."""
    clause = Clause("r", check(parse("packet.handoff_count < member.load.cpu"), ENVIRONMENT))
    judged = generate([clause], varying="packet")
    packets = [{"handoff_count": 0}, {"handoff_count": 9}, {}]
    found = judged.filter({"member": GOOD["member"]}, packets)
    assert [bool(findings) for findings in found] == [False, True, True]


def test_unknown_field_types_stay_exact() -> None:
    """Bytes and unsigned numbers have no fast path but the same answers."""
    environment = Environment(
        {"member": Record("member", {"n": Field(DYN), "names": Field(ListType(StringType()))})}
    )
    judged = build(
        "member.n == 1u || member.n == b'a'", "member.names.size() < 3 && 'x' in member.names",
        environment=environment,
    )  # fmt: skip
    for n in (1, b"a", "a", None, 2):
        facts = {"member": {"n": n, "names": ["x"]}}
        assert judged.decide(facts) == judged.decide_typed(facts) == judged.decide_exact(facts)


RACE_SECONDS = 10
"""How long the threads judge: time bounds the work here, nothing is asserted about speed."""


def test_four_threads_never_see_each_others_facts() -> None:
    """Deciding is free of shared state: four threads on mixed members, not one wrong answer."""
    judged = build(
        "member.trust_score >= packet.minimum_trust_score",
        "packet.data_classes.all(c, c in member.clearances)",
        "member.region == 'eu' || member.labels.k == 'v'",
    )
    rng = random.Random(5)
    worlds: list[dict[str, Any]] = []
    for _ in range(40):
        member = dict(GOOD["member"])
        for name in ("trust_score", "clearances", "region"):
            if rng.random() < 0.3:
                member.pop(name)
        if rng.random() < 0.3:
            member["trust_score"] = 0.1
        worlds.append({**GOOD, "member": member})
    expected = [judged.decide_exact(facts) for facts in worlds]
    assert len({repr(findings) for findings in expected}) > 4
    wrong: list[object] = []
    judgements = [0] * 4
    barrier = threading.Barrier(4)

    def work(seed: int) -> None:
        order = random.Random(seed)
        barrier.wait()
        until = time.monotonic() + RACE_SECONDS
        while time.monotonic() < until:
            judgements[seed] += 1
            index = order.randrange(len(worlds))
            judge = order.choice((judged.decide, judged.decide_typed, judged.decide_exact))
            if judge(worlds[index]) != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert min(judgements) > 0, "a thread never had its turn"


def test_four_threads_parse_and_check_at_once() -> None:
    """The one parser of the process may be asked from several threads."""
    results: list[bool] = []

    def work(number: int) -> None:
        for index in range(20):
            text = f"member.load.cpu == {number * 1000 + index}"
            checked = check(parse(text), ENVIRONMENT)
            results.append(checked.source == text and checked.cost == 4)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80
