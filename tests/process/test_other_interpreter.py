"""A ledger that one release of Python wrote is run again by another: ``make other-python PYTHON=python3.13``."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

OTHER = os.environ.get("PFGOV_OTHER_PYTHON")
"""An interpreter into which pfgov is installed, other than the one that runs the tests."""

ROOT = Path(__file__).parents[2]

SINCE = {
    "15.0": "\U0001fae8",
    "15.1": "\u2ffc",
    "16.0": "\u1c89",
    "17.0": "\U00011db0",
    "never": "\U000e0200",
}
"""Characters by the version of Unicode that knows them first."""

POLICY = """\
apiVersion: pfgov/v1
kind: Policy
metadata: {name: tiers, version: "1"}
on: [place, register, retain]
rules:
  - id: anybody
    on: [register, retain]
    require: size(member.id) > 0
  - id: same-tier
    on: [place]
    when: '"tier" in packet.labels'
    require: has(member.labels.tier) && member.labels["tier"] == packet.labels["tier"]
    message: "tier {packet.labels} is not {member.labels}"
  - id: looked-up
    on: [place]
    when: '"key" in packet.labels'
    require: '{"a": true}[packet.labels["key"]]'
  - id: before
    on: [place]
    when: '"until" in packet.labels'
    require: timestamp(packet.labels["until"]) > timestamp("2020-01-01T00:00:00Z")
  - id: shaped
    on: [place]
    when: '"shape" in packet.labels'
    require: member.id.matches(packet.labels["shape"])
  - id: shown
    on: [place]
    when: '"shown" in packet.labels'
    require: packet.labels["shown"].format([member.labels]) == "x"
"""

LABELS = """\
apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
member:
  tier: {type: string, set_by: [operator]}
packet:
  tier: {type: string, set_by: [submitter, operator]}
  key: {type: string, set_by: [submitter, operator]}
  until: {type: string, set_by: [submitter, operator]}
  shape: {type: string, set_by: [submitter, operator]}
  shown: {type: string, set_by: [submitter, operator]}
"""


def _pfgov(python: str, *arguments: str, status: int | None = 0) -> str:
    done = subprocess.run(
        [python, "-P", "-m", "pfgov.cli", *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=120,
        env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def _labels(generator: random.Random) -> list[tuple[str, str]]:
    """Return labels that meet every rule of the policy with characters of every version."""
    drawn = [*SINCE.values(), "a", "\xe9", "\u0434", "\U0001f600", "%q", "("]
    found = [
        (name, generator.choice(drawn) + "".join(generator.sample(drawn, 2)))
        for name in ("tier", "key", "shape", "shown", "until")
        for _ in range(3)
    ]
    dates = ("2026-13-01", "2026-02-30", "2026-00-10")
    found += [("until", f"{date}T00:00:00Z") for date in dates]
    return [
        *found,
        *(("until", f"2026-01-01T{time}Z") for time in ("24:00:00", "23:60:00", "23:59:60")),
    ]


@pytest.mark.skipif(OTHER is None, reason="PFGOV_OTHER_PYTHON names no other interpreter")
@pytest.mark.parametrize("is_ours", [True, False], ids=["written-here", "written-there"])
def test_a_ledger_replays_on_another_python(tmp_path: Path, is_ours: bool) -> None:
    """What is decided depends on the characters that the interpreter knows, or on the sentences of its errors."""
    assert OTHER is not None
    writes, reads = (sys.executable, OTHER) if is_ours else (OTHER, sys.executable)
    ledger, policies = str(tmp_path / "ledger"), tmp_path / "policies"
    policies.mkdir()
    (policies / "tiers.policy.yaml").write_text(POLICY, encoding="utf-8")
    (policies / "labels.yaml").write_text(LABELS, encoding="utf-8")
    _pfgov(writes, "init", "--dir", ledger)
    _pfgov(writes, "policy", "activate", str(policies), "--dir", ledger, "--yes")
    for number, char in enumerate(SINCE.values()):
        _pfgov(
            writes, "member", "register", "--dir", ledger, "--id", f"m{number}", "--type", "agent",
            "--capability", "ocr", "--label", f"tier=x{char}", status=None,
        )  # fmt: skip
    for number, (name, text) in enumerate(_labels(random.Random(14))):
        _pfgov(
            writes, "packet", "submit", "--dir", ledger, "--id", f"p{number}", "--workload", "x", "--needs", "ocr",
            "--label", f"{name}={text}", status=None,
        )  # fmt: skip
    shown = _pfgov(writes, "ledger", "replay", "--dir", ledger)
    assert int(shown.split("entries")[0].split()[-1].replace(",", "")) > 10, shown
    assert (
        _pfgov(reads, "ledger", "replay", "--dir", ledger).splitlines()[0] == shown.splitlines()[0]
    )
