"""Members: who may work, and how each of them stands."""

import asyncio
from typing import Any

from pfgov import commands as c
from pfgov import model
from pfgov.errors import NotFoundError
from pfgov.lifecycle import MemberStatus
from pfgov.model import Wire
from pfgov.records import Member
from pfgov.views import MemberView, member_view
from pfgov_api.answers import followed, limit_of, page, recorded
from pfgov_api.disclosure import require_member
from pfgov_api.operations import HOLDERS, MEMBER, READERS, Answer, Call, Operation, Parameter
from pfgov_api.routes.running import AFTER, FOLLOW, LIMIT, TEXT, WRITE, Nothing, run, several

_ID = {"type": "string", "maxLength": 128, "pattern": "^[ -~]*$"}


async def _register(call: Call) -> Answer:
    body: model.MemberRegistration = call.body
    return await recorded(call, await run(call, body.to_action()), status=201, proof=True)


async def _list(call: Call) -> Answer:
    region = call.query.get("region")
    statuses = call.several("status")
    capability, label, after = (
        call.query.get("capability"),
        call.query.get("label"),
        call.query.get("after", ""),
    )

    def wanted(member: Member) -> bool:
        return (
            member.member_id > after
            and (not statuses or member.status in statuses)
            and (capability is None or capability in member.capabilities)
            and (
                region is None
                or member.region == region
                or (member.region or "").startswith(f"{region}/")
            )
            and (label is None or tuple(label.partition("=")[::2]) in member.labels)
        )

    limit = limit_of(call)
    found = [
        member for member in await asyncio.to_thread(call.service.reader.members) if wanted(member)
    ]
    owned = await asyncio.to_thread(call.service.reader.owned) if call.flag("owns") else {}

    def show(member: Member) -> MemberView:
        return member_view(member, owned.get(member.member_id))

    return page(call, found[: limit + 1], show, lambda m: m.member_id, limit)


async def _show(call: Call) -> Answer:
    reader, member_id = call.service.glance, call.path["member_id"]
    require_member(call, member_id)
    with reader.snapshot():
        member = reader.member(member_id)
        return Answer(member_view(member, reader.owned(member_id).get(member_id)))


async def _update(call: Call) -> Answer:
    body: model.MemberUpdate = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


async def _heartbeat(call: Call) -> Answer:
    body: model.Heartbeat = call.body
    member_id = call.path["member_id"]
    acting = {"operator", f"member:{member_id}"}
    if not acting & set(call.principal.rights):
        from pfgov.errors import ForbiddenError

        raise ForbiddenError(
            f"this key does not act for {member_id}",
            hint=f"use a key with the scope member:{member_id}",
        )
    held = tuple((belief.packet_id, belief.epoch) for belief in body.owns)
    engine = call.service.engine
    follows = call.flag("follow")
    before = await asyncio.to_thread(call.service.size) if follows else 0
    heard = await call.service.in_turn(lambda: engine.heartbeat(member_id, body.incarnation, held))
    lost = [{"packet_id": packet_id, "epoch": epoch} for packet_id, epoch in heard.lost]
    told = {"lost": lost, "lease_until": heard.lease_until, "was_suspect": heard.was_suspect}
    return Answer({**told, **(await followed(call, before) if follows else {})})


async def _drain(call: Call) -> Answer:
    body: model.Drain = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


async def _fail(call: Call) -> Answer:
    body: model.Failure = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


async def _quarantine(call: Call) -> Answer:
    body: model.Quarantine = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


async def _trust(call: Call) -> Answer:
    body: model.TrustAssessment = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


async def _pressure(call: Call) -> Answer:
    body: model.PressureReport = call.body
    return await recorded(call, await run(call, body.to_action(member_id=call.path["member_id"])))


def _simple(action: type[Any]) -> Any:
    async def handle(call: Call) -> Answer:
        return await recorded(call, await run(call, action(member_id=call.path["member_id"])))

    return handle


