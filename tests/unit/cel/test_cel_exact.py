"""The exact evaluator: every place where Python would answer and CEL must not, and failures that name names."""

import math
import sys
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import pytest
from unit.cel.cel_kit import ENVIRONMENT, outcome, value

from pfgov.policy.cel import (
    BOOL,
    DYN,
    STRING,
    CelError,
    Duration,
    Environment,
    Failure,
    Function,
    ListType,
    Timestamp,
    Uint,
    check,
    closures,
    exact,
    parse,
    trace,
    value_of,
)  # fmt: skip
from pfgov.policy.cel.limits import FACT_DEPTH

NAN = math.nan


def failure(source: str, **facts: Any) -> tuple[str, str | None]:
    """Kind and path of the failure of *source*."""
    found = outcome(source, **facts)
    assert isinstance(found, Failure), found
    return found.kind, found.path


@pytest.mark.parametrize(
    ("source", "facts", "expected"),
    [
        # bool is an int in Python
        ("x == 1", {"x": True}, False),
        ("x in [1]", {"x": True}, False),
        ("1 in x", {"x": [True]}, False),
        ("x == [1]", {"x": [True]}, False),
        ("x == {'a': 1}", {"x": {"a": True}}, False),
        ("x[true] == 'b'", {"x": {1: "a", "q": 0}}, "missing"),
        ("x[1] == 'a'", {"x": {True: "b", 2: "a"}}, "missing"),
        ("x >= 0.9", {"x": True}, "type"),
        ("x > false", {"x": True}, True),
        ("x + 1 == 2", {"x": True}, "type"),
        ("-x == -1", {"x": True}, "type"),
        # not a number, and not itself either
        ("x == x", {"x": NAN}, False),
        ("x != x", {"x": NAN}, True),
        ("x in [x]", {"x": NAN}, False),
        ("x in y", {"x": NAN, "y": [NAN]}, False),
        ("x == y", {"x": [NAN], "y": [NAN]}, False),
        ("x < 1.0 || x >= 1.0", {"x": NAN}, False),
        # int and double beyond 2^53
        ("x < 9223372036854775808.0", {"x": 2**63 - 1}, False),
        ("x == 9223372036854775808.0", {"x": 2**63 - 1}, True),
        ("x == 9007199254740992.0", {"x": 2**53 + 1}, True),
        ("x in [9007199254740992.0]", {"x": 2**53 + 1}, True),
        ("1 == x", {"x": 1.0}, True),
        ("x == 1u && 1u == x && x < 2u", {"x": 1}, True),
        ("x < 1u", {"x": -1}, True),
        # 64 bits
        ("x + 1 > 0", {"x": 2**63 - 1}, "error"),
        ("x - 1 < 0", {"x": -(2**63)}, "error"),
        ("x * 2 > 0", {"x": 2**62}, "error"),
        ("-x > 0", {"x": -(2**63)}, "error"),
        ("x / -1 > 0", {"x": -(2**63)}, "error"),
        ("x % -1 == 0", {"x": -(2**63)}, "error"),
        ("0u - 1u == 0u", {}, "error"),
        ("18446744073709551615u + 1u == 0u", {}, "error"),
        # division
        ("x / 2 == -3", {"x": -7}, True),
        ("x % 2 == -1", {"x": -7}, True),
        ("7 % x == 1", {"x": -2}, True),
        ("1 / x == 1", {"x": 0}, "error"),
        ("1 % x == 1", {"x": 0}, "error"),
        ("1.0 / x > 1e308", {"x": 0.0}, True),
        ("1.0 / x < -1e308", {"x": -0.0}, True),
        ("0.0 / x == 0.0", {"x": 0.0}, False),
        ("7u / 2u == 3u && 7u % 2u == 1u", {}, True),
        # operators that Python has and CEL has not
        ("x + 1.0 == 2.0", {"x": 1}, "type"),
        ("x * 3 == 'aaa'", {"x": "a"}, "type"),
        ("x * 2 == [1, 1]", {"x": [1]}, "type"),
        ("x % 1 == 'a'", {"x": "a"}, "type"),
        ("x % 1.0 == 0.0", {"x": 1.5}, "type"),
        ("x - x == x", {"x": "a"}, "type"),
        ("x < 1", {"x": "a"}, "type"),
        ("x < y", {"x": [1], "y": [2]}, "type"),
        ("x < y", {"x": None, "y": None}, "type"),
        # strings are not lists
        ("'a' in x", {"x": "abc"}, "type"),
        ("x.all(c, c == 'a')", {"x": "aaa"}, "type"),
        ("x[0] == 'a'", {"x": "abc"}, "type"),
        # null
        ("x == null", {"x": None}, True),
        ("x == null", {"x": 0}, False),
        ("x >= 0.9", {"x": None}, "type"),
        ("x.a == 1", {"x": None}, "type"),
        ("x in ['a']", {"x": None}, False),
        ("x in y", {"x": None, "y": {"a": 1}}, "type"),
        # mixed equality is false, not an error
        ("x == 'a'", {"x": 1}, False),
        ("x == 1", {"x": "1"}, False),
        ("x != 1", {"x": "1"}, True),
        ("x == [1]", {"x": {"a": 1}}, False),
        ("3 in ['a', 1]", {}, False),
        # truthiness
        ("x && true", {"x": 1}, "type"),
        ("x || false", {"x": "true"}, "type"),
        ("!x", {"x": 0}, "type"),
        ("x ? true : false", {"x": 1}, "type"),
        ("x", {"x": "true"}, "type"),
        ("x.all(v, v)", {"x": [True, 1]}, "type"),
        ("x.exists_one(v, v)", {"x": [1]}, "type"),
        ("x.filter(v, v).size() == 1", {"x": [1]}, "type"),
        # has() asks only about the last step
        ("has(x.a)", {"x": {}}, False),
        ("has(x.a)", {"x": {"a": None}}, True),
        ("has(x.a.b)", {"x": {}}, "missing"),
        ("has(x.a)", {}, "missing"),
        ("has(x.a)", {"x": "text"}, "type"),
        ("!has(x.a.b) || true", {"x": {}}, True),
        # absorption, in both orders
        ("x.a && false", {"x": {}}, False),
        ("false && x.a", {"x": {}}, False),
        ("x.a || true", {"x": {}}, True),
        ("true || x.a", {"x": {}}, True),
        ("x.a && true", {"x": {}}, "missing"),
        ("x.a || false", {"x": {}}, "missing"),
        ("1 && false", {}, False),
        ("[1, 0].all(v, 1 / v > 5)", {}, False),
        ("[1, 0].exists(v, 1 / v == 1)", {}, True),
        ("[2, 0].all(v, 1 / v >= 0)", {}, "error"),
        ("[2, 0].exists(v, 1 / v > 0)", {}, "error"),
        ("[].all(v, 1 / v > 0)", {}, True),
        ("true ? true : x.a", {"x": {}}, True),
        ("{'a': 1}.exists(k, k == 'a')", {}, True),
        # keys
        ("{true: 1, 1: 2}[true] == 1 && {true: 1, 1: 2}[1] == 2", {}, True),
        ("{1: 'a', 1u: 'b'}[1] == 'a'", {}, "error"),
        ("{1.5: 1}.size() == 1", {}, "type"),
        ("{null: 1}.size() == 1", {}, "type"),
        ("{1: 'a'}[1.0] == 'a' && {1: 'a'}[1u] == 'a'", {}, True),
        ("{1: 2} == {1u: 2.0}", {}, True),
        ("{1: 2} == {1: 3}", {}, False),
        ("{1: 2} == {2: 2}", {}, False),
        ("{'a': 1} == {'a': 1, 'b': 2}", {}, False),
        ("[1] == [1, 2]", {}, False),
        ("x[-1] == 1", {"x": [1]}, "missing"),
        ("x['0'] == 1", {"x": [1]}, "type"),
        ("x[0.5] == 1", {"x": [1]}, "type"),
        # not CEL values
        ("x == 1", {"x": Decimal(1)}, "type"),
        ("x == 1", {"x": (1,)}, "type"),
        ("x.a == 1", {"x": OrderedDict(a=1)}, "type"),
        ("x.all(v, v == 1)", {"x": (1, 1)}, "type"),
        ("1 in x", {"x": {1, 2}}, "type"),
        ("size(x) == 1", {"x": (1,)}, "type"),
        ("type(x) == int", {"x": (1,)}, "type"),
        ("dyn(x) == 1", {"x": object()}, "type"),
    ],
)  # fmt: skip
def test_python_and_cel_differ_here(source: str, facts: dict[str, Any], expected: object) -> None:
    """Where Python would answer, give an accident or confuse types, we give what CEL says."""
    found = outcome(source, **facts)
    assert (found.kind if isinstance(found, Failure) else found) == expected, found


