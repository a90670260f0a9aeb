"""The console without a browser: rights, sessions, forms, headers, sizes.

The permission matrix is made from the table of actions: whoever the API refuses, the console refuses alike.
"""

import gzip
import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.api_server import SCOPES, Api
from support.console_api import FORM, HERE, console_of, first_decision, key_in, send, sign_in
from support.ledgers import START, Drawn

from pfgov_api.console import assets, doing
from pfgov_api.console.actions import ACTIONS, DIGESTED, Action
from pfgov_api.console.fragments import KEPT_SECONDS
from pfgov_api.console.pages import NAVIGATION, Page
from pfgov_api.console.sessions import (
    COOKIE,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    SESSIONS_PER_PRINCIPAL_MAX,
    Sessions,
)
from pfgov_api.console.site import PAGES
from pfgov_api.console.visiting import operations

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "a\u200bb\u00adc\ufeffd",
    "x" * 128,
)
VALUES = {"member_id": "m1", "packet_id": "p1", "seq": "0", "capability": "ocr"}


# --- rights -------------------------------------------------------------------------------


def address(action: Action) -> str:
    """The form of an action about nobody."""
    return f"/console/do/{action.name}" + (f"/{nobody(action)}" if action.about else "")


def nobody(action: Action) -> str:
    """What an action may be about, and there is not."""
    return "0" * 64 if action.about in DIGESTED else "nobody"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.name)
def test_the_console_refuses_whom_the_api_refuses(
    shared: Api, signed: dict[str, dict[str, str]], action: Action
) -> None:
    """A form is shown, or a command is run, for a key that the API refuses; or the other way round."""
    operation = operations()[action.operation]
    path = operation.path.format(member_id="nobody", packet_id="nobody", digest="0" * 64)
    for scope in SCOPES:
        is_allowed = operation.allows((scope,))
        by_api = shared(operation.method, path, {}, scope=scope).status_code
        assert (by_api == 403) >= (not is_allowed)
        form = shared.get(address(action), headers=signed[scope])
        sent = send(shared, address(action), {"typed": "nobody", "key": "k"}, **signed[scope])
        if not is_allowed:
            assert {by_api, form.status_code, sent.status_code} == {403}, scope
        elif not action.about:
            assert form.status_code == 200
            wanted = (409, 200) if action.ends_halt else (400, 400)  # there is no halt
            assert (sent.status_code, by_api) == wanted, scope
        else:
            blind = action.about == "set" and not operations()["show_policies"].allows((scope,))
            there = {200} if blind else {403, 404}  # there is no such subject to be shown
            assert form.status_code in there, scope
            assert sent.status_code in {400, 403, 404}, scope


@pytest.mark.parametrize("about", ["member", "packet"])
def test_a_button_is_drawn_for_whom_it_would_work(
    shared: Api, signed: dict[str, dict[str, str]], about: str
) -> None:
    """A page draws a button that its visitor may not use, or leaves one out."""
    part = {"member": "members/m1", "packet": "workloads/p1"}[about]
    for scope in SCOPES:
        shown = shared.get(f"/console/{part}", headers=signed[scope])
        if shown.status_code == 403:
            read = operations()[f"show_{about}"]
            assert scope.startswith("member:") or not read.allows((scope,)), scope
            continue
        drawn = set(re.findall(r"/console/do/(\w+)/", shown.text))
        status = "ACTIVE" if about == "member" else "ASSIGNED"
        wanted = {
            one.operation
            for one in ACTIONS
            if one.about == about
            and status in one.statuses
            and operations()[one.operation].allows((scope,))
        }
        assert drawn == wanted - {"review_packet"}, scope