async def _capabilities(call: Call) -> Answer:
    text = call.query.get("q", "").lower()
    found: dict[str, dict[str, Any]] = {}
    for member in await asyncio.to_thread(call.service.reader.members):
        if member.status is MemberStatus.RETIRED:
            continue
        for capability in member.capabilities.values():
            if (
                text
                and text not in capability.name.lower()
                and text not in (capability.description or "").lower()
            ):
                continue
            entry = found.setdefault(
                capability.name, {"name": capability.name, "versions": [], "members": []}
            )
            entry["members"].append(member.member_id)
            if capability.version and capability.version not in entry["versions"]:
                entry["versions"].append(capability.version)
    if text and not found:
        raise NotFoundError(
            f"nobody offers anything like {text[:64]!r}",
            code="capability.not_found",
            hint="leave q out to see all",
        )
    return Answer({"items": [found[name] for name in sorted(found)]})


_ACTS = frozenset({"operator", MEMBER})
_ONE = "/api/members/{member_id}"


def _post(
    name: str, path: str, about: str, handler: Any, body: type[Wire], **more: Any
) -> Operation:
    return Operation(
        name=name,
        method="POST",
        path=path,
        access=more.pop("access", _ACTS),
        about=about,
        handler=handler,
        body=body,
        answer="Recorded",
        parameters=WRITE,
        tag="members",
        raises=more.pop("raises", (404, 409)),
        writes=True,
        **more,
    )


OPERATIONS: tuple[Operation, ...] = (
    _post(
        "register_member", "/api/members/register", "Join, or come back after failing or retiring.", _register,
        model.MemberRegistration, status=201, raises=(409,),
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
        "update_member", "PATCH", _ONE, _ACTS, "Change a member; absent fields stay.", _update, "Recorded",
        body=model.MemberUpdate, parameters=WRITE, tag="members", raises=(404, 409), writes=True,
    ),
    Operation(
        "heartbeat", "POST", f"{_ONE}/heartbeat", _ACTS,
        "Renew the lease; the answer names the packets that the member no longer owns. Never recorded.",
        _heartbeat, "Heard", body=model.Heartbeat, parameters=(FOLLOW,), tag="members", raises=(404, 409),
    ), _post("drain_member", f"{_ONE}/drain", "Move everything off, then retire.", _drain, model.Drain,
    body_optional=True), _post("cancel_drain", f"{_ONE}/cancel-drain", "Stay after all.", _simple(c.CancelDrain),
    Nothing, body_optional=True), _post("retire_member", f"{_ONE}/retire", "Leave, once nothing is owned.",
    _simple(c.RetireMember), Nothing,
          body_optional=True),
    _post("fail_member", f"{_ONE}/fail", "Hold the member for dead.", _fail, model.Failure, body_optional=True,
          access=frozenset({"operator"})),
    _post("recover_member", f"{_ONE}/recover", "Back from failure, owning nothing.", _simple(c.RecoverMember), Nothing,
          body_optional=True),
    _post("quarantine_member", f"{_ONE}/quarantine", "No new work.", _quarantine, model.Quarantine, body_optional=True,
          access=frozenset({"operator"})),
    _post("release_member", f"{_ONE}/release", "End a quarantine.", _simple(c.ReleaseMember), Nothing,
          body_optional=True, access=frozenset({"operator"})),
    _post("assess_trust", f"{_ONE}/trust", "Set the attested trust score.", _trust, model.TrustAssessment,
          access=frozenset({"assessor"})),
    _post("report_pressure", f"{_ONE}/pressure", "Say how loaded the member is.", _pressure, model.PressureReport),
    Operation(
        "list_capabilities", "GET", "/api/capabilities", HOLDERS, "What members offer, and who.", _capabilities,
        "CapabilityList", parameters=(Parameter("q", {"type": "string", "maxLength": 128, "pattern": TEXT}, "text to look for"),),
        tag="discovery", raises=(404,),
    ),
)  # fmt: skip
