"""A file that is being written: what was sound before is not checked again, and nothing is missed by that."""

import time
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from support import policy_kit as kit

from pfgov.lsp.beside import Beside
from pfgov.lsp.serving import PROBLEMS_MAX, PolicyServer
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.editing.checked import Alone, check
from pfgov.policy.authoring.editing.fixing import fix_of
from pfgov.policy.authoring.editing.names import Names
from pfgov.policy.compile import wrong_in
from pfgov.policy.load import Files, read_directory
from pfgov.policy.problems import Problem

RULES = (
    "  - {id: floor, require: member.trust_score >= params.floor}\n"
    "  - {id: busy, deny: variables.is_busy}\n"
    "  - {id: home, when: packet.priority > 3, require: member.region in defs.regions}\n"
)
NAMES = (
    "imports: [near]\nparams: {floor: {type: double, value: 0.5}}\n"
    "variables: {is_busy: member.load.active >= 10}\n"
)
NEAR = (
    'apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {name: near, version: "1"}\n'
    "params: {regions: {type: list(string), value: [eu]}}\n"
)
GOOD = kit.policy(RULES, extra=NAMES)
TESTS = (
    "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\ncases:\n  - name: c\n    action: place\n"
    "    packet: {with: {priority: 1}, as: packet}\n    members: [{with: {trust_score: 0.9}, as: m}]\n"
    "    expect: {m: {deny: [busy]}}\n"
)

