"""What the rules of a set may take together, on one candidate and in one decision."""

import time
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import OPERATOR, fresh, opened, packet, register, submit

from pfgov.core.judging import member_facts
from pfgov.core.policy_port import Question
from pfgov.core.verdicts import PLACING, Point
from pfgov.errors import DecisionTooLongError
from pfgov.policy import PolicyErrors, PolicySet, from_document, load_directory
from pfgov.policy.authoring.editing.checked import Alone
from pfgov.policy.budget import too_costly
from pfgov.policy.cel import BOOL, Environment, StringType, Timestamp, check, exact, parse
from pfgov.policy.cel.types import TIMESTAMP, ListType
from pfgov.policy.files.labels import Declarations, pattern
from pfgov.policy.judging.evaluator import LOOK_UNITS, RuleEvaluator, in_pieces, look, watched
from pfgov.policy.limits import PATTERNS_MAX, SET_TIME_UNITS_MAX, SOURCE_CHARACTERS_MAX
from pfgov.policy.load import Files

HEADER = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: NAME, version: "1", description: d}
on: [register, place, retain]
rules:
"""
DATES = "timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')"
LOOP = f"lists.range(1000).all(x, {DATES} || member.id == 'm' + string(x))"


def _write(folder: Path, rules: list[str], name: str = "p") -> Path:
    folder.mkdir(exist_ok=True)
    lines = [f'  - id: r{number}\n    require: "{rule}"\n' for number, rule in enumerate(rules)]
    (folder / f"{name}.policy.yaml").write_text(HEADER.replace("NAME", name) + "".join(lines))
    return folder


def _codes(folder: Path) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load_directory(folder)
    return [problem.code for problem in caught.value.problems]


def test_policy_a_set_of_costly_rules_is_refused(tmp_path: Path) -> None:
    """Each of ten rules is within its own bound, and together they would keep a server from answering for seconds."""
    assert load_directory(_write(tmp_path / "few", [LOOP])).digest
    folder = _write(tmp_path / "many", [LOOP] * 10)
    with pytest.raises(PolicyErrors) as caught:
        load_directory(folder)
    problem = caught.value.problems[0]
    assert (problem.code, problem.line) == ("policy.too_costly", 7)
    assert f"{SET_TIME_UNITS_MAX:,}" in problem.message
    assert "p/r0" in problem.message


def test_policy_costly_rules_are_counted_over_all_files(tmp_path: Path) -> None:
    """Spreading the rules over files, or hiding the loop in a variable, changes nothing."""
    for number in range(10):
        _write(tmp_path / "set", [LOOP], f"p{number}")
    assert _codes(tmp_path / "set") == ["policy.too_costly"]
    folder = tmp_path / "named"
    folder.mkdir()
    text = HEADER.replace("NAME", "p").replace("rules:", f'variables:\n  slow: "{LOOP}"\nrules:')
    rules = "".join(
        f"  - id: r{n}\n    require: variables.slow || member.region == 'r{n}'\n" for n in range(10)
    )
    (folder / "p.policy.yaml").write_text(text + rules)
    assert _codes(folder) == ["policy.too_costly"]


def test_policy_a_set_that_a_ledger_recorded_is_read_all_the_same(tmp_path: Path) -> None:
    """What was made binding under earlier bounds still compiles, so that its ledger opens and replays."""
    few = load_directory(_write(tmp_path / "few", [LOOP]))
    raw = few.document
    assert not too_costly(from_document(raw))
    many = _unbounded(_write(tmp_path / "many", [LOOP] * 10))
    assert too_costly(from_document(many.document))


def _unbounded(folder: Path, bound: str = "SET_TIME_UNITS_MAX") -> PolicySet:
    """Load as an older version did."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"pfgov.policy.budget.limits.{bound}", 1 << 60)
        return load_directory(folder)


