"""A small client of the Kubernetes API: list in pages, watch, create, patch, replace, delete.

It knows paths, verbs and the forms of errors, no kind of object and nothing of pfgov.  Everything that comes in is
bounded, and no answer is waited for without end.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote

from pfgov.client import bounds
from pfgov.client.core import http
from pfgov.client.lines import Lines
from pfgov.errors import PfgovError
from pfgov.kubernetes.connecting import Connection
from pfgov.kubernetes.shapes import map_in, maps_in

PAGE: Final = 500
LINE_BYTES_MAX: Final = 8 << 20
"""Larger than the largest object that etcd takes."""

OBJECTS_MAX: Final = 1_000_000
"""Objects of one kind that are listed: more than a cluster holds."""

TIMEOUT_SECONDS: Final = 15.0
WATCH_SECONDS: Final = 240
"""After which the server ends a watch, and it is taken up again."""

SILENCE_SECONDS: Final = 300.0

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"


class RefusedError(PfgovError):
    """The API server refused; ``status`` is HTTP's and ``reason`` Kubernetes' own word."""

    code = "kubernetes.refused"

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(
            f"the API server answered {status} {reason}: {message}",
            hint="see what the controller may do: kubectl auth can-i --list --as SERVICEACCOUNT"
            if status in {401, 403}
            else None,
        )
        self.status = status
        self.reason = reason


class GoneError(PfgovError):
    """A watch cannot go on from where it was (410): what changed meanwhile is not known, so everything is listed."""

    code = "kubernetes.gone"


class NoAnswerError(PfgovError):
    """The API server gave no answer: whether it did what was asked is not known."""

    code = "kubernetes.unreachable"
    exit_status = 4


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects: group (empty for the core), version, and plural name."""

    group: str
    version: str
    plural: str

    def path(
        self, namespace: str | None = None, name: str | None = None, sub: str | None = None
    ) -> str:
        """Return the path of all, of those in a namespace, of one, or of a part of one."""
        parts = ["api", self.version] if not self.group else ["apis", self.group, self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [one for one in (name, sub) if one is not None]
        return "/" + "/".join(quote(one, safe="") for one in parts)


PODS: Final = Resource("", "v1", "pods")
NODES: Final = Resource("", "v1", "nodes")
NAMESPACES: Final = Resource("", "v1", "namespaces")
EVENTS: Final = Resource("", "v1", "events")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
FLIGHT_PACKETS: Final = Resource("pfgov.dev", "v1alpha1", "flightpackets")
MEMBERS: Final = Resource("pfgov.dev", "v1alpha1", "members")


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects of a kind, and from where to watch."""

    items: tuple[Mapping[str, Any], ...]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""

    kind: str
    shown: Mapping[str, Any]


class Kubernetes:
    """Asks one API server.  Close it."""

    def __init__(self, to: Connection, *, transport: Any = None) -> None:
        """Make a client.

        Raises:
            MissingExtraError: httpx2 is not installed.
            NoClusterError: the certificates cannot be used.
        """
        self._httpx = http()
        self._to = to
        client = self._httpx.AsyncClient(
            base_url=to.url,
            transport=transport,
            verify=to.trust() if to.url.startswith("https") and transport is None else True,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            headers={**bounds.HEADERS, "Accept": "application/json", "User-Agent": "pfgov"},
        )
        self._http = bounds.bounded_async(self._httpx, client)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def list(self, kind: Resource) -> Listed:
        """Return all objects of a kind, read page by page from one version.

        Raises:
            RefusedError, GoneError, NoAnswerError: they cannot be read, or not to their end.
        """
        items: list[Mapping[str, Any]] = []
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            page = await self._ask("GET", kind.path(), query=query)
            items += maps_in(page, "items")
            meta = map_in(page, "metadata")
            if not meta.get("continue"):
                return Listed(tuple(items), str(meta.get("resourceVersion", "")))
            if len(items) > OBJECTS_MAX or not maps_in(page, "items"):
                raise NoAnswerError(f"the list of {kind.plural} does not end")
            query = {"limit": PAGE, "continue": str(meta["continue"])}

    async def watch(self, kind: Resource, version: str) -> AsyncIterator[Change]:
        """Yield what changes after *version* until the server ends the watch.

        Raises:
            GoneError: *version* is too old.
            RefusedError, NoAnswerError: it cannot be watched.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        try:
            async with self._http.stream(
                "GET",
                kind.path(),
                params=query,
                headers=self._headers(),
                timeout=SILENCE_SECONDS,
                extensions=bounds.LONG,
            ) as answer:
                if answer.status_code != 200:
                    self._refuse(answer.status_code, await answer.aread())
                lines = Lines()
                async for piece in answer.aiter_bytes():
                    for line in lines.feed(piece):
                        if line.strip():
                            yield self._change(line)
                    if lines.held > LINE_BYTES_MAX:
                        raise NoAnswerError("a line of a watch is too long")
        except self._httpx.TransportError as error:
            raise NoAnswerError(f"the watch of {kind.plural} broke: {error!r}") from error

    def _change(self, line: bytes) -> Change:
        shown = _parsed(line)
        kind, what = shown.get("type"), shown.get("object")
        if not isinstance(what, dict) or not isinstance(kind, str):
            raise NoAnswerError("an event of a watch is of no known form")
        found = cast("dict[str, Any]", what)
        if kind == "ERROR":
            code = found.get("code")
            self._refuse(code if isinstance(code, int) else 500, line, found)
        return Change(kind, found)

    async def get(self, kind: Resource, namespace: str | None, name: str) -> Mapping[str, Any]:
        """Return one object."""
        return await self._ask("GET", kind.path(namespace, name))

    async def create(
        self,
        kind: Resource,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        of: str | None = None,
        sub: str | None = None,
    ) -> Mapping[str, Any]:
        """Create an object, or the *sub* of an object *of* that name (an eviction)."""
        return await self._ask("POST", kind.path(namespace, of, sub), body)

    async def replace(
        self, kind: Resource, namespace: str | None, name: str, body: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Replace an object that is still at the version in *body*."""
        return await self._ask("PUT", kind.path(namespace, name), body)

    async def patch(
        self,
        kind: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        sub: str | None = None,
        how: str = MERGE,
    ) -> Mapping[str, Any]:
        """Change an object, or its *sub*; with a resourceVersion in *body*, only one that is still at it."""
        return await self._ask("PATCH", kind.path(namespace, name, sub), body, how=how)

    async def delete(self, kind: Resource, namespace: str | None, name: str, uid: str) -> None:
        """Delete the object of that name and *uid*."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        await self._ask("DELETE", kind.path(namespace, name), body)

    def _headers(self) -> dict[str, str]:
        token = self._to.token()
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        how: str = "application/json",
    ) -> Mapping[str, Any]:
        headers = self._headers()
        content = None
        if body is not None:
            headers["Content-Type"], content = how, json.dumps(body).encode()
        try:
            answer = await self._http.request(
                method, path, params=query, content=content, headers=headers
            )
        except self._httpx.TransportError as error:
            raise NoAnswerError(
                f"{method} {path} had no answer: {error!r}", hint="is the API server up?"
            ) from error
        if not 200 <= answer.status_code < 300:
            self._refuse(answer.status_code, answer.content)
        return _parsed(answer.content)

    def _refuse(self, status: int, raw: bytes, shown: Mapping[str, Any] | None = None) -> None:
        if shown is None:
            try:
                shown = _parsed(raw)
            except NoAnswerError:
                shown = {}
        reason, message = str(shown.get("reason", "")), str(shown.get("message", ""))[:1_000]
        if status == 410 or reason in {"Expired", "Gone"}:
            raise GoneError(message or "what changed is not known any more")
        raise RefusedError(status, reason, message)


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        value: Any = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise NoAnswerError("the API server's answer is no JSON object")
    return cast("dict[str, Any]", value)
