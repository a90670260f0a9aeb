"""Activation says which points a set leaves uncovered, and closes none that is not named: through every door."""

from pathlib import Path
from typing import Any, Final

import pytest
from support import policy_kit as kit
from support.api_server import Api, problem
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import OPERATOR, fresh, opened

from pfgov.core import commands as c
from pfgov.core.coverage import UncoveredError
from pfgov.core.verdicts import PLACING
from pfgov.engine import Engine

POINTS: Final = sorted(PLACING)
GUARDED: Final = ("export", "submit")


def text(*points: str) -> str:
    """Return a policy that allows everything at *points*, to operators at those that guard."""
    rules = "".join(
        f'  - {{id: r-{point.replace("_", "-")}, on: [{point}], require: principal.id != "nobody"}}\n'
        for point in points
    )
    return kit.policy(rules, on=f"[{', '.join(points)}]")


def but(point: str) -> str:
    """Return a policy that covers every placing point but *point*, and guards two."""
    return text(*(one for one in POINTS if one != point), *GUARDED)


def binding(engine: Engine) -> str | None:
    """Return the digest of the binding set."""
    return engine.status().policy


@pytest.mark.parametrize("point", POINTS)
def test_the_library_closes_no_point_that_is_not_named(tmp_path: Path, point: str) -> None:
    """Every owner loses its work because a set says nothing of retain."""
    found = kit.load(tmp_path / "set", but(point))
    with opened(fresh(tmp_path)) as engine:
        before, size = binding(engine), engine.status().size
        with pytest.raises(UncoveredError, match=point):
            engine.activate(found, principal=OPERATOR)
        others = [one for one in POINTS if one != point]
        with pytest.raises(UncoveredError):
            engine.activate(found, principal=OPERATOR, leave_uncovered=others)
        assert (binding(engine), engine.status().size) == (before, size)
        receipt = engine.activate(found, principal=OPERATOR, leave_uncovered=[*others, point][::-1])
        assert binding(engine) == found.digest
        command = receipt.events[0].command
        assert command is not None
        assert isinstance(command.do, c.ActivatePolicy)
        assert command.do.leave_uncovered == tuple(POINTS)
        engine.reader.replay()


def _check_view(view: dict[str, Any], point: str) -> None:
    assert view["closed"] == [point]
    assert set(view["covered"]) == {*POINTS, *GUARDED} - {point}
    assert view["left_to_rights"] == ["update", "update_member", "review", "complete", "activate"]


def test_http_closes_no_point_that_is_not_named(tmp_path: Path) -> None:
    """The same over HTTP, where the refusal is a conflict, and the answer says what is covered."""
    with Api(tmp_path) as api:
        for point in POINTS:
            files = {"a.policy.yaml": but(point)}
            before = binding(api.engine)
            asked = {"files": files}
            found = problem(
                api.post("/api/policies/activate", asked, scope="admin"), 409, "policy.uncovered"
            )
            assert point in found["detail"]
            assert binding(api.engine) == before
            done = api.post(
                "/api/policies/activate", {**asked, "leave_uncovered": [point]}, scope="admin"
            )
            _check_view(done.json()["result"]["coverage"], point)
            _check_view(api.get("/api/policies", scope="operator").json()["coverage"], point)
        for wrong in ("export", "Retain", "retain "):
            asked = {"files": {"a.policy.yaml": text(*POINTS)}, "leave_uncovered": [wrong]}
            problem(api.post("/api/policies/activate", asked, scope="admin"), 400)


def test_the_command_line_closes_no_point_that_is_not_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a folder and over a server: refused, then named, and told in full."""
    kit.write(tmp_path / "some", {"a.policy.yaml": but("retain")})
    kit.write(tmp_path / "all", {"a.policy.yaml": text(*POINTS, *GUARDED, "review")})
    directory = fresh(tmp_path)
    local = CommandLine(directory, capsys)
    _ask(local, tmp_path)
    with Served(directory) as served:
        _ask(RemoteLine(served.url, capsys), tmp_path)


def _ask(line: CommandLine, folder: Path) -> None:
    line.ok("policy", "activate", folder / "all")
    refused = line.refused("policy", "activate", folder / "some")
    assert refused["code"] == "policy.uncovered"
    assert "--leave-uncovered" in refused["hint"]
    done = line.ok("policy", "activate", folder / "some", "--leave-uncovered", "retain")
    _check_view(done["policy"]["coverage"], "retain")
    assert done["no_longer_covered"] == ["retain", "review"]
    said = line("policy", "activate", folder / "some", "--leave-uncovered", "retain").out
    assert "denied for want of a policy" in said
    assert "left to rights alone" in said


def test_a_new_ledger_is_not_made_with_a_point_closed_that_is_not_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can join the ledger that was just made, and nothing said so; or half a ledger is left behind."""
    kit.write(tmp_path / "some", {"a.policy.yaml": but("register")})
    directory = tmp_path / "new"
    line = CommandLine(directory, capsys)
    refused = line.refused("init", "--policy", tmp_path / "some")
    assert refused["code"] == "policy.uncovered"
    assert not directory.exists()
    made = line.ok("init", "--policy", tmp_path / "some", "--leave-uncovered", "register")
    assert made["coverage"]["closed"] == ["register"]
