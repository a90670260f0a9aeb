"""A long run in windows: does anything grow that should not?

Each window (a week of the soak) has its own waiting times, moves and entries for each packet, and the memory of the
process at its end.  The meter itself remembers only packets that wait or live, so that it does not grow either.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from pfgov.core import events as e
from pfgov.core.records import Stamp
from pfgov.sim.metrics import SECOND, percentile

_STATM: Final = Path("/proc/self/statm")


class Window(NamedTuple):
    """One window.  Times in virtual seconds, memory in MiB; None where there was nothing to divide by."""

    number: int
    packets: int
    wait_p99: float | None
    moves_per_packet: float | None
    entries_per_packet: float | None
    live: int
    memory: float | None


COLUMNS: Final = (
    ("wait p99", "seconds"),
    ("moves per packet", "moves"),
    ("entries per packet", "entries"),
    ("live packets", "count"),
    ("memory", "MiB"),
)
"""What a window shows, after its number and its packets, with its unit."""


def resident() -> float | None:
    """Return the memory that this process holds now, in MiB; None where the system does not say."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(slots=True)
class WindowMeter:
    """Reads entries in order and closes a window every *length* microseconds from *start* on."""

    start: int
    length: int
    memory: Callable[[], float | None] = resident
    windows: list[Window] = field(default_factory=list[Window])
    _waiting: dict[str, int] = field(default_factory=dict[str, int])
    _live: set[str] = field(default_factory=set[str])
    _waits: list[float] = field(default_factory=list[float])
    _packets: int = 0
    _moves: int = 0
    _entries: int = 0

    def read(self, event: e.Event, stamp: Stamp) -> None:
        """Take one entry in."""
        while stamp.time >= self.start + self.length:
            self.close()
        self._entries += 1
        match event:
            case e.PacketCreated():
                self._packets += 1
                self._waiting[event.packet_id] = stamp.time
                self._live.add(event.packet_id)
            case e.AssignmentDecision() if event.owner is not None:
                since = self._waiting.pop(event.packet_id, None)
                if since is None:
                    self._moves += 1
                else:
                    self._waits.append((stamp.time - since) / SECOND)
            case e.HandoffCompleted():
                self._moves += 1
            case e.PacketCompleted() | e.PacketFailed() | e.PacketCancelled():
                self._waiting.pop(event.packet_id, None)
                self._live.discard(event.packet_id)
            case _:
                pass

    def close(self) -> None:
        """End the present window and begin the next."""
        packets = self._packets
        self.windows.append(
            Window(
                number=len(self.windows) + 1,
                packets=packets,
                wait_p99=percentile(self._waits, 99),
                moves_per_packet=self._moves / packets if packets else None,
                entries_per_packet=self._entries / packets if packets else None,
                live=len(self._live),
                memory=self.memory(),
            )
        )
        self.start += self.length
        self._waits, self._packets, self._moves, self._entries = [], 0, 0, 0


def drift(windows: Sequence[Window]) -> list[float | None]:
    """Return, for each of :data:`COLUMNS`, the last window's value over the first's; None where one has none, or 0."""
    if len(windows) < 2:
        return [None] * len(COLUMNS)
    return [
        last / first if first and last is not None else None
        for first, last in zip(windows[0][2:], windows[-1][2:], strict=True)
    ]
