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
from pfgov.core.decide.guarding import DIMENSIONS_SPELT, ONE_SPELLING
from pfgov.core.decide.members import NONE_ALIKE
from pfgov.core.state import State
from pfgov.errors import DuplicateError, InputError, InvalidError
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


IDS_REFUSED = (*hostile.ODD_TEXTS, *(f"agent-10{text}" for text in hostile.ODD_TEXTS if text), "\u0430gent-10",
               "agent-1\uff10", "agent\u201010", "_m", "-m", "m/1", "m 1")  # fmt: skip
"""Cyrillic, full-width, invisible and trailing characters: ids are ASCII, so none of them is one."""

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
    (
        model.MemberRegistration,
        lambda name: _member(id=name),
        (*IDS_REFUSED, *hostile.IDS_RESERVED),
    ),
    (model.FlightPacket, lambda name: _packet(packet_id=name), IDS_REFUSED),
    (model.Handoff, lambda name: {"target": name}, IDS_REFUSED),
    (
        model.FlightPacket,
        lambda name: _packet(demand={name: 1}),
        ("GPU", "Gpu", *hostile.ODD_TEXTS),
    ),
    (model.MemberRegistration, lambda name: _member(capacity={name: 1}), ("GPU", "g-pu", "0")),
    (model.FlightPacket, lambda name: _packet(labels={name: "x"}), hostile.ODD_TEXTS),
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

SIZED: list[Callable[[], c.Action]] = [
    lambda: c.SubmitPacket(
        packet_id="p", workload_type="w", lineage_id="l", demand=(("GPU", "1"),)
    ),
    lambda: c.RegisterMember(member_id="m", type="agent", capacity=(("Cpu", "1"),)),
]


@pytest.mark.parametrize(
    ("made", "since"),
    [*((made, ONE_SPELLING) for made in ACTIONS), *((made, DIMENSIONS_SPELT) for made in SIZED)],
)
@pytest.mark.parametrize("is_older", [True, False])
def test_spelling_no_door_leads_around_it(
    made: Callable[[], c.Action], since: int, is_older: bool
) -> None:
    """A command that did not pass the border is held to it as well; older ledgers take what they took."""
    world = World()
    world.state.semantics = since - is_older
    if is_older:
        assert world.do(made())
        return
    with pytest.raises(InvalidError):
        world.do(made())


@pytest.mark.parametrize("name", [*hostile.IDS_ALIKE, *hostile.IDS_TOLD_APART])
@pytest.mark.parametrize("semantics", [NONE_ALIKE - 1, NONE_ALIKE])
def test_spelling_no_member_is_taken_for_another(name: str, semantics: int) -> None:
    """A rule about ``agent-10`` is none about ``Agent-10``, who never joins then; older ledgers have both."""
    for other in ("agent-10", name):
        world, joins = World(), [other, "agent-10" if other == name else name]
        world.state.semantics = semantics
        world.do(c.RegisterMember(member_id=joins[0], type="agent"))
        if semantics >= NONE_ALIKE and name in hostile.IDS_ALIKE:
            for action in (
                None,
                c.DrainMember(member_id=joins[0]),
                c.RetireMember(member_id=joins[0]),
            ):
                if action is not None:
                    world.do(action)
                with pytest.raises(DuplicateError) as caught:
                    world.do(c.RegisterMember(member_id=joins[1], type="agent"))
                assert (caught.value.code, caught.value.pointer) == ("member.alike", "/id")
                assert joins[0] in caught.value.message
            world.do(
                c.RegisterMember(member_id=joins[0], type="agent")
            )  # its own next life is itself
        else:
            world.do(c.RegisterMember(member_id=joins[1], type="agent"))
        loaded = State()
        for table, key in reversed(list(world.state.rows())):
            loaded.load_row(table, key, world.state.row(table, key))
        assert [loaded.alike(one) for one in joins] == [world.state.alike(one) for one in joins]


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
