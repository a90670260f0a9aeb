"""The shapes of a server's answers, as far as the command line reads them."""

from typing import Any

import msgspec

from pfgov.app.views import EntryView


class Raw(msgspec.Struct):
    """The part of an entry's bytes that is read here."""

    type: str
    time: int
    body: msgspec.Raw


class CommandAnswer(msgspec.Struct):
    """The answer to a command."""

    as_a_result: list[EntryView]
    recorded: list[EntryView] = []
    result: dict[str, Any] = {}
    settled: bool = True


class Lost(msgspec.Struct):
    """A packet that a member has no longer, under the epoch that it named."""

    packet_id: str
    epoch: int


class HeldBack(msgspec.Struct):
    """A packet that a member owns and must not begin yet."""

    packet_id: str
    epoch: int
    seconds: int


class HeartbeatReply(msgspec.Struct):
    """The answer to a heartbeat."""

    lost: list[Lost]
    lease_until: int
    held_back: list[HeldBack] = []


class Changed(msgspec.Struct):
    """What a key ceremony came to."""

    role: str
    old: str | None
    new: str | None


class ErasedSome(msgspec.Struct):
    """What a request to erase came to."""

    state: str
    erased: list[str]
    already_erased: list[str]
    entries: list[int]
    left: int
