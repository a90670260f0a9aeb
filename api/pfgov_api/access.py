"""Who asks: the holder of an API key, the bearer of an issuer's token, or, with neither set up, whoever is here.

Keys and tokens live side by side; which of the two was sent is told from its form, never from trying both.  As soon as
there is a key or an issuer, nobody is let in without proof.
"""

import asyncio
import contextlib

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
