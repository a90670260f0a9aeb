"""Logs: one JSON object a line on standard error, and one line for each request.

A busy server answers many requests in one turn of its event loop; their lines are written together at the end of that
turn, because a system call for each cost a fifth of a request.  Whatever is worse than information is written at once.
Fields come from a fixed list, so that nothing secret slips in.
"""

import asyncio
import json
import logging
from typing import IO, Any, Final

import msgspec

FIELDS: Final = ("request_id", "sent_id", "operation", "status", "ms", "ledger")
"""What a line may say beyond its message."""

_encode: Final = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        text = _encode(line).decode()
        # What somebody else said must not steer a terminal: C1 and bidirectional controls are not ASCII.
        return text if text.isascii() else json.dumps(line)


class TurnHandler(logging.Handler):
    """Writes what was logged in one turn of the event loop together; outside a loop, and what is worse, at once."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take *record*, and see to it that it is written soon."""
        try:
            self._waiting.append(self.format(record))
            loop = _running() if record.levelno <= logging.INFO else None
            if loop is None:
                self.flush()
            elif len(self._waiting) == 1:
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            lines, self._waiting = self._waiting, []
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
        finally:
            self.release()

    def close(self) -> None:
        """Write what waits, and be gone."""
        self.flush()
        super().close()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def log_to(stream: IO[str], level: str) -> None:
    """Send logs to *stream*."""
    handler = TurnHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn.access").disabled = True
    # Nothing that a line says; looking it up for each record costs more than encoding the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def log_request(
    log: logging.Logger,
    *,
    request_id: str,
    operation: str,
    status: int,
    seconds: float,
    sent_id: str | None = None,
    ledger: str | None = None,
) -> None:
    """Log that a request was answered, without looking for the line of code that says so.

    *sent_id* is what its caller calls it, where that cannot be its id; *ledger* the one that was asked, where that is
    not the default one.
    """
    record = logging.LogRecord(log.name, logging.INFO, "", 0, "request", (), None)
    record.__dict__.update(
        request_id=request_id,
        sent_id=sent_id,
        operation=operation,
        status=status,
        ms=round(seconds * 1_000, 1),
        ledger=ledger,
    )
    log.handle(record)
