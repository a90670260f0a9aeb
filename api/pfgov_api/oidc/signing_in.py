"""Signing in to the console at the issuer: authorization code with PKCE, state and nonce (RFC 6749, 7636, 9207, 9700).

The browser brings back a code, the server exchanges it, and the access token that it gets is believed exactly as the
API believes it: the session is that token's grant, and ends with it.  The identity token is held to the nonce and to
the same subject, and nothing of it is used.  Tokens are kept neither here nor in the browser.

Anybody may be sent to the issuer, without end, so that nothing is kept here of who was: it is in the browser's cookie,
under a code of this process, and what is secret of it is drawn from that again.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from pfgov.errors import BusyError, PfgovError
from pfgov.limits import MICRO
from pfgov.model import read_json
from pfgov_api.grants import Grant
from pfgov_api.limits import FETCH_EVERY_SECONDS, KEY_SET_BYTES_MAX
from pfgov_api.oidc.fetch import FetchError, fetch, send
from pfgov_api.oidc.settings import Client, is_https
from pfgov_api.oidc.sources import DISCOVERY
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.problems import UnauthenticatedError

PENDING_SECONDS: Final = 600.0
"""How long a browser may be at the issuer."""

USED_MAX: Final = 10_000
"""Browsers that came back lately, of which it is remembered that they cannot a second time; a code cannot either."""

TARGET_CHARACTERS_MAX: Final = 1_024
"""Of a page that is shown after signing in; instead of one with a longer address it is the first."""

EXCHANGES_MAX: Final = 8
"""Codes that are exchanged at once."""

ASKING_MAX: Final = 100
"""Browsers that wait while the issuer is asked where people sign in: it is asked once for all of them."""

ASKED_AGAIN_SECONDS: Final = 5.0
"""After it did not say."""

Get = Callable[[str], Awaitable[bytes]]
Send = Callable[[str, Mapping[str, str], str | None], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Pending:
    """One browser that was sent to the issuer."""

    state: str
    nonce: str
    verifier: str
    target: str


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorization: str
    token: str
    names_issuer: bool
    since: float


@dataclass(slots=True)
class SigningIn:
    """The console as a client of the issuer."""

    tokens: Tokens
    client: Client
    get: Get = fetch
    send: Send = send
    now: Callable[[], float] = time.monotonic
    _code: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _used: dict[str, float] = field(default_factory=dict[str, float])
    _endpoints: _Endpoints | None = None
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EXCHANGES_MAX))
    _asks: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0
    _silence: str = ""
    _silent_since: float = float("-inf")

    async def begin(self, target: str) -> tuple[str, str]:
        """Return where to send a browser that wants to see *target*, and the secret that it is to bring back.

        Raises:
            FetchError: the issuer does not say where.
            BusyError: too many wait for what it says.
        """
        found = await self._discovered()
        shown = target if len(target) <= TARGET_CHARACTERS_MAX else ""
        said = f"{secrets.token_urlsafe(32)}.{int(self.now() * MICRO)}.{_text(shown.encode())}"
        secret = f"{said}~{self._drawn('said', said)}"
        pending = self._drawn_again(said, shown)
        challenge = _text(hashlib.sha256(pending.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect,
            "scope": " ".join(self.client.request or ("openid", *self.tokens.settings.scopes)),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        between = "&" if "?" in found.authorization else "?"
        return f"{found.authorization}{between}{urlencode(query)}", secret

    async def finish(self, query: Mapping[str, str], secret: str | None) -> tuple[Grant, str]:
        """Return who came back from the issuer, and what they wanted to see; each secret works once.

        Raises:
            UnauthenticatedError: this browser was not sent there, or the issuer vouches for nobody.
            FetchError: the issuer does not answer.
            StoreUnavailableError: its keys are not at hand.
            BusyError: too many come back at once.
        """
        if self._room.locked():  # before the secret is spent: the page can be loaded again
            raise BusyError("too many sign in at once", hint="try again in a moment")
        pending = self._taken(secret or "")
        if pending is None or not _is(query.get("state"), pending.state):
            raise _refused("this browser did not begin to sign in here")
        found = await self._discovered()
        issuer = self.tokens.settings.issuer
        if query.get("iss", issuer) != issuer or (found.names_issuer and "iss" not in query):
            raise _refused("the answer is another issuer's")
        if "error" in query or not query.get("code"):
            raise _refused("the issuer did not sign you in")
        async with self._room:
            answer = await self._exchanged(found.token, query["code"], pending.verifier)
        identity, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(identity, str) or not isinstance(access, str):
            raise _refused("the issuer sent no tokens")
        subject = self.tokens.subject_of_identity(identity, self.client.id, pending.nonce)
        grant = self.tokens.grant(access, subject=subject)
        return grant, pending.target

    async def _exchanged(self, address: str, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect,
            "client_id": self.client.id,
            "code_verifier": verifier,
        }
        try:
            raw = await self.send(address, form, self.client.secret)
            answer = read_json(raw, limit=KEY_SET_BYTES_MAX)
        except FetchError:
            raise
        except PfgovError:
            raise FetchError("the issuer's answer cannot be read") from None
        if not isinstance(answer, dict):
            raise FetchError("the issuer's answer is no object")
        return answer

    async def _discovered(self) -> _Endpoints:
        """Return where the issuer lets people sign in, which anybody may make it be asked: once, for all who wait.

        Raises:
            FetchError: it does not say, or did not a moment ago.
            BusyError: too many wait for that.
        """
        known = self._known()
        if known is not None:
            return known
        if self._waiting >= ASKING_MAX:
            raise BusyError("too many sign in at once", hint="try again in a moment")
        self._waiting += 1
        try:
            async with self._asks:
                return self._known() or await self._asked()
        except FetchError as error:
            if self._known_silence() is None:
                self._silence, self._silent_since = error.message, self.now()
            raise
        finally:
            self._waiting -= 1

    def _known(self) -> _Endpoints | None:
        """Return what the issuer said, if that is fresh.

        Raises:
            FetchError: it said nothing a moment ago.
        """
        if (silence := self._known_silence()) is not None:
            raise FetchError(silence)
        known = self._endpoints
        is_fresh = known is not None and self.now() - known.since < FETCH_EVERY_SECONDS
        return known if is_fresh else None

    def _known_silence(self) -> str | None:
        """Return why the issuer said nothing, for a moment after it did not."""
        is_recent = self.now() - self._silent_since < ASKED_AGAIN_SECONDS
        return self._silence if is_recent else None

    async def _asked(self) -> _Endpoints:
        """Ask the issuer (OpenID Connect Discovery 1.0, section 4)."""
        issuer = self.tokens.settings.issuer
        raw = await self.get(issuer.rstrip("/") + DISCOVERY)
        try:
            answer = read_json(raw, limit=KEY_SET_BYTES_MAX)
        except PfgovError:
            raise FetchError("the discovery document cannot be read") from None
        if not isinstance(answer, dict) or answer.get("issuer") != issuer:  # 4.3
            raise FetchError("the discovery document is another issuer's")
        places = [answer.get(f"{name}_endpoint") for name in ("authorization", "token")]
        authorization, token = (
            one if isinstance(one, str) and is_https(one) else None for one in places
        )
        if authorization is None or token is None:
            raise FetchError("the discovery document names no https address to sign in at")
        names = answer.get("authorization_response_iss_parameter_supported") is True
        self._endpoints = _Endpoints(authorization, token, names, self.now())
        return self._endpoints

    # --- who was sent away -------------------------------------------------------------------

    def _drawn(self, name: str, said: str) -> str:
        """Return the secret called *name* of the browser of which *said* tells; nobody else can draw it."""
        return _text(hmac.digest(self._code, f"{name}~{said}".encode(), "sha256"))

    def _drawn_again(self, said: str, target: str) -> _Pending:
        state, nonce, verifier = (
            self._drawn(name, said) for name in ("state", "nonce", "verifier")
        )
        return _Pending(state, nonce, verifier, target)

    def _taken(self, secret: str) -> _Pending | None:
        """Return of which browser *secret* is, once; None if it is not of this process, came back, or is too old."""
        said, _, code = secret.partition("~")
        if not _is(code, self._drawn("said", said)):
            return None
        moment, (_, since, target) = self.now(), said.split(".", 2)
        begun, oldest = int(since) / MICRO, moment - PENDING_SECONDS
        if begun <= oldest or said in self._used:
            return None
        if len(self._used) >= USED_MAX:
            self._used = {one: at for one, at in self._used.items() if at > oldest}
        if len(self._used) >= USED_MAX:
            del self._used[next(iter(self._used))]
        self._used[said] = begun
        return self._drawn_again(said, base64.urlsafe_b64decode(target + "==").decode())


def _is(given: str | None, wanted: str) -> bool:
    return hmac.compare_digest((given or "").encode(errors="replace"), wanted.encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _refused(message: str) -> UnauthenticatedError:
    return UnauthenticatedError(message, hint="sign in again, from the console's own page")
