"""Policies written by somebody else's habits: each has the verdicts that its author would expect, through every door.

``policies/*.yaml`` hold them (README.md).  The same files are asked by ``pfgov policy eval``, by a test beside the
policy, by the engine of a ledger in which the set is binding, and over HTTP.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support import policy_kit as kit
from support.api_server import Api

from pfgov.app.policies import compiled
from pfgov.app.views import VerdictRow, read_table
from pfgov.cli import run
from pfgov.core import commands as c
from pfgov.core.verdicts import PLACING
from pfgov.policy.authoring.testing.runner import run_directory

FOLDER = Path(__file__).parent / "policies"
LEAST = 60
"""How many policies there are at least."""

NOW = "2026-11-29T12:00:00Z"

JOIN = {
    "apiVersion": "pfgov/v1",
    "kind": "Policy",
    "metadata": {"name": "join", "version": "1"},
    "on": ["register", "retain"],
    "rules": [{"id": "anybody", "deny": 'member.id == "nobody"'}],
}
"""Lets every member register, and leaves placing to the policy under test."""

OPEN = {**JOIN, "metadata": {"name": "open", "version": "1"}, "on": ["register", "place", "retain"]}
"""Lets every member have everything: the last owner of a handoff gets the packet under it."""


@dataclass(frozen=True)
class Verdict:
    """What one door says of one member, as far as the entry can expect it."""

    outcome: str
    denies: frozenset[str]
    escalates: frozenset[str]
    missing: frozenset[str]


def _entries() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for entry in YAML(typ="safe").load(path):
            name = f"{path.stem}: {entry['name']}"
            assert name not in found, f"two entries are named {name!r}"
            found[name] = entry
    return found


ENTRIES = _entries()


def test_there_are_enough_and_of_each_habit() -> None:
    """The battery is as large as promised, no habit is only touched, and every entry expects something."""
    assert len(ENTRIES) >= LEAST
    habits = [name.partition(":")[0] for name in ENTRIES]
    assert sorted(set(habits)) == ["admission", "cedar", "cerbos", "kyverno", "opa"]
    assert min(map(habits.count, set(habits))) >= LEAST // 6
    assert all(entry["says"] and entry["expect"] for entry in ENTRIES.values())


@pytest.fixture(params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One entry of the battery."""
    found: dict[str, Any] = ENTRIES[request.param]
    return found


# --- the files of an entry ----------------------------------------------------------------------


