"""Callers that go away, and a server that does: what takes long is given up, and whoever still waits is told."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pfgov.app.hosting import UnknownOutcomeError
from pfgov.errors import EngineStoppedError, PfgovError
from pfgov_api.mounting import Asgi
from pfgov_api.problems import HttpError

A = TypeVar("A")


async def while_there(request: Asgi, answering: Coroutine[Any, Any, A]) -> A:
    """Return what *answering* does, or end it when the caller goes away: nobody waits for it any more.

    Raises:
        HttpError: ``http.cut_off``, the caller has gone.
    """
    asked, gone = asyncio.ensure_future(answering), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise HttpError("the caller has gone", code="http.cut_off")
        return asked.result()
    finally:
        for task in (asked, gone):
            task.cancel()
        await asyncio.gather(asked, gone, return_exceptions=True)


async def _gone(request: Asgi) -> None:
    """Wait until the caller has gone, or was answered."""
    while True:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            return


def uncancel() -> None:
    """Let this task go on although it was cancelled."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def cut(*, is_write: bool) -> PfgovError:
    """Return what is said of a request that the end of the server found without an answer."""
    if is_write:
        return UnknownOutcomeError(
            "the server stopped before it knew what became of this",
            hint="ask again with the same Idempotency-Key once it is back",
        )
    return EngineStoppedError("the server stopped before it could answer", hint="ask again")
