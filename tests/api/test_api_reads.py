"""What can be read: conditional requests, pages, proofs, exports, and the pages of the API itself."""

import asyncio
import base64
import contextlib
import json
import sqlite3
import time
from pathlib import Path

import pytest
from support.api_server import Api, problem
from support.ledgers import START

from pfgov_api.operations import Operation
from pfgov_api.routes import OPERATIONS
from pfgov_ledger import checkpoint, entry, keys, merkle, proof
from pfgov_ledger.verify import verify


def _readable(api: Api) -> list[tuple[Operation, str]]:
    found: list[tuple[Operation, str]] = []
    (payload,) = api.get("/api/packets/p1/payloads").json()["payloads"]
    seq = api.engine.status().size - 1
    ids = {"member_id": "m1", "packet_id": "p1", "seq": seq, "code": "http.not_found"}
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.answer == "Stream":
            continue
        if operation.name in {"list_ledgers", "root_checkpoint"}:
            continue  # this server has one ledger, and keeps no root
        path = operation.path.format(**ids, commitment=payload["commitment"])
        found.append(
            (operation, path + ("?from=1" if operation.name == "consistency_proof" else ""))
        )
    return found


def test_unchanged_answers_are_not_sent_again(api: Api) -> None:
    """Every read but the counters has an ETag; with If-None-Match the same is 304 without a body, the new is 200."""
    api.member()
    api.packet(context_checkpoint={"step": "one"})
    for operation, path in _readable(api):
        if operation.name == "packet_result":
            continue  # there is none before the packet has ended
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        if operation.name == "metrics":
            continue
        tag = answer.headers["etag"]
        for wanted in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            same = api.get(path, headers={"If-None-Match": wanted})
            assert (same.status_code, same.content) == (304, b""), path
            assert same.headers["etag"] == tag
        assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    tag = api.get("/api/packets/p1").headers["etag"]
    api("PATCH", "/api/packets/p1", {"priority": 9})
    assert api.get("/api/packets/p1", headers={"If-None-Match": tag}).status_code == 200


def test_head_is_get_without_the_body(api: Api) -> None:
    """HEAD has the status and the headers of GET, and no body."""
    api.member()
    api.packet(context_checkpoint={"step": "one"})
    for operation, path in _readable(api):
        if operation.name in {"metrics", "packet_result"}:
            continue
        full, head = api.get(path), api("HEAD", path)
        assert (head.status_code, head.content) == (200, b""), path
        for name in ("etag", "content-type", "content-length"):
            assert head.headers[name] == full.headers[name], (path, name)
    assert api("HEAD", "/api/packets/none").status_code == 404


