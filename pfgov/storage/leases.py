"""The row of a lease, which is no entry and lasts from one run of an engine to the next."""

from typing import NamedTuple


class LeaseRow(NamedTuple):
    """A lease, as it was at ``kept_at``; times in microseconds.

    ``session`` names the process that lives by it, if one did.
    """

    member_id: str
    incarnation: int
    last_seen: int
    ttl: int
    stretch: int
    is_graced: int
    kept_at: int
    session: str = ""
