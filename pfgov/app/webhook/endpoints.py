"""Who is told of what: the file of webhooks that an operator writes (TOML), checked before anything is sent."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

from pfgov.app.webhook.limits import ENDPOINTS_MAX
from pfgov.client.webhooks import WebhookError, key_of
from pfgov.core.events import EVENTS
from pfgov.errors import InvalidError, StoreUnavailableError
from pfgov.files import read_regular

_SENT_AS_IT_IS: Final = re.compile("[!-~]+")

_NEEDED: Final = ("name", "url", "secret_file")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver.

    Attributes:
        name: What it is called in the list and in the log.
        host: Where it is.
        port: Its port.
        path: With the query.
        is_plain: Whether it is spoken to without TLS: hosts that are allowed by name only.
        secret: What messages to it are signed with.
        types: The events that it hears of; all of them where none is named.
    """

    name: str
    host: str
    port: int
    path: str
    is_plain: bool
    secret: str
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Webhooks:
    """All receivers, and the hosts that may have addresses which are not public."""

    endpoints: tuple[Endpoint, ...]
    allowed: frozenset[str]


def read_webhooks(path: Path) -> Webhooks:
    """Return what the file *path* says.

    Raises:
        InvalidError: ``webhook.file``, with the reason.
        StoreUnavailableError: it, or the file of a secret, cannot be read.
    """
    try:
        tree: dict[str, Any] = tomllib.loads(_read(path))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists
        raise _bad(f"{path} is not TOML: {error}") from error
    allowed = frozenset(_texts(tree.pop("allow", []), "allow"))
    given: Any = tree.pop("endpoint", [])
    if tree or not isinstance(given, list):
        raise _bad(f"{path} holds [[endpoint]] tables, and allow: a list of host names")
    tables: list[Any] = given  # pyright: ignore[reportUnknownVariableType]
    if not 0 < len(tables) <= ENDPOINTS_MAX:
        raise _bad(f"{path} names {len(tables)} endpoints, not 1 to {ENDPOINTS_MAX}")
    found = tuple(_endpoint(one, path.parent, allowed) for one in tables)
    if len({one.name for one in found}) < len(found):
        raise _bad(f"two endpoints of {path} have one name")
    return Webhooks(found, allowed)


def _endpoint(given: Any, folder: Path, allowed: frozenset[str]) -> Endpoint:
    table = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    if set(table) - {*_NEEDED, "types"} or set(_NEEDED) - set(table):
        raise _bad(f"an endpoint has name, url, secret_file and perhaps types; not {table!r:.200}")
    name, address, secret_file = _texts([table[one] for one in _NEEDED], "an endpoint")
    types = _texts(table.get("types", []), "types")
    unknown = sorted(set(types) - set(EVENTS))
    if unknown:
        raise _bad(f"there is no event {unknown[0]!r}; see docs/reference/events.md")
    url, port = _split(name, address, allowed)
    secret = _read(folder / secret_file).strip()
    try:
        key_of(secret)
    except WebhookError as error:
        raise _bad(f"{secret_file}: {error.message}") from error
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    is_plain = url.scheme == "http"
    return Endpoint(name, url.hostname or "", port, path, is_plain, secret, frozenset(types))


def _split(name: str, address: str, allowed: frozenset[str]) -> tuple[SplitResult, int]:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as error:
        raise _bad(f"the url of {name} is none: {error}") from error
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.fragment:
        raise _bad(f"the url of {name} is https://HOST/PATH, without a user and a fragment")
    if not _SENT_AS_IT_IS.fullmatch(address) or port == 0:
        raise _bad(
            f"the url of {name} has a space, a letter that is not ASCII or port 0:"
            " it is sent as it stands, so write those encoded"
        )
    if url.scheme == "http" and url.hostname not in allowed:
        raise _bad(f"the url of {name} is not https, and allow does not name {url.hostname}")
    return url, port or (80 if url.scheme == "http" else 443)


def _texts(value: Any, what: str) -> list[str]:
    found: list[str] = []
    for one in value if isinstance(value, list) else (value,):  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(one, str) or not isinstance(value, list):
            raise _bad(f"{what} of the file of webhooks: a list of texts is wanted")
        found.append(one)
    return found


def _read(path: Path) -> str:
    try:
        return read_regular(path).decode()
    except (OSError, ValueError) as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error}") from error


def _bad(why: str) -> InvalidError:
    return InvalidError(why, code="webhook.file", hint="see docs/how-to/hear-by-webhook.md")