def test_pages_hold_everything_once(api: Api) -> None:
    """Following Link, or ``next``, lists each thing once, in order, whatever the page size."""
    for number in range(7):
        api.member(f"m{number}", labels={"a.b": "c&d"})
        api.packet(f"p{number}")
    for path in (
        "/api/members", "/api/packets", "/api/ledger/entries", "/api/packets/p3/lineage", "/api/decisions",
        "/api/members?label=a.b%3Dc%26d", "/api/packets?status=ASSIGNED",
    ):  # fmt: skip
        whole = api.get(path).json()["items"]
        assert whole
        joint = "&" if "?" in path else "?"
        seen, at, pages = [], f"{path}{joint}limit=2", 0
        while at:
            answer = api.get(at)
            assert answer.status_code == 200, answer.text
            seen += answer.json()["items"]
            assert len(answer.json()["items"]) <= 2
            link = answer.headers.get("link")
            assert (link is None) == ("next" not in answer.json())
            at = link[1 : link.index(">")] if link else ""
            pages += 1
        assert seen == whole
        assert pages == -(-len(whole) // 2)


@pytest.mark.parametrize("after", ["9" * 30, str(2**63 - 1), "abc", "-1"])
def test_a_lineage_goes_on_after_a_position(api: Api, after: str) -> None:
    """What is no position is refused: nothing reaches the store that it cannot hold, and nothing is guessed."""
    api.packet("p1")
    answer = api.get(f"/api/packets/p1/lineage?after={after}")
    assert problem(answer, 400)["errors"][0]["pointer"] == "/query/after"


def test_filters_filter(api: Api) -> None:
    """Each filter of each list leaves what fits and nothing else."""
    api.member("m1", region="us-east/1a", labels={"team": "red"})
    api.member("m2", region="us-east-2", capabilities=["other"])
    api.packet("p1", required_capabilities=["ocr"])
    api.packet("p2", required_capabilities=["nobody-has-it"])
    owned = api.claim("p1")["member_id"]
    for path, ids in (
        ("/api/members?region=us-east", ["m1"]),
        ("/api/members?capability=other", ["m2"]),
        ("/api/members?label=team=red", ["m1"]),
        ("/api/members?status=FAILED", []),
        (f"/api/packets?owner={owned}", ["p1"]),
        ("/api/packets?status=PENDING", ["p2"]),
    ):
        items = api.get(path).json()["items"]
        assert [one.get("packet_id", one.get("id")) for one in items] == ids, path
    api.post("/api/packets/p2/cancel")
    assert len(api.get("/api/packets").json()["items"]) == 1
    assert len(api.get("/api/packets?all=true").json()["items"]) == 2
    entries = api.get("/api/ledger/entries?type=packet_cancelled").json()["items"]
    assert [one["subject"] for one in entries] == ["packet/p2"]
    assert api.get("/api/ledger/entries?until=2020-01-01T00:00:00Z").json()["items"] == []
    denied = api.get("/api/decisions?outcome=denied").json()["items"]
    assert {one["subject"] for one in denied} == {"packet/p2"}
    assert api.get("/api/capabilities?q=OCR").json()["items"][0]["members"] == ["m1"]


def test_filters_that_nothing_can_fit_are_refused(api: Api) -> None:
    """A slip in a filter reads as: there is none."""
    for path, said in (
        ("/api/members?label=team", "write name=value"),
        ("/api/members?label=%3Dred", "write name=value"),
        ("/api/members?region=EU%20West", "lower-case names"),
        ("/api/members?capability=O%20C%20R", "did you mean o-c-r?"),
        ("/api/ledger/entries?subject=p1", "write packet/ID, member/ID"),
        ("/api/ledger/entries?subject=packets/p1&newest=true", "write packet/ID, member/ID"),
    ):
        found = problem(api.get(path), 400, "input.invalid")
        assert said in found["hint"], (path, found)
        assert found["errors"][0]["pointer"] == "/query/" + path.partition("?")[2].partition("=")[0]


def test_proofs_prove(api: Api) -> None:
    """An entry, its proof, the checkpoint and the consistency with an older one all agree under the anchor."""
    api.member()
    old = api.get("/api/ledger/checkpoint").content
    size = api.engine.status().size
    api.packet()
    anchor = keys.parse_anchor(api.get("/api/ledger/key").text)
    now = checkpoint.open_checkpoint(
        api.get("/api/ledger/checkpoint").content, [anchor.log_vkey], []
    )
    then = checkpoint.open_checkpoint(old, [anchor.log_vkey], [])
    told = api.get(f"/api/ledger/consistency?from={size}").json()
    hashes = [base64.b64decode(one) for one in told["hashes"]]
    merkle.check_consistency(size, told["to"], then.checkpoint.root, now.checkpoint.root, hashes)
    shown = api.get(f"/api/ledger/entries/{size}").json()
    parsed = entry.parse(base64.b64decode(shown["entry"]))
    made = proof.parse(api.get(f"/api/ledger/proof/{size}").content)
    merkle.check_inclusion(parsed.leaf, size, told["to"], made.hashes, now.checkpoint.root)
    problem(api.get("/api/ledger/proof/99999"), 404, "entry.not_found")
    problem(api.get("/api/ledger/consistency?from=99999"), 400)
    problem(api.get("/api/ledger/consistency"), 400)


def test_exports_verify(api: Api, tmp_path: Path) -> None:
    """The whole ledger, a packet, and a range verify as they were sent."""
    api.member()
    api.packet(context_checkpoint={"step": "one"})
    anchor = keys.parse_anchor(api.get("/api/ledger/key").text)
    size = api.engine.status().size
    problem(api.get("/api/packets/p1/export"), 409, "export.index_needed")
    assert api.post("/api/ledger/index").json()["position"] == size
    problem(api.get("/api/ledger/export?fresh=true"), 400)  # a GET changes nothing
    for name, path in (
        ("full", "/api/ledger/export"),
        ("packet", "/api/packets/p1/export"),
        ("subject", "/api/ledger/export?subject=member/m1"),
        ("range", f"/api/ledger/export?start=1&stop={size}"),
    ):
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        target = tmp_path / f"{name}.jsonl"
        target.write_bytes(answer.content)
        report = verify(target, anchor=anchor)
        assert report.exit_status == 0, name
    before = api.engine.status().size
    assert api.post("/api/ledger/index").status_code == 200
    assert api.engine.status().size == before, "nothing was appended, so no new index"
    problem(api.get("/api/packets/none/export"), 404, "packet.not_found")
    problem(api.get("/api/ledger/export?start=5&stop=2"), 400)
    for subject in ("foo", "packet/", "packets/p1", "member/a/b", "Ledger"):
        found = problem(api.get(f"/api/ledger/export?subject={subject}"), 400, "input.invalid")
        assert "packet/ID" in found["hint"]


def test_indexes_come_by_themselves(api: Api) -> None:
    """A tick with an index makes exports complete, and does nothing when nothing was appended."""
    api.member()
    api.run(api.service.tick(index=True))
    size = api.engine.status().size
    assert api.get(f"/api/ledger/entries/{size - 1}").json()["shown"]["type"] == "index_committed"
    api.run(api.service.tick(index=True))
    assert api.engine.status().size == size


def test_metrics_are_in_prometheus_text(api: Api) -> None:
    """Each request is counted by operation and status; nobody's id is a label."""
    api.member("secret-name")
    api.get("/api/members/secret-name")
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'pfgov_requests_total{operation="show_member",status="200"} 1' in answer.text
    assert "secret-name" not in answer.text
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])


