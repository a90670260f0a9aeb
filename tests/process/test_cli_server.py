"""Every command against a server says what it says over a folder, and what can go wrong between them is told."""

import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.api_process import free_port
from support.cli_server import RemoteLine, Served, alike, answering, reply
from support.commandline import GOOD, PACKET, ROOT, CommandLine, Said, spawn

from pfgov import __version__

LIVE = reply(200, json.dumps({"status": "live", "version": __version__}).encode())
GREETS = b"/api/health/live"
WORKS = ("--workload", "w")

STORY: tuple[tuple[object, ...], ...] = (
    ("status",),
    ("member", "list"),
    ("member", "register", "--id", "a1", *GOOD, "--cpu", "8", "--label", "team=red"),
    ("member", "register", "--id", "a1", *GOOD),
    ("member", "register", "--id", "x", "--type", "agent", "--lease", "0"),
    ("member", "register", "--id", "low", "--type", "agent", "--trust", "0.5", "--region", "eu-west"),
    ("discover", "--packet", PACKET),
    ("packet", "submit", "--file", PACKET),
    ("packet", "submit", "--file", PACKET),
    ("packet", "explain", "fp-001"),
    ("packet", "list", "--stuck"),
    ("packet", "review", "fp-001", "--grant", "--note", "seen", "--expires", "7d"),
    ("packet", "explain", "fp-001"),
    ("packet", "explain", "fp-001", "--at", "0"),
    ("packet", "assign", "fp-001"),
    ("packet", "handoff", "fp-001", "--to", "low"),
    ("packet", "show", "fp-001", "--context", "--history"),
    ("packet", "checkpoint", "fp-001", "--file", PACKET, "--step", "read"),
    ("packet", "show", "fp-001", "--context"),
    ("packet", "update", "fp-001", "--min-trust", "0.93", "--priority", "7"),
    ("packet", "update", "fp-001", "--min-trust", "0.5"),
    ("member", "register", "--id", "a2", *GOOD, "--handoff-mode", "accept"),
    ("packet", "handoff", "fp-001", "--to", "a2", "--reason", "shift ends"),
    ("packet", "list"),
    ("packet", "accept", "fp-001"),
    ("packet", "accept", "fp-001"),
    ("packet", "handoff", "fp-001"),
    ("packet", "abort", "fp-001"),
    ("packet", "complete", "fp-001", "--as", "a1", "--incarnation", "1", "--epoch", "1"),
    ("packet", "requeue", "fp-001", "--reason", "stuck"),
    ("packet", "show", "fp-001", "--history"),
    ("packet", "complete", "fp-001"),
    ("packet", "complete", "fp-001"),
    ("packet", "submit", "--id", "again-1", *WORKS, "--again", "fp-001", "--demand", "cpu=0.25"),
    ("packet", "submit", "--id", "again-2", *WORKS, "--again", "fp-01"),
    ("packet", "fail", "again-1", "--reason", "no such case"),
    ("packet", "submit", "--id", "held", *WORKS, "--hold"),
    ("packet", "assign", "held"),
    ("packet", "show", "ghost"),
    ("packet", "cancel", "held"),
    ("packet", "list", "--all"),
    ("packet", "list", "--all", "--limit", "1"),
    ("packet", "list", "--status", "FAILED", "--status", "CANCELLED"),
    ("discover", "--needs", "flying", "--min-trust", "0.9"),
    ("discover", "--packet", "ghost"),
    ("member", "list", "--capability", "policy_review", "--region", "us-east"),
    ("member", "update", "a1", "--add-capability", "routing@1.2", "--weight", "3"),
    ("member", "update", "a1", "--weight", "3"),
    ("member", "trust", "a1", "0.96", "--expires", "30d"),
    ("member", "heartbeat", "a1", "--owns", "fp-001:1", "--pressure", "0.25"),
    ("member", "heartbeat", "ghost"),
    ("member", "quarantine", "a1", "--reason", "odd", "--until", "2h"),
    ("member", "release", "a1"),
    ("member", "drain", "a2", "--deadline", "15m"),
    ("member", "drain", "low", "--mode", "stop_first"),
    ("member", "fail", "a1", "--reason", "gone"),
    ("member", "recover", "a1"),
    ("member", "retire", "a1"),
    ("member", "retire", "a1"),
    ("member", "show", "a1", "--history"),
    ("member", "show", "ghost"),
    ("member", "list", "--all"),
    ("tick",),
    ("tick", "--resume"),
    ("config", "set", "lease_seconds=45", "scheduler.batch=ring"),
    ("config", "set", "colour=red"),
    ("config", "show"),
    ("policy", "show"),
    ("policy", "activate", ROOT / "policies" / "eu-residency"),
    ("policy", "activate", ROOT / "policies" / "eu-residency"),
    ("policy", "activate", "BROKEN"),
    ("policy", "activate", "EMPTY"),
    ("policy", "show"),
    ("ledger", "log"),
    ("ledger", "log", "--limit", "3"),
    ("ledger", "log", "--after", "2", "--limit", "4"),
    ("ledger", "log", "--subject", "packet/fp-001", "--type", "handoff_started", "--type", "handoff_aborted"),
    ("ledger", "log", "--subject", "packet/ghost"),
    ("ledger", "log", "--at", "3"),
    ("ledger", "log", "--at", "9999"),
    ("ledger", "head"),
    ("ledger", "prove", "3"),
    ("ledger", "prove", "9999"),
    ("ledger", "export", "--subject", "packet/fp-001", "--out", "OUT"),
    ("ledger", "export", "--fresh", "--force", "--out", "OUT"),
    ("ledger", "export", "--subject", "packet/fp-001", "--since", "4", "--force", "--out", "OUT"),
    ("ledger", "export", "--range", "2:5", "--force", "--out", "OUT.gz"),
    ("ledger", "export", "--range", "2:5000", "--force", "--out", "OUT"),
    ("ledger", "erase", "--packet", "ghost"),
    ("ledger", "erase", "--packet", "ghost", "--why", "retention"),
    ("ledger", "erase", "ab" * 32),
    ("ledger", "erase", "--packet", "held"),
    ("ledger", "erase", "--packet", "again-1", "--why", "retention"),
    ("ledger", "keys", "rotate", "issuer"),
    ("ledger", "keys", "rotate", "log"),
    ("ledger", "keys", "rotate", "recovery"),
    ("ledger", "keys"),
    ("ledger", "verify"),
    ("ledger", "replay"),
    ("status",),
)  # fmt: skip
"""A whole life of a ledger, refusals included; every command that can work against a server is in it."""

