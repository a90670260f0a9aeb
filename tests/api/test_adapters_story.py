"""One story in five ways, one lineage: triage may not hand a refund to a novice, and hands it on after a review.

Denied for trust, escalated above an amount, resumed after the review; then a tool of triage, which lost the packet,
does nothing, and the refund agent completes.  Models are fakes; servers and clients are the frameworks' own.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import pytest
from support.cli_server import Served
from support.ledgers import fresh
from support.refunds import MEMBERS, kinds, prepare, review, submit, tell

from pfgov.adapters.governed import GovernedPacket
from pfgov.client import AsyncClient, EscalatedError, LostOwnershipError, NotFoundError
from pfgov.core.lifecycle import PacketStatus

LINEAGE = [
    "packet_created", "assignment_decision", "handoff_denied", "handoff_escalated", "review_requested",
    "review_recorded", "handoff_started", "handoff_completed", "packet_completed",
]  # fmt: skip
Paid = list[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of this module share."""
    folder = tmp_path_factory.mktemp("stories")
    with Served(fresh(folder)) as found:
        prepare(found, folder)
        yield found


async def without_a_framework(client: AsyncClient, packet_id: str, paid: Paid) -> None:
    """Tell it by hand."""
    await submit(client, packet_id, "large")
    gov = GovernedPacket(client, packet_id, MEMBERS)
    assert (await gov.hand_off("triage", "novice")).outcome == "denied"
    assert (await gov.hand_off("triage", "refund")).outcome == "escalated"
    await review(client, packet_id)
    assert await gov.wait_for_review(30) == "refund"
    with pytest.raises(LostOwnershipError):
        await gov.check("triage")
    await gov.check("refund")
    paid.append("refund")
    await gov.complete("refund", {"paid": 7})


async def with_openai_agents(client: AsyncClient, packet_id: str, paid: Paid) -> None:
    """Tell it to a scripted model."""
    agents = pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    responses = pytest.importorskip("openai.types.responses")
    from pfgov.adapters.openai_agents import Governed

    class Offered(Governed):
        async def may_have(self, agent: str) -> bool:
            return True  # policy changed just after the offer

    class Scripted(agents.Model):  # type: ignore[misc,name-defined]
        def __init__(self, *calls: str) -> None:
            self.calls, self.heard = list(calls), list[str]()

        async def get_response(self, *given: Any, **named: Any) -> Any:
            self.heard.append(f"{given} {named}")
            name = self.calls.pop(0)
            call = responses.ResponseFunctionToolCall(
                name=name, arguments="{}", call_id=f"c{len(self.calls)}", type="function_call"
            )
            return agents.ModelResponse(output=[call], usage=agents.Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    def tool(name: str) -> Any:
        def pay() -> str:
            """Pay the refund."""
            paid.append(name)
            return "paid"

        return gov.tool(name, agents.function_tool(pay))

    await submit(client, packet_id, "large")
    gov = Offered(client, packet_id, MEMBERS, thread="t")
    model = Scripted("transfer_to_novice", "transfer_to_refund", "pay")
    stop = {"model": model, "tool_use_behavior": "stop_on_first_tool"}
    refund = agents.Agent(name="refund", tools=[tool("refund")], **stop)
    novice = agents.Agent(name="novice", model=model)
    moves = [gov.handoff(refund), gov.handoff(novice)]
    triage = agents.Agent(name="triage", model=model, tools=[tool("triage")], handoffs=moves)
    quiet = agents.RunConfig(tracing_disabled=True)
    with pytest.raises(EscalatedError):
        await agents.Runner.run(triage, "refund order 7", run_config=quiet)
    assert "/trust" in model.heard[-1]
    await review(client, packet_id)
    assert await gov.wait_for_review(30) == "refund"
    late = await triage.tools[0].on_invoke_tool(None, "{}")
    assert late.startswith("refused: triage")
    done = await agents.Runner.run(refund, "refund order 7", run_config=quiet)
    assert done.final_output == "paid"
    await gov.complete("refund", {"paid": 7})


async def with_langgraph(client: AsyncClient, packet_id: str, paid: Paid) -> None:
    """Tell it in a graph with a checkpointer."""
    graphs = pytest.importorskip("langgraph.graph", reason="the extra langgraph is not installed")
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import Command

    from pfgov.adapters.langgraph import Governed

    await submit(client, packet_id, "large")
    gov = Governed(client, packet_id, MEMBERS)

    async def triage(_state: dict[str, Any]) -> Any:
        return await gov.goto("triage", "novice", on_denied="second")

    async def second(state: dict[str, Any]) -> Any:
        assert "/trust" in state["pfgov_denied"]
        return await gov.goto("triage", "refund")

    async def work(_state: dict[str, Any]) -> Any:
        paid.append("refund")
        return {"paid": (await gov.context("refund"))["order"]}

    state = {"paid": int, "pfgov_denied": str}
    graph = graphs.StateGraph(type("State", (dict,), {"__annotations__": state}))
    graph.add_node("triage", triage, destinations=("novice", "second"))
    graph.add_node("second", second, destinations=("refund",))
    graph.add_node("refund", gov.node("refund", work))
    graph.add_node("novice", gov.node("novice", work))
    graph.add_edge(graphs.START, "triage")
    graph.add_edge("refund", graphs.END)
    app = graph.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "t"}}
    paused = await app.ainvoke({}, thread)
    assert paused["__interrupt__"][0].value["review"]["to"] == "reviewer"
    await review(client, packet_id)
    assert (await app.ainvoke(Command(resume="reviewed"), thread))["paid"] == 7
    with pytest.raises(LostOwnershipError):
        await gov.node("triage", work)({})
    await gov.complete("refund", {"paid": 7})


