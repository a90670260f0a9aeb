"""Corners of the engine that no policy visits often: each still has to be right."""

from typing import Any

import pytest
from unit.cel.cel_kit import ENVIRONMENT, only, outcome, problems, value

from pfgov.policy.cel import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    UINT,
    BytesType,
    Clause,
    Constant,
    Environment,
    Failure,
    Field,
    ListType,
    MapType,
    NumberType,
    OptionalType,
    Record,
    StringType,
    check,
    exact,
    generate,
    parse,
)  # fmt: skip
from pfgov.policy.cel.errors import CelError, CelLoadError, Problem, WorkExceededError
from pfgov.policy.cel.hints import did_you_mean, nearest
from pfgov.policy.cel.limits import WORK_UNITS
from pfgov.policy.cel.runtime import POISON, GiveUpError
from pfgov.policy.cel.strings import replace
from pfgov.policy.cel.syntax import Literal_
from pfgov.policy.cel.types import FREE, TypeParam, TypeType, fits, join, settled, substitute
from pfgov.policy.cel.values import make_map, map_get, type_name

RECORD = Record("r", {"a": Field(INT)})


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (INT, INT, True),
        (INT, DOUBLE, False),
        (NumberType("int", 0, 5), INT, True),
        (StringType(4), STRING, True),
        (BytesType(4), BYTES, True),
        (DYN, INT, True),
        (INT, DYN, True),
        (ListType(DYN), ListType(INT), True),
        (ListType(STRING), ListType(INT), False),
        (RECORD, MapType(STRING, DYN), True),
        (RECORD, MapType(INT, DYN), False),
        (RECORD, RECORD, True),
        (RECORD, Record("s", {}), False),
        (OptionalType(INT), OptionalType(INT), True),
        (OptionalType(INT), INT, False),
        (MapType(STRING, INT), MapType(STRING, STRING), False),
        (TypeType(INT), TypeType(STRING), True),
        (NULL, DURATION, False),
        (TypeParam("A"), INT, True),
    ],
)
def test_what_fits_where(given: Any, wanted: Any, expected: object) -> None:
    """Assignability ignores bounds, treats a record as a map, and lets dyn through."""
    assert fits(given, wanted) is expected


def test_type_parameters_bind_and_join() -> None:
    """A parameter stands for one type, the wider of what it meets; dyn never contradicts."""
    a = TypeParam("A")
    bindings: dict[str, Any] = {}
    assert fits(StringType(3), a, bindings)
    assert fits(StringType(5), a, bindings)
    assert substitute(a, bindings) == StringType(5)
    assert not fits(INT, a, bindings)
    assert fits(DYN, a, bindings)
    assert fits(MapType(STRING, DYN), a, {"A": INT})
    assert not fits(ListType(INT), a, {"A": OptionalType(INT)})
    assert substitute(MapType(a, OptionalType(ListType(a))), {}) == MapType(
        DYN, OptionalType(ListType(DYN))
    )
    assert settled(ListType(FREE)) == ListType(DYN)


def test_joining_types_keeps_what_both_promise() -> None:
    """The join of two types holds values of both, with the wider bounds."""
    assert join(StringType(3, frozenset("a")), StringType(5, frozenset("b"))) == StringType(
        5, frozenset("ab")
    )
    assert join(StringType(3), STRING) == STRING
    assert join(BytesType(3), BytesType(4)) == BytesType(4)
    assert join(NumberType("int", 0, 1), NumberType("int", 5, 9)) == INT
    assert join(INT, UINT) == DYN
    assert join(ListType(INT, 3), ListType(STRING, 4)) == ListType(DYN, 4)
    assert join(MapType(STRING, INT, 1), MapType(STRING, INT)) == MapType(STRING, INT)
    assert join(OptionalType(FREE), OptionalType(INT)) == OptionalType(INT)
    assert join(FREE, BOOL) == BOOL
    assert str(TypeType(INT)) == "type"
    assert str(BYTES) == "bytes"
    assert str(TypeParam("A")) == "A"
    assert hash(RECORD) == hash(Record("r", {}))


