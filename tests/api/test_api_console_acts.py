"""What the console shows before something is done, and what it is asked: halts, capabilities, decisions, addresses."""

import html
import re
import shlex
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2
import pytest
from support.api_server import Api
from support.commandline import CommandLine

from pfgov_api.console import receipts
from pfgov_api.console.views.work import SYMBOLS

FORM = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}


def send(api: Api, path: str, **form: str) -> httpx2.Response:
    """Post a form as a page of the console does, with the values that are hidden in it."""
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', api.get(path).text)
    content = urlencode({**dict(hidden), **form}).encode()
    return api("POST", path, content=content, headers=FORM)


def text(answer: httpx2.Response) -> str:
    """What a page says, without its marks."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def silent(api: Api) -> None:
    """Six members, of whom five are not heard for longer than their lease."""
    for number in range(6):
        api.member(f"m{number}", lease_seconds=30)
    for number in range(6):
        api.packet(f"p{number}")
    for _ in range(4):
        api.clock.advance(10_000_000)
        api.post("/api/members/m0/heartbeat", {"incarnation": 1})
        api.run(api.service.tick())


def test_a_halt_is_ended_once_and_on_the_record(api: Api) -> None:
    """A halt cannot be ended from its page, who is silent is not shown first, or pressing twice ends it twice."""
    silent(api)
    assert "/console/do/end_halt" in api.get("/console/overview").text
    asked = text(api.get("/console/do/end_halt"))
    assert "Why they do not end" in asked
    assert re.search(r"Entry \d+: .*5 of 6", asked)
    done = send(api, "/console/do/end_halt", dead="m1")
    assert done.status_code == 303
    position = re.fullmatch(r"/console/overview\?did=(\d+)\.[0-9a-f]{32}", done.headers["location"])
    assert position is not None
    entry = api.get(f"/api/ledger/entries/{position[1]}").json()["shown"]
    assert entry["type"] == "expiry_resumed"
    assert api.get("/api/status").json()["halted"] is None
    assert api.get("/api/members/m1").json()["status"] == "FAILED"
    size = api.get("/api/status").json()["size"]
    twice = send(api, "/console/do/end_halt")
    assert twice.status_code == 409
    assert "there is no halt" in twice.text
    assert api.get("/api/status").json()["size"] == size
    assert "/console/do/end_halt" not in api.get("/console/overview").text


def test_a_capability_is_withdrawn_with_its_consequences_said(api: Api) -> None:
    """Who else offers it, or whose packets lose their owner, is said only afterwards."""
    for name in ("m1", "m2"):
        more = [{"name": "kyc"}] if name == "m1" else []
        api.member(name, capabilities=[{"name": "ocr"}, *more])
    api.packet("p-kyc", required_capabilities=["kyc"])
    api.packet("p-none", required_capabilities=["ocr>=9"])
    page = api.get("/console/capabilities/kyc").text
    assert "It hangs on one member" in page
    assert "p-kyc" in page
    path = "/console/do/withdraw_capability/m1?withdrawn=kyc"
    assert html.escape(path) in page
    asked = text(api.get(path))
    assert "is offered by no other active member: without m1 nobody can" in asked
    assert "m1 may no longer own 1 packet: p-kyc would wait" in asked
    looked = send(api, path, withdrawn="ocr", look="true")
    assert "ocr is still offered by 1 member: m2" in text(looked)
    assert "1 packet that wait ask for it, too: p-none" in text(looked)
    before = api.get("/api/status").json()["size"]
    done = send(api, path, withdrawn="kyc")
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"/console/members/m1?did={before}.")
    offers = api.get("/api/members/m1").json()["capabilities"]
    assert [one["name"] for one in offers] == ["ocr"]
    assert "Nobody can do it now" in api.get("/console/capabilities/kyc").text
    assert api.get("/console/capabilities/never-heard-of").status_code == 404


def test_decisions_are_found_by_rule_member_packet_outcome_and_time(api: Api) -> None:
    """A filter of the page shows what it should not, or hides what it should show."""
    api.member("m1")
    api.packet("p1", required_capabilities=["ocr"])
    api.clock.advance(3_600_000_000)
    api.packet("p2", required_capabilities=["nothing"])
    listed = api.get("/api/decisions").json()["items"]
    hour = listed[-1]["time"][:16]

    def found(**query: str) -> set[str]:
        page = api.get(f"/console/assignments?{urlencode(query)}").text
        return set(re.findall(r'href="/console/workloads/(p\d)"', page))

    assert found() == {"p1", "p2"}
    assert found(rule="kernel/capabilities") == {"p2"}
    assert found(member="m1") == {"p1"}
    assert found(packet="p1") == {"p1"}
    assert found(outcome="denied") == {"p2"}
    assert found(since=hour) == {"p2"}
    assert found(until=hour) == {"p1"}
    assert f'value="{hour}"' in api.get(f"/console/assignments?since={hour}").text
    assert api.get("/console/assignments?since=yesterday").status_code == 400
    types = api.get(f"/console/audit?since={hour}").text
    assert "packet/p2" in types
    assert "packet/p1" not in types


def test_packets_are_listed_by_where_they_stand(api: Api) -> None:
    """The list breaks where nothing stands at some status, or says of an owned packet that it waits."""
    api.member("m1")
    api.packet("p1")
    api.post("/api/packets/p1/handoff", {"target": "m1"})
    for status in SYMBOLS:
        found = api.get(f"/console/workloads?status={status}")
        assert found.status_code == 200, status
        assert (">p1</a>" in found.text) == (status == "ASSIGNED")
    assert "for a member" not in api.get("/console/workloads").text


def test_a_decision_is_asked_again_and_nothing_is_recorded(api: Api) -> None:
    """What a dry run says now is not compared with what was decided, or leaves an entry."""
    api.member("m1")
    api.packet("p1", required_capabilities=["ocr"])
    (decided,) = api.get("/api/decisions").json()["items"]
    path = f"/console/assignments/{decided['seq']}"
    assert f'{path}?again=true#now"' in api.get(path).text
    assert "draw(p1, m1) = " in text(api.get(path))
    size = api.get("/api/status").json()["size"]
    assert "The same members are eligible as then" in text(api.get(f"{path}?again=true"))
    assert api.get("/api/status").json()["size"] == size
    api.member("m2")
    again = text(api.get(f"{path}?again=true"))
    assert "It would go to m2" in again
    assert "Eligible now and not then: m2." in again
    assert "Eligible then" not in again  # its owner has it already
    api.post("/api/packets/p1/cancel", {})
    assert "packet p1 is CANCELLED, and so it cannot be placed" in text(
        api.get(f"{path}?again=true")
    )


@pytest.mark.parametrize("name", ["a:b", "ops@example", "a~b.c_d-e", "x:._@~-"])
def test_every_id_has_its_page(api: Api, name: str) -> None:
    """A member or packet whose id a path has to write otherwise cannot be opened, or nothing done to it."""
    quoted = quote(name, safe="")
    api.member(name)
    api.packet(f"p-{name}")
    for path, heading in ((f"members/{quoted}", name), (f"workloads/p-{quoted}", f"p-{name}")):
        assert f"<h1>{heading}</h1>" in api.get(f"/console/{path}").text
    done = send(api, f"/console/do/quarantine_member/{quoted}")
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"/console/members/{quoted}?did=")
    assert api.get(f"/api/members/{name}").json()["status"] == "QUARANTINED"
    assert api.get(f"/console/members/{quoted}%2Fb").status_code in {400, 404}


def test_the_commands_of_empty_pages_work(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that an empty page prints for somebody to copy is refused."""
    said = CommandLine(tmp_path / "copied", capsys)
    said.ok("init")
    for path in ("overview", "members", "capabilities", "workloads", "assignments"):
        page = api.get(f"/console/{path}").text
        (command,) = re.findall(r'<pre id="empty-cmd"><code>(.*?)</code>', page)
        words = shlex.split(html.unescape(re.sub("<[^>]+>", "", command)))
        assert words[0] == "pfgov"
        if "register" in words and said.ok("member", "list")["members"]:
            continue
        said.ok(*words[1:])
    owned = said.ok("packet", "list")["packets"]
    assert {one["current_owner"] for one in owned} == {"agent-01"}


