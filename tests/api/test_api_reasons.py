"""A reason is the same wherever it is read: rule, operand, bound, sentence and what would have done.

What is recorded is held against what every other place says of the same facts: ``eval``, a test, a decision over HTTP,
the explanation over HTTP and on the command line over a folder and over a server, its text, and the console.
"""

import html
import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from support import policy_kit as kit
from support.api_server import Api
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import register

from pfgov.core import commands as c
from pfgov_api.keyring import FILE

RULES: Final = """  - {id: trust, on: [place], require: member.trust_score >= params.floor}
  - {id: cleared, on: [place], require: 'packet.data_classes.all(k, k in member.clearances)'}
  - {id: busy, on: [place], deny: packet.priority > 5 && member.reliability < 0.9}
  - {id: near, on: [place], require: 'region_within(member.region, ["eu"])'}
  - {id: step, on: [place], require: packet.step != "draft"}
  - {id: open, on: [register, retain], require: member.id != "nobody"}
"""
PACKET: Final = {
    "packet_id": "p1",
    "workload_type": "scan",
    "priority": 7,
    "data_classes": ["finance", "secret.plans"],
}
MEMBER: Final[dict[str, Any]] = {
    "id": "m1",
    "region": "us-east",
    "trust_score": 0.78,
    "clearances": ["finance"],
}
EXPECTED: Final = {
    "placement/trust": ("0.78", "0.8"),
    "placement/cleared": ("[finance]", "[secret.plans]"),
    "placement/busy": ("0.5", "0.9"),
    "placement/near": ("us-east", "[eu]"),
    "placement/step": (None, None),
}
"""Rule -> the operand that decided, and what it was held against; of what is missing there is neither."""

Told = dict[str, tuple[str | None, str | None, str, str, str | None]]


def _told(reasons: list[dict[str, Any]]) -> Told:
    return {
        r["rule"]: (r["observed"], r["bound"], r["message"], r["cause"], r["missing"])
        for r in reasons
    }


def _evaluated(line: CommandLine, folder: Path) -> Told:
    facts = {
        "apiVersion": "pfgov/v1",
        "kind": "Fixtures",
        "packets": {"p1": PACKET},
        "members": {"m1": MEMBER},
    }
    path = kit.write(folder, {"fixtures/all.yaml": json.dumps(facts)}) / "fixtures/all.yaml"
    asked = ("--packet", f"{path}#p1", "--member", f"{path}#m1", "--against", folder, "--json")
    return _told(json.loads(line("policy", "eval", *asked).out)["reasons"])


def _tested(line: CommandLine, folder: Path) -> None:
    denies = sorted(name.partition("/")[2] for name in EXPECTED)
    case = {
        "name": "as recorded",
        "packet": "p1",
        "members": ["m1"],
        "expect": {"m1": {"deny": denies, "missing": ["packet.step"]}},
    }
    test = {"apiVersion": "pfgov/v1", "kind": "PolicyTest", "policy": "placement", "cases": [case]}
    kit.write(folder, {"recorded.test.yaml": json.dumps(test)})
    assert line("policy", "test", folder).status == 0


def _in_console(api: Api, seq: int) -> str:
    answer = api(
        "POST", "/console/sign-in", content=urlencode({"key": api.keys()["operator"]}).encode(),
        headers={"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    cookie = answer.headers["set-cookie"].partition(";")[0]
    shown = api.get(f"/console/assignments/{seq}", headers={"Cookie": cookie})
    assert shown.status_code == 200
    return _flat(html.unescape(re.sub(r"<[^>]*>", " ", shown.text)))


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_a_reason_is_the_same_wherever_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One decision, asked in eight ways: each rule has one operand, one bound and one sentence."""
    policy = kit.policy(
        RULES, on="[register, place, retain]", extra="params: {floor: {type: double, value: 0.8}}\n"
    )
    folder = kit.write(tmp_path / "set", {"p.policy.yaml": policy})
    with Api(tmp_path) as api:
        api.engine.activate(kit.load_directory(folder), principal=c.LOCAL_OPERATOR)
        register(api.engine, "m1", trust_score="0.78", clearances=("finance",))
        api.post("/api/packets", PACKET)
        seq = api.get("/api/decisions?packet=p1").json()["items"][0]["seq"]
        recorded = api.get(f"/api/decisions/{seq}").json()
        told = _told(recorded["members"][0]["reasons"])
        assert {rule: one[:2] for rule, one in told.items()} == EXPECTED
        asked = {"packet_id": "p1", "member_id": "m1", "point": "assign"}
        now = api.post("/api/decisions", asked).json()
        assert _told(now["members"][0]["reasons"]) == told
        console = _in_console(api, seq)
        directory = api.engine.reader.layout.directory
    (directory / FILE).unlink()  # the server below is open to this machine, as one without keys is
    line = CommandLine(directory, capsys)
    assert _evaluated(line, folder) == told
    _tested(line, folder)
    explained = line.ok("packet", "explain", "p1")
    with Served(directory) as served:
        assert RemoteLine(served.url, capsys).ok("packet", "explain", "p1") == explained
    for decision in explained.get("decisions", [explained]):
        assert _told(decision["members"][0]["reasons"]) == told
        assert decision["nearest_misses"] == recorded["nearest_misses"]
    text = _flat(line("packet", "explain", "p1").out)
    for rule, (observed, bound, *_) in told.items():
        for shown in (text, console):
            assert rule in shown
            for part in (observed, bound):
                assert part is None or part.strip("[]") in shown, (rule, part)
