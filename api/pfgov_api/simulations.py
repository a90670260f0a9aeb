"""Runs of the simulator, each in a process of its own with an end to its time and memory, told frame by frame.

A child gets what to run on its standard input and writes one JSON object a line: frames, then what the run came to, as
``pfgov sim run`` says it for the same seed.  It is killed when whoever watches goes away, and when the server stops.
"""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field

from pfgov import interpreter
from pfgov.errors import BusyError
from pfgov.model import Wire
from pfgov.sim.watching import WATCHED, watch
from pfgov_api.access import Quota
from pfgov_api.limits import (
    SIMULATION_MEMORY_BYTES,
    SIMULATION_SECONDS,
    SIMULATIONS_MAX,
    SIMULATIONS_PER_PRINCIPAL_MAX,
)

_CODE: Final = "from pfgov_api.simulations import main; main()"
LINE_BYTES_MAX: Final = 1 << 20
SCHEDULERS: Final = ("agent", "binpack", "rendezvous", "ring", "trust-weighted")

_encode: Final = msgspec.json.Encoder().encode


_KNOWN: Final[dict[str, Any]] = {"enum": sorted(WATCHED)}


class Simulation(Wire):
    """What to run; equal seeds give equal runs."""

    scenario: Annotated[str, Field(json_schema_extra=_KNOWN)]
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    scheduler: Literal["agent", "binpack", "rendezvous", "ring", "trust-weighted"] | None = None


class Simulations:
    """The runs that are under way."""

    def __init__(self) -> None:
        self.quota = Quota("simulations", SIMULATIONS_PER_PRINCIPAL_MAX)
        self._running: set[asyncio.subprocess.Process] = set()

    def check(self, who: str | None) -> None:
        """Refuse one run more for *who*, while that can still be said.

        Raises:
            BusyError: as many run as may.
            TooManyError: as many of this principal.
        """
        if self.quota.total >= SIMULATIONS_MAX:
            raise BusyError(
                f"{SIMULATIONS_MAX} simulations run already", hint="try again when one has ended"
            )
        self.quota.check(who)

    async def lines(self, asked: Simulation, who: str | None) -> AsyncIterator[bytes]:
        """Yield the lines of a run; it ends with this generator.

        Raises:
            TooManyError: as many run as may.
        """
        self.quota.take(who)
        try:
            child = await asyncio.create_subprocess_exec(
                *interpreter.command("-c", _CODE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=interpreter.environment(),
                limit=LINE_BYTES_MAX,
            )
            self._running.add(child)
            try:
                async for line in _exchange(child, asked):
                    yield line
            finally:
                await self._end(child)
        finally:
            self.quota.give(who)

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        self._running.discard(child)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await asyncio.shield(child.wait())

    def kill(self) -> None:
        """End every run: the server stops."""
        for child in tuple(self._running):
            with contextlib.suppress(ProcessLookupError):
                child.kill()


async def _exchange(child: asyncio.subprocess.Process, asked: Simulation) -> AsyncIterator[bytes]:
    if child.stdin is None or child.stdout is None:
        raise AssertionError("the child has no pipes")
    child.stdin.write(asked.model_dump_json().encode())
    child.stdin.close()
    loop = asyncio.get_running_loop()
    due = loop.time() + SIMULATION_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(due):
                line = await child.stdout.readline()
        except TimeoutError:
            yield b'{"ended":"it took too long"}\n'
            return
        if not line:
            return
        yield line


# --- in the child -------------------------------------------------------------------------


def main() -> None:
    """Run one simulation; for a process that was started for it."""
    _confine()
    with os.fdopen(0, "rb") as pipe:
        asked = Simulation.model_validate_json(pipe.read())
    with os.fdopen(1, "wb", closefd=False) as out:

        def write(said: object) -> None:
            out.write(_encode(said) + b"\n")
            out.flush()

        done = watch(asked.scenario, asked.seed, write, scheduler=asked.scheduler)
        write({"done": done})


def _confine() -> None:
    """Take from this process what it does not need."""
    for limit, value in (
        (resource.RLIMIT_CPU, SIMULATION_SECONDS),
        (resource.RLIMIT_AS, SIMULATION_MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (least, least))
    os.nice(10)
