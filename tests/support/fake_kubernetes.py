"""An API server of Kubernetes in this process, as an HTTP transport: what a controller can meet, faithfully.

Versions of objects, watches with bookmarks and 410 Gone, lists in pages, conflicts, preconditions, finalizers, patches
of both kinds, the validation of gated pods, evictions and their budgets, RBAC and admission from the shipped manifests.
A scheduler, kubelets and a ReplicaSet's controller are methods, so that a test says when each acts.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import httpx2

from support.fake_admission import Admission, Manifests, Request, may

CONTROLLER = "system:serviceaccount:pfgov-system:pfgov-controller"
SCHEDULER = "system:kube-scheduler"
GATE = "pfgov.dev/verdict"
NAMESPACED = {"pods", "events", "leases", "flightpackets"}
GROUPS = {
    "pods": ("", "Pod"),
    "nodes": ("", "Node"),
    "namespaces": ("", "Namespace"),
    "events": ("", "Event"),
    "leases": ("coordination.k8s.io", "Lease"),
    "flightpackets": ("pfgov.dev", "FlightPacket"),
    "members": ("pfgov.dev", "Member"),
}
Key = tuple[str, str, str]


class StatusError(Exception):
    """An answer that is a refusal."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    @property
    def body(self) -> dict[str, Any]:
        """The body, a Status."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
        }


class _Watch(httpx2.AsyncByteStream):
    """The stream of one watch."""

    def __init__(self, plural: str) -> None:
        self.plural = plural
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            piece = await self.queue.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            half = len(piece) // 2  # a line comes in two pieces, as lines do
            yield piece[:half]
            yield piece[half:]

    def send(self, kind: str, shown: Any) -> None:
        """Send an event."""
        self.queue.put_nowait(json.dumps({"type": kind, "object": shown}).encode() + b"\n")


class FakeCluster(httpx2.AsyncBaseTransport):
    """A cluster with its API server.  ``user_of`` maps bearer tokens to users; without one it is the controller."""

    def __init__(self, manifests: str = "") -> None:
        self.manifests = Manifests.of(manifests)
        self.admission = Admission(self.manifests)
        self.rules = self.manifests.rules()
        self.is_guarded = bool(self.rules)
        self.objects: dict[Key, dict[str, Any]] = {}
        self.history: list[tuple[int, str, str, Any]] = []
        self.version = 100
        self.floor = 0
        self.count = 0
        self.is_down = False
        self.is_budget_spent = False
        self.watches: list[_Watch] = []
        self.requests: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        for name in ("kube-system", "default", "pfgov-system"):
            self.add("namespaces", {"metadata": {"name": name}})

    # --- what a test does -----------------------------------------------------------------

    def add(self, plural: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object, past RBAC and admission."""
        return self._create(plural, body.get("metadata", {}).get("namespace", ""), body)

    def get(self, plural: str, name: str, namespace: str = "") -> dict[str, Any]:
        """Return an object."""
        return self.objects[plural, namespace, name]

    def all(self, plural: str) -> list[dict[str, Any]]:
        """Return all objects of a kind."""
        return [one for (kind, _, _), one in sorted(self.objects.items()) if kind == plural]

    def change(
        self, plural: str, name: str, namespace: str, how: Callable[[dict[str, Any]], None]
    ) -> None:
        """Change an object, past all checks."""
        found = copy.deepcopy(self.objects[plural, namespace, name])
        how(found)
        self._store(plural, found)

    def remove(self, plural: str, name: str, namespace: str = "") -> None:
        """Delete an object at once, whatever holds it."""
        found = self.objects.pop((plural, namespace, name))
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self._record("DELETED", plural, found)

    def namespace(self, name: str, *, governed: bool = True, **annotations: str) -> None:
        """Create a namespace."""
        labels = {"pfgov.dev/governed": "true"} if governed else {}
        named = {f"pfgov.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.add("namespaces", {"metadata": {"name": name, "labels": labels, "annotations": named}})

    def node(self, name: str, *, member: bool = True, zone: str = "eu-1", cpu: str = "4") -> None:
        """Create a node that is ready."""
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
        if member:
            labels["pfgov.dev.node-restriction.kubernetes.io/member"] = "true"
        ready = [{"type": "Ready", "status": "True"}]
        offered = {"cpu": cpu, "memory": "8Gi", "pods": "10"}
        self.add(
            "nodes",
            {
                "metadata": {"name": name, "labels": labels},
                "status": {"conditions": ready, "allocatable": offered},
            },
        )

    def ready(self, node: str, *, status: str = "True") -> None:
        """Say whether a node is ready."""

        def change(found: dict[str, Any]) -> None:
            found["status"]["conditions"] = [{"type": "Ready", "status": status}]

        self.change("nodes", node, "", change)

    def cordon(self, node: str, *, is_cordoned: bool = True) -> None:
        """Cordon a node, or end that."""
        self.change("nodes", node, "", lambda one: one["spec"].update(unschedulable=is_cordoned))

    def pod_body(self, name: str, namespace: str = "team", **more: Any) -> dict[str, Any]:
        """Return a pod as somebody makes it, gated."""
        spec = {
            "containers": [
                {"name": "c", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}
            ],
            "schedulingGates": [{"name": GATE}],
            **more.pop("spec", {}),
        }
        return {"metadata": {"name": name, "namespace": namespace, **more}, "spec": spec}

    def pod(self, name: str, namespace: str = "team", **more: Any) -> dict[str, Any]:
        """Create a gated pod."""
        return self.add("pods", self.pod_body(name, namespace, **more))

    def replicate(self, name: str, namespace: str = "team", **more: Any) -> None:
        """Act as the controller of a ReplicaSet of one: make the pod that is missing."""
        owner = {"kind": "ReplicaSet", "name": name, "uid": f"rs-{name}", "controller": True}
        made = [
            one
            for one in self.all("pods")
            if owner in one["metadata"].get("ownerReferences", [])
            and "deletionTimestamp" not in one["metadata"]
        ]
        if not made:
            self.count += 1
            self.pod(f"{name}-{self.count}", namespace, ownerReferences=[owner], **more)

    def schedule(self) -> list[str]:
        """Act as the scheduler: bind each pod without gates to the node that its selector names; return their names."""
        bound = []
        for pod in self.all("pods"):
            spec = pod["spec"]
            if spec.get("schedulingGates") or spec.get("nodeName"):
                continue
            wanted = spec.get("nodeSelector", {})
            for node in self.all("nodes"):
                if wanted.items() <= node["metadata"]["labels"].items() and not node["spec"].get(
                    "unschedulable"
                ):
                    self._bind(pod, node["metadata"]["name"])
                    bound.append(pod["metadata"]["name"])
                    break
        return bound

    def _bind(self, pod: dict[str, Any], node: str) -> None:
        if pod["spec"].get("schedulingGates"):
            raise StatusError(409, "Conflict", "pod has non-empty .spec.schedulingGates")
        found = copy.deepcopy(pod)
        found["spec"]["nodeName"] = node
        found["status"]["phase"] = "Running"
        self._store("pods", found)

    def finish(self, name: str, namespace: str = "team", phase: str = "Succeeded") -> None:
        """Act as the kubelet: a pod has ended."""
        self.change("pods", name, namespace, lambda one: one["status"].update(phase=phase))

    def reap(self) -> None:
        """Act as the kubelets: pods that are to end are gone."""
        for pod in self.all("pods"):
            meta = pod["metadata"]
            if "deletionTimestamp" in meta and not meta.get("finalizers"):
                self.remove("pods", meta["name"], meta["namespace"])

    def bookmark(self) -> None:
        """Send a bookmark to every watch."""
        for one in self.watches:
            one.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def compact(self) -> None:
        """Forget the history: older versions are gone."""
        self.floor, self.history = self.version, []

    def cut(self, error: Exception | None = None) -> None:
        """End every watch, in order or with *error*."""
        watches, self.watches = self.watches, []
        for one in watches:
            one.queue.put_nowait(error)

    def restart(self) -> None:
        """Be gone and back: watches break, and what happened before is compacted."""
        self.cut(httpx2.ReadError("connection reset"))
        self.compact()

    # --- the server -----------------------------------------------------------------------

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        what = f"{request.method} {request.url.raw_path.decode()}"
        self.requests.append(what)
        await asyncio.sleep(0)
        if self.is_down:
            raise httpx2.ConnectError("connection refused")
        self.before(what)
        try:
            answer = self._answer(request)
        except StatusError as error:
            answer = httpx2.Response(error.code, json=error.body)
        self.after(what)
        return answer

    def ask(self, user: str, method: str, path: str, body: Any = None, how: str = "") -> Any:
        """Ask as *user*; return the answer's body.

        Raises:
            StatusError: it is refused.
        """
        headers = {"Authorization": f"Bearer {user}", "Content-Type": how or "application/json"}
        request = httpx2.Request(
            method, f"http://cluster{path}", headers=headers, content=json.dumps(body).encode()
        )
        return json.loads(self._answer(request).content)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        authorization = request.headers.get("authorization")
        user = CONTROLLER if authorization is None else authorization.removeprefix("Bearer ")
        asked, query = self._parse(request, user)
        self._authorize(asked)
        body = json.loads(request.content) if request.method in {"POST", "PUT", "PATCH"} else None
        match asked.verb:
            case "list":
                return httpx2.Response(200, json=self._list(asked.resource, query))
            case "watch":
                return httpx2.Response(200, stream=self._watch(asked.resource, query))
            case "get":
                return httpx2.Response(200, json=self._found(asked))
            case "create":
                return httpx2.Response(201, json=self._post(asked, body))
            case "update":
                return httpx2.Response(200, json=self._put(asked, body))
            case "patch":
                how = request.headers["content-type"]
                return httpx2.Response(200, json=self._patch(asked, body, how))
            case _:
                wanted = json.loads(request.content or b"{}").get("preconditions", {})
                return httpx2.Response(200, json=self._delete(asked, wanted))

    def _parse(self, request: httpx2.Request, user: str) -> tuple[Request, dict[str, str]]:
        parts = [unquote(one) for one in request.url.path.strip("/").split("/")]
        query = dict(request.url.params)
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, None, None)[:3]
        if plural not in {*GROUPS, "bindings"}:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        group = "" if plural == "bindings" else GROUPS[plural][0]
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
            request.method
        )
        if verb is None:
            verb = "get" if name else "watch" if query.get("watch") == "true" else "list"
        return Request(user, verb, group, plural, sub, namespace, name), query

    def _authorize(self, asked: Request) -> None:
        if self.is_guarded and asked.user == CONTROLLER and not may(self.rules, asked):
            raise StatusError(403, "Forbidden", f"{asked.user} cannot {asked.verb} {asked.full}")

    def _admit(self, asked: Request, new: Any, old: Any) -> None:
        asked.new, asked.old = new, old
        found = self.objects.get(("namespaces", "", asked.namespace or ""), {})
        labels = found.get("metadata", {}).get("labels", {})
        refused = self.admission.refusal(asked, labels)
        if refused is not None:
            raise StatusError(422, "Invalid", f"denied request: {refused}")

    # --- reading --------------------------------------------------------------------------

    def _list(self, plural: str, query: dict[str, str]) -> dict[str, Any]:
        items = self.all(plural)
        start = 0
        if "continue" in query:
            version, _, position = query["continue"].partition(":")
            if int(version) < self.floor:
                raise StatusError(410, "Expired", "The provided continue parameter is too old")
            start = int(position)
        limit = min(int(query.get("limit", 500)), 2)  # small, so that every list comes in pages
        page = items[start : start + limit]
        meta = {"resourceVersion": str(self.version)}
        if start + limit < len(items):
            meta["continue"] = f"{self.version}:{start + limit}"
        return {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": page}

    def _watch(self, plural: str, query: dict[str, str]) -> _Watch:
        version = int(query["resourceVersion"])
        stream = _Watch(plural)
        if version < self.floor:
            stream.send(
                "ERROR", StatusError(410, "Expired", f"too old resource version: {version}").body
            )
            stream.queue.put_nowait(None)
            return stream
        for at, kind, what, shown in self.history:
            if what == plural and at > version:
                stream.send(kind, shown)
        self.watches.append(stream)
        return stream

    def _found(self, asked: Request) -> dict[str, Any]:
        key = (asked.resource, asked.namespace or "", asked.name or "")
        if key not in self.objects:
            raise StatusError(404, "NotFound", f"{asked.resource} {asked.name!r} not found")
        return self.objects[key]

    # --- writing --------------------------------------------------------------------------

    def _post(self, asked: Request, body: Any) -> dict[str, Any]:
        if asked.resource == "bindings" or asked.sub == "binding":
            name = asked.name or body["metadata"]["name"]
            self._admit(asked, body, None)
            self._bind(
                self._found(Request("", "get", "", "pods", None, asked.namespace, name)),
                body["target"]["name"],
            )
            return {"kind": "Status", "status": "Success"}
        if asked.sub == "eviction":
            return self._evict(asked, body)
        body = copy.deepcopy(body)
        if asked.resource == "pods" and self.admission.gives_gate:
            self._give_gate(asked, body)
        self._admit(asked, body, None)
        return self._create(asked.resource, asked.namespace or "", body)

    def _give_gate(self, asked: Request, body: Any) -> None:
        labels = self.objects["namespaces", "", asked.namespace or ""]["metadata"].get("labels", {})
        gates = body["spec"].setdefault("schedulingGates", [])
        if labels.get("pfgov.dev/governed") == "true" and {"name": GATE} not in gates:
            gates.append({"name": GATE})

    def _evict(self, asked: Request, body: Any) -> dict[str, Any]:
        pod = self._found(Request("", "get", "", "pods", None, asked.namespace, asked.name))
        wanted = body.get("deleteOptions", {}).get("preconditions", {})
        if self.is_budget_spent:
            raise StatusError(
                429, "TooManyRequests", "it would violate the pod's disruption budget"
            )
        self._end("pods", pod, wanted)
        return {"kind": "Status", "status": "Success"}

    def _create(self, plural: str, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        body = copy.deepcopy(body)
        meta = body.setdefault("metadata", {})
        name = meta.get("name")
        if not name:
            raise StatusError(422, "Invalid", "metadata.name: Required value")
        if plural in NAMESPACED and ("namespaces", "", namespace) not in self.objects:
            raise StatusError(404, "NotFound", f'namespaces "{namespace}" not found')
        if (plural, namespace, name) in self.objects:
            raise StatusError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        if plural in {"flightpackets", "members"}:
            self._check_mirror(body, None)
            body.pop("status", None)  # it is a subresource
        if (
            plural == "pods"
            and body["spec"].get("schedulingGates")
            and body["spec"].get("nodeName")
        ):
            raise StatusError(
                422,
                "Invalid",
                "spec.nodeName: cannot be set until all schedulingGates have been cleared",
            )
        self.count += 1
        meta["uid"] = f"uid-{self.count}"
        meta["creationTimestamp"] = (
            f"2026-01-01T00:{self.count // 60 % 60:02}:{self.count % 60:02}Z"
        )
        if namespace:
            meta["namespace"] = namespace
        body.setdefault("spec", {})
        if plural == "pods":
            body.setdefault("status", {"phase": "Pending"})
        return self._store(plural, body, kind="ADDED")

    def _store(self, plural: str, body: dict[str, Any], kind: str = "MODIFIED") -> dict[str, Any]:
        meta = body["metadata"]
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        self.objects[plural, meta.get("namespace", ""), meta["name"]] = body
        self._record(kind, plural, body)
        return body

    def _record(self, kind: str, plural: str, body: dict[str, Any]) -> None:
        shown = copy.deepcopy(body)
        self.history.append((self.version, kind, plural, shown))
        for one in self.watches:
            if one.plural == plural:
                one.send(kind, shown)

    def _put(self, asked: Request, body: Any) -> dict[str, Any]:
        return self._update(asked, self._found(asked), copy.deepcopy(body))

    def _patch(self, asked: Request, patch: Any, how: str) -> dict[str, Any]:
        old = self._found(asked)
        wanted = patch.get("metadata", {})
        if "uid" in wanted and wanted["uid"] != old["metadata"]["uid"]:
            raise StatusError(409, "Conflict", "Precondition failed: UID in precondition")
        return self._update(asked, old, _merged(old, patch, "strategic" in how))

    def _update(self, asked: Request, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        if new["metadata"].get("resourceVersion") not in {None, old["metadata"]["resourceVersion"]}:
            raise StatusError(
                409,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version",
            )
        if asked.sub == "status":  # nothing but the status, and labels and annotations
            new = {
                **old,
                "status": new.get("status", {}),
                "metadata": {
                    **old["metadata"],
                    **{
                        k: new["metadata"][k]
                        for k in ("labels", "annotations")
                        if k in new["metadata"]
                    },
                },
            }
        elif asked.resource in {"flightpackets", "members"} and "status" in old:
            new["status"] = old["status"]
        if asked.resource == "pods" and asked.sub is None:
            _check_pod(old, new)
        if asked.resource == "leases" and new["spec"].get("holderIdentity") == "":
            raise StatusError(422, "Invalid", "spec.holderIdentity: must not be empty")
        if asked.resource in {"flightpackets", "members"}:
            self._check_mirror(new, old)
        self._admit(asked, new, old)
        if new == old:
            return old
        return self._store(asked.resource, new)

    def _check_mirror(self, new: Any, old: Any) -> None:
        named = [new.get("spec", {}).get(one) for one in ("packet", "member")]
        if new["metadata"]["name"] not in named:
            raise StatusError(422, "Invalid", "a mirror has the name of what it shows")
        if old is not None and new["spec"] != old["spec"]:
            raise StatusError(422, "Invalid", "spec: Invalid value: it is a mirror")

    def _delete(self, asked: Request, wanted: dict[str, str]) -> dict[str, Any]:
        found = self._found(asked)
        self._end(asked.resource, found, wanted)
        return {"kind": "Status", "status": "Success"}

    def _end(self, plural: str, found: dict[str, Any], wanted: dict[str, str]) -> None:
        meta = found["metadata"]
        if wanted.get("uid", meta["uid"]) != meta["uid"]:
            raise StatusError(409, "Conflict", "Precondition failed: UID in precondition")
        runs = (
            plural == "pods"
            and found["spec"].get("nodeName")
            and found["status"]["phase"] == "Running"
        )
        if not runs and not meta.get("finalizers"):
            self.remove(plural, meta["name"], meta.get("namespace", ""))
        elif "deletionTimestamp" not in meta:
            self.change(
                plural,
                meta["name"],
                meta.get("namespace", ""),
                lambda one: one["metadata"].update(deletionTimestamp="2026-01-02T00:00:00Z"),
            )


def _merged(old: Any, patch: Any, is_strategic: bool) -> Any:
    """A merge patch (RFC 7396); the strategic one merges conditions by their type."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        elif is_strategic and name in {"containers", "ephemeralContainers"}:
            before = {one["name"]: one for one in new.get(name, [])}
            patched = {one["name"]: _merged(before.get(one["name"]), one, True) for one in value}
            new[name] = list({**before, **patched}.values())
        elif is_strategic and name == "conditions":
            kept = [
                one for one in new.get(name, []) if one["type"] not in {c["type"] for c in value}
            ]
            new[name] = kept + copy.deepcopy(value)
        else:
            new[name] = _merged(new.get(name), value, is_strategic)
    return new


def _check_pod(old: Any, new: Any) -> None:
    """What may change of a pod: gates only go; a selector only grows, and only behind a gate; images."""
    before, after = copy.deepcopy(old["spec"]), copy.deepcopy(new["spec"])
    gates = [
        {one["name"] for one in spec.pop("schedulingGates", None) or []} for spec in (before, after)
    ]
    if not gates[1] <= gates[0]:
        raise StatusError(
            422,
            "Invalid",
            "spec.schedulingGates: only deletion is allowed, but found new scheduling gate",
        )
    selectors = [spec.pop("nodeSelector", {}) for spec in (before, after)]
    if not selectors[0].items() <= selectors[1].items() or (
        selectors[0] != selectors[1] and not gates[0]
    ):
        raise StatusError(422, "Invalid", "spec.nodeSelector: Invalid value: field is immutable")
    for spec in (before, after):
        for one in spec["containers"]:
            one.pop("image", None)
        spec.pop("affinity", None)
    if before != after:
        raise StatusError(
            422, "Forbidden", "pod updates may not change fields other than images, gates ..."
        )
