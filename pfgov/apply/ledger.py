"""What events of the ledger, its keys and its policy sets do to the state."""

import msgspec

from pfgov import events as e
from pfgov.records import Key, Stamp
from pfgov.state import State


def ledger_created(state: State, event: e.LedgerCreated, stamp: Stamp) -> None:
    """Take the genesis: origin, keys, configuration."""
    state.origin, state.semantics, state.engine = event.origin, event.semantics, event.engine
    state.predecessor, state.configuration = event.predecessor, event.configuration
    state.keys = {key.public: Key(key.role, key.public, stamp.seq) for key in event.keys}
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
    state.policy, state.policies, state.policy_since = event.digest, event.policies, stamp.seq
    state.fleet_changed()
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


def nothing(state: State, event: e.Event, stamp: Stamp) -> None:
    """The entry is the whole effect."""
