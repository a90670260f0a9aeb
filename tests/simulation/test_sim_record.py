"""A long check can be stopped and goes on where it was, under the same rules only, and says which code did what."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pfgov.errors import StateConflictError
from pfgov.sim import record as records
from pfgov.sim.check import BROKEN_MAX, CHUNK, Broken, check
from pfgov.sim.record import Part, Record, load, save, sources_digest


def _record(path: Path, **given: int) -> tuple[Record, Path]:
    return load(path, start=given.get("start", 0), seeds=given.get("seeds", 40), commit="c1"), path


def test_record_a_check_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is done again, or what was not is left out; the whole comes to the same as without a stop."""
    ran: list[int] = []

    def chunk(work: tuple[Path, Path, bool, int, int]) -> tuple[int, int, int, tuple[Broken, ...]]:
        ran.append(work[3])
        if len(ran) == 2:
            raise KeyboardInterrupt
        return work[3], work[4], 100, ()

    monkeypatch.setattr("pfgov.sim.check._run_chunk", chunk)
    path = tmp_path / "checked.json"
    with pytest.raises(KeyboardInterrupt):
        check(0, 50, processes=1, record=_record(path, seeds=50))
    assert msgspec.json.decode(path.read_bytes(), type=Record).done == [(0, 20)]
    report = check(0, 50, processes=1, record=_record(path, seeds=50))
    assert ran == [0, 20, 20, 40]
    assert (report.seeds, report.entries) == (50, 300)
    kept = msgspec.json.decode(path.read_bytes(), type=Record)
    assert (kept.done, kept.violations, kept.count) == ([(0, 50)], [], 50)
    assert [(part.commit, part.sources) for part in kept.parts] == [("c1", sources_digest())]


def test_record_a_violation_is_kept_and_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that broke a promise counts as done."""
    broken = Broken(3, "promise 5: ...")
    monkeypatch.setattr("pfgov.sim.check._run_chunk", lambda work: (work[3], 4, 10, (broken,)))
    path = tmp_path / "checked.json"
    assert check(0, 20, processes=1, record=_record(path)).broken == (broken,)
    kept = msgspec.json.decode(path.read_bytes(), type=Record)
    assert (kept.done, kept.violations) == ([], [(3, "promise 5: ...")])
    assert _record(path)[0].done == []


def test_record_a_check_goes_on_after_a_violation_and_ends_after_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One history that breaks a promise keeps all after it from being checked, or none ever ends the check."""

    def run(work: tuple[Path, Path, bool, int, int]) -> tuple[int, int, int, tuple[Broken, ...]]:
        first, count = work[3:]
        if first // CHUNK % 2:
            return first, 1, 0, (Broken(first, "promise 6"),)
        return first, count, 7, ()

    monkeypatch.setattr("pfgov.sim.check._run_chunk", run)
    path = tmp_path / "checked.json"
    seeds = 4 * CHUNK
    report = check(0, seeds, processes=1, record=_record(path))
    assert [one.seed for one in report.broken] == [CHUNK, 3 * CHUNK]
    assert _record(path)[0].done == [(0, CHUNK), (2 * CHUNK, CHUNK)]
    many = check(0, 4 * BROKEN_MAX * CHUNK, processes=1, record=_record(tmp_path / "many.json"))
    assert len(many.broken) == BROKEN_MAX
    assert len(check(0, seeds, processes=1).broken) == 1


def test_record_other_rules_or_other_seeds_begin_anew(tmp_path: Path) -> None:
    """Histories under other rules are counted, or a file that is something else is overwritten."""
    path = tmp_path / "checked.json"
    done, _ = _record(path)
    done.add(0, 20, 100)
    save(done, path)
    assert _record(path)[0].done == [(0, 20)]
    assert _record(path, start=7)[0].done == []
    done.semantics -= 1
    save(done, path)
    assert _record(path)[0].done == []
    path.write_text("{}")
    with pytest.raises(StateConflictError) as caught:
        _record(path)
    assert caught.value.code == "sim.record"


def test_record_says_which_code_ran_which_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other code repeats what was done, or passes it off as its own."""
    path = tmp_path / "checked.json"
    first, _ = _record(path)
    first.add(0, 20, 100)
    save(first, path)
    monkeypatch.setattr(records, "sources_digest", lambda: "other")
    second, _ = _record(path)
    assert second.holds(0, 20)
    second.add(20, 20, 70)
    save(second, path)
    kept, _ = _record(path)
    assert [(part.done, part.entries) for part in kept.parts] == [
        ([(0, 20)], 100),
        ([(20, 20)], 70),
    ]
    assert (kept.done, kept.count, kept.entries) == ([(0, 40)], 40, 170)


def test_record_holds_what_a_history_runs_through() -> None:
    """A source that a history runs through can change without another digest."""
    code = (
        "import sys\nfrom pfgov.sim.simulation import make_template, run_plan\n"
        "from pfgov.sim.steps import draw_plan\nfrom pfgov.sim.workload import workspace\n"
        "with workspace() as folder:\n"
        "    make_template(folder / 'template')\n"
        "    run_plan(draw_plan(1), folder / 'template', folder)\n"
        "print('\\n'.join(name for name in sys.modules if name.startswith('pfgov')))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    names = done.stdout.split()
    assert "pfgov.core.decide" in names
    assert [
        name
        for name in names
        if any(f"{name}.".startswith(f"{one.replace('/', '.')}.") for one in records.OUTSIDE)
    ] == []


def test_record_runs_of_seeds_are_merged() -> None:
    """Parts that come back out of order are counted twice, or not at all."""
    kept = Record(seeds=100, parts=[Part(commit=None, sources="")])
    for first in (40, 0, 20, 80):
        kept.add(first, 20, 1)
    assert kept.done == [(0, 60), (80, 20)]
    assert (kept.count, kept.entries) == (80, 4)
    assert kept.holds(20, 20)
    assert not kept.holds(60, 20)
    assert not kept.holds(50, 20)
