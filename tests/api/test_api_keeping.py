"""Keeping the ledger over HTTP: payloads erased, keys replaced and revoked, while it is being written."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.engine import Layout, LedgerReader
from pfgov.engine.maintenance import ceremony
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.reading.replay import Replay
from pfgov.model import Revocation
from pfgov.storage import open_store
from pfgov_ledger import checkpoint, export, keys
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify

SECRET = "Ms Unmistakable"
CONTEXT = {"step": "start", "customer": SECRET}
ERASURES, ROTATIONS, REVOCATIONS = (
    "/api/ledger/erasures",
    "/api/ledger/keys/rotations",
    "/api/ledger/keys/revocations",
)


def on_disk(api: Api) -> bool:
    """Whether the person's name lies anywhere in the database's files."""
    return any(SECRET.encode() in file.read_bytes() for file in api.directory.glob("ledger.db*"))


def report_of(api: Api, tmp_path: Path, anchor: str | None = None) -> Report:
    """Export everything and verify it."""
    target = tmp_path / "all.jsonl"
    with (
        LedgerReader(open_store(api.directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_full(log, out)
    found = keys.parse_anchor(anchor or (api.directory / "anchor.txt").read_text())
    return verify(target, anchor=found, replayer=Replay())


def signed(
    api: Api, public: str, *, guard: Any = None, suspect_from: int | None = None
) -> dict[str, Any]:
    """What the recovery key's keeper sends: made from the server's own list of keys."""
    listed = api.get("/api/ledger/keys").json()
    place = ceremony.Place(
        listed["origin"], listed["next"]["seq"], bytes.fromhex(listed["next"]["prev"])
    )
    found = next(one for one in listed["keys"] if one["public"] == public)
    key = ceremony.Key(found["role"], found["public"], found["since"])
    recovery = guard or keys.file_signer(Layout(api.directory).key("recovery"))
    action = ceremony.sign_revocation(place, key, recovery, suspect_from=suspect_from)
    tree = Revocation.of(action, origin=place.origin, prev=place.prev, seq=place.seq)
    made: dict[str, Any] = tree.model_dump(mode="json")
    return made


# --- erasures -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["packet_id", "commitment"])
def test_a_payload_is_erased_while_the_server_runs(api: Api, tmp_path: Path, by: str) -> None:
    """Done means that no file of the database holds it, an entry says why, and the history verifies and replays."""
    api.member("m1")
    api.packet("p1", context_checkpoint=CONTEXT)
    (payload,) = api.get("/api/packets/p1/payloads").json()["payloads"]
    assert (payload["field"], payload["state"]) == ("context", "present")
    assert on_disk(api)
    named = api.get(f"/api/ledger/payloads/{payload['commitment']}").json()
    assert named == {"payloads": [payload]}
    target = {"packet_id": "p1"} if by == "packet_id" else {"commitment": payload["commitment"]}
    answer = api.post(ERASURES, {**target, "why": "data_subject_request"})
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["state"], done["left"], done["already_erased"]) == ("done", 0, [])
    assert done["erased"] == [payload["commitment"]]
    assert done["receipt"]["position"] == done["entries"][0]
    assert done["events"][0]["type"] == "attachment_erased"
    assert not on_disk(api)
    report = report_of(api, tmp_path)
    assert report.exit_status == 0
    assert report.to_json()["attachments"] == {"disclosed": 0, "withheld": 0, "erased": 1}
    (payload,) = api.get("/api/packets/p1/payloads").json()["payloads"]
    assert (payload["state"], payload["why"], payload["bytes"]) == (
        "erased",
        "data_subject_request",
        None,
    )


def test_erasing_again_records_nothing_and_a_key_repeats_the_answer(api: Api) -> None:
    """Without a key the second answer says already erased; with one it is the first answer; another body is refused."""
    api.member("m1")
    for name in ("p1", "p2"):
        api.packet(name, context_checkpoint=CONTEXT)
        for step in ("a", "b"):
            body = {**api.claim(name), "context_checkpoint": {**CONTEXT, "step": step}}
            assert api.post(f"/api/packets/{name}/checkpoint", body).status_code == 200
    body = {"packet_id": "p1", "why": "retention"}
    headers = {"Idempotency-Key": "erase-1"}
    first = api.post(ERASURES, body, headers=headers)
    assert len(first.json()["erased"]) == 3
    size = api.engine.status().size
    again = api.post(ERASURES, body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    for name in ("erased", "already_erased", "entries", "events"):
        assert again.json()[name] == first.json()[name], name
    plain = api.post(ERASURES, body).json()
    assert (plain["erased"], plain["entries"]) == ([], [])
    assert plain["already_erased"] == sorted(first.json()["erased"])
    assert "receipt" not in plain
    problem(
        api.post(ERASURES, {**body, "packet_id": "p2"}, headers=headers),
        422,
        "idempotency.mismatch",
    )
    assert api.engine.status().size == size


def test_an_erasure_is_pending_while_old_pages_are_read_and_a_tick_ends_it(api: Api) -> None:
    """A reader with an old snapshot makes it pending and stops nobody; when it is gone, the next tick finishes."""
    api.member("m1")
    api.packet("p1", context_checkpoint=CONTEXT)
    reader = sqlite3.connect(api.directory / "ledger.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM attachment").fetchone()
    body = {"packet_id": "p1", "why": "legal_order"}
    assert api.post(ERASURES, body).json()["state"] == "pending"
    assert api.get("/api/status").json()["erasure_pending"] is True
    api.packet("p2")
    assert api.post(ERASURES, body).json()["state"] == "pending"
    reader.close()
    api.run(api.service.tick())
    assert api.get("/api/status").json()["erasure_pending"] is False
    assert not on_disk(api)
    assert api.post(ERASURES, body).json()["state"] == "done"


def test_what_is_not_there_is_not_erased(api: Api) -> None:
    """An unknown packet or commitment is 404, a target named twice or not at all, or a reason of one's own, is 400."""
    problem(api.post(ERASURES, {"packet_id": "p", "why": "retention"}), 404, "packet.not_found")
    problem(
        api.post(ERASURES, {"commitment": "0" * 64, "why": "retention"}),
        404,
        "attachment.not_found",
    )
    for body in (
        {"why": "retention"},
        {"packet_id": "p", "commitment": "0" * 64, "why": "retention"},
        {"packet_id": "p", "why": "she asked"},
        {"packet_id": "p"},
    ):
        problem(api.post(ERASURES, body), 400)
    problem(api.get("/api/packets/p/payloads"), 404, "packet.not_found")
    problem(api.get(f"/api/ledger/payloads/{'0' * 64}"), 404, "attachment.not_found")


