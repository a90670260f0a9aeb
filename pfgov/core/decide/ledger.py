"""Rules about the ledger itself: its genesis, configuration, policy sets, keys, erasures and index.

Signatures of key statements are checked at the border of the key ceremony and again by every verifier; here only what
the state knows is checked: which keys exist, in which role, and whether they still count.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.coverage import check_covered
from pfgov.core.decide import change, publishing
from pfgov.core.decide.asking import active_policy
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.guarding import guard, while_few
from pfgov.core.policy_port import Facts, PolicyJudge
from pfgov.core.quantity import from_text, to_micro, to_text
from pfgov.core.verdicts import Point
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
)
from pfgov.limits import APPROVALS_MAX, INTEGER_MAX, MICRO, QUANTITY_MAX, WORKLOAD_SCHEDULERS_MAX


def create(ctx: Context, do: c.CreateLedger) -> Decided:
    """Write the genesis entry."""
    ctx.authorise(do)
    if ctx.state.size:
        raise DuplicateError("the ledger exists already", code="ledger.exists")
    predecessor = None
    if do.predecessor is not None:
        origin, size, root = do.predecessor
        predecessor = e.Predecessor(origin=origin, size=size, root=root)
    genesis = e.LedgerCreated(
        origin=do.origin,
        semantics=do.semantics,
        engine=do.engine,
        predecessor=predecessor,
        keys=tuple(e.KeyRef(role=role, public=public) for role, public in do.keys),
        configuration=e.Configuration(scheduler=_scheduler(ctx, do.scheduler)),
    )
    return Decided([genesis])


def _scheduler(ctx: Context, text: str) -> e.SchedulerRef:
    """Read ``name`` or ``name:parameter=value,parameter=value`` and check that it exists."""
    name, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    parameters = tuple(sorted((key.strip(), value.strip()) for key, _, value in pairs))
    found = ctx.tools.scheduler(
        e.SchedulerRef(name=name.strip(), version="", parameters=parameters)
    )
    return e.SchedulerRef(name=found.name, version=found.version, parameters=found.parameters)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise InvalidError(f"{text!r} is not a whole number in {low}..{high}")
        return int(text)

    return read


def _seconds(text: str) -> int:
    micro = to_micro(text)
    if not 0 < micro <= QUANTITY_MAX * MICRO:
        raise InvalidError(f"{text!r} is not a positive number of seconds")
    return micro


def _share(text: str) -> str:
    micro = to_micro(text)
    if not 0 <= micro <= MICRO:
        raise InvalidError(f"{text!r} is not in 0..1")
    return to_text(micro)


SETTINGS: Final[dict[str, Callable[[str], Any]]] = {
    "lease_seconds": _whole(1, 86_400),
    "suspect_permille": _whole(1, 1_000),
    "handoff_timeout": _seconds,
    "review_timeout": _seconds,
    "retain_interval": _seconds,
    "activation_approvals": _whole(0, APPROVALS_MAX),
    "activation_bundle": _whole(0, 1),
    "activation_report": _whole(0, INTEGER_MAX),
    "activation_report_lag": _whole(0, INTEGER_MAX),
    "attempts_max": _whole(1, 1_000),
    "max_handoffs": _whole(0, 10_000),
    "half_life": _seconds,
    "expiry_share_permille": _whole(1, 1_000),
    "expiry_floor": _whole(1, INTEGER_MAX),
    "clock_jump_max": _seconds,
    "pressure_high": _share,
    "pressure_low": _share,
    "rebalance_gain_permille": _whole(0, 1_000),
    "rebalance_budget": _whole(0, 10_000),
    "rebalance_cooldown": _seconds,
    "flap_limit": _whole(1, 16),
    "flap_window": _seconds,
    "flap_penalty": _seconds,
}
"""Setting -> how its text is read.  Besides these: ``scheduler`` and ``scheduler.WORKLOAD_TYPE``."""


def _setting(name: str, text: str) -> Any:
    try:
        return SETTINGS[name](text)
    except InvalidError as error:
        raise InvalidError(
            f"{name}: {error.message}", hint=error.hint, pointer=f"/settings/{name}"
        ) from None


def configure(ctx: Context, do: c.Configure) -> Decided:
    """Replace settings; the entry holds the whole new configuration."""
    ctx.authorise(do)
    changes: dict[str, Any] = {}
    by_workload = dict(ctx.state.settings.schedulers)
    for name, text in do.settings:
        if name == "scheduler":
            changes["scheduler"] = _scheduler(ctx, text)
        elif name.startswith("scheduler."):
            by_workload[name.removeprefix("scheduler.")] = _scheduler(ctx, text)
        elif name in SETTINGS:
            changes[name] = _setting(name, text)
        else:
            raise InvalidError(
                f"there is no setting {name!r}", hint=f"settings: {', '.join(sorted(SETTINGS))}"
            )
    if len(by_workload) > WORKLOAD_SCHEDULERS_MAX:
        raise TooLargeError(
            f"at most {WORKLOAD_SCHEDULERS_MAX} workload types have their own scheduler"
        )
    changes["schedulers"] = tuple(sorted(by_workload.items()))
    new = msgspec.structs.replace(ctx.state.settings, **changes)
    if from_text(new.pressure_low) >= from_text(new.pressure_high):
        raise InvalidError("pressure_low must be below pressure_high")
    return Decided([] if new == ctx.state.settings else [e.ConfigurationChanged(configuration=new)])


ASKED_BY_ITS_NAMES: Final = 4
"""The rules since which a set takes the place of another only if it covers every placing point that is not named, and
who may make it binding is asked about what the command names of it."""


def activate_policy(ctx: Context, do: c.ActivatePolicy) -> Decided:
    """Make a policy set binding.

    Raises:
        UncoveredError: it leaves a placing point uncovered that is not named; the first set of a ledger may.
    """
    change.may_activate(ctx, do)
    unfit = publishing.unfit(ctx, do)
    if unfit is not None:  # also of the set that is binding: what came with it does not hold
        return change.refused(ctx, do.digest, "activate", unfit)
    if do.digest == ctx.state.policy:
        return Decided([])
    lacking = change.lacking(ctx, do)
    if lacking is not None:
        return change.refused(ctx, do.digest, "activate", lacking)
    # an emergency is one, too, where the binding set lets nobody make another one binding
    is_first = ctx.state.policy is None or do.rollback == "emergency"
    if not is_first and ctx.state.semantics >= ASKED_BY_ITS_NAMES:
        # Before the set is looked for: one that was not let in is not kept, and its denial is run again without it.
        guard(ctx, Point.ACTIVATE, more=_activation(ctx, do.digest, do.policies, do.points))
    found = ctx.tools.policies(do.digest)
    if not is_first and ctx.state.semantics >= ASKED_BY_ITS_NAMES:
        _is_as_it_says(do, found)
        check_covered(found.points, do.leave_uncovered)
    elif not is_first:
        guard(
            ctx, Point.ACTIVATE, more=_activation(ctx, found.digest, found.policies, found.points)
        )
    activated = e.PolicyActivated(
        digest=do.digest,
        previous=ctx.state.policy,
        policies=tuple(
            e.PolicyRef(name=name, version=version, mode=mode)
            for name, version, mode in do.policies
        ),
        points=do.points,
        bundle=do.bundle,
        report=do.report,
        rollback=do.rollback,
    )
    return Decided([activated])


def _is_as_it_says(do: c.ActivatePolicy, found: PolicyJudge) -> None:
    """Refuse a command that says something else of its set than the set does.

    Raises:
        InvalidError: ``policy.mismatch``, it does.
    """
    if do.policies != tuple(found.policies) or set(do.points) != set(map(str, found.points)):
        raise InvalidError(
            f"the policy set {do.digest[:12]} has other policies or decision points than the command names",
            code="policy.mismatch",
            hint="activate the set itself: pfgov policy activate DIR, or Engine.activate",
        )


def _activation(
    ctx: Context,
    digest: str,
    policies: Iterable[tuple[str, str, str]],
    points: Iterable[str],
) -> dict[str, Facts]:
    """Return what the binding set may read of the one that would take its place."""
    binding, new = active_policy(ctx).policies, tuple(policies)
    kept = {name for name, _, mode in new if mode == "enforce"}
    facts: Facts = {
        "digest": digest,
        "policies": [name for name, _, _ in new],
        "dropped": [name for name, _, mode in binding if mode == "enforce" and name not in kept],
        "points": sorted(map(str, points)),
    }
    return {"activation": facts}


def refuse_policy(ctx: Context, do: c.RefusePolicy) -> Decided:
    """Record that a set did not load; the last good one stays."""
    ctx.authorise(do)
    refused = e.PolicyRefused(codes=do.codes, errors=do.errors, active=ctx.state.policy)
    return while_few(ctx, Decided([refused]))


def rotate_key(ctx: Context, do: c.RotateKey) -> Decided:
    """Let a key take over from another."""
    ctx.authorise(do)
    if do.new in ctx.state.keys:
        raise DuplicateError(
            "that key is known already; a key has one role, once", code="key.known"
        )
    if do.old is not None:
        _in_force(ctx, do.role, do.old)
    rotated = e.KeyRotated(role=do.role, old=do.old, new=do.new, signatures=do.signatures)
    return Decided([rotated])


def revoke_key(ctx: Context, do: c.RevokeKey) -> Decided:
    """Make a key's later signatures count for nothing."""
    ctx.authorise(do)
    key = ctx.state.keys.get(do.key)
    if key is None or key.role != do.role:
        raise NotFoundError(f"there is no {do.role} key {do.key}", code="key.not_found")
    if key.revoked:
        raise ConflictError("that key is revoked already", code="key.revoked")
    revoked = e.KeyRevoked(
        role=do.role, key=do.key, suspect_from=do.suspect_from, signatures=do.signatures
    )
    return Decided([revoked])


