"""What changes the binding policy set, in the console: back to an earlier one, out of shadow mode, by bundle."""

import hashlib
import html
import json
import re
from pathlib import Path

import httpx2
import pytest
from support.api_server import Api
from support.console_api import fields_of, send

from pfgov.app.change.bundling import build
from pfgov.app.change.resting import sign
from pfgov.app.local.folder import reading_folder
from pfgov.app.publishers import make_key, signer
from pfgov.engine.reading import Span
from pfgov.policy import load_directory
from pfgov_api.console.policy_texts import files_of, pack
from pfgov_ledger.keys import Signer

PLAYGROUND = "/console/policies/try"
OTHER = tuple(files_of(pack("starter").replace("value: 0.5", "value: 0.45")).values())
"""The starter set with another floor of trust."""
SHADOW = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: stricter, version: "1", description: d}
mode: shadow
on: [assign, retain]
rules:
  - id: high
    require: member.trust_score >= 0.95
"""


def binding(api: Api) -> str:
    """The digest of the binding set."""
    return str(api.get("/api/policies").json()["digest"])


def done(answer: httpx2.Response, page: str = "policies") -> None:
    """Assert that a form was taken."""
    assert answer.status_code == 303, html.unescape(answer.text)[-3000:]
    assert re.fullmatch(rf"/console/{page}\?did=\d+\.[0-9a-f]{{32}}", answer.headers["location"])


def activated(api: Api, *texts: str) -> str:
    """Make a set binding; its digest."""
    named = {f"{at:02}.yaml": text for at, text in enumerate(texts)}
    answer = api.post("/api/policies/activate", {"files": named})
    assert answer.status_code == 200, answer.text
    return binding(api)


def test_a_set_that_was_binding_is_gone_back_to(api: Api) -> None:
    """The page offers no way back, the form does not say what that would change, or goes somewhere else."""
    api.member("m1")
    api.packet("p1")
    first = binding(api)
    second = activated(api, *OTHER)
    page = api.get("/console/policies").text
    assert re.findall(r"/console/do/roll_back_policies/(\w+)", page) == [first]
    path = f"/console/do/roll_back_policies/{first}"
    form = api.get(path).text
    assert "What that would change" in form
    assert "decision" in re.findall(r'<section class="ahead".*?</section>', form, re.DOTALL)[0]
    asked = fields_of(form)
    for typed in ("", first, first[:11]):
        refused = send(api, path, {**asked, "typed": typed})
        assert (refused.status_code, f"type {first[:12]} to confirm" in refused.text) == (400, True)
    assert binding(api) == second
    done(send(api, path, {**asked, "typed": first[:12]}))
    assert binding(api) == first
    never = f"/console/do/roll_back_policies/{'0' * 64}"
    assert api.get(never).status_code == 404


def test_an_emergency_in_the_console_is_recorded_as_one(api: Api) -> None:
    """What an activation demands is passed over without a word, or is demanded in an emergency, too."""
    first = binding(api)
    second = activated(api, *OTHER)
    api("PATCH", "/api/configuration", {"settings": {"activation_approvals": "1"}})
    path = f"/console/do/roll_back_policies/{first}"
    asked = {**fields_of(api.get(path).text), "typed": first[:12]}
    refused = send(api, path, asked)
    assert (refused.status_code, "policy.not_approved" in refused.text) == (403, True)
    assert binding(api) == second
    done(send(api, path, {**asked, "key": "k2", "emergency": "true"}))
    assert binding(api) == first
    newest = api.get("/api/ledger/entries?newest=true&limit=1&type=policy_activated").json()
    assert newest["items"][0]["body"]["rollback"] == "emergency"


def test_what_is_in_shadow_mode_is_weighed_and_put_in_force(api: Api) -> None:
    """The page says something else than the API of a policy in shadow mode, or puts another one in force."""
    api.member("m1", trust_score=0.9)
    api.packet("p1")
    assert "No policy of the binding set" in api.get("/console/policies/shadow").text
    activated(api, *OTHER, SHADOW)
    api.packet("p2")
    (told,) = api.post("/api/policies/shadow", {}).json()["items"]
    page = html.unescape(api.get("/console/policies/shadow").text)
    counts = told["report"]["counts"]
    assert counts["narrower"] > 0
    assert f"<dt>narrower</dt><dd>{counts['narrower']}</dd>" in page
    assert "stricter/high" in page
    assert "/console/policies/shadow" in api.get("/console/policies").text
    path = "/console/do/promote_policy/stricter"
    assert path in page
    form = api.get(path).text
    assert "2 packets would be taken from their owners" in form
    before = binding(api)
    assert send(api, path, {**fields_of(form), "typed": "strict"}).status_code == 400
    assert binding(api) == before
    done(send(api, path, {**fields_of(form), "typed": "stricter"}))
    (found,) = [
        one for one in api.get("/api/policies").json()["policies"] if one["name"] == "stricter"
    ]
    assert found["mode"] == "enforce"
    assert api.get(path).status_code == 404
    assert api.get("/console/do/promote_policy/kernel").status_code == 404


def test_whose_bundles_are_let_in_is_changed(api: Api) -> None:
    """A publisher's key is trusted or revoked otherwise than the form says, or is offered again when it is revoked."""
    key = "5f" * 32
    path = "/console/do/trust_publisher"
    assert path in api.get("/console/policies").text
    asked = {**fields_of(api.get(path).text), "name": "acme"}
    wrong = send(api, path, {**asked, "public_key": "5f"})
    assert wrong.status_code == 400
    asked = fields_of(wrong.text) | {"name": "acme", "public_key": key}
    done(send(api, path, {**asked, "expires_at": "2031-01-01T00:00"}))
    (acme,) = api.get("/api/policies/publishers").json()["items"]
    assert [(one["key"], one["status"]) for one in acme["keys"]] == [(key, "trusted")]
    assert acme["keys"][0]["expires_at"].startswith("2031-01-01T00:00:00")
    revoke = f"/console/do/revoke_publisher/{key}"
    assert revoke in api.get("/console/policies").text
    form = fields_of(api.get(revoke).text)
    assert send(api, revoke, {**form, "typed": "acme"}).status_code == 400
    done(send(api, revoke, {**form, "typed": key[:12]}))
    (acme,) = api.get("/api/policies/publishers").json()["items"]
    assert acme["keys"][0]["status"] == "revoked"
    assert revoke not in api.get("/console/policies").text
    assert api.get(f"/console/do/revoke_publisher/{'0' * 64}").status_code == 404