# --- rotations ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["issuer", "log"])
def test_a_key_is_replaced_while_the_server_runs(api: Api, tmp_path: Path, role: str) -> None:
    """The answer has the public keys and the checkpoint over the change; the next write is signed by the new key."""
    api.member("m1")
    before = api.get("/api/ledger/key").text
    answer = api.post(ROTATIONS, {"role": role})
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert done["result"]["new"] == keys.file_signer(Layout(api.directory).key(role)).public.hex()
    assert done["events"][0]["type"] == "key_rotated"
    states = {one["public"]: one["state"] for one in api.get("/api/ledger/keys").json()["keys"]}
    assert states[done["result"]["old"]] == "replaced"
    assert states[done["result"]["new"]] == "in_force"
    now = api.get("/api/ledger/key").text
    assert (now != before) == (role == "log")
    for text in {before, now}:
        vkey = keys.parse_anchor(text).log_vkey
        assert checkpoint.open_checkpoint(done["checkpoint"].encode(), [vkey]).checkpoint.size
    api.packet("p1")
    receipt = api.post("/api/packets?receipt=proof", {"workload_type": "scan"})
    (tmp_path / "receipt.json").write_text(receipt.text)
    assert verify(tmp_path / "receipt.json", anchor=keys.parse_anchor(now)).exit_status == 0
    for text in (before, now):
        assert report_of(api, tmp_path, text).exit_status == 0
    assert api.engine.status().reloads == 0


