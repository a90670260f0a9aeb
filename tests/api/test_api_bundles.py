"""Bundles, publishers, signed reports and going back, over HTTP: what is let in, refused, and on record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.app import publishers
from pfgov.app.change import bundling
from pfgov.app.change.resting import sign
from pfgov.app.local.folder import reading_folder
from pfgov.engine.reading import Span
from pfgov.policy import load_directory
from pfgov_ledger.keys import SeedSigner

KEY = SeedSigner(role="publisher", name="acme", seed=b"\1" * 32)
NEXT = SeedSigner(role="publisher", name="acme", seed=b"\2" * 32)
POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1", description: d}
on: [register, place, retain]
rules:
  - id: eu
    require: member.region == "eu"
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return two folders of policies."""
    found: dict[str, Path] = {}
    for name, region in (("one", "eu"), ("two", "us")):
        found[name] = tmp_path_factory.mktemp(name)
        (found[name] / "p.policy.yaml").write_text(POLICY.replace('"eu"', f'"{region}"'))
    return found


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Give an API whose ledger trusts one publisher."""
    with Api(tmp_path) as made:
        trusted = {"name": "acme", "key": KEY.public.hex()}
        assert made.post("/api/policies/publishers", trusted).status_code == 200
        yield made


def bundle(folder: Path, version: str = "1", key: SeedSigner = KEY) -> str:
    """Return a bundle's text."""
    return bundling.build(folder, key, publisher="acme", version=version).decode()


def newest(api: Api) -> dict[str, Any]:
    """Return the newest entry."""
    with api.engine.reader.snapshot() as queries:
        *_, row = queries.entries()
    found: dict[str, Any] = json.loads(row.raw)
    return found


def refused(api: Api, body: dict[str, Any], status: int, code: str, event: str) -> None:
    """Hold that an activation is refused, that this is recorded, and that the binding set stays."""
    before = api.get("/api/policies").json()["digest"]
    problem(api.post("/api/policies/activate", body), status, code)
    last = newest(api)
    assert last["type"] == event
    assert code in str(last["body"])
    assert api.get("/api/policies").json()["digest"] == before


def test_bundles_are_let_in_and_kept_out(api: Api, folders: dict[str, Path]) -> None:
    """A bundle is let in that is not whole, not trusted, or another set under the same version; or untold."""
    raw = bundle(folders["one"])
    answer = api.post("/api/policies/activate", {"bundle": raw})
    assert answer.status_code == 200, answer.text
    assert newest(api)["body"]["bundle"]["version"] == "1"
    turned, denied = "policy_refused", "policy_change_refused"
    refused(api, {"bundle": raw.replace("eu", "us", 1)}, 400, "bundle.altered", turned)
    refused(api, {"bundle": "{}"}, 400, "bundle.altered", turned)
    refused(api, {"bundle": bundle(folders["two"])}, 409, "bundle.version_taken", denied)
    other = bundle(folders["two"], "2", NEXT)
    refused(api, {"bundle": other}, 403, "publisher.unknown", denied)
    origin = api.get("/api/ledger/checkpoint").text.splitlines()[0]
    asked = publishers.rotation(origin, "acme", KEY, NEXT, None).wire()
    wrong = {**asked, "signatures": [list(pair) for pair in asked["signatures"]][::-1]}
    problem(api.post("/api/policies/publishers/rotations", wrong), 403, "publisher.signature")
    assert api.post("/api/policies/publishers/rotations", asked).status_code == 200
    refused(api, {"bundle": bundle(folders["two"], "2")}, 409, "publisher.rotated", denied)
    assert api.post("/api/policies/activate", {"bundle": other}).status_code == 200
    gone = {"name": "acme", "key": NEXT.public.hex()}
    assert api.post("/api/policies/publishers/revocations", gone).status_code == 200
    refused(api, {"bundle": raw}, 409, "publisher.rotated", denied)
    refused(api, {"bundle": other}, 409, "publisher.revoked", denied)
    found = api.get("/api/policies/publishers").json()["items"]
    assert [key["status"] for key in found[0]["keys"]] == ["rotated", "revoked"]
    assert api.post("/api/policies/activate", {"files": {}, "bundle": raw}).status_code == 400
    api.engine.reader.replay()


def test_time_ends_a_publishers_key(api: Api, folders: dict[str, Path]) -> None:
    """A key counts after the moment until which it was trusted."""
    until = {"name": "acme", "key": KEY.public.hex(), "expires_at": "2030-01-01T00:00:00Z"}
    assert api.post("/api/policies/publishers", until).status_code == 200
    api.clock.advance(10 * 365 * 86_400_000_000)
    refused(
        api, {"bundle": bundle(folders["one"])}, 409, "publisher.expired", "policy_change_refused"
    )


