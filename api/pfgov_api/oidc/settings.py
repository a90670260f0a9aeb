"""What an operator says about its issuer, in one TOML file: who it is, what its tokens must be, and what they grant.

Nothing is granted that the file does not map: a value of the scope claim that it does not name means nothing here, and
to act for a member is a mapping like any other.  This module does not know tokens, only what they are held to.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pfgov.errors import InvalidError, PfgovError
from pfgov.files import read_regular
from pfgov_api.keyring import check_scopes
from pfgov_api.limits import LEEWAY_SECONDS_MAX, TOKEN_SECONDS_MAX

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures that only the holder of a private key can make; a shared secret or none at all is not among them."""

SIGNED_IN: Final = "/console/signed-in"
"""Where the issuer sends browsers back to."""

MAPPINGS_MAX: Final = 1_000
_STALE_SECONDS: Final = (60, 86_400)


class SettingsError(PfgovError):
    """The file about the issuer cannot be read, or says what cannot be."""

    code = "oidc.settings"
    exit_status = 2


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The console as a client of the issuer: with it people sign in there.

    Attributes:
        id: The ``client_id``.
        redirect: Where the issuer sends browsers back to: this server's ``/console/signed-in``, as registered there.
        request: The scopes that are asked for; empty asks for ``openid`` and every mapped value.
        secret: The file with the client's secret, beside this one; then what is in it.  None is a public client.
    """

    id: str
    redirect: str
    request: tuple[str, ...] = ()
    secret: str | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file, read.

    Attributes:
        issuer: The exact ``iss``; where discovery begins.
        audience: What ``aud`` must name: this server, and no other.
        scopes: A value of the scope claim -> the scopes that it grants.
        keys: A file with the issuer's key set, or its https address; None asks the issuer where it is (discovery).
        algorithms: Those that are accepted.
        types: The ``typ`` headers that are accepted; ``at+jwt`` keeps identity tokens out (RFC 9068).
        scope_claim: The claim that holds the scopes; more than one name leads into nested objects.
        leeway_seconds: By how much the two clocks may differ.
        lifetime_seconds: A token that lives longer is refused, for it cannot be revoked.
        stale_seconds: After so long without an answer from the issuer its keys count for nothing.
        console: How people sign in to the console; None lets them in with keys alone.
    """

    issuer: str
    audience: str
    scopes: dict[str, tuple[str, ...]]
    keys: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    types: tuple[str, ...] = ("at+jwt",)
    scope_claim: tuple[str, ...] = ("scope",)
    leeway_seconds: int = 30
    lifetime_seconds: int = 3_600
    stale_seconds: int = 3_600
    console: Client | None = None


def read_settings(path: Path) -> Settings:
    """Return what the file at *path* says; a key file that it names is looked for beside it.

    Raises:
        SettingsError: it cannot be read, or says what cannot be.
    """
    try:
        found = msgspec.toml.decode(read_regular(path), type=Settings)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({type(error).__name__})") from error
    # No UTF-8, and a number of thousands of digits; lists in lists.
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"{path}: {error}", hint="see docs/how-to/sign-in-with-oidc.md"
        ) from error
    wrong = _wrong(found)
    if wrong is not None:
        raise SettingsError(f"{path}: {wrong}", hint="see docs/how-to/sign-in-with-oidc.md")
    if found.keys is not None and "://" not in found.keys:
        found = msgspec.structs.replace(found, keys=str(path.parent / found.keys))
    client = found.console
    if client is not None and client.secret is not None:
        client = msgspec.structs.replace(client, secret=_secret(path.parent / client.secret))
        found = msgspec.structs.replace(found, console=client)
    return found


def _secret(path: Path) -> str:
    try:
        found = read_regular(path).decode().strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({type(error).__name__})") from None
    if not found:
        raise SettingsError(f"{path} is empty", hint="it holds the secret of the console's client")
    return found


def is_https(address: str) -> bool:
    """Whether *address* is a plain https address: no user, no fragment."""
    try:
        parts = urlsplit(address)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and parts.username is None
            and not parts.fragment
            and address.isascii()
            and address.isprintable()
            and " " not in address
            and (parts.port or 1) > 0
        )
    except ValueError:
        return False


def _wrong(found: Settings) -> str | None:
    if not is_https(found.issuer) or "?" in found.issuer:
        return "the issuer must be an https address without a query"
    if found.keys is not None and "://" in found.keys and not is_https(found.keys):
        return "keys must be an https address or a file"
    if not found.audience:
        return "the audience is empty"
    unknown = set(found.algorithms) - ALGORITHMS
    if unknown or not found.algorithms:
        return f"algorithms are {', '.join(sorted(ALGORITHMS))}, not {', '.join(sorted(unknown)) or 'none'}"
    if not found.types or not all(found.types) or not found.scope_claim:
        return "types and scope_claim must not be empty"
    least, most = _STALE_SECONDS
    for name, value, low, high in (
        ("leeway_seconds", found.leeway_seconds, 0, LEEWAY_SECONDS_MAX),
        ("lifetime_seconds", found.lifetime_seconds, 1, TOKEN_SECONDS_MAX),
        ("stale_seconds", found.stale_seconds, least, most),
    ):
        if not low <= value <= high:
            return f"{name} is {value}, not {low} to {high}"
    return _wrong_client(found.console) or _wrong_mapping(found)


def _wrong_client(found: Client | None) -> str | None:
    if found is None:
        return None
    if not found.id:
        return "console.id is empty"
    here = re.fullmatch(
        r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?/console/signed-in", found.redirect
    )
    is_ours = is_https(found.redirect) and urlsplit(found.redirect).path == SIGNED_IN
    if not here and (not is_ours or "?" in found.redirect):
        return f"console.redirect must be the https address of this server's {SIGNED_IN}"
    return None


def _wrong_mapping(found: Settings) -> str | None:
    if not 0 < len(found.scopes) <= MAPPINGS_MAX:
        return f"scopes maps {len(found.scopes)} values, not 1 to {MAPPINGS_MAX}: nobody could do anything, or too many"
    for value, scopes in found.scopes.items():
        try:
            check_scopes(scopes)
        except InvalidError as error:
            return f"scopes.{value}: {error.message}"
    return None
