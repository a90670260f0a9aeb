"""Where an issuer's keys come from, what of them is used, and what an operator may say about it all."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.issuer import AUDIENCE, ISSUER, SCOPES, certificate, jwk, key_set

from pfgov.errors import StoreUnavailableError
from pfgov_api.access import Access
from pfgov_api.limits import FETCH_GAP_SECONDS, KEY_SET_BYTES_MAX
from pfgov_api.oidc.fetch import FetchError, fetch
from pfgov_api.oidc.keyset import KeySetError, read_key_set
from pfgov_api.oidc.library import MissingOidcError, jwt
from pfgov_api.oidc.settings import ALGORITHMS, Settings, SettingsError, read_settings
from pfgov_api.oidc.sources import IssuerSource
from pfgov_api.oidc.tokens import Tokens

SETTINGS = Settings(
    issuer=ISSUER,
    audience=AUDIENCE,
    scopes={name: tuple(scopes) for name, scopes in SCOPES.items()},
)


def _set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_only_what_is_meant_for_us_verifies() -> None:
    """Keys for encryption, private or shared keys, small keys and ambiguous ids are passed over."""
    good = jwk("ES256")
    for bad in (
        jwk("small-1024"), jwk("ES256", use="enc"), jwk("ES256", key_ops=["sign"]), jwk("ES256", key_ops="verify"),
        jwk("ES256", alg="ES384"), jwk("ES256", alg=7), {**jwk("ES256"), "d": "AAAA"}, {**jwk("ES256"), "crv": "P-384"},
        {**jwk("ES256"), "x": "AAAA"}, {**jwk("RS256"), "n": "A" * 4_000}, {"kty": "oct", "k": "AAAA"},
        {"kty": ["RSA"]}, {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, {},
    ):  # fmt: skip
        found = read_key_set(_set(good, {**bad, "kid": "bad"}), ("RS256", "ES256", "EdDSA"))
        assert set(found) == {"ES256"}, bad
    twice = _set(
        good, {**jwk("Ed25519"), "kid": "ES256"}, {**jwk("RS256"), "kid": "ES256"}, jwk("RS256")
    )
    assert set(read_key_set(twice, ("RS256", "ES256", "EdDSA"))) == {"RS256"}
    assert set(read_key_set(_set(jwk("RS256")), ("RS256", "PS256"))["RS256"].by_algorithm) == {
        "PS256",
        "RS256",
    }
    assert not {"none", "HS256"} & ALGORITHMS


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[1,null,{"kid":1},{"kid":""}]}',
     b'{"keys":[],"keys":[]}', b"[" * 10_000, b" " * (KEY_SET_BYTES_MAX + 1), json.dumps({"keys": [{}] * 65}).encode()],
    ids=lambda raw: str(raw[:20]),
)  # fmt: skip
def test_what_is_no_key_set_is_refused(raw: bytes) -> None:
    """Anything else than a bounded set with a usable key is an error of its own."""
    with pytest.raises(KeySetError):
        read_key_set(raw, ("ES256",))


class Told:
    """An issuer at the other end of a wire, and a clock to go with it."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.answers: dict[str, bytes | Exception] = {
            f"{ISSUER}/.well-known/openid-configuration": json.dumps(
                {"issuer": ISSUER, "jwks_uri": "https://keys.example/set"}
            ).encode(),
            "https://keys.example/set": key_set("ES256"),
        }

    async def get(self, address: str) -> bytes:
        """Answer."""
        self.asked.append(address)
        self.was_asked.set()
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def source(self) -> IssuerSource:
        """The source that asks it."""
        return IssuerSource(SETTINGS, get=self.get, monotonic=lambda: self.time)


def test_the_issuer_is_discovered_and_asked(api: Api) -> None:
    """Where its keys are the issuer says itself; before it has answered, no token is believed."""
    told = Told()

    async def story() -> None:
        source = told.source()
        with pytest.raises(StoreUnavailableError):
            source.find("ES256")
        await source.refresh()
        assert source.find("ES256") is not None
        assert told.asked == list(told.answers)

    api.run(story())