def test_a_past_decision_is_explained(api: Api) -> None:
    """What was decided is told again from its position: each member, each rule, and the nearest miss."""
    api.member("m1")
    api.packet("p1", required_capabilities=["flying"])
    found = api.get("/api/decisions?packet=p1").json()["items"][-1]
    told = api.get(f"/api/decisions/{found['seq']}").json()
    assert told["outcome"] == "denied"
    assert told["members"][0]["member_id"] == "m1"
    problem(api.get("/api/decisions/0"), 404, "decision.not_found")


def test_a_dry_run_writes_nothing(api: Api) -> None:
    """``dry_run``, discovery, the playground and searches answer and leave no trace."""
    api.member("m1")
    api.packet("p1", hold=True)
    size = api.engine.status().size
    asked = {"packet_id": "p1", "member_id": "m1"}
    assert api.post("/api/decisions?dry_run=true", asked).json()["allowed"] is True
    many = api.post("/api/decisions/batch?dry_run=true", {"decisions": [asked, asked]}).json()
    assert [one["allowed"] for one in many["decisions"]] == [True, True]
    assert api.post("/api/discover", {"packet_id": "p1"}).json()["members"]
    assert api.post("/api/discover", {"packet": {"workload_type": "x"}}).json()["members"]
    play = {"packet": {"workload_type": "x"}, "members": [{"id": "a", "type": "agent"}]}
    assert api.post("/api/policies/evaluate", play).json()["members"]
    assert api.engine.status().size == size
    assert json.loads(api.get("/api/status").text)["packets"] == {"PENDING": 1}


def test_lists_take_several_and_the_newest_first(api: Api) -> None:
    """Statuses and types may be several; entries come newest first, page by page, without a gap."""
    for name in ("m1", "m2", "m3"):
        api.member(name)
    api.packet("p1")
    api.packet("p2", required_capabilities=["flying"])
    api.packet("p3", hold=True)
    api.post("/api/members/m3/quarantine")
    quiet = api.get("/api/members?status=QUARANTINED,FAILED").json()["items"]
    assert [one["id"] for one in quiet] == ["m3"]
    assert quiet[0]["owns"] == []
    owner = api.get("/api/packets/p1").json()["current_owner"]
    owns = {one["id"]: one["owns"] for one in api.get("/api/members?owns=true").json()["items"]}
    assert {name: held for name, held in owns.items() if held} == {owner: ["p1"]}
    stuck = api.get("/api/packets?stuck=true").json()["items"]
    assert [one["packet_id"] for one in stuck] == ["p2", "p3"]
    first = api.get("/api/packets?stuck=true&limit=1").json()
    assert first["next"] == "p2"
    rest = api.get("/api/packets?stuck=true&limit=1&after=p2").json()
    assert [one["packet_id"] for one in rest["items"]] == ["p3"]
    api.post(f"/api/members/{owner}/quarantine")
    assert len(api.get("/api/packets?stuck=true").json()["items"]) == 2
    api.post("/api/packets/p3/cancel")
    assert len(api.get("/api/packets?stuck=true&all=true").json()["items"]) == 1
    size = api.engine.status().size
    seen: list[int] = []
    path: str | None = "/api/ledger/entries?newest=true&limit=4"
    while path is not None:
        answer = api.get(path)
        seen += [one["seq"] for one in answer.json()["items"]]
        link = answer.headers.get("link")
        path = None if link is None else link.partition("<")[2].partition(">")[0]
    assert seen == list(range(size - 1, -1, -1))
    types = "packet_cancelled,member_quarantined"
    found = api.get(f"/api/ledger/entries?type={types}").json()["items"]
    assert {one["type"] for one in found} == set(types.split(","))
    problem(api.get("/api/ledger/entries?type=packet_cancelled,nothing"), 400)
    problem(api.get("/api/members?status=ACTIVE,"), 400)


