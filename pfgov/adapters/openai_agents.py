"""OpenAI Agents SDK: handoffs that policy decides, tools that only the present owner may call.

A handoff that policy would refuse is not shown to the model.  One that is denied all the same stays with the agent
that has the packet, and the model is told the rules.  An escalation ends the run with
:class:`~pfgov.client.EscalatedError`; wait for the review and run again.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from pfgov.adapters.governed import GovernedPacket, Moved, framework
from pfgov.client import LostOwnershipError


class Governed(GovernedPacket):
    """A packet that agents of the OpenAI Agents SDK hand to each other; members go by the agents' names."""

    def handoff(self, agent: Any, *, on_denied: Literal["stay", "raise"] = "stay") -> Any:
        """Return a handoff to *agent*, for ``Agent(handoffs=[...])`` of one other agent.

        Args:
            agent: The agent that is to get the packet.
            on_denied: Whether a denial leaves the model where it is, with the rules, or ends the run.

        Raises:
            MissingExtraError: the SDK is not installed.
        """
        sdk = framework("agents", "openai-agents")
        sources: list[Any] = []
        last: list[Moved] = []

        async def is_enabled(_context: Any, source: Any) -> bool:
            sources[:] = [source]
            return await self.may_have(agent.name)

        async def invoke(_context: Any, _arguments: str) -> Any:
            (source,) = sources
            moved = await self.hand_off(source.name, agent.name)
            last[:] = [moved]
            if moved.outcome == "escalated" and moved.error is not None:
                raise moved.error
            if moved.outcome == "denied" and on_denied == "raise" and moved.error is not None:
                raise moved.error
            return agent if moved.outcome == "allowed" else source

        def said(next_agent: Any) -> str | None:
            return last[0].says if last and next_agent is not agent else None

        return _kind(sdk, said)(
            tool_name=sdk.Handoff.default_tool_name(agent),
            tool_description=sdk.Handoff.default_tool_description(agent),
            input_json_schema={"type": "object", "properties": {}, "additionalProperties": False},
            on_invoke_handoff=invoke,
            agent_name=agent.name,
            is_enabled=is_enabled,
        )

    def tool(self, agent_name: str, tool: Any) -> Any:
        """Return a function tool that does what *tool* does while the agent of that name owns the packet.

        Afterwards a call does nothing, and the model is told so.
        """

        async def invoke(context: Any, arguments: str) -> Any:
            try:
                await self.check(agent_name)
            except LostOwnershipError as error:
                return f"refused: {error.message}"
            return await tool.on_invoke_tool(context, arguments)

        return dataclasses.replace(tool, on_invoke_tool=invoke)


def _kind(sdk: Any, said: Callable[[Any], str | None]) -> Any:
    """Return the SDK's class of handoffs with what *said* tells the model, where a handoff came to nothing."""

    class GovernedHandoff(sdk.Handoff):  # type: ignore[misc]  # the extra may be missing
        def get_transfer_message(self, agent: Any) -> str:
            usual: str = sdk.Handoff.get_transfer_message(self, agent)
            return said(agent) or usual

    return GovernedHandoff