def _quiet(_done: int, _total: int | None = None) -> None:
    """Show no progress."""


def report(api: Api, folder: Path, key: SeedSigner = KEY, **span: Any) -> str:
    """Return a signed report of impact on the ledger as it is."""
    with reading_folder(api.directory) as book:
        found = book.impact(load_directory(folder), Span(**span), _quiet)
    return sign(found, key).decode()


def test_a_proposal_comes_with_a_report(api: Api, folders: dict[str, Path], tmp_path: Path) -> None:
    """What a trial came to is not on record with the proposal, or any report backs one."""
    one, path = folders["one"], "/api/policies/proposals"
    files = {"files": {"p.policy.yaml": (one / "p.policy.yaml").read_text()}}
    good = report(api, one)
    with Api(tmp_path / "other") as other:
        other.member()
        foreign = report(other, one)
    for wrong, status, code in (
        (good.replace('"keyid":"', '"keyid":"00', 1), 400, "impact.altered"),
        (foreign, 409, "impact.other_ledger"),
        (report(api, folders["two"]), 409, "impact.other_set"),
        (report(api, one, NEXT), 403, "impact.signer"),
    ):
        problem(api.post(path, {**files, "report": wrong}), status, code)
        assert api.get(path).json()["items"] == []
    assert api.post(path, {**files, "report": good}).status_code == 200
    (found,) = api.get(path).json()["items"]
    said = newest(api)["body"]["report"]
    assert (said["key"], said["digest"]) == (KEY.public.hex(), found["report"])
    assert (said["proposed"], said["first"]) == (found["digest"], 0)
    api.engine.reader.replay()


def test_reports_are_held_to_the_ledger_the_set_and_the_range(
    api: Api, folders: dict[str, Path], tmp_path: Path
) -> None:
    """A report about another ledger, set or range, an altered one, or a stranger's opens the door."""
    one, denied = folders["one"], "policy_change_refused"
    files = {"files": {"p.policy.yaml": (one / "p.policy.yaml").read_text()}}
    settings = {"settings": {"activation_report": "5"}}
    assert api("PATCH", "/api/configuration", settings).status_code == 200
    refused(api, files, 403, "impact.missing", denied)
    good = report(api, one)
    altered = good.replace('"keyid":"', '"keyid":"00', 1)
    refused(api, {**files, "report": altered}, 400, "impact.altered", "policy_refused")
    refused(api, {**files, "report": report(api, folders["two"])}, 409, "impact.other_set", denied)
    refused(api, {**files, "report": report(api, one, NEXT)}, 403, "impact.signer", denied)
    refused(api, {**files, "report": report(api, one, sample=2)}, 409, "impact.other_range", denied)
    refused(
        api, {**files, "report": report(api, one, since=10**6)}, 409, "impact.other_range", denied
    )
    with Api(tmp_path / "other") as other:
        other.member()  # of the same name, with another history
        foreign = report(other, one)
    refused(api, {**files, "report": foreign}, 409, "impact.other_ledger", "policy_refused")
    answer = api.post("/api/policies/activate", {**files, "report": good})
    assert answer.status_code == 200, answer.text
    assert newest(api)["body"]["report"]["key"] == KEY.public.hex()
    api.engine.reader.replay()


def test_going_back_needs_no_file(api: Api, folders: dict[str, Path]) -> None:
    """One goes back to a set that was never binding, or an emergency is anybody's."""
    before = api.get("/api/policies").json()["digest"]
    problem(api.post("/api/policies/rollback", {}), 404, "policy.never_binding")
    assert api.post("/api/policies/activate", {"bundle": bundle(folders["one"])}).status_code == 200
    problem(api.post("/api/policies/rollback", {"digest": "0"}), 404, "policy.never_binding")
    answer = api.post("/api/policies/rollback", {})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["digest"] == before == api.get("/api/policies").json()["digest"]
    demand = {"settings": {"activation_bundle": "1"}}
    assert api("PATCH", "/api/configuration", demand).status_code == 200
    problem(api.post("/api/policies/rollback", {}), 403, "bundle.missing")
    record, key = api.keyring.create(("emergency",), name="fire", now=1)
    api.keyring.create(("admin",), name="ann", now=1)
    fire = {"headers": {"authorization": f"Bearer {key}"}}
    problem(api.post("/api/policies/rollback", {}, **fire), 403, "access.forbidden")
    answer = api.post("/api/policies/rollback", {"emergency": True}, **fire)
    assert answer.status_code == 200, answer.text
    assert newest(api)["body"]["rollback"] == "emergency"
    assert record.id in str(newest(api)["body"]["command"])
    api.engine.reader.replay()
