"""A folder of ledgers for tests of who keeps many: nothing is looked at unless a test says so."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from pfgov.app.hosting import Engine, Host
from pfgov.app.tenancy import (
    Keeper,
    Place,
)
from pfgov.clock import ManualClock
from pfgov.engine import LedgerReader, Options
from pfgov.storage import open_store
from support.ledgers import SECOND, START, Drawn, opened
from support.named_server import ledger_at

T = TypeVar("T")


class Shelf:
    """A folder of ledgers, a clock, and a keeper that looks at nothing unless it is told to."""

    def __init__(self, folder: Path, *ledgers: str) -> None:
        self.folder = folder / "ledgers"
        self.folder.mkdir(exist_ok=True)
        self.clock = ManualClock(START + SECOND)
        for name in ledgers:
            ledger_at(self.folder, name)

    def keeper(self, **options: Any) -> Keeper:
        """A keeper of what is there now; for a running loop."""
        return Keeper(
            self.folder, _host, clock=self.clock, options=Options(draw=Drawn("many")), **options
        )

    def prepare(self, name: str, act: Callable[[Engine], object]) -> None:
        """Change one of them from outside."""
        with opened(self.folder / name, self.clock, seed=f"outside {self.clock.now()}") as engine:
            act(engine)

    def types(self, name: str) -> list[str]:
        """The types of its entries."""
        with LedgerReader(open_store(self.folder / name)) as reader:
            return [one.row.type for one in reader.entries()]


def _host(_: Place, engine: Engine) -> Host:
    return Host(engine, tick_seconds=3_600)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a story."""
    return asyncio.run(work)


async def used(keeper: Keeper, name: str) -> int:
    """Use a ledger for a moment; return its size."""
    async with keeper.using(keeper.find(name)) as host:
        return host.reader.head().size
