"""``pfgov sim``: seeded histories that must keep every promise, and whole fleets in virtual time with
numbers to compare.
"""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.cli.output import table as grid
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pfgov.sim.compare import Estimate
    from pfgov.sim.start import Start
    from pfgov.sim.workload import Outcome

SHOWN = (
    "success_rate",
    "stability",
    "remap_mean",
    "balance",
    "gap_p99",
    "reown_p99",
    "denial_rate",
    "overhead",
)

sim = Nouns(
    "sim",
    help="Try fleets and faults in virtual time: the same engine, a clock turned by hand.",
    examples=(
        "pfgov sim list",
        "pfgov sim run --scenario high-churn --seed 1",
        "pfgov sim check --seeds 1000",
    ),
    then="what the numbers mean: pfgov sim metrics",
)
"""``pfgov sim``."""


@verb(
    sim,
    "list",
    examples=("pfgov sim list",),
    then="run one: pfgov sim run --scenario showcase",
    files=FILES,
)
def list_scenarios(output: Output) -> int:
    """List the scenarios and the question that each one asks."""
    from pfgov.sim.scenarios import SCENARIOS

    rows = [(one.name, one.scheduler, f"{one.minutes} min", one.asks) for one in SCENARIOS.values()]
    rows.append(
        ("taura-2003", "ring", "-", "Divide and conquer over 169 processors that join and leave.")
    )
    shown = [dict(zip(("name", "scheduler", "time", "asks"), row, strict=True)) for row in rows]
    output.show({"scenarios": shown}, grid(("SCENARIO", "SCHEDULER", "TIME", "ASKS"), rows))
    return 0


@verb(
    sim,
    "metrics",
    examples=("pfgov sim metrics",),
    then="see them: pfgov sim run --scenario default",
    files=FILES,
)
def metrics(output: Output) -> int:
    """Say how each metric is computed, and its unit."""
    from pfgov.sim.metrics import DEFINITIONS

    rows = [(name, one.unit, one.formula, one.of_nothing) for name, one in DEFINITIONS.items()]
    columns = ("name", "unit", "formula", "of_nothing")
    shown = [dict(zip(columns, row, strict=True)) for row in rows]
    output.show({"metrics": shown}, grid(("METRIC", "UNIT", "FORMULA", "OF NOTHING"), rows))
    return 0


