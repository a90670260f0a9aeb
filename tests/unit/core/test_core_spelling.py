"""One spelling of each name, at the border, inside the rules, and in the fixtures of authors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support import hostile
from support import policy_kit as kit
from support.world import World

from pfgov import model
from pfgov.core import commands as c
from pfgov.core import spelling
from pfgov.core.decide.guarding import ONE_SPELLING
from pfgov.errors import InputError, InvalidError
from pfgov.model import parse
from pfgov.policy import PolicyErrors
from pfgov.policy.authoring.inputs import read_facts
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import read

Check = Callable[[str], str]

KINDS: list[tuple[Check, tuple[str, ...], tuple[str, ...]]] = [
    (spelling.check_class, hostile.CLASSES_ADMITTED, hostile.CLASSES_REFUSED),
    (spelling.check_region, hostile.REGIONS_ADMITTED, hostile.REGIONS_REFUSED),
    (spelling.check_name, hostile.NAMES_ADMITTED, hostile.NAMES_REFUSED),
    (spelling.check_label, hostile.LABEL_VALUES_ADMITTED, hostile.LABEL_VALUES_REFUSED),
]


@pytest.mark.parametrize(("check", "admitted", "refused"), KINDS)
def test_spelling_each_kind_of_name(
    check: Check, admitted: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    """What is admitted comes back as it was; every other spelling is refused with what to write."""
    assert [check(name) for name in admitted] == list(admitted)
    for name in refused:
        if len(name) <= 128:
            with pytest.raises(InvalidError) as caught:
                check(name)
            assert caught.value.hint, name


@given(text=hostile.refused_texts())
def test_spelling_no_text_that_only_looks_like_a_class_is_one(text: str) -> None:
    """Whatever begins like personal data and is not a class within it, is no class at all."""
    try:
        found = spelling.check_class(text)
    except InvalidError:
        return
    assert found == "pii" or found.startswith("pii."), text


def _packet(**fields: Any) -> dict[str, Any]:
    return {"packet_id": "p", "workload_type": "w", **fields}


def _member(**fields: Any) -> dict[str, Any]:
    return {"id": "m", "type": "agent", **fields}


BODIES: list[tuple[type[model.Wire], Callable[[str], dict[str, Any]], tuple[str, ...]]] = [
    (model.FlightPacket, lambda name: _packet(data_classes=[name]), hostile.CLASSES_REFUSED),
    (model.FlightPacket, lambda name: _packet(workload_type=name), hostile.NAMES_REFUSED),
    (model.FlightPacket, lambda name: _packet(required_capabilities=[name]), hostile.NAMES_REFUSED),
    (
        model.FlightPacket,
        lambda name: _packet(policy_constraints={"allowed_regions": [name]}),
        hostile.REGIONS_REFUSED,
    ),
    (model.FlightPacket, lambda name: _packet(labels={"a": name}), hostile.LABEL_VALUES_REFUSED),
    (model.PacketUpdate, lambda name: {"data_classes": [name]}, hostile.CLASSES_REFUSED),
    (model.MemberRegistration, lambda name: _member(clearances=[name]), hostile.CLASSES_REFUSED),
    (model.MemberRegistration, lambda name: _member(region=name), hostile.REGIONS_REFUSED),
    (model.MemberRegistration, lambda name: _member(capabilities=[name]), hostile.NAMES_REFUSED),
    (model.MemberUpdate, lambda name: {"clearances": [name]}, hostile.CLASSES_REFUSED),
    (model.MemberUpdate, lambda name: {"labels": {"a": name}}, hostile.LABEL_VALUES_REFUSED),
]


@pytest.mark.parametrize(("wire", "body", "refused"), BODIES)
def test_spelling_the_border_takes_no_other(
    wire: type[model.Wire], body: Callable[[str], dict[str, Any]], refused: tuple[str, ...]
) -> None:
    """Every field with a name that rules compare, over every odd spelling."""
    for name in refused:
        if "required_capabilities" in body(name) and name.strip() in {"ocr", "pii"}:
            continue  # spaces around a requirement are taken away: it has one spelling then
        with pytest.raises(InputError):
            parse(wire, body(name))


ACTIONS: list[Callable[[], c.Action]] = [
    lambda: c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", data_classes=("PII.x",)),
    lambda: c.SubmitPacket(packet_id="p", workload_type="W", lineage_id="l"),
    lambda: c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", required_capabilities=("OCR>=1",)),
    lambda: c.SubmitPacket(
        packet_id="p", workload_type="w", lineage_id="l", constraints=c.Constraints(allowed_regions=("EU",))
    ),
    lambda: c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", labels=(("a", "x "),)),
    lambda: c.RegisterMember(member_id="m", type="agent", clearances=("pii:email",)),
    lambda: c.RegisterMember(member_id="m", type="agent", region="Embargoed"),
    lambda: c.RegisterMember(member_id="m", type="agent", capabilities=(c.Capability(name="Shell"),)),
]  # fmt: skip


@pytest.mark.parametrize("made", ACTIONS)
@pytest.mark.parametrize("semantics", [ONE_SPELLING - 1, ONE_SPELLING])
def test_spelling_no_door_leads_around_it(made: Callable[[], c.Action], semantics: int) -> None:
    """A command that did not pass the border is held to it as well; older ledgers take what they took."""
    world = World()
    world.state.semantics = semantics
    if semantics < ONE_SPELLING:
        assert world.do(made())
        return
    with pytest.raises(InvalidError):
        world.do(made())


def test_spelling_what_no_door_takes_is_no_fixture(tmp_path: Path) -> None:
    """A fixture with another spelling would test what cannot happen."""
    for root, text in (
        ("packet", "{data_classes: [PII.x]}"),
        ("packet", "{policy_constraints: {allowed_regions: [EU]}}"),
        ("member", "{clearances: ['pii:email']}"),
        ("member", "{region: US-East}"),
    ):
        reader = Reader("f")
        read_facts(reader, read(text, "f"), root)
        assert [problem.code for problem in reader.problems] == ["policy.fact"], text
    kit.write(tmp_path, {"labels.yaml": kit.labels("a", "a")})
    with pytest.raises(PolicyErrors):
        kit.load(tmp_path, kit.policy("  - {id: t, require: member.trust_score >= 0.6}\n"))
