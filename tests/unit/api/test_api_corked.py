"""The corked transport: one system call for an answer, and nothing lost, reordered or hidden from flow control."""

import asyncio
from typing import Any

import pytest

from pfgov_api.write_coalescing import HELD_BYTES_MAX, CoalescingTransport


class Sink(asyncio.Transport):
    """Keeps what it is given, as the kernel would see it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.said: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take one system call's worth; what comes after the end is dropped, as asyncio does."""
        if not self.said:
            self.sent.append(bytes(data))

    def close(self) -> None:
        """Note it."""
        self.said.append("close")

    def abort(self) -> None:
        """Note it."""
        self.said.append("abort")

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return bool(self.said)

    def get_write_buffer_size(self) -> int:
        """As if seven bytes waited for the kernel."""
        return 7


def play(story: Any) -> Sink:
    """Run *story* with a corked sink in a loop, to the end of its turns."""

    async def run() -> Sink:
        sink = Sink()
        await story(CoalescingTransport(sink, asyncio.get_running_loop()), sink)
        await asyncio.sleep(0)
        return sink

    return asyncio.run(run())


def test_one_turn_is_one_write() -> None:
    """Head and body written in one turn of the loop are sent together, and the next turn's apart from them."""

    async def story(corked: CoalescingTransport, sink: Sink) -> None:
        corked.write(b"head ")
        corked.write(bytearray(b"body"))
        assert sink.sent == []
        await asyncio.sleep(0)
        corked.write(b"next")

    assert play(story).sent == [b"head body", b"next"]


@pytest.mark.parametrize("first", [0, 1, 100])
def test_what_is_large_goes_out_at_once_and_in_order(first: int) -> None:
    """More than may be held is written now, after what was held, so that a slow reader is noticed in time."""
    held, large = b"a" * first, b"x" * (HELD_BYTES_MAX + 1)

    async def story(corked: CoalescingTransport, sink: Sink) -> None:
        corked.write(held)
        corked.write(large)
        corked.write(b"z")
        assert sink.sent == [part for part in (held, large) if part]

    assert b"".join(play(story).sent) == held + large + b"z"


def test_held_bytes_are_bounded_within_a_turn() -> None:
    """A turn that writes without end holds back no more than the bound, and counts it as not sent yet."""

    async def story(corked: CoalescingTransport, _: Sink) -> None:
        for _number in range(1_000):
            corked.write(b"x" * 1_000)
            assert 7 <= corked.get_write_buffer_size() <= 7 + HELD_BYTES_MAX

    assert b"".join(play(story).sent) == b"x" * 1_000_000


def test_closing_sends_what_was_written_and_aborting_does_not() -> None:
    """An answer written just before the connection is closed arrives; one before an abort need not."""

    async def closed(corked: CoalescingTransport, _: Sink) -> None:
        corked.write(b"bye")
        corked.close()

    async def aborted(corked: CoalescingTransport, _: Sink) -> None:
        corked.write(b"bye")
        corked.abort()

    kept, dropped = play(closed), play(aborted)
    assert (kept.sent, kept.said) == ([b"bye"], ["close"])
    assert (dropped.sent, dropped.said) == ([], ["abort"])
