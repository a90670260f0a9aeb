"""Changing the binding set over HTTP where others have to agree: who counts, who does not, and what is on record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

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
