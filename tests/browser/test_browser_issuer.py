"""Signing in to the console at an identity provider, in a real browser over real TLS: deep link, out, in again."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from support.api_process import Server
from support.chromium import chromium
from support.issuer import AUDIENCE, SCOPES, Issuer, certificate, key_set

from pfgov.clock import SystemClock

pytestmark = [pytest.mark.browser, pytest.mark.process]

CLIENT = "console-1"
PATIENCE = 20_000


class Provider:
    """An identity provider on this machine: its discovery, keys, page to sign in, and tokens for a code."""

    def __init__(self, folder: Path) -> None:
        self.asked: dict[str, dict[str, str]] = {}
        self.challenges: list[tuple[str, str]] = []
        served, _ = certificate(folder, "localhost")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = served.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        self.trust = folder / "localhost.pem"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                path = urlsplit(self.path)
                if path.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.sign_in(dict(parse_qsl(path.query))))
                    self.end_headers()
                else:
                    self._say(provider.public(path.path))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(raw).items()}
                self._say(json.dumps(provider.tokens(form)).encode())

            def _say(self, raw: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        return Handler

    def public(self, path: str) -> bytes:
        """The keys, or where everything is."""
        if path == "/keys":
            return key_set("ES256")
        places = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return json.dumps(places).encode()

    def sign_in(self, asked: dict[str, str]) -> str:
        """Let somebody in at once; return where the browser goes with the code."""
        code = f"code-{len(self.asked)}"
        self.asked[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def tokens(self, form: dict[str, str]) -> dict[str, str]:
        """The tokens for a code, once."""
        asked = self.asked[form["code"]]
        self.challenges.append((asked["code_challenge"], form["code_verifier"]))
        issuer = Issuer(SystemClock().now() / 1e6, claims={"iss": self.url})
        identity = {"aud": CLIENT, "nonce": asked["nonce"]}
        return {
            "token_type": "Bearer",
            "access_token": issuer.token(scope="pf:read"),
            "id_token": issuer.token(headers={"typ": "JWT"}, **identity),
        }


@contextmanager
def provided(folder: Path) -> Iterator[Provider]:
    """A provider that answers."""
    found = Provider(folder)
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join()


def settings(provider: Provider, server: Server, folder: Path) -> Path:
    """The file that names the provider."""
    scopes = "".join(
        f"{json.dumps(name)} = {json.dumps(list(to))}\n" for name, to in SCOPES.items()
    )
    path = folder / "oidc.toml"
    path.write_text(
        f'issuer = "{provider.url}"\naudience = "{AUDIENCE}"\n[scopes]\n{scopes}'
        f'[console]\nid = "{CLIENT}"\nredirect = "{server.url}/console/signed-in"\n'
    )
    return path


def test_one_signs_in_at_the_provider_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way through the provider loses where one wanted to go, grants too much, or stays open after signing out."""
    with chromium() as browser, provided(tmp_path) as provider:
        monkeypatch.setenv("SSL_CERT_FILE", str(provider.trust))
        server = Server(tmp_path / "ledger")
        server.options = ("--oidc", str(settings(provider, server, tmp_path)))
        server.start()
        context: Any = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        try:
            page.goto(f"{server.url}/console/audit/0")
            page.get_by_role("link", name="Sign in there").click()
            page.wait_for_url("**/console/audit/0")
            assert page.locator("h1").inner_text() == "Entry 0"
            page.goto(f"{server.url}/console/members")
            assert page.get_by_role("link", name="Register a member").count() == 0
            page.goto(f"{server.url}/console/session")
            assert "alice" in page.locator("main").inner_text()
            (cookie,) = [one for one in context.cookies() if one["name"] == "__Host-pfgov"]
            assert cookie["httpOnly"]
            assert cookie["secure"]
            assert not any("token" in one["name"] for one in context.cookies())
            assert context.storage_state()["origins"] == []
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url("**/console/sign-in")
            page.goto(f"{server.url}/console/assignments?outcome=denied")
            page.get_by_role("link", name="Sign in there").click()
            page.wait_for_url(f"{server.url}/console/assignments?outcome=denied")
            assert len(set(provider.challenges)) == len(provider.challenges) == 2
        finally:
            context.close()
            server.stop()
