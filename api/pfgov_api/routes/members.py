"""Members: who may work, and how each of them stands."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from pfgov import model
from pfgov.app.ledger import MembersWanted
from pfgov.app.local import LocalLedger
from pfgov.app.views.verdicts import shown_to_a_member
from pfgov.core import commands as c
from pfgov.core.lifecycle import MemberStatus
from pfgov.errors import InvalidError
from pfgov.model.times import to_moment
from pfgov.policy.facts import MEMBER_TYPES
from pfgov_api.answers import followed, limit_of, page, writes
from pfgov_api.operations import HOLDERS, MEMBER, READERS, Answer, Call, Operation, Parameter
from pfgov_api.routes.parameters import AFTER, FOLLOW, LIMIT, TEXT, WRITE, Nothing, command, several

_ID = {"type": "string", "maxLength": 128, "pattern": "^[ -~]*$"}


async def _list(call: Call) -> Answer:
    limit, label = limit_of(call), call.query.get("label")
    name, equals, value = (label or "").partition("=")
    if label is not None and not (name and equals):
        raise InvalidError(
            f"label is {label[:64]!r}: not a name and a value",
            hint="write name=value",
            pointer="/query/label",
        )
    wanted = MembersWanted(
        statuses=call.several("status"),
        capability=call.query.get("capability"),
        region=call.query.get("region"),
        label=None if label is None else (name, value),
        after=call.query.get("after", ""),
        limit=limit + 1,
        owns=call.flag("owns"),
        kind=call.query.get("type"),
        words=call.query.get("q", ""),
    )
    found = await call.reading(call.ledger.members, wanted)
    return page(call, found[:limit], found[limit - 1].id if len(found) > limit else None)


async def _show(call: Call) -> Answer:
    return Answer(await call.read(lambda ledger: ledger.member(call.path["member_id"])))


async def _heartbeat(call: Call) -> Answer:
    ledger, follows = call.ledger, call.flag("follow")
    before = await call.read(LocalLedger.size)
    result = await call.service.hear(partial(ledger.hear, call.path["member_id"], call.body))
    shown: dict[str, Any] = {
        "lost": _pairs(result.lost),
        "unnamed": _pairs(result.unnamed),
        "held_back": [
            {"packet_id": packet_id, "epoch": epoch, "seconds": seconds}
            for packet_id, epoch, seconds in result.held_back
        ],
        "lease_until": result.lease_until,
        "lease_ends_at": to_moment(result.lease_until),
        "lease_seconds": result.lease_seconds,
        "status": result.status.value,
        "was_suspect": result.was_suspect,
        "position": before - 1,
    }
    if result.idle is not None:
        member_id = call.path["member_id"]
        shown["idle"] = shown_to_a_member(member_id, result.idle.verdicts)
    return Answer({**shown, **(await followed(call, before) if follows else {})})


def _pairs(found: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
    return [{"packet_id": packet_id, "epoch": epoch} for packet_id, epoch in found]


async def _capabilities(call: Call) -> Answer:
    text = call.query.get("q", "").lower()
    return Answer({"items": await call.reading(call.ledger.capabilities, text)})


_ACTS = frozenset({"operator", MEMBER})
_ONE = "/api/members/{member_id}"


_post = partial(command, "members")


OPERATIONS: tuple[Operation, ...] = (
    _post(
        "register_member", "/api/members/register", "Join, or come back after failing or retiring.",
        model.MemberRegistration, _ACTS, writes(status=201, proof=True), status=201, raises=(409,),
    ),
    Operation(
        name="list_members",
        method="GET",
        path="/api/members",
        access=READERS,
        about="Members, in id order.",
        handler=_list,
        answer="MemberPage",
        parameters=(
            Parameter("status", several(MemberStatus), "only with one of these statuses, separated by commas"),
            Parameter("type", {"type": "string", "enum": sorted(MEMBER_TYPES)}, "only of this type"),
            Parameter("q", {"type": "string", "maxLength": 128, "pattern": TEXT}, "only with this text in the id, a capability, the region or a label"),
            Parameter("capability", _ID, "only with this capability"),
            Parameter("region", _ID, "only within this region"),
            Parameter("label", {"type": "string", "maxLength": 400, "pattern": TEXT}, "only with this label: name=value"),
            Parameter("owns", {"type": "string", "enum": ["true", "false"]}, "name the packets of each, too"),
            AFTER,
            LIMIT,
        ),
        tag="members",
    ),
    Operation("show_member", "GET", _ONE, HOLDERS, "One member.", _show, "Member", tag="members", raises=(404,)),
    Operation(
        "update_member", "PATCH", _ONE, _ACTS, "Change a member; absent fields stay.", writes(), "Recorded",
        body=model.MemberUpdate, parameters=WRITE, tag="members", raises=(404, 409), writes=True,
    ),
    Operation(
        "heartbeat", "POST", f"{_ONE}/heartbeat", _ACTS,
        "Renew the lease; the answer names the packets that the member no longer owns, those that it owns and did not name, "
        "and those that it must not begin yet, because who had them before may be at work still. One process at a time, if "
        "it names its session. Never recorded.",
        _heartbeat, "Heard", body=model.Heartbeat, parameters=(FOLLOW,), tag="members", raises=(404, 409),
    ),
    _post("drain_member", f"{_ONE}/drain", "Move everything off, then retire.", model.Drain, _ACTS,
          body_optional=True),
    _post("cancel_drain", f"{_ONE}/cancel-drain", "Stay after all.", Nothing, _ACTS, writes(c.CancelDrain), body_optional=True),
    _post("retire_member", f"{_ONE}/retire", "Leave, once nothing is owned.", Nothing, _ACTS, writes(c.RetireMember),
          body_optional=True),
    _post("fail_member", f"{_ONE}/fail", "Hold the member for dead.", model.Failure, frozenset({"operator"}), body_optional=True),
    _post("recover_member", f"{_ONE}/recover", "Back from failure, owning nothing.", Nothing, _ACTS, writes(c.RecoverMember),
          body_optional=True),
    _post("quarantine_member", f"{_ONE}/quarantine", "No new work.", model.Quarantine, frozenset({"operator"}), body_optional=True),
    _post("release_member", f"{_ONE}/release", "End a quarantine.", Nothing, frozenset({"operator"}), writes(c.ReleaseMember),
          body_optional=True),
    _post("assess_trust", f"{_ONE}/trust", "Set the attested trust score.", model.TrustAssessment, frozenset({"assessor"})),
    _post("report_pressure", f"{_ONE}/pressure", "Say how loaded the member is.", model.PressureReport, _ACTS),
    Operation(
        "list_capabilities", "GET", "/api/capabilities", HOLDERS, "What members offer, and who.", _capabilities,
        "CapabilityList", parameters=(Parameter("q", {"type": "string", "maxLength": 128, "pattern": TEXT}, "text to look for"),),
        tag="discovery", raises=(404,),
    ),
)  # fmt: skip