def test_policy_a_set_of_too_much_text_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing takes time, too: a thousand long expressions are refused by their length."""
    rule = "member.id != 'x' && " * 100 + "member.id != 'y'"
    folder = _write(tmp_path / "long", [rule] * (SOURCE_CHARACTERS_MAX // len(rule) + 1))
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.policy.compile.parse", lambda _: pytest.fail("it is parsed"))
        assert _codes(folder) == ["policy.too_many"]
    assert load_directory(_write(folder, [rule] * 4)).digest


def test_policy_an_engine_takes_no_costly_set_whoever_offers_it(tmp_path: Path) -> None:
    """The library's door is held to the bound as the others are; a set that is binding already stays."""
    many = _unbounded(_write(tmp_path / "many", [LOOP] * 10))
    with opened(fresh(tmp_path)) as engine:
        with pytest.raises(PolicyErrors) as caught:
            engine.activate(many, principal=OPERATOR)
        assert caught.value.problems[0].code == "policy.too_costly"
        assert engine.status().size == 2


SAMPLES = (
    f"lists.range(1000).all(x, {DATES})",
    "lists.range(1000).all(x, timestamp('2026-01-01T00:00:00Z') + duration('1h2m3s4ms') > t)",
    "lists.range(1000).all(x, t.getHours('+05:30') >= 0 && t.getDayOfYear() >= 0)",
    "lists.range(1000).all(x, string(t) != '' && string(double(x)) != '')",
    "lists.range(1000).all(x, double(string(x)) >= 0.0 && int(string(x)) >= 0)",
    "lists.range(1000).all(x, duration(string(x) + 's') >= duration('0s'))",
    "lists.range(1000).all(x, s.matches('a*b*c*d*z') && s.matches('a'))",
    "lists.range(1000).all(x, !s.matches(string(x) + '[[:alpha:]]{1,500}'))",
    "lists.range(1000).all(x, !s.matches(string(x) + '((((a{1,9}){1,9}){1,9}))'))",
    "lists.range(20).all(x, !s.matches('((a|b|c){0,30}){0,30}!'))",
    "lists.range(20).all(x, !s.matches('(?:((.)+)?){0,300}!'))",
    "lists.range(20).all(x, !(s + 'é').matches('(([ab])?(a?)*)[^z]{0,99}!'))",
    "lists.range(100).all(x, duration(s.replace('a', '1s').split('z')[0]) > duration('1s'))",
    "lists.range(100).all(x, '%s'.format([lists.range(1000)]) != '')",
    "lists.range(1000).all(x, '%.1000e%.1000f'.format([1e-300, 1e300]) != '')",
    "lists.range(1000).all(x, size(s.split('a')) > 0 && s.split('').join(',') != '')",
    "lists.range(1000).all(x, base64.decode('aGVsbG8=') != b'' && s.charAt(3) != '')",
    "lists.range(1000).all(x, s.replace('a', 'bb') != '' && s.lowerAscii() != '')",
    "lists.range(100).all(x, size(l.distinct()) > 0 && size(l.sort()) > 0)",
    "lists.range(1000).all(x, size(lists.range(1000)) > 0)",
)


@pytest.mark.parametrize("source", SAMPLES)
def test_policy_units_are_time(source: str) -> None:
    """A unit is never much more than one comparison in a loop takes here, whatever function the time is spent in."""
    environment = Environment(
        {"s": StringType(128), "t": TIMESTAMP, "l": ListType(StringType(128), 64)},
        constant_conditions=True,
    )
    facts: dict[str, object] = {"s": "a" * 127 + "z", "t": Timestamp(10**18), "l": ["a" * 127] * 64}

    def per_unit(text: str) -> float:
        checked = check(parse(text), environment, BOOL, cost_limit=None)
        run = exact(checked)
        assert run(facts) is True
        best = min(_spent(run, facts) for _ in range(3))
        return best / checked.time

    # The plain loop takes about half of what a unit may; four times that leaves room for a busy machine.
    assert per_unit(source) < 6 * per_unit("lists.range(1000).all(x, x >= 0)")


def _spent(run: Any, facts: dict[str, object]) -> float:
    begun = time.thread_time()
    run(facts)
    return time.thread_time() - begun


# --- in one decision ----------------------------------------------------------------------


