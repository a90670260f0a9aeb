"""Where an issuer's keys come from, and how old they may be: a file that is read again when it changes, or the issuer.

The issuer is asked in the background, every few minutes, and never by a request: a request only notes that it wanted a
key that is not here, and is told to come back.  However many strange key ids are sent, the issuer is asked no more than
once in ``FETCH_GAP_SECONDS``.  Keys that could not be confirmed for too long count for nothing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from pfgov.client.core import http
from pfgov.errors import PfgovError, StoreUnavailableError
from pfgov.files import read_regular
from pfgov.model import read_json
from pfgov_api.limits import FETCH_EVERY_SECONDS, FETCH_GAP_SECONDS, KEY_SET_BYTES_MAX
from pfgov_api.oidc.fetch import FetchError, fetch
from pfgov_api.oidc.keyset import KeySetError, VerifyingKey, read_key_set
from pfgov_api.oidc.settings import Settings, is_https

DISCOVERY: Final = "/.well-known/openid-configuration"
RECHECK_SECONDS: Final = 0.25

log = logging.getLogger("pfgov.api")


class KeySource(Protocol):
    """The keys of one issuer."""

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the key of that id, None if the issuer has none.

        Raises:
            StoreUnavailableError: ``oidc.keys``, that cannot be said at the moment.
        """
        ...

    async def keep(self) -> None:
        """Keep the keys fresh, for ever."""
        ...


def source_of(settings: Settings) -> KeySource:
    """Return the source that *settings* name; a file is read at once, the issuer is asked later.

    Raises:
        StoreUnavailableError: the file cannot be read, or is no key set.
        MissingExtraError: httpx2 is not installed, which asks the issuer.
    """
    if settings.keys is not None and not is_https(settings.keys):
        found = FileSource(Path(settings.keys), settings.algorithms)
        found.find("")
        return found
    http()  # said at the start, not when the first key is wanted
    return IssuerSource(settings)


class FileSource:
    """A key set in a file, read again when it changes."""

    def __init__(
        self,
        path: Path,
        algorithms: tuple[str, ...],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        recheck_seconds: float = RECHECK_SECONDS,
    ) -> None:
        self.path = path
        self._algorithms = algorithms
        self._monotonic = monotonic
        self._recheck_seconds = recheck_seconds
        self._checked = float("-inf")
        self._stamp: tuple[int, int, int] | None = None
        self._keys: Mapping[str, VerifyingKey] = {}

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the key of that id.

        Raises:
            StoreUnavailableError: the file cannot be read, or is no key set: no token is believed.
        """
        now = self._monotonic()
        if now - self._checked >= self._recheck_seconds:
            try:
                self._read()
            except (OSError, KeySetError) as error:
                self._stamp = None
                raise StoreUnavailableError(
                    f"the issuer's keys in {self.path} cannot be read ({type(error).__name__})",
                    code="oidc.keys",
                    hint="no token is believed until the file is mended",
                ) from error
            self._checked = now
        return self._keys.get(kid)

    def _read(self) -> None:
        found = self.path.stat()
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._keys = read_key_set(read_regular(self.path, KEY_SET_BYTES_MAX), self._algorithms)
            self._stamp = stamp

    async def keep(self) -> None:
        """Nothing has to be done: every question looks at the file."""


class IssuerSource:
    """The issuer itself, asked over https."""

    def __init__(
        self,
        settings: Settings,
        *,
        get: Callable[[str], Awaitable[bytes]] = fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._get = get
        self._monotonic = monotonic
        self._keys: Mapping[str, VerifyingKey] = {}
        self._confirmed = float("-inf")
        self._asked = float("-inf")
        self._wanted = asyncio.Event()

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the key of that id; one that is not here may make the issuer be asked again, later.

        Raises:
            StoreUnavailableError: the keys are too old, or the issuer is about to be asked for this one.
        """
        now = self._monotonic()
        if now - self._confirmed > self._settings.stale_seconds:
            raise StoreUnavailableError(
                f"the keys of {self._settings.issuer} could not be had",
                code="oidc.keys",
                hint="no token is believed until the issuer answers; API keys are",
            )
        found = self._keys.get(kid)
        if found is None and now - self._asked >= FETCH_GAP_SECONDS:
            self._wanted.set()
            raise StoreUnavailableError(
                "that key is not known yet; the issuer is asked for it",
                code="oidc.keys",
                hint="come back in a moment",
            )
        return found

    async def keep(self) -> None:
        """Ask every few minutes, and sooner when a key is missing, but never twice within the gap."""
        while True:
            await self.refresh()
            await asyncio.sleep(FETCH_GAP_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FETCH_EVERY_SECONDS - FETCH_GAP_SECONDS):
                    await self._wanted.wait()

    async def refresh(self) -> None:
        """Ask the issuer once; what it last said stays when it does not answer."""
        try:
            address = self._settings.keys or await self._discovered()
            self._keys = read_key_set(await self._get(address), self._settings.algorithms)
            self._confirmed = self._monotonic()
        except Exception as error:  # noqa: BLE001 - whatever the issuer sent, it is asked again
            answer = error.message if isinstance(error, PfgovError) else type(error).__name__
            log.warning("the issuer's keys could not be had: %s", answer)
        finally:
            self._asked = self._monotonic()
            self._wanted.clear()

    async def _discovered(self) -> str:
        """Return where the issuer keeps its keys (OpenID Connect Discovery 1.0, section 4).

        Raises:
            FetchError: it does not say, or speaks for somebody else.
        """
        raw = await self._get(self._settings.issuer.rstrip("/") + DISCOVERY)
        answer = read_json(raw, limit=KEY_SET_BYTES_MAX)
        if not isinstance(answer, dict) or answer.get("issuer") != self._settings.issuer:  # 4.3
            raise FetchError("the discovery document is another issuer's")
        address = answer.get("jwks_uri")
        if not isinstance(address, str) or not is_https(address):
            raise FetchError("the discovery document names no https address of keys")
        return address
