"""What events of the ledger, its keys and its policy sets do to the state."""

import hashlib
from typing import Final

import msgspec

from pfgov.core import events as e
from pfgov.core.commands import BundleRef
from pfgov.core.ordered import Rows
from pfgov.core.records import (
    Approval,
    Denial,
    Exempt,
    Halt,
    Key,
    Proposal,
    Publisher,
    PublisherKey,
    Stamp,
)
from pfgov.core.state import State
from pfgov.limits import DEAD_NAMED_MAX, DENIALS_REMEMBERED_MAX, POLICIES_REMEMBERED_MAX


def ledger_created(state: State, event: e.LedgerCreated, stamp: Stamp) -> None:
    """Take the genesis: origin, keys, configuration."""
    state.origin, state.semantics, state.engine = event.origin, event.semantics, event.engine
    state.predecessor, state.configuration = event.predecessor, event.configuration
    opened = ((key.public, Key(key.role, key.public, stamp.seq)) for key in event.keys)
    state.keys = Rows(opened)
    state.touched.update(
        (("ledger_state", "ledger"), ("ledger_state", "keys"), ("ledger_state", "policy"))
    )


def engine_upgraded(state: State, event: e.EngineUpgraded, _: Stamp) -> None:
    """Other rules hold from here."""
    state.semantics, state.engine = event.semantics, event.engine
    state.touched.add(("ledger_state", "ledger"))


def configuration_changed(state: State, event: e.ConfigurationChanged, _: Stamp) -> None:
    """Replace the configuration."""
    state.configuration = event.configuration
    state.fleet_changed()
    state.touched.add(("ledger_state", "ledger"))


def policy_activated(state: State, event: e.PolicyActivated, stamp: Stamp) -> None:
    """Make the set binding, and every owner due for a second look."""
    if state.semantics >= SETS_ARE_REMEMBERED and state.policy is not None:
        kept = [one for one in state.policies_before if one not in {state.policy, event.digest}]
        state.policies_before = (*kept, state.policy)[-POLICIES_REMEMBERED_MAX:]
    if event.bundle is not None:
        _remember(state, event.bundle, event.digest)
    state.policy, state.policies, state.policy_since = event.digest, event.policies, stamp.seq
    state.denials = ()
    state.proposals = Rows()  # each was to replace the set that was binding
    state.facts.clear()  # the set says of which type labels are
    state.fleet_changed()
    state.touched.add(("ledger_state", "policy"))


SETS_ARE_REMEMBERED: Final = 4
"""The rules since which a ledger's state names the sets that were binding before, so that one can be gone back to."""


def _remember(state: State, bundle: BundleRef, digest: str) -> None:
    """Note which set a publisher's version stands for."""
    known = state.publishers[bundle.publisher]
    versions = dict(known.versions) | {bundle.version: digest}
    state.publishers[known.name] = msgspec.structs.replace(
        known, versions=tuple(sorted(versions.items()))
    )
    state.touched.add(_PUBLISHERS)


_PUBLISHERS: Final = ("ledger_state", "publishers")


def publisher_trusted(state: State, event: e.PublisherTrusted, stamp: Stamp) -> None:
    """Add the key, or move the end of its time."""
    known = state.publishers.get(event.name, Publisher(event.name))
    others = tuple(key for key in known.keys if key.public != event.key)
    since = next((key.since for key in known.keys if key.public == event.key), stamp.seq)
    keys = (*others, PublisherKey(event.key, since, event.expires_at))
    state.publishers[event.name] = msgspec.structs.replace(known, keys=keys)
    state.touched.add(_PUBLISHERS)


def publisher_rotated(state: State, event: e.PublisherRotated, stamp: Stamp) -> None:
    """Close the old key, open the new one."""
    _closed(state, event.name, event.old, stamp, revoked=False)
    known = state.publishers[event.name]
    keys = (*known.keys, PublisherKey(event.new, stamp.seq, event.expires_at))
    state.publishers[event.name] = msgspec.structs.replace(known, keys=keys)


def publisher_revoked(state: State, event: e.PublisherRevoked, stamp: Stamp) -> None:
    """Close the key for good."""
    _closed(state, event.name, event.key, stamp, revoked=True)


