"""Rules of changing the policy set: proposing it, agreeing to it, and what an activation demands.

A proposal is for one set, by its digest, in the place of the one that is binding: another set is another proposal, and
an activation closes all of them.  Agreeing is for somebody else than who proposed, once each; a person with several
keys of one name is one person.  What does not count is refused and recorded.
"""

from typing import Final, Literal

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.characters import category, folded, normalized
from pfgov.core.decide import publishing
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.guarding import while_few
from pfgov.core.records import Proposal
from pfgov.errors import ConflictError, ForbiddenError, NotFoundError, PfgovError, TooLargeError
from pfgov.limits import APPROVALS_MAX, PROPOSALS_MAX

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs", "Mn"})


def propose(ctx: Context, do: c.ProposePolicy) -> Decided:
    """Open a proposal; the same one again, by whom it is, changes nothing, and with another report begins anew."""
    ctx.authorise(do)
    if do.digest == ctx.state.policy:
        raise ConflictError(
            "that policy set is binding already",
            code="policy.binding",
            hint="there is nothing to propose: pfgov policy show",
        )
    known = ctx.state.proposals.get(do.digest)
    principal = ctx.command.principal
    if known is not None and known.proposer == principal.id:
        if do.report is None or do.report.digest == known.report:
            return Decided([])
    elif known is not None:
        raise ConflictError(
            f"{known.proposer} has proposed that policy set already",
            code="policy.proposed",
            hint=f"agree to it: pfgov policy approve {do.digest[:12]}",
        )
    elif len(ctx.state.proposals) >= PROPOSALS_MAX:
        raise TooLargeError(
            f"{PROPOSALS_MAX} proposals are open already",
            code="policy.proposals_too_many",
            hint="turn some down: pfgov policy reject DIGEST",
        )
    refusal = publishing.unfit_report(ctx, do.report, do.digest)
    if refusal is not None:
        return refused(ctx, do.digest, "propose", refusal)
    proposed = e.PolicyProposed(
        digest=do.digest,
        previous=ctx.state.policy,
        policies=tuple(
            e.PolicyRef(name=name, version=version, mode=mode)
            for name, version, mode in do.policies
        ),
        points=do.points,
        proposer=principal.id,
        name=principal.name,
        note=do.note,
        report=do.report,
    )
    return Decided([proposed])


def approve(ctx: Context, do: c.ApprovePolicy) -> Decided:
    """Count an approval, or close the proposal."""
    principal, known = ctx.command.principal, ctx.state.proposals.get(do.digest)
    is_own = known is not None and known.proposer == principal.id
    if do.granted or not is_own:  # whoever proposed may withdraw
        ctx.authorise(do)
    if known is None:
        raise NotFoundError(
            f"policy set {do.digest[:12]} is not proposed",
            code="policy.not_proposed",
            hint="see what is: pfgov policy proposals",
        )
    if known.since != do.proposal:
        raise ConflictError(
            f"the proposal was made anew at entry {known.since}; you looked at the one of entry {do.proposal}",
            code="policy.proposal_changed",
            hint="look at it again: pfgov policy proposals",
        )
    if not do.granted:
        rejected = e.PolicyRejected(
            digest=do.digest, proposal=known.since, reviewer=principal.id, note=do.note
        )
        return Decided([rejected])
    refusal = _not_counted(known, principal)
    if refusal is not None:
        return refused(ctx, do.digest, "approve", refusal)
    wanted = ctx.state.settings.activation_approvals
    approved = e.PolicyApproved(
        digest=do.digest,
        proposal=known.since,
        approver=principal.id,
        name=principal.name,
        remaining=max(0, wanted - len(known.approvals) - 1),
        note=do.note,
    )
    return Decided([approved])


def _not_counted(known: Proposal, principal: c.Principal) -> PfgovError | None:
    """Return why an approval of *principal* does not count; None if it does."""
    if is_one_person((known.proposer, known.name), (principal.id, principal.name)):
        return ForbiddenError(
            "whoever proposed a policy set cannot approve it, with whichever key",
            code="policy.own_proposal",
            hint="somebody else has to look at it",
        )
    for one in known.approvals:
        if is_one_person((one.principal, one.name), (principal.id, principal.name)):
            return ConflictError(
                f"{one.principal} has approved it already, and counts once",
                code="policy.approved_already",
                hint="somebody else has to look at it",
            )
    if len(known.approvals) >= APPROVALS_MAX:
        return TooLargeError(
            f"{APPROVALS_MAX} have approved it already",
            code="policy.approvals_too_many",
            hint="more are never needed: pfgov policy activate DIR",
        )
    return None


def is_one_person(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    """Whether two principals, each with its id and the name of its key, are taken for one person."""
    return one[0] == other[0] or (
        one[1] is not None and other[1] is not None and _person(one[1]) == _person(other[1])
    )


def _person(name: str) -> str:
    """Return *name* as far as a person reads it: without marks, spaces, capitals and what nobody sees."""
    plain = folded(normalized("NFKD", name))
    return "".join(ch for ch in plain if category(ch) not in _UNSEEN)


def refused(
    ctx: Context,
    digest: str,
    action: Literal["approve", "activate", "propose"],
    error: PfgovError,
) -> Decided:
    """Return a refusal of a change that is recorded."""
    event = e.PolicyChangeRefused(
        digest=digest, action=action, code=error.code, principal=ctx.command.principal.id
    )
    return while_few(ctx, Decided([event], error))


def may_activate(ctx: Context, do: c.ActivatePolicy) -> None:
    """Check that the principal may make a set binding; an emergency has a right of its own.

    Raises:
        ForbiddenError: it may not.
    """
    principal = ctx.command.principal
    if do.rollback != "emergency":
        ctx.authorise(do)
    elif "emergency" not in principal.rights and principal.id != c.LOCAL_OPERATOR.id:
        raise ForbiddenError(
            f"{principal.id} lacks the right 'emergency'",
            hint="go back without --emergency, or use a key with that scope",
        )


def lacking(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    """Return what an activation lacks by the configuration; None if nothing, or in an emergency."""
    if ctx.is_follow_up or do.rollback == "emergency":
        return None
    return missing_approvals(ctx, do) or publishing.missing(ctx, do)


def missing_approvals(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    """Return which approvals an activation lacks; None if none."""
    wanted = ctx.state.settings.activation_approvals
    if not wanted:
        return None
    known = ctx.state.proposals.get(do.digest)
    if known is None:
        return ForbiddenError(
            f"policy set {do.digest[:12]} is not proposed, and {wanted} have to approve it first",
            code="policy.not_approved",
            hint="propose it: pfgov policy propose DIR",
        )
    gone = set(do.gone)
    counted = [one for one in known.approvals if one.principal not in gone]
    if len(counted) < wanted:
        lapsed = len(known.approvals) - len(counted)
        said = f", {lapsed} of whom may not any more" if lapsed else ""
        return ForbiddenError(
            f"{len(known.approvals)} approved policy set {do.digest[:12]}{said}, and {wanted} have to",
            code="policy.not_approved",
            hint=f"approve it: pfgov policy approve {do.digest[:12]}",
        )
    return None
