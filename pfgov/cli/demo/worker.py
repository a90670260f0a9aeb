"""A worker process of ``pfgov demo --churn``: it knows nothing but the server's address and its own name.

It registers, heartbeats, works on whatever it owns, saves progress and completes; when it is told that it lost a
packet it stops working on it.  Killed at any moment, it leaves everything to the server.  Only the standard library is
used, as a member in any language could be written.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any, Final

HEARTBEAT_SECONDS: Final = 0.3
LEASE_SECONDS: Final = 2
STEPS: Final = 3
TIMEOUT_SECONDS: Final = 5.0


class Worker:
    """One member."""

    def __init__(self, url: str, member_id: str) -> None:
        self._url = url
        self._id = member_id
        self._incarnation = 0
        self._steps: dict[tuple[str, int], int] = {}

    def run(self) -> None:
        """Work until killed."""
        self._join()
        while True:
            owned = [(one["packet_id"], one["epoch"]) for one in self._owned()]
            for one in owned:
                self._steps.setdefault(one, 0)
            held_back = self._beat()
            for packet_id, epoch in owned:
                if (packet_id, epoch) in self._steps and (packet_id, epoch) not in held_back:
                    self._work(packet_id, epoch)
            time.sleep(HEARTBEAT_SECONDS)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send one request; a refusal is an answer too."""
        request = urllib.request.Request(  # noqa: S310 - the address of our own server, on this machine
            f"{self._url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def _join(self) -> None:
        body = {
            "id": self._id,
            "type": "worker",
            "capabilities": ["work"],
            "trust_score": 0.9,
            "lease_seconds": LEASE_SECONDS,
            "capacity": {"tasks": 8},
        }
        status, _ = self._send("POST", "/api/members/register", body)
        if status == 409:  # an earlier life of this name was killed: come back as the next one
            self._send("POST", f"/api/members/{self._id}/recover")
        self._incarnation = self._send("GET", f"/api/members/{self._id}")[1]["incarnation"]

    def _beat(self) -> set[tuple[str, int]]:
        """Renew the lease; forget what is lost, and return what must not be begun yet."""
        held = [{"packet_id": packet_id, "epoch": epoch} for packet_id, epoch in self._steps]
        body = {"incarnation": self._incarnation, "owns": held}
        status, answer = self._send("POST", f"/api/members/{self._id}/heartbeat", body)
        if status == 409:
            self._steps.clear()
            self._join()
        for lost in answer.get("lost", ()):
            self._steps.pop((lost["packet_id"], lost["epoch"]), None)
        return {(one["packet_id"], one["epoch"]) for one in answer.get("held_back", ())}

    def _owned(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._send("GET", f"/api/packets?owner={self._id}&limit=100")[
            1
        ].get("items", [])
        return found

    def _work(self, packet_id: str, epoch: int) -> None:
        """Do one more step of a packet, or finish it."""
        done = self._steps.get((packet_id, epoch), 0) + 1
        self._steps[packet_id, epoch] = done
        claim = {"member_id": self._id, "incarnation": self._incarnation, "epoch": epoch}
        if done < STEPS:
            context = {"step": f"step-{done}", "by": self._id}
            status, _ = self._send(
                "POST",
                f"/api/packets/{packet_id}/checkpoint",
                {**claim, "context_checkpoint": context},
            )
        else:
            status, _ = self._send("POST", f"/api/packets/{packet_id}/complete", claim)
        if status >= 400 or done >= STEPS:
            self._steps.pop((packet_id, epoch), None)


if __name__ == "__main__":
    Worker(sys.argv[1], sys.argv[2]).run()
