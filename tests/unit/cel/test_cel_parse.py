"""From text to tree: what is refused, how soon, and where the message points."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfgov.policy.cel import CelSyntaxError, Uint, parse, unparse
from pfgov.policy.cel.limits import NESTING, SOURCE_CHARACTERS, TREE_DEPTH
from pfgov.policy.cel.syntax import Literal_


def refused(source: str) -> CelSyntaxError:
    """The error that *source* gives."""
    with pytest.raises(CelSyntaxError) as caught:
        parse(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "code", "line", "column", "hint"),
    [
        ("a = b", "cel.character", 1, 3, "write == to compare"),
        ("a === b", "cel.character", 1, 5, "write =="),
        (
            "a & b",
            "cel.character",
            1,
            3,
            "write && for and; of lists: sets.intersects(list, other)",
        ),
        ("a | b", "cel.character", 1, 3, "write || for or"),
        ("a and b", "cel.missing_operator", 1, 3, "write &&"),
        ("a or b", "cel.missing_operator", 1, 3, "write ||"),
        ("a not in b", "cel.missing_operator", 1, 3, "write !(a in b)"),
        ("region == eu west", "cel.missing_operator", 1, 14, "write text in quotes"),
        ("a == \N{LEFT DOUBLE QUOTATION MARK}b", "cel.character", 1, 6, 'write a plain "'),
        ("# note", "cel.character", 1, 1, "write // for a comment"),
        ("$a", "cel.character", 1, 1, "write params.name, without a sigil"),
        ("a ==\n  5x", "cel.number", 2, 3, "write text in quotes"),
        ("\N{SNOWMAN} == a", "cel.character", 1, 1, "write text in quotes"),
        ('a == "b', "cel.unterminated", 1, 6, 'add the closing "'),
        ("'''a\nb''' + 'c", "cel.unterminated", 2, 8, "add the closing '"),
        ("a.in", "cel.keyword", 1, 3, "write ['in'] or .`in`"),
        ("24.size()", "cel.number", 1, 1, "write (24)."),
        ("Foo{a: 1}", "cel.message", 1, 1, "write a map in braces: {'key': value}"),
        ("(a", "cel.unbalanced", 1, 1, None),
        ("a)", "cel.unbalanced", 1, 2, None),
        ("(a]", "cel.unbalanced", 1, 3, None),
        ("", "cel.empty", 1, 1, None),
        ("// only a comment", "cel.empty", 1, 1, None),
        ("a +", "cel.syntax", 1, 4, None),
        ("a ? b", "cel.syntax", 1, 6, None),
        ("f(a,)", "cel.syntax", 1, 5, None),
        ("1.", "cel.number", 1, 1, None),
        ("'a' 'b'", "cel.missing_operator", 1, 5, None),
        ("for + 1", "cel.reserved", 1, 1, None),
        ("if(a)", "cel.reserved", 1, 1, None),
        ("'\\q'", "cel.escape", 1, 2, None),
        ("'\\ud800'", "cel.escape", 1, 2, None),
        ("b'\\u0041'", "cel.escape", 1, 3, None),
        ("9223372036854775808", "cel.number", 1, 1, None),
        ("-9223372036854775809", "cel.number", 1, 1, None),
        ("18446744073709551616u", "cel.number", 1, 1, None),
        ("-1u", "cel.number", 1, 1, None),
        ("1e999", "cel.number", 1, 1, None),
        ("a.`b", "cel.backquote", 1, 3, None),
        ("`b`", "cel.backquote", 1, 1, None),
        (".`b`", "cel.backquote", 1, 2, None),
        ("a.`b`in", "cel.backquote", 1, 6, None),
        ("a.`b`in c", "cel.backquote", 1, 6, None),
        (".`b`()", "cel.backquote", 1, 2, None),
        (".?a", "cel.syntax", 1, 3, None),
        (".2u", "cel.syntax", 1, 3, None),
        ("1.5u", "cel.syntax", 1, 4, None),
        ("a.?f()", "cel.syntax", 1, 4, None),
        ("f(a, ?b)", "cel.syntax", 1, 7, None),
        ("{'a': ?b}", "cel.syntax", 1, 7, None),
        ("x.?", "cel.syntax", 1, 3, None),
        ("x.all(1, true)", "cel.macro", 1, 7, None),
        ("x.all(a, a, true)", "cel.macro", 1, 10, None),
        ("has(x)", "cel.macro", 1, 5, None),
        ("has(x.?y)", "cel.macro", 1, 5, None),
        ("has(x.y, z)", "cel.macro", 1, 1, None),
    ],
)
def test_a_slip_gives_one_message_at_its_place(
    source: str, code: str, line: int, column: int, hint: str | None
) -> None:
    """A syntax error has a stable code, the position of the culprit and what was meant."""
    error = refused(source)
    assert (error.code, error.line, error.column) == (code, line, column), error
    if hint is not None:
        assert error.hint == hint
    assert error.problems[0].message == error.message


HOSTILE = {
    "the lexer bomb": '"' + "\\\\" * 19 + "x",
    "a long lexer bomb": 'a == "' + "\\\\" * 2000 + "\n",
    "10,000 deep": "(" * 10_000 + "a" + ")" * 10_000,
    "one too deep": "(" * (NESTING + 1) + "a" + ")" * (NESTING + 1),
    "a chain of 100,000": "||".join(["a"] * 100_000),
    "a long sum": "+".join(["a"] * 2_000),
    "4,000 nots": "!" * 4_000 + "a",
    "200 nots": "!" * 200 + "a",
    "4,000 minuses": "-" * 4_000 + "a",
    "a long ternary": "a?" * 500 + "b" + ":c" * 500,
    "a long path": "a" + ".b" * 2_000,
    "a deep path": "a" + ".b" * TREE_DEPTH,
    "many indexes": "a" + "[0]" * 500,
    "a huge number": "1" * 4_000,
    "one character too long": "a" * (SOURCE_CHARACTERS + 1),
    "a NUL": "a == \x00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused(name: str) -> None:
    """No text makes the parser run long or crash; the lexer bomb alone once took 17 seconds."""
    refused(HOSTILE[name])


def test_limits_hold_at_their_edges() -> None:
    """What is exactly at a limit is accepted."""
    parse("(" * NESTING + "a" + ")" * NESTING)
    parse("a" * SOURCE_CHARACTERS)
    parse("a" + ".b" * (TREE_DEPTH - 1))
    parse(" && ".join(["a"] * 500))
    parse("!" * (TREE_DEPTH - 1) + "a")


def test_the_recursion_limit_is_put_back() -> None:
    """Parsing leaves the interpreter's recursion limit as it was."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5_000)
    try:
        parse("a")
        assert sys.getrecursionlimit() == 5_000
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (r"'\a\b\f\n\r\t\v\\\'\"\`\?'", "\a\b\f\n\r\t\v\\'\"`?"),
        (r"'\x41\X41\u0041\U00000041\101'", "AAAAA"),
        (r"r'\d+'", r"\d+"),
        ("'''a\r\nb'''", "a\nb"),
        ('"""a"b"""', 'a"b'),
        ("''", ""),
        ("''''''", ""),
        (r"b'\xff\377é'", b"\xff\xff\xc3\xa9"),
        (r"br'\x'", b"\\x"),
        (r"rb'\x'", b"\\x"),
        (r"b'\n'", b"\n"),
        ("0x1F", 31),
        ("-0x1F", -31),
        ("0x1Fu", Uint(31)),
        ("7u", Uint(7)),
        ("-9223372036854775808", -(2**63)),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("null", None),
        ("true", True),
    ],
)
def test_literals_have_their_value(source: str, value: object) -> None:
    """A literal decodes to the value the specification gives it, of the exact type."""
    root = parse(source).root
    assert isinstance(root, Literal_)
    assert type(root.value) is type(value)
    assert root.value == value


