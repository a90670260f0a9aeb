"""A packet in a worker's hands: what its code may do with it, and what becomes of it however that code ends.

A job never ends in silence.  It is completed, failed, given back, handed over or lost; and where its code raises, or
just stops, a rule that was declared before says which.  This module knows the server only through its worker.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, get_args

from pfgov.client.core import Recorded
from pfgov.client.lease import SKEW_SHARE
from pfgov.client.refusals import ApiError, EscalatedError
from pfgov.errors import PfgovError

Rule = Literal["requeue", "fail", "hand_off"]
"""What becomes of a packet whose job raised: back into the queue, failed for good, or to another member."""

ERROR: Final = "error: "
"""What the recorded reason of such an end begins with; the class of the error follows, never its text."""

_ELSEWHERE: Final = {"elsewhere": True}
"""What did not work here is tried by others first."""

PENDING_SECONDS: Final = 1.0
"""How often a job whose checkpoint has to wait looks whether its handoff has ended."""


class StalledError(PfgovError):
    """The job saved nothing, and said nothing, for as long as it may: it hangs."""

    code = "client.stalled"


class LostOwnershipError(PfgovError):
    """The packet is somebody else's now, or the member's lease ran out: what was being done must not go on."""

    code = "client.lost"


@dataclass(frozen=True, slots=True)
class OnError:
    """What becomes of a packet whose job raised.

    Attributes:
        rule: One of :data:`Rule`, or what returns one for an error.
        attempts: After how many attempts that ended with an error ``requeue`` and ``hand_off`` become ``fail``.
    """

    rule: Rule | Callable[[Exception], Rule] = "requeue"
    attempts: int = 5

    def __post_init__(self) -> None:
        """Refuse what is no rule.

        Raises:
            ValueError: it is none, or no attempt is allowed.
        """
        if not callable(self.rule) and self.rule not in get_args(Rule):
            raise ValueError(
                f"on_error is {self.rule!r}: it is one of {', '.join(get_args(Rule))}, or a function"
            )
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}: the first is one already")

    def of(self, error: Exception, before: int) -> Rule:
        """Return what becomes of the packet, whose jobs raised *before* times before this one."""
        rule = self.rule(error) if callable(self.rule) else self.rule
        return "fail" if before + 1 >= self.attempts else rule


class Holder(Protocol):
    """What a job needs of its worker."""

    member_id: str
    incarnation: int
    on_error: OnError

    @property
    def progress_seconds(self) -> float | None:
        """For how long a job may say nothing."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether the lease still holds."""
        ...

    async def act(self, job: "Job", verb: str, body: Mapping[str, Any]) -> Recorded:
        """Do something to the job's packet."""
        ...

    async def context_of(self, job: "Job") -> Any:
        """Return the context of the job's packet."""
        ...

    async def look(self, packet_id: str) -> None:
        """Compare what is held with what the server shows."""
        ...

    async def errors_of(self, job: "Job") -> int:
        """Return how many jobs of this packet ended with an error before."""
        ...

    async def put_down(self, job: "Job", verb: str, body: Mapping[str, Any]) -> None:
        """End the job with a write that is made now, or as soon as the server answers."""
        ...

    def forget(self, job: "Job") -> None:
        """Hold it no longer."""
        ...

    def stopped(self, job: "Job") -> None:
        """Note that its block has ended."""
        ...

    def give_out_again(self, job: "Job") -> None:
        """Hand its ownership out once more: nobody works on it."""
        ...


