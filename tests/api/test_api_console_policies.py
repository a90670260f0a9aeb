"""The console's pages of policies, settings, keys and sessions, without a browser."""

import html
import json
import re
from pathlib import Path

from support.api_server import SCOPES, Api
from support.console_api import fields_of, send, sign_in
from support.ledgers import START

from pfgov_api.console import assets
from pfgov_api.console.visiting import operations


def test_a_set_is_tried_weighed_and_made_binding(api: Api) -> None:
    """The playground says other than the API, makes binding what was not weighed, or what nobody typed."""
    api.member("m1")
    api.packet("p1")
    form = fields_of(api.get("/console/policies/try?set=pack:starter").text)
    path = "/console/policies/try"
    tried = send(api, path, {**form, "do": "ask", "packet": '{"workload_type": "scan"}'})
    assert "every rule is met" in tried.text
    untrusted = json.dumps([{"id": "m9", "type": "agent", "trust_score": 0.2}])
    tried = send(api, path, {**form, "do": "ask", "members": untrusted})
    assert "trust/trust-floor" in tried.text
    weighed = send(api, path, {**form, "do": "weigh"})
    assert "would be judged again" in weighed.text
    digest = fields_of(weighed.text)["weighed"]
    before = api.get("/api/policies").json()["digest"]
    assert before != digest
    sent = {**form, "do": "activate", "weighed": digest, "typed": digest[:8]}
    laxer = form["text"].replace("0.5", "0.4")
    for other in ({"typed": digest[:7]}, {"typed": ""}, {"text": laxer}):
        refused = send(api, path, {**sent, **other})
        assert refused.status_code == 400, other
        assert 'role="alert"' in refused.text
    assert api.get("/api/policies").json()["digest"] == before
    done = send(api, path, sent)
    assert re.fullmatch(r"/console/policies\?did=\d+\.[0-9a-f]{32}", done.headers["location"])
    assert api.get("/api/policies").json()["digest"] == digest
    # what is binding is read back as a text of which the same set is made
    again = fields_of(api.get(path).text)
    assert "binding already" in send(api, path, {**again, "do": "weigh"}).text
    assert api.get(f"/console/policies?digest={before}").status_code == 200
    trusted = {"name": "acme", "key": "5f" * 32}
    assert api.post("/api/policies/publishers", trusted).status_code == 200
    page = api.get("/console/policies").text
    assert "Whose bundles are let in" in page
    assert re.search(r"acme <code[^>]*>5f5f5f5f5f5f</code></dt><dd class=\"wrap\">trusted", page)
    changes = api.get(f"/console/policies/difference?old={before}&new={digest}").text
    assert "policy trust" in changes


def test_what_is_wrong_with_a_set_is_said_where_it_is(api: Api) -> None:
    """The playground loses the text that does not compile, or does not say the line."""
    path, text = (
        "/console/policies/try",
        "apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: x}\n",
    )
    for do in ("ask", "weigh", "propose"):
        form = {"do": do, "key": "k", "text": text, "packet": "{}", "members": "[]"}
        answer = send(api, path, form)
        assert answer.status_code == 400, (do, answer.text)
        assert "metadata: {name: x}" in html.unescape(answer.text)
        assert 'role="alert"' in answer.text
    for name in ("packet", "members"):
        bad = {"do": "ask", "key": "k", "packet": "{}", "members": "[]", name: "{" * 5_000}
        assert "cannot be read as JSON" in send(api, path, bad).text
    assert api.get("/api/policies/proposals").json()["items"] == []


