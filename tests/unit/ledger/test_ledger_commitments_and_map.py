import hashlib
from dataclasses import replace

import pytest

from pfgov_ledger import canonical, commitment, dsse, errors, subject_map
from pfgov_ledger.subject_map import MapProof, SubjectMap

SALT = bytes(range(32))
OPENING = {
    "origin": "pfgov.example/eu",
    "subject": "packet/fp-001",
    "field": "context",
    "salt": SALT,
    "payload": b"body",
}


def test_a_commitment_is_the_digest_that_the_format_says() -> None:
    """The preimage is tag, three length-prefixed names, salt, payload."""
    preimage = (
        b"pfgov/commit/v1\0\0\x10pfgov.example/eu\0\x0dpacket/fp-001\0\x07context" + SALT + b"body"
    )
    assert commitment.commit(**OPENING) == hashlib.sha256(preimage).digest()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"origin": "x"}, {"subject": "packet/fp-002"}, {"field": "context2"}, {"salt": bytes(32)}, {"payload": b"bodY"},
     {"salt": b"short"}, {"field": "contextb", "payload": b"ody"}],
)  # fmt: skip
def test_a_commitment_opens_only_where_it_was_made(change: dict[str, object]) -> None:
    """Another log, subject, field, salt or payload is refused, and names do not run into payloads."""
    made = commitment.commit(**OPENING)  # type: ignore[arg-type]
    commitment.check(made, **OPENING)  # type: ignore[arg-type]
    with pytest.raises(errors.CommitmentError):
        commitment.check(made, **{**OPENING, **change})  # type: ignore[arg-type]


def test_commitments_need_a_whole_salt_and_short_names() -> None:
    """A short salt or an endless name makes no commitment."""
    for change in ({"salt": b"short"}, {"field": "x" * 70_000}):
        with pytest.raises(errors.UsageError):
            commitment.commit(**{**OPENING, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "bucket"),
    [(0, 256), (1, 256), (256, 256), (257, 512), (512, 512), (513, 1024), (70_000, 131_072)],
)
def test_sizes_are_shown_in_buckets(size: int, bucket: int) -> None:
    """What an entry shows of a payload's size is the next power of two, at least 256."""
    assert commitment.size_bucket(size) == bucket


def test_dsse_pre_authentication_encoding() -> None:
    """The example of the DSSE protocol document."""
    found = dsse.pae("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.entry_pae(b"{}") == dsse.pae(dsse.ENTRY_TYPE, b"{}")


# --- the subject map --------------------------------------------------------------------------


def _map(count: int) -> SubjectMap:
    found = SubjectMap()
    for n in range(count):
        found.update(f"packet/{n}", n, hashlib.sha256(bytes([n % 256])).digest())
    return found


def test_the_empty_map() -> None:
    """Its root is 32 zero bytes, and every subject is absent from it, but from no other map."""
    empty = SubjectMap()
    assert empty.root() == bytes(32) == subject_map.root_of({})
    proof = MapProof.from_json(empty.prove("policy").to_json())
    subject_map.check_absent(proof, bytes(32), "policy")
    with pytest.raises(errors.SubjectMapError):
        subject_map.check_absent(proof, _map(1).root(), "policy")


def test_small_maps_have_the_roots_that_the_format_says() -> None:
    """One subject: its leaf hash. Two: a node at the first differing bit, the zero bit on the left."""
    one = subject_map.root_of({"policy": (4, b"L" * 32)})
    key = hashlib.sha256(b"pfgov/subject/v1\0policy").digest()
    policy = hashlib.sha256(b"\x02" + key + (4).to_bytes(8, "big") + b"L" * 32).digest()
    assert one == policy
    other_key = hashlib.sha256(b"pfgov/subject/v1\0keys").digest()
    other = hashlib.sha256(b"\x02" + other_key + (0).to_bytes(8, "big") + b"M" * 32).digest()
    bit = 256 - (int.from_bytes(key, "big") ^ int.from_bytes(other_key, "big")).bit_length()
    left, right = sorted([(key, policy), (other_key, other)])
    expected = hashlib.sha256(b"\x03" + bit.to_bytes(2, "big") + left[1] + right[1]).digest()
    assert subject_map.root_of({"policy": (4, b"L" * 32), "keys": (0, b"M" * 32)}) == expected


def test_present_and_absent_are_told_apart() -> None:
    """A present subject cannot be shown absent, nor an absent one present, nor another's entry as its own."""
    whole = _map(50)
    root = whole.root()
    here, gone = whole.prove("packet/7"), whole.prove("packet/nope")
    assert subject_map.check_present(here, root, "packet/7")[0] == 7
    subject_map.check_absent(gone, root, "packet/nope")
    for attempt in (
        lambda: subject_map.check_absent(here, root, "packet/7"),
        lambda: subject_map.check_present(gone, root, "packet/nope"),
        lambda: subject_map.check_present(here, root, "packet/8"),
        lambda: subject_map.check_absent(here, root, "packet/8"),
        lambda: subject_map.check_present(here, bytes(32), "packet/7"),
        lambda: subject_map.check_present(replace(here, seq=6), root, "packet/7"),
        lambda: subject_map.check_present(replace(here, leaf=bytes(32)), root, "packet/7"),
        lambda: subject_map.check_present(replace(here, path=here.path[1:]), root, "packet/7"),
        lambda: subject_map.check_present(replace(here, path=here.path[::-1]), root, "packet/7"),
        lambda: subject_map.check_present(
            replace(here, path=((256, bytes(32)),)), root, "packet/7"
        ),
    ):
        with pytest.raises(errors.SubjectMapError):
            attempt()


def test_a_leaf_elsewhere_does_not_prove_absence() -> None:
    """Only the leaf that a search for the subject would reach shows that it is absent."""
    whole = _map(50)
    root = whole.root()
    reached = whole.prove("packet/nope").key
    refused = 0
    for n in range(50):
        other = whole.prove(f"packet/{n}")
        if other.key != reached:
            with pytest.raises(errors.SubjectMapError):
                subject_map.check_absent(other, root, "packet/nope")
            refused += 1
    assert refused == 49


def test_proofs_travel_as_canonical_json() -> None:
    """A proof survives its JSON form, and other values are not proofs."""
    proof = _map(9).prove("packet/3")
    value = canonical.decode(canonical.encode(proof.to_json()))
    assert MapProof.from_json(value) == proof
    assert isinstance(value, dict)
    for change in ({"key": "x"}, {"seq": -1}, {"seq": True}, {"leaf": None}, {"path": {}}, {"path": [[256, "00" * 32]]},
                   {"path": [[1]]}, {"path": [[True, "00" * 32]]}, {"more": 1}):  # fmt: skip
        with pytest.raises(errors.ProofShapeError):
            MapProof.from_json({**value, **change})
    with pytest.raises(errors.ProofShapeError):
        MapProof.from_json([])
