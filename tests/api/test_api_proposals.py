"""Changing the binding set over HTTP where others have to agree: who counts, who does not, and what is on record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov_api.routes import policies

POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1", description: d}
on: [register, place, retain]
rules:
  - id: eu
    require: member.region == "eu"
"""
FILES = {"files": {"p.policy.yaml": POLICY}}


class Office(Api):
    """An API with named keys and one demanded approval."""

    def key(self, name: str, *scopes: str) -> dict[str, Any]:
        """Make a key and return what a request with it needs."""
        record, key = self.keyring.create(scopes, name=name, now=1)
        self.ids[name] = record.id
        return {"headers": {"authorization": f"Bearer {key}"}}

    ids: dict[str, str]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Give an API in which one other has to approve."""
    with Office(tmp_path) as made:
        made.ids = {}
        answer = made("PATCH", "/api/configuration", {"settings": {"activation_approvals": "1"}})
        assert answer.status_code == 200, answer.text
        yield made


def proposed(office: Office, by: dict[str, Any]) -> tuple[str, int]:
    """Propose the set and return its digest and the entry of the proposal."""
    assert office.post("/api/policies/proposals", FILES, **by).status_code == 200
    found = office.get("/api/policies/proposals", **by).json()["items"]
    return found[0]["digest"], found[0]["proposal"]


def newest(office: Office, by: dict[str, Any]) -> dict[str, Any]:
    """Return the newest entry as it is shown."""
    found: dict[str, Any] = office.get("/api/ledger/entries?newest=true&limit=1", **by).json()
    return dict(found["items"][0])


def test_a_set_goes_from_proposal_to_binding(office: Office) -> None:
    """A proposal cannot be read, approved, or made binding over HTTP, or what was binding changes on the way."""
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin", "operator")
    before = office.get("/api/policies", **ann).json()["digest"]
    found = problem(office.post("/api/policies/activate", FILES, **ann), 403, "policy.not_approved")
    assert "propose" in found["hint"]
    assert newest(office, ann)["type"] == "policy_change_refused"
    digest, at = proposed(office, ann)
    assert office.get(f"/api/policies/document?digest={digest}", **ben).status_code == 200
    own = office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ann)
    problem(own, 403, "policy.own_proposal")
    assert office.get("/api/policies", **ann).json()["digest"] == before
    agreed = office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ben)
    assert agreed.status_code == 200, agreed.text
    twice = office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ben)
    problem(twice, 409, "policy.approved_already")
    assert office.post("/api/policies/activate", FILES, **ann).status_code == 200
    assert office.get("/api/policies", **ann).json()["digest"] == digest
    assert office.get("/api/policies/proposals", **ann).json()["items"] == []
    office.engine.reader.replay()


def test_one_person_with_two_keys_is_one(office: Office) -> None:
    """A second key of the same name is a second person."""
    ann, twin = office.key("ann", "admin", "operator"), office.key("Ann", "admin")
    digest, at = proposed(office, ann)
    own = office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **twin)
    problem(own, 403, "policy.own_proposal")


def test_an_approval_ends_with_the_key(office: Office) -> None:
    """Who was let go still stands behind a set."""
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin")
    digest, at = proposed(office, ann)
    office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ben)
    office.keyring.revoke(office.ids["ben"], now=2)
    found = problem(office.post("/api/policies/activate", FILES, **ann), 403, "policy.not_approved")
    assert "may not any more" in found["detail"]
    assert newest(office, ann)["type"] == "policy_change_refused"
    cleo = office.key("cleo", "admin")
    office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **cleo)
    assert office.post("/api/policies/activate", FILES, **ann).status_code == 200


@pytest.mark.parametrize("way", ["activating", "rolling_back"])
def test_an_approval_ends_with_the_key_though_the_activation_waits(
    office: Office, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Behind a commit that hangs an approver counts who was let go meanwhile."""
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin")
    before = office.get("/api/policies", **ann).json()["digest"]
    digest, at = proposed(office, ann)
    office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ben)
    really = getattr(policies, way)
    is_emergency = {"emergency": True}

    def meanwhile(*given: Any, **named: Any) -> Any:
        office.keyring.revoke(office.ids["ben"], now=2)
        return really(*given, **named)

    if way == "rolling_back":
        assert office.post("/api/policies/activate", FILES, **ann).status_code == 200
        back = office.post(
            "/api/policies/rollback", is_emergency, **office.key("dan", "admin", "emergency")
        )
        assert back.status_code == 200, back.text
        _, at = proposed(office, ann)
        office.post(f"/api/policies/proposals/{digest}/approve", {"proposal": at}, **ben)
    monkeypatch.setattr(policies, way, meanwhile)
    path = "/api/policies/activate" if way == "activating" else "/api/policies/rollback"
    asked = office.post(path, FILES if way == "activating" else {"digest": digest}, **ann)
    assert "may not any more" in problem(asked, 403, "policy.not_approved")["detail"]
    assert office.get("/api/policies", **ann).json()["digest"] == before


