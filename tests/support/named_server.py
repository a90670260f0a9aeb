"""Several ledgers behind one API in this process: the real front and keeper, with time and looks turned by hand."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from pfgov.app.tenancy import Keeper, Place
from pfgov.engine import Options
from pfgov_api.app import application
from pfgov_api.hosts import Domain
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.named import Named
from pfgov_api.routes import OPERATIONS
from support.api_schemas import check
from support.api_server import SCOPES, Api
from support.ledgers import START, Drawn, fresh


def ledger_at(folder: Path, name: str) -> Path:
    """Put a fresh ledger into *folder* under *name*."""
    made = fresh(folder.parent / f"making-{name}")
    target = folder / name
    shutil.move(made, target)
    return target


class NamedApi:
    """A default ledger, and others beside it.  Nothing ticks and nothing is looked at unless a test says so."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] = ("alpha", "beta"),
        *,
        share: bool = False,
        domain: str | None = None,
        **options: Any,
    ) -> None:
        self.default = Api(folder / "default")
        self.folder = folder / "ledgers"
        self.folder.mkdir()
        for name in names:
            ledger_at(self.folder, name)
        self.named = Named(
            self.folder,
            OPERATIONS,
            default=self.default.service,
            share=share,
            domain=None if domain is None else Domain(domain),
            check=options.pop("check", lambda _engine, _keyring: None),
            clock=self.default.clock,
            options=Options(draw=Drawn("named")),
            **options,
        )
        self.default.service.named = self.named
        self.app = application(self.default.service)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url="http://localhost:8000"
        )
        self.run(self.keeper.scan())
        self._keys: dict[str, dict[str, str]] = {}

    @property
    def keeper(self) -> Keeper:
        """What opens and closes them."""
        return self.named.keeper

    def place(self, name: str) -> Place:
        """The place of one of them."""
        return self.keeper.places[name]

    def run(self, work: Any) -> Any:
        """Run a coroutine in the loop."""
        return self.default.run(work)

    def keys(self, name: str) -> dict[str, str]:
        """Make a key of each scope of one ledger; ``""`` is the default one."""
        if name not in self._keys:
            if not name:
                self._keys[name] = self.default.keys()
                return self._keys[name]
            ring, draw = KeyRing(self.folder / name / FILE), Drawn(f"keys of {name}")
            self._keys[name] = {
                scope: ring.create((scope,), now=START, draw=draw)[1] for scope in SCOPES
            }
        return self._keys[name]

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request, with a key as it is."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer: httpx2.Response = self.run(
            self.client.request(method, path, content=content, headers=sent)
        )
        inside = path.removeprefix("/l/").partition("/")[2]
        if answer.status_code == 404 and "ledger.unknown" in answer.text:
            return answer  # no document says what an unknown ledger answers, but its own page
        check(method, f"/{inside}" if path.startswith("/l/") else path, answer)
        return answer

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Send a GET."""
        return self("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        """Send a POST."""
        return self("POST", path, body, **options)

    def member(
        self, name: str, member_id: str = "m1", *, key: str | None = None, **fields: Any
    ) -> httpx2.Response:
        """Register a member that may do everything in one of them."""
        body = {
            "id": member_id, "type": "agent", "capabilities": [{"name": "ocr", "version": "1.2"}],
            "cpu_capacity": 50.0, "memory_capacity": 500.0, "trust_score": 0.95, "region": "us-east", **fields,
        }  # fmt: skip
        prefix = f"/l/{name}" if name else ""
        answer = self.post(f"{prefix}/api/members/register", body, key=key)
        assert answer.status_code == 201, answer.text
        return answer

    def rest(self, name: str, least_seconds: float = 60.0) -> bool:
        """Close one of them, if it may rest."""
        found: bool = self.run(self.keeper.rest(self.place(name), least_seconds))
        return found

    def close(self) -> None:
        """Close everything."""
        self.run(self.keeper.stop())
        self.run(self.client.aclose())
        self.default.service.named = None
        self.default.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
