"""Labels are set and changed by whom their declaration names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import policy_kit as kit
from support.review_world import LABELS, SUBMITTER, submit, world_of
from support.world import World

from pfgov.core import commands as c
from pfgov.errors import ForbiddenError, PfgovError

Change = Callable[[World], Any]


def _packet(principal: c.Principal, **labels: str) -> Change:
    action = c.UpdatePacket(packet_id="p", labels=tuple(sorted(labels.items())))
    return lambda world: world.do(action, principal)


def _member(principal: c.Principal, **labels: str) -> Change:
    action = c.UpdateMember(member_id="m", labels=tuple(sorted(labels.items())))
    return lambda world: world.do(action, principal)


OWN = c.Principal(id="m", rights=("member:m",))
OPERATOR = c.Principal(id="key:op", rights=("operator",))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_packet(SUBMITTER, risk="high", amount="1"), None),
        (_packet(SUBMITTER, risk="low", amount="1"), "label.forbidden"),
        (_packet(SUBMITTER, amount="1"), "label.forbidden"),
        (_packet(OPERATOR, risk="low", amount="1"), "label.forbidden"),
        (_packet(SUBMITTER, risk="HIGH", amount="1"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="1.0"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="01"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="1", free="new"), "label.forbidden"),
        (_packet(OPERATOR, risk="medium", amount="1", free="new"), None),
        (_member(OWN, employment="contractor", mood="good"), "label.forbidden"),
        (_member(OWN, employment="employee", mood="good"), None),
        (_member(OWN, employment="employee", mood="good "), "label.value"),
        (_member(OWN, employment="employee", free="new"), "label.forbidden"),
        (_member(OPERATOR, employment="contractor", free="new"), None),
    ],
)
def test_labels_change_as_declared(world: World, change: Change, code: str | None) -> None:
    """Risk only rises, nobody relabels itself, values are of their type, what is undeclared is an operator's."""
    submit(world, risk="medium", amount="1")
    if code is None:
        change(world)
        return
    with pytest.raises(PfgovError) as caught:
        change(world)
    assert caught.value.code == code


def test_a_label_that_is_left_out_is_said_to_go(world: World) -> None:
    """Whoever changes one label alone hears that the other one would go, and what to write beside it."""
    submit(world, risk="medium", amount="1")
    with pytest.raises(ForbiddenError) as caught:
        _packet(SUBMITTER, amount="1")(world)
    assert "without risk=medium among the labels it would go" in caught.value.message


def test_labels_are_set_by_whom_the_declaration_names(world: World) -> None:
    """At registration a member says nothing of itself that only an operator sets; what is undeclared it may say."""
    own = c.Principal(id="n", rights=("member:n",))
    made = c.RegisterMember(member_id="n", type="agent", labels=(("employment", "employee"),))
    with pytest.raises(ForbiddenError):
        world.do(made, own)
    world.do(c.RegisterMember(member_id="n", type="agent", labels=(("team", "a"),)), own)
    assert world.state.members["n"].labels == (("team", "a"),)


def test_a_label_that_another_set_let_in_lets_nobody_through(tmp_path: Path) -> None:
    """A text that is no whole number is neither large nor small nor absent: whatever reads it denies."""
    free = '  - {id: everybody, require: member.status == "ACTIVE"}\n'
    world = world_of(tmp_path / "a", free, labels=LABELS.replace("type: int", "type: string"))
    world.do(
        c.SubmitPacket(
            packet_id="p",
            workload_type="w",
            lineage_id="l",
            labels=(("amount", "lots"),),
            hold=True,
        )
    )
    typed = [
        "  - {id: small, when: has(packet.labels.amount), require: packet.labels.amount < 100}\n",
        "  - {id: large, deny: has(packet.labels.amount) && packet.labels.amount >= 100}\n",
        "  - {id: odd, deny: has(packet.labels.amount) && packet.labels.amount == 7}\n",
        "  - {id: listed, deny: 'has(packet.labels.amount) && packet.labels.amount in [7, 8]'}\n",
    ]
    for number, rule in enumerate(typed):
        for generated in (True, False):
            made = kit.policy(free + rule, on="[place, retain]")
            folder = tmp_path / f"{number}{generated}"
            folder.mkdir()
            world.policy = kit.load(folder, made, LABELS, generated=generated)
            world.do(
                c.ActivatePolicy.of(
                    world.policy.digest, world.policy.policies, world.policy.points, ["register"]
                )
            )
            world.do(c.PlacePacket(packet_id="p"))
            waiting = world.state.packets["p"].waiting
            assert waiting is not None, rule
            assert len(waiting.reasons) == 1, rule
            assert world.state.packets["p"].owner is None
