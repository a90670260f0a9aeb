"""One HTTP exchange: a request is sent, and sent again while that may help and patience lasts.

The clients and the command line's session with a server all send through here; what an answer means, and what is said
when none came, is theirs.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pfgov.client.core import RETRIED, Ask, Retry, UnreachableError, value_of
from pfgov.client.refusals import ApiError


@dataclass(slots=True)
class Attempts:
    """The attempts at one request, and how the last one ended: with an answer, or an error of the transport."""

    ask: Ask
    retry: Retry
    headers: Mapping[str, str]
    started: float
    count: int = 0
    answer: Any = None
    error: Exception | None = None

    @property
    def sent(self) -> dict[str, Any]:
        """The arguments of ``request`` of an HTTP client."""
        headers = {**self.headers, **self.ask.headers()}
        return {
            "method": self.ask.method,
            "url": self.ask.path,
            "content": self.ask.body,
            "headers": headers,
        }

    @property
    def is_answered(self) -> bool:
        """Whether the last answer is one that asking again would not change."""
        return self.answer is not None and self.answer.status_code not in RETRIED

    def note(self, answer: Any = None, error: Exception | None = None) -> float | None:
        """Note how an attempt ended; return the pause before the next one, or None if there is to be none."""
        self.count, self.answer, self.error = self.count + 1, answer, error
        if self.is_answered:
            return None
        asked = None if answer is None else answer.headers.get("retry-after")
        pause = self.retry.pause(self.count, asked=asked, spread=random.random())  # noqa: S311
        return None if time.monotonic() + pause - self.started > self.retry.patience else pause

    def value(self) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON value and the headers of the answer.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
        """
        self._require_answer()
        return value_of(self.answer.status_code, self.answer.content), self.answer.headers

    def content(self) -> bytes:
        """Return the bytes of an answer that is no JSON; errors as of :meth:`value`."""
        self._require_answer()
        found: bytes = self.answer.content
        if not 200 <= self.answer.status_code < 300:
            value_of(self.answer.status_code, found)  # which raises
        return found

    def _require_answer(self) -> None:
        if self.is_answered:
            return
        reason = self.error or ApiError(self.answer.status_code, {})
        raise UnreachableError(
            f"no answer after {self.count} attempts: {reason!r}", hint="is the server up?"
        ) from reason


class Closing:
    """What is closed at the end of a ``with`` block."""

    def close(self) -> None:
        """Close the connections."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exchange(
    http: Any,
    errors: type[Exception],
    ask: Ask,
    retry: Retry,
    *,
    headers: Mapping[str, str] | None = None,
    final: type[Exception] | tuple[()] = (),
) -> Attempts:
    """Send *ask* over a synchronous HTTP client.

    Args:
        http: The client.
        errors: What it raises where no answer comes.
        ask: The request.
        retry: When to try again.
        headers: What is sent beside the request's own headers.
        final: Which of those errors no further attempt would change.
    """
    made = Attempts(ask, retry, headers or {}, time.monotonic())
    while True:
        try:
            pause = made.note(http.request(**made.sent))
        except errors as error:
            pause = made.note(error=error)
            if isinstance(error, final):
                return made
        if pause is None:
            return made
        time.sleep(pause)


async def exchange_async(http: Any, errors: type[Exception], ask: Ask, retry: Retry) -> Attempts:
    """Send *ask* over an asynchronous HTTP client; the arguments are those of :func:`exchange`."""
    made = Attempts(ask, retry, {}, time.monotonic())
    while True:
        try:
            pause = made.note(await http.request(**made.sent))
        except errors as error:
            pause = made.note(error=error)
        if pause is None:
            return made
        await asyncio.sleep(pause)
