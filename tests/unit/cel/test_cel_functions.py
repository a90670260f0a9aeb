"""The functions of the profile at their edges; the conformance tests hold their middle."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.cel.cel_kit import value

from pfgov.policy.cel import STANDARD, Duration, Failure, Timestamp, Uint
from pfgov.policy.cel.times import (
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
)  # fmt: skip
from pfgov.policy.cel.values import TypeValue

ERROR = object()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # conversions
        ("int('+7')", 7),
        ("int('1_0')", ERROR),
        ("int(' 1')", ERROR),
        ("int('9223372036854775808')", ERROR),
        ("int('" + "1" * 80 + "')", ERROR),
        ("int(1e19)", ERROR),
        ("int(0.0/0.0)", ERROR),
        ("int(duration('1.5s'))", 1),
        ("int(true)", ERROR),
        ("uint('7')", Uint(7)),
        ("uint('+7')", ERROR),
        ("uint(-0.5)", Uint(0)),
        ("uint(1e30)", ERROR),
        ("uint(true)", ERROR),
        ("double('nan') != double('NaN')", True),
        ("double('-Infinity') < -1e308", True),
        ("double('1_0')", ERROR),
        ("double('0x1p3')", ERROR),
        ("double(7u)", 7.0),
        ("double(true)", ERROR),
        ("string(1.0)", "1"),
        ("string(-0.0)", "-0"),
        ("string(1e21)", "1e+21"),
        ("string(123456789.5)", "123456789.5"),
        ("string(0.00001)", "1e-05"),
        ("string(0.0/0.0)", "NaN"),
        ("string(1.0/0.0)", "+Inf"),
        ("string(-1.0/0.0)", "-Inf"),
        ("string(null)", ERROR),
        ("string(b'\\xff')", ERROR),
        ("string(timestamp('2026-01-01T00:00:00.120Z'))", "2026-01-01T00:00:00.12Z"),
        ("string(duration('-1.5s'))", "-1.5s"),
        ("bytes(7)", ERROR),
        ("bool('yes')", ERROR),
        ("bool(1)", ERROR),
        ("timestamp(0)", Timestamp(0)),
        ("timestamp(true)", ERROR),
        ("timestamp(253402300800)", ERROR),
        ("duration(1)", ERROR),
        ("type(type(1))", TypeValue("type")),
        ("base64.decode('a')", ERROR),
        ("base64.decode('a*==')", ERROR),
        ("base64.encode('a')", ERROR),
        # strings
        ("'abc'.charAt(3)", ""),
        ("'abc'.charAt(4)", ERROR),
        ("'abc'.charAt('a')", ERROR),
        ("'abc'.indexOf('c', 4)", ERROR),
        ("'abcabc'.lastIndexOf('abc', 2)", 0),
        ("'abc'.lastIndexOf('c', -1)", ERROR),
        ("'abc'.replace('b', 'x', 0)", "abc"),
        ("'abab'.replace('b', 'x', 1)", "axab"),
        ("'a,b,c'.split(',', 0)", []),
        ("'a,b,c'.split(',', 1)", ["a,b,c"]),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'abc'.split('', 2)", ["a", "bc"]),
        ("'abc'.split('', 9)", ["a", "b", "c"]),
        ("'abc'.substring(2, 1)", ERROR),
        ("'abc'.substring(1)", "bc"),
        ("' a '.trim()", "a"),
        ("'ÀaZ'.lowerAscii() + 'Àaz'.upperAscii()", "ÀazÀAZ"),
        ("'abc'.reverse()", "cba"),
        ("[1, 2].reverse()", [2, 1]),
        ("['a', 1].join()", ERROR),
        ("'abc'.join()", ERROR),
        ("'a'.matches('(')", ERROR),
        ("'a'.matches('" + "a" * 600 + "')", ERROR),
        ("'foobar'.matches('o{2}b')", True),
        ("strings.quote('a\"b')", '"a\\"b"'),
        # format
        ("'%s %d %.1f %e'.format([['a', 1.5, null, {'k': true}], 7, 0.25, 1.0])",
         "[a, 1.5, null, {k: true}] 7 0.2 1.000000e+00"),
        ("'%b %o %x %X %%'.format([5, 8, 'hi', 255])", "101 10 6869 FF %"),
        ("'%s'.format([])", ERROR),
        ("'%q'.format([1])", ERROR),
        ("'%'.format([1])", ERROR),
        ("'%d'.format(['a'])", ERROR),
        ("'%f'.format(['a'])", ERROR),
        ("'%b'.format(['a'])", ERROR),
        ("'%o'.format(['a'])", ERROR),
        ("'%x'.format([1.5])", ERROR),
        ("'%.9999f'.format([1.0])", ERROR),
        ("'%d %f %s'.format([1u, 2u, 3u])", "1 2.000000 3"),
        ("'%s %s %s'.format([1.0/0.0, -1.0/0.0, type(1)])", "Infinity -Infinity int"),
        ("'%s %s'.format([timestamp(0), duration('1s')])", "1970-01-01T00:00:00Z 1s"),
        ("'%b %X'.format([true, b'\\xab'])", "1 AB"),
        ("'%s'.format('a')", ERROR),
        ("'%d'.format([1u])", "1"),
        ("'abc'.join('b')", ERROR),
        ("(1.5).reverse() == x", ERROR),
        # lists and sets
        ("[1, 2, 3].slice(1, 2)", [2]),
        ("[1].slice(0, 2)", ERROR),
        ("[1].slice('a', 2)", ERROR),
        ("[[1, [2]], [3]].flatten()", [1, [2], 3]),
        ("[[1, [2]], [3]].flatten(2)", [1, 2, 3]),
        ("[[1]].flatten(-1)", ERROR),
        ("[[1]].flatten('a')", ERROR),
        ("[1, 1.0, 'a', true, 1u].distinct()", [1, "a", True]),
        ("[3, 1, 2].sort()", [1, 2, 3]),
        ("[3, 'a'].sort()", ERROR),
        ("[null].sort()", ERROR),
        ("[].sort()", []),
        ("[{'n': 2}, {'n': 1}].sortBy(v, v.n)", [{"n": 1}, {"n": 2}]),
        ("['b', 'a'].sort()", ["a", "b"]),
        ("lists.range(3)", [0, 1, 2]),
        ("lists.range(-1)", ERROR),
        ("lists.range(1001)", ERROR),
        ("lists.range('a')", ERROR),
        ("[1].first().value() + [1, 2].last().value()", 3),
        ("[].first().hasValue() || [].last().hasValue()", False),
        ("sets.contains([1, 2, 3], [2.0, 3u])", True),
        ("sets.contains([1], [2])", False),
        ("sets.intersects([1], [2, 1])", True),
        ("sets.intersects([], [1])", False),
        ("sets.equivalent([1, 1], [1u])", True),
        ("sets.equivalent([1, 2], [1])", False),
        ("sets.contains(1, [2])", ERROR),
        ("size({'a': 1, 2: 3}) + size(b'ab') + 'é'.size()", 5),
        ("size(1)", ERROR),
        # optionals
        ("optional.none().value()", ERROR),
        ("optional.of(1).or(optional.of(2)).value()", 1),
        ("optional.none().or(1)", ERROR),
        ("x.or(optional.none())", ERROR),
        ("x.optMap(v, v)", ERROR),
        ("optional.of(1).optFlatMap(v, v)", ERROR),
        ("x.hasValue()", ERROR),
        ("[?x]", ERROR),
        ("{?'a': x}", ERROR),
        ("optional.unwrap([optional.of(1), optional.none()])", [1]),
        ("[optional.of(1)].unwrapOpt()", [1]),
        ("optional.of(optional.of(1)).?a", ERROR),
        ("[0u, duration('0s'), '', b'', [], {}, 0.0].exists(v, optional.ofNonZeroValue(v).hasValue())",
         False),
        ("optional.ofNonZeroValue(optional.none()).hasValue()", False),
        ("optional.ofNonZeroValue(timestamp(0)).hasValue()", True),
        ("1[?0]", ERROR),
        # math
        ("math.greatest([])", ERROR),
        ("math.greatest('a')", ERROR),
        ("math.least(1, 'a')", ERROR),
        ("math.round(-0.5)", -1.0),
        ("math.round(1)", ERROR),
        ("math.ceil(-0.5)", -0.0),
        ("math.trunc(-1.5)", -1.0),
        ("math.isNaN(1)", ERROR),
        ("math.abs(-9223372036854775808)", ERROR),
        ("math.abs(3u)", Uint(3)),
        ("math.abs('a')", ERROR),
        ("math.sign(-2)", -1),
        ("math.sign(0.0/0.0) == 1.0", False),
        ("math.sign('a')", ERROR),
        ("math.sqrt(-1.0) == 0.0", False),
        ("math.sqrt(4u)", 2.0),
        ("math.sqrt('4')", ERROR),
        ("math.bitAnd(1, 1u)", ERROR),
        ("math.bitNot('a')", ERROR),
        ("math.bitShiftLeft(1, 63)", -(2**63)),
        ("math.bitShiftLeft(1, -1)", ERROR),
        ("math.bitShiftLeft('a', 1)", ERROR),
        ("math.bitShiftRight(-1, 1)", 2**63 - 1),
        # time
        ("timestamp('2026-01-01')", ERROR),
        ("timestamp('2026')", ERROR),
        ("timestamp('2026-01-01T00:00:00')", ERROR),
        ("timestamp('2026-02-30T00:00:00Z')", ERROR),
        ("timestamp('2026-01-01T00:00:60Z')", ERROR),
        ("timestamp('2026-01-01T00:00:00+24:00')", ERROR),
        ("timestamp('2026-01-01T00:00:00.1234567890Z')", ERROR),
        ("timestamp('0001-01-01T00:00:00+00:01')", ERROR),
        ("timestamp('1970-01-01T01:00:00.5+01:00')", Timestamp(500_000_000)),
        ("timestamp(0).getHours('+05:30')", 5),
        ("timestamp(0).getMinutes('-00:30')", 30),
        ("timestamp(0).getHours('Europe/Berlin')", ERROR),
        ("timestamp(0).getHours(1)", ERROR),
        ("timestamp(0).getMilliseconds('+25:00')", ERROR),
        ("timestamp(0).getMilliseconds(1)", ERROR),
        ("timestamp(0).getMilliseconds('Mars')", ERROR),
        ("timestamp('0001-01-01T00:00:00Z').getDate('-01:00')", ERROR),
        ("duration('-1.5s').getMilliseconds()", -500),
        ("duration('-90m').getHours()", -1),
        ("duration('1h').getMinutes('UTC')", ERROR),
        ("duration('')", ERROR),
        ("duration('1')", ERROR),
        ("duration('1x')", ERROR),
        ("duration('+1h1m1s1ms1us1ns')", Duration(3_661_001_001_001)),
        ("duration('300000h') + duration('2562047h')", ERROR),
        ("-duration('1s')", Duration(-(10**9))),
        ("timestamp(0) - duration('1s')", Timestamp(-(10**9))),
        ("duration('1s') + timestamp(0)", Timestamp(10**9)),
        ("duration('0')", Duration(0)),
    ],
)  # fmt: skip
def test_at_the_edge(source: str, expected: object) -> None:
    """Each function gives the specified value, or an error, at its edges."""
    found = value(source, x=1)
    if expected is ERROR:
        assert isinstance(found, Failure), found
    else:
        assert type(found) is type(expected), found
        assert repr(found) == repr(expected)


WRONG: list[Any] = [None, True, 1, 1.5, Uint(1), "a", b"a", [1], {"a": 1}, Timestamp(0), object()]


@pytest.mark.parametrize("name", sorted(STANDARD))
def test_no_function_breaks_on_any_value(name: str) -> None:
    """Whatever values a function is given, it answers or fails with a CelError."""
    from itertools import product

    from pfgov.policy.cel import CelError
    from pfgov.policy.cel.errors import WorkExceededError
    from pfgov.policy.cel.values import type_of

    function = STANDARD[name]
    for count in {len(overload.arguments) for overload in function.overloads}:
        for arguments in product(WRONG, repeat=count):
            try:
                result = function.call(*arguments)
            except (CelError, WorkExceededError):
                continue
            if not any(type(argument) is object for argument in arguments):
                type_of(result)


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1))
def test_any_timestamp_survives_as_text(ns: int) -> None:
    """Formatting and parsing a timestamp gives it back, to the nanosecond."""
    assert parse_timestamp(format_timestamp(Timestamp(ns))) == Timestamp(ns)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_duration_survives_as_text(ns: int) -> None:
    """Formatting and parsing a duration gives it back, to the nanosecond."""
    assert parse_duration(format_duration(Duration(ns))) == Duration(ns)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_survives_as_text(number: float) -> None:
    """string() of a double reads back as it."""
    assert float(str(value("string(x)", x=number))) == number
    assert not math.isnan(number)
