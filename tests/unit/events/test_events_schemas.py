"""The published schemas describe what the types accept, and the two vocabularies are one."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from support.largest_events import build

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov_ledger import vocabulary

SCHEMAS = Path(__file__).parents[3] / "ledger" / "schemas"
COMMAND = c.Command(
    id="c",
    principal=c.LOCAL_OPERATOR,
    do=c.RegisterMember(member_id="m", type="agent", capacity=(("cpu", "1"),)),
)


def schema(name: str) -> dict[str, Any]:
    """The published schema of that name."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return found


@pytest.fixture(scope="module")
def registry() -> Registry[Any]:
    """All schemas by their ids, so that references resolve offline."""
    everything = [json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")]
    return Registry().with_resources(
        [(one["$id"], Resource.from_contents(one)) for one in everything]
    )


def test_every_event_has_a_schema_and_every_schema_an_event() -> None:
    """The folder holds one schema for each event, one for commands, and nothing else."""
    assert {path.stem for path in SCHEMAS.iterdir()} == set(e.EVENTS) | {"command"}


@pytest.mark.parametrize("name", sorted(e.EVENTS))
def test_schemas_accept_what_the_types_write(name: str, registry: Registry[Any]) -> None:
    """A body that the engine writes, with its command, is valid under the published schema."""
    event = msgspec.structs.replace(build(e.EVENTS[name]), command=COMMAND)
    validator = Draft202012Validator(schema(name), registry=registry)
    validator.check_schema(schema(name))
    validator.validate(json.loads(e.encode_body(event)))


@pytest.mark.parametrize("name", sorted(e.EVENTS))
def test_schemas_refuse_what_the_types_refuse(name: str, registry: Registry[Any]) -> None:
    """A further field, and a command of an unknown kind, are invalid under schema and type alike."""
    validator = Draft202012Validator(schema(name), registry=registry)
    plain = json.loads(
        e.encode_body(msgspec.structs.replace(build(e.EVENTS[name]), command=COMMAND))
    )
    foreign = {**plain, "surprise": 1}
    unknown = {
        **plain,
        "command": {**plain["command"], "do": {"kind": "seize_packet", "packet_id": "p"}},
    }
    for body in (foreign, unknown):
        assert not validator.is_valid(body)
        with pytest.raises(msgspec.ValidationError):
            e.decode_body(name, json.dumps(body).encode())


@pytest.mark.parametrize("name", sorted(e.EVENTS))
def test_bodies_round_trip(name: str) -> None:
    """A body that is read back is the same value and the same bytes."""
    event = msgspec.structs.replace(build(e.EVENTS[name]), command=COMMAND)
    raw = e.encode_body(event)
    assert e.decode_body(name, raw) == event
    assert e.encode_body(e.decode_body(name, raw)) == raw


def test_engine_and_verifier_know_the_same_events() -> None:
    """The engine writes no event that a verifier does not know, nor the other way round."""
    assert set(e.EVENTS) == set(vocabulary.EVENTS)


@pytest.mark.parametrize("name", sorted(e.EVENTS))
def test_engine_and_verifier_agree_on_subjects(name: str) -> None:
    """The subject that the engine files an event under is the one that a verifier expects."""
    event: Any = build(e.EVENTS[name])
    rule = vocabulary.EVENTS[name]
    wanted = {
        "packet": f"packet/{getattr(event, 'packet_id', '')}",
        "member": f"member/{getattr(event, 'member_id', '')}",
        "named": getattr(event, "subject_", ""),
    }.get(rule, rule)
    assert event.subject == wanted


SPECIFIED = {
    "member_registered", "packet_created", "capability_discovered", "assignment_decision",
    "handoff_started", "handoff_completed", "member_retired", "packet_completed",
}  # fmt: skip


def test_the_eight_names_of_the_specification_are_kept() -> None:
    """The specification's event names are fixed."""
    assert set(e.EVENTS) >= SPECIFIED