async def with_mcp(client: AsyncClient, packet_id: str, paid: Paid) -> None:
    """Tell it by tools: those of pfgov itself, and one that only the owner may call."""
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp.server import MCPServer

    from pfgov.adapters.mcp import Governed, owners_only
    from pfgov.mcp.serving import Behind, make_server

    tools = MCPServer("refunds", extensions=[owners_only(str(client._http.base_url))])

    @tools.tool()
    def pay() -> str:
        """Pay the refund."""
        paid.append("refund")
        return "paid"

    await submit(client, packet_id, "large")
    gov = Governed(client, packet_id, MEMBERS)
    await gov.owner()
    async with (
        mcp.Client(make_server(Behind(str(client._http.base_url)))) as pfgov,
        mcp.Client(tools) as orders,
    ):

        async def hand_off(target: str) -> dict[str, Any]:
            named = {"packet_id": packet_id, "target": MEMBERS[target], **gov.claim("triage")}
            found = await pfgov.call_tool("hand_off", named)
            answer: dict[str, Any] = found.structured_content
            return answer

        assert (await hand_off("novice"))["outcome"] == "denied"
        assert (await hand_off("refund"))["review"]["to"] == "reviewer"
        triage = gov.meta("triage")
        await review(client, packet_id)
        assert await gov.wait_for_review(30) == "refund"
        late = await orders.call_tool("pay", {}, meta=triage)
        assert late.is_error
        assert "it is with refund-1" in late.content[0].text
        done = await orders.call_tool("pay", {}, meta=gov.meta("refund"))
        assert done.content[0].text == "paid"
        await gov.complete("refund", {"paid": 7})