EDITS = {
    "a typo in a rule": (("member.trust_score", "member.trust_scor"), "cel.unknown_field"),
    "a param of another type": (("type: double, value: 0.5", "type: string, value: x"), "cel.type"),
    "a param that is gone": (("params: {floor", "params: {least"), "policy.unknown_name"),
    "a variable that is broken": (("member.load.active >= 10", "member.lod"), "cel.unknown_field"),
    "an import that is gone": (("imports: [near]\n", ""), "policy.unknown_name"),
    "another import": (("[near]", "[far]"), "policy.unknown_import"),
    "another decision point": (("on: [place]", "on: [register]"), "policy.root_unavailable"),
    "a rule twice": (("id: busy", "id: floor"), "policy.duplicate_rule"),
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Read a folder in which nothing is wrong."""
    return read_directory(kit.write(tmp_path, {"p.policy.yaml": GOOD, "near.yaml": NEAR}))


@pytest.mark.parametrize(
    "line", ["a" * 8_000, "a." * 4_000 + "!", "deny: [" * 1_100 + "]", "a." * 100_000]
)
def test_a_long_line_is_completed_at_once(line: str) -> None:
    """A name before the cursor is looked for from each character of the line to its end: two seconds for 8,000."""
    begun = time.process_time()
    Names(Files()).completions(line, 0, len(line))
    assert time.process_time() - begun < 0.5


def test_problems_in_a_long_line_are_told_at_once() -> None:
    """Where each stands is counted from the beginning of the line: a file of one line stops the editor for minutes."""
    workspace = pytest.importorskip("pygls.workspace")
    served, told = PolicyServer(), list[Any]()
    line = " zz: 1," * 12_000
    document = SimpleNamespace(position_codec=workspace.PositionCodec(), source=line, version=1)
    served.server = SimpleNamespace(
        workspace=SimpleNamespace(get_text_document=lambda _: document),
        text_document_publish_diagnostics=told.append,
    )
    served._open[Path("/x.policy.yaml")] = line
    hint = "did you mean `rules`?"
    problems = [
        Problem("a", "a policy has no key `zz`", "x", 1, 7 * n + 2, hint=hint)
        for n in range(12_000)
    ]
    begun = time.process_time()
    served._publish("file:///x.policy.yaml", tuple(problems))
    assert not any(fix_of(problem, [line]) for problem in problems)
    assert time.process_time() - begun < 2
    assert len(told[0].diagnostics) == PROBLEMS_MAX
    assert {
        (one.range.start.character, one.range.end.character) for one in told[0].diagnostics
    } == {(0, 0)}


def test_a_name_is_completed_wherever_its_line_is_short_enough() -> None:
    """The end of a long expression is not seen."""
    line = "  require: " + "true && " * 800 + "member.trust_"
    assert [
        one.name
        for one in Names(Files()).completions(line, 0, len(line))
        if one.name == "trust_score"
    ]


@pytest.mark.parametrize("name", EDITS)
def test_what_was_sound_is_checked_again_where_it_reads_something_else(
    name: str, files: Files, tmp_path: Path
) -> None:
    """A mistake is missed because its rule was sound before, or it lasts after it was mended."""
    (old, new), code = EDITS[name]
    path, wrong = tmp_path / "p.policy.yaml", GOOD.replace(old, new)
    alone = Alone(files)
    for text in (GOOD, wrong, GOOD, "# moved down by a line\n" + wrong, wrong + "\n", GOOD):
        found = alone.errors(path, text)
        assert found == Alone(files).errors(path, text)
        assert (code in {one.code for one in found}) == (text.strip() != GOOD.strip()), found
    said = {one.code for one in check(tmp_path, {path: wrong}).problems}
    assert {one.code for one in alone.errors(path, wrong)} <= said


def test_what_is_beside_a_file_is_what_was_read_last(files: Files, tmp_path: Path) -> None:
    """Rules stay sound after a definition that they read has changed."""
    alone, path = Alone(files), tmp_path / "p.policy.yaml"
    assert alone.errors(path, GOOD) == ()
    (tmp_path / "near.yaml").write_text(NEAR.replace("list(string), value: [eu]", "int, value: 3"))
    again = read_directory(tmp_path)
    assert alone.is_beside(files)
    assert not alone.is_beside(again)
    assert {one.code for one in Alone(again).errors(path, GOOD)} == {"cel.type"}


def test_a_sound_rule_is_kept_beside_a_mistake(files: Files) -> None:
    """As long as one rule of a file is wrong, each keystroke compiles all the others again."""
    policy, wrong = files.policies[0], replace(files.policies[0].rules[1], id="more")
    assert wrong.condition is not None
    wrong = replace(wrong, condition=replace(wrong.condition, text="member.lod"))
    spoilt = replace(policy, rules=(*policy.rules, wrong))
    problems, sound = wrong_in(spoilt, files.definitions, files.labels)
    assert {one.code for one in problems} == {"cel.unknown_field"}
    assert sound == frozenset(policy.rules)
    assert wrong_in(spoilt, files.definitions, files.labels, sound) == (problems, sound)


PIECES = (
    "member.trust_score", "member.trust_scor", "packet.priority > 3", "params.floor", "params.flor", "defs.regions",
    "[eu]", "[near]", "[far]", "on: [place]", "on: [export]", "0.5", "x", "1", "true", "&&", "&", "- {", "}", "  ",
    "\n", "'", '"', "#", ": ", "\t", "kind: Policy", "kind: PolicyTest", "escalate: true", "deny:", "😀", "\x00",
    "id: floor",
)  # fmt: skip
"""What is typed over what is there, so that files are right, wrong, or no files at all."""


def _edited(text: str, draw: Random) -> str:
    start = draw.randrange(len(text) + 1)
    if draw.random() < 0.5 and (there := [one for one in PIECES if one in text]):
        piece = draw.choice(there)
        return text.replace(piece, draw.choice(PIECES), 1)
    return text[:start] + draw.choice(PIECES) + text[start + draw.choice((0, 0, 1, 7)) :]


@pytest.mark.parametrize("seed", range(4))
def test_an_editor_says_what_check_says_over_random_edits(seed: int, tmp_path: Path) -> None:
    """After some edit, an unsaved folder has other problems, or at other places, than ``policy check`` of the same."""
    draw, root = Random(seed), tmp_path / "edited"
    root.mkdir()
    good = {"p.policy.yaml": GOOD, "q.policy.yaml": GOOD.replace("placement", "other"), "near.yaml": NEAR,
            "p.test.yaml": TESTS}  # fmt: skip
    kit.write(root, good)
    saved, alone, seen = dict(good), Alone(read_directory(root)), set[str]()
    beside = Beside()
    try:
        for _ in range(40):
            name = draw.choice(sorted(good))
            saved[name] = good[name] if draw.random() < 0.4 else _edited(saved[name], draw)
            unsaved = {root / one: text for one, text in saved.items() if text != good[one]}
            said = beside.check(root, unsaved)
            kit.write(tmp_path / "saved", saved)
            there = check_directory(tmp_path / "saved").problems
            assert said.problems == tuple(_moved(one, tmp_path / "saved", root) for one in there)
            seen |= {one.code for one in there}
            if not alone.is_beside(said.files):
                alone = Alone(said.files)
            found = alone.errors(root / name, saved[name])
            assert found == Alone(said.files).errors(root / name, saved[name])
            assert set(found) <= set(said.problems)
    finally:
        beside.stop()
    assert len(seen) > 4


def _moved(problem: Problem, old: Path, new: Path) -> Problem:
    hint = None if problem.hint is None else problem.hint.replace(str(old), str(new))
    where, said = (text.replace(str(old), str(new)) for text in (problem.file, problem.message))
    return replace(problem, file=where, message=said, hint=hint)
