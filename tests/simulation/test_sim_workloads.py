"""Whole fleets in virtual time: the metrics mean what they say, and the specification's questions get their answers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.world import World

from pfgov.core import commands as c
from pfgov.core.records import Stamp
from pfgov.sim.check import check
from pfgov.sim.compare import compare, estimate
from pfgov.sim.metrics import DEFINITIONS, Meter, percentile
from pfgov.sim.scenarios import SCENARIOS, Churn, Fleet, Scenario, Work
from pfgov.sim.soak import COLUMNS, WindowMeter, drift
from pfgov.sim.workload import run_scenario

SHORT = Scenario(
    "short",
    "A test.",
    minutes=3,
    fleet=Fleet(members=8),
    work=Work(packets_per_hour=900, seconds=20),
    churn=Churn(failures=30, repair_seconds=20, joins=10, leaves=10),
)


def test_sim_without_churn_nothing_moves() -> None:
    """A placement is counted as a migration: a calm fleet is reported as unstable."""
    metrics = run_scenario(SCENARIOS["calm"], 3).metrics
    assert metrics["stability"] == 1.0
    assert metrics["moves"] == metrics["churn"] == 0
    assert metrics["gap_mean"] is None
    assert metrics["success_rate"] == 1.0


def test_sim_time_to_re_own_is_the_lease_and_two_ticks() -> None:
    """Work of a dead member stays stranded for longer than its lease and two ticks."""
    for seed in (1, 2, 3):
        metrics = run_scenario(SHORT, seed).metrics
        assert 0 < (metrics["reown_p99"] or 0) <= SHORT.fleet.lease_seconds + 2


def test_sim_equal_seeds_give_equal_numbers() -> None:
    """A comparison of schedulers compares noise: the same seed gives other numbers."""
    assert run_scenario(SHORT, 5) == run_scenario(SHORT, 5)
    assert run_scenario(SHORT, 5).metrics != run_scenario(SHORT, 6).metrics


def test_sim_every_metric_is_defined_and_computed() -> None:
    """A number is printed that nobody defined, or a defined one is missing."""
    assert set(run_scenario(SHORT, 1).metrics) == set(DEFINITIONS)


def test_sim_what_was_submitted_is_accounted_for() -> None:
    """A packet vanished from the books under churn."""
    assert run_scenario(SHORT, 9).metrics["conserved"] == 1.0


@pytest.mark.parametrize("name", ["consistent-hashing"])
def test_sim_the_ring_moves_little_more_than_its_share(name: str) -> None:
    """A membership change remaps far more than the leaver's share of the work."""
    metrics = run_scenario(SCENARIOS[name], 2).metrics
    assert (metrics["remap_mean"] or 1) <= 2 * (metrics["remap_expected"] or 0)


@pytest.mark.long
def test_sim_virtual_nodes_keep_169_processors_busy() -> None:
    """Divide and conquer over processors that join mid-run falls below the paper's speedup, or leaves joiners idle."""
    from pfgov.sim.taura import run_taura

    result = run_taura(1)
    assert result.speedup >= 120
    assert result.used_of_joined == result.joined_midway
    assert result.always_one_owner


def test_sim_compare_pairs_seeds() -> None:
    """Two equal schedulers are told apart, or an interval is not an interval."""
    comparison = compare(SHORT, ("rendezvous", "agent"), 3)
    table = comparison.table(("stability",))
    assert set(table) == {"rendezvous", "agent"}
    assert comparison.differences("stability", "rendezvous")["agent"].half_width >= 0
    assert estimate([1.0, 1.0, 1.0]).half_width == 0


def test_sim_percentiles_are_nearest_rank() -> None:
    """A percentile is taken between two values that both never happened."""
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([5], 99) == 5
    assert percentile([], 99) is None


def test_sim_a_share_of_nothing_is_not_a_success() -> None:
    """A fleet that completed nothing shows a success rate of 1, and nobody sees that nothing was measured."""
    metrics = run_scenario(SCENARIOS["consistent-hashing"], 1).metrics
    assert metrics["completed"] == 0
    assert metrics["success_rate"] is None
    assert DEFINITIONS["success_rate"].of_nothing == "none ended"
    empty = Meter().result()
    for name, definition in DEFINITIONS.items():
        if definition.unit not in {"count", "1 or 0"}:
            assert empty[name] is None, name
            assert definition.of_nothing != "0", name


def test_sim_check_uses_processes_and_counts() -> None:
    """The parallel check loses a seed, or reports a promise as broken that is kept."""
    report = check(100, 24, processes=2)
    assert (report.seeds, report.broken) == (24, ())
    assert report.entries > 0


def test_sim_cli_prints_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A program that runs a comparison cannot read its answer, or the chart is not drawn."""
    pytest.importorskip("matplotlib")
    from pfgov.cli import main

    chart = tmp_path / "chart"
    words = [
        "sim",
        "compare",
        "--scenario",
        "pods-restart",
        "--seeds",
        "2",
        "--scheduler",
        "ring",
        "--plot",
        str(chart),
    ]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code in {0, None}
    shown = json.loads(capsys.readouterr().out)
    assert shown["schedulers"]["ring"]["stability"]["mean"] <= 1
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "chart.svg").read_text()[:2_000]


def _soak(hours: int) -> Scenario:
    """Return the soak with its churn pressed into so many hours, in four windows."""
    soak = SCENARIOS["soak"]
    faster = 28 * 24 / hours / 20
    churn = replace(
        soak.churn,
        failures=soak.churn.failures * faster,
        leaves=soak.churn.leaves * faster,
        joins=soak.churn.joins * faster,
        restarts=1.0,
        clock_steps=2.0,
        policy_at=(3_600, 7_200, 10_800),
    )
    return replace(
        soak,
        minutes=hours * 60,
        window_minutes=hours * 15,
        fleet=replace(soak.fleet, members=30, lease_seconds=600),
        work=replace(soak.work, packets_per_hour=60, seconds=600),
        churn=churn,
    )


def test_sim_a_soak_is_told_in_windows_and_stays_flat() -> None:
    """Over restarts, clock steps and policy changes waiting or entries for each packet grow from window to window."""
    outcome = run_scenario(_soak(8), 1)
    assert [one.number for one in outcome.windows] == [1, 2, 3, 4]
    assert sum(one.packets for one in outcome.windows) == outcome.metrics["packets"]
    assert outcome.metrics["conserved"] == 1.0
    for _, _, wait, moves, entries, live, _ in outcome.windows[1:]:
        assert (wait or 0) <= 3_600
        assert (moves or 0) <= 2
        assert (entries or 0) <= 8
        assert live <= 60
    assert len(drift(outcome.windows)) == len(COLUMNS)
    assert drift(outcome.windows[:1]) == [None] * len(COLUMNS)


def test_sim_windows_forget_what_has_ended() -> None:
    """The meter of a long run grows with it, and the memory that it shows is its own."""
    meter = WindowMeter(0, 1_000, memory=lambda: None)
    world = World()
    world.member("m")
    for i in range(50):
        world.packet(f"p{i}")
        world.do(c.CompletePacket(packet_id=f"p{i}", owner=world.claim(f"p{i}")))
    for stamp, event in world.entries:
        meter.read(event, Stamp(stamp.seq, stamp.seq))
    meter.close()
    assert (meter.windows[0].packets, meter.windows[0].live) == (50, 0)
    assert meter.windows[0].memory is None
    assert not meter._waiting
    assert not meter._live
