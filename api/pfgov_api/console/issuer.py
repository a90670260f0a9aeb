"""Signing in at the issuer, as requests: a browser is sent there, comes back, and has a session.

Which browser comes back is proved by a cookie of its own; what the issuer says is checked elsewhere.
"""

from collections.abc import Callable, Mapping
from typing import Final

from pfgov.errors import StoreUnavailableError
from pfgov_api.console.sessions import AWAY, Sessions, cookie, secret_of
from pfgov_api.grants import Grant
from pfgov_api.oidc.fetch import FetchError
from pfgov_api.oidc.settings import SIGNED_IN
from pfgov_api.oidc.signing_in import SigningIn
from pfgov_api.problems import UnauthenticatedError
from pfgov_api.replies import Reply
from pfgov_api.service import Service

GO: Final = "/console/sign-in/issuer"


class IssuerDoor:
    """The way in through the issuer; shut where its file names no client."""

    def __init__(self, service: Service, sessions: Sessions, local: Callable[[str], str]) -> None:
        self._service = service
        self._sessions = sessions
        self._local = local
        self._signing_in: SigningIn | None = None

    @property
    def name(self) -> str | None:
        """The issuer where people may sign in; None where they may not."""
        found = self.signing_in
        return None if found is None else found.tokens.settings.issuer

    @property
    def signing_in(self) -> SigningIn | None:
        """What talks to the issuer."""
        tokens = self._service.access.tokens
        if tokens is None or tokens.settings.console is None:
            return None
        if self._signing_in is None or self._signing_in.tokens is not tokens:
            self._signing_in = SigningIn(tokens, tokens.settings.console)
        return self._signing_in

    async def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply | None:
        """Send a browser away, or let one in that comes back; None for another path.

        Raises:
            UnauthenticatedError: whoever comes back was not sent, or the issuer vouches for nobody who may do anything.
            StoreUnavailableError: the issuer does not answer.
            BusyError: too many sign in at once.
        """
        found = self.signing_in
        if found is None or path not in {GO, SIGNED_IN}:
            return None
        try:
            if path == GO:
                place, secret = await found.begin(self._local(query.get("next", "")))
                return _to(place, cookie(secret, AWAY))
            grant, target = await found.finish(query, secret_of(headers.get("cookie"), AWAY))
        except FetchError as error:
            raise StoreUnavailableError(
                error.message, code=error.code, hint="come back in a moment, or sign in with a key"
            ) from None
        _require_some_right(grant)
        return _to(self._local(target), cookie(self._sessions.begin(grant)))


def _require_some_right(grant: Grant) -> None:
    if not grant.principal.rights:
        raise UnauthenticatedError(
            "the issuer knows you, and this server gives you nothing to do",
            hint="ask its administrator for a scope that is mapped",
        )


def _to(target: str, set_cookie: str) -> Reply:
    headers = {
        "Location": target,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Set-Cookie": set_cookie,
    }
    return Reply(303, headers=headers)