def test_suggestions_come_only_when_they_are_near() -> None:
    """A name that resembles nothing gets no suggestion; case and prefixes are seen through."""
    assert nearest("TRUST_SCORE", ["trust_score", "region"]) == "trust_score"
    assert nearest("trust", ["member.trust_score_in_total", "region"]) is None
    assert nearest("score_in_total", ["trust_score_in_total"]) == "trust_score_in_total"
    assert nearest("rating", ["quality_of_service_rating"]) == "quality_of_service_rating"
    assert did_you_mean("zebra", ["region", "status"]) is None


def test_load_errors_are_sorted_and_readable() -> None:
    """Problems are in source order, and their text has place, message and hint."""
    error = CelLoadError([Problem("b", "second", 2, 1), Problem("a", "first", 1, 5, "try this")])
    assert str(error) == "1:5: first (try this); 2:1: second"
    assert WorkExceededError().failure.kind == "cost"
    assert CelError("x", path="a.b").failure == Failure("error", "a.b", "x")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("a.b.d == 1", "cel.unknown_name"),
        ("a.b == 1", "cel.unknown_name"),
        ("ints.x == 1", "cel.type"),
        ("math.greatest() == 1", "cel.type"),
        ("r == {'a': 1} && 'a' in r && r in [r]", None),
        ("'a' in r && ints[1] == 2", None),
        ("1 in r", "cel.type"),
        ("has(r.a) && r['a'] == 1", None),
        ("r.all(k, v, k != 'b')", None),
        ("r.all(x, .x == x && .r.a == 1)", None),
        ("[].all(v, v in [])", "cel.constant"),
        ("r.a in [] || r.a == 1", None),
        ("r.a == 1 && (true || r.a == 2)", "cel.constant"),
        ("r.a == 1 && (r.a == 2 || r.a == 3)", None),
        ("r.a == 1 && r.a in [2]", None),
        ("r.a == 1 && r.a == 1", None),
        ("r.a > 1 && r.a > 2 && r.a < 9 && r.a <= 8", None),
        ("r.a > 1 && r.a != 2", None),
        ("r.a == 1 && r.a == 'x'", "cel.type"),
        ("x == 1 && x == 'y'", "cel.constant"),
        ("x > 1 && x < 'y'", None),
        ("b == b'x' || b == b''", None),
    ],
)
def test_corner_expressions_are_judged(source: str, code: str | None) -> None:
    """Unusual but possible conditions are judged as they should be."""
    environment = Environment(
        {
            "r": RECORD, "ints": MapType(INT, INT), "a.b.c": INT, "x": DYN, "b": BYTES,
        },
    )  # fmt: skip
    found = problems(source, environment)
    assert [problem.code for problem in found] == ([] if code is None else [code])


