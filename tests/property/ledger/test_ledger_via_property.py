"""Paths through a root, whatever is done to them: nothing that was changed passes, and nothing raises."""

import io
from dataclasses import replace
from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st
from support.roots import MemoryRoot, Tenant, signer

from pfgov_ledger import errors, keys, proof, receipt, via
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.report import dumps
from pfgov_ledger.verify import verify

WITNESS = signer("witness.example/w", "witness")


@lru_cache
def good() -> tuple[bytes, Tenant, MemoryRoot]:
    """A path that holds, and what it is made of."""
    tenant, root = Tenant("a.example/t").grow(6), MemoryRoot()
    for size in range(1, 6):
        root.add(Tenant("b.example/t").grow(size).checkpoint())
    index = root.add(tenant.checkpoint())
    return root.path(tenant.prove(4), index, root.note(WITNESS)), tenant, root


def status(raw: bytes) -> int:
    """What the verifier leaves with, for a reader who pins all that can be pinned."""
    _, tenant, root = good()
    report = verify(
        io.BytesIO(raw),
        anchor=tenant.anchor,
        via=keys.vkey_of(root.key),
        witnessing=Witnessing((keys.vkey_of(WITNESS),), 1),
    )
    dumps(report)
    report.to_text()
    return report.exit_status


def proven(raw: bytes) -> tuple[bytes, bytes | None, via.Path]:
    """What a path shows: the entry and its signature, and everything but what else the ledger's half says."""
    found = via.read(raw)
    inner = receipt.parse(found.inner)
    return inner.raw, inner.signature, replace(found, inner=b"")


def test_via_no_bit_can_be_flipped() -> None:
    """A bit of a path can be changed, and it passes and shows something else."""
    raw, _, _ = good()
    assert status(raw) == 0
    shown = proven(raw)
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            # The names of a receipt's members are not signed: `positiom` is no position, and nothing is lost with it.
            assert status(bytes(changed)) != 0 or proven(bytes(changed)) == shown, (place, bit)


@given(st.data())
def test_via_no_part_can_be_cut_moved_or_repeated(data: st.DataObject) -> None:
    """Lines of a path can be left out, repeated or put in another order without being seen."""
    raw, _, _ = good()
    lines = raw.splitlines(keepends=True)
    order = data.draw(
        st.lists(st.sampled_from(range(len(lines))), min_size=0, max_size=len(lines) + 2)
    )
    changed = b"".join(lines[at] for at in order)
    # Signature lines of a note may stand in any order, and one may stand there twice.
    head, _, tail = changed.rpartition(b"\n\n")
    start, _, end = raw.rpartition(b"\n\n")
    is_same = head == start and set(tail.splitlines()) == set(end.splitlines())
    assert (status(changed) == 0) == is_same


@given(st.binary(max_size=400), st.integers(0, 2_000), st.integers(0, 2_000))
def test_via_any_bytes_are_read(noise: bytes, start: int, stop: int) -> None:
    """Bytes exist that make the reader raise something else than a refusal."""
    raw, _, _ = good()
    mixed = raw[:start] + noise + raw[stop:]
    assert status(mixed) in {0, 1, 4}
    try:
        found = via.read(mixed)
    except errors.LedgerError as error:
        assert error.code.startswith("ledger.")  # noqa: PT017 - either way is fine, and this one has a code
    else:
        assert proof.parse(found.inner)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.example/t", "A.example/t", "a.example/T"]), st.integers(1, 6)
        ),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_via_a_place_in_the_root_is_one_checkpoints_alone(
    included: list[tuple[str, int]], data: st.DataObject
) -> None:
    """The proof of one ledger's checkpoint serves another one's: another size, or a name in other letters."""
    root, tenants = MemoryRoot(), {name: Tenant(name).grow(6) for name, _ in included}
    for name, size in included:
        root.add(tenants[name].checkpoint(size))
    at = data.draw(st.integers(0, len(included) - 1))
    name, size = data.draw(st.sampled_from(included))
    raw = root.path(tenants[name].prove(0, size), at)
    if included[at] == (name, size):
        assert via.read(raw).ledger == tenants[name].checkpoint(size)
    else:
        try:
            via.read(raw)
        except errors.ViaInclusionError:
            return
        raise AssertionError("another checkpoint's place was taken for its own")