@pytest.mark.parametrize(
    "document",
    [{"issuer": ISSUER + "/", "jwks_uri": "https://keys.example/set"}, {"issuer": ISSUER},
     {"issuer": ISSUER, "jwks_uri": 1}, {"issuer": ISSUER, "jwks_uri": "http://keys.example/set"},
     {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
     {"issuer": ISSUER, "jwks_uri": "https://u:p@keys.example/set"}, {"issuer": ISSUER, "jwks_uri": "https://a b/"},
     {"issuer": ISSUER, "jwks_uri": "https://keys.example:port/"}, [], "x"],
    ids=str,
)  # fmt: skip
def test_a_discovery_that_leads_astray_is_not_followed(api: Api, document: Any) -> None:
    """Another issuer, no address, or one that is not plain https: nothing is fetched from there."""
    told = Told()
    told.answers[f"{ISSUER}/.well-known/openid-configuration"] = json.dumps(document).encode()

    async def story() -> None:
        source = told.source()
        await source.refresh()
        with pytest.raises(StoreUnavailableError):
            source.find("ES256")
        assert len(told.asked) == 1

    api.run(story())


def test_the_issuer_is_asked_again_whatever_went_wrong(api: Api) -> None:
    """A host that cannot be a name, or a bug of ours, ends one attempt and not the task that keeps the keys."""
    told = Told()
    good, place = told.answers["https://keys.example/set"], "https://keys.example/set"
    told.answers[place] = UnicodeError("label empty or too long")  # type: ignore[assignment]

    async def story() -> None:
        source = told.source()
        await source.refresh()
        with pytest.raises(StoreUnavailableError):
            source.find("ES256")
        told.answers[place] = good
        await source.refresh()
        assert source.find("ES256") is not None

    api.run(story())


def test_strange_key_ids_do_not_hammer_the_issuer(api: Api) -> None:
    """A thousand unknown ids make it be asked once in the gap; a request never waits for it."""
    told = Told()

    async def story() -> None:
        source = told.source()
        await source.refresh()
        asked = len(told.asked)
        for number in range(1_000):
            assert source.find(f"strange-{number}") is None
        assert not source._wanted.is_set()
        told.time += FETCH_GAP_SECONDS
        told.answers["https://keys.example/set"] = key_set("ES256", "Ed25519")
        for number in range(1_000):
            with pytest.raises(StoreUnavailableError):
                source.find(f"strange-{number}")
        assert source._wanted.is_set()
        assert len(told.asked) == asked
        await source.refresh()
        assert len(told.asked) == 2 * asked
        assert source.find("Ed25519") is not None, "a key that the issuer has added is found"
        assert source.find("strange") is None

    api.run(story())


def test_stale_keys_fail_closed(api: Api) -> None:
    """Keys outlive an issuer that is away for a while, and count for nothing after that."""
    told = Told()

    async def story() -> None:
        source = told.source()
        await source.refresh()
        told.answers["https://keys.example/set"] = FetchError("away")
        told.time += SETTINGS.stale_seconds
        await source.refresh()
        assert source.find("ES256") is not None
        told.time += 1
        with pytest.raises(StoreUnavailableError):
            source.find("ES256")
        told.answers["https://keys.example/set"] = key_set("RS256")
        await source.refresh()
        assert source.find("ES256") is None, "a key that the issuer has dropped is gone"

    api.run(story())


def test_the_keeper_asks_and_goes(api: Api) -> None:
    """Started with the server, it asks at once; stopped, it is gone."""
    told = Told()

    async def story() -> None:
        access = Access(api.keyring, Tokens(SETTINGS, told.source(), api.clock))
        await access.start()
        await told.was_asked.wait()
        await access.stop()
        assert access._keeping is None

    api.run(story())


GOOD = f"""
issuer = "{ISSUER}"
audience = "pfgov"
[scopes]
"pf:ops" = ["operator"]
"""


def test_settings_are_read_strictly(tmp_path: Path) -> None:
    """The file says what the defaults do not; a key file is looked for beside it."""
    file = tmp_path / "oidc.toml"
    file.write_text(GOOD)
    assert read_settings(file).scopes == {"pf:ops": ("operator",)}
    file.write_text('keys = "issuer.json"\n' + GOOD)
    assert read_settings(file).keys == str(tmp_path / "issuer.json")
    file.write_text('keys = "https://keys.example/set"\n' + GOOD)
    assert read_settings(file).keys == "https://keys.example/set"


@pytest.mark.parametrize(
    "text",
    ["", "x", GOOD.replace("https", "http"), GOOD.replace("realm", "realm?x=1"), GOOD.replace("operator", "engine"),
     GOOD.replace("operator", "root"), GOOD.replace('["operator"]', "[]"), GOOD.replace("operator", "member:key:x"),
     GOOD.replace('"pf:ops" = ["operator"]', ""), "unknown = 1\n" + GOOD, 'keys = "http://keys.example"\n' + GOOD,
     'algorithms = ["none"]\n' + GOOD, 'algorithms = ["HS256"]\n' + GOOD, "algorithms = []\n" + GOOD,
     "types = []\n" + GOOD, "leeway_seconds = 301\n" + GOOD, "leeway_seconds = -1\n" + GOOD,
     "lifetime_seconds = 90000\n" + GOOD,
     "stale_seconds = 1\n" + GOOD, "scope_claim = []\n" + GOOD, GOOD.replace('"pfgov"', '""')],
    ids=lambda text: text[:40].strip() or "empty",
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(tmp_path: Path, text: str) -> None:
    """What is unknown, unsafe or without bounds does not let the server start."""
    file = tmp_path / "oidc.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        read_settings(file)
    with pytest.raises(SettingsError):
        read_settings(tmp_path / "none.toml")


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyJWT the error says what to install."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingOidcError) as caught:
        jwt()
    assert "pip install PyJWT" in (caught.value.hint or "")


# --- over a real wire ------------------------------------------------------------------------


def _fetched(
    folder: Path, answer: bytes, *, name: str = "localhost", trusting: bool = True
) -> bytes:
    """What a fetch from a real server makes of *answer*; the server then says nothing more."""

    async def story() -> bytes:
        served, trust = certificate(folder, name)
        asked: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            with contextlib.suppress(OSError):
                await writer.drain()
                await reader.read()
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=served)
        port = server.sockets[0].getsockname()[1]
        try:
            found = await fetch(
                f"https://localhost:{port}/keys?a=b", trust=trust if trusting else None
            )
        finally:
            server.close()
        assert asked[0].startswith(b"GET /keys?a=b HTTP/1.1\r\n")
        assert b"uthorization" not in asked[0]
        return found

    return asyncio.run(story())


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_the_fetch_takes_a_whole_answer(tmp_path: Path) -> None:
    """By its length or in chunks, over TLS with a certificate that fits."""
    assert _fetched(tmp_path, OK + b"Content-Length: 2\r\n\r\n{}") == b"{}"
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    assert _fetched(tmp_path, chunked) == b"{}"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
     b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}", OK + b"Content-Length: 400000\r\n\r\n" + b" " * 300_000,
     b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, OK + b"Content-Length: 5\r\n\r\n{"],
    ids=["redirect", "failure", "too much", "not HTTP", "endless headers", "slow"],
)  # fmt: skip
def test_the_fetch_takes_nothing_else(
    tmp_path: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect is not followed, what is too much or too slow is cut off."""
    monkeypatch.setattr("pfgov_api.oidc.fetch.FETCH_SECONDS", 1.0)
    with pytest.raises(FetchError):
        _fetched(tmp_path, answer)


def test_the_fetch_believes_no_other_certificate(tmp_path: Path) -> None:
    """Neither one of another name, nor one that nobody vouches for, nor none at all."""
    whole = OK + b"Content-Length: 2\r\n\r\n{}"
    with pytest.raises(FetchError):
        _fetched(tmp_path, whole, name="other.example")
    with pytest.raises(FetchError):
        _fetched(tmp_path, whole, trusting=False)
    for address in ("http://localhost/", "file:///etc/passwd", "https://", "https://localhost:1/"):
        with pytest.raises(FetchError):
            asyncio.run(fetch(address))


def test_the_documented_file_can_be_read(tmp_path: Path) -> None:
    """The example of the how-to page is a file that the server takes."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "sign-in-with-oidc.md").read_text()
    file = tmp_path / "oidc.toml"
    file.write_text(page.split("```toml\n")[1].split("```")[0])
    assert read_settings(file).scopes["pfgov.planner"] == ("member:agent-planner-01",)
