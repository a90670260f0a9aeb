"""Tests of policies that came as texts: the server runs them as the command line does, and no more than it can."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import policy_kit as kit
from support.api_server import Api, problem

from pfgov.app import policy_tests
from pfgov.app.change import bundling
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.load import load_directory, shipped_directory
from pfgov_api import trials
from pfgov_api.limits import TRIAL_CHECKS_MAX, TRIAL_RESULTS_MAX
from pfgov_ledger.keys import SeedSigner

KEY = SeedSigner(role="publisher", name="acme", seed=b"\1" * 32)
POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1", description: d}
on: [register, place, retain]
rules:
  - id: eu
    require: member.region == "eu"
"""
FIXTURES = """apiVersion: pfgov/v1
kind: Fixtures
packets: {plain: {workload_type: w}}
members: {near: {region: eu}, far: {region: us}}
"""
HEAD = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: p\n"
TEST = f"""{HEAD}cases:
  - name: only those near by
    packet: plain
    members: [near, far]
    expect: {{near: allow, far: {{deny: [eu]}}}}
  - name: a mistake
    packet: plain
    members: [far]
    expect: {{far: allow}}
properties:
  - {{name: nobody from afar, never: 'decision == "allow" && member.region == "us"'}}
"""
TESTS = {"p.test.yaml": TEST, "people.yaml": FIXTURES}
FILES = {"p.policy.yaml": POLICY}


def _run(api: Api, **body: Any) -> Any:
    return api.post("/api/policies/test", body)


def _told(api: Api, **body: Any) -> Any:
    answer = _run(api, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _shipped(name: str) -> Mapping[str, str]:
    """The tests and fixtures of a set that ships, as they are sent."""
    folder = shipped_directory(name)
    paths = [*folder.glob("*.test.yaml"), *folder.glob("fixtures/*")]
    return {path.name: path.read_text() for path in paths}


def test_tests_come_to_what_the_command_line_says(api: Api, tmp_path: Path) -> None:
    """The server says other than ``pfgov policy test`` of the same files, or records something."""
    before = api.get("/api/ledger").json()["size"]
    told = _told(api, tests=TESTS, files=FILES)
    kit.write(tmp_path / "set", {**FILES, "p.test.yaml": TEST, "fixtures/people.yaml": FIXTURES})
    report = run_directory(tmp_path / "set")
    assert told["policy"] == report.digest == load_directory(tmp_path / "set").digest
    assert (told["passed"], told["failed"]) == (3, 1)
    assert len(report.results) == len(told["results"]) == 4
    first = told["results"][0]
    assert first == {
        "file": "p.test.yaml", "line": 9, "case": "a mistake", "member": "far", "passed": False,
        "expected": "allow", "got": "deny [eu]", "problem": "expected allow, got deny [eu]",
        "details": list(report.failed[0].details),
    }  # fmt: skip
    assert [one["passed"] for one in told["results"][1:]] == [True] * 3
    seen = report.coverage
    assert told["coverage"]["seen"] == seen.reached
    assert told["coverage"]["wanted"] == len(seen.wanted)
    assert told["coverage"]["missed"] == [str(one) for one in seen.missed]
    assert told["coverage"]["points"]["missed"] == [str(one) for one in seen.missed_points] != []
    assert api.get("/api/ledger").json()["size"] == before


def test_tests_are_run_against_the_set_that_is_named(api: Api) -> None:
    """Without a set the binding one is not asked, a recorded one is not found, or one is asked for another."""
    starter = load_directory(shipped_directory("starter"))
    assert api.get("/api/policies").json()["digest"] != starter.digest
    api.post("/api/policies/proposals", {"files": FILES})
    proposed = api.get("/api/policies/proposals").json()["items"][0]["digest"]
    assert _told(api, tests=TESTS, digest=proposed)["policy"] == proposed
    assert api.post("/api/policies/activate", {"files": FILES}).status_code == 200
    told = _told(api, tests=TESTS)
    assert (told["policy"], told["failed"]) == (proposed, 1)
    laxer = {"p.policy.yaml": POLICY.replace('== "eu"', '!= ""')}
    assert _told(api, tests=TESTS, files=laxer)["failed"] == 2
    problem(_run(api, tests=TESTS, digest="0" * 64), 404, "policy.not_found")


@pytest.mark.parametrize("name", ["starter", "agent-fleet", "eu-residency", "regulated-review"])
def test_every_set_that_ships_passes_its_tests_as_texts(name: str) -> None:
    """A set that ships fails its own tests where they are sent beside it, or they see less of it."""
    folder = shipped_directory(name)
    report = policy_tests.of_texts(_shipped(name), load_directory(folder), TRIAL_CHECKS_MAX)
    assert report.failed == []
    assert len(report.results) > 50
    assert report.coverage.missed == []
    assert len({one.file for one in report.results}) == len(list(folder.glob("*.test.yaml")))


def test_a_bundle_brings_its_own_tests(api: Api, tmp_path: Path) -> None:
    """The tests in a bundle are not run, are run although others came with it, or it need not be signed."""
    good = TEST.replace("far: allow", "far: deny")
    files = {**FILES, "p.test.yaml": good, "fixtures/people.yaml": FIXTURES}
    kit.write(tmp_path / "set", files)
    built = bundling.build(tmp_path / "set", KEY, publisher="acme", version="1")
    told = _told(api, bundle=built.decode())
    assert (told["passed"], told["failed"]) == (4, 0)
    assert _told(api, bundle=built.decode(), tests=TESTS)["failed"] == 1
    altered = built.decode().replace("only those near by", "only those near me")
    problem(_run(api, bundle=altered), 400, "bundle.altered")
    kit.write(tmp_path / "bare", FILES)
    bare = bundling.build(tmp_path / "bare", KEY, publisher="acme", version="1")
    problem(_run(api, bundle=bare.decode()), 400, "policy.no_tests")


def test_what_is_wrong_with_tests_is_said_where_it_is(api: Api) -> None:
    """A mistake in a test, a fixture or a set has no code or no place, or the folder on the server is named."""
    near, regions = TEST.replace("[near,", "[nere,"), FIXTURES.replace("region", "regoin")
    wrong: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"tests": {**TESTS, "p.test.yaml": near}}, "policy.test.fixture", "p.test.yaml:7:"),
        ({"tests": {**TESTS, "people.yaml": regions}}, "policy.unknown_fact", "people.yaml:4:"),
        ({"files": {"p.policy.yaml": POLICY.replace("region", "regoin")}}, "cel.unknown_field", "p.policy.yaml:7:"),
        ({"tests": {**TESTS, "p.test.yaml": "a: &a [*a]"}}, "policy.yaml.alias", "p.test.yaml:1"),
    )  # fmt: skip
    for body, code, place in wrong:
        answer = _run(api, **{"tests": TESTS, "files": FILES, **body})
        found = problem(answer, 400, "policy.invalid")
        assert found["errors"][0]["pointer"].startswith(place), found
        assert "pfgov-policies-" not in answer.text
        assert found["errors"][0]["code"] == code, found
    problem(_run(api, tests={"people.yaml": FIXTURES}, files=FILES), 400, "policy.no_tests")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tests": {}},
        {"tests": None},
        {"tests": {"../p.test.yaml": TEST}},
        {"tests": {"P.test.yaml": TEST}},
        {"tests": {f"{n}.test.yaml": "" for n in range(65)}},
        {"tests": {"p.test.yaml": "#" * 262_145}},
        {"tests": {"p.test.yaml": 1}},
        {"tests": TESTS, "files": FILES, "digest": "0" * 64},
        {"tests": TESTS, "digest": "0"},
        {"tests": TESTS, "bundle": "{}", "files": FILES},
        {"tests": TESTS, "more": 1},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_body_that_is_none_is_refused(api: Api, body: dict[str, Any]) -> None:
    """What is no set of tests, or names two sets, is run all the same, or ends in an error of the server."""
    found = problem(api.post("/api/policies/test", body), 400)
    assert found["code"].startswith("input."), found


