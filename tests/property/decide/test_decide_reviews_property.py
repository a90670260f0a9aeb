"""Whatever is changed after a grant: an owner never holds a packet under a review of other facts."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from support import policy_kit as kit
from support.searching import examples
from support.world import World

from pfgov.core import commands as c
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet

LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  amount: {type: int, set_by: [submitter], change: rights}
  note: {type: string, set_by: [submitter], change: rights}
member:
  team: {type: string, set_by: [operator], change: rights}
"""
RULES = """  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}
  - id: large
    on: [place]
    when: packet.labels.amount >= 10 && (packet.priority < 5 || member.labels.team == "red")
    escalate: {to: reviewer}
"""
REVIEWER = c.Principal(id="key:rev", rights=("reviewer",))


@cache
def policies() -> PolicySet:
    """Return a set whose escalation reads two facts of the packet and one of the member."""
    with TemporaryDirectory() as folder:
        return kit.load(Path(folder), kit.policy(RULES, on="[register, place, retain]"), LABELS)


AMOUNTS = st.integers(8, 13)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("amount"), AMOUNTS, st.sampled_from(["", "x"])),
        st.tuples(st.just("priority"), st.integers(3, 6), st.just("")),
        st.tuples(st.just("team"), st.integers(0, 1), st.sampled_from(["red", "blue"])),
        st.tuples(st.just("review"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("requeue"), st.just(0), st.just("")),
        st.tuples(st.just("handoff"), st.integers(0, 1), st.just("")),
        st.tuples(st.just("settle"), st.just(0), st.just("")),
    ),
    min_size=1,
    max_size=14,
)


def _do(world: World, kind: str, number: int, text: str) -> None:
    if kind == "amount":
        labels = (("amount", str(number)), ("note", text))
        world.do(c.UpdatePacket(packet_id="p", labels=labels))
    elif kind == "priority":
        world.do(c.UpdatePacket(packet_id="p", priority=number))
    elif kind == "team":
        world.do(c.UpdateMember(member_id=f"m{number}", labels=(("team", text),)))
    elif kind == "review":
        member_id = {0: "m0", 1: "m1"}.get(number)
        world.do(world.review("p", member_id=member_id), REVIEWER)
    elif kind == "requeue":
        world.do(c.RequeuePacket(packet_id="p"))
    elif kind == "handoff":
        world.do(c.HandOff(packet_id="p", target=f"m{number}"))


def _seen(world: World, member_id: str) -> tuple[object, ...]:
    """What the escalating rule reads, taken from the state by hand."""
    terms = world.state.packets["p"].terms
    team = dict(world.state.members[member_id].labels).get("team")
    return dict(terms.labels).get("amount"), terms.priority, team


@settings(max_examples=examples(150), deadline=None)
@given(acts=ACTS, amount=AMOUNTS)
def test_review_no_owner_holds_what_was_reviewed_as_something_else(
    acts: list[tuple[str, int, str]], amount: int
) -> None:
    """After every act and the ticks that follow, a grant under which somebody owns the packet saw just these facts."""
    world = World(policy=policies())
    for name in ("m0", "m1"):
        world.member(name, labels=(("team", "red"),))
    granted: set[tuple[object, ...]] = set()
    world.packet("p", labels=(("amount", str(amount)),))
    for kind, number, text in acts:
        before = len(world.state.packets["p"].reviews)
        with suppress(PfgovError):
            _do(world, kind, number, text)
        packet = world.state.packets["p"]
        if len(packet.reviews) > before:
            named = packet.reviews[-1].member_id
            granted |= {(m, *_seen(world, m)) for m in ("m0", "m1") if named in {None, m}}
        world.settle()
        owner = world.state.packets["p"].owner
        if owner is None:
            continue
        if world.state.packets["p"].placed_under:
            assert (owner, *_seen(world, owner)) in granted, (kind, number, text)