@dataclass(eq=False)
class Job:
    """A packet that the member owns under one epoch.

    Use it as an asynchronous context manager: when ownership is lost the block is cancelled, and
    :class:`LostOwnershipError` is raised from it.
    """

    worker: Holder
    packet: dict[str, Any]
    epoch: int
    lost: str | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    handoff: int | None = None
    is_kept: bool = False
    is_held_back: bool = False
    was_offered: bool = False
    escalated: int | None = None
    since: float = 0.0
    _task: asyncio.Task[Any] | None = field(default=None, repr=False)
    _is_cut: bool = field(default=False, repr=False)
    _is_stalled: bool = field(default=False, repr=False)
    _moved: float = field(default=0.0, repr=False)
    _asking: int = field(default=0, repr=False)
    _asked: float = field(default=0.0, repr=False)
    _watch: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def packet_id(self) -> str:
        """Its id."""
        found: str = self.packet["packet_id"]
        return found

    @property
    def claim(self) -> dict[str, Any]:
        """What every write names: the member, its incarnation and the epoch."""
        worker = self.worker
        return {
            "member_id": worker.member_id,
            "incarnation": worker.incarnation,
            "epoch": self.epoch,
        }

    def progress(self) -> None:
        """Say that the work goes on, without saving anything: a job that says nothing for too long is given up."""
        self._moved = asyncio.get_running_loop().time()

    @property
    def progress_seconds(self) -> float | None:
        """For how long it may say nothing: as long as the worker allows, and less than the packet does, so that it has
        stopped before the server gives the packet to somebody else.
        """
        term, own = self.packet.get("progress_seconds"), self.worker.progress_seconds
        if term is None:
            return own
        early: float = term * (1 - 1 / SKEW_SHARE)
        return early if own is None else min(own, early)

    def has_progressed(self, since: float) -> bool:
        """Whether the work went on after *since*, or waits its turn or for the server."""
        return self._task is None or self._asking > 0 or self._moved >= since

    @contextlib.contextmanager
    def _asks(self) -> Generator[None]:
        """Wait for the server: for how long that takes says nothing about the job, and the lease bounds it."""
        loop = asyncio.get_running_loop()
        if not self._asking:
            self._asked = loop.time()
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._moved += loop.time() - self._asked
                self._look_for_progress()

    def shown(self, packet: dict[str, Any]) -> None:
        """Take note of *packet* as the server shows it now; a new bound of progress counts from when it is known."""
        before, self.packet = self.packet, packet
        term = "progress_seconds"
        if self._task is not None and packet.get(term) != before.get(term):
            self.progress()
            self._look_for_progress()

    def _look_for_progress(self) -> None:
        """Give the job up if it hangs, else look again when it may."""
        bound, task, loop = self.progress_seconds, self._task, asyncio.get_running_loop()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if bound is None or task is None or self.ended or self.lost is not None or self._asking:
            return
        left = self._moved + bound - loop.time()
        if left > 0:
            self._watch = loop.call_later(left, self._look_for_progress)
        else:
            self._is_stalled = task.cancel()

    async def context(self) -> Any:
        """Return the packet's context, as far as this owner may see it; None where there is none."""
        with self._asks():
            return await self.worker.context_of(self)

    async def checkpoint(self, context: Mapping[str, Any]) -> Recorded:
        """Save progress: whoever takes over begins with it.  While the packet is handed off, wait until that has ended.

        Raises:
            LostOwnershipError: it was handed over, or lost.
        """
        while True:
            self.check()
            try:
                done = await self._write("checkpoint", {"context_checkpoint": context})
            except ApiError as error:
                if error.code != "handoff.pending":
                    raise
            else:
                self.progress()
                return done
            await asyncio.sleep(PENDING_SECONDS)
            await self.worker.look(self.packet_id)

    async def complete(self, result: Mapping[str, Any] | None = None) -> Recorded:
        """Say that the work is done, and what came of it: the ledger commits to it, and the submitter may read it."""
        return await self._end("complete", {} if result is None else {"result": result})

    async def fail(self, reason: str) -> Recorded:
        """Give up for good."""
        return await self._end("fail", {"reason": reason})

    async def give_back(self, reason: str = "requested", *, elsewhere: bool = False) -> Recorded:
        """Put the packet back into the queue; with *elsewhere* others get it first."""
        return await self._end(
            "requeue", {"reason": reason, **_ELSEWHERE} if elsewhere else {"reason": reason}
        )

    async def hand_off(self, target: str | None = None, reason: str = "requested") -> Recorded:
        """Start to move the packet, and leave the block.

        It stays this member's until the target has accepted.  If that does not happen the packet is handed out again,
        as a new job under the same epoch.

        Raises:
            DeniedError: nobody that was asked for may have it; the job goes on here, or ends by its rule.
            EscalatedError: a review is wanted first.  A block that is left with it keeps the packet until the review
                is given: then it moves by itself, or is handed out again.
        """
        self.check()
        body = {"reason": reason, **({} if target is None else {"target": target})}
        try:
            done = await self._write("handoff", body)
        except EscalatedError as error:
            self.escalated = error.position
            raise
        self.was_offered = True
        if done.result.get("epoch", self.epoch) != self.epoch:
            self.lose("it was handed over")  # the target accepted at once
        else:
            self.handoff = done.result.get("handoff")
        return done

    def follow(self, packet: Mapping[str, Any]) -> bool:
        """Note how a handoff stands, as *packet* shows it; return whether one came to nothing just now."""
        pending = packet["handoff"]["pending"]
        if pending is not None:
            self.handoff = pending["position"]
            return False
        came_to_nothing = self.handoff is not None or (
            self.escalated is not None and not is_reviewed_still(packet, self.escalated)
        )
        if came_to_nothing:
            self.handoff = self.escalated = None
        return came_to_nothing

    async def _end(self, verb: str, body: Mapping[str, Any]) -> Recorded:
        self.check()
        self.ended = True  # already now: the event may be heard before the answer
        try:
            done = await self._write(verb, body)
        except BaseException:
            self.ended = False
            raise
        self.worker.forget(self)
        return done

    async def _write(self, verb: str, body: Mapping[str, Any]) -> Recorded:
        try:
            with self._asks():
                return await self.worker.act(self, verb, body)
        except ApiError as error:
            if error.code.startswith("ownership."):
                self.ended = False
                self.lose(error.message)
                raise LostOwnershipError(error.message) from error
            raise

    def check(self) -> None:
        """Refuse to go on with what is lost.

        Raises:
            LostOwnershipError: it is.
        """
        if self.lost is not None:
            raise LostOwnershipError(f"{self.packet_id} was lost: {self.lost}")
        if self.ended:
            raise LostOwnershipError(
                f"this job of {self.packet_id} has ended it, or given it back, already"
            )
        if not self.worker.is_alive:
            raise LostOwnershipError("the member's lease ran out")

    def lose(self, why: str) -> None:
        """Stop what is being done about this packet."""
        if self.lost is None and not self.ended:
            self.lost = why
            self.gone.set()
            self.worker.forget(self)
            # Whoever learns it in the block itself gets the error there; a cancellation would hit what comes after.
            if self._task is not None and self._task is not asyncio.current_task():
                self._is_cut = self._task.cancel()

    @property
    def is_running(self) -> bool:
        """Whether its block has begun and not ended."""
        return self._task is not None

    def running_elsewhere(self) -> asyncio.Task[Any] | None:
        """Return the task in which its block runs, None if it is this one or none."""
        return None if self._task is asyncio.current_task() else self._task

    async def __aenter__(self) -> Self:
        self.check()
        self._task = asyncio.current_task()
        self.progress()
        self._look_for_progress()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        self.worker.stopped(self)
        if self._watch is not None:
            self._watch.cancel()
        if self._is_stalled and isinstance(error, asyncio.CancelledError) and task is not None:
            if task.uncancel() == 0 and self.lost is None:
                stalled = StalledError(f"the job of {self.packet_id} said nothing for too long")
                await self._put_down(stalled)
                raise stalled from error
            return False
        if self.lost is not None:
            return self._was_lost(error, task)
        if self.ended:
            return False
        if error is None and self.was_offered:
            self.is_kept = True  # until it is known whether the target has it
            if self.handoff is None:
                self.worker.give_out_again(self)  # it is known already
            return False
        if isinstance(error, EscalatedError) and self.escalated is not None:
            self.is_kept = True  # until the review is given
            return False
        if error is None:
            body = {"reason": "its job ended without a word", **_ELSEWHERE}
            await self.worker.put_down(self, "requeue", body)
        elif isinstance(
            error, LostOwnershipError
        ):  # by its own clock; the packet may still be this member's
            await self.worker.put_down(self, "requeue", {"reason": "its member's lease ran out"})
        elif isinstance(error, Exception):
            await self._put_down(error)
        else:
            await self.worker.put_down(self, "requeue", {"reason": "its job was stopped"})
        return False

    def _was_lost(self, error: BaseException | None, task: asyncio.Task[Any] | None) -> bool:
        """Return whether the end of a job that was lost is nobody's error: it was handed over on purpose."""
        if isinstance(error, asyncio.CancelledError) and self._is_cut and task is not None:
            if task.uncancel() > 0:
                return False  # somebody else cancels what the block runs in, too
            if not self.was_offered:
                raise LostOwnershipError(f"{self.packet_id} was lost: {self.lost}") from error
            return True
        return isinstance(error, LostOwnershipError) and self.was_offered

    async def _put_down(self, error: Exception) -> None:
        reason = f"{ERROR}{type(error).__name__}"
        verb = self.worker.on_error.of(error, await self.worker.errors_of(self))
        verbs = {"requeue": "requeue", "fail": "fail", "hand_off": "handoff"}
        body = {"reason": reason, **(_ELSEWHERE if verb == "requeue" else {})}
        await self.worker.put_down(self, verbs[verb], body)


def is_reviewed_still(packet: Mapping[str, Any], since: int) -> bool:
    """Return whether a handoff that was escalated at position *since* may still come of it: a review is asked for, or
    was granted and the packet is about to move.
    """
    if packet.get("review") is not None:
        return True
    waiting: Mapping[str, Any] = packet.get("waiting") or {}
    granted = any(one["position"] > since for one in packet.get("reviews", ()))
    return waiting.get("outcome") == "escalated" and granted
