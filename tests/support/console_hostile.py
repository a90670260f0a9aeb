"""A ledger that is hard to show: ids and names as long as they may be, without a place to break, and right-to-left.

Everything here is what the doors admit; the pages of the console are looked at with it in them.
"""

from pathlib import Path
from typing import Any

import httpx2

from pfgov import limits
from pfgov_api.keyring import FILE, KeyRing
from support.api_process import Server

LONG = "w" * limits.ID_LENGTH_MAX
DASHED = ("agent-" + "claims-review-" * 9)[: limits.ID_LENGTH_MAX - 1] + "x"
DOTTED = ("a.b:c@d~e_" * 13)[: limits.ID_LENGTH_MAX - 1] + "x"
ACCEPTS = ("takes-" + "over" * 31)[: limits.ID_LENGTH_MAX]
SKILL = "s" * limits.NAME_LENGTH_MAX
REGION = "r" * 60 + "/" + "z" * 60
CLASSES = ("pii." + "c" * 60, "secret.level-2", *(f"pii.class-{n}" for n in range(12)))
ARABIC = "\u0627\u0644\u0639\u0631\u0628\u064a\u0629"
HEBREW = "\u05e9\u05dc\u05d5\u05dd"
WORDS = f"<b onmouseover=alert(1)>{ARABIC} {HEBREW}</b> {{{{ 7 * 7 }}}} \U0001f468\U0001f469 {'q' * 180}"
LABELS = {
    "n" * 60: "v" * 256,
    "rtl": f"{HEBREW} {ARABIC}",
    "markup": "<img src=x onerror=alert(1)>",
    "empty": "",
}
PACKET, WAITING, MOVING, REVIEWED = (
    "p" * 128,
    "p-waits-" + "w" * 120,
    "p-moves-" + "m" * 120,
    "p-review-" + "r" * 119,
)

POLICY = """
apiVersion: pfgov/v1
kind: Policy
metadata: {{name: {name}, version: "{version}", description: "{says}"}}
on: [assign, handoff, accept, retain]
rules:
  - id: {rule}
    when: packet.priority > 7 && packet.workload_type != "{long}" && "{long}" in packet.required_capabilities
    require: member.trust_score >= 0.5
    message: "{says}"
  - id: asks
    on: [assign]
    when: packet.priority > 8
    escalate: {{to: reviewer}}
    message: "{says}"
"""


def files(version: str) -> dict[str, str]:
    """A policy set whose names and words are as long as they may be; another one for each *version*."""
    says = f"<script>alert(1)</script> {ARABIC} {'m' * 200}"
    text = POLICY.format(name="k" * 63, version=version, rule="u" * 60, says=says, long="l" * 100)
    return {"01.yaml": text}


def fill(server: Server) -> None:
    """Fill a ledger without keys over its API; what is refused there fails here."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:

        def post(path: str, body: dict[str, Any]) -> None:
            answer = client.post(path, json=body)
            for _ in range(8):
                if answer.status_code != 503:  # a set takes longer on a busy machine than it may
                    break
                answer = client.post(path, json=body)
            assert answer.status_code < 300, (path, answer.text)

        skill = {
            "name": SKILL,
            "version": "1.0+" + "l" * 40,
            "category": "c" * 40,
            "description": WORDS,
        }
        full: dict[str, Any] = {
            "type": "agent",
            "capabilities": [skill, "ocr", *(f"skill-{n:02d}" for n in range(40))],
            "region": REGION,
            "clearances": CLASSES,
            "labels": LABELS,
            "lease_seconds": 43_200,
            "trust_score": 0.987654,
            "capacity": {"cpu": 999_999_999.999999, "memory": 0.000001, "tasks": 4},
        }
        for name in (LONG, DASHED, DOTTED, "m"):
            post("/api/members/register", {**full, "id": name})
        post("/api/members/register", {**full, "id": ACCEPTS, "handoff_mode": "accept"})
        post("/api/members/register", {**full, "id": "gone-" + "g" * 120})
        post(f"/api/members/gone-{'g' * 120}/fail", {"reason": WORDS})
        constraints: dict[str, Any] = {
            "minimum_trust_score": 0.123456,
            "allowed_regions": [REGION, *(f"eu-{n}" for n in range(20))],
        }
        asked: dict[str, Any] = {
            "workload_type": "t" * limits.NAME_LENGTH_MAX,
            "required_capabilities": [f"{SKILL}>=1.0", "ocr"],
            "demand": {"cpu": 123_456.789, "memory": 0},
            "data_classes": CLASSES,
            "labels": LABELS,
            "policy_constraints": constraints,
            "priority": limits.PRIORITY_MAX,
            "deadline": "2099-12-31T23:59:59Z",
        }
        for name in (PACKET, MOVING, *(f"p{n:03d}-{'x' * 100}" for n in range(3))):
            post("/api/packets", {**asked, "packet_id": name, "priority": 5})
        rare = [f"{'z' * 50}{n}>=9.9.9,<10" for n in range(8)]
        post("/api/packets", {**asked, "packet_id": WAITING, "required_capabilities": rare})
        reviewed = {**constraints, "pii_review_required": True}
        post("/api/packets", {**asked, "packet_id": REVIEWED, "policy_constraints": reviewed})
        post(f"/api/packets/{MOVING}/handoff", {"target": ACCEPTS, "reason": WORDS})
        post("/api/members/m/quarantine", {"reason": WORDS})
        post("/api/policies/activate", {"files": files("1" * 60), "leave_uncovered": ["register"]})
        for version in ("2", "3"):
            post("/api/policies/proposals", {"files": files(version), "note": WORDS})
        post("/api/policies/publishers", {"name": "u" * 60, "key": "5f" * 32})
        answer = client.patch("/api/configuration", json={"settings": {"review_timeout": "86400"}})
        assert answer.status_code == 200, answer.text


def keys(directory: Path) -> str:
    """Make keys with long names, and one that was revoked; return one that may everything."""
    ring = KeyRing(directory / FILE)
    for scopes in (("auditor",), ("operator", "reviewer", "submitter")):
        ring.create(scopes, now=1_700_000_000_000_000, name=f"{HEBREW} <i>{'n' * 100}</i>")
    record, _ = ring.create((f"member:{LONG}",), now=1_700_000_000_000_000, name="")
    ring.revoke(record.id, now=1_800_000_000_000_000)
    _, key = ring.create(("admin", "assessor", "auditor", "emergency", "operator", "reviewer", "submitter"),
                         now=1_700_000_000_000_000, name=f"{ARABIC} {'a' * 100}")  # fmt: skip
    return key
