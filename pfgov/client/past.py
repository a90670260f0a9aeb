"""What a packet's lineage says of the jobs before this one."""

import contextlib
from typing import Any

from pfgov.client.core import UnreachableError, packet_path
from pfgov.client.job import ERROR
from pfgov.client.refusals import ApiError
from pfgov.client.speaks import Speaks


async def errors_of(client: Speaks, packet_id: str) -> int:
    """Return how many jobs of a packet raised; 0 where that cannot be read."""
    found, after = 0, None
    path = packet_path(packet_id, "lineage")
    with contextlib.suppress(ApiError, UnreachableError, TimeoutError):
        while True:
            answer = await client.get(path, after=after)
            for one in answer["items"]:
                body: dict[str, Any] = one.get("body") or {}
                reason = str(body.get("reason", ""))
                is_end = one["type"] in {"packet_requeued", "handoff_started"}
                found += is_end and reason.startswith(ERROR)
            if "next" not in answer:
                break
            after = answer["next"]
    return found
