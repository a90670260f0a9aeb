"""What the checker refuses, all at once, with a position and a suggestion."""

import pytest
from unit.cel.cel_kit import ENVIRONMENT, MEMBER, PACKET, codes, only, problems

from pfgov.policy.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    CelCheckErrors,
    Constant,
    Environment,
    Field,
    Function,
    ListType,
    MapType,
    NumberType,
    OptionalType,
    Record,
    StringType,
    check,
    parse,
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "code", "column", "hint"),
    [
        ("member.trust_scor >= 0.5", "cel.unknown_field", 8, "did you mean `trust_score`?"),
        ("memer.region == 'eu'", "cel.unknown_name", 1, "did you mean `member`?"),
        ("member.load.cpus > 1", "cel.unknown_field", 13, "did you mean `cpu`?"),
        ("member['statu'] == 'x'", "cel.unknown_field", 8, "did you mean `status`?"),
        ("has(member.regoin)", "cel.unknown_field", 12, "did you mean `region`?"),
        ("!has(pakcet.extra)", "cel.unknown_name", 6, "did you mean `packet`?"),
        ("params.flor > 0.1", "cel.unknown_name", 8, "did you mean `params.floor`?"),
        ("params == 1", "cel.unknown_name", 1, "one of params.floor, params.on"),
        ("member.region.startswith('e')", "cel.unknown_function", 15, "did you mean `startsWith`?"),
        ("startsWith(member.region, 'e')", "cel.unknown_function", 1, "write x.startsWith(...)"),
        ("member.region.int() == 1", "cel.unknown_function", 15, "write int(x)"),
        ("member.clearances.any(c, true)", "cel.unknown_function", 19, None),
        ("member.clearances.all(c)", "cel.unknown_function", 19, "write list.all(x, condition)"),
        ("member.region == 1", "cel.type", 1, None),
        ("member.trust_score + 1 > 2.0", "cel.type", 1,
         "arithmetic does not mix int and double; write 1.0 or double(x)"),
        ("member.status == 'ACTVE'", "cel.never_equal", 1, "did you mean `ACTIVE`?"),
        ("member.status in ['ACTIVE', 'DRAIN']", "cel.never_equal", 1, "did you mean `DRAINING`?"),
        ("'eu' in member.region", "cel.type", 1, "write text.contains(part), or x == text, or x in [text, ...]"),
        ("1 in member.clearances", "cel.type", 1, "its items are string"),
        ("member.region", "cel.result", 1, "compare it with something"),
        ("member.clearances.size()", "cel.result", 1, "compare it with something"),
        ("member.draining && member.region", "cel.type", 20, None),
        ("!member.region", "cel.type", 1, None),
        ("member.clearances.all(c, c)", "cel.type", 26, None),
        ("member.clearances.all(c, c > 3)", "cel.type", 26, None),
        ("member.region.all(c, true)", "cel.type", 1, None),
        ("member.region.name == 'x'", "cel.type", 15, None),
        ("member.clearances.size == 1", "cel.type", 19, "call it: size()"),
        ("member.clearances['a'] == 'x'", "cel.type", 19, None),
        ("member.labels[1] == 'x'", "cel.type", 15, None),
        ("member.draining[0]", "cel.type", 17, None),
        ("member.draining ? member.region : 1", "cel.type", 35, None),
        ("member.region.matches('(a')", "cel.pattern", 23, None),
        ("now.getHours('Europe/Berlin') > 1", "cel.zone", 14, None),
        ("now.getHours(member.region) > 1", "cel.zone", 14, None),
        ("true", "cel.constant", 1, "compare a fact"),
        ("1 < 2", "cel.constant", 1, "compare a fact"),
        ("member.draining || true", "cel.constant", 1, None),
        ("member.draining && false", "cel.constant", 1, None),
        ("member.trust_score > 1.0", "cel.constant", 1, "trust_score is between 0 and 1"),
        ("1.5 < member.trust_score", "cel.constant", 1, "trust_score is between 0 and 1"),
        ("!(member.trust_score >= 0.0)", "cel.constant", 1, None),
        ("member.trust_score == 2.0", "cel.constant", 1, None),
        ("member.trust_score != 2", "cel.constant", 1, None),
        ("member.trust_score <= 1.0", "cel.constant", 1, None),
        ("member.trust_score < 0.0", "cel.constant", 1, None),
        ("member.trust_score > 0.9 && member.trust_score < 0.5", "cel.constant", 1, None),
        ("member.trust_score > 0.5 && member.trust_score < 0.5", "cel.constant", 1, None),
        ("member.trust_score >= 0.5 && member.trust_score < 0.5", "cel.constant", 1, None),
        ("member.region == 'a' && member.region == 'b'", "cel.constant", 1, None),
        ("member.clearances.size(1) > 0", "cel.type", 19, None),
        ("[1, ?2].size() == packet.handoff_count", "cel.type", 6, None),
        ("packet.handoff_count.orValue(1) == 1", "cel.type", 1, None),
        ("packet.handoff_count.optMap(v, v).hasValue()", "cel.type", 1, None),
        ("member == 1", "cel.type", 1, None),
        ("packet.extra.all(k, v, w, true)", "cel.unknown_function", 14, None),
    ],
)  # fmt: skip
def test_a_mistake_gives_one_problem_with_place_and_hint(
    source: str, code: str, column: int, hint: str | None
) -> None:
    """Each typical mistake yields exactly one problem, at the culprit, with what was meant."""
    problem = only(source)
    assert (problem.code, problem.line, problem.column) == (code, 1, column), problem
    if hint is not None:
        assert problem.hint == hint


