"""Who visits, and what is asked in that name: operations of the API, called in this process.

Rights, parameters and bodies are checked by the same functions as over HTTP, so that no page shows and no button does
what the API would refuse.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from pfgov.errors import GrantEndedError
from pfgov_api.dispatcher import answered, parsed, read_path, require_right
from pfgov_api.grants import Grant
from pfgov_api.operations import Answer, Call, Operation
from pfgov_api.queries import read_query
from pfgov_api.routes import OPERATIONS
from pfgov_api.service import Service


@cache
def operations() -> dict[str, Operation]:
    """Return every operation by its name."""
    return {one.name: one for one in OPERATIONS}


@dataclass(frozen=True, slots=True)
class Place:
    """A browser in which the visitor is signed in; times in seconds ago."""

    name: str
    since: float
    seen: float
    is_this: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever looks at the console."""

    service: Service
    grant: Grant
    request_id: str
    places: tuple[Place, ...] = ()

    @property
    def rights(self) -> tuple[str, ...]:
        """What was granted."""
        return self.grant.principal.rights

    @property
    def issuer(self) -> str | None:
        """Whose tokens are believed beside keys."""
        tokens = self.service.access.tokens
        return None if tokens is None else tokens.settings.issuer

    def may(self, name: str) -> bool:
        """Whether the operation *name* is allowed to these rights."""
        return operations()[name].allows(self.rights)

    async def ask(self, name: str, query: Mapping[str, Any] | None = None, **path: str) -> Any:
        """Return what the operation *name* answers: its body, or its bytes.

        Raises:
            PfgovError: as it would over HTTP.
        """
        answer = await self.answer(name, query, **path)
        return answer.body if answer.raw is None else answer.raw

    async def answer(
        self, name: str, query: Mapping[str, Any] | None = None, **path: str
    ) -> Answer:
        """Return the answer of the operation *name*, which may be a stream.

        Raises:
            PfgovError: as it would over HTTP.
        """
        return await self._run(name, query or {}, path, b"", {})

    async def act(
        self, name: str, path: Mapping[str, str], body: Mapping[str, Any], key: str
    ) -> dict[str, Any]:
        """Run the operation *name*, once for each idempotency *key*; return what it answers.

        Raises:
            PfgovError: as it would over HTTP.
        """
        if not self.grant.holds():
            raise GrantEndedError("the key or token ended meanwhile", hint="sign in again")
        raw = json.dumps(body).encode()
        answer = await self._run(name, {}, path, raw, {"idempotency-key": key})
        found: dict[str, Any] = answer.body
        return found

    async def begin(self, name: str, body: Mapping[str, Any]) -> Answer:
        """Return the answer of the operation *name*, which changes nothing, to a *body*.

        Raises:
            PfgovError: as it would over HTTP.
        """
        return await self._run(name, {}, {}, json.dumps(body).encode(), {})

    async def dry_run(self, packet_id: str) -> dict[str, Any]:
        """Return who could own a packet now, and who would; nothing is recorded.

        Raises:
            PfgovError: as ``discover`` does.
        """
        found: dict[str, Any] = (await self.begin("discover", {"packet_id": packet_id})).body
        return found

    async def verdict(self, packet_id: str, member_id: str, point: str | None) -> dict[str, Any]:
        """Return what a member comes to for a packet now, asked at a *point*; nothing is recorded.

        Raises:
            PfgovError: as ``evaluate_decision`` does.
        """
        raw = json.dumps({"packet_id": packet_id, "member_id": member_id, "point": point}).encode()
        answer = await self._run("evaluate_decision", {"dry_run": "true"}, {}, raw, {})
        found: dict[str, Any] = answer.body
        return found

    async def _run(
        self,
        name: str,
        query: Mapping[str, Any],
        path: Mapping[str, str],
        raw: bytes,
        headers: Mapping[str, str],
    ) -> Answer:
        operation = operations()[name]
        require_right(operation, self.rights)
        given = urlencode({key: value for key, value in query.items() if value not in {None, ""}})
        checked = read_path(path)
        body = None
        if operation.body is not None:
            body = parsed(operation.body, raw, optional=operation.body_optional)
        call = Call(
            operation=operation,
            service=self.service,
            principal=self.grant.principal,
            request_id=self.request_id,
            path=checked,
            query=read_query(given.encode(), operation.parameters),
            body=body,
            raw=raw,
            headers=headers,
            url=operation.path.format(**checked),
            grant=self.grant,
        )
        return await answered(operation, call)
