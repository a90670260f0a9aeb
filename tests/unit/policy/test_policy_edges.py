"""The edges of loading and reading: limits, hostile folders, odd files, and functions on their own."""

import json
import os
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.errors import PolicyError
from pfgov.policy import PolicyErrors, limits, load_directory
from pfgov.policy.authoring import asking
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.inputs import complete, differences, vary
from pfgov.policy.authoring.lint import lint
from pfgov.policy.cel import CelError
from pfgov.policy.files import params
from pfgov.policy.judging.functions import (
    FUNCTIONS,
    split_requirement,
)
from pfgov.policy.load import compiled_files, read_directory

TRUST = "  - {id: trust, require: member.trust_score >= 0.6}\n"


def codes(folder: Path) -> list[str]:
    """Return the codes of every problem of a folder."""
    with pytest.raises(PolicyErrors) as caught:
        load_directory(folder)
    return [problem.code for problem in caught.value.problems]


# --- folders ----------------------------------------------------------------------------------


def test_unreadable_bytes_are_a_problem_of_the_file(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 and files that are too large are refused by name."""
    (tmp_path / "a.policy.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.policy.yaml").write_bytes(b"#" * (limits.FILE_BYTES_MAX + 1))
    (tmp_path / "c.policy.yaml").symlink_to(tmp_path / "nowhere")
    assert codes(tmp_path) == [
        "policy.yaml.encoding",
        "policy.yaml.too_large",
        "policy.unreadable",
    ]


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    """Editors that write a byte order mark write policies, too."""
    (tmp_path / "a.policy.yaml").write_text("\ufeff" + kit.policy(TRUST), encoding="utf-8")
    assert load_directory(tmp_path).points


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more files than the limit is refused, not read half."""
    monkeypatch.setattr(limits, "FILES_MAX", 2)
    for number in range(3):
        kit.write(tmp_path, {f"{number}.policy.yaml": kit.policy(TRUST, name=f"p{number}")})
    assert codes(tmp_path) == ["policy.too_many"]


def test_too_many_rules_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set has a bounded number of rules and policies; a policy a bounded number of rules."""
    monkeypatch.setattr(limits, "RULES_PER_SET_MAX", 8)
    many = "".join(f"  - {{id: r{n}, require: member.trust_score > 0.{n}1}}\n" for n in range(3))
    kit.write(tmp_path, {"a.policy.yaml": kit.policy(many)})
    assert codes(tmp_path) == ["policy.too_many"]
    monkeypatch.setattr(limits, "RULES_PER_POLICY_MAX", 2)
    assert codes(tmp_path) == ["policy.too_many"]


def test_what_is_no_policy_is_named_with_why_it_is_not_read(tmp_path: Path) -> None:
    """Folders of tools and texts are no problem; they are listed with the reason, not passed over in silence."""
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": kit.policy(TRUST),
            ".git/b.yaml": "garbage: [",
            "a.policy.yaml.bak": kit.policy(TRUST, name="other"),
            "fixtures/README.md": "garbage: [",
            "README.md": "garbage: [",
        },
    )
    assert load_directory(tmp_path).points
    unread = read_directory(tmp_path).unread
    names = [item.path.relative_to(tmp_path).as_posix() for item in unread]
    assert names == [".git", "README.md", "a.policy.yaml.bak", "fixtures/README.md"]
    assert all(item.why for item in unread)


MORE = kit.policy('  - {id: never, deny: member.type == "model"}\n', name="strict")


@pytest.mark.parametrize(
    "name",
    [
        "x.POLICY.YAML", "x.policy.Yaml", "X.YML", ".hidden.policy.yaml", "x.TEST.yaml", "x.test.yaml",
        "fixtures/x.yaml", "fixtures/deep/x.yml",
    ],
)  # fmt: skip
def test_a_policy_where_none_is_read_refuses_the_folder(tmp_path: Path, name: str) -> None:
    """A restrictive policy is never skipped: whatever hides it from the loader is a problem, at check and at load."""
    kit.write(tmp_path, {"a.policy.yaml": kit.policy(TRUST), name: MORE})
    with pytest.raises(PolicyErrors) as caught:
        load_directory(tmp_path)
    assert str(tmp_path / name) in {problem.file for problem in caught.value.problems}
    assert {problem.file for problem in check_directory(tmp_path).errors} == {str(tmp_path / name)}


def test_a_policy_behind_a_link_is_read_or_named(tmp_path: Path) -> None:
    """A link to a file is read as the file; one to a folder is refused, for it could lead anywhere."""
    folder, outside = tmp_path / "set", tmp_path / "outside"
    kit.write(tmp_path, {"set/a.policy.yaml": kit.policy(TRUST), "outside/s.policy.yaml": MORE})
    (folder / "s.policy.yaml").symlink_to(outside / "s.policy.yaml")
    assert [name for name, _, _ in load_directory(folder).policies] == [
        "kernel",
        "placement",
        "strict",
    ]
    (folder / "s.policy.yaml").unlink()
    (folder / "more").symlink_to(outside)
    assert codes(folder) == ["policy.unread"]


def test_a_pipe_that_is_named_like_a_policy_hangs_nobody(tmp_path: Path) -> None:
    """What is no regular file is refused without being opened."""
    kit.write(tmp_path, {"a.policy.yaml": kit.policy(TRUST)})
    os.mkfifo(tmp_path / "b.policy.yaml")
    assert codes(tmp_path) == ["policy.unread"]


def test_two_policies_of_one_name_are_refused(tmp_path: Path) -> None:
    """Names are unique in a set, in whatever folders the files stand; the other one is named."""
    kit.write(
        tmp_path, {"a/x.policy.yaml": kit.policy(TRUST), "b/y.policy.yaml": kit.policy(TRUST)}
    )
    with pytest.raises(PolicyErrors) as caught:
        load_directory(tmp_path)
    (problem,) = caught.value.problems
    assert problem.code == "policy.duplicate_name"
    assert problem.hint == f"the other one is in {tmp_path / 'a' / 'x.policy.yaml'}"


def test_an_error_is_also_an_error_of_the_border(tmp_path: Path) -> None:
    """Every problem is in `errors`, with its place, as every other input's problems are."""
    kit.write(tmp_path, {"a.policy.yaml": kit.policy("  - {id: t, require: member.x > 1}\n")})
    with pytest.raises(PolicyErrors) as caught:
        load_directory(tmp_path)
    (error,) = caught.value.errors
    assert (error.pointer.endswith("a.policy.yaml:6:29"), error.code) == (True, "cel.unknown_field")
    assert caught.value.codes == ("cel.unknown_field",)


DEFINITIONS = (
    "apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {{name: {name}, version: '1'}}\n"
    "params: {{floor: {{type: double, value: 0.5}}}}\n{extra}"
)


def test_names_from_two_imports_do_not_collide_in_silence(tmp_path: Path) -> None:
    """A name that two imports define is refused rather than taken from the last one."""
    text = kit.policy(
        "  - {id: t, require: member.trust_score > defs.floor}\n", extra="imports: [one, two]\n"
    )
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": text,
            "one.yaml": DEFINITIONS.format(name="one", extra=""),
            "two.yaml": DEFINITIONS.format(name="two", extra=""),
        },
    )
    assert codes(tmp_path) == ["policy.duplicate_name"]


