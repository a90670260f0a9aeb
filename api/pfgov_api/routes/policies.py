"""Policies: what is binding, making a set binding, and trying one out on facts of one's own."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from functools import partial
from typing import Final

import msgspec

from pfgov import model
from pfgov.app.change.promoting import promoted_files, shadowed
from pfgov.app.change.resting import check_root, is_recorded
from pfgov.app.prepare import (
    Prepared,
    activating,
    earlier,
    proposing,
    refusing,
    rolling_back,
)
from pfgov.core import commands as c
from pfgov.core.coverage import coverage_of
from pfgov.core.state import State
from pfgov.errors import ForbiddenError, InvalidError, NotFoundError, PfgovError
from pfgov.policy import PolicySet
from pfgov.policy.authoring.showing import set_view
from pfgov_api.answers import recorded, run
from pfgov_api.operations import AUDITORS, READERS, Answer, Call, Handler, Operation, Parameter
from pfgov_api.policy_bodies import (
    Activation,
    PolicyProposal,
    PolicyQuestion,
    PolicyTests,
    Promotion,
    ProposalReview,
    Rollback,
    ShadowQuestion,
    Weighing,
)
from pfgov_api.routes.parameters import WRITE, command


async def _show(call: Call) -> Answer:
    return Answer(set_view(await _active(call)))


async def _active(call: Call) -> PolicySet:
    digest = call.query.get("digest") or await _digest(call)
    return await call.reading(partial(call.ledger.set_of, digest, generated=True))


async def _digest(call: Call) -> str | None:
    return await call.service.exclusively(call.ledger.policy_digest)


async def _document(call: Call) -> Answer:
    digest = call.query.get("digest") or await _digest(call)
    if not digest:
        raise NotFoundError(
            "no policy set is binding but the kernel",
            code="policy.not_found",
            hint="activate a folder of policies: pfgov policy activate DIR",
        )
    return Answer(raw=await _recorded(call, digest))


async def _recorded(call: Call, digest: str) -> bytes:
    """Return the document of a recorded set."""
    return await call.reading(lambda: call.ledger.reader.policy_document(digest))


async def _activate(call: Call) -> Answer:
    body: Activation = call.body
    return await _bind(call, call.raw, body.leave_uncovered)


async def _promote(call: Call) -> Answer:
    body: Promotion = call.body
    asked = _in_force(await _active(call), body.name)
    if body.report is not None:
        asked["report"] = body.report
    return await _bind(call, model.write_json(asked), body.leave_uncovered)


def _in_force(found: PolicySet, name: str) -> dict[str, model.Json]:
    """Return the body that asks about the set *found* with the policy *name* in force."""
    files: dict[str, model.Json] = {**promoted_files(found, name)}
    return {"files": files}


async def _shadow(call: Call) -> Answer:
    body: ShadowQuestion = call.body
    binding = await _active(call)
    directory = str(call.service.engine.store.directory)
    items: list[dict[str, object]] = []
    with _counted(call):
        for name in shadowed(binding):
            asked = {**_in_force(binding, name), "since": body.since, "sample": body.sample}
            impact = await call.service.trials.weighed(model.write_json(asked), directory)
            items.append({"policy": name, **impact})
    return Answer({"items": items})


async def _bind(call: Call, raw: bytes, leave_uncovered: Collection[str]) -> Answer:
    """Make the set in the body *raw* binding, and answer with what was recorded."""
    try:
        with _counted(call):
            found = await call.service.trials.compiled(raw)
        await _check_root(call, found.report)
    except PfgovError as error:
        if is_recorded(error):
            await call.service.submit(refusing(error), call.caller)
        raise
    gone = await call.service.exclusively(lambda: _gone(call, found.digest))
    prepared = activating(found, leave_uncovered, gone, bundle=found.bundle, report=found.report)
    stands = _still_approved(call, found.digest, gone)
    answer = await recorded(call, await run(call, prepared, expects=stands))
    answer.body["result"]["coverage"] = coverage_of(found.points).view()
    return answer


async def _check_root(call: Call, report: c.ReportRef | None) -> None:
    """Refuse a report over another history.

    Raises:
        ConflictError: it is.
    """
    if report is not None:
        root = await call.reading(call.ledger.root_at, report.size)
        check_root(report, lambda _: root)


def _gone(call: Call, digest: str) -> list[str]:
    """Return who approved a set and has not the right any more."""
    found = [one for one in call.ledger.proposals() if one.digest == digest]
    approvers = {a.principal for one in found for a in one.approvals}
    return sorted(who for who in approvers if not call.service.may_still(who, "admin"))


def _still_approved(call: Call, digest: str, gone: Collection[str]) -> Callable[[State], None]:
    """Return what refuses an activation if more of those who approved it have lost the right than are *gone* already.

    The command names these; it may wait for its turn as long as a commit hangs.
    """

    def check(state: State) -> None:
        known = state.proposals.get(digest)
        approvers = {one.principal for one in known.approvals} if known is not None else set[str]()
        lost = sorted(
            who for who in approvers.difference(gone) if not call.service.may_still(who, "admin")
        )
        if lost and state.settings.activation_approvals:
            raise ForbiddenError(
                f"{', '.join(lost)} approved policy set {digest[:12]}, and may not any more",
                code="policy.not_approved",
                hint=f"have another approve it: pfgov policy approve {digest[:12]}",
            )

    return check


async def _roll_back(call: Call) -> Answer:
    body: Rollback = call.body
    chosen = await call.service.exclusively(
        lambda: call.ledger.look(lambda state: earlier(state, body.digest))
    )
    found = await call.reading(call.ledger.set_of, chosen)
    gone = await call.service.exclusively(lambda: _gone(call, chosen))
    prepared = rolling_back(found, gone, emergency=body.emergency)
    stands = None if body.emergency else _still_approved(call, chosen, gone)
    answer = await recorded(call, await run(call, prepared, expects=stands))
    answer.body["result"]["digest"] = chosen
    return answer


async def _publishers(call: Call) -> Answer:
    found = await call.service.exclusively(call.ledger.publishers)
    return Answer({"items": [msgspec.to_builtins(one) for one in found]})


async def _proposals(call: Call) -> Answer:
    found = await call.service.exclusively(call.ledger.proposals)
    return Answer({"items": [msgspec.to_builtins(one) for one in found]})


async def _propose(call: Call) -> Answer:
    body: PolicyProposal = call.body
    with _counted(call):
        found = await call.service.trials.compiled(call.raw)
    await _check_root(call, found.report)
    return await recorded(call, await run(call, proposing(found, body.note, found.report)))


def _judge(*, granted: bool) -> Handler:
    async def handle(call: Call) -> Answer:
        body: ProposalReview = call.body
        action = c.ApprovePolicy(
            digest=call.path["digest"],
            proposal=body.proposal,
            granted=granted,
            note=body.note,
        )
        return await recorded(call, await run(call, Prepared(action)))

    return handle


async def _evaluate(call: Call) -> Answer:
    body: PolicyQuestion = call.body
    if not body.members:
        raise InvalidError("members: there is nobody to ask about", pointer="/members")
    with _counted(call):
        digest = None if body.files is not None else await _digest(call)
        document = await _recorded(call, digest) if digest else b""
        now = call.service.engine.clock.now()
        return Answer(await call.service.trials.evaluated(call.raw, document, now))


async def _test(call: Call) -> Answer:
    body: PolicyTests = call.body
    with _counted(call):
        digest = body.digest
        if digest is None and body.files is None and body.bundle is None:
            digest = await _digest(call)
        document = await _recorded(call, digest) if digest else b""
        return Answer(await call.service.trials.tested(call.raw, document))


async def _impact(call: Call) -> Answer:
    with _counted(call):
        directory = str(call.service.engine.store.directory)
        return Answer(await call.service.trials.weighed(call.raw, directory))


@contextmanager
def _counted(call: Call) -> Generator[None]:
    """Count a trial out of the share of who asks, for as long as it runs.

    Raises:
        TooManyError: it has as many under way as one may have.
    """
    quota, who = call.service.trials.quota, call.grant.share
    quota.take(who)
    try:
        yield
    finally:
        quota.give(who)


_DIGEST: Final = Parameter(
    "digest",
    {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "the set of this digest; else the binding one",
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "show_policies", "GET", "/api/policies", READERS, "The binding policy set, or an earlier one by its digest.", _show,
        "PolicySet", parameters=(_DIGEST,), tag="policies", raises=(404,),
    ),
    Operation(
        "policy_document", "GET", "/api/policies/document", AUDITORS,
        "A set's canonical document, whose SHA-256 is its digest: the binding one's, or an earlier one's.", _document,
        "PolicyDocument", parameters=(_DIGEST,), tag="policies", raises=(404,),
    ),
    Operation(
        "activate_policies", "POST", "/api/policies/activate", frozenset({"admin"}),
        "Make a policy set binding; one that does not load is refused and recorded, and the last good one stays.  So is, and "
        "is not recorded, one that leaves a placing point uncovered which `leave_uncovered` does not name. The result says "
        "in `coverage` where the set asks, what is closed, and what it leaves to rights.",
        _activate, "Recorded", body=Activation, parameters=WRITE, tag="policies", writes=True,
    ),
    Operation(
        "roll_back_policies", "POST", "/api/policies/rollback", frozenset({"admin", "emergency"}),
        "Make a policy set binding again that was so before; no file is needed. What an activation demands is demanded "
        "of it, too, except in an `emergency`, which has a scope of its own and is recorded as one.",
        _roll_back, "Recorded", body=Rollback, parameters=WRITE, tag="policies", writes=True, raises=(404, 409),
    ),
    Operation(
        "list_publishers", "GET", "/api/policies/publishers", READERS,
        "Whose bundles of policies are let in: each publisher with every key that it ever had.", _publishers,
        "PublisherList", tag="policies",
    ),
    command(
        "policies", "trust_publisher", "/api/policies/publishers",
        "Trust a publisher's key, until a moment where one is named; again to move that moment.",
        model.PublisherTrust, frozenset({"admin"}),
    ),
    command(
        "policies", "rotate_publisher", "/api/policies/publishers/rotations",
        "Let another key take over from a publisher's: both signed for it.",
        model.PublisherRotation, frozenset({"admin"}),
    ),
    command(
        "policies", "revoke_publisher", "/api/policies/publishers/revocations",
        "Trust a publisher's key no more, for good; what is binding stays so.",
        model.PublisherRevocation, frozenset({"admin"}),
    ),
    Operation(
        "policy_impact", "POST", "/api/policies/impact", AUDITORS,
        "What a policy set would have decided otherwise, and what would happen now if it were binding; nothing is "
        "recorded. Of a ledger of more than 20,000 entries only the latter: fetch the export and ask it, with "
        "`pfgov policy impact --url`.", _impact, "Impact",
        body=Weighing, tag="policies", is_long=True,
    ),
    Operation(
        "policies_in_shadow", "POST", "/api/policies/shadow", AUDITORS,
        "What each policy of the binding set that is in shadow mode would have done, were it alone in force: its impact, as "
        "of `policy_impact`; nothing is recorded.", _shadow, "ShadowList", body=ShadowQuestion, tag="policies", is_long=True,
    ),
    Operation(
        "promote_policy", "POST", "/api/policies/promote", frozenset({"admin"}),
        "Put a policy of the binding set that is in shadow mode in force: the set with it is made binding, and whatever an "
        "activation demands is demanded of it.", _promote, "Recorded", body=Promotion, parameters=WRITE, tag="policies",
        writes=True, raises=(404,),
    ),
    Operation(
        "list_proposals", "GET", "/api/policies/proposals", READERS,
        "The policy sets that are proposed, with who approved them.", _proposals, "ProposalList", tag="policies",
    ),
    Operation(
        "propose_policies", "POST", "/api/policies/proposals", frozenset({"operator", "admin"}),
        "Propose a policy set: recorded, and readable by its digest. How many have to approve it before it can be made "
        "binding is the setting `activation_approvals`.",
        _propose, "Recorded", body=PolicyProposal, parameters=WRITE, tag="policies", writes=True, raises=(409,),
    ),
    command(
        "policies", "approve_proposal", "/api/policies/proposals/{digest}/approve",
        "Approve the proposal that was looked at. Whoever proposed it does not count, nor anybody twice; what does not "
        "count is refused and recorded.", ProposalReview, frozenset({"admin"}), _judge(granted=True),
    ),
    command(
        "policies", "reject_proposal", "/api/policies/proposals/{digest}/reject",
        "Turn a proposal down; whoever made it can withdraw it.", ProposalReview,
        frozenset({"operator", "admin"}), _judge(granted=False),
    ),
    Operation(
        "evaluate_policies", "POST", "/api/policies/evaluate", READERS,
        "Try a policy set on a packet and members of your own; nothing is recorded.", _evaluate, "Playground",
        body=PolicyQuestion, tag="policies", is_long=True,
    ),
    Operation(
        "test_policies", "POST", "/api/policies/test", READERS,
        "Run tests of policies, as `pfgov policy test` does: against a set that comes with them, the binding one, or one that was "
        "binding or proposed. Every check that fails says what was expected and what came out; `coverage` says which outcomes of "
        "which rules, and which of their points, no test ever saw. Nothing is recorded.", _test, "PolicyTestRun",
        body=PolicyTests, tag="policies", is_long=True, raises=(404,),
    ),
)  # fmt: skip