@pytest.mark.parametrize(
    "source",
    [
        "member.trust_score >= 1",
        "member.trust_score >= params.floor",
        "params.on",
        "params.on && member.draining",
        "member.trust_score >= 0.5 && member.trust_score <= 0.5",
        "member.trust_score > 0.5 && member.trust_score < 0.9",
        "member.region == 'a' || member.region == 'b'",
        "member.region == member.status",
        "packet.extra.anything == 3",
        "packet.extra['a'].b.c > 1.5",
        "packet.items[0] == 1",
        "has(packet.extra.a) && packet.extra.a",
        "x.a.b.all(c, c > 1)",
        "x",
        "member.clearances.all(i, c, i < 3 || c == 'a')",
        "member.labels.exists(k, v, k == v)",
        "member.?region.orValue('eu') == 'eu'",
        "member.?region.or(optional.of('eu')).hasValue()",
        "now - duration('1h') > timestamp('2026-01-01T00:00:00Z')",
        "now.getHours('+02:00') > 1 && now.getHours('UTC') < 5",
        "math.greatest(member.load.cpu, 3) > 2",
        "[1, 2].exists(v, v == packet.handoff_count)",
        "{'a': 1}.a == packet.handoff_count",
        "cel.bind(r, member.region, r == 'a' || r == 'b')",
        "type(x) == int",
        "member.all(k, k != 'a')",
        "member[member.region] == 1",
        "optional.of(member).?region.hasValue()",
        "x.y[x].z",
        "member.status in member.clearances",
        "packet.handoff_count in [1, 2u, 3.0]",
    ],
)
def test_what_makes_sense_is_accepted(source: str) -> None:
    """Reasonable conditions pass, dynamic facts and cross-type number comparison included."""
    assert problems(source) == ()


def test_all_problems_are_reported_at_once() -> None:
    """Three mistakes give three problems, in source order."""
    found = problems(
        "member.trust_scor > 1 &&\n memer.region == 'x' &&\n packet.handoff_count + 'a'"
    )
    assert [problem.code for problem in found][:2] == ["cel.unknown_field", "cel.unknown_name"]
    assert [problem.line for problem in found][:3] == [1, 2, 3]
    with pytest.raises(CelCheckErrors, match="unknown name"):
        check(parse("nobody == 1"), ENVIRONMENT)