def test_too_many_checks_are_not_begun(api: Api) -> None:
    """Whoever writes a case for each of ten thousand members keeps the server busy."""
    names = "".join(f"  m{n}: {{region: eu}}\n" for n in range(1_001))
    people = f"apiVersion: pfgov/v1\nkind: Fixtures\npackets: {{plain: {{workload_type: w}}}}\nmembers:\n{names}"
    every = ", ".join(f"m{n}" for n in range(1_000))
    case = f"  - {{name: c%d, packet: plain, members: [{every}], expect: {{}}}}\n"
    cases = "".join(case % n for n in range(TRIAL_CHECKS_MAX // 1_000))
    more = "  - {name: more, packet: plain, members: [m1000], expect: {}}\n"
    sent = {"people.yaml": people, "p.test.yaml": f"{HEAD}cases:\n{cases}"}
    told = _told(api, tests=sent, files=FILES)
    assert (told["failed"], len(told["results"])) == (TRIAL_CHECKS_MAX, TRIAL_RESULTS_MAX)
    sent["p.test.yaml"] += more
    found = problem(_run(api, tests=sent, files=FILES), 400, "policy.invalid")
    assert found["errors"][0]["code"] == "policy.test.too_many"
    assert str(TRIAL_CHECKS_MAX) in found["detail"]


def test_tests_that_take_too_long_are_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property with more inputs than anybody can wait for keeps the server busy."""
    code = "import pfgov_api.trial_process as t; t.TRIAL_PROCESSOR_SECONDS = 1; t.main(%d)"
    monkeypatch.setattr(trials, "_CODE", code)
    never = (
        '  - {name: n%d, never: \'decision == "allow" && member.region == "us"\', runs: 100000}\n'
    )
    many = f"{HEAD}properties:\n{''.join(never % n for n in range(50))}"
    problem(_run(api, tests={"p.test.yaml": many}, files=FILES), 503, "policy.too_slow")
    assert not api.service.trials.under_way


def test_tests_have_a_share(api: Api) -> None:
    """One principal keeps all others waiting with tests."""
    api.keys()
    reviewer = next(one for one in api.keyring.records() if one.scopes == ("reviewer",))
    api.service.trials.quota.take(f"key:{reviewer.id}")
    body = {"tests": TESTS, "files": FILES}
    problem(api.post("/api/policies/test", body, scope="reviewer"), 429, "http.too_many")
    assert api.post("/api/policies/test", body, scope="assessor").status_code == 200


def test_what_is_said_of_a_check_is_cut(api: Api) -> None:
    """A name of many thousand characters comes back for each check."""
    long = "m" * 900
    people = FIXTURES.replace("near:", f"{long}:")
    case = f"{HEAD}cases:\n  - {{name: c, packet: plain, members: [{long}], expect: {{}}}}\n"
    told = _told(api, tests={"people.yaml": people, "p.test.yaml": case}, files=FILES)
    assert len(told["results"][0]["member"]) == policy_tests.TEXT_SHOWN_MAX
