"""The client for programs that work as members, or that ask for decisions over HTTP.

:class:`Client` and :class:`AsyncClient` are two thin shells over one core that does no I/O (:mod:`~pfgov.client.core`).
They need the extra ``client`` (httpx2), which is imported when the first client is made.
"""

from pfgov.client.aio import AsyncClient
from pfgov.client.core import Recorded, Retry, UnreachableError
from pfgov.client.job import Job, LostOwnershipError, OnError
from pfgov.client.receipts import ReceiptError
from pfgov.client.refusals import (
    ApiError,
    ConflictError,
    DeniedError,
    EscalatedError,
    ForbiddenError,
    NotFoundError,
    NotOwnerError,
    PreconditionError,
    StaleEpochError,
    UnauthenticatedError,
)
from pfgov.client.sync import Client
from pfgov.client.work import Worker

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConflictError",
    "DeniedError",
    "EscalatedError",
    "ForbiddenError",
    "Job",
    "LostOwnershipError",
    "NotFoundError",
    "NotOwnerError",
    "OnError",
    "PreconditionError",
    "ReceiptError",
    "Recorded",
    "Retry",
    "StaleEpochError",
    "UnauthenticatedError",
    "UnreachableError",
    "Worker",
]
