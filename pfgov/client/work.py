"""A member at work: it joins, lives by heartbeats, gets packets, and stops itself when it may no longer own them.

What it believes comes from the server alone: each event about it, and each heartbeat's answer, only says *look again*;
the packet is then read and compared with what is held.  A job that is lost is cancelled where it runs.  One process
lives as a member: each worker draws a session and names it with every heartbeat.  How many jobs run at once, and what a
signal means, is :mod:`pfgov.client.running`'s.
"""

import asyncio
import contextlib
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from pfgov.client.core import TRANSIENT, Recorded, member_path, packet_path
from pfgov.client.handover import Handover
from pfgov.client.idle import Idle
from pfgov.client.job import Job
from pfgov.client.lease import Lease, owned_epoch, ran_out
from pfgov.client.options import WorkerOptions
from pfgov.client.owed import Owed
from pfgov.client.past import errors_of
from pfgov.client.refusals import ApiError
from pfgov.client.running import Running
from pfgov.client.speaks import Speaks

__all__ = ["Job", "Worker", "WorkerOptions"]

OVER_MAX: Final = 10_000
"""Ended jobs that are remembered, the oldest forgotten first: far more than one read can be behind."""

JOIN_TRIES: Final = 5
"""How often joining looks again, because the member changed meanwhile."""

LEAVING_SECONDS: Final = 10.0
"""How long leaving may take; what is not given back by then is taken when the lease is over."""

log = logging.getLogger("pfgov.client")


