"""Rules of publishers and their keys, and of what an activation may rest on: a bundle, a report, an earlier set.

Signatures were checked at the border, as with the ledger's own keys; here is what only the state knows: whether a key
is trusted at this moment, which set a version stood for, and whether a report is about this ledger, the binding set
and the proposed one.  What does not hold is refused and recorded.
"""

import re
from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.context import Context, Decided
from pfgov.core.records import Publisher, PublisherKey
from pfgov.core.spelling import NAME_PATTERN
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PfgovError,
    TooLargeError,
)
from pfgov.limits import PUBLISHER_KEYS_MAX, PUBLISHER_VERSIONS_MAX, PUBLISHERS_MAX

_PUBLIC: Final = re.compile("[0-9a-f]{64}", re.ASCII)
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
_MAKE: Final = "pfgov policy publisher key FILE --name NAME makes one, and prints it"
_TRUST: Final = "trust its key: pfgov policy publisher trust NAME KEY"


def trust(ctx: Context, do: c.TrustPublisher) -> Decided:
    """Trust a key, or move the end of its time; what is so already changes nothing."""
    ctx.authorise(do)
    _check_name(do.name)
    _check_end(ctx, do.expires_at)
    known = ctx.state.publishers.get(do.name)
    key = None if known is None else _key(known, do.key)
    if key is None:
        _check_new(ctx, known, do.key)
        if known is None and len(ctx.state.publishers) >= PUBLISHERS_MAX:
            raise TooLargeError(
                f"{PUBLISHERS_MAX} publishers are known already",
                code="publisher.too_many",
                hint="a further key can be one of theirs: pfgov policy publisher list",
            )
    elif key.until is not None:
        raise _gone(key)
    elif key.expires_at == do.expires_at:
        return Decided([])
    trusted = e.PublisherTrusted(
        name=do.name,
        key=do.key,
        principal=ctx.command.principal.id,
        expires_at=do.expires_at,
    )
    return Decided([trusted])


def rotate(ctx: Context, do: c.RotatePublisher) -> Decided:
    """Let another key take over from one that is trusted; one whose time is over can have no successor."""
    ctx.authorise(do)
    if do.origin != ctx.state.origin:
        raise InvalidError(
            f"both keys signed for the ledger {do.origin[:64]}, not for this one",
            code="publisher.other_ledger",
            hint="sign for this one: pfgov policy publisher rotate NAME --key OLD --new NEW",
            pointer="/origin",
        )
    _check_end(ctx, do.expires_at)
    known, key = _known(ctx, do.name, do.old)
    refusal = _not_trusted(ctx, known.name, key)
    if refusal is not None:
        raise refusal
    _check_new(ctx, known, do.new)
    rotated = e.PublisherRotated(
        name=do.name,
        old=do.old,
        new=do.new,
        principal=ctx.command.principal.id,
        expires_at=do.expires_at,
        signatures=do.signatures,
    )
    return Decided([rotated])


def revoke(ctx: Context, do: c.RevokePublisher) -> Decided:
    """Trust a key no more, for good; one that was replaced can still turn out to be stolen."""
    ctx.authorise(do)
    known, key = _known(ctx, do.name, do.key)
    if key.revoked:
        raise _gone(key)
    revoked = e.PublisherRevoked(name=known.name, key=do.key, principal=ctx.command.principal.id)
    return Decided([revoked])


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidError(
            f"{name[:64]!r} cannot be a publisher's name",
            code="publisher.name",
            pointer="/name",
            hint="lower-case letters, digits, dashes and dots, as with a policy's name",
        )


def _check_end(ctx: Context, expires_at: int | None) -> None:
    if expires_at is not None and expires_at <= ctx.now:
        raise InvalidError(
            "a key cannot be trusted until a time that has passed",
            code="publisher.expiry",
            pointer="/expires_at",
            hint="name a later moment, or none",
        )


def _check_new(ctx: Context, known: Publisher | None, public: str) -> None:
    """Refuse a key that is none, or that somebody has or had, under whatever name.

    Raises:
        PfgovError: ``publisher.key``, ``publisher.key_known`` or ``publisher.keys_too_many``.
    """
    if not _PUBLIC.fullmatch(public):
        raise InvalidError(
            "a publisher's key is the hex of its 32 public bytes, in lower case",
            code="publisher.key",
            hint=_MAKE,
        )
    if public in ctx.state.keys:
        raise DuplicateError(
            "that is a key of the ledger itself", code="publisher.key_known", hint=_MAKE
        )
    for other in ctx.state.publishers.values():
        if _key(other, public) is not None:
            raise DuplicateError(
                f"the publisher {other.name} has or had that key: a key has one name, once",
                code="publisher.key_known",
                hint=_MAKE,
            )
    if known is not None and len(known.keys) >= PUBLISHER_KEYS_MAX:
        raise TooLargeError(
            f"{known.name} has had {PUBLISHER_KEYS_MAX} keys already",
            code="publisher.keys_too_many",
            hint="trust its next key under another name",
        )


def _key(known: Publisher, public: str) -> PublisherKey | None:
    return next((key for key in known.keys if key.public == public), None)


def _known(ctx: Context, name: str, public: str) -> tuple[Publisher, PublisherKey]:
    known = ctx.state.publishers.get(name)
    key = None if known is None else _key(known, public)
    if known is None or key is None:
        raise _unknown(name, public)
    return known, key


