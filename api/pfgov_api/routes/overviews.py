"""What a console begins with: who asks and what they may do, the fleet at one moment, and what a text may mean."""

from collections.abc import Callable
from functools import partial

from pfgov.app.fleet import fleet_view
from pfgov.app.search import search
from pfgov_api.operations import HOLDERS, READERS, Answer, Call, Operation, Parameter


async def _fleet(call: Call) -> Answer:
    return Answer(await call.service.asked(call.grant.share, partial(call.ledger.look, fleet_view)))


async def _search(call: Call) -> Answer:
    return Answer(await call.reading(search, call.ledger, call.query.get("q", "")))


_TEXT = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}


def operations(every: Callable[[], tuple[Operation, ...]]) -> tuple[Operation, ...]:
    """Return them; one says which of *every* operation the caller may use."""

    async def session(call: Call) -> Answer:
        rights = call.principal.rights
        return Answer(
            {
                "principal": call.principal.id,
                "name": call.principal.name,
                "rights": sorted(rights),
                "is_open": call.service.access.is_open,
                "operations": [one.name for one in every() if one.allows(rights)],
            }
        )

    return (
        Operation("show_session", "GET", "/api/session", HOLDERS,
                  "Who asks, with which rights, and the operations that these rights allow.", session, "Session",
                  tag="operations"),
        Operation("show_fleet", "GET", "/api/fleet", READERS,
                  "The fleet at one moment: every member's load, packet by packet while they are few, and what the"
                  " waiting packets wait for.", _fleet, "Fleet", tag="members"),
        Operation("search", "GET", "/api/search", READERS,
                  "Members and packets whose id is, or begins with, a text; entries by position, and the newest by leaf hash.",
                  _search, "Found", parameters=(Parameter("q", _TEXT, "the text; nothing is found without one"),), tag="discovery"),
    )  # fmt: skip
