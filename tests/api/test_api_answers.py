"""One answer: outcome and reasons, item by item, only for what was seen, in the caller's terms and coding."""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.api_server import Api, problem
from support.wire import asked, listening

from pfgov.client.stream import EventParser
from pfgov_api.limits import IF_MATCH_CHARACTERS_MAX
from pfgov_api.routes import OPERATIONS
from pfgov_api.streams import Wanted, event_stream

GUARD = """
apiVersion: pfgov/v1
kind: Policy
metadata: {name: guard, version: "1"}
on: [register, place, retain, update_member, submit, update, review, complete, export, activate]
rules:
  - id: known
    on: [register, assign, accept, retain]
    require: member.id != ""
  - id: trusted
    on: [assign, handoff]
    require: member.trust_score > 0.5
  - id: large
    on: [handoff]
    when: packet.priority > 50
    escalate: {to: reviewer, expires: 1h}
"""


@pytest.fixture
def told(api: Api) -> Iterator[Api]:
    """Two members, of whom one is trusted, and a policy that denies and escalates."""
    answer = api.post("/api/policies/activate", {"files": {"guard.policy.yaml": GUARD}})
    assert answer.status_code == 200, answer.text
    api.member("m1", capacity={"tasks": 10})
    api.member("m2", trust_score=0.2)
    return api


def _said(answer: Any) -> tuple[str, list[str]]:
    body = answer if isinstance(answer, dict) else answer.json()
    assert body["position"] == body["receipt"]["position"]
    return body["outcome"], body["reasons"]


def test_every_answer_says_what_it_came_to(told: Api) -> None:
    """Allowed, denied, escalated, pending and unchanged, with the rules that decided it."""
    assert _said(told.packet("p1")) == ("allowed", [])
    nobody = told.packet("p2", required_capabilities=["flying"])
    assert _said(nobody)[0] == "denied"
    assert set(nobody["reasons"]) == {"kernel/capabilities", "guard/trusted"}
    assert _said(told.packet("p3", hold=True)) == ("pending", [])
    denied = told.post("/api/packets/p1/handoff", {"target": "m2"})
    assert denied.status_code == 200
    assert _said(denied) == ("denied", ["guard/trusted"])
    assert denied.json()["result"]["epoch"] == 1
    told("PATCH", "/api/packets/p1", {"priority": 60})
    told.member("m3")
    escalated = told.post("/api/packets/p1/handoff", {"target": "m3"})
    assert _said(escalated) == ("escalated", ["guard/large"])
    review = escalated.json()["review"]
    assert (review["to"], review["rules"], review["approvals"]) == ("reviewer", ["guard/large"], 1)
    assert review["expires_at"].endswith("Z")
    again = told.post("/api/policies/activate", {"files": {"guard.policy.yaml": GUARD}})
    assert _said(again) == ("unchanged", [])
    told.member("m4", handoff_mode="accept")
    told("PATCH", "/api/packets/p1", {"priority": 1})
    assert _said(told.post("/api/packets/p1/handoff", {"target": "m4"})) == ("pending", [])
    assert _said(told.post("/api/packets/p1/abort", {})) == ("allowed", [])
    assert _said(told.post("/api/packets/p1/complete", told.claim())) == ("allowed", [])