def _unknown(name: str, public: str) -> NotFoundError:
    return NotFoundError(
        f"no publisher {name[:64]!r} with the key {public[:12]} is trusted here",
        code="publisher.unknown",
        hint=_TRUST,
    )


def _gone(key: PublisherKey) -> ConflictError:
    if key.revoked:
        return ConflictError(
            f"the key {key.public[:12]} is revoked",
            code="publisher.revoked",
            hint="have its publisher sign with another key, and trust that one: pfgov policy publisher list",
        )
    return ConflictError(
        f"another key took over from {key.public[:12]}",
        code="publisher.rotated",
        hint="have it signed with the key that took over: pfgov policy publisher list",
    )


def _not_trusted(ctx: Context, name: str, key: PublisherKey) -> PfgovError | None:
    """Return why *key* does not count at this moment; None if it does."""
    if key.until is not None:
        return _gone(key)
    if key.expires_at is not None and key.expires_at <= ctx.now:
        return ConflictError(
            f"the time of the key {key.public[:12]} of {name} is over",
            code="publisher.expired",
            hint=_TRUST,
        )
    return None


# --- what an activation rests on ----------------------------------------------------------


def unfit(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    """Return why what an activation came with does not hold; None where it holds, or nothing came."""
    return (
        _unfit_bundle(ctx, do)
        or unfit_report(ctx, do.report, do.digest)
        or _unfit_rollback(ctx, do)
    )


def missing(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    """Return what the configuration demands of an activation and it came without; None if nothing."""
    settings = ctx.state.settings
    if settings.activation_bundle and do.bundle is None:
        return ForbiddenError(
            "a policy set is made binding here only from a bundle of a publisher that is trusted",
            code="bundle.missing",
            hint="pfgov policy activate FILE, with the bundle in place of the folder",
        )
    if not settings.activation_report:
        return None
    if do.report is None:
        return ForbiddenError(
            f"a report of impact over the last {settings.activation_report} entries has to come with it",
            code="impact.missing",
            hint="pfgov policy impact DIR --sign KEY --out FILE, then: pfgov policy activate DIR --report FILE",
        )
    return _short(ctx, do.report)


def _unfit_bundle(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    bundle = do.bundle
    if bundle is None:
        return None
    known = ctx.state.publishers.get(bundle.publisher)
    key = None if known is None else _key(known, bundle.key)
    if known is None or key is None:
        return ForbiddenError(
            f"no publisher {bundle.publisher[:64]!r} with the key {bundle.key[:12]} is trusted here",
            code="publisher.unknown",
            hint=_TRUST,
        )
    refusal = _not_trusted(ctx, known.name, key)
    if refusal is not None:
        return refusal
    versions = dict(known.versions)
    if versions.get(bundle.version, do.digest) != do.digest:
        return ConflictError(
            f"version {bundle.version} of {known.name} was another policy set, {versions[bundle.version][:12]}",
            code="bundle.version_taken",
            hint="a changed set gets another version",
        )
    if bundle.version not in versions and len(versions) >= PUBLISHER_VERSIONS_MAX:
        return TooLargeError(
            f"{PUBLISHER_VERSIONS_MAX} versions of {known.name} were binding already",
            code="publisher.versions_too_many",
            hint="trust its next key under another name",
        )
    return None


def unfit_report(ctx: Context, report: c.ReportRef | None, digest: str) -> PfgovError | None:
    """Return why a report about the set *digest* does not hold; None where it holds, or there is none."""
    if report is None:
        return None
    if report.origin != ctx.state.origin:
        return _other(
            f"about the ledger {report.origin[:64]}, not this one", code="impact.other_ledger"
        )
    if report.proposed != digest:
        return _other(
            f"about the policy set {report.proposed[:12]}, not {digest[:12]}",
            code="impact.other_set",
        )
    if report.binding != ctx.state.policy:
        return _other(
            "about a change of another binding set than the present one", code="impact.other_set"
        )
    if report.size > ctx.state.size:
        return _other(
            f"over {report.size} entries, and there are {ctx.state.size}", code="impact.other_range"
        )
    for known in ctx.state.publishers.values():
        key = _key(known, report.key)
        if key is not None:
            return _not_trusted(ctx, known.name, key)
    return ForbiddenError(
        f"the key {report.key[:12]} that signed the report of impact is nobody's who is trusted here",
        code="impact.signer",
        hint=_TRUST,
    )


def _short(ctx: Context, report: c.ReportRef) -> PfgovError | None:
    """Return why a report does not cover what the configuration demands; None if it does."""
    settings = ctx.state.settings
    wanted = max(0, report.size - settings.activation_report)
    if report.sample != 1 or report.first > wanted:
        return _other(
            f"not about every command of the last {settings.activation_report} entries",
            code="impact.other_range",
        )
    if ctx.state.size - report.size > settings.activation_report_lag:
        behind = ctx.state.size - report.size
        return _other(
            f"{behind} entries old, and may be {settings.activation_report_lag}",
            code="impact.other_range",
        )
    return None


def _other(said: str, *, code: str) -> ConflictError:
    return ConflictError(
        f"the report of impact is {said}",
        code=code,
        hint="make it anew: pfgov policy impact DIR --sign KEY --out FILE",
    )


def _unfit_rollback(ctx: Context, do: c.ActivatePolicy) -> PfgovError | None:
    if do.rollback is None or do.digest in ctx.state.policies_before:
        return None
    return NotFoundError(
        f"policy set {do.digest[:12]} was not binding in this ledger, as far back as is remembered",
        code="policy.never_binding",
        hint="see which were: pfgov policy show",
    )