def test_the_ledger_at_a_glance(api: Api) -> None:
    """One answer says what the ledger holds: members and packets by status, policies, who waits."""
    api.member()
    api.packet("p1", required_capabilities=["flying"])
    api.packet("p2", hold=True)
    found = api.get("/api/ledger").json()
    assert found["members"] == {"ACTIVE": 1}
    assert found["packets"] == {"PENDING": 2}
    assert found["without_owner"] == 1
    assert found["size"] == api.engine.status().size
    assert "kernel 2" in found["policies"]


def test_the_binding_document_has_its_digest(api: Api) -> None:
    """Whoever may read histories gets the binding set as it was recorded."""
    import hashlib

    from pfgov.policy import from_document

    shown = api.get("/api/policies").json()
    raw = api.get("/api/policies/document").content
    assert hashlib.sha256(raw).hexdigest() == shown["digest"] == from_document(raw).digest
    rules = {rule["id"] for one in shown["policies"] for rule in one["rules"]}
    assert "region" in rules


def test_an_operator_reads_a_whole_context(api: Api) -> None:
    """``whole`` is for operators: what policy withholds from an owner, the owner does not get by asking."""
    api.member("m1")
    api.packet("p1", context_checkpoint={"step": "one", "note": "x"})
    assert api.get("/api/packets/p1/context?whole=true").json()["context"]["note"] == "x"
    api.keys()
    found = problem(api.get("/api/packets/p1/context?whole=true", scope="member:m1"), 403)
    assert found["code"] == "access.forbidden"
    assert api.get("/api/packets/p1/context", scope="member:m1").status_code == 200


DENYING = """apiVersion: pfgov/v1
kind: Policy
metadata: {{name: closed, version: 1.0.0}}
on: [place, retain]
rules:
  - id: closed
    deny: 'member.id == "{}"'
    message: "closed"
"""


@pytest.mark.parametrize("closed", ["m1", "m2"])
def test_between_a_change_and_the_tick_nobody_reads_what_policy_denies(
    api: Api, closed: str
) -> None:
    """Owner and target are judged as they ask: those denied already are told to wait, then that it is not theirs."""
    api.member("m1")
    api.packet("p1", context_checkpoint={"secret": "s"})
    api.member("m2", handoff_mode="accept")
    api.keys()
    assert (
        api.post("/api/packets/p1/handoff", {"target": "m2"}, scope="operator").status_code == 200
    )
    path = "/api/packets/p1/context"
    assert [api.get(path, scope=f"member:{m}").status_code for m in ("m1", "m2")] == [200, 200]
    size = api.engine.status().size
    files = {"closed.yaml": DENYING.format(closed)}
    assert (
        api.post(
            "/api/policies/activate",
            {"files": files, "leave_uncovered": ["register", "handoff", "accept"]},
            scope="admin",
        ).status_code
        == 200
    )
    found = problem(api.get(path, scope=f"member:{closed}"), 503)
    assert found["code"] == "context.unsettled"
    assert api.get(path, scope="operator").status_code == 200
    # whoever reads as a holder, with whatever other rights: policy at `export` is asked about everybody else
    _, both = api.keyring.create((f"member:{closed}", "operator"), now=START)
    bearer = {"Authorization": f"Bearer {both}"}
    assert problem(api.get(path, headers=bearer), 503)["code"] == "context.unsettled"
    assert api.engine.status().size == size + 1, "reading writes nothing"
    api.post("/api/tick", {}, scope="operator")
    assert api.get(path, scope=f"member:{closed}").status_code == 403


