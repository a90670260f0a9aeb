"""Signing in to the console at an issuer: who gets in, as whom, for how long, and every way in that must not be one."""

import asyncio
import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest
from support.api_server import Api
from support.issuer import AUDIENCE, ISSUER, SCOPES, Issuer, key_set

from pfgov_api.access import Access
from pfgov_api.console.handlers import Console
from pfgov_api.console.sessions import AWAY, COOKIE
from pfgov_api.oidc.fetch import FetchError
from pfgov_api.oidc.settings import Client, Settings, SettingsError, read_settings
from pfgov_api.oidc.signing_in import ASKING_MAX, PENDING_SECONDS
from pfgov_api.oidc.sources import FileSource
from pfgov_api.oidc.tokens import Tokens

CLIENT = "console-1"
REDIRECT = "https://pfgov.example/console/signed-in"
SETTINGS = Settings(
    issuer=ISSUER,
    audience=AUDIENCE,
    scopes={name: tuple(scopes) for name, scopes in SCOPES.items()},
    console=Client(id=CLIENT, redirect=REDIRECT),
)
PLACES = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
    "token_endpoint": f"{ISSUER}/token",
    "authorization_response_iss_parameter_supported": True,
}


class Desk(Api):
    """An API with a console that people enter through an issuer, which is played here."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "ledger")
        keys = folder / "issuer.json"
        keys.write_bytes(key_set("ES256"))
        source = FileSource(keys, SETTINGS.algorithms, recheck_seconds=0)
        self.service.access = Access(self.keyring, Tokens(SETTINGS, source, self.clock))
        self.issuer = Issuer(self.clock.now() / 1e6)
        self.places: dict[str, Any] = dict(PLACES)
        self.answer: dict[str, Any] = {}
        self.sent: list[tuple[str, dict[str, str], str | None]] = []
        self.moment = 0.0
        self.console = console_of(self)
        found = self.console.issuer.signing_in
        assert found is not None
        found.get, found.send, found.now = self._get, self._send, lambda: self.moment

    async def _get(self, address: str) -> bytes:
        assert address == f"{ISSUER}/.well-known/openid-configuration"
        return json.dumps(self.places).encode()

    async def _send(self, address: str, form: Mapping[str, str], secret: str | None) -> bytes:
        self.sent.append((address, dict(form), secret))
        return json.dumps(self.answer).encode()

    def leave(self, target: str = "/console/members") -> tuple[dict[str, str], str]:
        """Go to the issuer; return what it is asked, and the cookie of the browser."""
        gone = self.get(f"/console/sign-in/issuer?next={target}")
        assert gone.status_code == 303, gone.text
        asked = dict(parse_qsl(urlsplit(gone.headers["location"]).query))
        return asked, gone.headers["set-cookie"].partition(";")[0]

    def tokens(self, asked: Mapping[str, str], **claims: Any) -> None:
        """Let the issuer answer with tokens for this sign-in."""
        identity = {"aud": CLIENT, "nonce": asked["nonce"], **claims}
        self.answer = {
            "access_token": self.issuer.token(),
            "id_token": self.issuer.token(headers={"typ": "JWT"}, **identity),
        }

    def back(self, asked: Mapping[str, str], cookie: str, **query: str | None) -> httpx2.Response:
        """Come back with a code."""
        said = {"code": "c1", "state": asked["state"], "iss": ISSUER, **query}
        given = "&".join(f"{name}={value}" for name, value in said.items() if value is not None)
        return self.get(f"/console/signed-in?{given}", headers={"Cookie": cookie})


def console_of(api: Api) -> Console:
    """The console that answers in *api*."""
    for route in api.app.app.routes:
        for one in getattr(route, "route_handlers", ()):
            if "console" in str(one.name or ""):
                found: Console = one.fn.__closure__[0].cell_contents
                return found
    raise AssertionError("there is no console")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An API with an issuer at which people sign in."""
    with Desk(tmp_path) as found:
        yield found


