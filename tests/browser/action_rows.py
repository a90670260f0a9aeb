"""Every action of the console as it is gone through in a browser: what has to be there, what is typed, what comes.

A row for each of ``ACTIONS``; an action without a row fails.  Who may do it is no column: that is the operation's, and
the test asks it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx2
from support.console_hostile import files

from pfgov_api.console.policy_texts import files_of, pack


class Stage:
    """A server with keys, and what is made on it for one action, in the name of somebody who may everything."""

    def __init__(self, url: str, key: str, proposer: str) -> None:
        self.client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )
        self.proposer = {"Authorization": f"Bearer {proposer}"}
        self._numbers = count(1)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """Send a command that has to work."""
        answer = self.client.post(path, json=body or {}, headers=headers)
        for _ in range(8):
            if answer.status_code != 503:  # a policy set takes longer on a busy machine than it may
                break
            answer = self.client.post(path, json=body or {}, headers=headers)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    def get(self, path: str) -> Any:
        """Ask what has to be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def member(self, skill: str = "ocr", **fields: Any) -> str:
        """Register a member that nobody else is named like."""
        name = f"member-{next(self._numbers)}"
        body = {"id": name, "type": "agent", "capabilities": [skill], "trust_score": 0.9}
        self.post("/api/members/register", {**body, "lease_seconds": 43_200, **fields})
        return name

    def skill(self) -> str:
        """A capability that nobody else offers."""
        return f"skill-{next(self._numbers)}"

    def packet(self, skill: str = "ocr", **fields: Any) -> str:
        """Submit a packet."""
        name = f"packet-{next(self._numbers)}"
        body = {"packet_id": name, "workload_type": "scan", "required_capabilities": [skill]}
        self.post("/api/packets", {**body, **fields})
        return name

    def owned(self) -> str:
        """A packet with an owner."""
        skill = self.skill()
        self.member(skill)
        return self.packet(skill)

    def pending(self) -> str:
        """A packet that waits, although a member may own it: it was held."""
        skill = self.skill()
        self.member(skill)
        return self.packet(skill, hold=True)

    def reviewed(self) -> str:
        """A packet that waits for a reviewer."""
        skill = self.skill()
        self.member(skill)
        return self.packet(skill, policy_constraints={"pii_review_required": True})

    def movable(self) -> str:
        """A packet with an owner, and another member that may own it."""
        packet = self.owned()
        self.member(self.needs(packet))
        return packet

    def moving(self) -> str:
        """A packet that is offered to a member which has to take it over."""
        packet = self.owned()
        target = self.member(self.needs(packet), handoff_mode="accept")
        self.post(f"/api/packets/{packet}/handoff", {"target": target})
        return packet

    def needs(self, packet: str) -> str:
        """The capability that a packet asks for."""
        return str(self.get(f"/api/packets/{packet}")["required_capabilities"][0])

    def working(self) -> str:
        """A member that owns a packet which nobody else may own."""
        skill = self.skill()
        member = self.member(skill)
        self.packet(skill)
        return member

    def draining(self) -> str:
        """A member that cannot leave yet."""
        member = self.working()
        self.post(f"/api/members/{member}/drain")
        return member

    def quarantined(self) -> str:
        """A member that takes no work."""
        member = self.member()
        self.post(f"/api/members/{member}/quarantine", {"reason": "drift"})
        return member

    def failed(self) -> str:
        """A member that is gone."""
        member = self.member()
        self.post(f"/api/members/{member}/fail", {"reason": "gone"})
        return member

    def proposal(self, key: str = "") -> str:
        """A policy set that somebody else proposed, or whoever *key* is."""
        body = {"files": files(str(next(self._numbers)))}
        proposer = {"Authorization": f"Bearer {key}"} if key else self.proposer
        found = self.post("/api/policies/proposals", body, **proposer)
        return str(found["result"]["digest"])

    def activate(self, *more: str) -> None:
        """Make a variant of the starter set binding, with *more* policies."""
        text = pack("starter").replace('"1"', f'"1.{next(self._numbers)}"', 1)
        self.post("/api/policies/activate", {"files": files_of("---\n".join((text, *more)))})

    def earlier(self) -> str:
        """A set that was binding, and is not any more."""
        self.activate()
        before = str(self.get("/api/policies")["digest"])
        self.activate()
        return before

    def shadowed(self) -> str:
        """A policy of the binding set that is in shadow mode."""
        name = f"watching-{next(self._numbers)}"
        self.activate(SHADOW.format(name=name))
        return name

    def publisher(self) -> str:
        """A publisher's key that is trusted."""
        key = f"{next(self._numbers):064x}"
        self.post("/api/policies/publishers", {"name": "acme", "key": key})
        return key


