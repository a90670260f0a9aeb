"""A verdict table that is kept is written as one that is not: rows are written once, and anew where a load changed."""

import random

from support.world import World

from pfgov.core.judging import Judged, Rendered, of_verdicts
from pfgov.core.verdicts import ALLOW, Verdict, combine, reserved

DENIED = (
    combine((reserved("lifecycle", "it is DRAINING"),)),
    combine((reserved("capacity", 'cpu would be "3" of 2', observed="3", bound="2"),)),
)


def _drawn(source: random.Random, world: World) -> Judged:
    verdicts: list[Verdict] = [source.choice((ALLOW, *DENIED)) for _ in world.state.roster()]
    rendered: Rendered = {}
    return of_verdicts(list(world.state.roster()), verdicts, rendered)


def test_tables_that_are_kept_are_those_that_are_not() -> None:
    """A load that changed, a score of somebody denied, or of somebody unknown, stands in one of the two only."""
    source, world = random.Random(7), World()
    for number in range(12):
        world.member(f"m{number:02}")
    for _ in range(20):
        judged = _drawn(source, world)
        kept = judged.kept()
        for _ in range(12):
            for member in source.sample(world.state.roster(), source.randrange(4)):
                member.active = source.randrange(3)
            names = [member.member_id for member in world.state.roster()]
            scored = source.sample([*names, "stranger", ""], source.randrange(8))
            scores = {name: source.randrange(2**53) for name in scored}
            assert kept.table(scores) == judged.table(scores)


def test_tables_of_nobody_are_an_empty_array() -> None:
    """A ledger without members has a table of nobody."""
    nobody = of_verdicts([], [], {})
    assert nobody.table({}) == nobody.kept().table({}) == b"[]"
