"""Verifying in little memory, or in several processes, gives the same report."""

import io
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.run import run
from conformance.ledger_verify.corpus.story import create, genesis, register
from hypothesis import given, settings
from hypothesis import strategies as st
from support.searching import examples

from pfgov_ledger import (
    canonical,
    custody,
    ed25519,
    errors,
    reader,
    signatures,
    subject_map,
    subjects,
)
from pfgov_ledger.disk_map import DiskMap
from pfgov_ledger.examine import Examination
from pfgov_ledger.histories import Claim, Histories
from pfgov_ledger.report import dumps
from pfgov_ledger.subjects import Row, SubjectTable, root_of_sorted
from pfgov_ledger.verdicts import Findings

CASES = sorted(
    path
    for path in VECTORS.glob("*/*/*.case.json")
    if path.parent.name
    in {"v1", "signature_invalid", "signature_missing", "index_mismatch", "owner_unregistered"}
    | {"payload_after_erasure", "after_terminal", "subject_tail_missing", "key_retired", "handoff_target"}
)  # fmt: skip


@pytest.mark.parametrize("limit", [1, 3])
def test_a_table_on_disk_gives_the_same_report(limit: int) -> None:
    """What moves to the temporary file does not come back as it was."""
    for path in CASES:
        _, expected = run(path, VECTORS)
        _, found = run(path, VECTORS, subjects_in_memory=limit)
        assert dumps(found) == dumps(expected), path.name


@pytest.mark.process
def test_several_processes_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that fails in another process is lost, or reported at another position."""
    monkeypatch.setattr(signatures, "START_AT", 2)
    monkeypatch.setattr(signatures, "BATCH", 3)
    monkeypatch.setattr(signatures, "BATCHES_WAITING_MAX", 2)
    folders = {"signature_invalid", "signature_missing"}
    chosen = [
        path for path in CASES if path.parent.name in folders or path.name.startswith("full.")
    ]
    for path in chosen:
        _, expected = run(path, VECTORS)
        _, found = run(path, VECTORS, processes=2)
        assert dumps(found) == dumps(expected), path.name


def scanned(heads: dict[str, tuple[int, bytes]]) -> bytes:
    """The subject map's root of *heads*, by an ordered scan."""
    rows = sorted((subject_map.subject_key(name), *head) for name, head in heads.items())
    found = root_of_sorted((key, subject_map.leaf_hash(key, seq, leaf)) for key, seq, leaf in rows)
    return found or subject_map.EMPTY_ROOT


@settings(max_examples=examples(80), deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"packet/[a-z0-9]{1,6}", fullmatch=True),
        st.tuples(st.integers(0, 1000), st.binary(min_size=32, max_size=32)),
        max_size=40,
    )
)
def test_the_scan_gives_the_map_root(heads: dict[str, tuple[int, bytes]]) -> None:
    """The subject map's root by an ordered scan is not the one of the tree."""
    assert scanned(heads) == subject_map.root_of(heads)


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=90))
def test_a_map_on_disk_is_the_same_whenever_it_is_asked_for(steps: list[tuple[int, bool]]) -> None:
    """A root that was kept of rows in the file outlives a change below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subjects, "ROWS_READ_MAX", 2)
        table, heads = SubjectTable(1), dict[str, tuple[int, bytes]]()
        for number, (name, is_asked) in enumerate(steps):
            subject, leaf = f"packet/{name}", number.to_bytes(32, "big")
            seq = heads[subject][0] + 1 if subject in heads else 0
            heads[subject] = seq, leaf
            table.put(subject, Row(seq + 1, leaf))
            if is_asked:
                assert table.root() == subject_map.root_of(heads)
        assert table.root() == subject_map.root_of(heads)
        table.close()


def test_a_map_on_disk_is_read_only_where_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each map that a log of many subjects commits to costs as much as all of them: 2 s of 200,001, over and over."""
    read: list[str] = []
    unpack = subjects._unpack
    monkeypatch.setattr(subjects, "_unpack", lambda text: (read.append(text), unpack(text))[1])
    table = SubjectTable(100)
    for number in range(5_000):
        table.put(f"packet/{number}", Row(1, number.to_bytes(32, "big")))
    table.root()
    read.clear()
    table.put("ledger", Row(1, bytes(32)))
    table.root()
    assert 0 < len(read) <= subjects.ROWS_READ_MAX + 1
    table.close()


@given(
    st.none()
    | st.builds(custody.Member, st.integers(1, 99), st.booleans())
    | st.builds(
        custody.Packet,
        st.sampled_from([custody.PENDING, custody.OWNED, custody.MOVING, custody.ENDED]),
        st.integers(0, 99),
        st.none() | st.tuples(st.text(), st.integers(1, 9)),
        st.none() | st.tuples(st.text(), st.integers(1, 9)),
    )
)
def test_custody_states_survive_packing(state: custody.State | None) -> None:
    """A custody state read back from the file is another one."""
    assert custody.unpack(custody.pack(state)) == state


