"""LangGraph: moves between nodes that policy decides, and nodes that only run while their agent owns the packet.

An escalation is an ``interrupt``; resume the thread when the review was given.  The node is then run again, which
asks for the same handoff under the same idempotency key, and is answered with what came of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pfgov.adapters.governed import GovernedPacket, Moved, framework
from pfgov.client import LostOwnershipError

DENIED: str = "pfgov_denied"
"""The key of the state's update that says why a handoff was denied."""


class Governed(GovernedPacket):
    """A packet that nodes of a graph hand to each other; members go by the nodes' names."""

    async def goto(
        self,
        source: str,
        target: str,
        update: Mapping[str, Any] | None = None,
        *,
        on_denied: str | None = None,
        denied_key: str = DENIED,
    ) -> Any:
        """Return the command that goes to *target* once its agent has the packet.

        Args:
            source: The node that has it.
            target: The node that is to get it.
            update: What to write into the state, if it moves.
            on_denied: The node to go to otherwise, with the reasons in the state under *denied_key*.
            denied_key: A key of the state.

        Raises:
            DeniedError, EscalatedError: it was denied or its review refused, and *on_denied* names no node.
            MissingExtraError: LangGraph is not installed.
        """
        types = framework("langgraph.types", "langgraph")
        moved = await self._asked(source, target)
        while moved.outcome == "escalated":
            types.interrupt(
                {"packet_id": self.packet_id, "says": moved.says, "review": moved.review}
            )
            moved = await self._asked(source, target)
        if moved.outcome == "allowed":
            return types.Command(goto=target, update=dict(update or {}))
        if on_denied is None and moved.error is not None:
            raise moved.error
        goto = source if on_denied is None else on_denied
        return types.Command(goto=goto, update={denied_key: moved.says})

    async def _asked(self, source: str, target: str) -> Moved:
        """Ask for the handoff of this step of this thread: what was asked in it before is answered as it was."""
        config = framework("langgraph.config", "langgraph").get_config()
        thread = config.get("configurable", {}).get("thread_id", self.thread)
        step = config.get("metadata", {}).get("langgraph_step")
        return await self.hand_off(source, target, step=f"{thread}/{step}")

    def node(
        self, name: str, do: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[Any]]:
        """Return a node that does what *do* does, if the agent *name* has the packet when it begins and when it ends.

        What a node returns after its agent lost the packet is not taken: the run ends with
        :class:`~pfgov.client.LostOwnershipError`.
        """

        async def governed(state: Any) -> Any:
            await self.check(name)
            result = await do(state)
            if not self._is_given_away(name):
                await self.check(name)
            return result

        governed.__name__ = name
        return governed

    def _is_given_away(self, name: str) -> bool:
        """Whether this run itself handed the packet on, or completed it, while the node *name* ran."""
        try:
            mine = self.claim(name)["epoch"]
        except LostOwnershipError:
            return False
        others = [epoch for agent, (_, epoch) in self._held.items() if agent != name]
        return self.is_completed or any(epoch > mine for epoch in others)