def _in_force(ctx: Context, role: str, public: str) -> None:
    key = ctx.state.keys.get(public)
    if key is None or key.role != role:
        raise NotFoundError(f"there is no {role} key {public}", code="key.not_found")
    if key.until is not None:
        raise ConflictError(
            "that key no longer counts", code="key.revoked" if key.revoked else "key.rotated"
        )


def erase(ctx: Context, do: c.EraseAttachment) -> Decided:
    """Record that a payload and its salt are deleted; the engine deletes them with the commit."""
    ctx.authorise(do)
    erased = e.AttachmentErased(subject_=do.subject, commitment=do.commitment, why=do.why)
    return Decided([erased])


def commit_index(ctx: Context, do: c.CommitIndex) -> Decided:
    """Commit the subject map over everything before this entry."""
    ctx.authorise(do)
    subjects, root = ctx.tools.index()
    return Decided([e.IndexCommitted(size=ctx.state.size, subjects=subjects, root=root)])


def change_leader(ctx: Context, do: c.ChangeLeader) -> Decided:
    """Record who leads from here on."""
    ctx.authorise(do)
    return Decided([e.LeaderChanged(term=do.term, address=do.address)])


def halt_expiry(ctx: Context, do: c.HaltExpiry) -> Decided:
    """Record that leases stopped expiring, and why."""
    ctx.authorise(do)
    halted = e.ExpiryHalted(cause=do.cause, overdue=do.overdue, leased=do.leased, jump=do.jump)
    return Decided([halted])


def resume_expiry(ctx: Context, do: c.ResumeExpiry) -> Decided:
    """Record that leases may end again, who says so or what speaks for it, and whose may however many they are."""
    ctx.authorise(do)
    if do.cause != "requested" and not ctx.is_follow_up:
        raise ForbiddenError("only the engine ends a halt by what it observed")
    for number, member_id in enumerate(do.dead):
        ctx.member(member_id, pointer=f"/dead/{number}")
    if ctx.state.halt is None and not do.dead:
        return Decided([])
    resumed = e.ExpiryResumed(
        cause=do.cause,
        dead=do.dead,
        silent_since=do.silent_since,
        overdue=do.overdue,
        leased=do.leased,
        share_permille=do.share_permille,
    )
    return Decided([resumed])