def test_a_batch_is_answered_item_by_item(told: Api) -> None:
    """An ended packet, an unknown one and an unknown member are their own answers; the others are recorded."""
    told.packet("p1", hold=True)
    told.packet("over", hold=True)
    told.post("/api/packets/over/cancel", {})
    size = told.engine.status().size
    asked_for = [
        ("p1", "m1"),
        ("over", "m1"),
        ("none", "m1"),
        ("p1", "nobody"),
        ("p1", "m2"),
        ("p1", "m1"),
    ]
    batch = {"decisions": [{"packet_id": p, "member_id": m} for p, m in asked_for]}
    answer = told.post("/api/decisions/batch", batch, headers={"Idempotency-Key": "b"})
    assert answer.status_code == 200, answer.text
    found = answer.json()["decisions"]
    assert [one["outcome"] for one in found] == [
        "allowed",
        "denied",
        "denied",
        "denied",
        "denied",
        "allowed",
    ]
    assert [one["allowed"] for one in found] == [True, False, False, False, False, True]
    assert [one.get("problem", {}).get("code") for one in found] == [
        None, "lifecycle.illegal", "packet.not_found", "member.not_found", None, None,
    ]  # fmt: skip
    assert found[4]["reasons"] == ["guard/trusted"]
    assert told.engine.status().size == size + 3
    again = told.post("/api/decisions/batch", batch, headers={"Idempotency-Key": "b"}).json()
    assert [one.get("position") for one in again["decisions"]] == [
        one.get("position") for one in found
    ]
    assert told.engine.status().size == size + 3
    dry = told.post("/api/decisions/batch?dry_run=true", batch).json()["decisions"]
    assert [one["outcome"] for one in dry] == [one["outcome"] for one in found]
    problem(told.post("/api/decisions/batch", {"decisions": [{"packet_id": "p1"}]}), 400)


def test_a_wrong_if_match_changes_nothing(told: Api) -> None:
    """412 for every write about a packet or a member, and nothing is recorded; the right one goes through."""
    told.packet("p1")
    told.packet("ended")
    told.post("/api/packets/ended/complete", told.claim("ended"))
    tags = {
        path: told.get(path).headers["etag"]
        for path in ("/api/packets/p1", "/api/packets/ended", "/api/members/m1")
    }
    size = told.engine.status().size
    claim = told.claim()
    bodies = {
        "update_packet": {"priority": 9}, "update_member": {"region": "eu"}, "complete_packet": claim,
        "checkpoint_packet": {**claim, "context_checkpoint": {"a": 1}}, "fail_packet": {**claim, "reason": "x"},
        "accept_handoff": claim, "assess_trust": {"score": 0.9}, "report_pressure": {"pressure": 0.1},
        "review_packet": {"granted": True, "rules": ["guard/large"]},
    }  # fmt: skip
    asked_of = 0
    for operation in OPERATIONS:
        if not operation.writes or operation.path_parameters not in {
            ("packet_id",),
            ("member_id",),
        }:
            continue
        path = operation.path.format(packet_id="p1", member_id="m1")
        for header in (
            '"0123"',
            f"W/{tags['/api/packets/p1']}",
            '"a", "b"',
            tags["/api/packets/ended"],
        ):
            answer = told(
                operation.method, path, bodies.get(operation.name, {}), headers={"If-Match": header}
            )
            assert answer.status_code in {412, 400}, (path, header, answer.text)
            if answer.status_code == 412:
                problem(answer, 412, "http.precondition")
                asked_of += 1
    assert asked_of > 60
    assert told.engine.status().size == size
    for path, body, header in (
        ("/api/packets/ended", {"priority": 3}, tags["/api/packets/p1"]),
        ("/api/packets/nobodys", {"priority": 3}, "*"),
    ):
        problem(told("PATCH", path, body, headers={"If-Match": header}), 412)
    for path, body in (("/api/packets/p1", {"priority": 9}), ("/api/members/m1", {"region": "eu"})):
        headers = {"If-Match": f'"x", {tags[path]}', "Idempotency-Key": path}
        first = told("PATCH", path, body, headers=headers)
        assert first.status_code == 200, first.text
        again = told("PATCH", path, body, headers=headers)
        assert again.status_code == 200, (
            "what was answered is answered again, though the ETag is an old one"
        )
        assert again.headers["idempotent-replayed"] == "true"
        problem(told("PATCH", path, body, headers={"If-Match": tags[path]}), 412)
    assert (
        told("PATCH", "/api/packets/p1", {"priority": 10}, headers={"If-Match": "*"}).status_code
        == 200
    )
    coded = told.get("/api/members/m1", headers={"Accept-Encoding": "gzip"}).headers["etag"]
    assert (
        told("PATCH", "/api/members/m1", {"region": "us"}, headers={"If-Match": coded}).status_code
        == 200
    )


