"""The keys of a server's API, as an administrator is shown them: what each may do, never a secret."""

import msgspec

from pfgov.app.remote.errors import ServerVersionError
from pfgov.app.remote.session import Session
from pfgov.client.core import Ask


class ApiKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """One key; times are RFC 3339."""

    id: str
    scopes: list[str]
    name: str
    created_at: str
    revoked_at: str | None


class _Answer(msgspec.Struct):
    keys: list[ApiKeyView]


def api_keys(session: Session) -> list[ApiKeyView]:
    """Return every key of the server's API, revoked ones too.

    Raises:
        PfgovError: refused; or ``server.*``.
    """
    try:
        return msgspec.convert(session.ask(Ask("GET", "/api/keys")), _Answer).keys
    except msgspec.ValidationError as error:
        raise ServerVersionError(
            f"{session.to.url} shows something else than was expected: {error}",
            hint="bring the server and this command line to the same version",
        ) from error
