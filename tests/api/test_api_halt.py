"""Most members fall silent at once: every entry point says that leases do not end, and what ends that."""

import logging

import pytest
from support.api_server import Api
from support.commandline import CommandLine

NAMES = [f"m{number}" for number in range(6)]
REMEDY = "leases do not end (mass_expiry); when the cause is known: pfgov tick --resume"


def _silent(api: Api) -> None:
    """Six members with two packets each, of whom five are not heard for longer than their lease."""
    for name in NAMES:
        api.member(name, lease_seconds=30)
    for number in range(12):
        api.packet(f"p{number}")
    for _ in range(4):
        api.clock.advance(10_000_000)
        api.post("/api/members/m0/heartbeat", {"incarnation": 1})
        api.run(api.service.tick())


def _owners(api: Api) -> set[str | None]:
    return {api.get(f"/api/packets/p{number}").json()["current_owner"] for number in range(12)}


def test_a_halt_is_named_everywhere_and_ends_when_the_members_are_back(
    api: Api, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks at one place only is not told that leases do not end, or a halt outlasts its cause."""
    caplog.set_level(logging.WARNING)
    _silent(api)
    owners = _owners(api)
    assert api.get("/api/status").json()["halted"] == "mass_expiry"
    assert api.get("/api/health/ready").json()["halted"] == "mass_expiry"
    assert "pfgov_halted 1" in api.get("/metrics").text
    assert api.post("/api/tick").json()["halted"] == "mass_expiry"
    assert "pfgov tick --resume" in caplog.text

    said = CommandLine(api.directory, capsys)
    assert REMEDY in " ".join(said("status").out.split())
    assert said("packet", "list", "--stuck").out.startswith(REMEDY)
    assert said.ok("packet", "list", "--stuck")["halted"] == "mass_expiry"
    assert said.ok("status")["halted"] == "mass_expiry"

    for _ in range(3):
        api.clock.advance(5_000_000)
        for name in NAMES:
            api.post(f"/api/members/{name}/heartbeat", {"incarnation": 1})
        api.run(api.service.tick())
    assert api.get("/api/health/ready").json()["halted"] is None
    assert "pfgov_halted 0" in api.get("/metrics").text
    assert "leases end again" in caplog.text
    assert _owners(api) == owners
    assert "halted" not in said("status").out
    assert said.ok("packet", "list", "--stuck") == {
        "packets": [],
        "count": 0,
        "more": False,
        "halted": None,
    }


def test_a_halt_leaves_nobody_owned_by_the_dead(api: Api) -> None:
    """An operator says who is dead, and their packets stay with them."""
    _silent(api)
    told = api.post("/api/tick", {"dead": NAMES[1:]}).json()
    assert told["halted"] is None
    api.run(api.service.settle())
    assert _owners(api) == {"m0"}
