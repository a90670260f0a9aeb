"""Checking many histories: seeds over processes, and what to do with one that fails.

A failing seed is shrunk and told: its shortest history, the promise that broke, and the command that runs it again.
With a record (:mod:`pfgov.sim.record`) a check goes on where an earlier one under the same rules was stopped.
"""

import gc
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pfgov.sim.history import ViolationError
from pfgov.sim.record import Record, save
from pfgov.sim.shrink import shrink
from pfgov.sim.simulation import make_template, run_plan
from pfgov.sim.steps import Plan, draw_plan, draw_swarm_plan
from pfgov.sim.workload import workspace

CHUNK: Final = 20
"""Seeds that a process runs before it reports.  It collects garbage then and not in between, which takes a tenth of the
time."""


BROKEN_MAX: Final = 16
"""Histories that break a promise after which a check with a record stops; one without a record stops at the first."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A seed whose history broke a promise."""

    seed: int
    message: str


@dataclass(slots=True)
class Report:
    """What a check came to."""

    seeds: int = 0
    entries: int = 0
    broken: tuple[Broken, ...] = ()


Progress = Callable[[int, int], None]


def check(
    start: int,
    seeds: int,
    *,
    processes: int | None = None,
    progress: Progress | None = None,
    record: tuple[Record, Path] | None = None,
    swarm: bool = False,
) -> Report:
    """Run the histories of *seeds* seeds from *start* on; stop handing out work when enough have broken a promise.

    Args:
        start: The first seed.
        seeds: How many.
        processes: How many at a time; one for each processor by default.
        progress: Called with (seeds done, seeds in all).
        record: What was done before, and where it is kept; written after each part.
        swarm: Whether each history draws its steps under weights of its own.
    """
    report = Report()
    kept = None if record is None else record[0]
    every = ((at, min(CHUNK, start + seeds - at)) for at in range(start, start + seeds, CHUNK))
    chunks = [one for one in every if kept is None or not kept.holds(*one)]
    if kept is not None:
        report.seeds, report.entries = kept.count, kept.entries
    with workspace() as folder:
        template = folder / "template"
        make_template(template)
        for first, done, entries, broken in _results(
            (template, folder, swarm), chunks, processes or os.cpu_count() or 1
        ):
            if record is not None:
                _note(*record, (first, done, entries, broken))
            report.seeds += done
            report.entries += entries
            report.broken += broken
            if progress is not None:
                progress(report.seeds, seeds)
            if len(report.broken) >= (1 if record is None else BROKEN_MAX):
                break
    return report


Result = tuple[int, int, int, tuple[Broken, ...]]
"""The first seed of a part, how many were run, the entries they wrote, and what broke."""


def _note(record: Record, path: Path, result: Result) -> None:
    first, done, entries, broken = result
    if broken:
        record.violations += [(one.seed, one.message) for one in broken]
    else:
        record.add(first, done, entries)
    save(record, path)


def _results(
    where: tuple[Path, Path, bool], chunks: list[tuple[int, int]], processes: int
) -> Iterator[Result]:
    work = [(*where, first, count) for first, count in chunks]
    if processes == 1 or len(work) == 1:
        yield from map(_run_chunk, work)
        return
    os.environ["PYTHONSAFEPATH"] = "1"  # children import nothing from the current folder
    with multiprocessing.get_context("spawn").Pool(processes, gc.disable) as pool:
        yield from pool.imap_unordered(_run_chunk, work)


def plan_of(seed: int, *, swarm: bool = False) -> Plan:
    """Return the history of *seed*, of a *swarm* or not."""
    return draw_swarm_plan(seed) if swarm else draw_plan(seed)


def _run_chunk(work: tuple[Path, Path, bool, int, int]) -> Result:
    template, folder, swarm, first, count = work
    gc.collect()
    entries = 0
    mine = folder / f"process-{os.getpid()}"
    for seed in range(first, first + count):
        try:
            entries += run_plan(plan_of(seed, swarm=swarm), template, mine).entries
        except ViolationError as error:
            notes = getattr(error, "__notes__", [])
            broken = Broken(seed, f"{error}; {' '.join(notes)}")
            return first, seed - first + 1, entries, (broken,)
        finally:
            shutil.rmtree(mine / f"seed-{seed}", ignore_errors=True)
    return first, count, entries, ()


def shortest(seed: int, *, swarm: bool = False) -> tuple[Plan, str]:
    """Return the shortest history of *seed* that still breaks a promise, and which one.

    Raises:
        LookupError: the history of *seed* breaks none.
    """
    with workspace() as folder:
        template = folder / "template"
        make_template(template)
        plan = plan_of(seed, swarm=swarm)
        try:
            run_plan(plan, template, folder)
        except ViolationError as error:
            return shrink(plan, template, folder), str(error)
    raise LookupError(f"the history of seed {seed} breaks no promise")
