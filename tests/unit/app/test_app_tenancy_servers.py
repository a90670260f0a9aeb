"""Servers that share ledgers in a database: each opens its own, follows the others', and hands over the rest."""

import asyncio
import shutil
from pathlib import Path

import pytest
from support import postgres
from support.ledgers import SECOND, START, Drawn, opened, register
from support.shelf import Shelf, run, used

from pfgov.app.tenancy import Keeper, limits
from pfgov.app.tenancy.claims import Claims
from pfgov.app.tenancy.places import Stage
from pfgov.clock import ManualClock
from pfgov.engine import Engine, Options
from pfgov.storage import keep_in_database, open_store
from pfgov.storage.leading import Node

ONE, TWO = "http://one.test:8000", "http://two.test:8000"
NAMES = tuple("abcdefgh")


class Servers:
    """Two servers with a folder each, as on two machines, of the same ledgers in one database."""

    def __init__(self, folder: Path) -> None:
        self.there = [ONE]
        for name in ("one", "two"):
            (folder / name).mkdir()
        self.one, self.two = Shelf(folder / "one"), Shelf(folder / "two")
        for name in NAMES:
            made = self.one.folder / name
            keep_in_database(made, postgres.server().url())
            clock, options = ManualClock(START), Options(draw=Drawn(name))
            Engine.create(
                open_store(made), f"pfgov.test/{name}", clock=clock, options=options
            ).close()
            shutil.copytree(made, self.two.folder / name)

    def nodes(self) -> list[Node]:
        """Who is there."""
        return [Node(one, "p", one == ONE, 1, 9, 0, 0.1, False) for one in self.there]

    async def keepers(self) -> tuple[Keeper, Keeper]:
        """Both keepers, which have looked once."""
        found = (
            self.one.keeper(claims=Claims(ONE, self.nodes)),
            self.two.keeper(claims=Claims(TWO, self.nodes)),
        )
        for keeper in found:
            await keeper.look()
        return found


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    """Two servers."""
    return Servers(tmp_path)


def stages(keeper: Keeper) -> dict[str, Stage]:
    """How each ledger stands."""
    return {name: place.stage for name, place in keeper.places.items()}


def ours(keeper: Keeper) -> list[str]:
    """Which are to be its own."""
    return [name for name, place in keeper.places.items() if keeper.is_ours(place)]


async def closed(keeper: Keeper) -> None:
    """Wait for what is being closed."""
    await asyncio.gather(
        *(one.closing for one in keeper.places.values() if one.closing is not None)
    )


def test_tenancy_servers_hand_over_when_another_comes(servers: Servers) -> None:
    """A server that joins gets nothing; or it takes a ledger from one that writes it; or all at once."""

    async def story() -> None:
        one, two = await servers.keepers()
        for name in NAMES:
            await used(one, name)
        assert set(stages(one).values()) == {Stage.OPEN}
        servers.there.append(TWO)
        await two.look()
        wanted = ours(two)
        assert 0 < len(wanted) < len(NAMES)
        assert sorted([*wanted, *(n for n in NAMES if n not in wanted)]) == sorted(NAMES)
        await used(two, wanted[0])  # its own, and another has it still
        assert two.find(wanted[0]).stage is Stage.STANDBY
        looks = 0
        while any(stages(one)[name] is Stage.OPEN for name in wanted):
            open_before = sum(stage is Stage.OPEN for stage in stages(one).values())
            await one.look()
            looks += 1
            gone = open_before - sum(stage is Stage.OPEN for stage in stages(one).values())
            assert 0 < gone <= limits.HANDED_OVER_MAX
            await closed(one)
        assert looks == -(-len(wanted) // limits.HANDED_OVER_MAX)
        two.drop(two.find(wanted[0]))
        for name in wanted:
            await used(two, name)
            await used(one, name)
            assert (two.find(name).stage, one.find(name).stage) == (Stage.OPEN, Stage.STANDBY)
            assert one.is_at(one.find(name)) == f"{TWO}/l/{name}"
            assert two.is_at(two.find(name)) is None
        kept = [name for name in NAMES if name not in wanted]
        assert all(stages(one)[name] is Stage.OPEN for name in kept)
        for keeper in (one, two):
            await keeper.stop()

    run(story())


def test_tenancy_a_server_looks_after_its_own_ledgers_alone(servers: Servers) -> None:
    """Every server opens every ledger when something may be due; or nobody opens those of a server that is gone."""
    servers.there.append(TWO)

    async def visited(keeper: Keeper) -> list[str]:
        found = []
        while (place := keeper.next_visit()) is not None:
            openings = keeper.counts.openings
            await keeper.visit(place)
            if keeper.counts.openings > openings:
                found.append(place.name)
            place.visit_at = None
        return sorted(found)

    async def story() -> None:
        one, two = await servers.keepers()
        shares = await visited(one), await visited(two)
        assert shares == (sorted(ours(one)), sorted(ours(two)))
        assert all(shares)
        assert sorted([*shares[0], *shares[1]]) == sorted(NAMES)
        await two.stop()
        servers.there.remove(TWO)
        await one.look()
        assert set(shares[1]) <= set(await visited(one))
        await one.stop()

    run(story())


def test_tenancy_a_ledger_that_is_followed_rests_and_is_looked_at_again_if_it_is_ours(
    servers: Servers,
) -> None:
    """A ledger whose server was slow to hand it over is forgotten by the one that is to have it."""

    async def story() -> None:
        one, two = await servers.keepers()
        for name in NAMES:
            await used(one, name)
        servers.there.append(TWO)
        await two.look()
        own, other = ours(two)[0], next(name for name in NAMES if name not in ours(two))
        for name in (own, other):
            await used(two, name)
            assert two.find(name).stage is Stage.STANDBY
            assert await two.rest(two.find(name), limits.REST_SECONDS)
            assert two.find(name).stage is Stage.RESTING
        soon = servers.two.clock.now() + round(limits.AGAIN_SECONDS * SECOND)
        assert (two.find(own).visit_at, two.find(other).visit_at) == (soon, None)
        for keeper in (one, two):
            await keeper.stop()

    run(story())


def test_tenancy_ledgers_in_files_are_no_other_servers(servers: Servers) -> None:
    """A ledger in a file of this machine is left to a server on another machine, which has no such file."""
    shelf = Shelf(servers.one.folder.parent, "file")

    async def story() -> None:
        servers.there.append(TWO)
        there = servers.nodes
        two = shelf.keeper(claims=Claims(TWO, there))
        one = shelf.keeper(claims=Claims(ONE, there))
        for keeper in (one, two):
            await keeper.look()
            assert "file" in ours(keeper)
            await used(keeper, "file")
            assert keeper.find("file").stage is Stage.OPEN
            await keeper.look()
            assert keeper.find("file").stage is Stage.OPEN
            await keeper.stop()

    run(story())


def test_tenancy_one_who_writes_beside_the_servers_is_waited_for(servers: Servers) -> None:
    """A command line that writes a ledger of a server is overtaken, or the server's users get an error for reading."""

    async def story() -> None:
        one, _ = await servers.keepers()
        with opened(servers.two.folder / "a", seed="beside") as engine:
            register(engine, "m")
            await used(one, "a")
            assert one.find("a").stage is Stage.STANDBY
            size = engine.status().size
        one.drop(one.find("a"))
        assert await used(one, "a") >= size
        assert one.find("a").stage is Stage.OPEN
        await one.stop()

    run(story())