def test_policy_a_decision_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many members even rules within their bound take long: nothing is recorded, and the engine goes on."""
    spent = 0

    def processor() -> int:
        nonlocal spent
        spent += 400_000
        return spent

    slow = load_directory(_write(tmp_path / "slow", [LOOP] * 4))
    with opened(fresh(tmp_path)) as engine:
        for number in range(12):
            register(engine, f"m{number}")
        engine.activate(slow, principal=OPERATOR, leave_uncovered=PLACING)
        size = engine.status().size
        with monkeypatch.context() as patch:
            patch.setattr("pfgov.engine.sequencing.deciding.processor_micros", processor)
            patch.setattr("pfgov.engine.sequencing.deciding.MOMENT_SECONDS", 0.0)
            with pytest.raises(DecisionTooLongError):
                submit(engine, packet("p"))
        assert engine.status().size == size
        monkeypatch.setattr("pfgov.engine.sequencing.deciding.processor_micros", lambda: 0)
        submit(engine, packet("p"))
        assert engine.reader.packet("p").owner is not None


def test_policy_the_time_of_compiling_is_not_the_time_of_a_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine the first command after a start is refused, because its set had to be compiled."""
    spent = 0

    def compiled(document: bytes) -> PolicySet:
        nonlocal spent
        spent += 10_000_000
        return from_document(document, generated=True)

    monkeypatch.setattr("pfgov.engine.sequencing.deciding._compile", compiled)
    monkeypatch.setattr("pfgov.engine.sequencing.deciding.processor_micros", lambda: spent)
    monkeypatch.setattr("pfgov.engine.sequencing.deciding.MOMENT_SECONDS", 0.0)
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        submit(engine, packet("p"))
        assert engine.reader.packet("p").owner == "m"
    assert spent >= 10_000_000