async def with_a2a(client: AsyncClient, packet_id: str, paid: Paid) -> None:
    """Tell it as a task, from the SDK's client over its server."""
    pytest.importorskip("a2a", reason="the extra a2a is not installed")
    from pfgov.adapters.governed import Moved

    wishes = iter(["novice", "refund"])
    running: list[Any] = []

    async def triage(gov: Any, _request: Any) -> Moved:
        running.append(gov)  # as a tool has it that does not end with the handoff
        moved: Moved = await gov.hand_off("triage", next(wishes))
        return moved

    async def refund(gov: Any, _request: Any) -> dict[str, Any]:
        with pytest.raises(LostOwnershipError):
            await running[-1].check("triage")
        paid.append("refund")
        return {"paid": (await gov.context("refund"))["order"]}

    async with Tasks(client, {"triage": triage, "refund": refund}, packet_id) as tasks:
        denied = await tasks.say("refund order 7")
        assert tasks.state(denied) == "TASK_STATE_INPUT_REQUIRED"
        assert "/trust" in denied.status.message.parts[0].text
        asked = await tasks.say("then to somebody else", denied)
        assert tasks.state(asked) == "TASK_STATE_INPUT_REQUIRED"
        assert asked.metadata["pfgov"]["review"]["to"] == "reviewer"
        await review(client, packet_id)
        done = await tasks.say("reviewed", asked)
        assert tasks.state(done) == "TASK_STATE_COMPLETED"
        assert done.metadata["pfgov"]["receipts"]
        (result,) = done.artifacts
        assert result.parts[0].data.struct_value["paid"] == 7


TELLERS: dict[str, Callable[[AsyncClient, str, Paid], Awaitable[None]]] = {
    "none": without_a_framework,
    "openai-agents": with_openai_agents,
    "langgraph": with_langgraph,
    "mcp": with_mcp,
    "a2a": with_a2a,
}


@pytest.mark.parametrize("framework", TELLERS)
def test_adapters_one_story_leaves_one_lineage(served: Served, framework: str) -> None:
    """A framework moves a refund otherwise than another, or lets an agent pay that does not have it."""
    packet_id, paid = f"story-{framework}", list[str]()

    async def story(client: AsyncClient) -> None:
        await TELLERS[framework](client, packet_id, paid)
        assert await kinds(client, packet_id) == LINEAGE
        assert await client.result(packet_id) == {"paid": 7}

    tell(served, story)
    assert paid == ["refund"]


# --- MCP: tools that only the owner may call ---------------------------------------------------


def test_adapters_mcp_a_call_that_names_no_claim_that_holds_is_refused(served: Served) -> None:
    """A tool is called without a claim, under another epoch, for a packet of somebody else, or with a lie for one."""
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp.server import MCPServer

    from pfgov.adapters.mcp import CLAIM, Governed, owners_only

    calls: list[str] = []
    tools = MCPServer("t", extensions=[owners_only(served.url, tools={"pay"})])

    @tools.tool()
    def pay() -> dict[str, int]:
        """Pay."""
        calls.append("pay")
        return {"paid": 7}

    @tools.tool()
    def look() -> str:
        """Look; open to everybody."""
        return "order 7"

    async def story(client: AsyncClient) -> None:
        await submit(client, "claims", "small")
        gov = Governed(client, "claims", MEMBERS)
        with pytest.raises(LostOwnershipError):
            gov.meta("triage")
        assert await gov.owner() == "triage"
        right = gov.meta("triage")[CLAIM]
        wrong: tuple[Any, ...] = (
            None, {}, {CLAIM: None}, {CLAIM: []}, {CLAIM: "claims"}, {CLAIM: {}},
            {CLAIM: {**right, "epoch": str(right["epoch"])}}, {CLAIM: {**right, "epoch": True}},
            {CLAIM: {**right, "epoch": 0}}, {CLAIM: {**right, "epoch": 2}}, {CLAIM: {**right, "epoch": 2**80}},
            {CLAIM: {**right, "incarnation": 2}}, {CLAIM: {**right, "member_id": "refund-1"}},
            {CLAIM: {**right, "packet_id": "no-such-packet"}}, {CLAIM: {**right, "packet_id": "../members"}},
            {CLAIM: {**right, "packet_id": ""}}, {CLAIM: {**right, "more": 1}}, {"claim": right},
        )  # fmt: skip
        async with mcp.Client(tools) as orders:
            for meta in wrong:
                said = await orders.call_tool("pay", {}, meta=meta)
                assert said.is_error, meta
                assert said.structured_content["error"]["code"], meta
            assert calls == []
            assert not (await orders.call_tool("look", {})).is_error
            done = await orders.call_tool("pay", {}, meta={CLAIM: right})
            assert (done.is_error, calls) == (False, ["pay"])

    tell(served, story)