def concrete(api: Api, page: Page, **options: Any) -> str:
    """An address of *page*."""
    seq = str(first_decision(api, **options)) if "{seq}" in page.path else "0"
    return "/console/" + page.path.format(**{**VALUES, "seq": seq})


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.path)
def test_a_page_is_shown_to_whom_the_api_answers(
    shared: Api, signed: dict[str, dict[str, str]], page: Page
) -> None:
    """A page shows something to a key whose question the API refuses."""
    path = concrete(shared, page, scope="auditor")
    for scope in SCOPES:
        answer = shared.get(path, headers=signed[scope])
        if scope.startswith("member:"):
            own = {"members/{member_id}", "workloads/{packet_id}", "session", "simulator"}
            own |= {"keys", "verify"}
            assert (answer.status_code == 200) <= (page.path in own or "audit" in page.path), scope
        else:
            is_allowed = operations()[page.needs].allows((scope,))
            assert answer.status_code == (200 if is_allowed else 403), (scope, answer.text[-900:])
        parts = re.findall(r'<nav class="rail".*?</nav>', answer.text, re.DOTALL)[0]
        shown = set(re.findall(r'href="/console/(\w+)"', parts))
        assert shown == {one[0] for one in NAVIGATION if operations()[one[2]].allows((scope,))}


def test_a_members_key_reads_its_own_page_alone(
    shared: Api, signed: dict[str, dict[str, str]]
) -> None:
    """The console shows a member's key another member, or a list of them."""
    own = signed["member:m1"]
    assert shared.get("/console/members/m1", headers=own).status_code == 200
    for path in ("members/m2", "members", "overview", "audit", "capabilities"):
        assert shared.get(f"/console/{path}", headers=own).status_code == 403, path
    assert shared.get("/console/raw/export", headers=own).status_code == 403


# --- signing in ---------------------------------------------------------------------------


def test_who_is_not_signed_in_is_asked_to(shared: Api) -> None:
    """A page, a form or a stream is given to nobody; or where one wanted to go is forgotten."""
    answer = shared.get("/console/members/m1")
    assert answer.status_code == 401
    assert 'name="next" value="/console/members/m1"' in answer.text
    filtered = shared.get("/console/assignments?outcome=denied").text
    assert 'name="next" value="/console/assignments?outcome=denied"' in filtered
    assert shared.get("/console/events").status_code == 401
    assert shared.get("/console/raw/proof/0").status_code == 401
    forged = shared.get("/console/overview", headers={"Cookie": f"{COOKIE}=AAAA"})
    assert forged.status_code == 401
    wrong = send(shared, "/console/sign-in", {"key": "pfgov_no_key"})
    assert wrong.status_code == 401
    assert "not a key of this server" in html.unescape(wrong.text)
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/console/members?status=ACTIVE", "/console/members?status=ACTIVE"),
        ("//evil.example/console/", "/console/overview"),
        ("https://evil.example/", "/console/overview"),
        ("/console/\\evil", "/console/overview"),
        ("/console/events", "/console/overview"),
        ("/api/members", "/console/overview"),
        ("javascript:alert(1)", "/console/overview"),
    ],
)
def test_signing_in_leads_to_a_page_of_the_console(shared: Api, target: str, place: str) -> None:
    """Whoever signs in is sent to another site."""
    form = {"key": shared.keys()["auditor"], "next": target}
    assert send(shared, "/console/sign-in", form).headers["location"] == place


def test_a_session_ends(tmp_path: Path) -> None:
    """A session outlives its key, or signing out."""
    with Api(tmp_path) as api:
        api.keys()
        cookie = sign_in(api, "auditor")
        assert api.get("/console/overview", headers=cookie).status_code == 200
        answer = send(api, "/console/sign-out", {}, **cookie)
        assert answer.headers["set-cookie"].startswith(f"{COOKIE}=; ")
        assert api.get("/console/overview", headers=cookie).status_code == 401
        again = sign_in(api, "auditor")
        (record,) = [one for one in api.keyring.records() if one.scopes == ("auditor",)]
        api.keyring.revoke(record.id, now=1)
        assert api.get("/console/overview", headers=again).status_code == 401


