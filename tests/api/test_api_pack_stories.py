"""Each shipped pack tells its story over HTTP, with real keys: who asks, who agrees, who works, who reads."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.ledgers import SECOND, START, Drawn

from pfgov.core import commands as c
from pfgov.policy import load_directory, shipped_directory

MONDAY = int(datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()) * SECOND
"""A Monday morning."""


class Story:
    """A ledger under one pack, and people with keys."""

    def __init__(self, folder: Path, pack: str) -> None:
        self.api = Api(folder)
        self.api.clock.advance(MONDAY - self.api.clock.now())
        chosen = load_directory(shipped_directory(pack))
        self.api.engine.activate(chosen, principal=c.LOCAL_OPERATOR)
        self._draw = Drawn("story")
        self._keys: dict[str, str] = {}

    def person(self, name: str, *scopes: str) -> None:
        """Give somebody a key."""
        _, self._keys[name] = self.api.keyring.create(scopes, now=START, draw=self._draw, name=name)

    def __call__(self, who: str, method: str, path: str, body: Any = None, **more: str) -> Any:
        """Let somebody send something, with *more* headers; return the answer."""
        headers = {"Authorization": f"Bearer {self._keys[who]}", **more}
        return self.api(method, path, body, headers=headers)

    def code(self, who: str, method: str, path: str, body: Any = None) -> str:
        """Return the code of a refusal."""
        answer = self(who, method, path, body)
        assert answer.status_code >= 400, answer.text
        code: str = answer.json()["code"]
        return code

    def done(self, who: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Let somebody do something that is allowed."""
        answer = self(who, method, path, body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def member(self, who: str, name: str, **fields: Any) -> None:
        """Register a member and let it be assessed."""
        trust = fields.pop("trust", None)
        self.done(who, "POST", "/api/members/register", {"id": name, "type": "agent", **fields})
        if trust is not None:
            self.done("assessor", "POST", f"/api/members/{name}/trust", {"score": trust})

    def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet as the auditor sees it."""
        return self.done("auditor", "GET", f"/api/packets/{packet_id}")

    def submit(self, who: str, packet_id: str, **fields: Any) -> dict[str, Any]:
        """Submit a packet."""
        body = {"packet_id": packet_id, "workload_type": "claim", **fields}
        self.done(who, "POST", "/api/packets", body)
        return self.packet(packet_id)

    def review(self, who: str, packet_id: str, **more: Any) -> tuple[str, Any]:
        """Send a review."""
        body = {"granted": True, "version": self.packet(packet_id)["version"], **more}
        return who, ("POST", f"/api/packets/{packet_id}/reviews", body)

    def agree(self, who: str, packet_id: str) -> None:
        """Let somebody grant a review, and what follows from it follow."""
        asker, sent = self.review(who, packet_id)
        self.done(asker, *sent)
        self.done("operator", "POST", "/api/tick")

    def close(self) -> None:
        """End it: everything that happened replays."""
        self.api.engine.reader.replay()
        self.api.close()


def _story(folder: Path, pack: str) -> Iterator[Story]:
    story = Story(folder, pack)
    for name, scopes in (
        ("operator", ("operator",)), ("assessor", ("assessor",)), ("auditor", ("auditor",)),
        ("admin", ("admin", "operator")),
        ("desk", ("submitter",)), ("reviewer", ("reviewer",)), ("second", ("reviewer",)),
    ):  # fmt: skip
        story.person(name, *scopes)
    yield story
    story.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Story]:
    """The pack of separate duties."""
    yield from _story(tmp_path, "regulated-review")


@pytest.fixture
def eu(tmp_path: Path) -> Iterator[Story]:
    """The pack of European residency."""
    yield from _story(tmp_path, "eu-residency")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Story]:
    """The pack of agent fleets."""
    yield from _story(tmp_path, "agent-fleet")


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Story]:
    """The starter set."""
    yield from _story(tmp_path, "starter")


def test_regulated_review_keeps_everybody_apart(desk: Story) -> None:
    """Who asks neither reviews nor works, two look at what is critical, approvers are appointed, auditors read."""
    desk.person("clerk", "submitter", "reviewer", "member:clerk")
    desk.person("clerks-other", "reviewer", "member:clerk")
    desk.member("operator", "clerk", type="human", trust=0.9)
    desk.member("operator", "other", type="human", trust=0.9)

    asked = desk.submit("clerk", "own", labels={"risk": "low"})
    assert asked["current_owner"] == "other", "who asks does not do"

    serious = desk.submit("clerk", "serious", labels={"risk": "high"})
    assert serious["status"] == "AWAITING_REVIEW"
    for who in ("clerk", "clerks-other"):
        asker, sent = desk.review(who, "serious", member_id="other")
        assert desk.code(asker, *sent) == "policy.denied", (
            "who asks does not review, with whatever key"
        )
    desk.person("alone", "submitter", "reviewer")
    desk.submit("alone", "alone", labels={"risk": "high"})
    asker, sent = desk.review("alone", "alone", member_id="other")
    assert desk.code(asker, *sent) == "policy.denied", (
        "one key does not ask and agree, though it acts for nobody"
    )
    desk.done("operator", "POST", "/api/packets/alone/cancel", {})
    lowered = {"labels": {"risk": "low"}}
    assert desk.code("clerk", "PATCH", "/api/packets/serious", lowered) == "label.forbidden"
    desk.agree("reviewer", "serious")
    assert desk.packet("serious")["current_owner"] == "other"

    desk.submit("desk", "critical", labels={"risk": "critical"})
    desk.agree("operator", "critical")
    assert desk.packet("critical")["status"] == "AWAITING_REVIEW", (
        "an operator is not two reviewers"
    )
    desk.agree("reviewer", "critical")
    assert desk.packet("critical")["status"] == "AWAITING_REVIEW", "one reviewer is not two"
    who, sent = desk.review("reviewer", "critical")
    assert desk.code(who, *sent) == "review.twice"
    desk.agree("second", "critical")
    assert desk.packet("critical")["current_owner"] in {"clerk", "other"}

    change = {"clearances": ["approver"]}
    assert desk.code("operator", "PATCH", "/api/members/other", change) == "policy.denied"
    made = {"id": "third", "type": "human", "clearances": ["approver"]}
    assert desk.code("operator", "POST", "/api/members/register", made) == "policy.denied"
    desk.done("admin", "PATCH", "/api/members/other", change)
    signed = desk.submit("desk", "closing", labels={"risk": "low", "stage": "sign-off"})
    assert signed["current_owner"] == "other"

    assert desk("auditor", "GET", "/api/ledger/export").status_code == 200
    assert desk.code("operator", "GET", "/api/ledger/export") in {
        "policy.denied",
        "access.forbidden",
    }


def test_eu_residency_keeps_personal_data_in(eu: Story) -> None:
    """Special categories stay, leaving needs a review, no spelling is a way out, and an owner that moves loses."""
    person = {"type": "human", "clearances": ["pii.contact", "pii.special"]}
    assert (
        eu.code("operator", "POST", "/api/members/register", {"id": "x", **person})
        == "policy.denied"
    )
    eu.member("operator", "paris", region="eu-west/fr", trust=0.9, **person)
    owned = eu.submit("desk", "case", data_classes=["pii.contact"])
    assert owned["current_owner"] == "paris"
    special = eu.submit("desk", "health", data_classes=["pii.special"])
    assert special["current_owner"] == "paris"
    for spelt in ("PII.special", "pii:special", "pii_special", "pii.special "):
        body = {"packet_id": "out", "workload_type": "claim", "data_classes": [spelt]}
        assert eu("desk", "POST", "/api/packets", body).status_code in {400, 422}

    eu.member("operator", "london", region="uk", trust=0.9, **person)
    moved = eu("operator", "POST", "/api/packets/case/handoff", {"target": "london"})
    assert moved.status_code < 300
    waiting = eu.packet("case")
    assert (waiting["current_owner"], waiting["review"]["to"]) == ("paris", "reviewer")
    eu.agree("reviewer", "case")
    assert eu.packet("case")["current_owner"] == "london"

    eu.done("operator", "PATCH", "/api/members/paris", {"region": "us-south"})
    eu.done("operator", "POST", "/api/tick")
    assert eu.packet("health")["current_owner"] is None
    assert eu("auditor", "GET", "/api/packets/case/export").status_code in {200, 409}
    assert eu.code("operator", "GET", "/api/packets/case/export") in {
        "policy.denied",
        "access.forbidden",
    }


def test_agent_fleet_asks_before_a_machine_pays(fleet: Story) -> None:
    """Tools are cleared one by one, dangerous ones wait for an operator, and a tier that was asked for only rises."""
    fleet.member("operator", "gold", trust=0.95, clearances=["tool.search", "tool.payments"])
    fleet.member("operator", "bronze", trust=0.6, clearances=["tool.search"])
    person = {"id": "someone", "type": "human"}
    fleet.person("self", "member:someone")
    assert fleet.code("self", "POST", "/api/members/register", person) == "policy.denied"

    assert (
        fleet.submit("desk", "find", data_classes=["tool.search"], labels={"tier": "gold"})[
            "current_owner"
        ]
        == "gold"
    )
    lowered = {"labels": {"tier": "bronze"}}
    assert fleet.code("desk", "PATCH", "/api/packets/find", lowered) == "label.forbidden"
    odd = {"packet_id": "odd", "workload_type": "claim", "labels": {"tier": "platinum"}}
    assert fleet.code("desk", "POST", "/api/packets", odd) == "label.value"

    pays = fleet.submit("desk", "refund", data_classes=["tool.payments"])
    assert (pays["status"], pays["review"]["to"]) == ("AWAITING_REVIEW", "operator")
    who, sent = fleet.review("reviewer", "refund")
    assert fleet.code(who, *sent) == "access.forbidden"
    fleet.agree("operator", "refund")
    assert fleet.packet("refund")["current_owner"] == "gold"
    assert fleet("auditor", "GET", "/api/ledger/export").status_code == 200


def test_the_starter_set_knows_trust_regions_and_residency(starter: Story) -> None:
    """The unassessed get nothing, closed regions nobody, a residency never changes, and whoever may read may export."""
    starter.member("operator", "new", region="us-east")
    assert starter.submit("desk", "p")["current_owner"] is None
    starter.done("assessor", "POST", "/api/members/new/trust", {"score": 0.9})
    starter.done("operator", "POST", "/api/tick")
    assert starter.packet("p")["current_owner"] == "new"
    closed = {"id": "far", "type": "agent", "region": "embargoed/north"}
    assert starter.code("operator", "POST", "/api/members/register", closed) == "policy.denied"
    for spelt in ("Embargoed", "EMBARGOED/north", "embargoed/"):
        assert starter(
            "operator", "POST", "/api/members/register", {**closed, "region": spelt}
        ).status_code in {400, 422}
    held = starter.submit("desk", "local", labels={"residency": "eu-west"})
    assert held["current_owner"] is None
    moved = {"labels": {"residency": "us-east"}}
    assert starter.code("desk", "PATCH", "/api/packets/local", moved) == "label.forbidden"
    assert starter("auditor", "GET", "/api/ledger/export").status_code == 200
    assert starter.code("desk", "GET", "/api/ledger/export") in {
        "policy.denied",
        "access.forbidden",
    }


def test_desk_judging_again_costs_nobody_a_second_look(desk: Story) -> None:
    """Whoever looked at a waiting packet may answer for it, by version and ETag, though it was judged again."""
    desk.member("operator", "clerk", type="human", trust=0.9)
    desk.submit("desk", "case-again", labels={"risk": "high"})
    path = "/api/packets/case-again"
    looked_at, tag = desk.packet("case-again"), desk("auditor", "GET", path).headers["etag"]
    asker, (method, where, body) = desk.review("reviewer", "case-again")
    for _ in range(2):
        assert desk.done("operator", "POST", f"{path}/assign", {})["outcome"] == "escalated"
        desk.done("operator", "POST", "/api/tick")
    desk.done("desk", "PATCH", path, {"labels": {"risk": "high"}})
    assert desk.packet("case-again") == looked_at
    assert desk("auditor", "GET", path).headers["etag"] == tag
    answer = desk(asker, method, where, body, **{"If-Match": tag})
    assert answer.status_code < 300, answer.text
    assert desk.packet("case-again")["version"] > looked_at["version"]
    assert desk(asker, method, where, body, **{"If-Match": tag}).status_code == 412
