"""A connection on the short way: what comes too early waits, and an answer that h11 has to write is written by it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from unit.api.test_api_corked import Sink
from uvicorn.server import ServerState

from pfgov_api.connections import BoundedProtocol, bounded
from pfgov_api.plain import PlainCycle
from pfgov_api.replies import Reply

ASKED = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
NEXT = b"POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[]"


class Caller(Sink):
    """A transport whose reading can be paused."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known of it."""
        return default

    def pause_reading(self) -> None:
        """Note it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.paused = False

    paused = False

    @property
    def got(self) -> bytes:
        """Everything that was written."""
        return b"".join(self.sent)


class Answers:
    """An application that answers when it is told to, with what it is told."""

    def __init__(self, reply: Callable[[], Reply]) -> None:
        self.reply = reply
        self.asked: list[tuple[str, bytes]] = []
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        self.asked.append((scope["path"], (await receive())["body"]))
        await self.go.wait()
        await self.reply()(scope, receive, send)


def talking(
    talk: Callable[[BoundedProtocol, Caller, Answers], Awaitable[None]],
    reply: Callable[[], Reply] = lambda: Reply(200, b"{}"),
) -> None:
    """Have a connection to an application, and *talk* over it."""

    async def run() -> None:
        app = Answers(reply)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        config.load()
        protocol = bounded(lambda: "r1")(config, ServerState(), {})
        transport = Caller()
        protocol.connection_made(transport)
        try:
            await talk(protocol, transport, app)
        finally:
            protocol.connection_lost(None)

    asyncio.run(run())


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_comes_before_the_answer_waits_for_it() -> None:
    """A request that came while another was answered is lost, answered first, or read without an end."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        protocol.data_received(ASKED)
        assert isinstance(protocol.cycle, PlainCycle)
        await turns()
        protocol.data_received(NEXT[:20])
        assert transport.paused
        protocol.data_received(NEXT[20:])
        await turns()
        assert app.asked == [("/a", b"{}")]
        app.go.set()
        await turns()
        assert app.asked == [("/a", b"{}"), ("/b", b"[]")]
        assert not transport.paused
        assert transport.got.count(b"HTTP/1.1 200 OK\r\n") == 2

    talking(talk)


def test_an_answer_that_ends_the_connection_ends_it() -> None:
    """After ``connection: close`` the connection stays."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        app.go.set()
        protocol.data_received(ASKED)
        await turns()
        assert transport.got.startswith(b"HTTP/1.1 200 ")
        assert transport.said == ["close"]

    talking(talk, lambda: Reply(200, b"{}", headers={"connection": "close"}))


def test_a_server_that_ends_answers_first() -> None:
    """A request that is under way when the server ends has no answer, or its connection stays."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        protocol.data_received(ASKED)
        await turns()
        protocol.shutdown()
        assert transport.said == []
        app.go.set()
        await turns()
        assert transport.got.startswith(b"HTTP/1.1 200 ")
        assert transport.said == ["close"]

    talking(talk)


def test_no_header_of_an_answer_becomes_two() -> None:
    """What stands in a header of an answer ends its line, and begins another."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        app.go.set()
        protocol.data_received(ASKED)
        await turns()
        assert b"\r\nx-b:" not in transport.got
        assert transport.said == ["close"]

    talking(talk, lambda: Reply(200, b"{}", headers={"x-a": "1\r\nx-b: 2"}))


def test_whoever_has_gone_gets_nothing() -> None:
    """An answer is written to a connection that was lost meanwhile."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        protocol.data_received(ASKED)
        await turns()
        protocol.connection_lost(ConnectionResetError())
        app.go.set()
        await turns()
        assert transport.got == b""

    talking(talk)
