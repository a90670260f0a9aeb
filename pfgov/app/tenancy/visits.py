"""When which ledger is looked at though nobody asks for it: what is due first, then what nothing is known of."""

import heapq
from collections import OrderedDict
from collections.abc import Mapping

from pfgov.app.tenancy.places import Place


class Visits:
    """The visits that are to be made to ledgers that rest."""

    def __init__(self) -> None:
        self._due: list[tuple[int, str]] = []
        self._unseen: OrderedDict[str, None] = (
            OrderedDict()
        )  # a dict looks for its first item from the very beginning

    def at(self, place: Place, moment: int | None) -> None:
        """Visit *place* at *moment* and at no other, or never."""
        place.visit_at = moment
        if moment is not None:
            heapq.heappush(self._due, (moment, place.name))

    def soon(self, place: Place) -> None:
        """Visit *place* when there is time, for nothing is known of it."""
        place.note = None
        self._unseen[place.name] = None

    def next(self, places: Mapping[str, Place], now: int) -> Place | None:
        """Return the ledger that is to be visited at *now*; it is not named again."""
        while self._due and self._due[0][0] <= now:
            moment, name = heapq.heappop(self._due)
            place = places.get(name)
            if place is not None and place.visit_at == moment and place.host is None:
                return place
        while self._unseen:
            place = places.get(self._unseen.popitem(last=False)[0])
            if place is not None and place.host is None and place.note is None:
                return place
        return None
