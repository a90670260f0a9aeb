"""The JSON Schemas and the readers agree about the shape of files; shipped files are formatted."""

import json
from pathlib import Path

import jsonschema
import pytest
from support import policy_kit as kit

from pfgov.app.schemas import schemas
from pfgov.policy import shipped_directory
from pfgov.policy.authoring.formatting import format_text
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
