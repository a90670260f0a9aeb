"""What a witness keeps of what does not fit: strangers, and other logs, take no room from what proves something."""

import shutil
from pathlib import Path

import pytest
from support.ledgers import fresh, opened, register
from support.witnesses import NOW, follow, head_of, log_key

from pfgov.app import evidence
from pfgov.app.witness.book import FOLLOWED, SEEN, Book, create
from pfgov.clock import ManualClock
from pfgov.engine import LedgerReader
from pfgov.engine.reading.exporting import stored_log
from pfgov.errors import PfgovError
from pfgov.storage import open_store
from pfgov_ledger import entry, keys, merkle, note
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.witness import RefusedError, Submission


def _grow(directory: Path, name: str, count: int) -> bytes:
    """Register members; return the newest checkpoint."""
    with opened(directory, seed=name) as engine:
        for number in range(count):
            register(engine, f"{name}{number}")
    return head_of(directory)[1]


def _refused(book: Book, old: int, signed: bytes, *proof: bytes) -> int:
    with pytest.raises(RefusedError) as refused:
        book.add(Submission(old, proof, signed).to_bytes())
    return refused.value.status


def _kept(folder: Path) -> list[bytes]:
    return [one.read_bytes() for one in (folder / evidence.FOLDER).iterdir()]


def test_witness_strangers_take_no_room_from_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody sends what the log signed with hashes of his own until there is no room for the log's second history."""
    monkeypatch.setattr(evidence, "PROOFS_MAX", 1)
    monkeypatch.setattr(evidence, "SIGNED_MAX", 2)
    directory, forked, folder = fresh(tmp_path), tmp_path / "forked", tmp_path / "witness"
    seen = _grow(directory, "a", 3)
    size = head_of(directory)[0]
    shutil.copytree(directory, forked)
    create(folder, "w.test/w")
    follow(folder, log_key(directory))
    with Book(folder, ManualClock(NOW)) as book:
        book.add(Submission(0, (), seen).to_bytes())
        newer = [_grow(directory, name, 1) for name in "bcde"]
        for number, signed in enumerate(newer):
            for other in range(3):
                line = note.signature_line(f"x{other}.test", bytes(4), bytes(64)).encode()
                assert _refused(book, size, signed + line, bytes([number, other] * 16)) == 422
        assert len(_kept(folder)) == 2
        assert any(newer[-1] in one for one in _kept(folder)), "the newest of them are kept"
        assert _refused(book, size, _grow(forked, "x", 1), bytes(32)) == 422
        book.add(_extended(directory, size))
        while head_of(forked)[0] < head_of(directory)[0]:
            last = _grow(forked, f"y{head_of(forked)[0]}", 1)
        assert _refused(book, head_of(directory)[0], last) == 409
        assert any(last in one for one in _kept(folder))


def _extended(directory: Path, old: int) -> bytes:
    """What the log itself would send."""
    with LedgerReader(open_store(directory)) as reader, stored_log(reader) as log:
        leaves = (entry.leaf_hash(raw) for raw, _ in log.entries(0, log.size()))
        proof = merkle.consistency_proof(merkle.LeafTree(leaves), old, log.size())
        return Submission(old, tuple(proof), log.latest_checkpoint()).to_bytes()


def test_witness_one_log_takes_no_room_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds one log's key signs so many histories of it that nothing is kept of another log's."""
    monkeypatch.setattr(evidence, "PROOFS_MAX", 2)
    folder = tmp_path / "witness"
    create(folder, "w.test/w")
    signers = [
        keys.SeedSigner(role="log", name=f"{name}.test/log", seed=bytes([number] * 32))
        for number, name in enumerate(("loud", "quiet"))
    ]
    follow(folder, *(str(keys.vkey_of(one)) for one in signers))
    loud, quiet = ([_signed(one, bytes([number] * 32)) for number in range(5)] for one in signers)
    with Book(folder, ManualClock(NOW)) as book:
        for history in (loud, quiet):
            book.add(Submission(0, (), history[0]).to_bytes())
        for signed in (*loud[1:], quiet[1]):
            assert _refused(book, 1, signed) == 409
    assert sum(b"quiet.test" in one for one in _kept(folder)) == 1
    assert len(_kept(folder)) == 3


def test_witness_a_note_that_is_gone_is_not_a_log_that_is_new(tmp_path: Path) -> None:
    """Where what was cosigned of a log is lost the witness vouches for another history of it."""
    folder = tmp_path / "witness"
    create(folder, "w.test/w")
    known, fresh_one = (
        keys.SeedSigner(role="log", name=f"{name}.test/log", seed=bytes([number] * 32))
        for number, name in enumerate(("known", "fresh"))
    )
    follow(folder, *(str(keys.vkey_of(one)) for one in (known, fresh_one)))
    first, other = (Submission(0, (), _signed(known, bytes([n] * 32))).to_bytes() for n in (1, 2))
    with Book(folder, ManualClock(NOW)) as book:
        book.add(first)
    (note_of,) = (folder / SEEN).iterdir()
    (folder / FOLLOWED).unlink()  # of a witness from before there was one
    with Book(folder, ManualClock(NOW)) as book:
        kept = note_of.read_bytes()
        note_of.unlink()
        _is_lost(book, other)
    shutil.rmtree(folder / SEEN)
    with Book(folder, ManualClock(NOW)) as book:
        for _ in range(2):
            _is_lost(book, other)
        book.add(Submission(0, (), _signed(fresh_one, bytes(32))).to_bytes())
        note_of.write_bytes(kept)
        with pytest.raises(RefusedError):
            book.add(other)
    assert len((folder / FOLLOWED).read_text().split()) == 2


def _is_lost(book: Book, raw: bytes) -> None:
    with pytest.raises(PfgovError) as caught:
        book.add(raw)
    assert caught.value.code == "witness.lost"


def _signed(signer: keys.SeedSigner, root: bytes) -> bytes:
    return note.sign(Checkpoint(signer.name, 1, root).text(), [signer])
