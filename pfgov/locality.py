"""Whether a request comes from this machine: what its headers say of proxies and of the name that was asked.

A server that asks nobody for a key answers to this machine alone.  A page in a browser may have had its own name
resolved to this machine, and behind a proxy everybody comes from here.  Who connects, and what follows from it, is not
known here.
"""

import re
from collections.abc import Iterable
from typing import Final

_HERE: Final = re.compile(
    r"(localhost|127\.0\.0\.1|\[::1\])?(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_OF_PROXIES: Final = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)


def is_passed_on(headers: Iterable[str]) -> bool:
    """Whether the names of a request's *headers* say that a proxy passes it on."""
    return not _OF_PROXIES.isdisjoint(name.lower() for name in headers)


def names_here(host: str) -> bool:
    """Whether *host*, as a ``Host`` header has it, names this machine, or nothing.

    >>> names_here("localhost:8000"), names_here("[::1]"), names_here("localhost.example.org")
    (True, True, False)
    """
    return _HERE.fullmatch(host) is not None
