"""Collections that are walked in the order of their keys, and commands whose collections stand in one order."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfgov.core import commands as c
from pfgov.core.canonical import canonical, canonical_principal, is_canonical
from pfgov.core.ordered import Ids, Rows, in_order

KEYS = st.lists(st.text(max_size=4), unique=True)


@given(keys=KEYS, source=st.randoms(use_true_random=False))
def test_ordered_rows_and_ids_are_walked_in_order_whoever_filled_them(
    keys: list[str], source: random.Random
) -> None:
    """Two collections with the same content are walked differently, because they were filled differently."""
    rows, ids = Rows((key, len(key)) for key in keys), Ids(keys)
    source.shuffle(keys)
    other: Rows[int] = Rows()
    for key in keys:
        other.setdefault(key, len(key))
    assert list(rows) == list(other) == list(ids) == sorted(keys)
    assert list(rows.keys()) == list(reversed(list(reversed(rows)))) == sorted(keys)
    assert list(rows.items()) == list(zip(rows.keys(), rows.values(), strict=True))
    assert list(in_order((key, 1) for key in keys)) == sorted(keys)
    for key in keys[::2]:
        del rows[key]
        ids.discard(key)
    assert list(rows) == list(ids) == sorted(keys[1::2])


def test_ordered_the_order_is_that_of_utf_8_bytes() -> None:
    """Python's order of texts and that of the bytes in the ledger part, for capitals or beyond the first plane."""
    names = ["\U00010000", "\uffff", "é", "e", "z", "Z", "_", "a b", "a", ""]
    assert list(Ids(names)) == sorted(names, key=str.encode)


def _shuffled(value: Any, source: random.Random) -> Any:
    """Return *value* with each collection that is a set or a map in another order."""
    changes: dict[str, Any] = {}
    for name in value.__struct_fields__:
        held = getattr(value, name)
        if isinstance(held, c.Constraints):
            changes[name] = _shuffled(held, source)
        elif isinstance(held, tuple) and name not in {"views", "claimed_owners"}:
            parts = [
                _shuffled(one, source) if isinstance(one, c.Capability) else one for one in held
            ]
            source.shuffle(parts)
            changes[name] = tuple(parts)
    return msgspec.structs.replace(value, **changes)


PAIRS = (("a", "1"), ("b", "2"), ("Z", "3"))
NAMES = ("a", "B", "a.b", "a1")
OFFERS = tuple(c.Capability(name=name, attributes=PAIRS) for name in NAMES)
ACTIONS: tuple[c.Action, ...] = (
    c.RegisterMember(
        member_id="m", type="agent", capabilities=OFFERS, capacity=PAIRS, clearances=NAMES, labels=PAIRS
    ),
    c.UpdateMember(
        member_id="m", capacity=PAIRS, clearances=NAMES, labels=PAIRS, discovered=OFFERS, withdrawn=NAMES
    ),
    c.SubmitPacket(
        packet_id="p", workload_type="w", lineage_id="p", required_capabilities=NAMES,
        constraints=c.Constraints(allowed_regions=NAMES), demand=PAIRS, data_classes=NAMES, labels=PAIRS,
        claimed_owners=NAMES,
    ),
    c.UpdatePacket(
        packet_id="p", required_capabilities=NAMES, constraints=c.Constraints(allowed_regions=NAMES), demand=PAIRS,
        data_classes=NAMES, labels=PAIRS,
    ),
    c.Configure(settings=PAIRS),
    c.ActivatePolicy(digest="0" * 64, policies=(), points=(), leave_uncovered=NAMES, gone=NAMES),
    c.ResumeExpiry(dead=NAMES),
)  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
@given(source=st.randoms(use_true_random=False))
def test_canonical_is_the_same_whatever_order_it_was_written_in(
    action: c.Action, source: random.Random
) -> None:
    """Two ways to write one command are two commands in the ledger."""
    one, other = canonical(_shuffled(action, source)), canonical(action)
    assert one == other == canonical(one)
    assert canonical(one) is one


SEQUENCES = {
    "CreateLedger": {"keys", "predecessor"},  # made by the engine, in a fixed order
    "ActivatePolicy": {"policies", "points"},  # those of the policy set
    "ProposePolicy": {"policies", "points"},
    "RefusePolicy": {"codes"},  # in the order of the files
    "RotateKey": {"signatures"},
    "RevokeKey": {"signatures"},
    "RotatePublisher": {"signatures"},
    "SubmitPacket": {"views", "claimed_owners"},  # commitments as they were made; a history
    "UpdatePacket": set[str](),
    "PlacePacket": {"views"},
    "HandOff": {"views"},
    "ReviewPacket": {"views"},
    "RejudgeOwner": {"views"},
}


def test_canonical_knows_every_collection_of_every_command() -> None:
    """A new field that is a set or a map is recorded in the order in which somebody happened to write it."""
    ordered = {
        type(action).__name__: {n for n in action.__struct_fields__ if _is_reordered(action, n)}
        for action in ACTIONS
    }
    for kind in c.AnyAction.__args__:  # type: ignore[attr-defined]  # a union's members
        collections = {
            field.name
            for field in msgspec.structs.fields(kind)
            if "tuple" in str(field.type) or "Constraints" in str(field.type)
        }
        known = ordered.get(kind.__name__, set()) | SEQUENCES.get(kind.__name__, set())
        assert collections == known, kind.__name__


def _is_reordered(action: c.Action, name: str) -> bool:
    reversed_ = _reversed(getattr(action, name))
    changed = msgspec.structs.replace(action, **{name: reversed_})
    return reversed_ != getattr(action, name) and canonical(changed) == canonical(action)


def _reversed(value: Any) -> Any:
    if isinstance(value, c.Constraints):
        return msgspec.structs.replace(
            value, allowed_regions=value.allowed_regions[::-1] if value.allowed_regions else None
        )
    return value[::-1] if isinstance(value, tuple) else value


def test_canonical_sets_hold_everything_once_and_rights_are_one() -> None:
    """A name given twice counts twice, or a key's rights are recorded in the order of its file."""
    twice = c.RegisterMember(member_id="m", type="agent", clearances=("b", "a", "b"))
    assert canonical(twice).clearances == ("a", "b")
    jumbled = c.Principal(id="k", rights=("submitter", "admin", "submitter"))
    assert canonical_principal(jumbled).rights == ("admin", "submitter")
    assert canonical_principal(c.LOCAL_OPERATOR) is c.LOCAL_OPERATOR
    assert canonical_principal(c.ENGINE) is c.ENGINE
    command = c.Command(id="1", principal=jumbled, do=canonical(twice))
    assert not is_canonical(command)
    assert is_canonical(msgspec.structs.replace(command, principal=c.ENGINE))
    assert not is_canonical(msgspec.structs.replace(command, principal=c.ENGINE, do=twice))


def test_canonical_of_a_setting_given_twice_leaves_the_last_one_last() -> None:
    """Putting settings in order changes which of two values wins."""
    twice = c.Configure(settings=(("b", "2"), ("a", "9"), ("b", "1")))
    assert canonical(twice).settings == (("a", "9"), ("b", "2"), ("b", "1"))
