"""What a command came to, as every entry point shows it.  This module knows no ledger and no command."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from pfgov.app.views import EntryView


class Done(Struct, frozen=True):
    """What a command came to: its own entries, those that followed from it, and the packet that it made or was about.

    ``is_settled`` is false where more follows than could be waited for.
    """

    recorded: list["EntryView"]
    followed: list["EntryView"]
    packet_id: str = ""
    is_settled: bool = True

    @property
    def types(self) -> set[str]:
        """The events among the command's own entries."""
        return {entry.type for entry in self.recorded}

    def result(self, **more: Any) -> dict[str, Any]:
        """Return the JSON object: *more*, then what was recorded."""
        return {**more, "recorded": self.recorded, "as_a_result": self.followed}