def test_spilled_rows_can_be_read_changed_and_listed() -> None:
    """A row in the file is not found, not replaced, or counted twice."""
    rows: DiskMap[int] = DiskMap(2, pack=str, unpack=int)
    for number in range(7):
        rows.put(f"k{number}", number)
    rows.put("k0", 100)
    assert rows.is_on_disk
    assert [rows.get(f"k{number}") for number in range(7)] == [100, 1, 2, 3, 4, 5, 6]
    assert rows.get("other") is None
    assert [value for _, value in rows.in_file_order()] == [100, 1, 2, 3, 4, 5, 6]
    rows.close()
    rows.close()


def test_the_temporary_file_goes_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A temporary file stays after a verification."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = SubjectTable(1)
    seen: set[bool] = set()
    run(VECTORS / "golden/v1/full.case.json", VECTORS, subjects_in_memory=1,
        progress=lambda *_: seen.add(any(tmp_path.iterdir())))  # fmt: skip
    table.close()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.binary(min_size=32, max_size=32)),
            min_size=1,
            max_size=12,
        ),
        max_size=6,
    ),
    st.sampled_from([0, 16, 10_000]),
)
def test_the_map_is_one_however_it_grew(
    batches: list[list[tuple[int, bytes]]], path_cost: int
) -> None:
    """Leaf by leaf and built in one go, the subject map has different roots or proofs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_map, "_PATH_COST", path_cost)
        grown = subject_map.SubjectMap()
        heads: dict[str, tuple[int, bytes]] = {}
        for number, batch in enumerate(batches):
            for name, leaf in batch:
                heads[f"packet/{name}"] = (number, leaf)
                grown.update(f"packet/{name}", number, leaf)
            assert grown.root() == scanned(heads)
        for name, head in heads.items():
            assert subject_map.check_present(grown.prove(name), grown.root(), name) == head
        subject_map.check_absent(grown.prove("packet/none"), grown.root(), "packet/none")


@pytest.mark.process
def test_a_killed_worker_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a worker dies, its signatures go unchecked or the verifier raises."""
    monkeypatch.setattr(signatures, "START_AT", 0)
    monkeypatch.setattr(signatures, "BATCH", 2)
    here, honest = os.getpid(), ed25519.verify

    def dying(public: bytes, message: bytes, signature: bytes) -> bool:
        if os.getpid() != here:
            os._exit(9)
        return honest(public, message, signature)

    monkeypatch.setattr(ed25519, "verify", dying)
    for name in ("golden/v1/full", "tampered/signature_invalid/edit"):
        _, expected = run(VECTORS / f"{name}.case.json", VECTORS)
        _, found = run(VECTORS / f"{name}.case.json", VECTORS, processes=2)
        assert dumps(found) == dumps(expected)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_claims_survive_the_file(limit: int) -> None:
    """What is asked and proven of a history is forgotten once it lies in the file."""
    histories = Histories(limit)
    for name in ("packet/p", "keys", "member/m", "keys"):
        histories.need(name)
    for name in ("keys", "member/m", "member/z", "policy"):
        histories.begin_proof(name)
    histories.place("keys", (7, b"\x01" * 32))
    histories.place("member/m", None)
    assert list(histories.needed()) == ["keys", "member/m", "packet/p"]
    assert histories.claim("keys") == Claim(True, True, True, (7, b"\x01" * 32))
    assert histories.claim("member/m") == Claim(True, True, True, None)
    assert histories.claim("packet/p") == Claim(is_needed=True)
    assert histories.claim("member/other") == Claim()
    with pytest.raises(errors.LineError):
        histories.begin_proof("member/z")
    histories.close()


class Weighed(reader.LineReader):
    """Lines, and for each map proof the most memory that it took for a moment."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.taken: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        for text in super().__iter__():
            is_proof = text.startswith(b'{"index":')
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            yield text
            if is_proof:
                self.taken.append(tracemalloc.get_traced_memory()[1] - before)


def test_a_map_proof_costs_the_same_however_many_histories_there_are() -> None:
    """Each map proof copies what the lines before it showed: quadratic time for a hostile file."""
    log = MemoryLog()
    genesis(log)
    create(log, "fp-001")
    for number in range(1_500):
        register(log, f"m{number}", "00" * 32)
    log.commit_index()
    whole = [canonical.decode(line) for line in log.full().splitlines()]
    entries: list[Any] = [line for line in whole if isinstance(line, dict) and "e" in line]
    header = {"kind": "subject", "lineage": 1, "origin": log.origin, "size": log.size()}
    header |= {"start": 0, "stop": log.size(), "subject": "packet/fp-001", "writer": "x"}
    proof = {"key": None, "leaf": "00" * 32, "path": [], "seq": 0}
    lines: list[Any] = [header, *(line | {"p": []} for line in entries)]
    lines += [
        {"index": log.size() - 1, "map": proof, "subject": f"member/m{number}"}
        for number in range(100)
    ]
    weighed = Weighed(b"".join(canonical.encode(line) + b"\n" for line in lines))
    seen = Examination(
        Findings(), anchor=None, is_quick=True, remembered_size=None, processes=1,
        subjects_in_memory=10_000, progress=None,
    )  # fmt: skip
    tracemalloc.start()
    seen.read(weighed)
    tracemalloc.stop()
    assert len(list(seen.histories.needed())) == 1_503
    assert len(weighed.taken) == 100
    assert max(weighed.taken) < 20_000
    seen.close()