@pytest.mark.parametrize(
    ("source", "facts", "kind", "path"),
    [
        ("member.trust_score >= 0.9", {}, "missing", "member"),
        ("member.trust_score >= 0.9", {"member": {}}, "missing", "member.trust_score"),
        ("member.capacity.cpu > 1", {"member": {}}, "missing", "member.capacity"),
        ("member.capacity.cpu > 1", {"member": {"capacity": {}}}, "missing", "member.capacity.cpu"),
        ("member.capacity.cpu > 1", {"member": {"capacity": 3}}, "type", "member.capacity"),
        ("member.trust_score >= 0.9", {"member": 3}, "type", "member"),
        ("member.trust_score >= 0.9", {"member": {"trust_score": "0.95"}}, "type",
         "member.trust_score"),
        ("member.trust_score >= packet.minimum_trust_score",
         {"member": {"trust_score": 0.9}, "packet": {"minimum_trust_score": None}}, "type",
         "packet.minimum_trust_score"),
        ("member.draining", {"member": {"draining": "no"}}, "type", "member.draining"),
        ("member.draining || member.draining", {"member": {"draining": 0}}, "type",
         "member.draining"),
        ("member.clearances.all(c, c == 'a')", {"member": {"clearances": "a"}}, "type",
         "member.clearances"),
        ("'a' in member.clearances", {"member": {"clearances": None}}, "type",
         "member.clearances"),
        ("member.labels.tier == 'x'", {"member": {"labels": {}}}, "missing", "member.labels.tier"),
        ("member.labels['tier'] == 'x'", {"member": {"labels": {}}}, "missing",
         "member.labels.tier"),
        ("packet.items[3] == 1", {"packet": {"items": [1]}}, "missing", "packet.items[3]"),
        ("packet.extra.a.b == 1", {"packet": {"extra": {"a": {}}}}, "missing", "packet.extra.a.b"),
        ("has(member.capacity.cpu)", {"member": {"capacity": []}}, "type", "member.capacity"),
        ("[member][0].region == 'x'", {"member": {}}, "missing", None),
    ],
)  # fmt: skip
def test_a_failure_names_the_path(
    source: str, facts: dict[str, Any], kind: str, path: str | None
) -> None:
    """A failure says which fact is missing, or of the wrong type."""
    found = exact(check(parse(source), ENVIRONMENT))(facts)
    assert isinstance(found, Failure)
    assert (found.kind, found.path) == (kind, path), found


