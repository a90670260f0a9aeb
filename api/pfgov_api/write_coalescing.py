"""A transport that sends at the end of the loop's turn what was written in it, so that an answer is one packet.

uvicorn writes the head of an answer, then its body; each would be a system call, and wake the caller once more.  What
is held is little and for a moment: a large write, and whatever would make it large, goes out at once, so that flow
control sees it.  This module knows no HTTP.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

HELD_BYTES_MAX: Final = 16_384
"""What a turn may hold back; with more than that, the system calls are not what costs."""


class CoalescingTransport(asyncio.Transport):
    """*transport*, holding back small writes until the present turn of *loop* is over."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Hold back what is written to *transport*; say by *closing* that it is closed from now on."""
        super().__init__()
        self._closing = closing
        self._transport = transport
        self._loop = loop
        self._held = b""
        self._is_awaited = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write *data* by the end of this turn."""
        if len(self._held) + len(data) > HELD_BYTES_MAX:
            self._flush()
            self._transport.write(data)
            return
        self._held += data
        if not self._is_awaited:
            self._is_awaited = True
            self._loop.call_soon(self._end_of_turn)

    def send(self, data: bytes) -> None:
        """Write *data*, which is all that there is to write for now, after what is held."""
        self._flush()
        self._transport.write(data)

    def _end_of_turn(self) -> None:
        self._is_awaited = False
        self._flush()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Close, after what was written is sent."""
        self._flush()
        self._transport.close()
        self._closing()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._held = b""
        self._transport.abort()

    # --- as it is --------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were written and are not with the kernel yet."""
        return self._transport.get_write_buffer_size() + len(self._held)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what *transport* says of itself."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read nothing until told to."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to *protocol*."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what comes."""
        return self._transport.get_protocol()
