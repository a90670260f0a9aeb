"""Commands that run to completion inside one exclusive section, for what must not be interleaved.

A key ceremony signs for one place among key events, and an erasure first looks what is there: both decide, commit and
look at the outcome while nobody else's command runs.  The caller is in the exclusive section.  This module decides
nothing.
"""

from collections.abc import Sequence
from concurrent.futures import Future

from pfgov.engine.answers import Receipt, Request
from pfgov.engine.sequencing.sequencer import Sequencer


def run_to_completion(sequencer: Sequencer, requests: Sequence[Request]) -> list[Receipt]:
    """Run *requests*, at most a batch of them, to their end and return their receipts.

    Raises:
        PfgovError: the first of them that was refused, or could not be recorded.
    """
    futures = [_future_of(request) for request in requests]
    sequencer.run(requests)
    sequencer.drain()
    return [future.result(0) for future in futures]


def earlier(sequencer: Sequencer, request: Request) -> Receipt | None:
    """Return what *request*'s idempotency key was answered before, if it was; nothing is decided.

    Raises:
        MismatchError: it was used with another request.
    """
    future = _future_of(request)
    return future.result(0) if sequencer.was_answered(request) else None


def _future_of(request: Request) -> Future[Receipt]:
    """Return a future of what *request* comes to."""
    future: Future[Receipt] = Future()
    request.outcome = future
    return future
