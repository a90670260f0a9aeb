"""What an expression can take is counted by what its values really hold, wherever they have been in between."""

import pytest

from pfgov.policy.cel import Checked, Environment, Failure, StringType, check, parse, value_of
from pfgov.policy.cel.sizes import Size, size_of
from pfgov.policy.cel.types import DOUBLE, ListType, MapType
from pfgov.policy.limits import SET_TIME_UNITS_MAX

ENVIRONMENT = Environment(
    {"s": StringType(64), "l": ListType(StringType(64), 16), "n": ListType(DOUBLE, 8),
     "m": MapType(StringType(64), StringType(64), 16)},
    constant_conditions=True,
)  # fmt: skip
FACTS: dict[str, object] = {
    "s": "a" * 64,
    "l": ["a" * 64] * 16,
    "n": [0.5] * 8,
    "m": {f"{number:064}": "a" * 64 for number in range(16)},
}
BIG = "s.replace('', s)"
"""4,224 characters, more than is assumed where nobody says how many there are."""

CARRIERS = (
    "{}.split('b')[0]", "{}.split('b').first().value()", "[{}].last().orValue('')", "[[{}]].flatten()[0]",
    "[[[{}]]].flatten(2)[0]", "[{}, {}].join('')", "[s, s].join({})", "[[{}], l].flatten().join(',')",
    "'%s-%s'.format([{}, 1])", "'%s'.format([[{}, {}]])", "'%s'.format([{{'a': [{}]}}])",
    "'%.900f%.900f'.format([1.5, 2.5])", "{{{}: 1}}.map(k, k)[0]", "{{'a': {}}}.a", "{{'a': {}}}['a']",
    "{{'a': {}}}.?a.orValue('')", "{{'a': {}}}.transformList(k, v, v)[0]", "{{'a': 1}}.transformMap(k, v, {}).a",
    "[1].map(i, {})[0]", "{{{}: 1}}.transformMap(k, v, v).map(k, k)[0]",
    "[{}].transformMapEntry(i, v, {{v: v}}).map(k, k)[0]", "optional.of({}).value()",
    "[optional.of({})].unwrapOpt()[0]", "optional.ofNonZeroValue([{}]).value()[0]", "dyn({})", "dyn([{}])[0]",
    "cel.bind(x, [{}], x[0])", "[{}].filter(i, true)[0]", "[{}].sort().reverse().distinct()[0]", "([{}] + [s])[0]",
    "(size(s) > 0 ? {} : s)", "strings.quote({})", "[{}].sortBy(x, x)[0]", "[[{}], [s]].map(i, i[0])[0]",
    "string(bytes({}))", "base64.encode(bytes({}))", "[{}].slice(0, 1)[0]",
    "{{'a': [{}]}}.map(k, {{'a': [{}]}}[k])[0][0]", "optional.of({}).optMap(x, [x]).value()[0]",
    "{}.trim().upperAscii().reverse().substring(0)", "[lists.range(300), lists.range(400)].flatten()",
    "m.map(k, k + k)", "dyn(m).map(k, dyn(m)[k])", "[l, l, l].flatten()", "lists.range(900).map(i, l)",
    "[s, {}][1]", "[m, {{'x': {}}}][1].x",
)  # fmt: skip
"""Ways that a text goes, after each of which it is as long as before: ``{}`` is the text."""


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_value_is_larger_than_it_is_taken_for(carrier: str) -> None:
    """Whatever a text is put into, joined with and taken out of, the time knows how long it still is."""
    checked = _checked(carrier.format(*(BIG for _ in range(carrier.count("{}")))))
    value = value_of(checked)(FACTS)
    assert not isinstance(value, Failure), value
    assert checked.held is not None
    assert _fits(size_of(value), checked.held), (size_of(value), checked.held)


def test_a_variable_is_as_large_as_its_value() -> None:
    """What is named is not smaller than what stands in its place."""
    named = {"variables.big": _checked(BIG)}
    environment = Environment({"s": StringType(64)}, named=named)
    found = check(parse("variables.big + s"), environment, None)
    assert found.held == Size(65 * 65 + 64)


SPENT = (
    "h.lastIndexOf(h.substring(0, 9000) + 'b' + h.substring(0, 9000)) == size(s)",
    "lists.range(300).map(i, h + string(i)).distinct().size() == 1",
    "lists.range(20).all(i, !s.matches('((a|b|c){0,30}){0,30}!'))",
    "lists.range(100).all(i, !s.matches('(?:((.)+)?){0,300}!'))",
    "lists.range(10).all(i, !h.matches('[a-z]+!'))",
)
HIDDEN = f"cel.bind(h, {BIG}.split('b')[0].replace('', 'aaaaaaaa').split('b')[0], {{}})"


@pytest.mark.parametrize("source", SPENT)
def test_long_texts_and_large_patterns_cost_what_they_take(source: str) -> None:
    """Each takes a good part of a second, or many, and cost a tenth of what a set may take."""
    assert _checked(HIDDEN.format(source)).time > SET_TIME_UNITS_MAX


def _checked(source: str) -> Checked:
    return check(parse(source), ENVIRONMENT, None, cost_limit=None)


def _fits(size: Size, held: Size) -> bool:
    inner = size.inner is None or (held.inner is not None and _fits(size.inner, held.inner))
    return size.count <= held.count and inner
