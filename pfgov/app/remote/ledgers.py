"""The ledgers that a server holds beside its default one."""

import msgspec

from pfgov.app.remote.errors import ServerVersionError
from pfgov.app.remote.routes import with_query
from pfgov.app.remote.session import Session
from pfgov.app.tenancy.limits import NAMED_LEDGERS_MAX
from pfgov.app.tenancy.listing import Listed
from pfgov.client.core import Ask
from pfgov.client.first_key import new_ledger
from pfgov_ledger import errors, keys

PAGE: int = 1_000


class MadeLedger(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger that a server made; ``key`` is the id of its first key."""

    name: str
    path: str
    host: str | None
    origin: str
    anchor: str
    key: str | None


def create_ledger(session: Session, name: str, first_key: str | None) -> tuple[MadeLedger, str]:
    """Have the server make a ledger, once however often it has to be asked; return it, and its log's verifier key.

    Raises:
        PfgovError: refused; or ``server.*``.
        ValueError: *first_key* is no key that was drawn for this.
    """
    body = msgspec.json.encode(new_ledger(name, first_key))
    answer = session.write("POST", "/api/ledgers", body)
    try:
        made = msgspec.convert(answer, MadeLedger)
        return made, str(keys.parse_anchor(made.anchor).log_vkey)
    except (msgspec.ValidationError, errors.LedgerError) as error:
        raise _another(session, error) from error


def _another(session: Session, error: Exception) -> ServerVersionError:
    return ServerVersionError(
        f"{session.to.url} shows something else than was expected: {error}",
        hint="bring the server and this command line to the same version",
    )


class _Page(msgspec.Struct):
    items: list[Listed]
    next: str | None = None


def ledgers(session: Session) -> list[Listed]:
    """Return every ledger beside the server's default one.

    Raises:
        PfgovError: refused; or ``server.*``.
    """
    found: list[Listed] = []
    after: str | None = None
    while True:
        path = with_query("/api/ledgers", {"limit": PAGE, "after": after})
        try:
            page = msgspec.convert(session.ask(Ask("GET", path)), _Page)
        except msgspec.ValidationError as error:
            raise _another(session, error) from error
        found += page.items
        if page.next is None:
            return found
        if not page.items or len(found) > NAMED_LEDGERS_MAX:
            raise _another(session, ValueError("a list of ledgers that does not end"))
        after = page.next