def test_settings_change_only_for_whoever_saw_them(told: Api) -> None:
    """Of two who change the settings at once the second undoes what the first did, unseen."""
    path, first, second = "/api/configuration", {"lease_seconds": "60"}, {"lease_seconds": "90"}
    seen = told.get(path).headers["etag"]
    assert told("PATCH", path, {"settings": first}, headers={"If-Match": seen}).status_code == 200
    size = told.engine.status().size
    for header in (
        seen,
        '"x"',
        f"W/{told.get(path).headers['etag']}",
        told.get("/api/members/m1").headers["etag"],
    ):
        answer = told("PATCH", path, {"settings": second}, headers={"If-Match": header})
        assert "configuration" in problem(answer, 412, "http.precondition")["detail"]
    assert told.engine.status().size == size
    assert told.get(path).json()["configuration"]["lease_seconds"] == 60
    for header in (told.get(path).headers["etag"], "*"):
        answer = told("PATCH", path, {"settings": second}, headers={"If-Match": header})
        assert answer.status_code == 200, answer.text


def test_every_setting_has_a_schema(told: Api) -> None:
    """A client that is made from the document knows no setting by its name, or not those of workloads."""
    told(
        "PATCH", "/api/configuration", {"settings": {"scheduler.scan": "ring", "half_life": "0.5"}}
    )
    shown = told.get("/api/configuration").json()["configuration"]
    assert shown["scheduler.scan"].startswith("ring:")
    assert shown["half_life"] == 0.5
    document = told.get("/api/openapi.json").json()
    schema = document["components"]["schemas"]["Configuration"]["properties"]["configuration"]
    assert set(schema["properties"]) == set(shown) - {"scheduler.scan"}
    assert schema["additionalProperties"] is False


def test_a_condition_that_is_not_looked_at_is_refused(told: Api) -> None:
    """Where a write is about nothing that has an ETag, If-Match is a 400, not something to be passed over."""
    size = told.engine.status().size
    for operation in OPERATIONS:
        if operation.method == "GET" or operation.path_parameters or operation.name == "configure":
            continue
        answer = told(operation.method, operation.path, {}, headers={"If-Match": '"x"'})
        assert "If-Match" in problem(answer, 400)["detail"], operation.name
    assert told.engine.status().size == size


def test_if_match_has_a_length(told: Api) -> None:
    """A condition that is longer than any list of ETags is refused as such, one character less is looked at."""
    for length, status in ((IF_MATCH_CHARACTERS_MAX, 412), (IF_MATCH_CHARACTERS_MAX + 1, 400)):
        answer = told(
            "PATCH", "/api/members/m1", {"region": "eu"}, headers={"If-Match": "0" * length}
        )
        problem(answer, status)


def _parsed(raw: bytes) -> list[tuple[str | None, dict[str, Any]]]:
    """What a generic EventSource hears (WHATWG HTML, 9.2.6): the name, and the data."""
    heard: list[tuple[str | None, dict[str, Any]]] = []
    for block in raw.decode().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":"
        )
        if "data" in fields:
            heard.append((fields.get("event"), json.loads(fields["data"])))
    return heard


def test_a_generic_event_source_hears_everything(told: Api) -> None:
    """Events have no name unless asked, so that ``onmessage`` hears them; the type is in the data, and filters."""
    told.packet("p1")
    size = told.engine.status().size

    async def read(**options: Any) -> bytes:
        raw = b""
        stream = event_stream(told.service, 0, heartbeat_seconds=0.05, **options)
        async for piece in stream:
            raw += piece
            if b"still here" in piece:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return raw

    heard = _parsed(told.run(read()))
    assert [one["seq"] for _, one in heard] == list(range(size))
    assert {name for name, _ in heard} == {None}
    named = _parsed(told.run(read(is_named=True)))
    assert [name for name, _ in named] == [one["type"] for _, one in heard]
    wanted = frozenset({"packet_created", "member_registered"})
    raw = told.run(read(wanted=Wanted(types=wanted)))
    assert {one["type"] for _, one in _parsed(raw)} == wanted
    assert [one.type for one in EventParser().feed(raw)] == [one["type"] for _, one in _parsed(raw)]
    answer = told.get("/api/events?type=packet_created,nonsense")
    assert "'nonsense' is not one of assignment_decision, " in problem(answer, 400)["detail"]