def test_a_session_lasts_half_an_hour_of_nothing_and_twelve_in_all(shared: Api) -> None:
    """A session ends early, or never."""
    moment = 0.0
    sessions = Sessions(now=lambda: moment)
    grant = shared.keyring.grant(f"Bearer {shared.keys()['auditor']}")
    secret = sessions.begin(grant)
    assert sessions.find(secret + "x") is None
    while moment < LONGEST_SECONDS - IDLE_SECONDS:
        moment += IDLE_SECONDS - 1
        assert sessions.find(secret) is not None
    moment = LONGEST_SECONDS
    assert sessions.find(secret) is None
    secret = sessions.begin(grant)
    moment += IDLE_SECONDS
    assert sessions.find(secret) is None


def test_one_key_signs_nobody_else_out(shared: Api) -> None:
    """Whoever signs in again and again loses sessions of its own, never those of others."""
    sessions = Sessions()
    other = sessions.begin(shared.keyring.grant(f"Bearer {shared.keys()['operator']}"))
    grant = shared.keyring.grant(f"Bearer {shared.keys()['auditor']}")
    secrets = [sessions.begin(grant) for _ in range(1_100)]
    assert sessions.find(other) is not None
    kept = [one for one in secrets if sessions.find(one) is not None]
    assert kept == secrets[-SESSIONS_PER_PRINCIPAL_MAX:]


def test_nobody_is_shown_who_somebody_else_is(api: Api) -> None:
    """Two keys with the same scope are each shown their own name."""
    api.keys()
    cookie = sign_in(api, "auditor")
    _, key = api.keyring.create(("auditor",), now=START, draw=Drawn("other"), name="somebody-else")
    answer = send(api, "/console/sign-in", {"key": key})
    other = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert "somebody-else" in api.get("/console/session", headers=other).text
    assert "somebody-else" not in api.get("/console/session", headers=cookie).text


@pytest.mark.parametrize("site", [None, "none", "same-site", "cross-site"])
def test_a_form_of_another_origin_is_refused(
    shared: Api, signed: dict[str, dict[str, str]], site: str | None
) -> None:
    """Another site, another port, or who does not say where it is, writes with somebody's cookie."""
    form = urlencode({"id": "m9", "type": "agent", "key": "k"}).encode()
    headers = {**FORM, **signed["operator"], **({} if site is None else {"Sec-Fetch-Site": site})}
    answer = shared("POST", "/console/do/register_member", content=form, headers=headers)
    assert answer.status_code == 403
    assert shared.get("/api/members/m9", scope="operator").status_code == 404


def test_without_keys_only_this_machine_is_shown_anything(api: Api) -> None:
    """Before there is a key, another name of this machine or a proxy opens the console."""
    assert api.get("/console/overview").status_code == 200
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "10.0.0.1"}):
        assert api.get("/console/overview", headers=headers).status_code == 403


# --- doing ----------------------------------------------------------------------------------


def test_a_member_is_registered_once(api: Api) -> None:
    """A form does not lead to its receipt, or sending it twice does it twice."""
    form = {
        "key": key_in(api.get("/console/do/register_member").text),
        "id": "agent-01",
        "type": "agent",
        "capabilities": "ocr 1.2, planning",
        "capacity": "cpu 8, memory 32.5",
        "trust_score": "0.9",
        "labels": "team=claims",
    }
    first = send(api, "/console/do/register_member", form)
    again = send(api, "/console/do/register_member", form)
    assert first.status_code == again.status_code == 303, first.text
    assert first.headers["location"] == again.headers["location"]
    place = re.fullmatch(
        r"/console/members/agent-01\?did=(\d+)\.[0-9a-f]{32}", first.headers["location"]
    )
    assert place is not None
    entry = api.get(f"/api/ledger/entries/{place[1]}").json()["shown"]
    assert entry["type"] == "member_registered"
    member = api.get("/api/members/agent-01").json()
    assert member["capacity"] == {"cpu": 8, "memory": 32.5}
    assert [one["name"] for one in member["capabilities"]] == ["ocr", "planning"]
    assert "recorded as" in api.get(first.headers["location"]).text


def test_what_is_wrong_with_a_form_is_said_in_it(api: Api) -> None:
    """A mistake loses what was typed, or is not said."""
    form = {"key": "k", "id": "not an id", "type": "agent", "capacity": "many"}
    answer = send(api, "/console/do/register_member", form)
    assert answer.status_code == 400
    assert 'value="not an id"' in answer.text
    assert "is not like" in answer.text
    form["capacity"] = "cpu x"
    assert 'role="alert"' in send(api, "/console/do/register_member", form).text