class Worker(Running):
    """A member at work.  Enter it to join; iterate over it for jobs, or let it run a function on each."""

    def __init__(
        self, client: Speaks, member: Mapping[str, Any], options: WorkerOptions | None = None
    ) -> None:
        super().__init__()
        self.client = client
        self.member = dict(member)
        if "id" not in self.member:
            raise ValueError("a member has an id: client.work({'id': ..., 'type': ...})")
        self.member_id: str = self.member["id"]
        self.options = options or WorkerOptions()
        self.on_error = self.options.on_error
        self.incarnation = 0
        self.status: str | None = None
        self.jobs: dict[str, Job] = {}
        self.counts: Counter[str] = Counter()
        self.dead: str | None = None
        self.is_replaced = False
        self._begin()

    def _begin(self) -> None:
        """Forget what an earlier life knew."""
        self.session = uuid.uuid4().hex
        self.dead, self.jobs = None, {}
        self._over: dict[str, int] = {}
        self._said, self._idle = float("-inf"), Idle()
        self._handover, self._is_declared_over = Handover(), False
        self._owed = Owed(self)
        self._lease = Lease(self.options.lease_seconds, self.options.skew_seconds)
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self._names: asyncio.Queue[str] = asyncio.Queue()
        self._poked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._start: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the lease still holds, by the member's own pessimistic clock."""
        return self.dead is None and self._lease.left(_now()) > 0

    @property
    def progress_seconds(self) -> float | None:
        """For how long a job may save nothing and say nothing."""
        return self.options.progress_seconds

    @property
    def idle_reason(self) -> str | None:
        """Why this member is given no work, as far as the server told; None while it has or may be given some."""
        if self.dead is not None:
            return self.dead
        if self.status in {None, "ACTIVE"}:
            return None if self.jobs else self._idle.reason
        return f"member {self.member_id} is {self.status}: it is given no new work"

    # --- joining and leaving ---------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._join()
        loops = (self._live(), self._listen(), self._watch(), self._look_for_ever())
        self._tasks = [asyncio.create_task(one) for one in loops]
        return self

    async def _join(self) -> None:
        """Come in as what the registry knows, or register; bind this process to the member's lease."""
        tries = 0
        while True:
            shown = await self._shown()
            self.incarnation = await self._incarnation(shown)
            try:
                await self._beat()
            except ApiError as error:
                tries += 1
                waits = error.code == "member.in_use" and self.options.take_over
                again = error.code in {"member.gone", "member.incarnation"} and tries < JOIN_TRIES
                if not waits and not again:
                    raise
                await asyncio.sleep(min(1.0, self._lease.seconds / 10) if waits else 0)
                continue
            drain = None if shown is None else shown.get("drain")
            if drain is not None and drain.get("stays") and self.status == "DRAINING":
                await self.client.write("POST", member_path(self.member_id, "cancel-drain"))
                await self._beat()
            return

    async def _shown(self) -> dict[str, Any] | None:
        try:
            shown: dict[str, Any] = await self.client.get(member_path(self.member_id))
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return shown

    async def _incarnation(self, shown: Mapping[str, Any] | None) -> int:
        """Return the life to live: what the registry knows of an earlier one is kept."""
        try:
            if shown is None or shown["status"] == "RETIRED":
                done = await self.client.write("POST", "/api/members/register", self.member)
            elif shown["status"] == "FAILED":
                done = await self.client.write("POST", member_path(self.member_id, "recover"))
            else:
                found: int = shown["incarnation"]
                return found
        except ApiError as error:
            if error.code not in {"member.exists", "lifecycle.illegal"}:
                raise
            again = await self._shown()  # somebody was quicker
            return 0 if again is None else int(again["incarnation"])
        life: int = done.result["incarnation"]
        return life

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                await self._leave()
        except (ApiError, *TRANSIENT) as failed:
            log.warning("%s leaves without a word: %s", self.member_id, failed)
        finally:
            await self._end_tasks()

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self) -> None:
        """Give everything back, so that nobody waits for the lease; and let the next process begin at once."""
        if self.is_replaced:
            await self._stopped()
            await self._end_tasks()
            await self._beat(leaves=True)  # whoever waits to take over need not wait for the lease
        await self._say_stopped()
        if self.dead is not None:
            return
        others = [job.running_elsewhere() for job in self.jobs.values()]
        for task in filter(None, others):
            task.cancel()
        await asyncio.gather(*filter(None, others), return_exceptions=True)
        with contextlib.suppress(
            ApiError
        ):  # it may not be one to be drained: quarantined, for example
            await self.pause()
        for job in list(self.jobs.values()):
            await self.put_down(job, "requeue", {"reason": "the worker left"})
        await self._end_tasks()  # a heartbeat after the last would bind this process again
        await self._beat(leaves=True)
        self._die("it left")

    async def _say_stopped(self) -> None:
        """Say that nothing runs any more of a life that was declared over, so that nobody waits for its lease."""
        if self._is_declared_over and self._handover.is_at_rest:
            with contextlib.suppress(ApiError, *TRANSIENT):  # which is refused, and taken note of
                await self._beat(leaves=True)

    async def pause(self) -> None:
        """Take no new packets: the member stays, and is given nothing until :meth:`resume`."""
        path = member_path(self.member_id, "drain")
        await self.client.write("POST", path, {"mode": "start_first", "stays": True})

    async def resume(self) -> None:
        """Take packets again."""
        await self.client.write("POST", member_path(self.member_id, "cancel-drain"))
        self.poke()

    def require_entered(self) -> None:
        """Refuse to wait for jobs that nobody would ever be given; errors as of :meth:`Running.require_entered`."""
        if not self._tasks and self.dead is None:
            raise RuntimeError("enter the worker first: async with client.work(...) as worker")

    async def __aiter__(self) -> AsyncIterator[Job]:
        """Yield each packet that becomes this member's, until it is declared failed."""
        self.require_entered()
        while (job := await self._next()) is not None:
            yield job

    async def _next(self) -> Job | None:
        """Return the next job that is still this member's; None when there will be none."""
        while (job := await self._queue.get()) is not None:
            if job.lost is None and not job.ended:
                return job
        return None

    # --- living ----------------------------------------------------------------------------

    async def _beat(self, *, leaves: bool = False) -> None:
        """Renew the lease; let go of what the server says is lost, and look at what it says is owned."""
        sent, named = _now(), [*self.jobs.values(), *self._handover.lost()]
        body: dict[str, Any] = {
            "incarnation": self.incarnation,
            "session": self.session,
            "owns": [self._belief(job) for job in named],
            "lease_seconds": round(self._lease.seconds),
            "leaves": leaves,
            "take_over": self.options.take_over,
        }
        is_busy = bool(self.jobs) or self.status != "ACTIVE"
        if not leaves and self._idle.is_to_ask(sent, is_busy=is_busy):
            body["asks_why"] = True
        if self._handover.knows is not None:
            body["knows"] = self._handover.knows
        heard = await self.client.beat(self.member_id, body)
        if leaves:
            return
        self._lease.adopt(heard["lease_seconds"])
        self._lease.renewed(sent)
        self._said = sent
        self._handover.learned(heard["position"])
        self._note_status(heard["status"])
        if "idle" in heard:
            self._idle.note(self.member_id, heard["idle"])
        if self._start is None:
            self._start = heard["position"]
        for one in heard["lost"]:
            job = self.jobs.get(one["packet_id"])
            if job is not None and job.epoch == one["epoch"]:
                job.lose("the server says that it is another's")
        for job in self._handover.heard(named, heard):
            self._queue.put_nowait(job)
        self._look_at(one["packet_id"] for one in heard["unnamed"])
        self._look_at(name for name, job in self.jobs.items() if job.is_kept)

    def _belief(self, job: Job) -> dict[str, Any]:
        """Return what a heartbeat says of *job*; of progress only where the packet bounds the time without."""
        said: dict[str, Any] = {"packet_id": job.packet_id, "epoch": job.epoch}
        if job.packet.get("progress_seconds") is not None:
            said["progressed"] = job.has_progressed(self._said)
        return said

    def _note_status(self, status: str) -> None:
        before, self.status = self.status, status
        if before == status:
            return
        if self.idle_reason is not None:
            log.warning("%s", self.idle_reason, extra={"member": self.member_id})
        elif before is not None:
            log.info("member %s is %s again", self.member_id, status)

    async def _live(self) -> None:
        """Beat three times within what is safe, more often after a failure."""
        pause = self._lease.interval
        while self.dead is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._poked.wait()
            self._poked.clear()
            try:
                # Not repeated in itself: a lease counts from when the heartbeat that was answered was sent.
                async with asyncio.timeout(max(self._lease.interval, 0.5)):
                    await self._beat()
            except TRANSIENT:
                pause = self._lease.interval / 4
                continue
            except ApiError as error:
                self.is_replaced = error.code == "member.taken_over"
                self._is_declared_over = error.code in {"member.gone", "member.incarnation"}
                self._die(error.message)
                return
            pause = self._handover.pause(self._lease.interval)
            await self._owed.pay()

    async def _watch(self) -> None:
        """Stop everything the moment the lease may be over, whatever the network does."""
        late = 0.0
        while (left := self._lease.left(_now())) > 0:
            due = _now() + left
            await asyncio.sleep(left)
            late = _now() - due
        self._die(ran_out(late))

    def _die(self, why: str) -> None:
        if self.dead is None:
            self.dead = why
            self._lease.lost()
            for job in list(self.jobs.values()):
                job.lose(why)
            self._queue.put_nowait(None)
            log.warning("%s stops: %s", self.member_id, why, extra={"member": self.member_id})

    # --- getting and losing ----------------------------------------------------------------

    async def _listen(self) -> None:
        """Look at each packet that an event about this member names."""
        try:
            self._look_at(await self._owned())
            async for heard in self.client.events(after=self._start, member=self.member_id):
                self._handover.learned(heard.position)
                kind, _, name = str(heard.data.get("subject", "")).partition("/")
                if kind == "packet":
                    self._look_at([name])
                elif kind == "member":
                    self.poke()  # its lease or its status may be another now
        except Exception as error:  # noqa: BLE001 - a member that hears nothing must not seem to work
            self._die(f"it cannot listen: {error}")

    def _look_at(self, names: Iterable[str]) -> None:
        for name in names:
            self._names.put_nowait(name)

    async def _look_for_ever(self) -> None:
        while True:
            name = await self._names.get()
            try:
                await self.look(name)
            except TRANSIENT:
                continue  # the next heartbeat names it again
            except ApiError as error:
                log.warning("%s cannot be looked at: %s", name, error, extra={"packet": name})

    async def _owned(self) -> list[str]:
        """Return the packets that are this member's already: it was here before this process was."""
        path = "/api/packets"
        answer = await self.client.get(path, owner=self.member_id)
        found = [one["packet_id"] for one in answer["items"]]
        while "next" in answer:
            answer = await self.client.get(path, owner=self.member_id, after=answer["next"])
            found += [one["packet_id"] for one in answer["items"]]
        return found

    async def _read(self, packet_id: str) -> dict[str, Any] | None:
        """Return the packet; None if it is none of this member's any more, for then its key may not read it."""
        try:
            return await self.client.packet(packet_id)
        except ApiError as error:
            if error.status != 403:
                raise
            return None

    async def look(self, packet_id: str) -> None:
        """Compare what is held of a packet with what the server shows; accept it, if it is offered."""
        with self._handover.asking():
            await self._look(packet_id)

    async def _look(self, packet_id: str) -> None:
        started, packet = _now(), await self._read(packet_id)
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
            started, packet = _now(), await self._read(packet_id)
        self._compare(packet_id, packet, started)

    def _compare(self, packet_id: str, packet: dict[str, Any] | None, started: float) -> None:
        """Take, keep or lose a packet, as it was shown to a question asked at *started*."""
        epoch = None if packet is None else owned_epoch(packet, self.member_id, self.incarnation)
        held = self.jobs.get(packet_id)
        if held is not None and started < held.since:
            return  # asked before the last answer to a write of this job: it may show what was before
        if held is not None and held.epoch != epoch:
            held.lose(
                "it is another's"
                if packet is None
                else f"it is {packet['status']}, owner {packet['current_owner']}"
            )
            held = None
        if packet is None or epoch is None or self.dead is not None:
            return
        if held is None and epoch > self._over.get(packet_id, -1):
            # Once for each ownership: what was read before its job ended and compared after is not taken again.
            self._take(packet_id, Job(self, packet, epoch))
        elif held is not None:
            held.shown(packet)
            if held.follow(packet) and held.is_kept:
                self.give_out_again(held)

    def _take(self, packet_id: str, job: Job, *, is_new: bool = True) -> None:
        self.jobs[packet_id] = job
        self.counts["taken"] += 1
        if is_new and not self._handover.may_begin(job):
            self.poke()
        else:
            self._queue.put_nowait(job)

    def give_out_again(self, job: Job) -> None:
        """Hand an ownership out once more that nobody works on: its handoff came to nothing."""
        again = Job(self, job.packet, job.epoch, since=job.since)
        self._take(job.packet_id, again, is_new=False)

    def stopped(self, job: Job) -> None:
        """Note that the block of *job* has ended; of one that was lost somebody may wait to hear that."""
        self._handover.stopped(job)
        if job.lost is not None or self._handover.is_waited_for(job):
            self.poke()

    def forget(self, job: Job) -> None:
        """Hold *job* no longer, and never hand out its ownership again."""
        if self.jobs.get(job.packet_id) is job:
            del self.jobs[job.packet_id]
        self._handover.over(job)
        if job.lost is not None and not job.is_running:
            self.poke()
        self._over.pop(job.packet_id, None)
        self._over[job.packet_id] = job.epoch
        while len(self._over) > OVER_MAX:
            del self._over[next(iter(self._over))]

    # --- what jobs ask for -----------------------------------------------------------------

    async def act(
        self, job: Job, verb: str, body: Mapping[str, Any], key: str | None = None
    ) -> Recorded:
        """Write to the packet of *job* as its owner."""
        done = await self.client.act(job.packet_id, verb, {**job.claim, **body}, key=key)
        job.since = _now()
        extra = {"packet": job.packet_id, "epoch": job.epoch, "position": done.position}
        log.info("%s of %s is entry %s", verb, job.packet_id, done.position, extra=extra)
        self.counts[verb] += 1
        return done

    async def context_of(self, job: Job) -> Any:
        """Return the context of the packet of *job*; None where there is none."""
        try:
            answer = await self.client.get(packet_path(job.packet_id, "context"))
        except ApiError as error:
            if error.code == "context.not_found":
                return None
            raise
        return answer["context"]

    async def errors_of(self, job: Job) -> int:
        """Return how many jobs of this packet raised before; 0 where that cannot be read."""
        return await errors_of(self.client, job.packet_id)

    async def put_down(self, job: Job, verb: str, body: Mapping[str, Any]) -> None:
        """End a job by a write that is made now, or after a heartbeat that is answered; it is said once."""
        await self._owed.put_down(job, verb, body)

    def poke(self) -> None:
        """Let the next heartbeat be sent at once."""
        self._poked.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