def test_a_definition_that_nobody_imports_is_checked_all_the_same(tmp_path: Path) -> None:
    """A mistake in shared definitions is found before anybody uses them."""
    extra = "variables: {bad: member.trust > 1}\n"
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": kit.policy(TRUST),
            "one.yaml": DEFINITIONS.format(name="one", extra=extra),
        },
    )
    assert codes(tmp_path) == ["cel.unknown_field"]


def test_a_definition_that_is_not_imported_is_suggested(tmp_path: Path) -> None:
    """Using `defs.x` without the import names the file to import."""
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": kit.policy("  - {id: t, require: member.trust_score > defs.floor}\n"),
            "one.yaml": DEFINITIONS.format(name="one", extra=""),
        },
    )
    with pytest.raises(PolicyErrors) as caught:
        load_directory(tmp_path)
    assert caught.value.problems[0].hint == "import one, which defines it"


def test_a_variable_that_makes_no_sense_anywhere_is_reported_once(tmp_path: Path) -> None:
    """A broken variable is one problem however many rules and decision points use it."""
    text = kit.policy(
        "  - {id: a, require: variables.bad}\n  - {id: b, deny: variables.bad}\n",
        on="[place, retain, register]",
        extra="variables: {bad: member.trust > 1}\n",
    )
    assert [item[0] for item in kit.problems(tmp_path, text)] == ["cel.unknown_field"]