def _closed(state: State, name: str, public: str, stamp: Stamp, *, revoked: bool) -> None:
    known = state.publishers[name]
    keys = tuple(
        msgspec.structs.replace(key, until=key.until or stamp.seq, revoked=revoked)
        if key.public == public
        else key
        for key in known.keys
    )
    state.publishers[name] = msgspec.structs.replace(known, keys=keys)
    state.touched.add(_PUBLISHERS)


DENIALS_RECORDED: Final = 4
"""The rules since which a denial at a guarding point is on record, and how many refusals there were of a principal."""


def policy_denied(state: State, event: e.PolicyDenied, stamp: Stamp) -> None:
    """Remember what was denied to whom, so that it is not recorded again and again."""
    _count(state, Denial(event.principal, stamp.time, denial_digest(event)))


def refused(state: State, event: e.Event, stamp: Stamp) -> None:
    """Count the refusal with the denials of whoever asked; the entry is the whole effect otherwise."""
    if state.semantics >= DENIALS_RECORDED and event.command is not None:
        _count(state, Denial(event.command.principal.id, stamp.time, event.type))


def _count(state: State, found: Denial) -> None:
    state.denials = (*state.denials, found)[-DENIALS_REMEMBERED_MAX:]
    state.touched.add(("ledger_state", "policy"))


def denial_digest(event: e.PolicyDenied) -> str:
    """Return what tells one denial from another: where, about what, and why."""
    said = "\0".join((event.point, event.about, *event.reasons))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def policy_proposed(state: State, event: e.PolicyProposed, stamp: Stamp) -> None:
    """Open the proposal."""
    state.proposals[event.digest] = Proposal(
        digest=event.digest,
        since=stamp.seq,
        proposer=event.proposer,
        name=event.name,
        note=event.note,
        report=None if event.report is None else event.report.digest,
    )
    state.touched.add(("ledger_state", "policy"))


def policy_approved(state: State, event: e.PolicyApproved, _: Stamp) -> None:
    """Count the approval."""
    known = state.proposals[event.digest]
    approvals = (*known.approvals, Approval(event.approver, event.name))
    state.proposals[event.digest] = msgspec.structs.replace(known, approvals=approvals)
    state.touched.add(("ledger_state", "policy"))


def policy_rejected(state: State, event: e.PolicyRejected, _: Stamp) -> None:
    """Close the proposal."""
    del state.proposals[event.digest]
    state.touched.add(("ledger_state", "policy"))


def key_rotated(state: State, event: e.KeyRotated, stamp: Stamp) -> None:
    """Close the old key, open the new one."""
    if event.old is not None:
        old = state.keys[event.old]
        state.keys[event.old] = msgspec.structs.replace(old, until=stamp.seq)
    state.keys[event.new] = Key(event.role, event.new, stamp.seq)
    state.touched.add(("ledger_state", "keys"))


def key_revoked(state: State, event: e.KeyRevoked, stamp: Stamp) -> None:
    """Close a key for good."""
    key = state.keys[event.key]
    state.keys[event.key] = msgspec.structs.replace(key, until=stamp.seq, revoked=True)
    state.touched.add(("ledger_state", "keys"))


HALTS_ARE_STATE: Final = 4
"""The rules since which a halt lasts until an entry ends it; before, it was the running engine's alone."""


def expiry_halted(state: State, event: e.ExpiryHalted, stamp: Stamp) -> None:
    """Let no lease end."""
    if state.semantics >= HALTS_ARE_STATE:
        state.halt = Halt(event.cause, stamp.time)
        state.touched.add(("ledger_state", "ledger"))


def expiry_resumed(state: State, event: e.ExpiryResumed, _: Stamp) -> None:
    """Let leases end again; note whose may however many they are."""
    state.halt = None
    known = state.exempt or Exempt()
    named = {member_id: state.members[member_id].incarnation for member_id in event.dead}
    living = {
        member_id: incarnation
        for member_id, incarnation in known.dead
        if state.members[member_id].incarnation == incarnation
    }
    silent_since = max(known.silent_since, event.silent_since or 0)
    found = Exempt(silent_since, tuple(sorted((living | named).items()))[-DEAD_NAMED_MAX:])
    state.exempt = None if found == Exempt() else found
    state.touched.add(("ledger_state", "ledger"))


def nothing(state: State, event: e.Event, stamp: Stamp) -> None:
    """The entry is the whole effect."""
