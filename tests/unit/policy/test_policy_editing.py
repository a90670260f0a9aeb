"""A file that is being written: what was sound before is not checked again, and nothing is missed by that."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.editing.checked import Alone, check
from pfgov.policy.load import Files, read_directory

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
