"""Agent2Agent: an agent's card becomes a member, a task a packet, and the state of the task is that of its packet.

:func:`executor` answers tasks: whoever of its agents has the packet works on it, and where a member elsewhere has it
the task follows until the packet has ended.  A review is an interruption; the next message goes on from it.
:func:`handler` is the other way round: a worker that has an agent elsewhere do its packets.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pfgov.adapters.governed import (
    POLL_SECONDS,
    GovernedPacket,
    Moved,
    framework,
    is_about_to_move,
)
from pfgov.client import (
    AsyncClient,
    DeniedError,
    EscalatedError,
    Job,
    LostOwnershipError,
    NotFoundError,
    NotOwnerError,
    UnreachableError,
)
from pfgov.client.core import ENDED
from pfgov.client.job import ERROR
from pfgov.errors import PfgovError

Work = Callable[["Governed", Any], Awaitable[Moved | Mapping[str, Any] | None]]
"""Does the work of one agent while it has the packet, given the SDK's request: returns what a handoff came to, or the
result, which completes the packet."""

INPUT_REQUIRED: Final = "TASK_STATE_INPUT_REQUIRED"

STATES: Final[Mapping[str, str]] = {
    "PENDING": "TASK_STATE_SUBMITTED",
    "AWAITING_REVIEW": INPUT_REQUIRED,
    "ASSIGNED": "TASK_STATE_WORKING",
    "HANDOFF_PENDING": "TASK_STATE_WORKING",
    "COMPLETED": "TASK_STATE_COMPLETED",
    "FAILED": "TASK_STATE_FAILED",
    "CANCELLED": "TASK_STATE_CANCELED",
}
"""The state of a task, by the status of its packet; while a review is asked for it is ``TASK_STATE_INPUT_REQUIRED``."""


class TaskEndedError(PfgovError):
    """An agent elsewhere ended a task otherwise than well, or wants something that nobody here can give."""

    code = "adapter.task_ended"


class Governed(GovernedPacket):
    """The packet of one task."""


def member_of(card: Any, member_id: str) -> dict[str, Any]:
    """Return the registration of the agent that *card* describes: what it can do are the ids of its skills.

    How far it is trusted, where it is and what it may see are never taken from a card, which says what it likes: add
    them, or let an assessor.
    """
    skills = sorted({one.id for one in card.skills})
    return {"id": member_id, "type": "agent", "capabilities": skills}


def state_of(shown: Mapping[str, Any]) -> str:
    """Return the name of the state that a task has whose packet is shown so."""
    is_reviewed = shown["review"] is not None and shown["status"] not in ENDED
    return INPUT_REQUIRED if is_reviewed else STATES[shown["status"]]


def executor(
    client: AsyncClient,
    members: Mapping[str, str],
    work: Mapping[str, Work],
    *,
    first: str,
    packet: Callable[[Any], Mapping[str, Any]],
) -> Any:
    """Return an ``AgentExecutor`` for the SDK's request handler.

    A task is rejected, and its packet cancelled, where policy does not allow the first agent to have it.  Each update
    names the packet, its owner and epoch, and what was recorded, in its metadata under ``pfgov``.

    Args:
        client: With a key that may submit, assign and move packets.
        members: Which member each agent is.
        work: What each agent of this process does.
        first: Which agent gets a new task.
        packet: The packet that an SDK's request stands for; the id is the task's.

    Raises:
        MissingExtraError: the SDK is not installed.
    """
    base: Any = framework("a2a.server.agent_execution", "a2a").AgentExecutor

    class Executor(base):  # type: ignore[misc]  # the extra may be missing
        async def execute(self, context: Any, event_queue: Any) -> None:
            governed = Governed(client, context.task_id, members, thread=context.context_id)
            status = _TaskStatus(governed, context, event_queue)
            if context.current_task is None:
                await status.begins()
            try:
                if not await _is_placed(governed, packet(context), first):
                    return await status.becomes(INPUT_REQUIRED)
            except DeniedError as error:
                await client.act(governed.packet_id, "cancel", {"reason": "not allowed"})
                status.says = error.message
                return await status.becomes("TASK_STATE_REJECTED")
            return await _follow(governed, context, work, status)

        async def cancel(self, context: Any, event_queue: Any) -> None:
            governed = Governed(client, context.task_id, members, thread=context.context_id)
            await client.act(governed.packet_id, "cancel", {"reason": "its task was cancelled"})
            await _TaskStatus(governed, context, event_queue).becomes("TASK_STATE_CANCELED")

    return Executor()


async def _is_placed(gov: Governed, packet: Mapping[str, Any], first: str) -> bool:
    """Submit the packet of a task and give it to the first agent; return whether no review is waited for.

    Raises:
        DeniedError: policy does not allow it, or the review was refused.
    """
    try:
        shown = await gov.client.packet(gov.packet_id)
    except NotFoundError:  # the first message; what later ones say changes no packet
        body = {**packet, "packet_id": gov.packet_id, "hold": True}
        await gov.client.submit(body, key=f"a2a/{gov.packet_id}")
        shown = await gov.client.packet(gov.packet_id)
    if shown["review"] is None and shown["status"] not in ENDED and shown["epoch"] == 0:
        key = f"a2a/{gov.packet_id}/v{shown['version']}"
        try:
            await gov.client.act(gov.packet_id, "assign", {"target": gov.member_of(first)}, key=key)
        except EscalatedError:
            return False
    return shown["review"] is None


async def _follow(
    gov: Governed, context: Any, work: Mapping[str, Work], status: "_TaskStatus"
) -> None:
    """Have whoever has the packet work on it, until it has ended or somebody else has to say something first."""
    while True:
        shown = await gov.client.packet(gov.packet_id)
        agent, state = gov.noted(shown), state_of(shown)
        await status.becomes(state)
        if shown["status"] in ENDED or state == INPUT_REQUIRED:
            return
        is_ours = agent in work and shown["status"] == "ASSIGNED" and not is_about_to_move(shown)
        if agent is None or not is_ours:
            await asyncio.sleep(POLL_SECONDS)  # it is with a member elsewhere, or goes to one
            continue
        try:
            came = await _come_of(gov, agent, work[agent], context)
        except (LostOwnershipError, NotOwnerError):
            continue  # it was taken meanwhile: the task goes where the packet went
        if isinstance(came, Moved):
            status.says = came.says
            if came.outcome == "denied":
                await status.becomes(INPUT_REQUIRED)
                return
        elif came is not None:
            await status.result(came)


async def _come_of(
    gov: Governed, agent: str, do: Work, context: Any
) -> Moved | Mapping[str, Any] | None:
    """Let an agent work, and end its packet by what it returns or raises; return the former."""
    try:
        came = await do(gov, context)
    except (LostOwnershipError, NotOwnerError, UnreachableError):
        raise
    except Exception as error:  # noqa: BLE001 - the class alone is recorded, as a worker does
        failed = {**gov.claim(agent), "reason": f"{ERROR}{type(error).__name__}"}
        await gov.client.act(gov.packet_id, "fail", failed)
        return None
    if not isinstance(came, Moved):
        await gov.complete(agent, came)
    return came


class _TaskStatus:
    """What the client of a task is told: each state once, with where the packet stands."""

    def __init__(self, gov: Governed, context: Any, queue: Any) -> None:
        tasks = framework("a2a.server.tasks", "a2a")
        self._types, self._helpers = framework("a2a.types", "a2a"), framework("a2a.helpers", "a2a")
        self._gov, self._context, self._queue = gov, context, queue
        self._updater = tasks.TaskUpdater(queue, context.task_id, context.context_id)
        self._state: str | None = None
        self.says = ""

    async def begins(self) -> None:
        await self._queue.enqueue_event(
            self._helpers.new_task_from_user_message(self._context.message)
        )

    async def becomes(self, state: str) -> None:
        if state == self._state:
            return
        self._state = state
        shown = await self._gov.client.packet(self._gov.packet_id)
        names = ("packet_id", "current_owner", "epoch", "review")
        about = {**{name: shown[name] for name in names}, "receipts": self._gov.receipts}
        parts = [self._helpers.new_text_part(self.says)] if self.says else []
        message = self._updater.new_agent_message(parts) if parts else None
        await self._updater.update_status(
            getattr(self._types.TaskState, state), message, metadata={"pfgov": about}
        )

    async def result(self, result: Mapping[str, Any]) -> None:
        part = self._helpers.new_data_part(dict(result))
        await self._updater.add_artifact([part], artifact_id="result", name="result")


def handler(agent: Any) -> Callable[[Job], Awaitable[dict[str, Any] | None]]:
    """Return what a worker runs on each packet: the agent behind *agent*, a client of the SDK, does it.

    The message carries the context as this owner may see it, and the claim in its metadata under ``pfgov``.  The
    result are the data of the task's artifacts.  When the packet is lost the task is cancelled.
    """
    types = framework("a2a.types", "a2a")
    helpers = framework("a2a.helpers", "a2a")

    async def forward(job: Job) -> dict[str, Any] | None:
        message = helpers.new_data_message(await job.context() or {}, role=types.Role.ROLE_USER)
        message.message_id = f"{job.packet_id}/{job.epoch}"
        message.metadata.update({"pfgov": {"packet_id": job.packet_id, **job.claim}})
        task: Any = None
        try:
            async for said in agent.send_message(types.SendMessageRequest(message=message)):
                job.progress()
                task = said.task if said.HasField("task") else task
            if task is not None:
                task = await agent.get_task(types.GetTaskRequest(id=task.id))
        except asyncio.CancelledError:
            if task is not None:
                await agent.cancel_task(types.CancelTaskRequest(id=task.id))
            raise
        state = None if task is None else types.TaskState.Name(task.status.state)
        if task is None or state != STATES["COMPLETED"]:
            raise TaskEndedError(f"the agent left the task of {job.packet_id} at {state}")
        found = [one for part in task.artifacts for one in helpers.get_data_parts(part.parts)]
        return {"artifacts": found} if found else None

    return forward