def test_lists_find_what_is_looked_for(told: Api) -> None:
    """Members by type and text, decisions newest first page by page, policy sets that are not binding any more."""
    told.member(
        "tool-7", type="tool", region="eu/west", labels={"team": "Red"}, capabilities=["scan"]
    )
    for query, ids in (
        ("type=tool", ["tool-7"]), ("q=eu%2FWEST", ["tool-7"]), ("q=team%3Dred", ["tool-7"]), ("q=SCAN", ["tool-7"]),
        ("q=TOOL", ["tool-7"]), ("q=m", ["m1", "m2", "tool-7"]), ("type=agent&q=M2", ["m2"]), ("q=nothing", []),
    ):  # fmt: skip
        found = told.get(f"/api/members?{query}").json()["items"]
        assert [one["id"] for one in found] == ids, query
    assert "not one of agent, " in problem(told.get("/api/members?type=robot"), 400)["detail"]
    for number in range(5):
        told.packet(f"p{number}")
    oldest = told.get("/api/decisions").json()["items"]
    at: str | None = "/api/decisions?newest=true&limit=2"
    newest: list[Any] = []
    while at:
        answer = told.get(at)
        newest += answer.json()["items"]
        link = answer.headers.get("link")
        at = link[1 : link.index(">")] if link else None
    assert newest == oldest[::-1]
    assert len(newest) == 5
    before = told.get("/api/policies").json()
    other = GUARD.replace("guard", "other")
    assert (
        told.post("/api/policies/activate", {"files": {"other.policy.yaml": other}}).status_code
        == 200
    )
    assert told.get("/api/policies").json()["digest"] != before["digest"]
    assert told.get(f"/api/policies?digest={before['digest']}").json() == before
    problem(told.get(f"/api/policies?digest={'0' * 64}"), 404, "policy.not_found")


def test_entries_name_principals(api: Api) -> None:
    """Beside the pseudonymous id stands what the operator called the key."""
    _, key = api.keyring.create(("operator", "auditor"), now=1, name="night shift")
    headers = {"Authorization": f"Bearer {key}"}
    body = {"packet_id": "p1", "workload_type": "x", "hold": True}
    assert api.post("/api/packets", body, headers=headers).status_code == 201
    entry = api.get("/api/packets/p1/lineage", headers=headers).json()["items"][0]
    assert entry["principal"].startswith("key:")
    assert entry["principal_name"] == "night shift"


@pytest.mark.parametrize("day", ["2026-01-29", "2026-03-31", "2028-02-29", "2026-12-30"])
def test_days_at_the_end_of_a_month_are_days(api: Api, day: str) -> None:
    """In queries and in bodies; a day that there is not is refused as such."""
    assert api.get(f"/api/ledger/entries?since={day}T10:00:00Z").status_code == 200
    assert api.get(f"/api/ledger/entries?since={day}T10:00:00.5%2B02:00").status_code == 200
    body = {"workload_type": "x", "hold": True, "deadline": f"{day[:3]}9{day[4:]}T10:00:00Z"}
    wanted = 400 if day.endswith("02-29") else 201
    assert api.post("/api/packets", body).status_code == wanted
    wrong = problem(api.get("/api/decisions?until=2026-02-29T10:00:00Z"), 400)
    assert "not a moment like" in wrong["detail"]