def test_a_variable_is_fine_where_its_facts_exist(tmp_path: Path) -> None:
    """A variable about packets may stand in a policy for `register`, if no rule there uses it."""
    text = kit.policy(
        "  - {id: a, on: [assign], when: variables.pii, require: member.trust_score > 0.5}\n"
        "  - {id: b, on: [register], require: has(member.region)}\n",
        on="[assign, register]",
        extra="variables: {pii: 'packet.data_classes.exists(c, c == \"pii\")'}\n",
    )
    assert kit.problems(tmp_path, text) == []
    broken = text.replace("require: has(member.region)", "require: variables.pii")
    found = kit.problems(tmp_path, broken)
    assert [item[0] for item in found] == ["policy.root_unavailable"]


def test_lint_says_what_nobody_uses(tmp_path: Path) -> None:
    """Unused variables, imports and definitions are warnings; a use through a variable counts."""
    text = kit.policy(
        "  - {id: a, require: variables.outer, message: '{params.shown}'}\n",
        extra=(
            "imports: [one]\n"
            "params: {shown: {type: int, value: 1}, inner: {type: double, value: 0.5}}\n"
            "variables:\n  in_use: member.trust_score > params.inner\n"
            "  outer: variables.in_use || member.reliability > 0.9\n  idle: member.reliability > 0.1\n"
        ),
    )
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": text,
            "one.yaml": DEFINITIONS.format(name="one", extra=""),
            "two.yaml": DEFINITIONS.format(name="two", extra=""),
        },
    )
    files = read_directory(tmp_path)
    compiled, _ = compiled_files(files)
    assert compiled is not None
    found = [problem.code for problem in lint(files.policies, files.definitions, compiled)]
    assert sorted(found) == [
        "policy.unused_definitions",
        "policy.unused_import",
        "policy.unused_variable",
    ]


# --- params -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("bool", 1), ("bool", "true"), ("int", 1.0), ("int", True), ("int", 2**53),
        ("double", True), ("double", "1"), ("double", float("inf")), ("string", 1), ("string", None),
        ("duration", "15"), ("duration", 15), ("duration", "0s"), ("list(string)", "a"),
        ("list(string)", [1]), ("list(int)", [1.5]), ("map(string, int)", [1]),
        ("map(string, bool)", {"a": 1}), ("list(string)", ["a"] * (limits.LIST_PARAM_MAX + 1)),
    ],
)  # fmt: skip
def test_a_constant_of_another_type_is_refused(type_name: str, value: object) -> None:
    """A constant is exactly of its type: a boolean is no number, a float no integer."""
    with pytest.raises(params.ParamError):
        params.convert(type_name, value)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("bool", True), ("int", -5), ("double", 0.1), ("string", "x"), ("duration", "15m"),
        ("list(double)", [0.5, 1.0]), ("list(string)", []), ("map(string, double)", {"b": 0.1, "a": 2.0}),
        ("map(string, string)", {"k": "v"}),
    ],
)  # fmt: skip
def test_constants_survive_the_document(type_name: str, value: object) -> None:
    """A constant comes back from its form in the document as it was."""
    exact = params.convert(type_name, value)
    document = json.loads(json.dumps(params.to_document(exact)))
    assert params.from_document(type_name, document) == exact
    assert "." not in json.dumps(document).replace('"', "x") or type_name != "int"


# --- functions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "regions", "within"),
    [
        ("us-east", ["us-east"], True),
        ("us-east/1a", ["eu", "us-east"], True),
        ("us-east/1a/rack-2", ["us-east/1a"], True),
        ("us-east", ["us-east/1a"], False),
        ("us-east-2", ["us-east"], False),
        ("US-EAST", ["us-east"], False),
        ("us-east", [], False),
        ("", [""], True),
        ("/x", [""], True),
    ],
)
def test_regions_contain_what_stands_below_them(
    region: str, regions: list[str], within: bool
) -> None:
    """A region is inside another by whole steps of its path, and in no other way."""
    by_name = {function.name: function.call for function in FUNCTIONS}
    assert by_name["region_within"](region, regions) is within


@pytest.mark.parametrize("arguments", [(1, []), ("a", "a"), ("a", [1]), ("a", None), (None, ["a"])])
def test_region_within_takes_nothing_else(arguments: tuple[object, object]) -> None:
    """A value of another type is an error, and an error never allows."""
    by_name = {function.name: function.call for function in FUNCTIONS}
    with pytest.raises(CelError):
        by_name["region_within"](*arguments)


