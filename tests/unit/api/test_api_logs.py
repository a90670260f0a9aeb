"""Logs of the server: one line a request, nothing secret, nothing lost, one write for many."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from pfgov_api.logs import JsonLines, TurnHandler, log_request


class Counted(io.StringIO):
    """A stream that counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str, /) -> int:
        """Write, and count."""
        self.writes += 1
        return super().write(text)


@pytest.fixture
def stream() -> Counted:
    """Where the lines go."""
    return Counted()


@pytest.fixture
def log(stream: Counted) -> Iterator[logging.Logger]:
    """A logger of its own that writes to the stream."""
    handler = TurnHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("pfgov.test")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    yield log
    log.removeHandler(handler)


def _say(log: logging.Logger, number: int) -> None:
    log_request(log, request_id=f"r{number}", operation="live", status=200, seconds=0.0123)


def test_api_logs_write_once_for_one_turn_of_the_loop(log: logging.Logger, stream: Counted) -> None:
    """What is logged in one turn is written together at its end, complete and in order."""

    async def turn() -> None:
        for number in range(50):
            _say(log, number)
        assert stream.writes == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(turn())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == [f"r{n}" for n in range(50)]
    assert lines[0] == {
        "level": "info", "logger": "pfgov.test", "message": "request",
        "request_id": "r0", "operation": "live", "status": 200, "ms": 12.3,
    }  # fmt: skip
    assert stream.writes == 1


def test_api_logs_write_at_once_what_is_worse(log: logging.Logger, stream: Counted) -> None:
    """A warning is on the stream before the next line of code runs, with everything before it."""

    async def turn() -> None:
        _say(log, 1)
        log.warning("trouble")
        assert [json.loads(one)["message"] for one in stream.getvalue().splitlines()] == [
            "request", "trouble",
        ]  # fmt: skip

    asyncio.run(turn())


def test_api_logs_write_at_once_outside_a_loop(log: logging.Logger, stream: Counted) -> None:
    """Where no loop runs, nothing waits for its turn."""
    _say(log, 1)
    assert stream.writes == 1


def test_api_logs_say_only_known_fields(log: logging.Logger, stream: Counted) -> None:
    """A field that is not on the list does not slip into a line, whoever passes it."""
    log.info("x", extra={"authorization": "Bearer pfgov_secret", "status": 401})
    assert json.loads(stream.getvalue()) == {
        "level": "info", "logger": "pfgov.test", "message": "x", "status": 401,
    }  # fmt: skip


def test_api_logs_lose_nothing_when_closed(log: logging.Logger, stream: Counted) -> None:
    """What waits for the end of a turn is written when the handler is closed before."""

    async def turn() -> None:
        _say(log, 1)
        log.handlers[0].close()
        assert stream.writes == 1

    asyncio.run(turn())
