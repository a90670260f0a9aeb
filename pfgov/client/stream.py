"""Server-sent events, byte by byte (WHATWG HTML, section 9.2): what was sent, and where to resume.

It keeps the last id that was seen whole, so that a stream which breaks anywhere is taken up without loss.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pfgov.client.lines import Lines

LINE_BYTES_MAX: Final = 4 * 1024 * 1024

EVENT_BYTES_MAX: Final = 2 * LINE_BYTES_MAX
"""The lines of one event together."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: its position in the ledger, its type, and the entry as it is shown."""

    position: int
    type: str
    data: dict[str, Any]


@dataclass(slots=True)
class EventParser:
    """Feed it bytes; it gives events.  ``last`` is the position to resume after, None before the first."""

    last: int | None = None
    _lines: Lines = field(default_factory=Lines)
    _fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _size: int = 0

    def feed(self, piece: bytes) -> Iterator[StreamEvent]:
        """Yield the events that are whole now.

        Raises:
            ValueError: a line or an event is too long, or it is not what pfgov sends.
        """
        lines = self._lines.feed(piece)
        if self._lines.held > LINE_BYTES_MAX:
            raise ValueError("a line of the stream of events is too long")
        for line in lines:
            text = line.rstrip(b"\r").decode()
            self._size += len(line) + 1
            if self._size > EVENT_BYTES_MAX:
                raise ValueError("an event of the stream is too long")
            if text:
                name, _, value = text.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif (found := self._event()) is not None:
                self.last = found.position
                yield found

    def restart(self) -> None:
        """Forget what is half read: the connection broke."""
        self._lines, self._size = Lines(), 0
        self._fields.clear()

    def _event(self) -> StreamEvent | None:
        fields, self._fields, self._size = self._fields, {}, 0
        if "data" not in fields or "id" not in fields:
            return None
        try:
            data: Any = json.loads("\n".join(fields["data"]))
        except RecursionError:
            data = None
        if not isinstance(data, dict):
            raise ValueError("the data of an event is no object")  # noqa: TRY004 - it is what was sent that is wrong
        shown = cast("dict[str, Any]", data)
        kind = fields["event"][-1] if "event" in fields else str(shown.get("type", "message"))
        return StreamEvent(int(fields["id"][-1]), kind, shown)
