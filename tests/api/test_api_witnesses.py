"""Witnessed receipts and checkpoints over HTTP, and how a server says that it is vouched for."""

import base64
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem
from support.witnesses import log_key, policy_of, served

from pfgov.app.witnesses import Witnesses
from pfgov.engine.witnessing.rounds import Rounds, rounds_of
from pfgov_ledger import checkpoint, entry, keys, note, proof


def _rounds(api: Api, *lines: str, least: int | None = None) -> Rounds:
    return rounds_of(api.directory, policy_of(*lines, least=least), interval_seconds=60.0)


def test_witnesses_a_receipt_waits_for_a_quorum(tmp_path: Path) -> None:
    """The receipt's proof leads to a checkpoint that nobody cosigned, or the caller is told that it does."""
    with Api(tmp_path) as api, served(tmp_path / "w", "one.test/w", log_key(api.directory)) as one:
        rounds = _rounds(api, one)
        api.service.witnesses = Witnesses(rounds)
        rounds.start()
        try:
            api.member()
            answer = api.post(
                "/api/packets?receipt=witnessed", {"packet_id": "p", "workload_type": "w"}
            )
        finally:
            rounds.stop()
        assert answer.status_code == 201, answer.text
        body = answer.json()
        assert body["witnessed"] is True
        _check(api, body["receipt"], rounds)
        signed = api.get("/api/ledger/checkpoint?witnessed=true")
        newest = rounds.newest
        assert newest is not None
        assert signed.content == newest.signed
        shown = api.get("/api/ledger/witnesses").json()["witnesses"]
        assert (shown["size"], shown["each"][0]["outcome"]) == (newest.size, "cosigned")
        assert api.get("/api/status").json()["witnesses"] == shown
        text = api.get("/metrics").text
        assert f"pfgov_witnessed_entries {newest.size}" in text
        assert "pfgov_witness_alarms 0" in text
        assert "pfgov_witnessed_age_seconds" in text
        ready = api.get("/api/health/ready").json()
        assert ready["witness_alarms"] == []
        assert ready["witnessed"] == {"size": newest.size, "age_seconds": shown["age_seconds"]}


def _check(api: Api, receipt: dict[str, Any], rounds: Rounds) -> None:
    anchor = keys.parse_anchor((api.directory / "anchor.txt").read_text())
    witnesses = [party.vkey for party in rounds.policy.witnesses.values()]
    found = proof.parse(receipt["proof"].encode())
    leaf = entry.leaf_hash(base64.b64decode(receipt["entry"]))
    opened = proof.check(found, leaf, [anchor.log_vkey], witnesses)
    assert len(opened.witnesses) == 1


def test_witnesses_that_do_not_answer_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt that is not witnessed passes for one, or the answer never comes."""
    monkeypatch.setattr("pfgov.app.witnesses.WITNESSED_SECONDS", 0.3)
    with Api(tmp_path) as api, served(tmp_path / "w", "one.test/w") as one:
        rounds = _rounds(api, one)
        api.service.witnesses = Witnesses(rounds)
        rounds.run_once()
        answer = api.post(
            "/api/packets?receipt=witnessed", {"packet_id": "p", "workload_type": "w"}
        )
        assert answer.status_code == 201
        body = answer.json()
        assert body["witnessed"] is False
        signed = proof.parse(body["receipt"]["proof"].encode()).checkpoint
        checkpoint.open_checkpoint(signed, [note.parse_vkey(log_key(api.directory))])
        missing = api.get("/api/ledger/checkpoint?witnessed=true")
        assert problem(missing, 404)["code"] == "witness.none"
        (shown,) = api.get("/api/ledger/witnesses").json()["witnesses"]["each"]
        assert "does not follow this log" in shown["why"]
        assert shown["alarm"] is False


def test_witnesses_an_alarm_is_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A witness that has seen another history is noticed by nobody who watches the server."""
    with Api(tmp_path) as api, served(tmp_path / "w", "one.test/w", log_key(api.directory)) as one:
        rounds = _rounds(api, one)
        rounds._standings["w0"] = type(rounds._standings["w0"])("w0", "key", known=10_000)
        api.service.witnesses = Witnesses(rounds)
        rounds.run_once()
        for _ in range(2):
            api.run(api.service.tick())
        assert [r.message for r in caplog.records if "does not vouch" in r.message] == [
            f"witness w0 does not vouch for this ledger: {rounds.alarms[0].why}"
        ]
        assert api.get("/api/health/ready").json()["witness_alarms"] == ["w0"]
        assert "pfgov_witness_alarms 1" in api.get("/metrics").text


def test_witnesses_where_there_are_none_nothing_is_done(api: Api) -> None:
    """A command is recorded although its receipt cannot be what was asked for."""
    before = api.engine.status().size
    found = api.post("/api/packets?receipt=witnessed", {"packet_id": "p", "workload_type": "w"})
    assert problem(found, 409)["code"] == "witness.none"
    assert api.engine.status().size == before
    assert api.get("/api/ledger/witnesses").json() == {"witnesses": None}
    assert problem(api.get("/api/ledger/checkpoint?witnessed=true"), 404)["code"] == "witness.none"