ALONE = frozenset(
    {"sha256", "trust", "verdicts", "required", "checkpoint", "exit_status", "passed"}
)
"""What a server's log cannot say without an anchor from elsewhere."""

BROKEN = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: mine, version: "1"}
on: [place]
rules:
  - id: a
    require: member.trst_score >= 0.5
"""


def _told(said: Said, arguments: tuple[object, ...]) -> Any:
    told = alike(said.json)
    if arguments[:2] == ("ledger", "head"):
        return {name: told[name] for name in ("origin", "size")}
    if arguments[:2] == ("ledger", "verify"):
        return said.json["export"]
    return {name: one for name, one in told.items() if name not in ALONE}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    """Two new ledgers of the same name: one in a folder, one behind a server."""
    from pfgov.engine import Engine

    folder = tmp_path_factory.mktemp("twins")
    for name in ("here", "there"):
        Engine.create(folder / name, "pfgov.test/twins").close()
    with Served(folder / "there") as served:
        yield folder / "here", served


def test_a_story_is_the_same_over_a_folder_and_over_a_server(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command gives the same JSON and the same exit status, refusals too, but for ids, times and signatures."""
    here, served = twins
    sides = (CommandLine(here, capsys), RemoteLine(served.url, capsys))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mine.policy.yaml").write_text(BROKEN)
    (tmp_path / "empty").mkdir()
    places = {
        "BROKEN": tmp_path / "broken", "EMPTY": tmp_path / "empty", "OUT": tmp_path / "out.jsonl",
        "OUT.gz": tmp_path / "out.jsonl.gz",
    }  # fmt: skip
    for arguments in STORY:
        words = [places.get(str(word), word) for word in arguments]
        for path in ("OUT", "OUT.gz"):
            places[path].unlink(missing_ok=True)
        over_folder = sides[0](*words, "--json")
        for path in ("OUT", "OUT.gz"):
            places[path].unlink(missing_ok=True)
        over_server = sides[1](*words, "--json")
        assert _told(over_folder, arguments) == _told(over_server, arguments), arguments
        if arguments[:2] != ("ledger", "verify"):
            assert over_folder.status == over_server.status, arguments