def test_policy_time_is_asked_for_between_candidates() -> None:
    """The dearer a candidate, the more often; a single one is asked about once."""
    asked: list[int] = []
    with watched(lambda: asked.append(1)):
        assert [len(piece) for piece in in_pieces(range(10), LOOK_UNITS // 3)] == [3, 3, 3, 1]
        assert len(asked) == 4
        assert [len(piece) for piece in in_pieces(range(3), 2 * LOOK_UNITS)] == [1, 1, 1]
        assert [len(piece) for piece in in_pieces(range(1_000), 0)] == [1_000]
        look()
    assert len(asked) == 9
    look()
    assert len(asked) == 9, "nobody asks outside"


def test_policy_every_way_of_judging_asks_for_time(tmp_path: Path) -> None:
    """One by one and by class, by generated code and exactly, with reasons and without: all give up in the middle."""
    folder = _write(tmp_path / "slow", [LOOP] * 4 + ["member.id != 'm3'"])
    members: list[Any] = []
    with opened(fresh(tmp_path)) as engine:
        for number in range(64):
            register(engine, f"m{number}")
        state = engine.reader.state()
        members = [
            member_facts(state.members[name], Declarations()) for name in sorted(state.members)
        ]
    question = Question(Point.RETAIN, "retain", packet=None)
    for generated in (True, False):
        judges = load_directory(folder, generated=generated)
        for ask in (
            lambda judges=judges: judges.judge(question, members, validated=True),
            lambda judges=judges: judges.judge(question, members),
            lambda judges=judges: judges.fleet(Point.RETAIN).kinds(question, members),
        ):
            count = 0

            def check() -> None:
                nonlocal count
                count += 1
                if count > 3:
                    raise DecisionTooLongError("enough")

            with watched(check), pytest.raises(DecisionTooLongError):
                ask()


@pytest.mark.parametrize("generated", [True, False])
def test_policy_each_evaluator_asks_for_time(tmp_path: Path, generated: bool) -> None:
    """All rules of a point, one rule for a column of a fleet, and the making of a reason each ask by themselves."""
    judges = load_directory(_write(tmp_path / "some", ["member.id != 'x'"]), generated=generated)
    judge = judges.judges[Point.RETAIN]
    members = [{"id": "m"}]

    def enough() -> None:
        raise DecisionTooLongError("enough")

    for ask in (
        lambda: judge._evaluator.failing({}, members, validated=False),
        lambda: RuleEvaluator(judge.rules[0], generated=generated).failing({}, members),
        lambda: judge._explainers[0].reason({"member": {"id": "x"}}),
    ):
        with watched(enough), pytest.raises(DecisionTooLongError):
            ask()


# --- patterns -----------------------------------------------------------------------------

LARGE = "(?:(.)*(.)*(.)*){0,500}!"
"""Some seventeen thousand steps, all of which a text of no end in particular keeps in mind at once."""


def _labels(folder: Path, patterns: list[str]) -> Path:
    rows = "".join(
        f"  l{n}: {{type: string, set_by: [operator], pattern: '{text}'}}\n"
        for n, text in enumerate(patterns)
    )
    head = 'apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: "1", description: d}\n'
    _write(folder, ["member.id != 'm'"])
    (folder / "labels.yaml").write_text(f"{head}packet:\n{rows}")
    return folder


def test_policy_patterns_of_labels_are_bounded_together(tmp_path: Path) -> None:
    """Whoever sets a label's value has it held to its pattern, which no rule counts: ten such took a second each."""
    assert load_directory(_labels(tmp_path / "few", ["[a-z]{1,64}(-[a-z]{1,64})?"] * 32)).digest
    many = _labels(tmp_path / "many", [f"{LARGE}{n}" for n in range(10)])
    with pytest.raises(PolicyErrors) as caught:
        load_directory(many)
    assert [problem.code for problem in caught.value.problems] == ["policy.too_costly"]
    assert caught.value.problems[0].file.endswith("labels.yaml")


def test_policy_a_pattern_of_a_label_that_is_too_large_says_what_to_write(tmp_path: Path) -> None:
    """Whoever bounds a length in a pattern is told that it is none, in the bytes of a library, and not what to do."""
    with pytest.raises(PolicyErrors) as caught:
        load_directory(_labels(tmp_path, [r"\pL{1,64}", "("]))
    large, wrong = caught.value.problems
    assert (
        large.message == r"'\\pL{1,64}' is not an RE2 pattern: pattern too large - compile failed"
    )
    assert "repeat it without a number" in (large.hint or "")
    assert (wrong.message, wrong.hint) == ("'(' is not an RE2 pattern: missing ): (", None)


def test_policy_patterns_of_labels_are_bounded_over_all_files(tmp_path: Path) -> None:
    """Each file is within the bound; an engine takes no set of both, whoever offers it, and reads one that it has."""
    folder = _labels(tmp_path / "set", [f"{LARGE}{n}" for n in range(3)])
    other = (folder / "labels.yaml").read_text().replace("name: labels", "name: others")
    (folder / "others.yaml").write_text(
        other.replace("packet:", "member:").replace("{0,500}", "{0,501}")
    )
    assert _codes(folder) == ["policy.too_costly"]
    made = _unbounded(folder, "LABEL_PATTERN_STEPS_MAX")
    with opened(fresh(tmp_path)) as engine, pytest.raises(PolicyErrors):
        engine.activate(made, principal=OPERATOR, leave_uncovered=PLACING)
    assert from_document(made.document).labels.packet["l0"].pattern == f"{LARGE}0"


def test_policy_a_label_of_a_recorded_set_has_whatever_pattern_it_had(tmp_path: Path) -> None:
    """What took more memory to be compiled than a pattern may take now still says which values there are."""
    huge = "(?:" + "(.)*" * 30 + "){0,500}!"
    assert _codes(_labels(tmp_path / "huge", [huge])) == ["policy.label"]
    assert pattern(huge).fullmatch("!")


def test_policy_a_set_that_matches_too_many_patterns_is_refused_before_they_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand patterns of twenty characters take half a minute to be compiled; an editor is told so, too."""
    rule = " && ".join(f"!member.id.matches('(.?a){{0,99}}{n}')" for n in range(16))
    folder = _write(tmp_path / "many", [rule] * (PATTERNS_MAX // 16))
    assert PATTERNS_MAX % 16 == 0
    assert _codes(folder) == ["policy.too_costly"]
    _write(folder, [rule] * (PATTERNS_MAX // 16) + ["member.id.matches('a')"])
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.policy.compile.parse", lambda _: pytest.fail("it is parsed"))
        assert _codes(folder) == ["policy.too_many"]
        path = folder / "p.policy.yaml"
        found = Alone(Files()).errors(path, path.read_text())
    assert [problem.code for problem in found] == ["policy.too_many"]
