"""One story in each framework: triage hands a refund to the refund agent, and the ledger says who may and who did.

Denied for trust, escalated above an amount, resumed after a review, a tool call of the agent that lost the packet
refused; and in the end one lineage that verifies.  Models are fakes that say what they are told to say.
"""

from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from support.cli_server import Served
from support.ledgers import fresh
from support.refunds import MEMBERS, Story, kinds, prepare, review, submit, tell

from pfgov.adapters.governed import GovernedPacket, framework
from pfgov.client import (
    AsyncClient,
    DeniedError,
    EscalatedError,
    LostOwnershipError,
    StaleEpochError,
)
from pfgov.client.core import MissingExtraError
from pfgov.errors import NotFoundError


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of this module share: three members, and a policy of trust and amounts."""
    folder = tmp_path_factory.mktemp("adapters")
    with Served(fresh(folder)) as found:
        prepare(found, folder)
        yield found


def _told(served: Served, packet_id: str, amount: str, story: Story) -> None:
    """Submit a refund that triage has, tell a story about it, and verify its lineage."""

    async def told(client: AsyncClient) -> None:
        await submit(client, packet_id, amount)
        await story(client)

    tell(served, told)


# --- what the adapters share -------------------------------------------------------------------


def test_adapters_nobody_may_have_a_packet_that_has_ended(served: Served) -> None:
    """A framework asks which agents to offer after a tool completed the packet, and the run ends with an error."""

    async def story(client: AsyncClient) -> None:
        gov = GovernedPacket(client, "shared-ended", MEMBERS, thread="t")
        assert await gov.owner() == "triage"
        await gov.complete("triage", {"paid": 1})
        assert not await gov.may_have("refund")

    _told(served, "shared-ended", "small", story)


def test_adapters_a_packet_moves_between_agents(served: Served) -> None:
    """A handoff, a denial and a late act of the agent that lost the packet cannot be told apart."""

    async def story(client: AsyncClient) -> None:
        gov = GovernedPacket(client, "shared-1", MEMBERS, thread="t")
        assert await gov.owner() == "triage"
        assert await gov.may_have("refund")
        assert not await gov.may_have("novice")
        denied = await gov.hand_off("triage", "novice")
        assert (denied.outcome, isinstance(denied.error, DeniedError)) == ("denied", True)
        assert "/trust" in denied.says
        with pytest.raises(LostOwnershipError):
            await gov.check("refund")
        moved = await gov.hand_off("triage", "refund", step="1")
        assert moved.outcome == "allowed"
        anew = GovernedPacket(client, "shared-1", MEMBERS, thread="t")
        assert await anew.hand_off("triage", "refund", step="1") == moved
        other = GovernedPacket(client, "shared-1", MEMBERS, thread="u")
        with pytest.raises(StaleEpochError):
            await other.hand_off("triage", "refund", step="1")
        assert await gov.context("refund") == {"order": 7}
        with pytest.raises(StaleEpochError):
            await gov.hand_off("triage", "refund")
        with pytest.raises(LostOwnershipError):
            await gov.check("triage")
        with pytest.raises(StaleEpochError):
            await gov.hand_off("triage", "novice")
        with pytest.raises(StaleEpochError):
            await gov.complete("triage")
        with pytest.raises(NotFoundError):
            await gov.hand_off("refund", "stranger")
        await gov.complete("refund", {"paid": 1})

    _told(served, "shared-1", "small", story)


@pytest.mark.parametrize("granted", [True, False])
def test_adapters_a_step_is_run_again_after_its_review(served: Served, *, granted: bool) -> None:
    """A step that another process runs again asks for a second review, or does not learn what came of the first."""
    packet_id = f"again-{granted}".lower()

    async def story(client: AsyncClient) -> None:
        first = GovernedPacket(client, packet_id, MEMBERS, thread="t")
        asked = await first.hand_off("triage", "refund", step="1")
        assert (asked.outcome, asked.review is not None) == ("escalated", True)
        second = GovernedPacket(client, packet_id, MEMBERS, thread="t")
        assert (await second.hand_off("triage", "refund", step="1")).outcome == "escalated"
        await review(client, packet_id, granted=granted)
        third = GovernedPacket(client, packet_id, MEMBERS, thread="t")
        moved = await third.hand_off("triage", "refund", step="1")
        assert moved.outcome == ("allowed" if granted else "denied")
        assert (await kinds(client, packet_id)).count("review_requested") == 1

    _told(served, packet_id, "large", story)


def test_adapters_a_missing_framework_is_named() -> None:
    """Whoever lacks the extra reads of a module that is not there."""
    with pytest.raises(MissingExtraError) as caught:
        framework("no_such_framework.types", "langgraph")
    assert "pfgov[langgraph]" in str(caught.value.hint)


# --- OpenAI Agents SDK -------------------------------------------------------------------------


def _call(name: str, number: int) -> Any:
    from openai.types.responses import ResponseFunctionToolCall

    return ResponseFunctionToolCall(
        arguments="{}", call_id=f"call-{number}", name=name, type="function_call", id=f"fc-{number}"
    )


def _message(text: str) -> Any:
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    said = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
    return ResponseOutputMessage(
        id="m", content=[said], role="assistant", status="completed", type="message"
    )


def _model(*turns: Any) -> Any:
    """A model that calls what it is told to call, turn by turn, and remembers what it was shown."""
    agents = pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    waiting = list(turns)

    class Fake(agents.Model):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.shown: list[tuple[Any, list[str]]] = []

        async def get_response(self, *args: Any, **more: Any) -> Any:
            names = ("system", "input", "settings", "tools", "schema", "handoffs")
            given = dict(zip(names, args, strict=False), **more)
            offered = [one.tool_name for one in given["handoffs"]]
            self.shown.append((given["input"], offered))
            turn = waiting.pop(0)
            output = [_message(turn[5:]) if turn.startswith("said:") else _call(turn, len(waiting))]
            return agents.ModelResponse(output=output, usage=agents.Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    return Fake()


def _team(gov: Any, model: Any, calls: list[str]) -> tuple[Any, Any]:
    from agents import Agent, function_tool

    @function_tool
    def look() -> str:
        """Look at the order."""
        calls.append("look")
        return "order 7"

    @function_tool
    def pay() -> str:
        """Pay the refund."""
        calls.append("pay")
        return "paid"

    refund = Agent(name="refund", model=model, tools=[gov.tool("refund", pay)])
    novice = Agent(name="novice", model=model)
    triage = Agent(
        name="triage", model=model, tools=[gov.tool("triage", look)],
        handoffs=[gov.handoff(refund), gov.handoff(novice)],
    )  # fmt: skip
    return triage, refund


def _quiet() -> Any:
    from agents import RunConfig

    return RunConfig(tracing_disabled=True)


def test_adapters_openai_agents_hand_a_refund_over(served: Served) -> None:
    """A model is offered whom policy refuses, or the refund agent works before the ledger says that it may."""
    pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    from agents import Runner

    from pfgov.adapters.openai_agents import Governed

    async def story(client: AsyncClient) -> None:
        gov, calls = Governed(client, "openai-1", MEMBERS, thread="t"), list[str]()
        model = _model("look", "transfer_to_refund", "pay", "said:done")
        triage, refund = _team(gov, model, calls)
        result = await Runner.run(triage, "refund order 7", run_config=_quiet())
        assert (result.final_output, result.last_agent.name) == ("done", "refund")
        assert calls == ["look", "pay"]
        assert model.shown[0][1] == ["transfer_to_refund"]  # the novice is not offered
        late = await triage.tools[0].on_invoke_tool(None, "{}")
        assert late.startswith("refused: triage")
        assert calls == ["look", "pay"]
        await gov.complete("refund", {"paid": 7})
        assert refund.name == await _last_owner(client, "openai-1")

    _told(served, "openai-1", "small", story)


async def _last_owner(client: AsyncClient, packet_id: str) -> str:
    shown = await client.packet(packet_id)
    return next(a for a, m in MEMBERS.items() if m == shown["last_owner"]["member_id"])


def test_adapters_openai_agents_are_told_of_a_denial(served: Served) -> None:
    """A denial that comes between the offer and the handoff ends the run, or the model is not told the rule."""
    pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    from agents import Runner

    from pfgov.adapters.openai_agents import Governed

    class Offered(Governed):
        async def may_have(self, agent: str) -> bool:
            return True  # policy changed just after the offer

    async def story(client: AsyncClient) -> None:
        gov, calls = Offered(client, "openai-2", MEMBERS), list[str]()
        model = _model("transfer_to_novice", "look", "said:it stays here")
        triage, _ = _team(gov, model, calls)
        result = await Runner.run(triage, "refund order 7", run_config=_quiet())
        assert (result.last_agent.name, calls) == ("triage", ["look"])
        told = [one for one in model.shown[1][0] if one.get("type") == "function_call_output"]
        assert "/trust" in told[0]["output"]

    _told(served, "openai-2", "small", story)


def test_adapters_openai_agents_go_on_after_a_review(served: Served) -> None:
    """An escalation looks like a denial, or the refund agent cannot go on once the review was granted."""
    pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    from agents import Runner

    from pfgov.adapters.openai_agents import Governed

    async def story(client: AsyncClient) -> None:
        gov, calls = Governed(client, "openai-3", MEMBERS), list[str]()
        triage, refund = _team(gov, _model("transfer_to_refund"), calls)
        with pytest.raises(EscalatedError) as caught:
            await Runner.run(triage, "refund order 7", run_config=_quiet())
        assert caught.value.review["to"] == "reviewer"
        assert await gov.owner() == "triage"
        await review(client, "openai-3")
        assert await gov.wait_for_review(10) == "refund"
        refund.model = _model("pay", "said:done")
        result = await Runner.run(refund, "refund order 7", run_config=_quiet())
        assert (result.final_output, calls) == ("done", ["pay"])

    _told(served, "openai-3", "large", story)


# --- LangGraph ---------------------------------------------------------------------------------


class _State(TypedDict, total=False):
    paid: int
    pfgov_denied: str


def _graph(gov: Any, target: str, calls: list[str]) -> Any:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph

    async def triage(_state: _State) -> Any:
        calls.append("triage")
        return await gov.goto("triage", target, on_denied="told")

    async def work(_state: _State) -> Any:
        calls.append("refund")
        return {"paid": (await gov.context("refund"))["order"]}

    async def told(_state: _State) -> Any:
        calls.append("told")
        return {}

    graph = StateGraph(_State)
    graph.add_node("triage", triage, destinations=("refund", "novice", "told"))
    graph.add_node("refund", gov.node("refund", work))
    graph.add_node("novice", gov.node("novice", work))
    graph.add_node("told", told)
    graph.add_edge(START, "triage")
    for name in ("refund", "novice", "told"):
        graph.add_edge(name, END)
    return graph.compile(checkpointer=InMemorySaver())


CONFIG: dict[str, Any] = {"configurable": {"thread_id": "t"}}


def test_adapters_langgraph_hands_a_refund_over(served: Served) -> None:
    """A node runs without its agent having the packet, or goes on after it lost it."""
    pytest.importorskip("langgraph", reason="the extra langgraph is not installed")
    from pfgov.adapters.langgraph import Governed

    async def story(client: AsyncClient) -> None:
        gov, calls = Governed(client, "graph-1", MEMBERS), list[str]()
        graph = _graph(gov, "refund", calls)
        assert await graph.ainvoke({}, CONFIG) == {"paid": 7}
        assert calls == ["triage", "refund"]
        with pytest.raises(StaleEpochError):
            await graph.ainvoke({}, {"configurable": {"thread_id": "late"}})
        with pytest.raises(LostOwnershipError):
            await gov.node("triage", graph.nodes["told"].ainvoke)({})
        assert calls == ["triage", "refund", "triage"]
        await gov.complete("refund", {"paid": 7})

    _told(served, "graph-1", "small", story)


def test_adapters_langgraph_is_told_of_a_denial(served: Served) -> None:
    """A denied handoff goes to the node all the same, or the state does not say why not."""
    pytest.importorskip("langgraph", reason="the extra langgraph is not installed")
    from pfgov.adapters.langgraph import Governed

    async def story(client: AsyncClient) -> None:
        gov, calls = Governed(client, "graph-2", MEMBERS), list[str]()
        state = await _graph(gov, "novice", calls).ainvoke({}, CONFIG)
        assert calls == ["triage", "told"]
        assert "/trust" in state["pfgov_denied"]
        assert await gov.owner() == "triage"

    _told(served, "graph-2", "small", story)


@pytest.mark.parametrize("granted", [True, False])
def test_adapters_langgraph_is_resumed_after_a_review(served: Served, *, granted: bool) -> None:
    """A thread that waited for a review asks for another when it is resumed, or goes where it may not."""
    pytest.importorskip("langgraph", reason="the extra langgraph is not installed")
    from langgraph.types import Command

    from pfgov.adapters.langgraph import Governed

    packet_id = f"graph-{granted}".lower()

    async def story(client: AsyncClient) -> None:
        gov, calls = Governed(client, packet_id, MEMBERS), list[str]()
        graph = _graph(gov, "refund", calls)
        paused = await graph.ainvoke({}, CONFIG)
        (asked,) = paused["__interrupt__"]
        assert asked.value["review"]["to"] == "reviewer"
        early = await graph.ainvoke(Command(resume="too early"), CONFIG)
        assert early["__interrupt__"]
        await review(client, packet_id, granted=granted)
        state = await graph.ainvoke(Command(resume="reviewed"), CONFIG)
        assert calls[-1] == ("refund" if granted else "told")
        assert ("paid" in state) is granted
        assert (await kinds(client, packet_id)).count("review_requested") == 1

    _told(served, packet_id, "large", story)