def test_a_value_outside_a_small_set_lists_it() -> None:
    """When no value is near, a small set is shown; on the right side of == too."""
    assert only("'XYZZY' == member.status").hint == "one of ACTIVE, DRAINING, FAILED"
    roots = {"s": ListType(StringType(9, frozenset({"up", "down"}))), "t": STRING}
    listed = Environment(roots)
    assert only("'u' in s", listed).message == "s is never 'u'"
    assert only("s.all(v, v == 'sideways')", listed).message.startswith("it is never")
    assert problems("s.all(v, v == t || v in [t, 'up'])", listed) == ()
    large = Environment({"s": StringType(9, frozenset(str(n) for n in range(100, 120)))})
    assert only("s == 'xyz'", large).hint is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[1, 2].transformMap(i, v, v * 2) == {0: 2, 1: 4}", True),
        ("{'a': 1}.transformMap(k, v, v > 0, v + 1) == {'a': 2}", True),
        ("[1, 2].transformMapEntry(i, v, {v: i}) == {1: 0, 2: 1}", True),
        ("[1, 1].transformMapEntry(i, v, {v: i}).size() == 1", "error"),
        ("[1].transformMapEntry(i, v, i == 0, v).size() == 1", "type"),
        ("[1].transformMapEntry(i, v, i == 1, {v: v}).size() == 0", True),
        ("x.all(i, v, true)", "type"),
        ("has({1: 2, 'a': 3}.a)", True),
        ("has({1: 2}.a)", False),
        ("{1: 2, 'a': 3}.a == 3", True),
        ("optional.of({'a': optional.of(1)}).a.hasValue()", True),
        ("['%s'].all(f, f.format([x]) == '1')", True),
        ("'%s'.format([y]) == ''", "type"),
        ("'%d'.format([1.0/0.0]) == 'Infinity'", True),
        ("'%d'.format([1.5]) == ''", "type"),
        ("bytes(z) == b''", "error"),
        ("[x, ?optional.none(), ?optional.of(2)] == [1, 2]", True),
        ("{'a': x, ?'b': optional.none()} == {'a': 1}", True),
        ("sets.contains(x, [1])", "type"),
        ("[[1]].flatten(1) == [1]", True),
        ("math.greatest(1, 2, 3) == 3", True),
        ("x.distinct() == []", "type"),
        ("(x + x).all(v, true)", "type"),
    ],
)
def test_corner_values(source: str, expected: object) -> None:
    """Unusual macros and values give what the specification says."""
    found = outcome(source, x=1, y=object(), z="\ud800")
    assert (found.kind if isinstance(found, Failure) else found) == expected, found


