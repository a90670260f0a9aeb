"""Which ledger the host of a request names: NAME.DOMAIN is the ledger NAME of a server that has a domain for them.

A host is read in one way or refused.  What a proxy could take for a host of the domain is never the default ledger's:
where a server has a domain, a host in another form than a name or an address with a port is an error.  Capitals and a
port change nothing (RFC 9110, 4.2.3); a dot at the end does, and is refused.  Only ``Host`` is read, and no header in
which a proxy says what it was asked.  No ledger is looked up here.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from pfgov.app.tenancy.names import NAME_LENGTH_MAX, is_name, unknown
from pfgov.errors import InvalidError
from pfgov_api.problems import HttpError

HOST_LENGTH_MAX: Final = 253
"""What DNS allows."""

_HOST: Final = re.compile(
    r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])?(:[0-9]{0,5})?", re.ASCII | re.IGNORECASE
)
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class HostError(HttpError):
    """The host of a request can be read in two ways, or in none, and the server's ledgers have hosts."""

    code = "http.host"


class Domain:
    """The domain under which each ledger of a server has a host of its own."""

    def __init__(self, text: str) -> None:
        """Take the domain, as it stands on the command line.

        Raises:
            InvalidError: it is none in lower case, without dots at its ends, to which the longest name can be added.
        """
        labels = text.split(".")
        if (
            len(text) + 1 + NAME_LENGTH_MAX > HOST_LENGTH_MAX
            or not all(map(_LABEL.fullmatch, labels))
            or labels[-1].isdigit()
        ):
            raise InvalidError(
                f"{text[:64]!r} is no domain under which ledgers can have hosts",
                hint="write it in lower case, such as ledgers.example.org: the ledger NAME is then at "
                "NAME.ledgers.example.org",
            )
        self.name = text

    def host_of(self, name: str) -> str:
        """Return the host of the ledger *name*."""
        return f"{name}.{self.name}"

    def holds(self, host: str) -> bool:
        """Whether *host*, without a port, is in the domain, and so no other ledger's than the one it names."""
        return host.lower().rstrip(".").endswith(f".{self.name}")

    def named(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return which ledger the host in *headers* names; None where it is not in the domain.

        Raises:
            HostError: it can be read in two ways, or in none.
            UnknownLedgerError: no ledger can have the name that it names.
        """
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) > 1:
            raise HostError("the header host came twice")
        return _named(self, hosts[0]) if hosts else None


def domain_of(text: str, *own: str | None) -> Domain:
    """Return the domain *text* of a server that is found at its *own* URLs.

    Raises:
        InvalidError: it is none, or one of these is in it: the server could not be asked there.
    """
    domain = Domain(text)
    for url in filter(None, own):
        if domain.holds(urlsplit(url).hostname or ""):
            raise InvalidError(
                f"{url} would be a ledger's: it is in the domain {text}",
                hint="let the server itself be found outside of the domain of its ledgers",
            )
    return domain


@lru_cache(1_024)
def _named(domain: Domain, host: bytes) -> str | None:
    text = host.decode("latin-1")
    found = _HOST.fullmatch(text)
    if found is None or len(text) > HOST_LENGTH_MAX + len(".:65535"):
        raise HostError(
            f"{text[:64]!r} is no host", hint="send a name or an address, perhaps with a port"
        )
    name = (found["name"] or "").lower()
    if not domain.holds(name):
        return None
    if name.endswith("."):
        raise HostError(
            f"{text[:64]!r} ends with a dot",
            hint="leave it out: a proxy may not know it for the same",
        )
    first = name.removesuffix(f".{domain.name}")
    if not is_name(first):
        raise unknown(first)
    return first
