"""Where a server listens, and where others find it: addresses that are taken before anything else is begun.

This module knows sockets and URLs, and neither a ledger nor a route.
"""

import errno
import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urlsplit

from pfgov.errors import InvalidError, StoreError

BACKLOG: Final = 1_024
URL_LENGTH_MAX: Final = 300
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)

_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_WHY: Final = {
    errno.EADDRINUSE: "the port is taken",
    errno.EADDRNOTAVAIL: "the address is not this machine's",
    errno.EACCES: "this user may not have the port",
}


def is_loopback(host: str) -> bool:
    """Whether *host* names this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at every address of *host*; whoever connects waits until somebody accepts.

    Raises:
        StoreError: ``serve.address``, nothing can listen there.
    """
    found: list[socket.socket] = []
    missing: OSError | None = None
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, (name, *rest) in dict.fromkeys(known):
            at = (name, found[0].getsockname()[1] if found else port, *rest[1:])
            try:
                found.append(_listener(family, at))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                missing = error  # a name may have an address of a family that is not here
        if not found:
            raise missing or OSError(errno.EADDRNOTAVAIL, "no address")
    except OSError as error:
        for one in found:
            one.close()
        raise _refused(host, port, error) from error
    return found


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # the other family has a socket of its own
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
        # A copy of one that blocks would make all its copies block, also those that are in use.
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def _refused(host: str, port: int, error: OSError) -> StoreError:
    why = _WHY.get(error.errno or 0) or error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        why = "there is no such address"
    return StoreError(
        f"nothing can listen at {host}, port {port}: {why}",
        code="serve.address",
        hint="choose another with --port or --host, or stop what listens there",
    )


def public_url(text: str) -> str:
    """Return the URL under which others find the server, without a slash at its end.

    Raises:
        InvalidError: it is not a scheme, a name and perhaps a port.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    name = parts.netloc.lower().removesuffix("" if port is None else f":{port}")
    if (
        len(text) > URL_LENGTH_MAX
        or parts.scheme not in {"http", "https"}
        or not _NAME.fullmatch(name)
        or text.lower().rstrip("/") != f"{parts.scheme}://{parts.netloc.lower()}"
        or text.endswith("//")
        or port == 0
    ):
        raise InvalidError(
            f"{text[:64]!r} is not where a server can be found",
            hint="write https://NAME or https://NAME:PORT, without a path: the API begins at /",
        )
    return f"{parts.scheme}://{name}{'' if port is None else f':{port}'}"


def local_url(host: str, port: int) -> str:
    """Return the URL of a *port* here; *host* may be an IPv6 address."""
    return f"http://{'[' + host + ']' if ':' in host else host}:{port}"
