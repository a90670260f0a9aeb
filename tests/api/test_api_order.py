"""Every door gives one order: the same registration or packet, written in two orders, is one command."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.commandline import CommandLine
from support.ledgers import fresh, opened, submit

from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.storage import open_store

OFFERS = ("ocr", "kyc", "zeta", "a1", "a")
CLASSES = ("pii.b", "pii.a", "finance")
REGIONS = ("us-east", "eu", "ap")


def _commands(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [entry["body"]["command"]["do"] for entry in entries if "command" in entry["body"]]
    return [do for do in found if do["kind"] in {"register_member", "submit_packet"}]


def _check(found: list[dict[str, Any]]) -> None:
    member, packet = found
    assert [one["name"] for one in member["capabilities"]] == ["a", "a1", "kyc", "ocr", "zeta"]
    assert member["clearances"] == packet["data_classes"] == ["finance", "pii.a", "pii.b"]
    assert packet["required_capabilities"] == ["kyc", "ocr>=1"]
    assert packet["constraints"]["allowed_regions"] == ["ap", "eu", "us-east"]


def test_order_over_http(api: Api) -> None:
    """The API records collections as the client happened to write them."""
    member = {
        "id": "m",
        "type": "agent",
        "capabilities": list(OFFERS),
        "clearances": list(CLASSES),
    }
    packet = {
        "packet_id": "p",
        "workload_type": "w",
        "required_capabilities": ["ocr>=1", "kyc"],
        "data_classes": list(CLASSES),
        "policy_constraints": {"allowed_regions": list(REGIONS)},
    }
    assert api.post("/api/members/register", member).status_code == 201
    assert api.post("/api/packets", packet).status_code == 201
    _check(_commands([json.loads(one.row.raw) for one in api.engine.reader.entries()]))


def test_order_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The registration with which an honest ledger did not replay: two capabilities, the later letter first."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    pfgov.ok("init")
    several = [part for name in OFFERS for part in ("--capability", name)]
    cleared = [part for name in CLASSES for part in ("--clearance", name)]
    pfgov.ok(
        "member", "register", "--id", "m", "--type", "agent", "--trust", "0.9", *several, *cleared
    )
    path = tmp_path / "packet.json"
    wanted = {
        "packet_id": "p",
        "workload_type": "w",
        "required_capabilities": ["ocr>=1", "kyc"],
        "data_classes": list(CLASSES),
        "policy_constraints": {"allowed_regions": list(REGIONS)},
    }
    path.write_text(json.dumps(wanted))
    pfgov.ok("packet", "submit", "--file", str(path))
    found = pfgov.ok("ledger", "replay")
    assert (found["replayed"], found["reordered"]) == (True, 0)
    _check(_recorded(pfgov))


def _recorded(pfgov: CommandLine) -> list[dict[str, Any]]:
    with LedgerReader(open_store(pfgov.directory)) as reader:
        return _commands([json.loads(one.row.raw) for one in reader.entries()])


def test_order_from_the_library(tmp_path: Path) -> None:
    """Who calls the engine without a border in between records collections in any order."""
    with opened(fresh(tmp_path)) as engine:
        member = c.RegisterMember(
            member_id="m",
            type="agent",
            capabilities=tuple(c.Capability(name=name) for name in OFFERS),
            clearances=CLASSES,
        )
        submit(engine, member)
        packet = c.SubmitPacket(
            packet_id="p",
            workload_type="w",
            lineage_id="p",
            required_capabilities=("ocr>=1", "kyc"),
            data_classes=CLASSES,
            constraints=c.Constraints(allowed_regions=REGIONS),
        )
        submit(engine, packet)
        _check(_commands([json.loads(one.row.raw) for one in engine.reader.entries()]))