BOMBS = {
    "nested loops": "member.clearances.all(a, member.clearances.all(b, "
    "member.clearances.all(c, member.clearances.all(d, a == b && c == d))))",
    "string doubling": '["aaaaaaaa"]' + ".map(v, v + v)" * 26 + ".size() > packet.handoff_count",
    "list doubling": "[packet.items]" + ".map(v, v + v)" * 26 + ".size() > 0",
    "bind doubling": "".join(
        f"cel.bind(a{i}, {'member.region' if i == 0 else f'a{i - 1} + a{i - 1}'}, "
        for i in range(25)
    ) + "a24.size() > 1" + ")" * 25,
    "replacement": "member.region" + ".replace('', member.region)" * 4 + ".size() > 1",
    "quadratic lists": "packet.items.all(a, packet.items.all(b, packet.items.all(c, a == b)))",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_static_cost(name: str) -> None:
    """What could take long is refused before it ever runs."""
    assert codes(BOMBS[name]) == ["cel.cost"]


def test_cost_follows_the_declared_bounds() -> None:
    """The cost of a loop is its items times its body, and a limit can be lifted."""
    cheap = check(parse("member.draining"), ENVIRONMENT)
    assert cheap.cost == 2
    loop = check(parse("member.clearances.all(c, c in packet.data_classes)"), ENVIRONMENT)
    assert 64 * 64 <= loop.cost <= 64 * 80
    assert check(parse(BOMBS["nested loops"]), ENVIRONMENT, cost_limit=None).cost > 1_000_000


def test_a_checked_expression_knows_what_it_reads() -> None:
    """Paths, roots, optionality and guards are those of the text, named expressions included."""
    pii = check(parse("packet.data_classes.exists(c, c == 'pii')"), ENVIRONMENT)
    environment = Environment({"member": MEMBER, "packet": PACKET}, named={"variables.pii": pii})
    checked = check(
        parse("variables.pii && has(member.region) && member.region == 'eu'"
              " && member.?trust_score.orValue(0.0) > 0.5 && member.labels.tier == 'x'"),
        environment,
    )  # fmt: skip
    paths = {str(access): (access.optional, access.guarded) for access in checked.paths}
    assert paths == {
        "member.region": (True, False),
        "member.trust_score": (True, True),
        "member.labels.tier": (True, False),
        "packet.data_classes": (False, False),
    }
    assert checked.roots == {"member", "packet"}
    assert list(checked.named) == ["variables.pii"]
    assert checked.type == BOOL


def test_named_expressions_cost_once_and_bring_their_own_names() -> None:
    """A name used five times costs once; the names it uses come with it."""
    first = check(parse("packet.data_classes.exists(c, c == 'pii')"), ENVIRONMENT)
    one = Environment({"member": MEMBER, "packet": PACKET}, named={"variables.a": first})
    second = check(parse("variables.a || member.draining"), one)
    two = Environment(
        {"member": MEMBER, "packet": PACKET}, named={"variables.a": first, "variables.b": second}
    )
    checked = check(parse("variables.b && variables.b && variables.a"), two)
    assert set(checked.named) == {"variables.a", "variables.b"}
    assert checked.cost < 2 * first.cost
    assert only("variables.bb", two).hint == "did you mean `variables.b`?"


def test_host_functions_are_checked_like_ours() -> None:
    """A function that the host adds has a signature, a cost and its own name."""
    near = Function.simple(
        "near", (STRING, ListType(STRING)), BOOL, lambda a, b: a in b, cost=999_990
    )
    environment = Environment({"member": MEMBER}, [near])
    assert codes("near(member.region, member.clearances)", environment) == []
    assert codes("near(member.region)", environment) == ["cel.type"]
    assert codes("near(member.region, [1])", environment) == ["cel.type"]
    twice = "near(member.region, member.clearances) && near(member.status, member.clearances)"
    assert codes(twice, environment) == ["cel.cost"]
    assert only("neer(member.region, [])", environment).hint == "did you mean `near`?"


def test_types_have_names_that_people_know() -> None:
    """Messages speak of list(string), not of classes."""
    names = {
        "list(map(string, dyn))": ListType(MapType(STRING, DYN)),
        "optional(int)": OptionalType(INT),
        "double": DOUBLE,
        "member": MEMBER,
    }
    assert {str(type_) for type_ in names.values()} == set(names)


def test_an_expected_type_other_than_bool() -> None:
    """A variable may be checked for any type, and its bounds survive."""
    checked = check(parse("member.trust_score"), ENVIRONMENT, None)
    assert checked.type == NumberType("double", 0, 1)
    with pytest.raises(CelCheckErrors):
        check(parse("member.trust_score"), ENVIRONMENT, STRING)
    assert check(parse("member.region"), ENVIRONMENT, STRING).type == StringType(64)


def test_a_large_record_is_not_listed_in_full() -> None:
    """The hint lists a small record's fields, and spares the reader a large one's."""
    small = Environment({"r": Record("r", {"a": Field(INT), "b": Field(INT)})})
    large = Environment({"r": Record("r", {f"f{i}": Field(INT) for i in range(40)})})
    assert only("r.zzzz == 1", small).hint == "it has a, b"
    assert only("r.zzzz == 1", large).hint is None
    assert only("zzzz == 1", large).hint == "known are r; write text in quotes"
    assert Constant(1, INT) == Constant(1, INT)
