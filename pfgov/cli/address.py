"""Where a server is, and the key that is shown to it: read from the command line and the environment, and judged.

A key never stands on a command line, where every process sees it, and never goes to another machine in the clear
unless that was asked for.  Nothing is sent from here.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pfgov.app.remote.errors import PlainHttpError
from pfgov.app.remote.session import ONCE_VARIABLE, PATIENCE_SECONDS, Address
from pfgov.errors import InvalidError

KEY_VARIABLE: Final = "PFGOV_API_KEY"
PATIENCE_VARIABLE: Final = "PFGOV_TIMEOUT"
KEY_BYTES_MAX: Final = 4_096

_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


def address(
    url: str,
    *,
    key_file: Path | None = None,
    insecure: bool = False,
    carries_keys: bool = False,
) -> Address:
    """Return the server at *url* with the key that was given for it.

    Args:
        url: Where it is.
        key_file: A file with the key; the environment's otherwise.
        insecure: Whether a key may go to another machine in the clear.
        carries_keys: Whether keys of others will be sent there.

    Raises:
        InvalidError: the URL, the key, or a variable of the environment cannot be one.
        PlainHttpError: the key would go to another machine in the clear.
        OSError: the key's file cannot be read.
    """
    checked = check_url(url)
    key = _key(key_file)
    is_open = not insecure and not _is_private(checked)
    if is_open and (key is not None or carries_keys):
        raise PlainHttpError(
            f"the API key would go to {urlsplit(checked).netloc} in the clear",
            hint="use https; or, on a network that nobody else hears, add --insecure",
        )
    return Address(checked, key, _patience(), _once())


def check_url(text: str, option: str = "--url") -> str:
    """Return the URL that was given with *option*, without a slash at its end.

    Raises:
        InvalidError: it is none, or holds a name, a password or a query.
    """
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port, (parts.hostname or "").encode("ascii").decode().encode("idna")
    except ValueError:
        is_url, parts = False, urlsplit("")
    if not is_url or parts.query or parts.fragment:
        raise InvalidError(
            f"{option}: {text[:200]!r} is not a server's URL",
            hint="write it like https://ledger.example, or http://localhost:8000",
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidError(
            f"{option}: a name or a password may not stand in it, where every process sees it",
            hint=f"put the key into {KEY_VARIABLE}, or into a file: --key-file FILE",
        )
    return text.rstrip("/")


def _key(key_file: Path | None) -> str | None:
    if key_file is None:
        source, text = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "")
        if not text:
            return None
    else:
        with key_file.open("rb") as file:
            source, text = "--key-file", file.read(KEY_BYTES_MAX).decode("utf-8", "replace")
    key = text.strip()
    if not _VISIBLE.fullmatch(key):
        raise InvalidError(
            f"{source}: there is no API key in it",
            hint="a key is one word that begins with pfgov_; make one: pfgov key create --help",
        )
    return key


def _is_private(url: str) -> bool:
    """Whether nobody else hears what is sent to *url*: it is encrypted, or stays on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _patience() -> float:
    text = os.environ.get(PATIENCE_VARIABLE)
    if not text:
        return PATIENCE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 3_600:
        raise InvalidError(
            f"{PATIENCE_VARIABLE}: {text[:40]!r} is not a number of seconds, 0.01 to 3600",
            hint=f"leave it out to wait {PATIENCE_SECONDS:g} s",
        )
    return seconds


def _once() -> str | None:
    text = os.environ.get(ONCE_VARIABLE)
    if not text:
        return None
    if not _VISIBLE.fullmatch(text):
        raise InvalidError(
            f"{ONCE_VARIABLE}: {text[:40]!r} is not 1 to 255 visible characters",
            hint="leave it out: a new one is drawn for each command",
        )
    return text
