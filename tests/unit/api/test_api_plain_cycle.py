"""A connection on the short way: what comes too early waits, and an answer that h11 has to write is written by it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from unit.api.test_api_corked import Sink
from uvicorn.server import ServerState

from pfgov.room import Room
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
        protocol = bounded(lambda: "r1", room=Room(100))(config, ServerState(), {})
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


@pytest.mark.parametrize("is_paused", [False, True])
def test_what_a_closed_connection_leaves_is_not_waited_for_without_end(is_paused: bool) -> None:
    """Whoever does not take the last bytes of an answer keeps a connection for good, and a few thousand all of them."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        protocol.stalled_seconds = 0.01
        app.go.set()
        protocol.data_received(ASKED)
        await turns()
        if is_paused:
            protocol.pause_writing()
        protocol.transport.close()  # as uvicorn does when nothing more is asked
        if is_paused:
            protocol.resume_writing()
        async with asyncio.timeout(20):
            while "abort" not in transport.said:  # noqa: ASYNC110 - a timer of the loop's
                await asyncio.sleep(0.001)

    talking(talk)


def test_whoever_says_nothing_makes_room() -> None:
    """Connections on which nothing is asked keep out whoever asks something."""
    room = Room(2)

    class One:
        def __init__(self, *, waits: bool) -> None:
            self.waits_for_caller, self.has_gone = waits, False

        def make_room(self) -> None:
            self.has_gone = True

    busy, silent, other, last = (One(waits=waits) for waits in (False, True, True, False))
    for one in (busy, silent):
        room.come(one)
    assert not silent.has_gone
    room.come(other)
    assert (busy.has_gone, silent.has_gone, len(room)) == (False, True, 2)
    room.use(other)
    room.come(last)
    assert other.has_gone
    room.come(One(waits=True))
    assert (busy.has_gone, last.has_gone, len(room)) == (False, False, 3)
    for one in (busy, last, last):
        room.go(one)
    assert len(room) == 1


def test_a_connection_waits_for_its_caller_unless_it_is_answered() -> None:
    """Room is made by those who are being answered, or not by those who stall a head, a body or an answer."""

    async def talk(protocol: BoundedProtocol, transport: Caller, app: Answers) -> None:
        assert protocol.waits_for_caller
        protocol.data_received(ASKED[:-1])
        await turns()
        assert protocol.waits_for_caller  # the body
        protocol.data_received(ASKED[-1:])
        await turns()
        assert not protocol.waits_for_caller
        protocol.pause_writing()
        assert protocol.waits_for_caller  # the reader
        protocol.resume_writing()
        assert not protocol.waits_for_caller
        app.go.set()
        await turns()
        assert protocol.waits_for_caller
        protocol.make_room()
        assert transport.said[0] == "close"
        assert transport.got.count(b"HTTP/1.1") == 1

    talking(talk)
