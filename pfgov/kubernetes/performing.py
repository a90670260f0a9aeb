"""Doing what was decided: one request for each action, its refusal read as what it means.

A conflict means that somebody was quicker: the next look sees what is there now.  A refusal of the ledger is kept, so
that it is told on the pod; an answer that did not come changes nothing, since every action can be done again.
"""

import hashlib
import logging
from typing import Any, Final

from pfgov.client import ApiError, AsyncClient
from pfgov.client.core import member_path
from pfgov.clock import Clock
from pfgov.kubernetes import names as n
from pfgov.kubernetes.actions import (  # fmt: skip
    Act,
    Action,
    Beat,
    Drop,
    Evict,
    Patch,
    Register,
    Show,
    Submit,
    Tell,
    Turn,
    Update,
)
from pfgov.kubernetes.api import (
    EVENTS,
    FLIGHT_PACKETS,
    MEMBERS,
    PODS,
    STRATEGIC,
    Kubernetes,
    RefusedError,
)
from pfgov.kubernetes.ledger_side import LedgerSide
from pfgov.kubernetes.times import stamp

KINDS: Final = {"flightpackets": (FLIGHT_PACKETS, "FlightPacket"), "members": (MEMBERS, "Member")}

PASSED: Final = frozenset({404, 409, 429})
"""Answers of the API server that mean: look again."""

STALE: Final = frozenset({409, 412})
"""Answers of the ledger that mean: look again."""

log = logging.getLogger("pfgov.kubernetes")


class Performer:
    """Does actions; what the ledger refused is in ``refused``: pod's uid or member's id -> why."""

    def __init__(
        self, api: Kubernetes, client: AsyncClient, ledger: LedgerSide, clock: Clock
    ) -> None:
        self.refused: dict[str, str] = {}
        self.announced: dict[str, tuple[str, str, str]] = {}
        self._api, self._client, self._ledger, self._clock = api, client, ledger, clock

    async def do(self, action: Action) -> None:
        """Do one action.

        Raises:
            ApiError: the ledger refuses it for a reason that looking again does not change.
            RefusedError: the API server does.
            UnreachableError, NoAnswerError: whether it was done is not known.
        """
        try:
            await self._do(action)
        except RefusedError as error:
            if error.status not in PASSED:
                raise
            log.info("%s: %s", type(action).__name__, error)
        except ApiError as error:
            if not self._keep(action, error):
                raise

    def _keep(self, action: Action, error: ApiError) -> bool:
        """Whether a refusal of the ledger needs nothing but to be looked at or told."""
        if error.status in STALE:
            log.info("%s: %s", type(action).__name__, error)
            self._touch(action)
            return True
        if error.status not in {400, 413, 422}:
            return False
        said = error.message if error.hint is None else f"{error.message} ({error.hint})"
        if isinstance(action, Submit):
            self.refused[action.pod_uid] = said
        elif isinstance(action, Register | Update):
            self.refused[action.member_id] = said
            log.warning("%s is not taken: %s", action.member_id, said)
        else:
            return False
        return True

    def _touch(self, action: Action) -> None:
        match action:
            case Submit():
                self._ledger.touch(packet=action.body["packet_id"])
            case Act():
                self._ledger.touch(packet=action.packet_id)
            case Register() | Update() | Turn() | Beat():
                self._ledger.touch(member=action.member_id)
            case _:
                pass

    async def _do(self, action: Action) -> None:
        match action:
            case Submit():
                await self._client.submit(action.body, key=_key(action.body))
            case Act():
                await self._client.act(action.packet_id, action.verb, action.body)
            case Register():
                await self._client.register(action.body)
            case Update():
                await self._client.write("PATCH", member_path(action.member_id), action.body)
            case Turn():
                await self._client.write("POST", member_path(action.member_id, action.verb), action.body)  # fmt: skip
            case Beat():
                await self._client.heartbeat(action.member_id, action.incarnation)
            case Patch():
                await self._patch(action)
            case Evict():
                await self._evict(action)
            case Tell():
                await self._tell(action)
            case Show():
                await self._show(action)
            case Drop():
                kind, _ = KINDS[action.kind]
                await self._api.delete(kind, action.namespace or None, action.name, action.uid)
        self._touch(action)

    async def _patch(self, action: Patch) -> None:
        metadata = {**action.patch.get("metadata", {}), "resourceVersion": action.version}
        body = {**action.patch, "metadata": metadata}
        await self._api.patch(PODS, action.namespace, action.pod, body)

    async def _evict(self, action: Evict) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": action.pod, "namespace": action.namespace},
            "deleteOptions": {"preconditions": {"uid": action.uid}},
        }
        await self._api.create(PODS, action.namespace, body, of=action.pod, sub="eviction")

    async def _tell(self, action: Tell) -> None:
        said = (action.status, action.reason, action.message)
        if self.announced.get(action.uid) == said:
            return  # the watch has not shown it yet
        now = stamp(self._clock)
        await self._event(action, now)
        condition = {
            "type": n.CONDITION,
            "status": action.status,
            "reason": action.reason,
            "message": action.message,
            "lastTransitionTime": now,
        }
        body = {"metadata": {"uid": action.uid}, "status": {"conditions": [condition]}}
        await self._api.patch(PODS, action.namespace, action.pod, body, sub="status", how=STRATEGIC)
        self.announced[action.uid] = said

    async def _event(self, action: Tell, now: str) -> None:
        """Make the event; under a name that says what it says, so that it is there once however often it is told."""
        digest = hashlib.sha256(
            f"{action.uid}\n{action.reason}\n{action.message}".encode()
        ).hexdigest()
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{action.pod[:200]}.{digest[:16]}",
                "namespace": action.namespace,
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": action.namespace,
                "name": action.pod,
                "uid": action.uid,
            },
            "type": "Normal" if action.status == "True" else "Warning",
            "reason": action.reason,
            "message": action.message,
            "source": {"component": "pfgov"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._api.create(EVENTS, action.namespace, body)
        except RefusedError as error:
            if error.status != 409:
                raise

    async def _show(self, action: Show) -> None:
        kind, name = KINDS[action.kind]
        namespace = action.namespace or None
        if action.version is None:
            head: dict[str, Any] = {"name": action.name}
            if namespace:
                head["namespace"] = namespace
            body = {
                "apiVersion": f"{kind.group}/{kind.version}",
                "kind": name,
                "metadata": head,
                "spec": action.spec,
            }
            await self._api.create(kind, namespace, body)
        await self._api.patch(kind, namespace, action.name, {"status": action.status}, sub="status")


def _key(body: Any) -> str:
    """Return the key under which a packet is submitted once: the same question is the same command."""
    import json

    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"kubernetes-{digest[:32]}"
