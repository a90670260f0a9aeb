"""How far witnesses vouch for a server's ledger, as the server says it: the shape of its answer."""

import msgspec

from pfgov.app.ledger import WitnessedAge


class _One(msgspec.Struct):
    name: str
    alarm: bool


class _All(msgspec.Struct):
    size: int
    age_seconds: int | None
    each: list[_One]


class Vouched(msgspec.Struct):
    """The answer of ``/api/ledger/witnesses``."""

    witnesses: _All | None

    def age(self) -> WitnessedAge | None:
        """As a command shows it."""
        found = self.witnesses
        if found is None:
            return None
        alarms = tuple(one.name for one in found.each if one.alarm)
        return WitnessedAge(found.size, found.age_seconds, alarms)
