"""Where a webhook may go: to addresses that the whole internet has, unless its host is allowed by name.

A server that posts wherever it is told reaches what only it can reach: the machine's own services, a cloud's metadata,
the network behind it.  So a name is resolved once, every address of it has to be public, and the connection goes to the
address that was looked at, not to the name again.
"""

import ipaddress
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Final

from pfgov.errors import PfgovError

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host and port.  It raises OSError where there are none."""

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

_SPECIAL: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "192.0.0.0/24",  # metadata of one cloud
        "192.88.99.0/24",
        "168.63.129.16/32",  # the wire server of another, which is allocated like any address
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
    )
)
"""What Python's own table does not have in each of its versions, or nowhere."""


class AddressError(PfgovError):
    """A webhook's host is, or may become, an address that only this server can reach."""

    code = "webhook.address"


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of *host*.

    Raises:
        OSError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # no name of the Internet
        raise OSError(f"{host[:64]!r} cannot be a host's name") from error
    return sorted({str(one[4][0]) for one in found})


def is_public(address: str) -> bool:
    """Whether everybody can reach *address*; one that stands for another is what that one is."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    is_special = found.is_multicast or found.is_reserved or any(found in one for one in _SPECIAL)
    return found.is_global and not is_special


def address_of(
    host: str, port: int, *, allowed: Collection[str] = (), look_up: Resolve = resolve
) -> str:
    """Return the address to connect to for *host*.

    Raises:
        AddressError: one of its addresses is private, link-local, this machine's or otherwise special, and *allowed*
            does not name the host.
        OSError: it has none.
    """
    found = look_up(host, port)
    if not found:
        raise OSError(f"{host} has no address")
    special = [one for one in found if not is_public(one)]
    if special and host.lower().rstrip(".") not in {name.lower().rstrip(".") for name in allowed}:
        raise AddressError(
            f"{host} is {special[0]}, an address that is not public",
            hint=f"if that is meant, name it: allow = [{host!r}]",
        )
    return found[0]