def test_an_address_that_was_not_encoded_is_told_as_that(api: Api) -> None:
    """A plus in an offset comes as a blank, and a name without a value is no parameter: both have a next step."""
    found = problem(api.get("/api/ledger/entries?since=2026-12-01T00:00:00+02:00"), 400)
    assert "%2B" in found["detail"]
    assert "name=value" in problem(api.get("/api/members?owns"), 400)["hint"]


def test_what_is_wrong_in_a_query_is_told_with_what_would_be_right(api: Api) -> None:
    """A list of values, or the form; whole, however long the value was."""
    found = problem(api.get("/api/packets?status=OPEN"), 400)
    assert "'OPEN' is not one of ASSIGNED, AWAITING_REVIEW, " in found["detail"]
    assert (
        "an empty one is not one of"
        in problem(api.get("/api/packets?status=FAILED,"), 400)["detail"]
    )
    assert found["hint"].startswith("status: ")
    assert found["errors"][0]["pointer"] == "/query/status"
    assert (
        "not one of allowed, denied, "
        in problem(api.get("/api/decisions?outcome=no"), 400)["detail"]
    )
    long = problem(api.get(f"/api/packets?owner={'a' * 200}"), 400)["detail"]
    assert long == f"owner is '{'a' * 64}' and 136 characters more: longer than 128 characters"
    assert "not of the form" in problem(api.get("/api/packets?after=%20"), 400)["detail"]
    asked_for = {
        "subject": {"type": "member", "id": "a" * 200},
        "action": {"name": "own"},
        "resource": {"type": "packet", "id": "p1"},
    }
    detail = problem(api.post("/access/v1/evaluation", asked_for), 400)["detail"]
    assert '..." is too long: 128 characters are allowed' in detail
    assert detail.count('"') == 2


def test_refusals_speak_of_what_was_asked(api: Api) -> None:
    """Not of an event's name; and an owner under an old epoch is not somebody else."""
    api.member("m1")
    api.packet("p1")
    detail = problem(api.post("/api/packets/p1/assign"), 409)["detail"]
    assert detail == "packet p1 is ASSIGNED, and so it cannot be placed"
    late = api.claim("p1")
    assert api.post("/api/packets/p1/requeue", {}).status_code == 200
    assert (
        api.claim("p1")["member_id"] == "m1"
        or api.post("/api/packets/p1/assign").status_code == 200
    )
    assert api.claim("p1")["epoch"] > late["epoch"]
    hint = problem(api.post("/api/packets/p1/complete", late), 409, "ownership.stale_epoch")["hint"]
    assert "somebody else" not in hint
    assert f"goes on under epoch {api.claim('p1')['epoch']}" in hint