def test_a_handoff_shows_the_verdict_on_its_target_first(api: Api) -> None:
    """Whether the named target may take a packet is told only by the refusal, or of another than was named."""
    api.member("m1")
    api.packet("p1", required_capabilities=["ocr"])
    api.member("m2", trust_score=0.4, capabilities=[{"name": "kyc"}])
    api.member("m3", handoff_mode="accept")
    path = "/console/do/hand_off_packet/p1"
    assert "p1 would go to m3, the only one who may" in text(api.get(path))
    looked = text(send(api, path, target="m2", look="true"))
    assert "m2 may not: capabilities" in looked
    assert "(kernel/capabilities)" in looked
    assert "m3 may take it" in text(send(api, path, target="m3", look="true"))
    assert "there is no member m9" in text(send(api, path, target="m9", look="true"))
    assert api.get("/api/packets/p1").json()["status"] == "ASSIGNED"
    assert send(api, path, target="m3").status_code == 303
    accept = "/console/do/accept_handoff/p1"
    assert "m3 may take it" in text(api.get(accept))
    assert send(api, accept).status_code == 303
    assert api.get("/api/packets/p1").json()["current_owner"] == "m3"


def test_a_receipt_is_of_what_one_did(api: Api) -> None:
    """An address that somebody wrote tells whoever follows it that they did something, or one key what another did."""
    size = api.get("/api/status").json()["size"]
    for did in (
        "0",
        f"{size - 1}",
        f"{size - 1}.{'0' * 32}",
        "1." + "f" * 31,
        "\u0661." + "0" * 32,
    ):
        assert "toast" not in api.get(f"/console/overview?did={did}").text, did
    mine = receipts.after("/console/overview", "local", size - 1)
    assert f"entry {size - 1}</a>" in api.get(mine).text
    other = receipts.after("/console/overview", "key:another", size - 1)
    assert "toast" not in api.get(other).text
    moved = mine.replace(f"did={size - 1}.", "did=0.")
    assert "toast" not in api.get(moved).text