@pytest.fixture
def acme(tmp_path: Path) -> Signer:
    """A publisher's key."""
    path = tmp_path / "acme.key"
    make_key(path, "acme")
    return signer(str(path))


def test_a_bundle_is_weighed_proposed_and_made_binding(
    api: Api, acme: Signer, tmp_path: Path
) -> None:
    """A bundle in the playground is weighed as something else, believed without its key, or loses whose it was."""
    folder = tmp_path / "set"
    folder.mkdir()
    for at, text in enumerate(OTHER):
        (folder / f"{at}.policy.yaml").write_text(text)
    raw = build(folder, acme, publisher="acme", version="1.0.0").decode()
    start = fields_of(api.get(PLAYGROUND).text) | {"bundle": raw}
    weighed = send(api, PLAYGROUND, {**start, "do": "weigh"})
    assert weighed.status_code == 200, html.unescape(weighed.text)[-2000:]
    assert "<dt>publisher</dt><dd>acme</dd>" in weighed.text
    digest = fields_of(weighed.text)["weighed"]
    assert digest == hashlib.sha256(json.loads(raw)["document"].encode()).hexdigest()
    last = {**fields_of(weighed.text), "do": "activate", "typed": digest[:8]}
    before = binding(api)
    refused = send(api, PLAYGROUND, last)
    assert (refused.status_code, "publisher.unknown" in refused.text) == (403, True)
    broken = raw.replace("trust", "trusT", 1)
    altered = send(api, PLAYGROUND, {**last, "bundle": broken, "key": "k2"})
    assert (altered.status_code, "bundle.altered" in altered.text) == (400, True)
    assert binding(api) == before
    trusted = {"name": "acme", "key": acme.public.hex()}
    assert api.post("/api/policies/publishers", trusted).status_code == 200
    done(send(api, PLAYGROUND, {**last, "key": "k3"}))
    assert binding(api) == digest
    newest = api.get("/api/ledger/entries?newest=true&limit=1&type=policy_activated").json()
    assert newest["items"][0]["body"]["bundle"]["publisher"] == "acme"


def test_a_policy_is_put_in_force_with_the_report_that_is_demanded(
    api: Api, acme: Signer, tmp_path: Path
) -> None:
    """Where a report is demanded a policy cannot leave shadow mode in the console, or leaves it with any report."""
    api.member("m1")
    activated(api, *OTHER, SHADOW)
    trusted = {"name": "acme", "key": acme.public.hex()}
    assert api.post("/api/policies/publishers", trusted).status_code == 200
    api("PATCH", "/api/configuration", {"settings": {"activation_report": "5"}})
    path = "/console/do/promote_policy/stricter"
    asked = {**fields_of(api.get(path).text), "typed": "stricter"}
    refused = send(api, path, asked)
    assert (refused.status_code, "impact.missing" in refused.text) == (403, True)

    def signed(*texts: str) -> str:
        folder = tmp_path / f"set-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for at, text in enumerate(texts):
            (folder / f"{at:02}.policy.yaml").write_text(text)
        with reading_folder(api.directory) as book:
            found = book.impact(load_directory(folder), Span(), lambda *_: None)
        return sign(found, acme).decode().replace("\n", "\r\n")  # as a browser sends it

    other = send(api, path, {**asked, "key": "k2", "report": signed(*OTHER)})
    assert (other.status_code, "impact.other_set" in other.text) == (409, True)
    right = signed(*OTHER, SHADOW.replace("mode: shadow\n", ""))
    done(send(api, path, {**asked, "key": "k3", "report": right}))
    newest = api.get("/api/ledger/entries?newest=true&limit=1&type=policy_activated").json()
    assert newest["items"][0]["body"]["report"]["key"] == acme.public.hex()
