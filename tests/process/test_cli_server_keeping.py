"""Keys change and payloads are erased on a running server, by whoever may."""

from pathlib import Path

import pytest
from support.cli_server import WORKS, RemoteLine, Served
from support.commandline import GOOD, PACKET, CommandLine


def test_the_ledger_is_kept_over_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payloads are erased and keys change while the server runs; the recovery key signs here; everything verifies."""
    ledger, usb, anchor = tmp_path / "ledger", tmp_path / "recovery.key", tmp_path / "anchor.txt"
    CommandLine(ledger, capsys).ok("init")
    (ledger / "keys" / "recovery.key").rename(usb)
    with Served(ledger) as served:
        pfgov, local = RemoteLine(served.url, capsys), CommandLine(ledger, capsys)
        scopes = ("admin", "operator", "auditor")
        monkeypatch.setenv("PFGOV_API_KEY", served.keyring.create(scopes, now=1)[1])
        pfgov.ok("member", "register", "--id", "a1", *GOOD)
        for name in ("p1", "p2"):
            pfgov.ok("packet", "submit", "--id", name, *WORKS, "--file", PACKET)
        for words in (("keys", "list"), ("erase", "--packet", "p1")):
            assert pfgov.ok("ledger", *words) == local.ok("ledger", *words)
        anchor.write_text(pfgov("ledger", "keys").out)

        (payload,) = pfgov.ok("ledger", "erase", "--packet", "p1")["payloads"]
        commitment = payload["commitment"]
        assert pfgov.ok("ledger", "erase", commitment)["payloads"] == [payload]
        assert pfgov.ok("ledger", "erase", commitment) == local.ok("ledger", "erase", commitment)
        done = pfgov.ok("ledger", "erase", commitment, "--why", "retention")
        assert (done["state"], done["erased"]) == ("done", [commitment])
        again = pfgov.ok("ledger", "erase", "--packet", "p1", "--why", "retention")
        assert (again["erased"], again["already_erased"]) == ([], [commitment])
        assert pfgov.ok("ledger", "erase", "--packet", "p1")["payloads"][0]["why"] == "retention"

        first = pfgov.ok("ledger", "keys", "rotate", "issuer")
        assert "--url" in pfgov.refused("ledger", "keys", "revoke", first["old"])["message"]
        revoke = ("ledger", "keys", "revoke", first["old"], "--recovery", usb)
        statement = tmp_path / "statement.json"
        statement.write_text(pfgov(*revoke, "--sign-only").out)
        revoked = pfgov.ok(*revoke, "--suspect-from", "3")
        assert (revoked["role"], revoked["old"], revoked["new"]) == ("issuer", first["old"], None)
        late = pfgov.refused("ledger", "keys", "revoke", "--statement", statement)
        assert (late["code"], late["status"]) == ("key.revoked", 1)
        states = {one["public"]: one["state"] for one in pfgov.ok("ledger", "keys", "list")["keys"]}
        assert (states[first["old"]], states[first["new"]]) == ("revoked", "in_force")
        statement.write_text(
            pfgov("ledger", "keys", "revoke", first["new"], "--recovery", usb, "--sign-only").out
        )
        pfgov.ok("ledger", "keys", "rotate", "issuer")
        stale = pfgov.refused("ledger", "keys", "revoke", "--statement", statement)
        assert stale["code"] == "key.statement_stale"
        assert "on the server" in pfgov("ledger", "keys", "rotate", "log").out
        assert pfgov("ledger", "keys").out != anchor.read_text()
        verified = pfgov.ok("ledger", "verify", "--key", anchor, "--replay")
        assert verified["exit_status"] == 0


def test_keeping_needs_an_administrators_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's key changes no keys and erases nothing; a member's key sees the public keys and no payloads."""
    CommandLine(tmp_path / "ledger", capsys).ok("init")
    with Served(tmp_path / "ledger") as served:
        pfgov = RemoteLine(served.url, capsys)
        operator = served.keyring.create(("operator",), now=1)[1]
        member = served.keyring.create(("member:a1",), now=1)[1]
        monkeypatch.setenv("PFGOV_API_KEY", operator)
        pfgov.ok("member", "register", "--id", "a1", *GOOD)
        pfgov.ok("packet", "submit", "--id", "p1", "--file", PACKET)
        for words in (("keys", "rotate", "log"), ("erase", "--packet", "p1", "--why", "retention")):
            assert pfgov.refused("ledger", *words)["code"] == "access.forbidden"
        monkeypatch.setenv("PFGOV_API_KEY", member)
        assert len(pfgov.ok("ledger", "keys", "list")["keys"]) == 3
        assert pfgov.refused("ledger", "erase", "--packet", "p1")["code"] == "access.forbidden"


def test_many_payloads_are_erased_in_as_many_requests_as_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server takes so many at a time; the command goes on under the same key, and repeated it says the same."""
    monkeypatch.setattr("pfgov.engine.maintenance.erasing.ERASED_AT_ONCE", 1)
    CommandLine(tmp_path / "ledger", capsys).ok("init")
    with Served(tmp_path / "ledger") as served:
        pfgov = RemoteLine(served.url, capsys)
        pfgov.ok("member", "register", "--id", "a1", *GOOD)
        context = tmp_path / "context.json"
        context.write_text('{"step": "read"}')
        pfgov.ok("packet", "submit", "--id", "p1", *WORKS, "--context", context)
        for step in ("a", "b"):
            pfgov.ok("packet", "checkpoint", "p1", "--file", context, "--step", step)
        monkeypatch.setenv("PFGOV_IDEMPOTENCY_KEY", "once")
        done = pfgov.ok("ledger", "erase", "--packet", "p1", "--why", "retention")
        assert (done["state"], len(set(done["erased"])), len(done["entries"])) == ("done", 3, 3)
        assert done["already_erased"] == []
        assert pfgov.ok("ledger", "erase", "--packet", "p1", "--why", "retention") == done