def test_somebody_signs_in_there_and_is_who_the_token_says(desk: Desk) -> None:
    """The issuer is asked something else, or the session has other rights or another name than the token."""
    page = desk.get("/console/members")
    assert page.status_code == 401
    assert "/console/sign-in/issuer?next=%2Fconsole%2Fmembers" in page.text
    asked, cookie = desk.leave()
    assert (asked["client_id"], asked["redirect_uri"]) == (CLIENT, REDIRECT)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"].split() == ["openid", *SCOPES]
    assert asked["tenant"] == "1"
    desk.tokens(asked)
    came = desk.back(asked, cookie)
    assert (came.status_code, came.headers["location"]) == (303, "/console/members")
    ((address, form, secret),) = desk.sent
    assert (address, secret) == (PLACES["token_endpoint"], None)
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
    assert (form["code"], form["redirect_uri"]) == ("c1", REDIRECT)
    session = {"Cookie": came.headers["set-cookie"].partition(";")[0]}
    assert session["Cookie"].startswith(f"{COOKIE}=")
    assert "oidc:alice" in desk.get("/console/session", headers=session).text
    assert desk.get("/console/members", headers=session).status_code == 200
    assert desk.get("/console/keys", headers=session).text.count("Who may come in") == 0
    desk.clock.advance(400 * 1_000_000)  # the token has ended, and the session with it
    assert desk.get("/console/members", headers=session).status_code == 401


def test_the_issuer_is_asked_once_for_all_who_wait(desk: Desk) -> None:
    """Nobody's browser makes this server ask a slow or broken issuer over and over: each asking is a connection."""
    found = desk.console.issuer.signing_in
    assert found is not None
    asked = 0
    door: asyncio.Event

    async def slow(_address: str) -> bytes:
        nonlocal asked
        asked += 1
        await door.wait()
        if found.now() < 1_000:
            raise FetchError("nobody is there")
        return json.dumps(desk.places).encode()

    async def crowd() -> Counter[str]:
        nonlocal door
        door = asyncio.Event()
        waiting = [
            asyncio.create_task(found.begin("/console/members")) for _ in range(ASKING_MAX + 5)
        ]
        await asyncio.sleep(0)
        door.set()
        came = await asyncio.gather(*waiting, return_exceptions=True)
        return Counter(type(one).__name__ for one in came)

    async def story() -> None:
        assert await crowd() == {"FetchError": ASKING_MAX, "BusyError": 5}
        assert await crowd() == {"FetchError": ASKING_MAX + 5}
        assert asked == 1, "a moment later it is not asked again"
        desk.moment = 2_000
        assert await crowd() == {"tuple": ASKING_MAX, "BusyError": 5}
        assert asked == 2

    found.get = slow
    asyncio.run(story())


def test_strangers_who_begin_to_sign_in_send_nobody_back(desk: Desk) -> None:
    """Whoever reaches the port begins so often that what was known of the others who are at the issuer is gone."""
    asked, cookie = desk.leave()
    found = desk.console.issuer.signing_in
    assert found is not None

    async def strangers() -> None:
        for _ in range(3_000):
            await found.begin("/console/members")

    asyncio.run(strangers())
    desk.tokens(asked)
    assert desk.back(asked, cookie).status_code == 303


def test_a_browser_cannot_write_itself_where_it_was_sent(desk: Desk) -> None:
    """What is in the cookie is believed though somebody changed it, or where the page's address is of any length."""
    asked, cookie = desk.leave()
    name, _, secret = cookie.partition("=")
    said, _, code = secret.partition("~")
    drawn, since, target = said.split(".")
    desk.tokens(asked)
    for wrong in (
        f"{drawn}.{int(since) + 1}.{target}~{code}",
        f"{drawn}.{since}.{target[:-1]}~{code}",
        f"{said}~{asked['state']}",
        f"{said}~",
        said,
        "~",
    ):
        assert desk.back(asked, f"{name}={wrong}").status_code == 401, wrong
    assert desk.back(asked, cookie).headers["location"] == "/console/members"
    asked, cookie = desk.leave("/console/" + "m" * 5_000)
    assert len(cookie) < 1_000
    desk.tokens(asked)
    assert desk.back(asked, cookie).headers["location"] == "/console/overview"


def test_whoever_comes_back_while_many_do_may_come_again(desk: Desk) -> None:
    """One who is told to try again has to begin anew, because the sign-in is spent."""
    asked, cookie = desk.leave()
    desk.tokens(asked)
    found = desk.console.issuer.signing_in
    assert found is not None
    room, found._room = found._room, asyncio.Semaphore(0)
    assert desk.back(asked, cookie).status_code == 503
    found._room = room
    assert desk.back(asked, cookie).status_code == 303


