"""Charts of comparisons, as PNG and SVG.  Needs matplotlib, the extra ``plot``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pfgov.errors import PfgovError
from pfgov.sim.compare import Comparison
from pfgov.sim.metrics import DEFINITIONS
from pfgov.sim.soak import COLUMNS as SHOWN
from pfgov.sim.soak import Window

COLUMNS = 3


class NoPlotsError(PfgovError):
    """matplotlib is not installed."""

    code = "sim.no_plots"


def plot(comparison: Comparison, metrics: Sequence[str], path: Path) -> tuple[Path, Path]:
    """Draw one panel a metric, a bar a scheduler with its 95 % interval; return the PNG and the SVG that were written.

    Raises:
        NoPlotsError: matplotlib is missing.
    """
    plt = _pyplot()
    table = comparison.table(metrics)
    names = list(table)
    rows = -(-len(metrics) // COLUMNS)
    drawn: Any = plt.subplots(
        rows, COLUMNS, figsize=(4 * COLUMNS, 3 * rows), layout="constrained", squeeze=False
    )
    figure, axes = drawn
    figure.suptitle(f"{comparison.scenario}: mean of {comparison.seeds} seeds, 95 % intervals")
    for index, metric in enumerate(metrics):
        axis = axes[index // COLUMNS][index % COLUMNS]
        estimates = [table[name][metric] for name in names]
        errors = [
            one.half_width if one and one.half_width != float("inf") else 0 for one in estimates
        ]
        axis.bar(
            names,
            [one.mean if one else float("nan") for one in estimates],
            yerr=errors,
            capsize=4,
            color="#4477aa",
            ecolor="#222222",
        )
        axis.set_title(metric)
        axis.set_ylabel(DEFINITIONS[metric].unit)
        axis.set_ylim(bottom=0)
        axis.tick_params(axis="x", rotation=30)
    for index in range(len(metrics), rows * COLUMNS):
        axes[index // COLUMNS][index % COLUMNS].set_axis_off()
    return _saved(figure, path)


def plot_windows(name: str, windows: Sequence[Window], path: Path) -> tuple[Path, Path]:
    """Draw what each window shows, a panel a column; return the PNG and the SVG that were written.

    Raises:
        NoPlotsError: matplotlib is missing.
    """
    plt = _pyplot()
    rows = -(-len(SHOWN) // COLUMNS)
    drawn: Any = plt.subplots(
        rows, COLUMNS, figsize=(4 * COLUMNS, 3 * rows), layout="constrained", squeeze=False
    )
    figure, axes = drawn
    figure.suptitle(f"{name}: {len(windows)} windows")
    numbers = [one.number for one in windows]
    for index, (title, unit) in enumerate(SHOWN):
        axis = axes[index // COLUMNS][index % COLUMNS]
        values = [one[index + 2] for one in windows]
        axis.plot(numbers, [float("nan") if v is None else v for v in values], marker="o")
        axis.set_title(title)
        axis.set_xlabel("window")
        axis.set_ylabel(unit)
        axis.set_xticks(numbers)
        axis.set_ylim(0, 1.1 * max((v for v in values if v), default=1))
    for index in range(len(SHOWN), rows * COLUMNS):
        axes[index // COLUMNS][index % COLUMNS].set_axis_off()
    return _saved(figure, path)


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise NoPlotsError("drawing needs matplotlib", hint="pip install 'pfgov[plot]'") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def _saved(figure: Any, path: Path) -> tuple[Path, Path]:
    written = path.with_suffix(".png"), path.with_suffix(".svg")
    for target in written:
        figure.savefig(
            target, dpi=120, metadata={"Date": None} if target.suffix == ".svg" else None
        )
    _pyplot().close(figure)
    return written