def test_results_that_would_be_too_large_are_stopped() -> None:
    """One call cannot build more than the budget could ever accept."""
    with pytest.raises(WorkExceededError):
        replace("a" * 2_000, "a", "b" * 1_000)
    found = value("'%s%s'.format([x, x])", x="a" * (WORK_UNITS // 2 + 1))
    assert isinstance(found, Failure)
    assert found.kind == "cost"


def test_maps_from_outside_with_other_keys() -> None:
    """A dict with integer keys is searched by CEL's equality: 1 is not true."""
    mapping: Any = {1: "a", "s": "b"}
    assert map_get(mapping, 1, None) == "a"
    assert map_get(mapping, True, None) is None
    assert map_get(mapping, 2, None) is None
    assert map_get(make_map([(1, "a")]), b"x", None) is None
    assert type_name(object()) == "Python object"


def test_memory_and_surprises_become_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory in a function is a failure, not a crash."""
    checked = check(parse("member.region.size() > 1"), ENVIRONMENT)

    def exhausted(_value: object) -> object:
        raise MemoryError

    root = checked.root
    call: Any = root.arguments[0]  # type: ignore[attr-defined]
    monkeypatch.setattr(type(call.function), "__setattr__", object.__setattr__)
    original = call.function.call
    object.__setattr__(call.function, "call", exhausted)
    try:
        decide = exact(checked)
    finally:
        object.__setattr__(call.function, "call", original)
    found = decide({"member": {"region": "eu"}})
    assert isinstance(found, Failure)
    assert found.kind == "cost"


def test_poison_refuses_every_use() -> None:
    """Whatever is done with the stand-in for a failed value leaves the fast path."""
    poison: Any = POISON
    for use in (
        lambda: bool(poison), lambda: len(poison), lambda: poison == 1, lambda: poison == 1,
        lambda: poison < 1, lambda: poison > 1, lambda: poison + 1, lambda: 1 + poison,
        lambda: poison["a"], lambda: poison.a, poison, lambda: list(poison),
        lambda: 1 in poison, lambda: -poison, lambda: [poison] == [1],
    ):  # fmt: skip
        with pytest.raises(GiveUpError):
            use()
    with pytest.raises(TypeError):
        hash(poison)


def test_generated_corners_agree_with_exact() -> None:
    """Constants as lists, dynamic containers and patterns, failing constant calls: all agree."""
    environment = Environment(
        {"m": Record("m", {"s": Field(STRING), "l": Field(ListType(DYN)), "d": Field(DYN),
                           "n": Field(ListType(INT)), "deep": Field(Record("deep", {
                               "er": Field(Record("er", {"a": Field(INT), "b": Field(INT)}))}))})},
        constants={"params.regions": Constant(["eu", "us"], ListType(STRING)),
                   "params.mixed": Constant(["eu", 1], ListType(DYN))},
        constant_conditions=True,
    )  # fmt: skip
    sources = [
        "m.s in params.regions", "m.s in params.mixed", "m.s in m.l", "m.s in m.d",
        "size(m.d) > 0", "m.s.matches(m.s)", "1 / 0 == m.n[0]", "timestamp('x') == timestamp(0)",
        "m.n.map(v, v + 1).filter(v, v > 1).size() == 1", "m.n.exists_one(v, v == 1)",
        "m.d ? m.n.all(v, v > 0) : m.n.exists(v, v > 0)", "(m.s == 'eu' ? m.n : [5]).size() == 1",
        "m.deep.er.a + m.deep.er.b > m.deep.er.a", "m.?s.orValue('a') == m.?d.orValue('eu')",
        "m.?deep.er.orValue(m.deep.er).a == 1", "m[?'s'].orValue('x') == 'eu'",
        "m.l.transformMap(i, v, v).size() == 0", "m.n.transformList(i, v, v).size() == 1",
        "m.s != 'us' && m.s == m.s && !(m.s != m.s)", "m.n[0] == 1 && m.l == m.n",
        "m.s.contains('e') && m.s.endsWith('u') && m.s.size() == 2", "m.n == [1]",
        "m[?m.s].orValue(1) == 1", "m.?deep.?er.orValue(m.deep.er).a == 1", "m == m",
    ]  # fmt: skip
    clauses = [Clause(str(i), check(parse(text), environment)) for i, text in enumerate(sources)]
    judged = generate(clauses, varying="m")
    good = {"s": "eu", "l": ["eu", 1], "d": True, "n": [1], "deep": {"er": {"a": 1, "b": 2}}}
    worlds: list[Any] = [
        good, {**good, "d": ["eu"]}, {**good, "d": {"eu": 1}}, {**good, "s": "("},
        {**good, "n": []}, {**good, "l": "eu"}, {}, None,
    ]  # fmt: skip
    expected = [judged.decide_exact({"m": world}) for world in worlds]
    assert [judged.decide({"m": world}) for world in worlds] == expected
    assert judged.filter({}, worlds) == expected
    assert judged.decide_typed({"m": good}) == expected[0]
    assert judged.filter_typed({}, [good]) == [expected[0]]


def test_a_variable_that_cannot_be_generated_is_still_computed() -> None:
    """A named expression outside the generated subset leaves its users exact, and right."""
    base = {"m": Record("m", {"l": Field(MapType(STRING, INT))})}
    name = check(parse("m.l.all(k, v, v > 0)"), Environment(base))
    environment = Environment(base, named={"variables.all": name})
    sources = ["variables.all", "variables.all || m.l.size() == 2"]
    judged = generate(
        [Clause(text, check(parse(text), environment)) for text in sources], varying="m"
    )
    assert judged.exact_clauses == tuple(sorted(sources))
    facts = {"m": {"l": {"a": 0, "b": 1}}}
    assert [finding.index for finding in judged.decide(facts)] == [0]
    assert judged.decide(facts) == judged.decide_exact(facts)


def test_constants_compare_by_exact_type() -> None:
    """In a syntax tree 1, 1.0 and true are different constants."""
    span = parse("a").root.span
    assert len({Literal_(span, 1), Literal_(span, 1.0), Literal_(span, True)}) == 3
