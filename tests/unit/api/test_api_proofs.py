"""Whoever asks a server to prove what it is needs no key for it, and takes nobody else's time."""

import asyncio
import threading
from pathlib import Path

import httpx2
import pytest
from support.ledgers import fresh, opened

from pfgov_api.app import create_app
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.routes import service as routes
from pfgov_api.service import Service

TOO_MANY = 40
"""More than there are threads for everybody."""


def test_strangers_who_have_a_key_service_sign_take_no_thread_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each had the log's key sign in a thread in which everybody reads: a slow key service stopped all."""
    is_over, turn, was_shared = threading.Event(), threading.Lock(), list[bool]()

    def slowly(_service: Service, _challenge: str) -> str:
        was_shared.append(not turn.acquire(blocking=False))
        is_over.wait(20)
        if not was_shared[-1]:
            turn.release()
        return "proof"

    monkeypatch.setattr(routes, "_proof", slowly)

    async def ask(service: Service) -> None:
        transport = httpx2.ASGITransport(app=create_app(service))
        challenge = {"pfgov-challenge": "a" * 64}
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as web:
            asked = [
                asyncio.create_task(web.get("/api/health/live", headers=challenge))
                for _ in range(TOO_MANY)
            ]
            try:
                await asyncio.sleep(0.2)
                async with asyncio.timeout(5):
                    assert (await web.get("/api/members")).status_code == 200
                    assert (await web.get("/api/health/live")).status_code == 200
            finally:
                is_over.set()
            answers = await asyncio.gather(*asked)
        assert {one.headers.get("pfgov-proof") for one in answers} == {"proof"}
        assert not any(was_shared)
        await service.stop()

    directory = fresh(tmp_path)
    with opened(directory) as engine:
        asyncio.run(ask(Service(engine, KeyRing(directory / FILE))))
