"""One bounded GET over https: certificate checked, no redirect followed, a size, and a time for all of it together.

Why not a client library: none lets the whole exchange, byte by slow byte, be held to one time.  This module knows
nothing of what it fetches.
"""

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

import h11

from pfgov import __version__
from pfgov.errors import PfgovError
from pfgov_api.limits import FETCH_SECONDS, KEY_SET_BYTES_MAX
from pfgov_api.oidc.settings import is_https

PIECE: Final = 16_384


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
    if not is_https(address):
        raise FetchError(f"{address[:200]} is not an https address")
    parts = urlsplit(address)
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=trust or ssl.create_default_context()
            )
            try:
                return await _ask(reader, writer, parts.netloc, f"{parts.path or '/'}", parts.query)
            finally:
                writer.transport.abort()  # nothing more is said: the answer is whole, or of no use
    except TimeoutError:
        raise FetchError(f"{address[:200]} took longer than {FETCH_SECONDS:g} s") from None
    except (OSError, h11.ProtocolError) as error:
        raise FetchError(f"{address[:200]} cannot be read ({type(error).__name__})") from error


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str, query: str
) -> bytes:
    talk = h11.Connection(our_role=h11.CLIENT)
    headers = [
        ("Host", host),
        ("Accept", "application/json"),
        ("User-Agent", f"pfgov/{__version__}"),
        ("Connection", "close"),
    ]
    asked = h11.Request(method="GET", target=f"{path}?{query}" if query else path, headers=headers)
    writer.write((talk.send(asked) or b"") + (talk.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    body = bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(PIECE))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                raise FetchError(f"{host} answered {event.status_code}; redirects are not followed")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > KEY_SET_BYTES_MAX:
                raise FetchError(f"{host} sent more than {KEY_SET_BYTES_MAX} bytes")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return bytes(body)
