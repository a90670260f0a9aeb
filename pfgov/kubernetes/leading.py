"""Which of several controllers acts: the one that holds a Lease of the cluster.

The Lease decides nothing about ownership, which is the ledger's: two that acted at once would do the same things twice,
and each can be done twice.  It only saves them the trouble.  A holder counts by its own clock from when it asked, and a
waiter from when it saw the Lease change, so that no two clocks are compared.
"""

from typing import Any, Final

from pfgov.clock import Clock, SystemClock
from pfgov.kubernetes.api import LEASES, Kubernetes, RefusedError
from pfgov.kubernetes.shapes import map_in
from pfgov.kubernetes.times import fine_stamp, seconds

NAME: Final = "pfgov-controller"
LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 5.0
MARGIN_SECONDS: Final = 5.0
"""How much earlier the holder stops than a waiter would begin."""


class Leadership:
    """The Lease, as one controller sees it."""

    def __init__(
        self,
        api: Kubernetes,
        namespace: str,
        identity: str,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Compete as *identity* for the Lease in *namespace*."""
        self._api, self._namespace, self._identity = api, namespace, identity
        self._clock = clock or SystemClock()
        self._held_until = 0.0
        self._seen: tuple[str, float] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this one acts."""
        return seconds(self._clock) < self._held_until

    async def renew(self) -> bool:
        """Take or renew the Lease if it may be; return whether it is held.

        Raises:
            RefusedError, NoAnswerError: the server does not say.
        """
        asked = seconds(self._clock)
        try:
            lease = dict(await self._api.get(LEASES, self._namespace, NAME))
        except RefusedError as error:
            if error.status != 404:
                raise
            lease = {}
        if lease and not self._may_take(lease):
            return self.is_held
        try:
            await self._write(lease)
        except RefusedError as error:
            if error.status != 409:
                raise
            return self.is_held  # somebody was quicker
        self._held_until = asked + LEASE_SECONDS - MARGIN_SECONDS
        return True

    def _may_take(self, lease: dict[str, Any]) -> bool:
        spec = map_in(lease, "spec")
        if spec.get("holderIdentity") in {None, "", self._identity}:
            return True
        version = str(lease["metadata"]["resourceVersion"])
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, seconds(self._clock))
        lasts = spec.get("leaseDurationSeconds") or LEASE_SECONDS
        return seconds(self._clock) - self._seen[1] >= float(lasts)

    async def _write(self, lease: dict[str, Any]) -> None:
        now = fine_stamp(self._clock)
        before = map_in(lease, "spec")
        is_same = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "acquireTime": before.get("acquireTime", now) if is_same else now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0)
            + (0 if is_same or not lease else 1),
        }
        if lease:
            await self._api.replace(LEASES, self._namespace, NAME, {**lease, "spec": spec})
            return
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": self._namespace},
            "spec": spec,
        }
        await self._api.create(LEASES, self._namespace, body)

    async def leave(self) -> None:
        """Give the Lease up, so that the next begins at once."""
        if not self.is_held:
            return
        self._held_until = 0.0
        lease = dict(await self._api.get(LEASES, self._namespace, NAME))
        spec = map_in(lease, "spec")
        if spec.pop("holderIdentity", None) == self._identity:  # an empty one would be refused
            await self._api.replace(LEASES, self._namespace, NAME, {**lease, "spec": spec})
