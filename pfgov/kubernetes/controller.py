"""The controller: it looks at the cluster and the ledger, asks what is to be done, and does it.

A round is level-triggered: it is decided from what is there now, whoever made it so and whatever was missed.  Nothing
is kept that could not be seen again, so a controller that was killed anywhere goes on with its next round.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import Final

from pfgov.client import ApiError, AsyncClient, UnreachableError
from pfgov.clock import Clock, SystemClock
from pfgov.errors import PfgovError
from pfgov.kubernetes import api as k
from pfgov.kubernetes.actions import Action, Beat
from pfgov.kubernetes.api import Kubernetes, NoAnswerError, RefusedError
from pfgov.kubernetes.asking import Cluster
from pfgov.kubernetes.connecting import NoClusterError
from pfgov.kubernetes.deciding import decide
from pfgov.kubernetes.deciding_pods import pair
from pfgov.kubernetes.leading import RENEW_SECONDS, Leadership
from pfgov.kubernetes.ledger_side import LedgerSide
from pfgov.kubernetes.objects import (
    Mirror,
    Namespace,
    Node,
    Pod,
    read_mirror,
    read_namespace,
    read_node,
    read_pod,
)
from pfgov.kubernetes.performing import Performer
from pfgov.kubernetes.seen import Seen
from pfgov.kubernetes.times import seconds
from pfgov.kubernetes.watching import Keeping, Watched

REST_SECONDS: Final = 0.2
"""A round begins at most so soon after the one before, so that many changes are one round."""

ROUND_SECONDS: Final = 10.0
"""A round begins at least so often."""

WHOLE_SECONDS: Final = 300.0
"""So often the ledger is read as a whole, and what it refused is asked again."""

ROUNDS_MAX: Final = 50
"""Rounds after which what does not settle is left."""

AT_ONCE: Final = 8
"""Actions under way at once."""

log = logging.getLogger("pfgov.kubernetes")


@dataclass(frozen=True, slots=True)
class Setup:
    """How a controller is set up; ``uid`` of the cluster is read from it."""

    cluster: Cluster
    namespace: str = "pfgov-system"
    identity: str = "pfgov"
    is_alone: bool = False


@dataclass(slots=True)
class Round:
    """What a round came to."""

    actions: list[Action] = field(default_factory=list[Action])
    count: int = 0
    failed: list[tuple[Action, PfgovError]] = field(default_factory=list[tuple[Action, PfgovError]])


class Controller:
    """Looks, decides and does, over one API server and one ledger."""

    def __init__(
        self,
        api: Kubernetes,
        client: AsyncClient,
        setup: Setup,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Make a controller."""
        clock = clock or SystemClock()
        self.setup, self._api, self._clock = setup, api, clock
        self._poked = asyncio.Event()
        self.ledger = LedgerSide(client, self._poked.set)
        self.performer = Performer(api, client, self.ledger, clock)
        poke = self._poked.set
        self.namespaces = Watched[str, Namespace](
            api, k.NAMESPACES, read_namespace, lambda one: one.name, poke
        )
        self.nodes = Watched[str, Node](api, k.NODES, read_node, lambda one: one.name, poke)
        self.pods = Watched[str, Pod](api, k.PODS, read_pod, lambda one: one.uid, poke)
        self.packet_mirrors = Watched[tuple[str, str], Mirror](
            api, k.FLIGHT_PACKETS, read_mirror, lambda one: (one.namespace, one.name), poke
        )
        self.member_mirrors = Watched[str, Mirror](
            api, k.MEMBERS, read_mirror, lambda one: one.name, poke
        )
        self._beats: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._whole_at = seconds(clock)
        self.leadership = Leadership(api, setup.namespace, setup.identity, clock=clock)

    @property
    def watched(self) -> tuple[Keeping, ...]:
        """All kinds that are kept up with."""
        return (self.namespaces, self.nodes, self.pods, self.packet_mirrors, self.member_mirrors)

    @property
    def is_synced(self) -> bool:
        """Whether all of the cluster was read once."""
        return all(one.is_synced for one in self.watched)

    async def run(self) -> None:
        """Keep up and act until this is cancelled; several may run, and one of them acts.

        Raises:
            OtherClusterError: another cluster of this name is in the ledger.
        """
        tasks = [asyncio.create_task(one.run()) for one in self.watched]
        tasks.append(asyncio.create_task(self.ledger.listen()))
        if not self.setup.is_alone:
            tasks.append(asyncio.create_task(self._lead()))
        rounds = asyncio.create_task(self._rounds())
        tasks.append(rounds)
        try:
            # None of them ends by itself.  Whichever does, the others would act on what it saw last, for good.
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not self.setup.is_alone:
                try:
                    await self.leadership.leave()
                except PfgovError as error:
                    log.warning("the lease was not given up: %s", error)

    async def _rounds(self) -> None:
        while True:
            self._poked.clear()
            if self.is_synced and (self.setup.is_alone or self.leadership.is_held):
                try:
                    done = await self.round()
                except (ApiError, UnreachableError) as error:
                    log.warning("the ledger cannot be read: %s", error)
                else:
                    if done.actions and not done.failed:
                        self._poked.set()  # what was done may make something else due
            await asyncio.sleep(REST_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._poked.wait()

    async def _lead(self) -> None:
        was = False
        while True:
            try:
                await self.leadership.renew()
            except PfgovError as error:
                log.warning("the lease cannot be renewed: %s", error)
            if self.leadership.is_held and not was:
                self.ledger.read_all()
                self._poked.set()
            was = self.leadership.is_held
            await asyncio.sleep(RENEW_SECONDS)

    async def settle(self, rounds_max: int = ROUNDS_MAX) -> Round:
        """Do what is due, round after round with all of the cluster read anew, until nothing is; return the last.

        Raises:
            RefusedError, GoneError, NoAnswerError: the cluster cannot be read.
            ApiError, UnreachableError, OtherClusterError: the ledger cannot.
        """
        count = 0
        done = Round()
        for _ in range(rounds_max):
            for one in self.watched:
                one.forget_version()
                await one.list()
            done = await self.round()
            count += len(done.actions)
            if len(done.failed) == len(done.actions):
                break
        done.count = count
        return done

    # --- one round -------------------------------------------------------------------------

    async def round(self) -> Round:
        """Look once, and do what follows.

        Raises:
            ApiError, UnreachableError: the ledger cannot be read.
            OtherClusterError: another cluster of this name is in it.
        """
        now = seconds(self._clock)
        if now - self._whole_at >= WHOLE_SECONDS:
            self._whole_at = now
            self.ledger.read_all()
            self.performer.refused.clear()
            self.performer.announced.clear()
        seen = await self.look(now)
        actions = decide(seen)
        room = asyncio.Semaphore(AT_ONCE)
        done = Round(actions)
        failures = await asyncio.gather(*(self._do(one, room) for one in actions))
        done.failed = [
            (action, error)
            for action, error in zip(actions, failures, strict=True)
            if error is not None
        ]
        for action, error in done.failed:
            log.warning("%s: %s", type(action).__name__, error)
        return done

    async def look(self, now: float) -> Seen:
        """Return what is there now."""
        cluster = self._cluster()
        seen = Seen(cluster, now, self.namespaces.objects, self.nodes.objects, self.pods.objects)
        await self.ledger.look(cluster, pair(seen).packets.values())
        seen = replace(
            seen,
            namespaces=dict(self.namespaces.objects),
            nodes=dict(self.nodes.objects),
            pods=dict(self.pods.objects),
            packets=dict(self.ledger.packets),
            absent=frozenset(self.ledger.absent),
            members=dict(self.ledger.members),
            packet_mirrors=dict(self.packet_mirrors.objects),
            member_mirrors=dict(self.member_mirrors.objects),
            refused=dict(self.performer.refused),
            beats=dict(self._beats),
        )
        orphans = {one.packet_id for one in pair(seen).orphans}
        self._gone = {one: self._gone.get(one, now) for one in orphans}
        return replace(seen, gone=dict(self._gone))

    def _cluster(self) -> Cluster:
        system = self.namespaces.objects.get("kube-system")
        if system is None:
            raise NoClusterError(
                "the cluster has no namespace kube-system, by which it is told from others"
            )
        return replace(self.setup.cluster, uid=system.uid)

    async def _do(self, action: Action, room: asyncio.Semaphore) -> PfgovError | None:
        async with room:
            try:
                await self.performer.do(action)
            except (ApiError, UnreachableError, RefusedError, NoAnswerError) as error:
                return error
            if isinstance(action, Beat):
                self._beats[action.member_id] = seconds(self._clock)
            return None
