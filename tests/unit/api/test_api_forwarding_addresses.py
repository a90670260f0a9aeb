"""What a database names as the leader's address may be anything; what is sent on is refused as where nobody leads."""

import asyncio
from typing import Any

import pytest

from pfgov.errors import StandbyError
from pfgov.storage.leading import Standing
from pfgov_api.forwarding import Forwarder


class _Follower:
    """What a forwarder asks who leads."""

    origin = "pfgov.test/one"

    def __init__(self, leader: str | None) -> None:
        self.standing = Standing(3, 9, leader, is_free=leader is None, is_draining=False)

    def refusal(self) -> StandbyError:
        """What is said to whoever wants to write."""
        return StandbyError(f"standby of {self.standing.leader}")


def _sent(leader: str | None, claimant: str | None = None) -> Any:
    async def ask() -> Any:
        forwarder = Forwarder(_Follower(leader), list, lambda: claimant)  # type: ignore[arg-type]
        try:
            return await forwarder.forward("POST", "/api/packets", {}, b"{}")
        finally:
            forwarder.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "address", ["http://[", "http://one:99999999", "http://one:x", "", "\x00", "http://", "//["]
)
@pytest.mark.parametrize("is_led", [True, False])
def test_forwarding_to_what_is_no_address_is_refused(address: str, is_led: bool) -> None:
    """Somebody who writes the database has every write at a standby answered as a mistake of ours."""
    with pytest.raises(StandbyError):
        _sent(address) if is_led else _sent(None, address)