def documents(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the policy files of an entry, by name."""
    head = {"apiVersion": "pfgov/v1", "kind": "Policy"}
    made: dict[str, dict[str, Any]] = {"join.policy.yaml": JOIN, **_labels(entry)}
    for written in entry.get("policies", [entry.get("policy")]):
        body = dict(written)
        name = body.pop("name", "house")
        metadata = {"name": name, "version": "1"}
        made[f"{name}.policy.yaml"] = {**head, "metadata": metadata, "on": ["place"], **body}
    return made


def _labels(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the file that declares the labels of an entry, all of them set by whoever submits or registers."""
    declared = entry.get("labels")
    if declared is None:
        return {}
    setters = {"packet": ["submitter", "operator"], "member": ["operator"]}
    owners = {
        owner: {name: {"type": kind, "set_by": setters[owner]} for name, kind in names.items()}
        for owner, names in declared.items()
    }
    head = {
        "apiVersion": "pfgov/v1",
        "kind": "Labels",
        "metadata": {"name": "labels", "version": "1"},
    }
    return {"labels.yaml": {**head, **owners}}


def expectation(
    entry: Mapping[str, Any], member: str
) -> tuple[Verdict, set[str] | None, set[str] | None]:
    """Return the verdict that the author expects, the obligations, and what shadow policies would say."""
    wanted = entry["expect"][member]
    if isinstance(wanted, str):
        wanted = {wanted: True if wanted == "allow" else []}
    outcome = next(word for word in ("deny", "escalate", "allow") if word in wanted)
    sets = {key: frozenset(map(_full, wanted.get(key) or ())) for key in ("deny", "escalate")}
    verdict = Verdict(outcome, sets["deny"], sets["escalate"], frozenset(wanted.get("missing", ())))
    duties = set(wanted["obligations"]) if "obligations" in wanted else None
    shadow = set(wanted["shadow"]) if "shadow" in wanted else None
    return verdict, duties, shadow


def _full(name: str) -> str:
    return name if "/" in name or ":" in name else f"house/{name}"


@pytest.fixture
def folder(entry: dict[str, Any], tmp_path: Path) -> Path:
    """The entry as a folder: policies, fixtures, and a test beside them."""
    files = {name: json.dumps(body) for name, body in documents(entry).items()}
    files["fixtures/all.yaml"] = json.dumps(
        {
            "apiVersion": "pfgov/v1",
            "kind": "Fixtures",
            "packets": {"it": entry["packet"]},
            "members": entry["members"],
        }
    )
    files["entry.test.yaml"] = json.dumps(_test_file(entry))
    return kit.write(tmp_path / "set", files)


def _test_file(entry: Mapping[str, Any]) -> dict[str, Any]:
    expect: dict[str, Any] = {}
    for member in entry["expect"]:
        verdict, duties, shadow = expectation(entry, member)
        said: dict[str, Any] = {"allow": True} if verdict.outcome == "allow" else {}
        said |= {"deny": sorted(verdict.denies)} if verdict.denies else {}
        said |= {"escalate": sorted(verdict.escalates)} if verdict.escalates else {}
        said |= {"missing": sorted(verdict.missing)} if verdict.denies else {}
        said |= {"obligations": sorted(duties)} if duties is not None else {}
        expect[member] = said | ({"shadow": sorted(shadow)} if shadow is not None else {})
    case = {
        "name": entry["name"],
        "action": entry.get("action", "assign"),
        "packet": "it",
        "members": list(entry["expect"]),
        "expect": expect,
    }
    if "source" in entry:
        case["source"] = entry["source"]
    return {"apiVersion": "pfgov/v1", "kind": "PolicyTest", "now": NOW, "cases": [case]}


# --- the doors ----------------------------------------------------------------------------------


def test_a_test_beside_the_policy_expects_it(entry: dict[str, Any], folder: Path) -> None:
    """The runner passes what the author expects."""
    report = run_directory(folder)
    assert [(item.member, item.problem) for item in report.failed] == []
    assert len(report.results) == len(entry["expect"])


def test_eval_says_it(
    entry: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``pfgov policy eval`` answers what the author expects, with the same reasons."""
    fixtures = folder / "fixtures/all.yaml"
    for member in entry["expect"]:
        verdict, duties, shadow = expectation(entry, member)
        asked = ["--packet", f"{fixtures}#it", "--member", f"{fixtures}#{member}", "--now", NOW]
        asked += ["--action", entry.get("action", "assign"), "--against", str(folder), "--json"]
        if "source" in entry:
            asked += ["--source", f"{fixtures}#{entry['source']}"]
        status = run(["policy", "eval", *asked])
        found = json.loads(capsys.readouterr().out)
        assert status == int(verdict.outcome != "allow"), found
        assert _of_reasons(found["decision"], found["reasons"]) == verdict
        if duties is not None:
            assert {item["type"] for item in found["obligations"]} == duties
        if shadow is not None:
            assert {reason["rule"] for reason in found["shadow"]} == shadow


def _of_reasons(outcome: str, reasons: list[dict[str, Any]]) -> Verdict:
    def named(effect: str) -> frozenset[str]:
        return frozenset(reason["rule"] for reason in reasons if reason["effect"] == effect)

    missing = frozenset(reason["missing"] for reason in reasons if reason["missing"])
    return Verdict(outcome, named("deny"), named("escalate"), missing)


def test_the_engine_decides_it_and_http_says_it(entry: dict[str, Any], tmp_path: Path) -> None:
    """Where the set is binding, the recorded decision and the answer over HTTP are what the author expects."""
    with Api(tmp_path) as api:
        _activate(api, {"open.policy.yaml": OPEN})
        for name, facts in entry["members"].items():
            registered = api.post("/api/members/register", _registration(name, facts))
            assert registered.status_code == 201, registered.text
        packet = {"packet_id": "it", "hold": True, "workload_type": "work", **entry["packet"]}
        assert api.post("/api/packets", packet).status_code == 201
        if "source" in entry:
            api.engine.submit(
                c.PlacePacket(packet_id="it", target=entry["source"]), principal=c.LOCAL_OPERATOR
            )
        _activate(api, documents(entry))
        for member in entry["expect"]:
            verdict, duties, shadow = expectation(entry, member)
            _engine_decides(api, member, verdict, duties, shadow)
            asked = {"packet_id": "it", "member_id": member}
            answer = api.post("/api/decisions?dry_run=true", asked).json()
            (row,) = answer["members"]
            assert _of_reasons(row["outcome"], row["reasons"]) == verdict


def _activate(api: Api, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Make *files* binding as the server does, in this process: a child for each would wait for a busy machine."""
    found = compiled({name: json.dumps(body) for name, body in files.items()})
    # Most entries are about one moment of a packet's life.
    api.engine.activate(found, principal=c.LOCAL_OPERATOR, leave_uncovered=PLACING)


def _registration(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "agent", **facts}


def _engine_decides(
    api: Api, member: str, verdict: Verdict, duties: set[str] | None, shadow: set[str] | None
) -> None:
    receipt = api.engine.submit(
        c.EvaluateDecision(packet_id="it", member_id=member), principal=c.LOCAL_OPERATOR
    )
    (event,) = receipt.events
    table = api.service.reader.verdict_table(event.decision.table)  # type: ignore[union-attr]
    assert table is not None
    (row,) = read_table(table)
    assert _of_row(row) == verdict
    if duties is not None and verdict.outcome == "allow":
        assert {item.type for item in event.obligations} == duties  # type: ignore[union-attr]
    if shadow is not None:
        assert {name for name, _ in event.decision.shadow} == shadow  # type: ignore[union-attr]


def _of_row(row: VerdictRow) -> Verdict:
    reasons = [
        {"rule": reason.rule, "effect": reason.effect, "missing": reason.missing}
        for reason in row.reasons
    ]
    return _of_reasons(row.outcome, reasons)