def test_each_sign_in_is_of_one_browser_and_once(desk: Desk) -> None:
    """A code gets in that another browser brings, or twice, or late, or without its state: a forged sign-in."""
    asked, cookie = desk.leave()
    other, stranger = desk.leave()
    desk.tokens(asked)
    assert desk.back(asked, stranger).status_code == 401  # which spends that browser's own
    assert desk.back(other, stranger).status_code == 401
    assert desk.back(asked, f"{AWAY}=").status_code == 401
    assert desk.sent == []
    assert desk.back(asked, cookie).status_code == 303
    assert desk.back(asked, cookie).status_code == 401
    for wrong in ({"state": None}, {"state": "x"}, {"iss": None}, {"iss": "https://other.example"}):
        asked, cookie = desk.leave()
        desk.tokens(asked)
        assert desk.back(asked, cookie, **wrong).status_code == 401, wrong
    asked, cookie = desk.leave()
    assert desk.back(asked, cookie, code=None, error="access_denied").status_code == 401
    asked, cookie = desk.leave()
    desk.moment += PENDING_SECONDS + 1
    assert desk.back(asked, cookie).status_code == 401
    assert len(desk.sent) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": 7},
        {"aud": "another-client"},
        {"aud": [CLIENT, "x"], "azp": "x"},
        {"sub": "mallory"},
        {"iss": "https://other.example"},
        {"exp": 1},
    ],
)
def test_an_identity_that_is_not_for_this_sign_in_lets_nobody_in(
    desk: Desk, claims: dict[str, Any]
) -> None:
    """An identity token of another sign-in, client, person or issuer is believed."""
    asked, cookie = desk.leave()
    desk.tokens(asked, **claims)
    refused = desk.back(asked, cookie)
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    assert 'role="alert"' in refused.text


def test_what_else_the_issuer_may_answer_lets_nobody_in(desk: Desk) -> None:
    """An access token for others or without a mapped scope, no tokens, or no sense, lets somebody in."""
    for change in (
        {"access_token": None},
        {"id_token": None},
        {"access_token": desk.issuer.token(aud="another")},
        {"access_token": desk.issuer.token(scope="nothing")},
        {"access_token": desk.issuer.token(headers={"typ": "JWT"})},
        {"access_token": "pfgov_a_b"},
    ):
        asked, cookie = desk.leave()
        desk.tokens(asked)
        desk.answer |= change
        assert desk.back(asked, cookie).status_code == 401, change


@pytest.mark.parametrize(
    "places",
    [
        {"issuer": "https://other.example"},
        {"authorization_endpoint": "http://issuer.example/auth"},
        {"token_endpoint": None},
    ],
)
def test_nobody_is_sent_where_the_issuer_does_not_say(desk: Desk, places: dict[str, Any]) -> None:
    """A browser, or a code, is sent to an address that is another issuer's, or plain."""
    desk.places |= places
    answer = desk.get("/console/sign-in/issuer")
    assert answer.status_code >= 500
    assert "location" not in answer.headers


def test_one_comes_back_to_this_console_alone(desk: Desk) -> None:
    """After signing in one is sent elsewhere."""
    for target in ("//evil.example/", "https://evil.example", "/console/signed-in", "/api/docs"):
        asked, cookie = desk.leave(target)
        desk.tokens(asked)
        assert desk.back(asked, cookie).headers["location"] == "/console/overview"


def test_without_a_client_there_is_no_such_way_in(desk: Desk) -> None:
    """An issuer whose tokens are believed lets people in although nothing says so."""
    tokens = desk.service.access.tokens
    assert tokens is not None
    plain = msgspec.structs.replace(SETTINGS, console=None)
    desk.service.access = Access(desk.keyring, Tokens(plain, tokens.source, desk.clock))
    assert desk.get("/console/sign-in/issuer").status_code == 401
    assert "sign-in/issuer" not in desk.get("/console/sign-in").text


def test_what_the_file_says_of_the_console_is_checked(tmp_path: Path) -> None:
    """An address that is not this server's page, an empty client or secret is taken."""
    path = tmp_path / "oidc.toml"
    head = f'issuer = "{ISSUER}"\naudience = "pfgov"\n[scopes]\nx = ["auditor"]\n[console]\n'

    def read(text: str) -> Settings:
        path.write_text(head + text)
        return read_settings(path)

    good = f'id = "c"\nredirect = "{REDIRECT}"\n'
    (tmp_path / "secret").write_text("s3cret\n")
    found = read(good + 'secret = "secret"\n').console
    assert found is not None
    assert found.secret == "s3cret"
    assert read('id = "c"\nredirect = "http://127.0.0.1:8000/console/signed-in"\n').console
    (tmp_path / "empty").write_text("\n")
    for bad in (
        f'id = ""\nredirect = "{REDIRECT}"\n',
        'id = "c"\n',
        'id = "c"\nredirect = "http://pfgov.example/console/signed-in"\n',
        'id = "c"\nredirect = "https://pfgov.example/console/overview"\n',
        f'id = "c"\nredirect = "{REDIRECT}?x=1"\n',
        good + 'secret = "missing"\n',
        good + 'secret = "empty"\n',
    ):
        with pytest.raises(SettingsError):
            read(bad)
