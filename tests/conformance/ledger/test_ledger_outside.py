"""Programs that share no code with this one read its checkpoints and proofs: aics-tlog, and Go's sumdb packages."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from unit.ledger import ledger_logs
from unit.ledger.ledger_logs import LOG_VKEY, WITNESS, WITNESS_VKEY

from pfgov_ledger import checkpoint, merkle, note

SIZE = 300
INDICES = (0, 1, 127, 128, 255, 256, 299)
SIZES = (1, 2, 100, 128, 256, 299, 300)
TIME = 1_782_331_200


@dataclass(frozen=True)
class Log:
    """A log as an outsider gets it."""

    note: bytes
    raws: list[bytes]
    tree: merkle.LeafTree

    @staticmethod
    def make() -> "Log":
        writer = ledger_logs.appender()
        staged = ledger_logs.fill(writer, SIZE)
        note = checkpoint.cosign(writer.checkpoint(), WITNESS, time=TIME)
        return Log(note, [item.raw for item in staged], merkle.LeafTree(ledger_logs.leaves(staged)))


@pytest.fixture(scope="module")
def log() -> Log:
    """One log for all."""
    return Log.make()


# --- aics-tlog --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aics() -> Any:
    """The package aics-tlog."""
    return pytest.importorskip(
        "aics_tlog",
        reason="aics-tlog is not installed (pip install --no-deps --ignore-requires-python aics-tlog)",
    )


def _open_aics(aics: Any, note: bytes, quorum: int) -> Any:
    return aics.verify_checkpoint(
        aics.parse_note(note),
        aics.parse_vkey(str(LOG_VKEY)),
        [aics.parse_vkey(str(WITNESS_VKEY))],
        quorum,
    )


def test_aics_tlog_opens_our_checkpoint(log: Log, aics: Any) -> None:
    """It verifies log and witness signature, and reads our origin, size and root."""
    found = _open_aics(aics, log.note, 1)
    assert found.ok, found.error
    assert (found.size, found.root) == (SIZE, merkle.root(log.tree, SIZE))
    assert found.timestamps == {WITNESS.name: TIME}
    assert not _open_aics(aics, log.note, 2).ok


def test_aics_tlog_refuses_an_edited_checkpoint(log: Log, aics: Any) -> None:
    """Size or root edited: refused there too."""
    for old, new in ((b"\n300\n", b"\n301\n"), (b"\n300\n", b"\n299\n")):
        assert not _open_aics(aics, log.note.replace(old, new), 1).ok


def test_aics_tlog_checks_our_proofs(log: Log, aics: Any) -> None:
    """Our inclusion and consistency proofs pass there, and its proofs pass here."""
    root = merkle.root(log.tree, SIZE)
    other = aics.MerkleTree()
    for raw in log.raws:
        other.append(raw)
    for index in INDICES:
        proof = merkle.inclusion_proof(log.tree, index, SIZE)
        assert aics.verify_leaf_inclusion(log.raws[index], index, SIZE, proof, root)
        assert not aics.verify_leaf_inclusion(log.raws[index] + b" ", index, SIZE, proof, root)
        assert other.inclusion_proof(index, SIZE) == proof
    for size in SIZES:
        proof = merkle.consistency_proof(log.tree, size, SIZE)
        assert aics.verify_consistency(size, SIZE, merkle.root(log.tree, size), root, proof)
        assert not aics.verify_consistency(size, SIZE, bytes(32), root, proof)
        assert other.consistency_proof(size, SIZE) == proof


def test_aics_tlog_cosigns_our_checkpoint(log: Log, aics: Any) -> None:
    """A cosignature made there verifies here."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    bare = log.note[: log.note.rindex(b"\xe2\x80\x94")]
    private = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)
    tree = checkpoint.open_checkpoint(bare, [LOG_VKEY]).checkpoint
    _, line = aics.sign_cosignature(
        private, WITNESS.name, TIME + 5, tree.origin, tree.size, tree.root
    )
    signed = bare + note.signature_line(line.name, line.key_id, line.signature).encode()
    opened = checkpoint.open_checkpoint(signed, [LOG_VKEY], [WITNESS_VKEY])
    assert [item.time for item in opened.witnesses] == [TIME + 5]


# --- Go's golang.org/x/mod/sumdb --------------------------------------------------------------


def _request(log: Log) -> dict[str, Any]:
    def text(items: list[bytes]) -> list[str]:
        return [base64.b64encode(item).decode() for item in items]

    return {
        "vkeys": [str(LOG_VKEY)],
        "note": log.note.decode(),
        "records": [
            {
                "index": n,
                "raw": text([log.raws[n]])[0],
                "proof": text(merkle.inclusion_proof(log.tree, n, SIZE)),
            }
            for n in INDICES
        ],
        "older": [
            {
                "size": n,
                "root": text([merkle.root(log.tree, n)])[0],
                "proof": text(merkle.consistency_proof(log.tree, n, SIZE)),
            }
            for n in SIZES
        ],
    }


@pytest.mark.go
def test_go_checks_our_log(log: Log, go: Callable[[list[dict[str, Any]]], list[str]]) -> None:
    """note.Open, tlog.CheckRecord and tlog.CheckTree accept what we write."""
    assert go([_request(log)]) == ["signatures 1, unknown 1"]


@pytest.mark.go
def test_go_refuses_a_tampered_log(
    log: Log, go: Callable[[list[dict[str, Any]]], list[str]]
) -> None:
    """An edited note, entry, proof or older root is refused by Go's own packages."""
    entry = replace(log, raws=[log.raws[0][:-1] + b" ", *log.raws[1:]])
    request = _request(log)
    older = [{**item, "root": base64.b64encode(bytes(32)).decode()} for item in request["older"]]
    found = go([
        {**request, "note": request["note"].replace("\n300\n", "\n301\n")},
        {**request, "vkeys": [str(WITNESS_VKEY).replace("witness", "other")]},
        _request(entry),
        {**request, "older": older},
        {**request, "records": [{**request["records"][3], "index": 129}]},
    ])  # fmt: skip
    assert [line.split(":")[1].strip().split(" ")[0] for line in found] == [
        "note",
        "vkey",
        "record",
        "tree",
        "record",
    ]
