"""A cluster and a ledger with a controller between them, in this process; each round is run by hand."""

import asyncio
from types import TracebackType
from typing import Any, Self

import httpx2

from pfgov.client import AsyncClient, Retry
from pfgov.clock import ManualClock
from pfgov.kubernetes.api import Kubernetes
from pfgov.kubernetes.asking import Cluster
from pfgov.kubernetes.connecting import Connection
from pfgov.kubernetes.controller import Controller, Round, Setup
from pfgov.kubernetes.manifests import Places, render
from support.api_server import Api
from support.fake_kubernetes import FakeCluster

MICRO = 1_000_000


class Bridge(httpx2.AsyncBaseTransport):
    """Requests to the server whose event loop runs in another thread; ``before`` and ``after`` may break one."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._inner = httpx2.ASGITransport(app=api.app)
        self.requests: list[str] = []
        self.before: Any = lambda _: None
        self.after: Any = lambda _: None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on, and bring its whole answer."""
        what = f"{request.method} {request.url.path}"
        self.requests.append(what)
        self.before(what)
        body = await request.aread()

        async def ask() -> httpx2.Response:
            sent = httpx2.Request(
                request.method, request.url, headers=request.headers, content=body
            )
            answer = await self._inner.handle_async_request(sent)
            content = await answer.aread()
            return httpx2.Response(answer.status_code, headers=answer.headers, content=content)

        answered = await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(ask(), self._api.loop)
        )
        self.after(what)
        return answered


class World:
    """One cluster of one name, governed over *api*."""

    def __init__(
        self, api: Api, name: str, *, manifests: str | None = None, **options: Any
    ) -> None:
        self.api, self.name, self.options = api, name, options
        self.fake = FakeCluster(render(Places()) if manifests is None else manifests)
        self.bridge = Bridge(api)
        self.clock = ManualClock(1_800_000_000 * MICRO)
        self.runner = asyncio.Runner()
        self.start()

    def start(self, **options: Any) -> None:
        """Begin with a new controller, as after a crash: it knows nothing."""
        self.client = AsyncClient(
            "http://localhost:8000", transport=self.bridge, retry=Retry(patience=0)
        )
        self.kubernetes = Kubernetes(Connection("http://cluster"), transport=self.fake)
        cluster = Cluster(self.name, "", **{**self.options, **options})
        setup = Setup(cluster, is_alone=True)
        self.controller = Controller(self.kubernetes, self.client, setup, clock=self.clock)

    def settle(self) -> Round:
        """Let the controller do all that is due; nothing may fail."""
        done = self.settle_somehow()
        assert not done.failed, done.failed
        return done

    def settle_somehow(self) -> Round:
        """Let the controller do all that is due."""
        self.controller.ledger.read_all()
        return self.runner.run(self.controller.settle())

    def advance(self, seconds: int) -> None:
        """Let time pass for the controller."""
        self.clock.advance(seconds * MICRO)

    def tick(self, seconds: int = 0) -> None:
        """Let time pass for the ledger, and what is due there happen."""
        self.api.clock.advance(seconds * MICRO)
        self.api.post("/api/tick")

    def pod(self, name: str, namespace: str = "team") -> dict[str, Any]:
        """Return a pod as it is."""
        return self.fake.get("pods", name, namespace)

    def packet_of(self, name: str, namespace: str = "team") -> dict[str, Any]:
        """Return the packet of a pod."""
        meta = self.pod(name, namespace)["metadata"]
        named = meta.get("annotations", {}).get(
            "pfgov.dev/packet", f"pod.{self.name}.{meta['uid']}"
        )
        return self.packet(named)

    def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        answer = self.api.get(f"/api/packets/{packet_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def member(self, node: str) -> dict[str, Any]:
        """Return the member that a node is."""
        found: dict[str, Any] = self.api.get(f"/api/members/node.{self.name}.{node}").json()
        return found

    def verdict(self, name: str, namespace: str = "team") -> tuple[str, str, str]:
        """Return what is said on a pod."""
        for one in self.pod(name, namespace)["status"].get("conditions", []):
            if one["type"] == "pfgov.dev/Verdict":
                return one["status"], one["reason"], one["message"]
        return "", "", ""

    def is_gated(self, name: str, namespace: str = "team") -> bool:
        """Whether a pod's gate is closed."""
        return {"name": "pfgov.dev/verdict"} in self.pod(name, namespace)["spec"]["schedulingGates"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runner.run(self.client.close())
        self.runner.close()
