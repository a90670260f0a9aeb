"""One bounded exchange over https: certificate checked, no redirect followed, a size, and a time for all of it.

A client's own timeouts hold single reads, so that an answer can trickle for ever; one deadline stands around the whole
exchange here.  This module knows nothing of what it fetches.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from pfgov import __version__
from pfgov.client.core import http
from pfgov.errors import PfgovError
from pfgov_api.limits import FETCH_SECONDS, KEY_SET_BYTES_MAX
from pfgov_api.oidc.settings import is_https

HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # what is counted below is what was sent
    "User-Agent": f"pfgov/{__version__}",
}


class FetchError(PfgovError):
    """The issuer did not answer with what was asked of it."""

    code = "oidc.fetch"


async def fetch(address: str, *, trust: ssl.SSLContext | None = None) -> bytes:
    """Return what is at *address*.

    Args:
        address: Plain https.
        trust: Whose certificates count; the system's by default.

    Raises:
        FetchError: another scheme, no connection, a bad certificate, any status but 200, too much, or too late.
    """
    return await _exchange("GET", address, trust=trust)


async def send(
    address: str,
    form: Mapping[str, str],
    password: str | None = None,
    *,
    trust: ssl.SSLContext | None = None,
) -> bytes:
    """Return what *address* answers to a *form*; with a *password* its ``client_id`` proves itself (RFC 6749, 2.3.1).

    Raises:
        FetchError: as :func:`fetch`.
    """
    who = None if password is None else (quote_plus(form["client_id"]), quote_plus(password))
    sent = {name: value for name, value in form.items() if who is None or name != "client_id"}
    return await _exchange("POST", address, trust=trust, data=sent, auth=who)


async def _exchange(
    method: str, address: str, *, trust: ssl.SSLContext | None, **more: Any
) -> bytes:
    if not is_https(address):
        raise FetchError(f"{address[:200]} is not an https address")
    httpx = http()
    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(
                verify=trust or ssl.create_default_context(),
                trust_env=False,  # a proxy of the environment would be somebody else to trust
                follow_redirects=False,
            ) as client,
            client.stream(method, address, headers=HEADERS, **more) as answer,
        ):
            return await _read(answer, address)
    except TimeoutError:
        raise FetchError(f"{address[:200]} took longer than {FETCH_SECONDS:g} s") from None
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(f"{address[:200]} cannot be read ({type(error).__name__})") from error


async def _read(answer: Any, address: str) -> bytes:
    if answer.status_code != 200:
        raise FetchError(
            f"{address[:200]} answered {answer.status_code}; redirects are not followed"
        )
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > KEY_SET_BYTES_MAX:
            raise FetchError(f"{address[:200]} sent more than {KEY_SET_BYTES_MAX} bytes")
    return bytes(body)