def _every_verb() -> set[str]:
    from pfgov.cli.frame import Nouns, Verb
    from pfgov.cli.tree import root

    found: set[str] = set()
    for name in root.lazy:
        command = root.load(name)
        verbs = (
            {f"{name} {verb}": command.load(verb) for verb in command.list_commands(None)}  # type: ignore[arg-type]
            if isinstance(command, Nouns)
            else {name: command}
        )
        found |= {
            path
            for path, verb in verbs.items()
            if isinstance(verb, Verb) and not (verb.folder or verb.files)
        }
    return found


def test_no_command_is_left_out_of_the_story() -> None:
    """A command that can work against a server is told in the story; those with a test of their own are named here."""
    told = {" ".join(map(str, words[:2])) for words in STORY} | {str(words[0]) for words in STORY}
    assert _every_verb() - told == {"policy who"}


def test_text_reads_the_same(
    twins: tuple[Path, Served], capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables and sentences over a server are those over a folder."""
    here, served = twins
    for words in (("member", "list", "--all"), ("packet", "list", "--all"), ("config", "show")):
        over_folder, over_server = (
            side(*words) for side in (CommandLine(here, capsys), RemoteLine(served.url, capsys))
        )
        assert over_folder.out == over_server.out
    assert f"server      {served.url}" in RemoteLine(served.url, capsys)("status").out


def test_what_a_server_proves_is_verified_here(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's log verifies under an anchor from elsewhere; the server's own word pins nothing."""
    _, served = twins
    pfgov = RemoteLine(served.url, capsys)
    anchor = tmp_path / "anchor.txt"
    anchor.write_text(pfgov("ledger", "keys").out)
    assert anchor.read_text() == (served.directory / "anchor.txt").read_text()
    assert pfgov("ledger", "verify").status == 4
    assert pfgov("ledger", "verify", "--key", anchor, "--replay").status == 0
    out = tmp_path / "entry.tlog-proof"
    assert pfgov("ledger", "prove", "1", "--out", out).status == 0
    refused = pfgov.refused("ledger", "verify", out, "--key", anchor)
    assert (refused["code"], refused["status"]) == ("usage", 2)
    assert pfgov("ledger", "head", "--note").out == pfgov.ok("ledger", "head")["checkpoint"]


def test_who_asks_the_set_that_is_binding_there(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``policy who`` judges files by the server's policies, where no others are named."""
    _, served = twins
    pfgov = RemoteLine(served.url, capsys)
    pack = ROOT / "policies" / "eu-residency"
    pfgov.ok("policy", "activate", pack)
    fixtures = pack / "fixtures" / "eu.yaml"
    asked = ("policy", "who", "--packet", f"{fixtures}#personal", "--members", fixtures, "--json")
    there = pfgov(*asked).json
    assert there["policy"] == pfgov.ok("policy", "show")["policy"]["digest"]
    assert "dallas" not in there["eligible"]
    here = CommandLine(tmp_path, capsys)(*asked).json
    assert here["policy"] != there["policy"]
    named = pfgov(*asked, "--policies", ROOT / "policies" / "starter").json
    assert named == here


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
    monkeypatch.setattr("pfgov.engine.erasing.ERASED_AT_ONCE", 1)
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


HERE = (
    ("init",), ("serve",), ("key", "list"), ("key", "create", "--scope", "admin"), ("key", "revoke", "x"),
    ("ledger", "doctor"), ("ledger", "keys", "rotate", "issuer", "--recovery", "x"),
    ("ledger", "keys", "revoke", "ab"), ("ledger", "keys", "revoke", "ab", "--sign-only"),
)  # fmt: skip
FILES = (
    ("demo",), ("sim", "list"), ("sim", "metrics"), ("policy", "check", "x"), ("policy", "schema", "Policy"),
    ("policy", "init", "x"), ("policy", "test", "x"), ("policy", "fmt", "x"), ("policy", "eval"),
)  # fmt: skip


@pytest.mark.parametrize("words", [*HERE, *FILES], ids=" ".join)
def test_what_makes_no_sense_over_http_says_why(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command about this machine refuses ``--url``, says why and what to do instead, and touches nothing."""
    refused = RemoteLine("http://localhost:1", capsys).refused(*words)
    assert (refused["code"], refused["status"]) == ("usage", 2)
    assert "--url" in refused["message"]
    assert len(refused["message"].partition(": ")[2]) > 20
    assert "--dir" in refused["hint"] or "--url" in refused["hint"]
    assert list(tmp_path.iterdir()) == []


def test_which_ledger_is_never_guessed(tmp_path: Path) -> None:
    """The command line counts before the environment; both sides at once are refused; a folder's command needs one."""
    ledger, dead = tmp_path / "ledger", f"http://127.0.0.1:{free_port()}"
    assert spawn("init", "--dir", ledger).status == 0
    assert spawn("status", "--dir", ledger, PFGOV_URL=dead).status == 0
    assert spawn("status", "--url", dead, PFGOV_DIR=str(ledger)).status == 4
    assert spawn("status", PFGOV_URL=dead).status == 4
    assert spawn("sim", "list", PFGOV_URL=dead).status == 0
    for words, environment in (
        (("status", "--dir", ledger, "--url", dead), {}),
        (("status", "--url", dead, "--dir", ledger), {}),
        (("status",), {"PFGOV_URL": dead, "PFGOV_DIR": str(ledger)}),
        (("ledger", "doctor"), {"PFGOV_URL": dead}),
        (("init",), {"PFGOV_URL": dead}),
    ):
        said = spawn(*words, "--json", cwd=tmp_path, **environment)
        assert (said.status, said.error["code"]) == (2, "usage"), words
        assert said.error["hint"]


# --- keys and transport -------------------------------------------------------------------


def test_keys_are_shown_to_the_server_and_to_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key comes from the environment or a file; none, a wrong one, and one with too little are told apart."""
    CommandLine(tmp_path / "ledger", capsys).ok("init")
    with Served(tmp_path / "ledger") as served:
        pfgov = RemoteLine(served.url, capsys)
        key = served.keyring.create(("operator",), now=1)[1]
        reader = served.keyring.create(("auditor",), now=1)[1]
        nobody = pfgov.refused("status")
        assert (nobody["code"], nobody["status"]) == ("http.unauthenticated", 1)
        assert "PFGOV_API_KEY" in nobody["hint"]
        assert "--key-file" in nobody["hint"]
        monkeypatch.setenv("PFGOV_API_KEY", "pfgov_wrong")
        assert pfgov.refused("status")["code"] == "http.unauthenticated"
        monkeypatch.setenv("PFGOV_API_KEY", reader)
        assert pfgov.ok("status")["size"] == 2
        few = pfgov.refused("member", "register", "--id", "a", "--type", "agent")
        assert (few["code"], few["status"]) == ("access.forbidden", 1)
        file = tmp_path / "key"
        file.write_text(f"{key}\n")
        assert pfgov.ok("--key-file", file, "member", "register", "--id", "a", "--type", "agent")
        assert pfgov.refused("--key-file", file, "config", "set", "lease_seconds=9")["status"] == 1
        file.write_text("two words")
        assert pfgov.refused("--key-file", file, "status")["code"] == "input.invalid"
        missing = pfgov.refused("--key-file", tmp_path / "none", "status")
        assert missing["code"] == "input.unreadable"
        member = served.keyring.create(("member:a",), now=1)[1]
        monkeypatch.setenv("PFGOV_API_KEY", member)
        assert pfgov.ok("member", "heartbeat", "a")["lost"] == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://192.0.2.1:8000", "server.plain_http"),
        ("http://ledger.example", "server.plain_http"),
        ("http://user:secret@localhost", "input.invalid"),
        ("localhost:8000", "input.invalid"),
        ("ftp://localhost", "input.invalid"),
        ("http://", "input.invalid"),
        ("http://localhost:port", "input.invalid"),
        ("http://localhost/?a=b", "input.invalid"),
    ],
)
def test_a_key_does_not_go_astray(
    url: str, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL that is none, or over which a key would be heard, is refused before anything is sent."""
    monkeypatch.setenv("PFGOV_API_KEY", "pfgov_a_b")
    refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == (code, 2)
    assert "secret" not in json.dumps(refused)


def test_plain_http_on_purpose(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--insecure``, or without a key, another machine is asked over plain http."""
    monkeypatch.setenv("PFGOV_TIMEOUT", "0.05")
    monkeypatch.setenv("PFGOV_API_KEY", "pfgov_a_b")
    pfgov = RemoteLine("http://[::ffff:192.0.2.1]:9", capsys)
    assert pfgov.refused("status")["code"] == "server.plain_http"
    assert pfgov.refused("--insecure", "status")["code"].startswith("server.")
    monkeypatch.delenv("PFGOV_API_KEY")
    assert pfgov.refused("status")["code"] in {"server.unreachable", "server.no_answer"}


def test_the_key_is_not_sent_to_a_stranger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not say that it is a pfgov of this version never sees the key."""
    monkeypatch.setenv("PFGOV_API_KEY", "pfgov_a_b")
    heard: list[bytes] = []

    def stranger(raw: bytes) -> bytes:
        heard.append(raw)
        return reply(200, b"<html>hello</html>", "text/html")

    with answering(stranger) as url:
        refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == ("server.not_pfgov", 4)
    assert heard
    assert b"pfgov_a_b" not in b"".join(heard)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a certificate has to hold today
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "ca.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


def test_https_is_believed_only_with_a_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown authority is refused, whatever ``--insecure`` says; a named one is trusted."""
    certificate, private = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    problem = {"code": "store.unavailable", "detail": "the disk is full", "hint": "make room"}

    def say(raw: bytes) -> bytes:
        if GREETS in raw:
            return LIVE
        return reply(500, json.dumps(problem).encode(), "application/problem+json")

    with answering(say, tls=context) as url:
        pfgov = RemoteLine(url, capsys)
        refused = pfgov.refused("--insecure", "status")
        assert (refused["code"], refused["status"]) == ("server.tls", 4)
        assert "SSL_CERT_FILE" in refused["hint"]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        told = pfgov.refused("status")
    assert {name: told[name] for name in problem if name != "detail"} == {
        "code": "store.unavailable",
        "hint": "make room",
    }
    assert (told["message"], told["status"]) == ("the disk is full", 4)


# --- what does not come back --------------------------------------------------------------


def _problem(status: int, code: str, **more: Any) -> bytes:
    body = {"code": code, "detail": "not now", "status": status, **more}
    return reply(
        status, json.dumps(body).encode(), "application/problem+json", "Retry-After: 1\r\n"
    )


@pytest.mark.parametrize(
    ("say", "code", "words"),
    [
        (lambda _: None, "server.no_answer", "PFGOV_TIMEOUT"),
        (lambda _: reply(404, b"{}"), "server.not_pfgov", "check the address"),
        (lambda _: reply(200, b'{"status": "live"}'), "server.not_pfgov", "check the address"),
        (lambda _: reply(302, b"", headers="Location: https://x.example/\r\n"), "server.not_pfgov", "name the server"),
        (lambda _: reply(502, b"bad gateway", "text/plain"), "server.no_answer", "is the server up"),
        (lambda _: reply(200, b'{"status": "live", "version": "7.0.0"}'), "server.version", "pfgov==7.0.0"),
        (lambda raw: LIVE if GREETS in raw else _problem(404, "http.not_found"), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else reply(200, b'{"origin": 1}'), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else reply(200, b"\xff"), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else _problem(503, "engine.busy", hint="later"), "engine.busy",
         "later; it may be asked again in 1 s"),
        (lambda raw: LIVE if GREETS in raw else _problem(503, "engine.stopped"), "engine.stopped", "again in 1 s"),
    ],
)  # fmt: skip
def test_what_can_come_back_is_told_apart(
    say: Callable[[bytes], bytes | None],
    code: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence, a stranger, another version, a proxy and a busy server each have a code, a next step, and status 4."""
    monkeypatch.setenv("PFGOV_TIMEOUT", "2")
    with answering(say) as url:
        refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == (code, 4)
    assert words in refused["hint"]


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is told at once, with the address and what to do."""
    url = f"http://127.0.0.1:{free_port()}"
    refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == ("server.unreachable", 4)
    assert url in refused["message"]
    assert "pfgov serve" in refused["hint"]


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"items": 1}', b'{"items": [1]}', b"null"])
@pytest.mark.parametrize(
    "words",
    [
        ("member", "list"), ("packet", "list"), ("ledger", "log"), ("config", "show"), ("tick",), ("policy", "show"),
        ("member", "retire", "a"), ("member", "heartbeat", "a", "--incarnation", "1"),
        ("ledger", "log", "--at", "1"), ("discover", "--packet", "p"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_answer_of_another_shape_is_no_mistake_of_ours(
    answer: bytes, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON that is not what was expected is told as another version, never as a mistake of this command line."""
    with answering(lambda raw: LIVE if GREETS in raw else reply(200, answer)) as url:
        said = RemoteLine(url, capsys)(*words, "--json")
    assert (said.status, said.error["code"]) == (4, "server.version")


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "1e9"])
def test_patience_is_a_number_of_seconds(
    seconds: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything else in PFGOV_TIMEOUT is refused, and the message names it."""
    monkeypatch.setenv("PFGOV_TIMEOUT", seconds)
    refused = RemoteLine("http://localhost:1", capsys).refused("status")
    assert (refused["status"], "PFGOV_TIMEOUT" in refused["message"]) == (2, True)


def test_a_cut_connection_does_nothing_twice(
    twins: tuple[Path, Served], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer to a write is cut off the same is sent again with the same key, and is done once."""
    import httpx2

    _, served = twins
    seen: list[bytes] = []
    turn = threading.Lock()

    def lossy(raw: bytes) -> bytes | None:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        with turn:
            answer = httpx2.request(
                method, f"{served.url}{path}", content=body,
                headers={k: v for k, v in headers.items() if k.lower() not in {"host", "content-length"}},
            )  # fmt: skip
        if method == "POST":
            seen.append(headers.get("Idempotency-Key", headers.get("idempotency-key", "")).encode())
            if len(seen) == 1:
                return None
        return reply(answer.status_code, answer.content, answer.headers["content-type"])

    before = RemoteLine(served.url, capsys).ok("status")["packets"]
    with answering(lossy) as url:
        told = RemoteLine(url, capsys).ok("packet", "submit", "--workload", "w", "--hold")
    assert len(seen) == 2
    assert seen[0] == seen[1] != b""
    assert [entry["type"] for entry in told["recorded"]] == ["packet_created"]
    after = RemoteLine(served.url, capsys).ok("status")["packets"]
    assert after.get("PENDING", 0) == before.get("PENDING", 0) + 1

    monkeypatch.setenv("PFGOV_TIMEOUT", "3")
    seen.clear()

    def deaf(raw: bytes) -> bytes | None:
        if b"POST " in raw[:5]:
            lossy(raw)
            return None
        return lossy(raw)

    with answering(deaf) as url:
        lost = RemoteLine(url, capsys).refused("packet", "submit", "--workload", "w", "--hold")
    assert (lost["code"], lost["status"]) == ("server.no_answer", 4)
    assert "not known" in lost["message"]
    name, _, key = lost["hint"].rpartition(" ")[2].partition("=")
    monkeypatch.delenv("PFGOV_TIMEOUT")
    monkeypatch.setenv(name, key)
    again = RemoteLine(served.url, capsys).ok("packet", "submit", "--workload", "w", "--hold")
    last = RemoteLine(served.url, capsys).ok("status")["packets"]
    assert last["PENDING"] == after["PENDING"] + 1
    assert again["packet"]["status"] == "PENDING"
    monkeypatch.setenv(name, "not visible")
    assert name in RemoteLine(served.url, capsys).refused("status")["message"]


def test_an_export_that_is_cut_leaves_nothing(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed or shortened export is noticed before the file takes its name."""
    import httpx2

    _, served = twins
    whole = httpx2.get(f"{served.url}/api/ledger/export")
    sent = whole.content
    for body in (sent[:-900], sent[: sent.rindex(b"{")], sent[:900] + b"?" + sent[901:]):

        def say(raw: bytes, body: bytes = body) -> bytes:
            if GREETS in raw:
                return LIVE
            header = f"Pfgov-Export: {whole.headers['pfgov-export']}\r\n"
            return reply(200, body, "application/jsonl", header)

        with answering(say) as url:
            out = tmp_path / "x.jsonl"
            refused = RemoteLine(url, capsys).refused("ledger", "export", "--out", out)
        assert (refused["code"], refused["status"]) == ("server.export_cut", 4)
        assert list(tmp_path.iterdir()) == []