@pytest.mark.parametrize(
    "arguments", [(1, {}), ("a", []), ("a", {"a": None}), ("a>=1", {"a": 1}), ("a>=x", {"a": "1"})]
)
def test_capability_match_takes_nothing_else(arguments: tuple[object, object]) -> None:
    """A malformed requirement or version is an error, and an error never allows."""
    by_name = {function.name: function.call for function in FUNCTIONS}
    with pytest.raises(CelError):
        by_name["capability_match"](*arguments)


def test_requirements_are_names_with_bounds() -> None:
    """A requirement is a name, or a name with a PEP 440 specifier set."""
    assert split_requirement("ocr") == ("ocr", None)
    assert split_requirement("ocr >=1.2,<2") == ("ocr", ">=1.2,<2")
    assert split_requirement("ocr~=1.2") == ("ocr", "~=1.2")
    match = {function.name: function.call for function in FUNCTIONS}["capability_match"]
    assert match("ocr>=1", {"ocr": "1.0"}) is True
    assert match("ocr>=1", {"plan": "1.0"}) is False
    for bad in ("", " ocr", "ocr >>> 1", ">=1", "ocr>="):
        with pytest.raises(ValueError, match=r"capability|specifier"):
            split_requirement(bad)


# --- facts from files -------------------------------------------------------------------------


def test_what_is_left_out_gets_a_neutral_default() -> None:
    """A completed member has every required fact and no optional one that was not stated."""
    facts = complete("member", {"capabilities": ["ocr"], "load": {"cpu": 2.0}}, "m")
    assert facts["id"] == "m"
    assert facts["capability_versions"] == {"ocr": ""}
    assert facts["load"] == {"active": 0, "cpu": 2.0, "memory": 0.0, "pressure": 0.0}
    assert "trust_score" not in facts
    assert "region" not in facts
    assert set(complete("packet", {}, "p")) == set(kit.packet())
    assert set(complete("member", {"region": "x", "trust_score": 1.0}, "m")) == set(kit.member())


def test_a_variation_changes_what_it_names() -> None:
    """`with` goes into records and replaces everything else, labels included."""
    base = complete("packet", {"labels": {"a": "1"}, "handoff": {"reason": "x"}}, "p")
    varied = vary(base, {"labels": {"b": "2"}, "handoff": {"allowed": False}})
    assert varied["labels"] == {"b": "2"}
    assert varied["handoff"] == {"allowed": False, "reason": "x"}
    assert differences("packet", complete("packet", {"priority": 3}, "packet")) == {"priority": 3}


def test_members_come_from_lists_and_answers(tmp_path: Path) -> None:
    """A list, the answer of the API, and one member alone can all be asked about."""
    member = {"member_id": "a", "cpu_capacity": 50.0, "trust": {"score": 0.9, "source": "x"}}
    files = {
        "list.json": json.dumps([member, {"id": "b"}]),
        "answer.json": json.dumps({"items": [member]}),
        "one.json": json.dumps(member),
    }
    kit.write(tmp_path, files)
    found = asking.read_many(str(tmp_path / "list.json"), "member")
    assert [name for name, _ in found] == ["a", "b"]
    one = asking.read_one(str(tmp_path / "one.json"), "member")
    assert (one["trust_score"], one["capacity"]) == (0.9, {"cpu": 50.0})
    assert asking.read_many(str(tmp_path / "answer.json"), "member")[0][1] == one
    assert asking.read_one(f"{tmp_path / 'list.json'}#b", "member")["id"] == "b"


@pytest.mark.parametrize("argument", ["list.json", "list.json#c", "bad.json", "none.json"])
def test_facts_that_cannot_be_read_are_errors(argument: str, tmp_path: Path) -> None:
    """Several where one is asked for, an unknown name, a wrong type, no file: each is an input error."""
    kit.write(
        tmp_path, {"list.json": '[{"id": "a"}, {"id": "b"}]', "bad.json": '{"trust_score": 99}'}
    )
    with pytest.raises(PolicyError) as caught:
        asking.read_one(os.fspath(tmp_path / argument), "member")
    assert caught.value.code == "policy.input"


def test_a_moment_is_rfc_3339() -> None:
    """A time is exact to the microsecond, or an error."""
    assert asking.moment("2026-01-01T00:00:00Z") == 1_767_225_600_000_000
    with pytest.raises(PolicyError):
        asking.moment("tomorrow")
