"""The HTTP API in this process, without sockets: the real application over a real ledger, asked synchronously.

A thread runs the event loop; time is turned by hand.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from pfgov.clock import ManualClock
from pfgov_api.app import application
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.service import Service
from support.api_schemas import check
from support.ledgers import START, Drawn, fresh, opened

T = TypeVar("T")

SCOPES = (
    "admin",
    "assessor",
    "auditor",
    "emergency",
    "member:m1",
    "member:m2",
    "operator",
    "reviewer",
    "submitter",
)


def path_values(**named: str) -> dict[str, str]:
    """What may stand in the braces of a path: *named*, and something possible in all others."""
    tiles = {"tile_level": "0", **{f"tile_{part}": "x000" for part in range(1, 8)}}
    ids = {"member_id": "m1", "packet_id": "p1", "seq": "0", "code": "http.not_found"}
    return {**tiles, **ids, "commitment": "0" * 64, "digest": "0" * 64, **named}


class Api:
    """A ledger behind its API.  Keys exist only once :meth:`keys` was called."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.directory = fresh(folder)
        self.clock = ManualClock(START + 1_000_000)
        kept = ("queue_max", "probe", "committing")
        engine_options = {k: options.pop(k) for k in kept if k in options}
        self.engine = opened(self.directory, self.clock, **engine_options)
        self.keyring = KeyRing(self.directory / FILE)
        self.service = Service(self.engine, self.keyring, **options)
        self.app: Any = application(self.service)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url="http://localhost:8000"
        )
        self._keys: dict[str, str] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop's thread and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def keys(self) -> dict[str, str]:
        """Make a key of each scope, so that from now on a key is needed."""
        if not self._keys:
            draw = Drawn("keys")
            for scope in SCOPES:
                _, text = self.keyring.create((scope,), now=START, draw=draw)
                self._keys[scope] = text
        return self._keys

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        scope: str | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Send a request; *body* as JSON, *content* as it is.  The answer is one that the API describes."""
        sent = dict(headers or {})
        if scope is not None:
            sent["Authorization"] = f"Bearer {self.keys()[scope]}"
        if content is None and body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = self.run(self.client.request(method, path, content=content, headers=sent))
        check(method, path, answer)
        return answer

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Send a GET."""
        return self("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        """Send a POST."""
        return self("POST", path, body, **options)

    def member(self, member_id: str = "m1", **fields: Any) -> dict[str, Any]:
        """Register a member that may do everything."""
        body = {
            "id": member_id, "type": "agent", "capabilities": [{"name": "ocr", "version": "1.2"}],
            "cpu_capacity": 50.0, "memory_capacity": 500.0, "trust_score": 0.95, "region": "us-east", **fields,
        }  # fmt: skip
        answer = self.post("/api/members/register", body, **self._as("operator"))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def packet(self, packet_id: str = "p1", **fields: Any) -> dict[str, Any]:
        """Submit a packet, which is placed at once."""
        body = {"packet_id": packet_id, "workload_type": "scan", **fields}
        answer = self.post("/api/packets", body, **self._as("operator"))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def claim(self, packet_id: str = "p1") -> dict[str, Any]:
        """What the packet's owner has to name with every write."""
        shown = self.get(f"/api/packets/{packet_id}", **self._as("operator")).json()
        return {
            "member_id": shown["current_owner"],
            "incarnation": shown["incarnation"],
            "epoch": shown["epoch"],
        }

    def _as(self, scope: str) -> dict[str, Any]:
        return {"scope": scope} if self._keys else {}

    def close(self) -> None:
        """Close everything."""
        self.run(self.service.stop())
        self.run(self.client.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def problem(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Return the problem that *answer* is, of that status and code, or fail."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"] == f"/api/problems/{found['code']}"
    assert found["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    assert found["detail"]
    assert found["title"] != found["detail"]
    if code is not None:
        assert found["code"] == code, found
    return found
