"""What the console says of what there is not, and before something is done."""

import html
import re

import pytest
from support.api_server import Api
from support.console_api import send, sign_in

MISSING = (
    ("members/nobody", 404, "There is no member nobody"),
    ("members/not%20an%20id", 400, "cannot be an id"),
    ("workloads/nothing", 404, "There is no packet nothing"),
    ("capabilities/nothing", 404, "Nobody offers nothing, and no packet asks for it"),
    ("assignments/999999", 404, "There is no entry 999999"),
    ("assignments/0", 404, "There is no decision in this entry"),
    ("assignments/first", 400, "is not a position"),
    ("audit/999999", 404, "There is no entry 999999"),
    ("audit/first", 400, "is not a position"),
    ("audit/0x1", 400, "is not a position"),
    ("audit/%D9%A1", 400, "is not a position"),
    (f"policies?digest={'0' * 64}", 404, "There is no policy set"),
    ("policies?digest=abc", 400, "Digest is"),
    (f"policies/difference?old={'0' * 64}&new={'1' * 64}", 404, "There is no policy set"),
    (f"policies/try?set={'0' * 64}", 404, "There is no policy set"),
    ("policies/try?set=pack:nothing", 400, "Digest is"),
    ("keys/nobody", 404, "There is no page"),
    ("settings/nothing", 404, "There is no page"),
    ("do/nothing", 404, "There is nothing to do"),
    ("do/drain_member/nobody", 404, "There is no member nobody"),
    ("do/review_packet/nothing", 404, "There is no packet nothing"),
    ("audit?type=wrong", 400, "This cannot be shown"),
    ("workloads?status=WRONG", 400, "This cannot be shown"),
    ("assignments?since=soon", 400, "Since is"),
)


@pytest.mark.parametrize(("path", "status", "words"), MISSING, ids=[one[0] for one in MISSING])
def test_what_there_is_not_is_said_with_its_status(
    shared: Api, signed: dict[str, dict[str, str]], path: str, status: int, words: str
) -> None:
    """An address of nothing answers 200 or 500, or leads nowhere."""
    part = path.partition("/")[0].partition("?")[0]
    scope = {"do/drain_member/nobody": "operator", "do/review_packet/nothing": "reviewer"}
    answer = shared.get(f"/console/{path}", headers=signed[scope.get(path, "admin")])
    assert answer.status_code == status
    heading = html.unescape(re.findall("<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)[0])
    assert words in heading
    if part != "do":
        assert f'class="button" href="/console/{part}"' in answer.text
        assert f'href="/console/{part}" aria-current="page"' in answer.text


def test_a_capability_that_is_only_asked_for_has_a_page(api: Api) -> None:
    """What a waiting packet asks for and nobody offers is not found, although somebody wants to know who could."""
    api.packet("p1", required_capabilities=["rare"])
    answer = api.get("/console/capabilities/rare")
    assert answer.status_code == 200
    assert "Nobody can do it now" in answer.text
    assert 'href="/console/workloads/p1"' in answer.text
    assert api.get("/console/capabilities/rarer").status_code == 404


def test_a_review_says_what_is_asked_before_it_is_given(api: Api) -> None:
    """A person grants what the form does not describe, or is not told who may own the packet then."""
    api.member("m1", capabilities=["ocr"], trust_score=0.9)
    constraints = {"pii_review_required": True}
    api.packet("p1", required_capabilities=["ocr"], policy_constraints=constraints)
    form = api.get("/console/do/review_packet/p1").text
    assert "needs ocr; its data is not classified" in form
    assert "kernel/pii-review" in form
    assert "1 member may own it: m1" in form
    buttons = re.findall(r"/console/do/(\w+)/p1", api.get("/console/workloads/p1").text)
    assert buttons[0] == "review_packet"
    assert buttons[-1] == "cancel_packet"
    version = api.get("/api/packets/p1").json()["version"]
    granted = {"key": "k1", "granted": "grant", "version": str(version)}
    assert send(api, "/console/do/review_packet/p1", granted).status_code == 303
    waiting = api.get("/console/workloads/p1").text
    assert "Its review is granted, and it is placed in a moment." in waiting
    assert "keeps out" not in waiting
    api.run(api.service.tick())
    assert "m1 owns it, under epoch 1" in api.get("/console/workloads/p1").text


def test_a_verdict_is_chosen_and_not_there_before(api: Api) -> None:
    """Whoever sends the form of a review as it comes has granted, or refuses by a word that is no verdict."""
    api.member("m1", capabilities=["ocr"], trust_score=0.9)
    api.packet("p1", policy_constraints={"pii_review_required": True})
    form = api.get("/console/do/review_packet/p1").text
    assert '<option value="">choose</option><option value="grant">' in form
    version = str(api.get("/api/packets/p1").json()["version"])
    for said in ({}, {"granted": ""}, {"granted": "maybe"}, {"granted": "true"}):
        answer = send(
            api, "/console/do/review_packet/p1", {"key": "k1", "version": version, **said}
        )
        assert answer.status_code == 400, said
        assert api.get("/api/packets/p1").json()["status"] == "AWAITING_REVIEW"
    refused = {"key": "k2", "granted": "refuse", "version": version}
    assert send(api, "/console/do/review_packet/p1", refused).status_code == 303


def test_a_moment_is_said_in_utc_by_a_form(api: Api) -> None:
    """A deadline is shifted by a zone, refused as a browser writes it, or lost when something else is wrong."""
    form = {"key": "k1", "workload_type": "scan", "packet_id": "p1", "hold": "true"}
    answer = send(api, "/console/do/submit_packet", {**form, "deadline": "2030-01-02T03:04"})
    assert answer.status_code == 303, answer.text
    assert api.get("/api/packets/p1").json()["deadline"] == "2030-01-02T03:04:00Z"
    wrong = {"key": "k2", "workload_type": "", "deadline": "2030-01-02T03:04"}
    assert 'value="2030-01-02T03:04"' in send(api, "/console/do/submit_packet", wrong).text


def test_a_review_is_offered_to_whom_the_rule_asks(api: Api) -> None:
    """A button leads to a review that will be refused, because the rule asks somebody else; or is there for nobody."""
    api.member("m1", capabilities=["ocr"], trust_score=0.9)
    api.packet("p1", policy_constraints={"pii_review_required": True})
    for scope in ("operator", "reviewer"):
        cookie = sign_in(api, scope)
        for path in ("overview", "workloads/p1"):
            text = api.get(f"/console/{path}", headers=cookie).text
            assert ("/console/do/review_packet/p1" in text) == (scope == "reviewer"), (scope, path)


def test_a_search_that_is_cut_says_so(api: Api) -> None:
    """Of many packets that begin with a text some are shown as if they were all."""
    for number in range(12):
        api.packet(f"cut-{number:02}", hold=True)
    assert "the first 10 are shown" in api.get("/console/search?q=cut-").text
    assert "the first 10" not in api.get("/console/search?q=cut-1").text