def _scenario(name: str) -> Any:
    import difflib

    from pfgov.errors import NotFoundError
    from pfgov.sim.scenarios import SCENARIOS

    if name not in SCENARIOS:
        near = difflib.get_close_matches(name, SCENARIOS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see them: pfgov sim list"
        raise NotFoundError(f"there is no scenario {name}", code="sim.unknown_scenario", hint=hint)
    return SCENARIOS[name]


@verb(
    sim,
    "run",
    examples=(
        "pfgov sim run --scenario high-churn --seed 7",
        "pfgov sim run --scenario taura-2003",
        "pfgov sim run --from-ledger --policies ./policies --scenario high-churn",
    ),
    then="compare schedulers on it: pfgov sim compare --scenario high-churn",
)
@click.option(
    "--scenario",
    "name",
    default="default",
    show_default=True,
    help="Which one; see: pfgov sim list.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Equal seeds give equal runs.",
)
@click.option("--scheduler", help="Another scheduler than the scenario's own.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw FILE.png and FILE.svg of a scenario that has windows, such as soak.",
)
@click.option(
    "--from-ledger",
    is_flag=True,
    help="Begin with the ledger's active members and open packets; arriving packets are like its own.",
)
@click.option(
    "--policies",
    metavar="binding|DIR|DIGEST|BUNDLE",
    help="With --from-ledger: under this policy set; the binding one by default.",
)
def run(
    output: Output,
    name: str,
    seed: int,
    scheduler: str | None,
    plot: Path | None,
    from_ledger: bool,
    policies: str | None,
) -> int:
    """Run one scenario under one seed and print its metrics, computed from the ledger that it writes.

    With --from-ledger the fleet, the packets and the policies are those of your ledger, and the scenario says what
    happens to them: how much comes, who fails. They begin anew in a ledger of the simulator's own, which is thrown
    away, so owners are chosen again and earlier reviews and handoffs do not count. Of members and packets it takes the
    first 1,000 by their ids. Run it twice, with --policies the
    second time, to see where a change may lead; what it would have decided is `pfgov policy impact`.
    """
    if not from_ledger:
        output.files_only(FILES)
        if policies is not None:
            raise click.UsageError(
                "--policies belongs to --from-ledger", click.get_current_context()
            )
    if name == "taura-2003":
        if from_ledger:
            raise click.UsageError(
                "taura-2003 has a fleet of its own; choose another --scenario",
                click.get_current_context(),
            )
        return _taura(output, seed)
    from pfgov.sim.metrics import DEFINITIONS
    from pfgov.sim.workload import run_scenario

    scenario = _scenario(name)
    begun, start = _start(output, policies) if from_ledger else ({}, None)
    with output.progress(f"{name}, seed {seed}") as progress:
        outcome = run_scenario(scenario, seed, scheduler=scheduler, start=start, progress=progress)
    rows = [
        (metric, _value(metric, value), DEFINITIONS[metric].unit)
        for metric, value in outcome.metrics.items()
    ]
    written: list[str] = []
    if plot is not None and outcome.windows:
        from pfgov.sim.plots import plot_windows

        windows = outcome.windows
        written = drawn(lambda path: plot_windows(name, windows, path), plot)
    result: dict[str, Any] = {
        "scenario": name,
        "seed": seed,
        "scheduler": outcome.scheduler,
        "entries": outcome.entries,
        "metrics": outcome.metrics,
        **begun,
    }
    if outcome.windows:
        result |= {"windows": [one._asdict() for one in outcome.windows], "written": written}
    output.show(
        result,
        f"{scenario.asks}",
        *([_begun(begun)] if begun else []),
        f"{scenario.minutes} virtual minutes, scheduler {outcome.scheduler}, seed {seed}, {outcome.entries} entries",
        *([_windows(outcome)] if outcome.windows else []),
        grid(("METRIC", "#VALUE", "UNIT"), rows),
        *(f"wrote {path}" for path in written),
    )
    return 0


def _start(output: Output, policies: str | None) -> "tuple[dict[str, Any], Start]":
    """Return what the ledger gives to begin with, and what is said of it."""
    from pfgov.app.simulating import start_of
    from pfgov.cli.opening import reading
    from pfgov.cli.policy_sets import BINDING, asked

    chosen = asked(output, policies or BINDING)
    with reading(output) as book:
        start = start_of(book, chosen.policies)
    counts = {"members": len(start.members), "packets": len(start.packets)}
    return {**counts, **chosen.result()}, start


def _begun(said: dict[str, Any]) -> str:
    from pfgov.app.simulating import BEGUN_MAX

    is_cut = BEGUN_MAX in {said["members"], said["packets"]}
    most = f" (of each the first {BEGUN_MAX:,} at most)" if is_cut else ""
    members, packets = counted(said["members"], "member"), counted(said["packets"], "packet")
    return (
        f"begins with {members} and {packets} of the ledger{most}; "
        f"asked: {said['against']}, policy set {said['policy'][:12]}"
    )


def _windows(outcome: "Outcome") -> Any:
    """Return the windows as a table, with the last over the first in its last row."""
    from pfgov.sim.soak import COLUMNS, drift

    def cells(values: "Sequence[float | None]") -> list[str]:
        return ["-" if value is None else f"{value:,.2f}" for value in values]

    rows = [(str(one.number), str(one.packets), *cells(one[2:])) for one in outcome.windows]
    rows.append(("last/first", "", *cells(drift(outcome.windows))))
    names = (f"#{name.upper()}" for name, _ in COLUMNS)
    return grid(("WINDOW", "#PACKETS", *names), rows)


def _taura(output: Output, seed: int) -> int:
    from dataclasses import asdict

    from pfgov.sim.taura import run_taura

    result = run_taura(seed)
    rows = [
        (name, _number(value) if isinstance(value, float) else str(value))
        for name, value in asdict(result).items()
    ]
    output.show(
        asdict(result),
        "divide and conquer over virtual nodes (Taura et al., PPoPP 2003)",
        grid(("", "#VALUE"), rows),
    )
    return 0


def _value(metric: str, value: float | None) -> str:
    from pfgov.sim.metrics import DEFINITIONS

    definition = DEFINITIONS[metric]
    return definition.of_nothing if value is None else _number(value, definition.unit)


def _number(value: float, unit: str = "") -> str:
    return f"{value:,.0f}" if unit in {"count", "1 or 0"} else f"{value:,.3f}"


@verb(
    sim,
    "check",
    examples=(
        "pfgov sim check --seeds 1000",
        "pfgov sim check --from 4711 --seeds 1",
        "pfgov sim check --swarm --seeds 1000",
        "pfgov sim check --seeds 100000 --record checked.json",
    ),
    then="a seed that fails is shrunk and told, with the command that runs it again",
    files=FILES,
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many histories.",
)
@click.option("--from", "start", type=click.IntRange(min=0), default=0, help="The first seed.")
@click.option(
    "--processes", type=click.IntRange(min=1), help="How many at a time; the processors by default."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write down what is done, and go on from there when started again under the same rules.",
)
@click.option("--commit", metavar="ID", help="Which commit is checked, for the record.")
@click.option(
    "--swarm",
    is_flag=True,
    help="Draw other kinds of steps often, and others never, in each history.",
)
def check(
    output: Output,
    seeds: int,
    start: int,
    processes: int | None,
    record: Path | None,
    commit: str | None,
    swarm: bool,
) -> int:
    """Run seeded histories with faults and check every promise after every step; exit 1 if one breaks.

    It stops at the first; with --record it goes on and notes each.
    """
    if swarm and record is not None:
        raise click.UsageError(
            "--record is of histories without --swarm", click.get_current_context()
        )
    from pfgov.sim.check import check as run_check
    from pfgov.sim.check import shortest
    from pfgov.sim.record import load

    kept = (
        None if record is None else (load(record, start=start, seeds=seeds, commit=commit), record)
    )
    with output.progress("histories") as progress:
        report = run_check(
            start, seeds, processes=processes, progress=progress, record=kept, swarm=swarm
        )
    result: dict[str, Any] = {
        "seeds": report.seeds,
        "entries": report.entries,
        "violations": len(report.broken),
    }
    if not report.broken:
        output.show(
            result, f"{report.seeds} histories, {report.entries} entries, every promise kept"
        )
        return 0
    broken = report.broken[0]
    plan, message = shortest(broken.seed, swarm=swarm)
    steps = [str(step) for step in plan.steps]
    again = f"pfgov sim check{' --swarm' * swarm} --from {broken.seed} --seeds 1"
    others = ", ".join(str(other.seed) for other in report.broken[1:])
    output.show(
        {**result, "seed": broken.seed, "broke": message, "steps": steps, "again": again},
        f"seed {broken.seed} breaks {message}",
        f"shortest history, {len(steps)} steps over {plan.members} members and {plan.packets} packets:",
        *(f"  {step}" for step in steps),
        f"again: {again}",
        *([f"others that break a promise: seeds {others}"] if others else []),
    )
    return 1


@verb(
    sim,
    "compare",
    examples=(
        "pfgov sim compare --scenario high-churn --seeds 5",
        "pfgov sim compare --scenario k8s-scheduling --scheduler binpack --scheduler agent --plot chart",
    ),
    then="what the numbers mean: pfgov sim metrics",
    files=FILES,
)
@click.option(
    "--scenario",
    "name",
    default="default",
    show_default=True,
    help="Which one; see: pfgov sim list.",
)
@click.option(
    "--scheduler", "schedulers", multiple=True, help="Repeatable; several usual ones by default."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2, max=1_000),
    default=5,
    show_default=True,
    help="How many each.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write every run, a row each.",
)
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw FILE.png and FILE.svg."
)
def compare(
    output: Output,
    name: str,
    schedulers: tuple[str, ...],
    seeds: int,
    csv_file: Path | None,
    plot: Path | None,
) -> int:
    """Run schedulers side by side on the same seeds: means with 95 % confidence intervals."""
    from pfgov.sim.compare import compare as run_compare

    chosen = schedulers or ("rendezvous", "ring", "agent", "binpack")
    with output.progress(f"{name} x {len(chosen)} schedulers x {seeds} seeds") as progress:
        comparison = run_compare(_scenario(name), chosen, seeds, progress=progress)
    table = comparison.table(SHOWN)
    written: list[str] = []
    if csv_file is not None:
        _write_csv(csv_file, [run for runs in comparison.runs.values() for run in runs])
        written.append(str(csv_file))
    if plot is not None:
        from pfgov.sim.plots import plot as draw

        written += drawn(lambda path: draw(comparison, SHOWN, path), plot)
    shown = {
        scheduler: {
            metric: None if one is None else {"mean": one.mean, "half_width": one.half_width}
            for metric, one in row.items()
        }
        for scheduler, row in table.items()
    }
    rows = [
        (metric, *(_estimate(metric, table[one][metric]) for one in chosen)) for metric in SHOWN
    ]
    output.show(
        {"scenario": name, "seeds": seeds, "schedulers": shown, "written": written},
        f"{name}: mean ± 95 % half-width over {seeds} seeds",
        grid(("METRIC", *(f"#{one}" for one in chosen)), rows),
        *(f"wrote {path}" for path in written),
    )
    return 0