SHADOW: Final = """apiVersion: pfgov/v1
kind: Policy
metadata: {{name: {name}, version: "1", description: d}}
mode: shadow
on: [assign]
rules:
  - id: high
    require: member.trust_score >= 0.1
"""

Make = Callable[[Stage], str]


def nothing(_stage: Stage) -> str:
    """What an action is about that is about nothing."""
    return ""


@dataclass(frozen=True, slots=True)
class Row:
    """One action, gone through.

    Attributes:
        make: Makes what it is about; its id.
        page: Where its button is; ``{id}`` is what it is about, ``{skill}`` the capability of a member.
        events: What the entry of the receipt may be.
        fill: What is typed or chosen, by label.
        shows: What the page says afterwards.
        wrong: What is typed first, and refused with the words after it.
        late: What somebody else does while the form is open, and the words of the refusal then.
        own: By scope, what makes what it is about with a key of that scope, which may do it to nothing else.
    """

    make: Make
    page: str
    events: tuple[str, ...]
    fill: Mapping[str, str] = field(default_factory=dict[str, str])
    shows: str = ""
    wrong: tuple[Mapping[str, str], str] | None = None
    late: tuple[Callable[[Stage, str], object], str] | None = None
    own: Mapping[str, Callable[[Stage, str], str]] = field(
        default_factory=dict[str, Callable[[Stage, str], str]]
    )


def _fails(stage: Stage, member: str) -> object:
    return stage.post(f"/api/members/{member}/fail", {"reason": "gone meanwhile"})


def _cancels(stage: Stage, packet: str) -> object:
    return stage.post(f"/api/packets/{packet}/cancel")


def _recovers(stage: Stage, member: str) -> object:
    return stage.post(f"/api/members/{member}/recover")


def _releases(stage: Stage, member: str) -> object:
    return stage.post(f"/api/members/{member}/release")


def _grants(stage: Stage, packet: str) -> object:
    version = stage.get(f"/api/packets/{packet}")["version"]
    return stage.post(f"/api/packets/{packet}/reviews", {"granted": True, "version": version})


def _aborts(stage: Stage, packet: str) -> object:
    return stage.post(f"/api/packets/{packet}/abort")


def _rejects(stage: Stage, digest: str) -> object:
    (found,) = [
        one for one in stage.get("/api/policies/proposals")["items"] if one["digest"] == digest
    ]
    return stage.post(f"/api/policies/proposals/{digest}/reject", {"proposal": found["proposal"]})


MEMBER, PACKET = "members/{id}", "workloads/{id}"

