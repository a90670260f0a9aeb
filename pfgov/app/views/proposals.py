"""Proposals of policy sets, and publishers of bundles, as people and programs see them."""

from typing import Literal

import msgspec

from pfgov.core.records import Proposal, Publisher, PublisherKey
from pfgov.core.state import State
from pfgov.model.times import to_moment


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who agreed."""

    principal: str
    name: str | None = None


class ProposalView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy set that is proposed; ``proposal`` is the position of its entry, ``needed`` how many have to approve.

    ``report`` is the digest of the report of impact that came with it; its entry says more.
    """

    digest: str
    proposal: int
    proposer: str
    approvals: list[ApprovalView]
    needed: int
    name: str | None = None
    note: str | None = None
    report: str | None = None


def proposal_views(state: State) -> list[ProposalView]:
    """Return every open proposal, the oldest first."""
    needed = state.settings.activation_approvals
    found = sorted(state.proposals.values(), key=lambda one: one.since)
    return [_view(one, needed) for one in found]


def _view(one: Proposal, needed: int) -> ProposalView:
    return ProposalView(
        digest=one.digest,
        proposal=one.since,
        proposer=one.proposer,
        approvals=[ApprovalView(principal=a.principal, name=a.name) for a in one.approvals],
        needed=needed,
        name=one.name,
        note=one.note,
        report=one.report,
    )


class PublisherKeyView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key of a publisher; ``since`` and ``until`` are positions of entries, ``expires_at`` is a moment (RFC 3339)."""

    key: str
    since: int
    status: Literal["trusted", "expired", "rotated", "revoked"]
    expires_at: str | None = None
    until: int | None = None


class PublisherView(msgspec.Struct, frozen=True, kw_only=True):
    """Whose bundles are let in, and how many of its versions were binding."""

    name: str
    keys: list[PublisherKeyView]
    versions: int


def publisher_views(state: State) -> list[PublisherView]:
    """Return every publisher, by name; what is expired is so by the time of the last entry."""
    return [_publisher(one, state.time) for one in state.publishers.values()]


def _publisher(one: Publisher, now: int) -> PublisherView:
    keys = [_key(key, now) for key in sorted(one.keys, key=lambda key: key.since)]
    return PublisherView(name=one.name, keys=keys, versions=len(one.versions))


def _key(key: PublisherKey, now: int) -> PublisherKeyView:
    status: Literal["trusted", "expired", "rotated", "revoked"] = "trusted"
    if key.until is not None:
        status = "revoked" if key.revoked else "rotated"
    elif key.expires_at is not None and key.expires_at <= now:
        status = "expired"
    return PublisherKeyView(
        key=key.public,
        since=key.since,
        status=status,
        expires_at=None if key.expires_at is None else to_moment(key.expires_at),
        until=key.until,
    )
