"""The ledgers that a server holds beside its default one."""

import msgspec

from pfgov.app.remote.errors import ServerVersionError
from pfgov.app.remote.routes import with_query
from pfgov.app.remote.session import Session
from pfgov.app.tenancy.listing import Listed
from pfgov.client.core import Ask

PAGE: int = 1_000


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
            raise ServerVersionError(
                f"{session.to.url} shows something else than was expected: {error}",
                hint="bring the server and this command line to the same version",
            ) from error
        found += page.items
        if page.next is None or page.next == after:
            return found
        after = page.next
