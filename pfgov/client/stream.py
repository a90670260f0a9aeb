"""Server-sent events, byte by byte (WHATWG HTML, section 9.2): what was sent, and where to resume.

It keeps the last id that was seen whole, so that a stream which breaks anywhere is taken up without loss.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

LINE_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """One event: its position in the ledger, its type, and the entry as it is shown."""

    position: int
    type: str
    data: dict[str, Any]


@dataclass(slots=True)
class EventParser:
    """Feed it bytes; it gives events.  ``last`` is the position to resume after, None before the first."""

    last: int | None = None
    _rest: bytes = b""
    _fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def feed(self, piece: bytes) -> Iterator[Heard]:
        """Yield the events that are whole now.

        Raises:
            ValueError: a line is too long, or an event is not what pfgov sends.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ValueError("a line of the stream of events is too long")
        for line in lines:
            text = line.rstrip(b"\r").decode()
            if text:
                name, _, value = text.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif (found := self._event()) is not None:
                self.last = found.position
                yield found

    def restart(self) -> None:
        """Forget what is half read: the connection broke."""
        self._rest = b""
        self._fields.clear()

    def _event(self) -> Heard | None:
        fields, self._fields = self._fields, {}
        if "data" not in fields or "id" not in fields:
            return None
        data = json.loads("\n".join(fields["data"]))
        return Heard(int(fields["id"][-1]), fields.get("event", ["message"])[-1], data)