def test_a_proposal_that_does_not_load_is_none(office: Office) -> None:
    """Somebody is asked to approve what cannot be made binding."""
    ann = office.key("ann", "admin", "operator")
    wrong = {"files": {"p.policy.yaml": POLICY.replace("region", "regoin")}}
    problem(office.post("/api/policies/proposals", wrong, **ann), 400)
    assert office.get("/api/policies/proposals", **ann).json()["items"] == []
    problem(
        office.post(f"/api/policies/proposals/{'0' * 64}/approve", {"proposal": 1}, **ann),
        404,
        "policy.not_proposed",
    )


WATCHED = POLICY.replace("name: p,", "name: q,").replace(
    "on: [register", "mode: shadow\non: [register"
)
BOTH = {"files": {**FILES["files"], "q.policy.yaml": WATCHED.replace('"eu"', '"us"')}}
OTHER = {"files": {"p.policy.yaml": POLICY.replace('"eu"', '"us"')}}
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "activate": ("/api/policies/activate", OTHER),
    "promote": ("/api/policies/promote", {"name": "q"}),
    "roll back": ("/api/policies/rollback", {}),
}


def approved(
    office: Office, files: dict[str, Any], by: dict[str, Any], other: dict[str, Any]
) -> str:
    """Propose a set, have it approved and make it binding; return its digest."""
    assert office.post("/api/policies/proposals", files, **by).status_code == 200
    (found,) = office.get("/api/policies/proposals", **by).json()["items"]
    path = f"/api/policies/proposals/{found['digest']}/approve"
    assert office.post(path, {"proposal": found["proposal"]}, **other).status_code == 200
    assert office.post("/api/policies/activate", files, **by).status_code == 200
    return str(found["digest"])


@pytest.mark.parametrize("door", DOORS)
def test_every_door_demands_the_approvals(door: str, office: Office) -> None:
    """A set becomes binding without the others by another door than `activate`, or the refusal leaves no entry."""
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin")
    digest = approved(office, BOTH, ann, ben)
    path, body = DOORS[door]
    for by in (ann, ben):
        problem(office.post(path, body, **by), 403, "policy.not_approved")
        last = newest(office, by)
        assert last["type"] == "policy_change_refused"
        assert office.get("/api/policies", **by).json()["digest"] == digest
    office.engine.reader.replay()


def test_an_approval_before_a_change_of_the_proposal_does_not_count(office: Office) -> None:
    """What was agreed to goes on counting for what was proposed afterwards."""
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin")
    digest, at = proposed(office, ann)
    approve = f"/api/policies/proposals/{digest}/approve"
    assert office.post(approve, {"proposal": at}, **ben).status_code == 200
    problem(office.post("/api/policies/activate", OTHER, **ann), 403, "policy.not_approved")
    assert newest(office, ann)["type"] == "policy_change_refused"
    withdrawn = office.post(f"/api/policies/proposals/{digest}/reject", {"proposal": at}, **ann)
    assert withdrawn.status_code == 200
    again, later = proposed(office, ann)
    assert (again, later > at) == (digest, True)
    problem(office.post("/api/policies/activate", FILES, **ann), 403, "policy.not_approved")
    problem(office.post(approve, {"proposal": at}, **ben), 409, "policy.proposal_changed")
    assert office.post(approve, {"proposal": later}, **ben).status_code == 200
    assert office.post("/api/policies/activate", FILES, **ann).status_code == 200
    office.engine.reader.replay()


def test_two_keys_of_one_name_approve_once(office: Office) -> None:
    """One person stands for two approvals by a second key, in whatever spelling."""
    settings = {"settings": {"activation_approvals": "2"}}
    ann, ben = office.key("ann", "admin", "operator"), office.key("ben", "admin")
    assert office("PATCH", "/api/configuration", settings, **ann).status_code == 200
    digest, at = proposed(office, ann)
    approve = f"/api/policies/proposals/{digest}/approve"
    assert office.post(approve, {"proposal": at}, **ben).status_code == 200
    for name in ("ben", "Ben", "b\u200ben", "ｂｅｎ"):  # noqa: RUF001 - letters that look like others
        twin = office.key(name, "admin")
        problem(office.post(approve, {"proposal": at}, **twin), 409, "policy.approved_already")
        assert newest(office, ann)["type"] == "policy_change_refused"
    problem(office.post("/api/policies/activate", FILES, **ann), 403, "policy.not_approved")