def test_a_failure_is_no_condition() -> None:
    """A failure used as a condition raises, so that nobody takes it for true."""
    with pytest.raises(TypeError):
        bool(Failure("missing", None, ""))


def test_the_first_failure_is_the_one_reported() -> None:
    """Of several failures the leftmost is reported, whatever the others are."""
    assert failure("x.a && x.b", x={}) == ("missing", "x.a")
    found = exact(check(parse("member.region == 'a' && member.trust_score > 0.5"), ENVIRONMENT))(
        {"member": {}}
    )
    assert isinstance(found, Failure)
    assert found.path == "member.region"


def test_work_is_bounded_when_nobody_bounded_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops over huge lists stop with a failure of kind cost, which nothing absorbs."""
    monkeypatch.setattr(closures, "WORK_UNITS", 20_000)
    many = list(range(200))
    assert failure("x.all(a, x.all(b, a + b >= 0))", x=many)[0] == "cost"
    assert failure("x.all(a, x.all(b, a + b >= 0)) || [1].exists(c, c == 1)", x=many)[0] == "cost"
    assert outcome("x.all(a, x.all(b, a + b >= 0)) || true", x=many) is True
    assert failure("x.all(a, a in x)", x=many)[0] == "cost"
    assert failure("x.distinct().size() > 0", x=many)[0] == "cost"
    assert failure("x.all(a, x == x)", x=[many] * 200)[0] == "cost"
    assert failure("[x].map(v, v + v).map(v, v + v).map(v, v + v).size() > 0",
                   x="a" * 60_000)[0] == "cost"  # fmt: skip
    assert outcome("x.all(a, a >= 0)", x=many) is True


def test_facts_nested_without_end_do_not_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-referential or very deep fact is a failure, not a crash."""
    monkeypatch.setattr(closures, "WORK_UNITS", 20_000)
    loop: list[Any] = []
    loop.append(loop)
    other: list[Any] = []
    other.append(other)
    assert failure("x == y", x=loop, y=other) == ("cost", None)
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert failure("x == y", x=deep, y=[deep[0]]) == ("error", None)
    assert failure("'%s'.format([x]) == 'a'", x=deep) == ("error", None)


def test_comparing_deep_facts_is_an_error_that_can_be_absorbed() -> None:
    """Facts too deep to compare are an error like any other, in functions of one argument too."""
    first: Any = 1
    second: Any = 1
    for _ in range(450):
        first, second = [first], [second]
    assert failure("x.distinct() == []", x=[first, second]) == ("error", None)
    assert outcome("x.distinct() == [] || true", x=[first, second]) is True


