"""The ledgers beside the default one: which there are, and how each stands."""

import asyncio
import logging
from typing import Any, Final

from pfgov import model
from pfgov.app.tenancy import Place
from pfgov.app.tenancy.names import NAME_LENGTH_MAX
from pfgov.errors import NotFoundError
from pfgov.files import read_regular
from pfgov.model.times import to_moment
from pfgov_api.answers import limit_of, page
from pfgov_api.hosts import Domain
from pfgov_api.mounting import PREFIX
from pfgov_api.operations import Answer, Call, Operation, Parameter
from pfgov_api.routes.keeping import ADMINS
from pfgov_api.routes.parameters import LIMIT
from pfgov_api.service import Others

log = logging.getLogger("pfgov.api")

AFTER: Final = Parameter(
    "after",
    {"type": "string", "maxLength": NAME_LENGTH_MAX, "pattern": "^[a-z0-9-]+$"},
    "the `next` of the page before",
)


def _others(call: Call) -> Others:
    named = call.service.named
    if named is None:
        raise NotFoundError(
            "this server has one ledger",
            code="ledger.alone",
            hint="serve a folder of ledgers beside it: pfgov serve --ledgers DIR",
        )
    return named


async def _create(call: Call) -> Answer:
    named = _others(call)
    made, was_there = await named.make(call.body, call.grant)
    name: str = call.body.name
    anchor = named.keeper.folder / name / "anchor.txt"
    body: dict[str, Any] = {
        "name": name,
        "path": f"{PREFIX}{name}",
        "host": None if named.domain is None else named.domain.host_of(name),
        "origin": made.origin,
        "anchor": (await asyncio.to_thread(read_regular, anchor)).decode(),
        "key": None if call.body.key is None else call.body.key.id,
    }
    headers = {"Idempotent-Replayed": "true"} if was_there else {}
    if not was_there:
        log.warning("the ledger %s was made for %s", name, call.principal.id)
    return Answer(body, status=201, headers=headers)


async def _ledgers(call: Call) -> Answer:
    """List them from memory: nothing is opened for it, however many there are."""
    named = _others(call)
    after, limit = call.query.get("after", ""), limit_of(call)
    names = [name for name in sorted(named.keeper.places) if name > after]
    shown = [_shown(named.keeper.places[name], named.domain) for name in names[:limit]]
    return page(call, shown, names[limit - 1] if len(names) > limit else None)


def _shown(place: Place, domain: Domain | None) -> dict[str, Any]:
    note, failure = place.note, place.failure
    return {
        "name": place.name,
        "path": f"{PREFIX}{place.name}",
        "host": None if domain is None else domain.host_of(place.name),
        "state": place.stage.value,
        "origin": None if note is None else note.origin,
        "size": None if note is None else note.size,
        "root": None if note is None else note.root,
        "due": None if place.visit_at is None else to_moment(place.visit_at),
        "requests": place.users,
        "error": None if failure is None else {"code": failure.code, "detail": failure.message},
    }


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "list_ledgers", "GET", "/api/ledgers", ADMINS,
        "The ledgers that the server holds beside this one: whether each is open, where it ended when it last rested, "
        "and why it cannot be opened.",
        _ledgers, "LedgerList", parameters=(AFTER, LIMIT), tag="operations", raises=(404,),
    ),
    Operation(
        "create_ledger", "POST", "/api/ledgers", ADMINS,
        "Make a ledger and serve it. Its owner draws its first key and names it by `id` and SHA-256 (`digest`), so that it "
        "does not travel. The same request again, by the same principal, has the same answer.",
        _create, "LedgerMade", body=model.NewLedger, status=201, tag="operations", raises=(404, 409),
    ),
)  # fmt: skip