def test_positions_survive_what_the_parser_never_sees() -> None:
    """Lines and columns are right behind multi-line literals, comments and optional marks."""
    ast = parse("'''a\nb''' == x // note\n && y.?z[?0] == `a`".replace("`a`", "1"))
    assert unparse(ast) == '"a\\nb" == x && y.?z[?0] == 1'
    last = ast.root
    assert (last.line, last.column) == (1, 1)
    assert ast.source[last.span.start : last.span.end].startswith("'''a")


@pytest.mark.parametrize(
    "source",
    [
        "a ? b : c ? d : e",
        "(a ? b : c) ? d : e",
        "a && (b && c)",
        "(a || b) && !(c || d)",
        "-(5) - -5",
        "-(-5)",
        "(a - (b - c)) * d % e",
        "[1, ?a.b][?0].?`c-d`.e.all(x, y, x > y)",
        "l.sortBy(x, x.y)",
        "cel.bind(a, 1, a + a)",
        '{?"a\\n\\x00": b"\\xff\\"", 1u: 1.0e+300}',
        "has(a.b.c) && -x < 1.5",
        "(1).abs() + (1.5).abs() + (1u).abs()",
        "a.map(x, x > 1, x * 2).filter(y, true).exists_one(z, z == 2)",
        "a.transformMap(k, v, k + v).transformMapEntry(k, v, {v: k})",
        "a.transformList(i, v, i > 1, v)",
        "x.optMap(y, y + 1).optFlatMap(y, y.?z)",
        ".a.b(.c(d))",
        "a.`true`.`in`",
        "a in b == c",
        "optional.of(x).orValue(null)",
        "[?-a, ?!b, ?[c][?0], ?(d)]",
        "{?a: b, c: d}",
    ],
)
def test_a_tree_survives_printing(source: str) -> None:
    """Parsing what was printed gives the same tree, and printing is stable."""
    ast = parse(source)
    text = unparse(ast)
    assert parse(text) == ast
    assert unparse(parse(text)) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_survives_as_a_literal(text: str) -> None:
    """Whatever a string holds, its literal reads back as it."""
    literal = unparse(Literal_(parse("a").root.span, text))
    assert parse(literal).root == Literal_(parse("a").root.span, text)


@given(st.binary(max_size=40))
def test_any_bytes_survive_as_a_literal(data: bytes) -> None:
    """Whatever bytes hold, their literal reads back as them."""
    span = parse("a").root.span
    assert parse(unparse(Literal_(span, data))).root == Literal_(span, data)


@given(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
)
def test_any_number_survives_as_a_literal(number: float) -> None:
    """Whatever finite number, its literal reads back as it, bit for bit."""
    root = parse(unparse(Literal_(parse("a").root.span, number))).root
    assert isinstance(root, Literal_)
    assert repr(root.value) == repr(number)


ALPHABET = [*"ab.?:()[]{}!-+*/%<>=&|,'\"\\`0159exu \n", "&&", "||", "==", "in ", "true", "r'"]


@given(st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join))
def test_any_text_parses_or_is_refused_with_a_position(source: str) -> None:
    """No text gives anything but a tree or a syntax error that points into the text."""
    place = _place_or_none(source)
    if place is not None:
        lines = source.split("\n")
        assert 1 <= place[0] <= len(lines)
        assert 1 <= place[1] <= len(lines[place[0] - 1]) + 1


def _place_or_none(source: str) -> tuple[int, int] | None:
    """Where *source* is refused, or None when it parses (and then survives printing)."""
    try:
        ast = parse(source)
    except CelSyntaxError as error:
        return error.line, error.column
    assert parse(unparse(ast)) == ast
    return None