def test_a_proposal_is_approved_by_somebody_else(tmp_path: Path) -> None:
    """A proposal is not shown, is approved by whom the API refuses, or cannot be made binding afterwards."""
    with Api(tmp_path) as api:
        api("PATCH", "/api/configuration", {"settings": {"activation_approvals": "1"}})
        people: dict[str, dict[str, str]] = {}
        for name in ("ann", "ben"):
            _, key = api.keyring.create(("admin", "operator", "auditor"), now=START, name=name)
            answer = send(api, "/console/sign-in", {"key": key})
            people[name] = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        path = "/console/policies/try"
        form = fields_of(api.get(f"{path}?set=pack:starter", headers=people["ann"]).text)
        sent = send(api, path, {**form, "do": "propose", "note": "<b>why</b>"}, **people["ann"])
        assert sent.status_code == 303, sent.text
        page = api.get("/console/policies", headers=people["ben"]).text
        digest = re.findall(r"/console/do/approve_proposal/(\w+)", page)[0]
        assert "&lt;b&gt;why&lt;/b&gt;" in page
        approve = f"/console/do/approve_proposal/{digest}"
        assert approve not in api.get("/console/policies", headers=people["ann"]).text
        refused = api.get(approve, headers=people["ann"])
        assert (refused.status_code, "policy.own_proposal" in refused.text) == (403, True)
        asked = fields_of(api.get(approve, headers=people["ben"]).text)
        for who, status in (("ann", 403), ("ben", 303)):
            assert send(api, approve, asked, **people[who]).status_code == status
        proposed = fields_of(api.get(f"{path}?set={digest}", headers=people["ann"]).text)
        weighed = send(api, path, {**proposed, "do": "weigh"}, **people["ann"])
        assert fields_of(weighed.text)["weighed"] == digest
        last = {**proposed, "do": "activate", "weighed": digest, "typed": digest[:8]}
        assert send(api, path, last, **people["ann"]).status_code == 303
        assert "Proposed" not in api.get("/console/policies", headers=people["ann"]).text


def test_the_playground_does_what_the_api_allows(
    shared: Api, signed: dict[str, dict[str, str]]
) -> None:
    """A button of the playground is there for, or works for, whom the API refuses; or is not for whom it allows."""
    wanted = {
        "ask": "evaluate_policies",
        "test": "test_policies",
        "weigh": "policy_impact",
        "propose": "propose_policies",
        "activate": "activate_policies",
    }
    path = "/console/policies/try"
    for scope in SCOPES:
        shown = shared.get(path, headers=signed[scope])
        for do, name in wanted.items():
            form = {
                "do": do,
                "key": "k",
                "text": "nonsense",
                "packet": "{}",
                "members": "[]",
                "tests": "a",
            }
            sent = send(shared, path, form, **signed[scope])
            is_allowed = operations()[name].allows((scope,))
            if do == "activate":  # which weighs first
                is_allowed = is_allowed and operations()["policy_impact"].allows((scope,))
            assert (sent.status_code == 403) == (not is_allowed), (scope, do, sent.status_code)
            if do in {"ask", "test", "weigh"} and shown.status_code == 200:
                assert (f'value="{do}"' in shown.text) == is_allowed, (scope, do)


# --- settings, keys, sessions -------------------------------------------------------------


def test_settings_are_changed_and_each_is_explained(api: Api) -> None:
    """A setting has no words to it, or the form changes something else."""
    page = api.get("/console/settings").text
    names = set(api.get("/api/configuration").json()["configuration"])
    assert set(re.findall(r'id="s-(\w+)"', page)) == names
    assert "Others" not in page
    form = {"key": "k1", "settings": "activation_approvals=2, pressure_high=0.8"}
    assert (
        send(api, "/console/do/configure", form)
        .headers["location"]
        .startswith("/console/settings?did=")
    )
    found = api.get("/api/configuration").json()["configuration"]
    assert (found["activation_approvals"], found["pressure_high"]) == (2, "0.8")
    refused = send(api, "/console/do/configure", {"key": "k2", "settings": "nothing=1"})
    assert refused.status_code == 400
    assert "there is no setting" in refused.text


