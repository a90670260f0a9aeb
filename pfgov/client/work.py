"""A member at work: it joins, lives by heartbeats, gets packets, and stops itself when it may no longer own them.

What it believes comes from the server alone: each event about it, and each heartbeat's answer, only says *look again*;
the packet is then read and compared with what is held.  A job that is lost is cancelled where it runs.  This module
speaks to a server through the few methods of :class:`Speaks`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from pfgov.client.core import ApiError, Recorded, UnreachableError
from pfgov.client.lease import Lease, owned_epoch
from pfgov.client.stream import Heard
from pfgov.errors import PfgovError


class LostOwnershipError(PfgovError):
    """The packet is somebody else's now, or the member's lease ran out: what was being done must not go on."""

    code = "client.lost"


class Speaks(Protocol):
    """What a worker needs of a client."""

    async def register(self, member: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Register a member."""
        ...

    async def heartbeat(
        self, member_id: str, incarnation: int, owns: Mapping[str, int] | None = None
    ) -> list[tuple[str, int]]:
        """Renew a lease."""
        ...

    async def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        ...

    async def get(self, path: str, **query: Any) -> Any:
        """Read anything."""
        ...

    async def act(
        self,
        packet_id: str,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Do something to a packet."""
        ...

    def events(
        self, *, after: int | None = None, member: str | None = None
    ) -> AsyncIterator[Heard]:
        """Listen."""
        ...


@dataclass(eq=False)
class Job:
    """A packet that the member owns under one epoch.

    Use it as an asynchronous context manager: when ownership is lost the block is cancelled, and
    :class:`LostOwnershipError` is raised from it.
    """

    worker: "Worker"
    packet: dict[str, Any]
    epoch: int
    lost: str | None = None
    ended: bool = False
    _task: asyncio.Task[Any] | None = field(default=None, repr=False)

    @property
    def packet_id(self) -> str:
        """Its id."""
        found: str = self.packet["packet_id"]
        return found

    async def context(self) -> Any:
        """Return the packet's context, as far as this owner may see it; None where there is none."""
        try:
            told = await self.worker.client.get(f"/api/packets/{self.packet_id}/context")
        except ApiError as error:
            if error.code == "context.not_found":
                return None
            raise
        return told["context"]

    async def checkpoint(self, context: Mapping[str, Any]) -> Recorded:
        """Save progress: whoever takes over begins with it."""
        return await self._write("checkpoint", {"context_checkpoint": context})

    async def complete(self) -> Recorded:
        """Say that the work is done."""
        return await self._end("complete", {})

    async def fail(self, reason: str) -> Recorded:
        """Give up for good."""
        return await self._end("fail", {"reason": reason})

    async def give_back(self, reason: str = "requested") -> Recorded:
        """Put the packet back into the queue."""
        return await self._end("requeue", {"reason": reason})

    async def hand_off(self, target: str | None = None, reason: str = "requested") -> Recorded:
        """Start to move the packet; it stays this member's until the target has accepted."""
        self._check()
        body = {"reason": reason, **({} if target is None else {"target": target})}
        return await self.worker.client.act(self.packet_id, "handoff", body)

    async def _end(self, verb: str, body: Mapping[str, Any]) -> Recorded:
        self.ended = True  # already now: the event may be heard before the answer
        try:
            done = await self._write(verb, body)
        except BaseException:
            self.ended = False
            raise
        self.worker.forget(self)
        return done

    async def _write(self, verb: str, body: Mapping[str, Any]) -> Recorded:
        self._check()
        claim = {
            "member_id": self.worker.member_id,
            "incarnation": self.worker.incarnation,
            "epoch": self.epoch,
        }
        try:
            return await self.worker.client.act(self.packet_id, verb, {**claim, **body})
        except ApiError as error:
            if error.code.startswith("ownership."):
                self.lose(error.message)
                raise LostOwnershipError(error.message) from error
            raise

    def _check(self) -> None:
        if self.lost is not None:
            raise LostOwnershipError(f"{self.packet_id} was lost: {self.lost}")
        if not self.worker.is_alive:
            raise LostOwnershipError("the member's lease ran out")

    def lose(self, why: str) -> None:
        """Stop what is being done about this packet."""
        if self.lost is None and not self.ended:
            self.lost = why
            self.worker.forget(self)
            if self._task is not None:
                self._task.cancel()

    async def __aenter__(self) -> Self:
        self._check()
        self._task = asyncio.current_task()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if kind is asyncio.CancelledError and self.lost is not None and task is not None:
            task.uncancel()
            raise LostOwnershipError(f"{self.packet_id} was lost: {self.lost}") from error


class Worker:
    """A member at work.  Enter it to join; iterate over it for jobs."""

    def __init__(
        self, client: Speaks, member: Mapping[str, Any], lease_seconds: float, skew_seconds: float
    ) -> None:
        self.client = client
        self.member = dict(member)
        self.member_id: str = self.member["id"]
        self.incarnation = 0
        self.jobs: dict[str, Job] = {}
        self.dead: str | None = None
        self._lease = Lease(lease_seconds, skew_seconds)
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._start: int | None = (
            None  # the position after which to listen; what comes next by default
        )

    @property
    def is_alive(self) -> bool:
        """Whether the lease still holds, by the member's own pessimistic clock."""
        return self.dead is None and self._lease.left(_now()) > 0

    # --- joining and leaving ---------------------------------------------------------------

    async def __aenter__(self) -> Self:
        sent = _now()
        try:
            joined = await self.client.register(self.member)
            self.incarnation, self._start = joined.result["incarnation"], joined.position
        except ApiError as error:
            if error.code != "member.exists":
                raise
            shown = await self.client.get(f"/api/members/{self.member_id}")
            self.incarnation = shown["incarnation"]
        await self.client.heartbeat(self.member_id, self.incarnation)
        self._lease.renewed(sent)
        self._tasks = [
            asyncio.create_task(self._live()),
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._watch()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def __aiter__(self) -> AsyncIterator[Job]:
        """Yield each packet that becomes this member's, until it is held for dead."""
        while True:
            job = await self._queue.get()
            if job is None:
                return
            if job.lost is None:
                yield job

    # --- living ----------------------------------------------------------------------------

    async def _live(self) -> None:
        """Renew the lease; let go of what the server says is lost."""
        while self.dead is None:
            await asyncio.sleep(self._lease.interval)
            sent, held = _now(), {name: job.epoch for name, job in self.jobs.items()}
            try:
                lost = await self.client.heartbeat(self.member_id, self.incarnation, held)
            except UnreachableError:
                continue
            except ApiError as error:
                self._die(error.message)
                return
            self._lease.renewed(sent)
            for packet_id, epoch in lost:
                job = self.jobs.get(packet_id)
                if job is not None and job.epoch == epoch:
                    job.lose("the server says that it is another's")

    async def _watch(self) -> None:
        """Stop everything the moment the lease may be over, whatever the network does."""
        while (left := self._lease.left(_now())) > 0:  # noqa: ASYNC110 - time itself is waited for
            await asyncio.sleep(left)
        self._die("the lease ran out without an answer")

    def _die(self, why: str) -> None:
        if self.dead is None:
            self.dead = why
            self._lease.lost()
            for job in list(self.jobs.values()):
                job.lose(why)
            self._queue.put_nowait(None)

    # --- getting and losing ----------------------------------------------------------------

    async def _listen(self) -> None:
        """Look at each packet that an event about this member names."""
        try:
            for packet in await self._owned():
                await self._compare(packet["packet_id"], packet)
            async for heard in self.client.events(after=self._start, member=self.member_id):
                kind, _, name = str(heard.data.get("subject", "")).partition("/")
                if kind == "packet":
                    with contextlib.suppress(UnreachableError):
                        await self._look(name)
        except Exception as error:  # noqa: BLE001 - a member that hears nothing must not seem to work
            self._die(f"it cannot listen: {error}")

    async def _owned(self) -> list[dict[str, Any]]:
        """Return the packets that are this member's already: it was here before this process was."""
        path = "/api/packets"
        told = await self.client.get(path, owner=self.member_id)
        found: list[dict[str, Any]] = list(told["items"])
        while "next" in told:
            told = await self.client.get(path, owner=self.member_id, after=told["next"])
            found += told["items"]
        return found

    async def _read(self, packet_id: str) -> dict[str, Any] | None:
        """Return the packet; None if it is none of this member's any more, for then its key may not read it."""
        try:
            return await self.client.packet(packet_id)
        except ApiError as error:
            if error.status != 403:
                raise
            return None

    async def _look(self, packet_id: str) -> None:
        packet = await self._read(packet_id)
        pending = None if packet is None else packet["handoff"]["pending"]
        if (
            pending is not None
            and pending["target"] == self.member_id
            and pending["incarnation"] == self.incarnation
        ):
            body = {
                "member_id": self.member_id,
                "incarnation": self.incarnation,
                "handoff": pending["position"],
                **({} if pending["view"] is None else {"view": pending["view"]}),
            }
            with contextlib.suppress(ApiError):  # called off meanwhile, or judged otherwise
                await self.client.act(packet_id, "accept", body)
            packet = await self._read(packet_id)
        await self._compare(packet_id, packet)

    async def _compare(self, packet_id: str, packet: dict[str, Any] | None) -> None:
        epoch = None if packet is None else owned_epoch(packet, self.member_id, self.incarnation)
        held = self.jobs.get(packet_id)
        if held is not None and held.epoch != epoch:
            held.lose(
                "it is another's"
                if packet is None
                else f"it is {packet['status']}, owner {packet['current_owner']}"
            )
            held = None
        if packet is not None and epoch is not None and held is None:
            job = self.jobs[packet_id] = Job(self, packet, epoch)
            await self._queue.put(job)

    def forget(self, job: Job) -> None:
        """Hold *job* no longer."""
        if self.jobs.get(job.packet_id) is job:
            del self.jobs[job.packet_id]


def _now() -> float:
    return asyncio.get_running_loop().time()