ROWS: Final[Mapping[str, Row]] = {
    "register_member": Row(
        nothing,
        "members",
        ("member_registered",),
        {"Id": "{new}", "Capabilities": "ocr 1.2", "Trust": "0.9"},
        "active",
        ({"Id": "not an id"}, "not an id"),
    ),
    "update_member": Row(
        Stage.member,
        MEMBER,
        ("member_updated",),
        {"Region": "eu-west/2b"},
        "eu-west/2b",
        ({"Capacity": "many"}, "is not like"),
    ),
    "withdraw_capability": Row(
        Stage.working,
        "capabilities/{skill}",
        ("capability_withdrawn",),
        {},
        "It offers none",
        ({"Capability": "Never Heard Of"}, "Never Heard Of"),
    ),
    "assess_trust": Row(
        Stage.member,
        MEMBER,
        ("trust_assessed",),
        {"Score": "0.75"},
        "0.75",
        ({"Score": "2"}, "core"),
    ),
    "drain_member": Row(
        Stage.working, MEMBER, ("member_draining",), {}, "draining", late=(_fails, "FAILED")
    ),
    "cancel_drain": Row(
        Stage.draining, MEMBER, ("drain_cancelled",), {}, "active", late=(_fails, "FAILED")
    ),
    "quarantine_member": Row(
        Stage.member,
        MEMBER,
        ("member_quarantined",),
        {"Reason": "<b>drift</b>"},
        "quarantined",
        ({"Reason": "r" * 600}, "512"),
        (_fails, "FAILED"),
    ),
    "release_member": Row(
        Stage.quarantined, MEMBER, ("member_released",), {}, "active", late=(_releases, "ACTIVE")
    ),
    "fail_member": Row(
        Stage.member,
        MEMBER,
        ("member_failed",),
        {"Reason": "gone"},
        "failed",
        ({"typed": "another"}, "to confirm"),
        (_fails, "FAILED"),
    ),
    "recover_member": Row(
        Stage.failed, MEMBER, ("member_recovered",), {}, "active", late=(_recovers, "ACTIVE")
    ),
    "retire_member": Row(
        Stage.member,
        MEMBER,
        ("member_draining", "member_retired"),
        {},
        "retired",
        ({"typed": "another"}, "to confirm"),
        (_fails, "FAILED"),
    ),
    "submit_packet": Row(
        nothing,
        "workloads",
        ("packet_created",),
        {"Work": "scan", "Id": "{new}"},
        "scan",
        ({"Work": "Not A Name"}, "Not A Name"),
    ),
    "review_packet": Row(
        Stage.reviewed,
        PACKET,
        ("review_recorded",),
        {"Verdict": "grant", "Note": "looked at"},
        "",
        ({"Verdict": "grant", "Note": "n" * 600}, "512"),
        (_grants, "review"),
    ),
    "assign_packet": Row(
        Stage.pending,
        PACKET,
        ("assignment_decision",),
        {},
        "owns it",
        ({"Target": "nobody-at-all"}, "nobody-at-all"),
        (_cancels, "CANCELLED"),
    ),
    "hand_off_packet": Row(
        Stage.movable,
        PACKET,
        ("handoff_started", "handoff_completed"),
        {"Reason": "rest"},
        "owns it",
        ({"Target": "nobody-at-all"}, "nobody-at-all"),
        (_cancels, "CANCELLED"),
    ),
    "accept_handoff": Row(
        Stage.moving, PACKET, ("handoff_completed",), {}, "owns it", late=(_aborts, "")
    ),
    "abort_handoff": Row(
        Stage.moving, PACKET, ("handoff_aborted",), {}, "owns it", late=(_aborts, "ASSIGNED")
    ),
    "requeue_packet": Row(
        Stage.owned,
        PACKET,
        ("packet_requeued",),
        {"Reason": "rest"},
        "",
        ({"Reason": "r" * 600}, "512"),
        (_cancels, "CANCELLED"),
    ),
    "cancel_packet": Row(
        Stage.owned,
        PACKET,
        ("packet_cancelled",),
        {},
        "cancelled",
        ({"typed": "another"}, "to confirm"),
        (_cancels, "CANCELLED"),
    ),
    "approve_proposal": Row(
        Stage.proposal,
        "policies",
        ("policy_approved",),
        {"Note": "looked at"},
        "No approval is asked for",
        ({"Note": "n" * 600}, "512"),
        (_rejects, "not proposed"),
    ),
    "reject_proposal": Row(
        Stage.proposal,
        "policies",
        ("policy_rejected",),
        {"Note": "not now"},
        "",
        ({"Note": "n" * 600}, "512"),
        (_rejects, "not proposed"),
        {"operator": Stage.proposal},
    ),
    "roll_back_policies": Row(
        Stage.earlier,
        "policies",
        ("policy_activated",),
        {},
        "",
        ({"typed": "another"}, "to confirm"),
    ),
    "promote_policy": Row(
        Stage.shadowed,
        "policies",
        ("policy_activated",),
        {},
        "",
        ({"typed": "another"}, "to confirm"),
    ),
    "trust_publisher": Row(
        nothing,
        "policies",
        ("publisher_trusted",),
        {"Publisher": "globex", "Key": "5f" * 32},
        "globex",
        ({"Publisher": "globex", "Key": "5f"}, "64"),
    ),
    "revoke_publisher": Row(
        Stage.publisher,
        "policies",
        ("publisher_revoked",),
        {},
        "revoked",
        ({"typed": "another"}, "to confirm"),
    ),
    "configure": Row(
        nothing,
        "settings",
        ("configuration_changed",),
        {"Settings": "pressure_high=0.85"},
        "0.85",
        ({"Settings": "nothing=1"}, "there is no setting"),
    ),
    "rotate_key": Row(
        nothing, "keys", ("key_rotated", "key_added"), {"Role": "issuer"}, "in force"
    ),
    "end_halt": Row(
        nothing, "overview", ("expiry_resumed",), {}, "Ready", ({"Known": "not an id"}, "not an id")
    ),
}
