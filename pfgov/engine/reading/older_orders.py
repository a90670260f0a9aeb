"""The one known fault of ledgers from before semantics 4: a decision saw a member's offers in one of two orders.

An engine that had been running held a member's capabilities and its capacity in the order in which they were given;
once it had loaded its tables again, in the order of their names.  Either way the order reached verdict tables, whose
digest is signed.  When an engine loaded is not on record, but it only ever moves forward: so for a decision that does
not come out in the order of names, a replay asks whether there is a moment of loading, no earlier than what was found
before, under which it does.  This module arranges members accordingly; it decides nothing.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pfgov.core import events as e
from pfgov.core.ordered import in_order
from pfgov.core.state import State

Part = Literal["capabilities", "capacity"]
"""The collections of a member that had no order of their own."""


@dataclass(slots=True)
class _Line:
    """The names in one collection of one member: as loaded, and what was done to them since."""

    base: tuple[str, ...] = ()
    changes: list[tuple[int, bool, tuple[str, ...]]] = field(
        default_factory=list[tuple[int, bool, tuple[str, ...]]]
    )
    """(position, whether names come or go, which)."""

    def order(self, loaded_at: int) -> list[str]:
        """Return the names in the order of an engine that loaded just before entry *loaded_at*."""
        names, is_loaded = dict.fromkeys(self.base), False
        for position, come, which in self.changes:
            if not is_loaded and position >= loaded_at:
                names, is_loaded = dict.fromkeys(sorted(names)), True
            for name in which:
                if come:
                    names.setdefault(name)
                else:
                    names.pop(name, None)
        return list(names) if is_loaded or not loaded_at else sorted(names)

    def load(self, loaded_at: int) -> None:
        """Take it that everything before entry *loaded_at* was loaded."""
        before = [change for change in self.changes if change[0] < loaded_at]
        self.base = tuple(sorted(_Line(self.base, before).order(0)))
        self.changes = self.changes[len(before) :]


class OlderOrders:
    """Every member whose offers an older engine may have held out of order."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, Part], _Line] = {}

    def note(self, state: State, event: e.Event, position: int) -> None:
        """Follow *event*, of the command recorded at *position*, which is about to be applied to *state*."""
        if isinstance(event, e.MemberRegistered):
            self._set(
                event.member_id, "capabilities", [x.name for x in event.capabilities], position
            )
            self._set(event.member_id, "capacity", [name for name, _ in event.capacity], position)
        elif isinstance(event, e.MemberUpdated) and event.capacity is not None:
            self._set(event.member_id, "capacity", [name for name, _ in event.capacity], position)
        elif isinstance(event, e.CapabilityDiscovered):
            self._change(state, event.member_id, event.capability.name, position, come=True)
        elif isinstance(event, e.CapabilityWithdrawn):
            self._change(state, event.member_id, event.name, position, come=False)

    def _set(self, member_id: str, part: Part, names: list[str], position: int) -> None:
        self._lines[member_id, part] = _Line((), [(position, True, tuple(names))])
        self._drop_if_in_order((member_id, part))

    def _change(
        self, state: State, member_id: str, name: str, position: int, *, come: bool
    ) -> None:
        key: tuple[str, Part] = (member_id, "capabilities")
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(tuple(sorted(state.members[member_id].capabilities)))
        line.changes.append((position, come, (name,)))
        self._drop_if_in_order(key)

    def _drop_if_in_order(self, key: tuple[str, Part]) -> None:
        """Forget a line that is in order without any loading: it then is under every moment of loading."""
        names = self._lines[key].order(0)
        if names == sorted(names):
            del self._lines[key]

    @property
    def is_any(self) -> bool:
        """Whether some member's offers may be out of order now."""
        return bool(self._lines)

    def moments(self) -> Iterator[int]:
        """Return before which entries an engine may have loaded: 0 for none since the last one known, then each."""
        if not self._lines:
            return
        yield 0
        yield from sorted({at + 1 for line in self._lines.values() for at, _, _ in line.changes})

    @contextmanager
    def arranged(self, state: State, loaded_at: int) -> Generator[None]:
        """Give *state* the orders of an engine that loaded before entry *loaded_at*, for as long as the block runs."""
        for (member_id, part), line in self._lines.items():
            _arrange(state, member_id, part, line.order(loaded_at))
        try:
            yield
        finally:
            for member_id, part in self._lines:
                _arrange(state, member_id, part, None)

    def found(self, loaded_at: int) -> None:
        """Take it that the engine had loaded before entry *loaded_at*, as a decision showed."""
        if not loaded_at:
            return
        for key, line in list(self._lines.items()):
            line.load(loaded_at)
            self._drop_if_in_order(key)


def _arrange(state: State, member_id: str, part: Part, names: list[str] | None) -> None:
    member = state.members[member_id]
    if part == "capabilities":
        offers = member.capabilities
        member.capabilities = in_order(offers) if names is None else {n: offers[n] for n in names}
    else:
        amounts = member.capacity
        member.capacity = in_order(amounts) if names is None else {n: amounts[n] for n in names}
    state.member_changed(member_id)