@pytest.mark.parametrize("stack", [1_000, 2_500, 20_000])
@pytest.mark.parametrize(("depth", "is_compared"), [(FACT_DEPTH, True), (FACT_DEPTH + 1, False)])
def test_how_deep_facts_are_compared_does_not_depend_on_the_stack(
    stack: int, depth: int, is_compared: bool
) -> None:
    """The same facts have one outcome here and another where the interpreter allows more frames."""
    first: Any = 1
    second: Any = 1
    for number in range(depth):
        first, second = ([first], [second]) if number % 2 else ({"a": first}, {"a": second})
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(stack)
    try:
        if is_compared:
            assert outcome("x == y", x=first, y=second) is True
        else:
            assert failure("x == y", x=first, y=second) == ("error", None)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("error", "kind"), [(RecursionError, "error"), (MemoryError, "cost"), (OSError, "error")]
)
def test_whatever_stops_an_evaluation_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], kind: str
) -> None:
    """Running out of stack or memory anywhere is an outcome, in a decision and in a trace."""

    def program(*_arguments: object) -> Any:
        def run(_context: object) -> object:
            raise error

        return run

    checked = check(parse("member.draining"), ENVIRONMENT)
    for module in ("exact", "trace"):
        monkeypatch.setattr(sys.modules[f"pfgov.policy.cel.{module}"], "program", program)
    found = exact(checked)({})
    assert isinstance(found, Failure)
    assert found.kind == kind
    assert trace(checked, {}).value == found


def test_a_host_function_that_breaks_is_a_failure() -> None:
    """An exception of a host's function never escapes and never allows; its CelError is kept."""

    def broken(value: object) -> object:
        if value == "known":
            raise CelError("as told", path="member.region")
        if value == "outside":
            raise OSError
        raise ZeroDivisionError

    functions = [Function.simple("broken", (DYN,), BOOL, broken)]
    host = Environment({"x": DYN}, functions, constant_conditions=True)
    decide = exact(check(parse("broken(x) || true"), host))
    assert decide({"x": "known"}) is True
    assert decide({"x": 1}) is True
    assert isinstance(decide({"x": "outside"}), Failure)
    strict = exact(check(parse("broken(x)"), host))
    assert strict({"x": "known"}) == Failure("error", "member.region", "as told")
    assert strict({"x": 1}) == Failure("error", None, "a function failed: ZeroDivisionError")
    assert strict({"x": "outside"}) == Failure("error", None, "a function failed: OSError")


def test_a_host_function_that_returns_no_bool_is_a_failure() -> None:
    """A host's truthy value is no truth."""
    host = Environment({"x": DYN}, [Function.simple("maybe", (DYN,), BOOL, lambda _x: 1)])
    found = exact(check(parse("maybe(x)"), host))({"x": 1})
    assert isinstance(found, Failure)
    assert found.kind == "type"


def test_a_named_expression_is_computed_once_and_only_when_needed() -> None:
    """A name costs one evaluation however often it is used, none when it is not reached."""
    calls: list[object] = []

    def counted(value: object) -> object:
        calls.append(value)
        if value == "bad":
            raise CelError("bad", kind="missing", path="x")
        return True

    functions = [Function.simple("counted", (STRING,), BOOL, counted)]
    base = Environment({"x": STRING}, functions)
    once = check(parse("counted(x)"), base)
    outer = check(
        parse("variables.once && x != 'n'"),
        Environment({"x": STRING}, functions, named={"variables.once": once}),
    )
    environment = Environment(
        {"x": STRING}, functions, named={"variables.once": once, "variables.outer": outer}
    )
    text = "x == 'skip' || (variables.once && variables.outer && variables.once)"
    decide = exact(check(parse(text), environment))
    assert decide({"x": "a"}) is True
    assert calls == ["a"]
    assert decide({"x": "skip"}) is True
    assert calls in (["a", "skip"], ["a"])
    calls.clear()
    found = decide({"x": "bad"})
    assert calls == ["bad"]
    assert isinstance(found, Failure)
    assert (found.kind, found.path) == ("missing", "x")


def test_values_come_out_as_plain_python() -> None:
    """Every kind of value has its plain or own Python form."""
    assert value("[1, 2u, 3.5, 'a', b'b', null, true]") == [1, Uint(2), 3.5, "a", b"b", None, True]
    assert value("{'a': {'b': x}}", x=[1]) == {"a": {"b": [1]}}
    assert value("timestamp('1970-01-01T00:00:01Z')") == Timestamp(10**9)
    assert value("duration('1.5s')") == Duration(1_500_000_000)
    assert repr(value("{1: 2}")) == "CelMap({1: 2})"
    assert value("x.?a.orValue(7)", x={}) == 7


def test_value_of_gives_failures_as_values() -> None:
    """Computing a value fails with a Failure too."""
    run = value_of(check(parse("member.trust_score"), ENVIRONMENT, None))
    assert run({"member": {"trust_score": 0.5}}) == 0.5
    assert isinstance(run({"member": {}}), Failure)


def test_lists_type_as_declared() -> None:
    """An environment's list of any is dynamic inside."""
    environment = Environment({"l": ListType(DYN)})
    assert exact(check(parse("l[0] > 1"), environment))({"l": [2]}) is True