def test_what_cannot_be_taken_back_has_to_be_typed(api: Api) -> None:
    """A member is failed by pressing a button alone."""
    api.member("m1")
    api.packet("p1")
    form = api.get("/console/do/fail_member/m1")
    assert "p1" in form.text  # what would move
    for typed in ("", "M1", "m 1", "m2"):
        answer = send(api, "/console/do/fail_member/m1", {"key": "k1", "typed": typed})
        assert answer.status_code == 400, typed
    assert api.get("/api/members/m1").json()["status"] == "ACTIVE"
    answer = send(api, "/console/do/fail_member/m1", {"key": "k2", "typed": "m1", "reason": "gone"})
    assert answer.status_code == 303
    assert api.get("/api/members/m1").json()["status"] == "FAILED"


def test_a_refused_command_names_the_entry_that_says_so(api: Api) -> None:
    """A refusal that was recorded is not linked to its entry."""
    api.member("m1", trust_score=0.95)
    answer = send(api, "/console/do/recover_member/m1", {"key": "k"})
    assert answer.status_code == 409
    assert "lifecycle.illegal" in answer.text


# --- what is written ------------------------------------------------------------------------


def test_hostile_words_are_written_as_words(api: Api) -> None:
    """Markup, templates, unseen characters or long words in what people say get into a page as something else."""
    api.member("m1")
    for index, words in enumerate(HOSTILE):
        api.packet(f"p{index}", labels={"note": words if words.isascii() else "plain"})
        form = {"key": f"k{index}", "reason": words}
        done = send(api, f"/console/do/cancel_packet/p{index}", {**form, "typed": f"p{index}"})
        assert done.status_code in {303, 400}, done.text
        for path in (f"workloads/p{index}", "audit", "overview", "members", f"search?q=p{index}"):
            text = api.get(f"/console/{path}").text
            assert "<img src=x" not in text
            assert "<script>alert" not in text
            assert ">49<" not in text
            assert not set("\u200b\u00ad\ufeff\u202e").intersection(text), path
    found = api.get("/console/do/register_member?id=%22%3E%3Cscript%3E").text
    assert "<script>" not in found


def test_every_page_keeps_the_policy_of_its_content(api: Api) -> None:
    """A page has an inline script, handler or style, or names something elsewhere; or its headers let one in."""
    api.member("m1")
    api.packet("p1")
    for page in PAGES:
        answer = api.get(concrete(api, page))
        assert answer.status_code == 200, (page.path, answer.text[-600:])
        policy = answer.headers["content-security-policy"]
        nonce = re.findall(r"script-src 'nonce-([\w-]+)'", policy)[0]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.findall(rf'<script(?! nonce="{nonce}" src="/console/static/)', answer.text) == []
        assert re.findall(r"<[^>]+\s(?:style|on\w+)=", answer.text) == []
        assert re.findall(r"(?:href|src|action)=\"(?!/console/|#)[^\"]*\"", answer.text) == []
    assert (
        api.get("/console/overview").headers["content-security-policy"] != policy
    )  # a nonce is used once


def test_the_browser_may_keep_files_for_ever(api: Api) -> None:
    """A file changes under its name, or what is loaded first is large."""
    page = api.get("/console/overview", headers={"Accept-Encoding": "gzip"})
    names = re.findall(r"/console/static/([\w.-]+)", page.text)
    names += [assets.assets()["verify.js"].name]
    total = len(gzip.compress(page.content))
    for name in dict.fromkeys(names):
        file = api.get(f"/console/static/{name}")
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
        total += len(assets.by_public_name()[name].packed)
    assert total <= 60_000
    assert api.get("/console/static/console.css").status_code == 404
    assert api.get("/console/static/..%2f..%2fapp.py").status_code == 404