def test_a_change_that_takes_nothing_lets_the_owner_read(api: Api) -> None:
    """Another policy set, under which the owner may keep the packet, does not stand in its way."""
    api.member("m1")
    api.packet("p1", context_checkpoint={"secret": "s"})
    api.keys()
    files = {"closed.yaml": DENYING.format("m9")}
    assert (
        api.post(
            "/api/policies/activate",
            {"files": files, "leave_uncovered": ["register", "handoff", "accept"]},
            scope="admin",
        ).status_code
        == 200
    )
    assert api.get("/api/packets/p1/context", scope="member:m1").status_code == 200


def test_the_dead_read_no_context(api: Api) -> None:
    """A member that was declared dead reads nothing more, even before its packets are taken from it."""
    api.member("m1")
    api.packet("p1", context_checkpoint={"secret": "s"})
    api.keys()
    assert api.post("/api/members/m1/fail", {}, scope="operator").status_code == 200
    problem(api.get("/api/packets/p1/context", scope="member:m1"), 503)


def test_an_export_says_what_is_in_it(api: Api) -> None:
    """The header names the counts and the digest before the trailer; ``since`` adds a proof, within the log."""
    api.member()
    assert api.post("/api/ledger/index").status_code == 200
    answer = api.get("/api/ledger/export?since=1")
    told = dict(part.split("=") for part in answer.headers["pfgov-export"].split(", "))
    lines = answer.text.splitlines()
    assert json.loads(lines[-1])["sha256"] == told["sha256"]
    assert int(told["entries"]) == int(told["size"]) == api.engine.status().size
    assert any("consistency" in line for line in lines)
    problem(api.get("/api/ledger/export?since=99999"), 400)


def test_discovery_says_who_would_get_it(api: Api) -> None:
    """It names the eligible and who would be chosen, with the payload in hand, and is quiet where nobody is."""
    assert api.post("/api/discover", {"packet": {"workload_type": "x"}}).json()["members"] == []
    api.member("m1")
    asked = {"workload_type": "x", "hold": True, "context_checkpoint": {"step": "a"}}
    found = api.post("/api/discover", {"packet": asked}).json()
    assert (found["eligible"], found["would_go_to"]) == (["m1"], "m1")
    api.packet("p1")
    taken = api.post("/api/discover", {"packet": {**asked, "packet_id": "p1"}}).json()
    assert taken["would_go_to"] == "m1"


def test_api_reads_wait_for_a_commit_to_be_published_and_the_loop_goes_on(api: Api) -> None:
    """While a commit is not published yet a read waits, others are answered, and nobody is refused."""
    api.member("m1")
    api.packet("p1")
    head = sqlite3.connect(api.engine.store.directory / "head.db", check_same_thread=False)

    def publish(by: int) -> None:
        head.execute("UPDATE head SET size = size + ?", (by,))
        head.commit()

    async def story() -> tuple[int, int, bool]:
        publish(-1)
        read = asyncio.create_task(api.client.get("/api/packets/p1"))
        await asyncio.sleep(0.05)
        was_waiting = not read.done()
        live = await api.client.get("/api/health/live")
        publish(+1)
        return (await read).status_code, live.status_code, was_waiting

    with contextlib.closing(head):
        assert asyncio.run_coroutine_threadsafe(story(), api.loop).result(30) == (200, 200, True)


def test_an_answer_that_is_waited_for_ends_with_its_key(api: Api) -> None:
    """Whoever asked to be told when a packet has ended is told how it stands once the key is revoked."""
    api.member("m1")
    api.packet("p1")
    api.keys()
    record, text = api.keyring.create(("auditor",), now=START)
    asked = api.client.get("/api/packets/p1?wait=60", headers={"Authorization": f"Bearer {text}"})
    waiting = asyncio.run_coroutine_threadsafe(asked, api.loop)
    while not api.service.news.count and not waiting.done():
        time.sleep(0.01)
    api.keyring.revoke(record.id, now=START)
    assert problem(waiting.result(60), 401)["code"] == "principal.ended"