def test_keys_are_shown_and_no_secret_is(shared: Api, signed: dict[str, dict[str, str]]) -> None:
    """The page of keys shows API keys to whom the API does not, or a digest or secret to anybody."""
    for scope in SCOPES:
        page = shared.get("/console/keys", headers=signed[scope]).text
        assert ("Who may come in" in page) == (scope == "admin"), scope
        assert ("/console/do/rotate_key" in page) == (scope == "admin"), scope
        for record in shared.keyring.records():
            assert record.digest not in page
        assert not any(key in page for key in shared.keys().values())


def test_a_session_is_listed_and_ended(tmp_path: Path) -> None:
    """Who is signed in elsewhere does not see it, or cannot end it."""
    with Api(tmp_path) as api:
        first, second = sign_in(api, "auditor"), sign_in(api, "auditor")
        page = api.get("/console/session", headers=first).text
        assert page.count("another browser") == 1
        assert page.count("this browser") == 1
        name = fields_of(page)["session"]
        send(api, "/console/sign-out", {"session": name}, **first)
        assert api.get("/console/session", headers=second).status_code == 401
        assert api.get("/console/session", headers=first).status_code == 200


def test_the_verifier_is_the_one_beside_the_format(api: Api) -> None:
    """The console's page verifies by another program than ``ledger/verify.html``, or lacks an element of its form."""
    source = (Path(__file__).parents[2] / "ledger" / "verify.html").read_text()
    program = assets.assets()["verifier.js"].raw.decode()
    assert program.count("\n") > 1_500
    assert 'getElementById("codes")' not in program
    assert source.split("// --- the page")[1].split("</script>")[0].strip() in program
    page = api.get("/console/verify").text
    ids = set(re.findall(r'\bid="([\w-]+)"', source)) - {"codes", "why", "events"}
    assert ids <= set(re.findall(r'\bid="([\w-]+)"', page))
    saved = api.get("/console/raw/verifier")
    assert saved.text == source
    assert saved.headers["content-disposition"].startswith("attachment")


def test_tests_of_a_set_are_run_and_shown(api: Api) -> None:
    """The playground shows no tests of a set that ships, other results than the API, or a test's name as markup."""
    path = "/console/policies/try"
    assert f'href="{path}#tests"' in api.get("/console/policies").text
    shipped = fields_of(api.get(f"{path}?set=pack:starter").text)
    assert shipped["tests"].count("kind: PolicyTest") == 6
    bare = fields_of(api.get(path).text)
    assert bare["tests"] == ""
    refused = send(api, path, {**bare, "do": "test"})
    assert (refused.status_code, "there is no test in the text" in refused.text) == (400, True)
    policy = 'apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: p, version: "1"}\non: [place]\nrules:\n'
    policy += '  - {id: eu, require: member.region == "eu"}\n'
    facts = "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {plain: {workload_type: w}}\nmembers: {far: {region: us}}\n"
    case = (
        "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: p\ncases:\n  - name: <b>far</b> & near\n"
    )
    case += "    packet: plain\n    members: [far]\n    expect: {far: OUTCOME}\n"
    form = {**bare, "do": "test", "text": policy, "tests": f"{facts}---\n{case}"}
    wrong = send(api, path, {**form, "tests": form["tests"].replace("OUTCOME", "allow")}).text
    assert "of 1 check fails" in wrong
    assert "&lt;b&gt;far&lt;/b&gt; &amp; near" in wrong
    assert re.search(r'data-l="expected">allow</td><td[^>]*>deny \[eu\]</td>', wrong)
    assert "line 10" in wrong  # where the case stands in the text
    right = send(api, path, {**form, "tests": form["tests"].replace("OUTCOME", "{deny: [eu]}")})
    assert (right.status_code, "1 check, and it passes" in right.text) == (200, True)
    assert "What no test saw" in right.text
    assert fields_of(right.text)["tests"].replace("\r", "") == form["tests"].replace(
        "OUTCOME", "{deny: [eu]}"
    )
    misspelt = send(api, path, form)
    assert (misspelt.status_code, "02.test.yaml:13:" in misspelt.text) == (400, True)