@pytest.mark.parametrize(
    ("sent", "is_echoed"),
    [("abc", True), ("a b", True), ('{"q": 1}', True), ("/7+=%20", True), ("x" * 256, True), ("x" * 257, False),
     ("\x7f", False), ("\t", False)],
)  # fmt: skip
def test_a_request_id_comes_back_as_sent(api: Api, sent: str, is_echoed: bool) -> None:
    """On answers and on problems; what cannot be a header's value safely gets a new one."""
    for path, status in (("/api/status", 200), ("/api/packets/none", 404), ("/nowhere", 404)):
        answer = api.get(path, headers={"X-Request-ID": sent})
        assert answer.status_code == status
        assert (answer.headers["x-request-id"] == sent) is is_echoed
        if status == 404:
            instance = answer.json()["instance"]
            assert " " not in instance
            assert '"' not in instance
    for path in ("/api/status", "/api/packets/p1/cancel", "/", "/console/overview"):
        answer = api("OPTIONS", path, headers={"X-Request-ID": sent})
        assert answer.status_code == 204
        assert (answer.headers["x-request-id"] == sent) is is_echoed, path
        assert "OPTIONS" in answer.headers["allow"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = api.get("/console/overview", headers={"X-Request-ID": sent})
    assert (page.headers["x-request-id"] == sent) is is_echoed


def _decoded(coding: str, raw: bytes) -> bytes:
    if coding == "gzip":
        return gzip.GzipFile(fileobj=io.BytesIO(raw)).read()
    zstd = pytest.importorskip("backports.zstd", reason="zstd answers need backports.zstd")
    whole: bytes = zstd.decompress(raw)
    return whole


async def _raw(api: Api, path: str, accepts: str) -> tuple[Any, bytes]:
    async with api.client.stream("GET", path, headers={"Accept-Encoding": accepts}) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, zstd", "zstd"), ("br, GZIP;q=0.5", "gzip"), ("*", "zstd"),
     ("zstd;q=0.2, gzip;q=0.9", "gzip"), ("gzip;q=0", None), ("identity", None), ("br", None), ("gzip;q=x", None)],
)  # fmt: skip
def test_answers_are_sent_in_the_coding_that_is_liked(
    api: Api, accepts: str, coding: str | None
) -> None:
    """The same answer, smaller; its ETag is the coding's own, and 304 and HEAD know it."""
    if coding == "zstd":
        pytest.importorskip("backports.zstd", reason="zstd answers need backports.zstd")
    plain = api.get("/api/openapi.json", headers={"Accept-Encoding": "identity"})
    answer, raw = api.run(_raw(api, "/api/openapi.json", accepts))
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(raw)
    assert (raw if coding is None else _decoded(coding, raw)) == plain.content
    assert (len(raw) < len(plain.content) / 4) is (coding is not None)
    tag = answer.headers["etag"]
    assert (tag == plain.headers["etag"]) is (coding is None)
    same = api.get("/api/openapi.json", headers={"Accept-Encoding": accepts, "If-None-Match": tag})
    assert (same.status_code, same.headers["etag"]) == (304, tag)
    head = api("HEAD", "/api/openapi.json", headers={"Accept-Encoding": accepts})
    assert head.headers["content-length"] == answer.headers["content-length"]
    small = api.run(_raw(api, "/api/health/live", accepts))[0]
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_export_in_a_coding_is_the_export(api: Api, coding: str) -> None:
    """Streams are coded piece by piece; events are not, for each has to go out at once."""
    if coding == "zstd":
        pytest.importorskip("backports.zstd", reason="zstd answers need backports.zstd")
    for number in range(30):
        api.packet(f"p{number}")
    assert api.post("/api/ledger/index").status_code == 200
    plain = api.run(_raw(api, "/api/ledger/export?start=0&stop=20", "identity"))
    coded = api.run(_raw(api, "/api/ledger/export?start=0&stop=20", coding))
    assert coded[0].headers["content-encoding"] == coding
    lines = [_decoded(coding, coded[1]).splitlines(), plain[1].splitlines()]
    assert len(lines[0]) == len(lines[1]) > 20
    assert lines[0][1:20] == lines[1][1:20]


def test_targets_of_every_form_are_understood(api: Api) -> None:
    """A whole URL is read as its path, with the host in it; ``OPTIONS *`` says what the server knows."""
    with listening(api) as port:
        ends = b"Connection: close\r\n\r\n"
        for target, host, status in (
            (b"http://localhost/api/health/live", b"localhost", b"200"),
            (b"HTTP://LOCALHOST:80/api/packets?limit=1", b"elsewhere.example", b"200"),
            (b"http://elsewhere.example/api/packets", b"localhost", b"403"),
            (b"http://localhost", b"localhost", b"303"),
            (b"http://u@localhost/api/health/live", b"localhost", b"400"),
            (b"ftp://localhost/api/health/live", b"localhost", b"400"),
            (b"localhost:80", b"localhost", b"400"),
        ):
            found = asked(port, b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + ends)
            assert found.split()[1] == status, (target, found)
        found = asked(port, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + ends)
        assert found.split()[1] == b"204"
        assert b"allow: GET, HEAD, OPTIONS, PATCH, POST" in found
        assert b"x-request-id: " in found
        assert asked(port, b"GET * HTTP/1.1\r\nHost: localhost\r\n" + ends).split()[1] == b"404"