def _estimate(metric: str, found: "Estimate | None") -> str:
    from pfgov.sim.metrics import DEFINITIONS

    return DEFINITIONS[metric].of_nothing if found is None else str(found)


def drawn(draw: "Callable[[Path], Iterable[Path]]", path: Path) -> list[str]:
    """Have pictures drawn under the name of *path*, and put them where they belong; return their files.

    The library takes its settings, a program that sets type among them, from the folder that somebody stands in, and
    writes into whatever lies there: it is given a folder of its own.

    Raises:
        OutputError: a picture cannot be written.
    """
    from contextlib import chdir
    from tempfile import TemporaryDirectory

    from pfgov.cli.writing import put

    written: list[str] = []
    with TemporaryDirectory(prefix="pfgov-plot-") as folder:
        with chdir(folder):
            pictures = {one.suffix: one.read_bytes() for one in draw(Path(folder) / path.name)}
        for suffix, picture in pictures.items():
            put(path.with_suffix(suffix), picture, is_public=True)
            written.append(str(path.with_suffix(suffix)))
    return written


def _write_csv(path: Path, runs: list["Outcome"]) -> None:
    from pfgov.cli.writing import put

    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["scenario", "scheduler", "seed", "entries", *runs[0].metrics])
    for one in runs:
        writer.writerow([one.scenario, one.scheduler, one.seed, one.entries, *one.metrics.values()])
    put(path, out.getvalue().encode(), is_public=True)