def test_adapters_mcp_over_http_a_claim_needs_the_key_of_its_member(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whoever reads about everybody, or the process's own key, calls a tool with the claim of the owner."""
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    import os

    import httpx2
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server import MCPServer
    from support.ledgers import START

    from pfgov.adapters.mcp import Governed, owners_only

    folder, calls = tmp_path_factory.mktemp("claims"), list[str]()
    with Served(fresh(folder)) as served:
        prepare(served, folder)
        scopes = ("operator", "auditor", "member:triage-1", "member:refund-1")
        keys = {one: served.keyring.create((one,), now=START, draw=os.urandom)[1] for one in scopes}
        tools = MCPServer("t", extensions=[owners_only(served.url, key=keys["operator"])])

        @tools.tool()
        def pay() -> str:
            """Pay."""
            calls.append("pay")
            return "paid"

        application = tools.streamable_http_app(json_response=True, stateless_http=True)

        async def asks(key: str | None, meta: Any) -> Any:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            transport = httpx2.ASGITransport(application)
            url = "http://127.0.0.1:8000/mcp"
            async with (
                httpx2.AsyncClient(headers=headers, transport=transport) as http,
                mcp.Client(streamable_http_client(url, http_client=http)) as orders,
            ):
                return await orders.call_tool("pay", {}, meta=meta)

        async def story(client: AsyncClient) -> None:
            await submit(client, "keys", "small")
            gov = Governed(client, "keys", MEMBERS)
            await gov.owner()
            meta = gov.meta("triage")
            async with tools.session_manager.run():
                for key in (None, "wrong", keys["auditor"], keys["member:refund-1"]):
                    assert (await asks(key, meta)).is_error, key
                assert calls == []
                assert not (await asks(keys["member:triage-1"], meta)).is_error
                await gov.hand_off("triage", "refund")
                assert (await asks(keys["member:triage-1"], meta)).is_error
                assert (await asks(keys["operator"], meta)).is_error
                assert calls == ["pay"]

        tell(served, story, key=keys["operator"])


def test_adapters_mcp_over_http_nobody_asks_as_this_machine(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A server without keys, which answers to this machine alone, lets whoever reaches the tools call them."""
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    import httpx2
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server import MCPServer

    from pfgov.adapters.mcp import Governed, owners_only

    folder, calls = tmp_path_factory.mktemp("open"), list[str]()
    with Served(fresh(folder)) as served:
        prepare(served, folder)
        tools = MCPServer("t", extensions=[owners_only(served.url)])

        @tools.tool()
        def pay() -> str:
            """Pay."""
            calls.append("pay")
            return "paid"

        application = tools.streamable_http_app(json_response=True, stateless_http=True)

        async def asks(headers: dict[str, str], meta: Any, client: str) -> Any:
            transport = httpx2.ASGITransport(application, client=(client, 123))
            url = "http://127.0.0.1:8000/mcp"
            async with (
                httpx2.AsyncClient(headers=headers, transport=transport) as http,
                mcp.Client(streamable_http_client(url, http_client=http)) as orders,
            ):
                return await orders.call_tool("pay", {}, meta=meta)

        async def story(client: AsyncClient) -> None:
            await submit(client, "keyless", "small")
            gov = Governed(client, "keyless", MEMBERS)
            await gov.owner()
            meta = gov.meta("triage")
            async with tools.session_manager.run():
                for headers, of in (
                    ({}, "192.0.2.1"),
                    ({"Authorization": "Bearer x"}, "192.0.2.1"),
                    ({"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
                ):
                    said = await asks(headers, meta, of)
                    assert said.is_error, (headers, of)
                    assert said.structured_content["error"]["code"] == "http.cross_site"
                assert calls == []
                assert not (await asks({}, meta, "127.0.0.1")).is_error
            assert calls == ["pay"]

        tell(served, story)


# --- A2A: tasks ---------------------------------------------------------------------------------


class Tasks:
    """A governed agent behind the SDK's server, and the SDK's client of it, without a network."""

    def __init__(
        self,
        client: AsyncClient,
        work: Any,
        packet_id: str,
        amount: str = "large",
        first: str = "triage",
    ) -> None:
        self._client, self._work, self._first = client, work, first
        self._packet_id, self._amount = packet_id, amount

    async def __aenter__(self) -> Self:
        import httpx
        from a2a.client import ClientConfig, ClientFactory
        from a2a.server.agent_execution import SimpleRequestContextBuilder
        from a2a.server.id_generator import IDGenerator
        from a2a.server.request_handlers import DefaultRequestHandler
        from a2a.server.routes import create_jsonrpc_routes
        from a2a.server.tasks import InMemoryTaskStore
        from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
        from starlette.applications import Starlette

        from pfgov.adapters.a2a import executor

        self.card = AgentCard(
            name="refunds", description="Refunds orders.", version="1",
            supported_interfaces=[
                AgentInterface(url="http://a2a.example/", protocol_binding="JSONRPC", protocol_version="1.0")
            ],
            capabilities=AgentCapabilities(streaming=True),
            default_input_modes=["text/plain"], default_output_modes=["text/plain"],
            skills=[AgentSkill(id="refund", name="Refund", description="Refunds.", tags=["refund"])],
        )  # fmt: skip
        about = {"workload_type": "refund", "labels": {"amount": self._amount}}
        governed = executor(
            self._client, MEMBERS, self._work, first=self._first,
            packet=lambda request: {
                **about, "context_checkpoint": {"order": 7, "asked": request.get_user_input()},
            },
        )  # fmt: skip
        named = self._packet_id

        class Named(IDGenerator):
            def generate(self, _context: Any) -> str:
                return named

        handler = DefaultRequestHandler(
            governed, InMemoryTaskStore(), self.card,
            request_context_builder=SimpleRequestContextBuilder(task_id_generator=Named()),
        )  # fmt: skip
        application = Starlette(routes=create_jsonrpc_routes(handler, "/"))
        transport = httpx.ASGITransport(application)
        self._http = httpx.AsyncClient(transport=transport, timeout=60)
        self.agent = ClientFactory(ClientConfig(httpx_client=self._http)).create(self.card)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.agent.close()
        await self._http.aclose()

    def state(self, task: Any) -> str:
        from a2a.types import TaskState

        return TaskState.Name(task.status.state)

    async def say(self, text: str, task: Any = None) -> Any:
        from a2a.helpers import new_text_message
        from a2a.types import GetTaskRequest, Role, SendMessageRequest

        about = {} if task is None else {"task_id": task.id, "context_id": task.context_id}
        message = new_text_message(text, role=Role.ROLE_USER, **about)
        found = "" if task is None else task.id
        async for said in self.agent.send_message(SendMessageRequest(message=message)):
            found = said.task.id if said.HasField("task") else found
        return await self.agent.get_task(GetTaskRequest(id=found))


async def _working(gov: Any, _request: Any) -> dict[str, Any]:
    return {"paid": (await gov.context("triage"))["order"]}


async def _raising(_gov: Any, _request: Any) -> None:
    raise RuntimeError("the order is 4711")


async def _given_away(gov: Any, _request: Any) -> Any:
    return await gov.hand_off("triage", "refund")


async def _elsewhere(client: AsyncClient, packet_id: str) -> None:
    """Do the packet as the refund agent, in another process than the task's."""
    gov, owner = GovernedPacket(client, packet_id, MEMBERS), None
    while owner != "refund":
        await asyncio.sleep(0.05)
        with contextlib.suppress(NotFoundError):
            owner = await gov.owner()
    await gov.complete("refund", {"paid": 7})


@pytest.mark.parametrize(
    ("name", "work", "first", "state", "status"),
    [
        ("done", _working, "triage", "TASK_STATE_COMPLETED", "COMPLETED"),
        ("raised", _raising, "triage", "TASK_STATE_FAILED", "FAILED"),
        ("denied", _working, "novice", "TASK_STATE_REJECTED", "CANCELLED"),
        ("elsewhere", _given_away, "triage", "TASK_STATE_COMPLETED", "COMPLETED"),
    ],
)
def test_adapters_a2a_a_task_ends_as_its_packet(
    served: Served, name: str, work: Any, first: str, state: str, status: str
) -> None:
    """A task ends otherwise than its packet, or its client is told the text of an error."""
    pytest.importorskip("a2a", reason="the extra a2a is not installed")

    async def story(client: AsyncClient) -> None:
        async with Tasks(client, {first: work}, f"task-{name}", "small", first) as tasks:
            other = (
                asyncio.create_task(_elsewhere(client, f"task-{name}"))
                if name == "elsewhere"
                else None
            )
            task = await tasks.say("refund order 7")
            if other is not None:
                await other
            assert (tasks.state(task), task.id) == (state, f"task-{name}")
            shown = await client.packet(f"task-{name}")
            assert shown["status"] == status
            assert task.metadata["pfgov"]["epoch"] == shown["epoch"]
            assert "4711" not in str(task)
            if name == "denied":
                assert "/trust" in task.status.message.parts[0].text

    tell(served, story)


def test_adapters_a2a_a_cancelled_task_cancels_its_packet(served: Served) -> None:
    """A task is cancelled, and its packet goes on."""
    pytest.importorskip("a2a", reason="the extra a2a is not installed")
    from a2a.types import CancelTaskRequest

    async def story(client: AsyncClient) -> None:
        async with Tasks(client, {"triage": _given_away}, "task-cancelled") as tasks:
            asked = await tasks.say("refund order 7")
            assert tasks.state(asked) == "TASK_STATE_INPUT_REQUIRED"
            ended = await tasks.agent.cancel_task(CancelTaskRequest(id=asked.id))
            assert tasks.state(ended) == "TASK_STATE_CANCELED"
            assert (await client.packet("task-cancelled"))["status"] == "CANCELLED"

    tell(served, story)


def test_adapters_a2a_every_status_of_a_packet_is_a_state() -> None:
    """A packet has a status that no task can show, or an ended one waits for a review."""
    types = pytest.importorskip("a2a.types", reason="the extra a2a is not installed")
    from pfgov.adapters.a2a import STATES, state_of

    assert set(STATES) == set(PacketStatus)
    for status, state in STATES.items():
        assert types.TaskState.Name(types.TaskState.Value(state)) == state
        assert state_of({"status": status, "review": None}) == state
    asked = {"review": {"to": "reviewer"}}
    assert state_of({"status": "ASSIGNED", **asked}) == "TASK_STATE_INPUT_REQUIRED"
    assert state_of({"status": "CANCELLED", **asked}) == "TASK_STATE_CANCELED"


def test_adapters_a2a_an_agent_elsewhere_is_a_member_by_its_card(served: Served) -> None:
    """A card says how far its agent is trusted; or what a worker gives to an agent elsewhere has no result."""
    pytest.importorskip("a2a", reason="the extra a2a is not installed")
    from pfgov.adapters.a2a import TaskEndedError, handler, member_of

    async def story(client: AsyncClient) -> None:
        async with Tasks(client, {"triage": _working}, "task-elsewhere-2", "small") as tasks:
            member = member_of(tasks.card, "card-1")
            assert member == {"id": "card-1", "type": "agent", "capabilities": ["refund"]}
            packet = {
                "packet_id": "to-card",
                "workload_type": "refund",
                "labels": {"amount": "small"},
            }
            held = {**packet, "hold": True, "context_checkpoint": {"order": 7}}
            async with client.work({**member, "trust_score": 0.9}) as worker:
                running = asyncio.create_task(worker.run(handler(tasks.agent), signals=()))
                await client.submit(held)
                await client.act("to-card", "assign", {"target": "card-1"})
                assert (await client.wait("to-card", 60))["status"] == "COMPLETED"
                assert await client.result("to-card") == {"artifacts": [{"paid": 7}]}
                worker.stop()
                await running

    tell(served, story)
    assert TaskEndedError("x").code == "adapter.task_ended"
