"""The client for programs that work as members, or that ask for decisions over HTTP.

:class:`Client` and :class:`AsyncClient` are two thin shells over one core that does no I/O (:mod:`~pfgov.client.core`).
They need ``pip install 'pfgov[client]'`` (httpx2), which is imported when the first client is made.
"""

from pfgov.client.aio import AsyncClient
from pfgov.client.core import ApiError, Recorded, Retry, UnreachableError
from pfgov.client.receipts import ReceiptError
from pfgov.client.sync import Client
from pfgov.client.work import Job, LostOwnershipError, Worker

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Job",
    "LostOwnershipError",
    "ReceiptError",
    "Recorded",
    "Retry",
    "UnreachableError",
    "Worker",
]
