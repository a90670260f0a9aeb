"""Most members fall silent at once: every entry point says that leases do not end, and what ends that."""

import logging
from typing import Any

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


def _doors(api: Api, said: CommandLine) -> dict[str, bool]:
    """Whether each place says that leases do not end and what ends that: whoever looks at one looks at no other."""
    named = {"halted": "mass_expiry", "remedy": REMEDY}

    def has(answer: dict[str, Any]) -> bool:
        return {name: answer[name] for name in named} == named

    return {
        "status over HTTP": has(api.get("/api/status").json()),
        "stuck packets over HTTP": has(api.get("/api/packets?stuck=true").json()),
        "readiness": has(api.get("/api/health/ready").json()),
        "tick over HTTP": has(api.post("/api/tick").json()),
        "ledger over HTTP": api.get("/api/ledger").json()["halted"] == "mass_expiry",
        "metrics": "\npfgov_halted 1" in api.get("/metrics").text,
        "console, overview": "/console/do/end_halt" in api.get("/console/overview").text,
        "console, stuck packets": REMEDY in api.get("/console/workloads?stuck=true").text,
        **{
            " ".join(line): REMEDY in " ".join(said(*line).out.split()) and has(said.ok(*line))
            for line in (("status",), ("packet", "list", "--stuck"))
        },
    }


def test_a_halt_is_named_everywhere_and_ends_when_the_members_are_back(
    api: Api, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks at one place only is not told that leases do not end, or a halt outlasts its cause."""
    caplog.set_level(logging.WARNING)
    _silent(api)
    owners = _owners(api)
    said = CommandLine(api.directory, capsys)
    places = _doors(api, said)
    assert [name for name, is_said in places.items() if not is_said] == []
    assert REMEDY in caplog.text
    assert said("packet", "list", "--stuck").out.startswith(REMEDY)

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
        "remedy": None,
    }
    assert not any(is_said for is_said in _doors(api, said).values())


def test_a_halt_leaves_nobody_owned_by_the_dead(api: Api) -> None:
    """An operator says who is dead, and their packets stay with them."""
    _silent(api)
    told = api.post("/api/tick", {"dead": NAMES[1:]}).json()
    assert told["halted"] is None
    api.run(api.service.settle())
    assert _owners(api) == {"m0"}