def test_no_private_key_comes_out(api: Api) -> None:
    """Neither an answer nor a list shows a seed, and a body cannot bring one."""
    texts = [api.post(ROTATIONS, {"role": role}).text for role in ("issuer", "log", "issuer")]
    texts += [
        api.get(path).text for path in ("/api/ledger/keys", "/api/ledger/entries?subject=keys")
    ]
    secrets = [
        path.read_text().strip().split("+", 4)[-1] for path in (api.directory / "keys").iterdir()
    ]
    assert len(secrets) == 6
    assert all(len(secret) >= 40 for secret in secrets), "base64 may hold a + itself"
    assert not any("PRIVATE" in text or secret in text for text in texts for secret in secrets)
    for path in (api.directory / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    problem(api.post(ROTATIONS, {"role": "issuer", "key": "pfgov-private-key-v1"}), 400)
    problem(api.post(ROTATIONS, {"role": "recovery"}), 400)


def test_a_rotation_with_a_key_happens_once(api: Api) -> None:
    """The same Idempotency-Key gives the same new key; another body under it is refused."""
    headers = {"Idempotency-Key": "rotate-1"}
    first = api.post(ROTATIONS, {"role": "issuer"}, headers=headers)
    again = api.post(ROTATIONS, {"role": "issuer"}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    problem(api.post(ROTATIONS, {"role": "log"}, headers=headers), 422, "idempotency.mismatch")


def test_a_key_that_cannot_be_made_is_the_servers_trouble(api: Api) -> None:
    """When the folder of keys cannot take a new file, it is 503, and the old key goes on signing."""
    blocked = Layout(api.directory).next_key("issuer")
    blocked.mkdir()
    problem(api.post(ROTATIONS, {"role": "issuer"}), 503, "key.unusable")
    api.packet("p1")
    blocked.rmdir()
    assert api.post(ROTATIONS, {"role": "issuer"}).status_code == 200


# --- revocations --------------------------------------------------------------------------


def test_a_stolen_key_is_replaced_and_revoked_by_a_statement(api: Api, tmp_path: Path) -> None:
    """Rotate, sign elsewhere, send: the key is revoked, the suspicion is in the report, everything verifies."""
    stolen = api.post(ROTATIONS, {"role": "issuer"}).json()["result"]["old"]
    body = signed(api, stolen, suspect_from=1)
    answer = api.post(REVOCATIONS, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"role": "issuer", "old": stolen, "new": None}
    api.packet("p1")
    report = report_of(api, tmp_path)
    assert report.exit_status == 0
    assert report.to_json()["suspects"]
    problem(api.post(REVOCATIONS, body), 409, "key.revoked")


def test_a_statement_is_checked_strictly(api: Api) -> None:
    """In use, stale, changed, by nobody's recovery key, of another ledger, or malformed: each has its own refusal."""
    current = keys.file_signer(Layout(api.directory).key("issuer")).public.hex()
    problem(api.post(REVOCATIONS, signed(api, current)), 409, "key.in_use")
    stale = signed(api, current)
    api.post(ROTATIONS, {"role": "issuer"})
    problem(api.post(REVOCATIONS, stale), 409, "key.statement_stale")
    good = signed(api, current)
    size = api.engine.status().size
    changed = {**good, "keys": {**good["keys"], "suspect_from": 1}}
    problem(api.post(REVOCATIONS, changed), 400, "key.signature")
    thief = keys.generate(role="recovery", name="thief")
    problem(api.post(REVOCATIONS, signed(api, current, guard=thief)), 403, "key.unauthorised")
    problem(api.post(REVOCATIONS, {**good, "origin": "pfgov.test/two"}), 400)
    problem(api.post(REVOCATIONS, {**good, "signatures": []}), 403, "key.unauthorised")
    weak = [["01" + "00" * 31, "00" * 64]]
    problem(api.post(REVOCATIONS, {**good, "signatures": weak}), 400, "key.signature")
    for broken in (
        {**good, "action": "rotate"},
        {**good, "signatures": good["signatures"] * 9},
        {**good, "signatures": [good["signatures"][0][:1]]},
        {**good, "prev": "x"},
        {name: value for name, value in good.items() if name != "seq"},
    ):
        problem(api.post(REVOCATIONS, broken), 400)
    assert api.engine.status().size == size
    assert api.post(REVOCATIONS, json.loads(json.dumps(good))).status_code == 200
