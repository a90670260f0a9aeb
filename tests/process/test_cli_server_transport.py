"""Whom the command line shows its key, and over which connection."""

import datetime as dt
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.cli_server import GREETS, LIVE, RemoteLine, Served, answering, reply
from support.commandline import CommandLine


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


def test_a_server_without_tls_is_not_called_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who writes https where plain http is spoken is told that there is no TLS, not that nothing answers."""
    CommandLine(tmp_path / "ledger", capsys).ok("init")
    with Served(tmp_path / "ledger") as served:
        refused = RemoteLine(served.url.replace("http:", "https:"), capsys).refused("status")
    assert (refused["code"], refused["status"]) == ("server.tls", 4)
    assert "https" in refused["hint"]
