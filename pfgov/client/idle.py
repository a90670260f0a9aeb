"""Why a member that owns nothing is given nothing: when to ask the server, and how to say what it answered.

It is said once for each answer that is another one.  This module asks nobody itself.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

EVERY_SECONDS: Final = 10.0
"""How often to ask: the server has to judge for it."""

REMEDY: Final = (
    "its trust, region and clearances are set by an operator or assessor, not by its registration"
)

CAPABILITIES: Final = "kernel/capabilities"
"""The rule that says that work is of another kind."""

log = logging.getLogger("pfgov.client")


@dataclass(slots=True)
class Idle:
    """What keeps a member from packets that wait, as last answered; ``reason`` is None where nothing does."""

    reason: str | None = None
    _asked: float = float("-inf")

    def is_to_ask(self, now: float, *, is_busy: bool) -> bool:
        """Whether to ask at *now* (seconds of a monotonic clock), which is then taken for asked."""
        if is_busy:
            self.reason = None
            return False
        if now - self._asked < EVERY_SECONDS:
            return False
        self._asked = now
        return True

    def note(self, member_id: str, answer: Mapping[str, Any]) -> None:
        """Take note of what the server answered, and log it if it is news."""
        before, self.reason = self.reason, _said(member_id, answer)
        if self.reason is not None and self.reason != before:
            # That others' kinds of work wait is nothing to look at; that its own does is.
            level = logging.INFO if CAPABILITIES in answer["rules"] else logging.WARNING
            log.log(level, "%s", self.reason, extra={"member": member_id})


def _said(member_id: str, answer: Mapping[str, Any]) -> str | None:
    kept = answer["kept_from"]
    if not kept:
        return None
    rules, misses = ", ".join(answer["rules"]), "; ".join(answer["nearest_misses"])
    packets = "the packet that waits" if kept == 1 else f"{kept} packets that wait"
    near = f": {misses}; {REMEDY}" if misses else ""
    return f"{member_id} is kept from {packets} by {rules}{near}"
