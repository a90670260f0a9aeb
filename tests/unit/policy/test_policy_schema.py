"""The JSON Schemas and the readers agree about the shape of files; shipped files are formatted."""

import json
import os
import stat
from pathlib import Path

import jsonschema
import pytest
from support import policy_kit as kit

from pfgov.app.schemas import schemas
from pfgov.policy import shipped_directory
from pfgov.policy.authoring.formatting import format_directory, format_text
from pfgov.policy.files.source import plain, read

SHIPPED = sorted(shipped_directory("kernel").parent.rglob("*.yaml"))
SCHEMAS = schemas()


def validator(kind: str) -> jsonschema.Draft202012Validator:
    """Return the validator of one kind."""
    return jsonschema.Draft202012Validator(SCHEMAS[kind])


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_schema_is_one(kind: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[kind])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_valid(path: Path) -> None:
    """An editor with our schemas underlines nothing in our own files."""
    tree = plain(read(path.read_text(), path.name))
    assert isinstance(tree, dict)
    errors = [error.message for error in validator(str(tree["kind"])).iter_errors(tree)]
    assert errors == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_formatted(path: Path) -> None:
    """`pfgov policy fmt` would change nothing that ships."""
    assert format_text(path.read_text(), path.name) == path.read_text()


@pytest.mark.parametrize(
    "text", ["null", "[]", '"x"', "5", "- a", "rules: 7", "rules: {a: 1}\nproperties: 5", "cases: [1, null]"]
)  # fmt: skip
def test_what_has_another_shape_is_formatted_as_far_as_it_goes(text: str, tmp_path: Path) -> None:
    """A file that is no mapping, or whose lists are none, is a mistake of ours for `pfgov policy fmt`."""
    assert format_text(f"{text}\n").replace(" ", "").startswith(text.partition(" ")[0][:5])
    (tmp_path / "x.policy.yaml").write_text(f"{text}\n")
    format_directory(tmp_path, write=True)


def test_what_was_formatted_is_for_the_same_people_where_a_link_leads(tmp_path: Path) -> None:
    """A file that is formatted is read by more people, its link is a file now, or it is lost when the disk is full."""
    (tmp_path / "set").mkdir()
    path, link = tmp_path / "one.yaml", tmp_path / "set" / "x.policy.yaml"
    path.write_text("kind:   Policy\n")
    path.chmod(0o640)
    link.symlink_to(path)
    os.link(path, tmp_path / "other")
    assert format_directory(tmp_path / "set", write=True) == [link]
    assert link.is_symlink()
    assert path.read_text() == "kind: Policy\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (tmp_path / "other").read_text() == "kind:   Policy\n"


GOOD = kit.policy("  - {id: t, require: member.trust_score > 0.5}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("require", "requires"),
        ("kind: Policy", "kind: Polcy"),
        ("pfgov/v1", "pfgov/v2"),
        ("on: [place]", "on: [plcae]"),
        ("on: [place]", "on: place"),
        ("on: [place]", "on: []"),
        ('version: "1"', "version: 1"),
        ("rules:", "mode: off-by-one\nrules:"),
        ("{id: t,", "{id: T T,"),
        ("id: t, require: member.trust_score > 0.5", "id: t"),
        ("id: t, require: member.trust_score > 0.5", "id: t, message: hello"),
        ("rules:", "params: {x: {type: float, value: 1}}\nrules:"),
        ("rules:", "params: {x: 1}\nrules:"),
        ("0.5}", "0.5, escalate: {too: reviewer}}"),
        ("0.5}", "0.5, obligations: [{type: erase}]}"),
        ("0.5}", "0.5, obligations: [{type: redact}]}"),
        ("0.5}", "0.5, obligations: [{type: redact, paths: [a]}]}"),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(old: str, new: str, tmp_path: Path) -> None:
    """A mistake of shape is seen by both: in the editor, and at load."""
    assert kit.problems(tmp_path / "good", GOOD) == []
    assert list(validator("Policy").iter_errors(plain(read(GOOD, "x")))) == []
    text = GOOD.replace(old, new)
    assert text != GOOD
    assert kit.problems(tmp_path / "bad", text)
    assert list(validator("Policy").iter_errors(plain(read(text, "x"))))


def test_a_packet_is_what_its_schema_says() -> None:
    """The published schema of a packet refuses the specification's own, or takes anything."""
    packet = json.loads((Path(__file__).parents[2] / "data/seed/packet.json").read_text())
    assert list(validator("Packet").iter_errors(packet)) == []
    assert list(validator("Packet").iter_errors({**packet, "prioritie": 1}))
    assert list(validator("Packet").iter_errors({}))
