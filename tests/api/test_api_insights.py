"""Analytics over a ledger's time, and runs of the simulator as a stream."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.app.analytics import NOTES_MAX, SHOWN
from pfgov.core.records import Stamp
from pfgov.sim.metrics import Meter
from pfgov.sim.scenarios import SCENARIOS
from pfgov.sim.workload import run_scenario


def test_the_metrics_are_those_of_the_entries(api: Api) -> None:
    """A number of the analytics is another one than the simulator's formula gives for the same entries."""
    for name in ("m1", "m2", "m3"):
        api.member(name)
    for number in range(12):
        api.packet(f"p{number}")
    api.post("/api/members/m1/fail", {}).raise_for_status()
    api.run(api.service.tick())
    found = api.get("/api/analytics").json()
    last = found["notes"][-1]
    meter = Meter()
    for one in api.engine.reader.entries():
        if one.row.seq <= last["seq"]:
            meter.read(one.event, Stamp(one.row.seq, one.row.time))
    wanted = meter.result()
    for name in set(SHOWN) - {"balance"}:  # which is sampled
        assert last["values"][name] == wanted[name], name
    assert found["covered"] == found["size"]
    assert set(found["definitions"]) == set(SHOWN)


def test_a_long_history_keeps_a_bounded_number_of_notes(api: Api) -> None:
    """Notes grow with the ledger."""
    api.member("m1")
    for number in range(NOTES_MAX * 6):
        api.packet(f"p{number}", hold=True)
    for _ in range(3):
        found = api.get("/api/analytics").json()
    seqs = [one["seq"] for one in found["notes"]]
    assert NOTES_MAX // 2 - 1 <= len(seqs) <= NOTES_MAX
    assert seqs == sorted(seqs)


@pytest.mark.process
def test_a_run_is_that_of_the_command_line(shared: Api) -> None:
    """The numbers in the page differ from those of ``pfgov sim run`` with the same seed."""
    asked = {"scenario": "calm", "seed": 7, "scheduler": "ring"}
    answer = shared.post("/api/simulations", asked, scope="auditor")
    assert answer.status_code == 200, answer.text
    *frames, last = map(json.loads, answer.text.splitlines())
    outcome = run_scenario(SCENARIOS["calm"], 7, scheduler="ring")
    assert last["done"]["metrics"] == outcome.metrics
    assert last["done"]["entries"] == outcome.entries
    seconds: list[int] = [one["second"] for one in frames]
    assert len(seconds) > 100
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == frames[-1]["seconds"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"scenario": "nothing"}, "input.invalid"),
        ({"scenario": "soak"}, "input.invalid"),
        ({"scenario": "calm", "seed": -1}, "input.invalid"),
        ({"scenario": "calm", "scheduler": "nobody"}, "input.invalid"),
    ],
)
def test_what_cannot_be_run_is_refused(shared: Api, asked: dict[str, Any], code: str) -> None:
    """A scenario that there is not, or that takes days, is begun."""
    problem(shared.post("/api/simulations", asked, scope="auditor"), 400, code)


def test_runs_are_bounded(tmp_path: Path) -> None:
    """There is no end to how many runs go on at once."""
    with Api(tmp_path) as api:
        quota = api.service.simulations.quota
        quota.take(None)
        quota.take(None)
        problem(api.post("/api/simulations", {"scenario": "calm"}), 503, "engine.busy")