def test_a_page_is_drawn_once_for_everybody(api: Api) -> None:
    """Each look draws a page anew although nothing changed; or a page stays although something did."""
    api.member("m1")
    console = console_of(api)
    before = console.fragments.drawings
    first = api.get("/console/members", headers={"Pfgov-Fragment": "page"})
    tag = {"Pfgov-Fragment": "page", "If-None-Match": first.headers["etag"]}
    assert api.get("/console/members", headers=tag).status_code == 304
    assert console.fragments.drawings == before + 1
    api.member("m2")
    assert "m2" in api.get("/console/members", headers=tag).text
    assert console.fragments.drawings == before + 2
    head = api.engine.status().size - 1
    api.member("m3")  # a page that was told of an entry takes whatever shows that one
    told = {"Pfgov-Fragment": str(head)}
    assert "m2" in api.get("/console/members", headers=told).text
    assert console.fragments.drawings == before + 2
    assert "m3" in api.get("/console/members", headers={"Pfgov-Fragment": str(head + 1)}).text
    assert "m3" in api.get("/console/members").text
    assert console.fragments.drawings == before + 3
    assert KEPT_SECONDS <= 10


@pytest.mark.long
def test_a_thousand_members_fit_a_page(tmp_path: Path) -> None:
    """A page gets as large as the fleet."""
    with Api(tmp_path) as api:
        for index in range(1_000):
            api.member(f"agent-{index:04d}", region=f"r{index % 4}/a", capacity={"tasks": 4})
        api.packet("p1", required_capabilities=["ocr"])
        api.packet("p2", required_capabilities=["nothing"])
        for page in PAGES:
            path = concrete(api, page).replace("m1", "agent-0001")
            answer = api.get(path)
            assert answer.status_code == 200
            assert len(answer.content) <= 200_000, (path, len(answer.content))
        opened = api.get("/console/members?region=r1")
        assert opened.text.count('id="m-agent-') == 100
        assert len(opened.content) <= 200_000


def test_what_there_is_to_find_is_found(api: Api) -> None:
    """The search box leads nowhere."""
    api.member("agent-01")
    api.packet("fp-01")
    leaf = api.get("/api/ledger/entries?limit=1").json()["items"][0]["leaf"]
    for text, place in (
        ("agent-01", "/console/members/agent-01"),
        ("fp-01", "/console/workloads/fp-01"),
        ("0", "/console/audit/0"),
        (leaf[:16], "/console/audit/0"),
    ):
        assert api.get(f"/console/search?q={text}").headers["location"] == place, text
    nothing = api.get("/console/search?q=zzz")
    assert nothing.status_code == 200
    assert "Nothing begins with it" in nothing.text


def test_an_empty_ledger_says_how_it_is_filled(api: Api) -> None:
    """An empty page says nothing, or breaks."""
    for page in PAGES:
        if "{" not in page.path:
            answer = api.get(f"/console/{page.path}")
            assert answer.status_code == 200, page.path
    for path, command in (
        ("members", "pfgov member register"),
        ("workloads", "pfgov packet submit"),
        ("handoffs", "pfgov packet handoff"),
        ("capabilities", "pfgov member register"),
    ):
        assert command in api.get(f"/console/{path}").text, path


def test_the_root_leads_to_the_console_and_nothing_else_changes(api: Api) -> None:
    """The root, or a path that nobody serves, is something else than before."""
    assert api.get("/").headers["location"] == "/console/overview"
    assert api.get("/nothing").headers["content-type"] == "application/problem+json"
    assert api.get("/console/nothing").status_code == 404
    assert api.post("/console/overview", None, headers=HERE).status_code in {400, 404}


def test_every_action_belongs_to_an_operation() -> None:
    """An action names an operation that there is not, or a field that its body does not have."""
    for action in ACTIONS:
        operation = operations()[action.operation]
        assert operation.writes or action.ends_halt
        assert action.here in {one[0] for one in NAVIGATION}
        assert doing.Target(action, "x" if action.about else "").path.keys() == set(
            operation.path_parameters
        )
        assert operation.body is not None
        for one in action.fields:
            name = (one.goes or one.name).partition(".")[0]
            assert name in operation.body.model_fields, (action, one)
