"""Who asks: the holder of an API key, the bearer of an issuer's token, or, with neither set up, whoever is here.

Keys and tokens live side by side; which of the two was sent is told from its form, never from trying both.  As soon as
there is a key or an issuer, nobody is let in without proof.

How much one principal has in use is counted, so that none can use the server up for the others: counts, not rates, for
what takes long is what keeps others waiting.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from pfgov.core.commands import LOCAL_OPERATOR
from pfgov.errors import PfgovError, StoreUnavailableError
from pfgov_api.grants import Grant
from pfgov_api.keyring import KeyRing
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.problems import UnauthenticatedError


class Access:
    """The door of one server."""

    def __init__(self, keyring: KeyRing, tokens: Tokens | None = None) -> None:
        self.keyring = keyring
        self.tokens = tokens
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is neither a key nor an issuer, so that everybody on this machine is the operator.

        Raises:
            StoreUnavailableError: the file of keys cannot be read.
        """
        return self.tokens is None and self.keyring.is_open

    def grant(self, authorization: str | None) -> Grant:
        """Return who sends this ``Authorization`` header.

        Raises:
            UnauthenticatedError: it proves nothing, or not any more.
            StoreUnavailableError: what it would be compared with is not at hand.
        """
        if self.tokens is None:
            return self.keyring.grant(authorization)
        scheme, _, sent = (authorization or "").partition(" ")
        sent = sent.strip()
        if scheme.lower() == "bearer" and sent.count(".") == 2:
            return self.tokens.grant(sent)
        if self.keyring.is_open:
            raise UnauthenticatedError(
                "a token is needed",
                hint=f"get one from {self.tokens.settings.issuer} and send: Authorization: Bearer ...",
            )
        return self.keyring.grant(authorization)

    def may_still(self, principal_id: str, right: str) -> bool:
        """Whether a principal has *right* now: of a key, its file says so; of a token nobody can tell, so it has not.

        Where nobody has to prove anything, the local operator has every right.
        """
        try:
            if principal_id == LOCAL_OPERATOR.id:
                return self.is_open
            return self.keyring.may_still(principal_id, right)
        except StoreUnavailableError:
            return False

    async def start(self) -> None:
        """Begin to keep the issuer's keys fresh."""
        if self.tokens is not None and self._keeping is None:
            self._keeping = asyncio.create_task(self.tokens.source.keep())

    async def stop(self) -> None:
        """Keep them no longer."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None


# --- quotas -------------------------------------------------------------------------------


class TooManyError(PfgovError):
    """The principal has as much in use as one may have; the server itself has room."""

    code = "http.too_many"


@dataclass(slots=True)
class Quota:
    """What is in use, by whom."""

    what: str
    most: int
    refused: int = 0
    total: int = 0
    _taken: dict[str, int] = field(default_factory=dict[str, int])

    def has_room(self, who: str | None) -> bool:
        """Whether *who* may have one more; None is not limited."""
        return who is None or self._taken.get(who, 0) < self.most

    def check(self, who: str | None) -> None:
        """Refuse one more for *who*.

        Raises:
            TooManyError: it has the most that it may have.
        """
        if not self.has_room(who):
            self.refused += 1
            raise TooManyError(
                f"{who} has {self.most} {self.what} under way already",
                hint="let one of them end, then come back",
            )

    def take(self, who: str | None) -> None:
        """Count one in; whoever took it gives it back.

        Raises:
            TooManyError: as :meth:`check`, and nothing was taken.
        """
        self.check(who)
        self.total += 1
        if who is not None:
            self._taken[who] = self._taken.get(who, 0) + 1

    def give(self, who: str | None) -> None:
        """Count one out."""
        self.total -= 1
        if who is None:
            return
        left = self._taken[who] - 1
        if left:
            self._taken[who] = left
        else:
            del self._taken[who]
