"""A server that stands by: it answers what can be read, sends on what is to be written, and leads when nobody does.

Four times a second it looks how the ledger stands.  When the lead is free it opens the engine beside what it is doing,
and only when that has succeeded it hands over: the listening socket stays, and who has connected meanwhile waits in it.
One ledger of many is followed less often, and opened anew when the lead is free: whoever asks for it meanwhile waits.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pfgov.app.hosting import Engine
from pfgov.app.turns import Follower, Standing
from pfgov.errors import LeadershipLostError, PfgovError, StoreLockedError
from pfgov_api.access import Access
from pfgov_api.forwarding import Forwarder
from pfgov_api.keyring import KeyRing
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.service import Service

FOLLOW_SECONDS: Final = 0.25
"""How often a standby looks how the ledger stands."""


class Standby(Service):
    """What a server has that does not lead."""

    def __init__(  # noqa: PLR0913 - what a service may be given
        self,
        follower: Follower,
        keyring: KeyRing,
        lead: Callable[[], Engine | None],
        *,
        tick_seconds: float = FOLLOW_SECONDS,
        tokens: Tokens | None = None,
        public_url: str | None = None,
        access: Access | None = None,
        beside: Service | None = None,
        claimant: Callable[[], str | None] | None = None,
    ) -> None:
        """Follow the leader.

        Args:
            follower: What follows it.
            keyring: The ledger's keys.
            lead: Opens the engine when nobody leads, or returns None where that is done once this service has stopped;
                ``StoreLockedError`` if another server is to lead.
            tick_seconds: How often to look.
            tokens: As of a service.
            public_url: As of a service.
            access: As of a service.
            beside: As of a service.
            claimant: Says where the server is that is to lead while nobody does; what is to be written goes there then.
        """
        super().__init__(
            follower, keyring, tokens=tokens, public_url=public_url, tick_seconds=tick_seconds,
            access=access, beside=beside,
        )  # fmt: skip
        self.follower = follower
        self._forwarding = Forwarder(follower, self.log_keys, claimant)
        self.forwarder = self._forwarding
        self._lead = lead
        self._takes_over = False
        self._won: Engine | None = None
        self._looking = threading.Lock()

    async def stop(self) -> None:
        """End what is forwarded, too."""
        self._forwarding.close()
        await super().stop()

    async def tick(self, *, lag: float = 0.0, index: bool = False) -> None:
        """Follow the leader; lead when nobody does.  There is nothing that is due here."""
        del lag, index
        known, size = self.follower.standing, self.follower.size
        try:
            now = await self._at_once(self._look)
        except Exception as error:  # noqa: BLE001 - the ticker must outlive whatever goes wrong
            self.tick_failures += 1
            self._fails(error)
            return
        self.fault = None
        self.ticks += 1
        if known is not None and (known.leader, known.term) != (now.leader, now.term):
            self._forwarding.changed()
        if size != self.follower.size:
            self.news.publish()
        if self._takes_over:
            self.hand_over()

    def _look(self) -> Standing:
        with self._looking:
            standing = self.follower.follow()
            if standing.is_free and not standing.is_draining and not self.stopping.is_set():
                with suppress(StoreLockedError, LeadershipLostError):  # another was sooner
                    self._won = self._lead()
                    self._takes_over = True
            return standing

    def won(self) -> Engine | None:
        """Return the engine that was opened, if one was, once this service has stopped."""
        with self._looking:
            return self._won

    @property
    def last_followed(self) -> int:
        """Entries that are followed."""
        return self.follower.size

    def standing_by(self) -> PfgovError:
        """Return why nothing can be written here."""
        return self.fault or self.follower.refusal()

    def standing(self) -> Standing | None:
        """Return how the ledger stood a moment ago."""
        return self.follower.standing
