"""What if this storage call fails: the first, the second, the third ...; before it took effect, or after.

A story is told against an engine whose n-th storage call raises.  Whatever happens, the same engine goes on; and in the
end: what was acknowledged is there, what was said not to be recorded is not, the ledger verifies and runs again, and
the folded tables are the fold.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.faulty import Faulty
from support.ledgers import OPERATOR, fresh, opened, packet, register, submit, verified

from pfgov.core import commands as c
from pfgov.engine import Engine, Idempotency, LedgerReader, Receipt
from pfgov.engine.reading.replay import Replay
from pfgov.errors import PfgovError, StoreError
from pfgov.storage import open_store


def _context(engine: Engine, packet_id: str) -> Callable[[], Receipt]:
    context = engine.attach(f"packet/{packet_id}", "context", b'{"a":1}')

    def run() -> Receipt:
        return submit(engine, packet(packet_id, context=context.commitment), attachments=(context,))

    return run


def prepare(engine: Engine) -> None:
    """What the story takes for granted."""
    register(engine, "m")
    submit(engine, packet("p0"))


def tell(engine: Engine) -> tuple[dict[int, bytes], int]:
    """Run commands of every kind of write; return the acknowledged entries and how many commands were refused."""
    acknowledged: dict[int, bytes] = {}
    refused = 0
    erase = c.EraseAttachment(subject="packet/p4", commitment="0" * 64, why="retention")
    steps: list[Callable[[], Receipt]] = [
        lambda: register(engine, "n"),
        lambda: submit(engine, packet("p1"), idempotency=Idempotency("k1", b"d")),
        lambda: submit(engine, packet("p2", required_capabilities=("nothing",))),
        lambda: submit(engine, c.CancelPacket(packet_id="p0")),
        _context(engine, "p3"),
        lambda: submit(engine, c.Configure(settings=(("lease_seconds", "45"),))),
        lambda: submit(engine, erase),
        lambda: engine.submit(c.CommitIndex(), principal=c.ENGINE),
        lambda: submit(engine, packet("p5"), idempotency=Idempotency("k5", b"d")),
    ]
    for step in steps:
        try:
            receipt = step()
        except StoreError:
            refused += 1
        else:
            acknowledged.update({row.seq: row.raw for row in receipt.entries})
    return acknowledged, refused


def check(directory: Path, tmp_path: Path, acknowledged: dict[int, bytes]) -> None:
    """Hold the ledger to its promises."""
    with LedgerReader(open_store(directory)) as reader:
        stored = {r.row.seq: r.row.raw for r in reader.entries()}
        assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
        reader.replay()
    report = verified(directory, tmp_path, replayer=Replay())
    assert report.exit_status == 0
    assert report.verdicts["replay"].status.value == "pass"


def _points() -> list[tuple[str, str, int]]:
    """Every storage call that the story makes, found by telling it once without a fault."""
    names = {
        "open": 2, "begin": 9, "entries": 9, "packets": 5, "members": 4, "ledger_state": 1, "answers": 2,
        "attachments": 1, "tables": 3, "checkpoint": 9, "erased": 1, "commit": 9, "publish": 9,
    }  # fmt: skip
    return [
        (name, when, number)
        for name, most in names.items()
        for when in ("before", "after")
        for number in sorted({1, 2, most})
        if number <= most
    ]


@pytest.mark.parametrize(("name", "when", "number"), _points())
def test_faults_one_storage_call_fails(tmp_path: Path, name: str, when: str, number: int) -> None:
    """After a failure anywhere the engine answers from what is on disk, goes on, and nothing acknowledged is lost."""
    directory = fresh(tmp_path)
    faulty = Faulty(name, when, number)
    with opened(directory, probe=faulty) as engine:
        prepare(engine)
        faulty.armed = True
        if name == "open":
            engine._sequencer._lose()  # as after a failed commit: everything is opened again
            with pytest.raises(PfgovError) if number == 1 else _no_error():
                engine.status()
        acknowledged, refused = tell(engine)
        faulty.armed = False
        assert faulty.hits == (1 if name != "open" or number == 1 else faulty.hits)
        status = engine.status()
        for key, packet_id in (("k1", "p1"), ("k5", "p5")):
            receipt = submit(engine, packet(packet_id), idempotency=Idempotency(key, b"d"))
            acknowledged.update({row.seq: row.raw for row in receipt.entries})
        assert register(engine, "last").count == 1
        if name != "open":
            assert status.reloads == 1
            # a call that took effect before it failed is found in the store, and its caller never hears of it
            assert refused == (
                0
                if (name, when)
                in {("commit", "after"), ("publish", "before"), ("publish", "after")}
                else 1
            )
    check(directory, tmp_path, acknowledged)


class _no_error:  # noqa: N801 - reads like a statement
    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, *_: object) -> None:
        """Nothing."""


def test_faults_the_story_makes_the_calls_that_are_failed(tmp_path: Path) -> None:
    """Every point of failure above exists; a call that is added to the store has to be added there."""
    faulty = Faulty()
    with opened(fresh(tmp_path), probe=faulty) as engine:
        prepare(engine)
        faulty.armed = True
        acknowledged, refused = tell(engine)
    assert refused == 0
    assert len(acknowledged) == 13
    made = {name: count for (name, when), count in faulty.calls.items() if when == "before"}
    for name, _, number in _points():
        assert name == "open" or made[name] >= number, (name, number, made)
    assert set(made) == {name for name, _, _ in _points()} - {"open"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_faults_a_store_that_stays_broken_says_so_and_recovers(tmp_path: Path, when: str) -> None:
    """While the disk is gone every command fails with a store error; when it is back the same engine works."""
    directory = fresh(tmp_path)
    faulty = Faulty("begin", when, 1, lasting=True)
    with opened(directory, probe=faulty) as engine:
        prepare(engine)
        faulty.armed = True
        acknowledged, refused = tell(engine)
        assert (acknowledged, refused) == ({}, 9)
        faulty.armed = False
        receipt = register(engine, "n")
        assert receipt.position == 5
    check(directory, tmp_path, {receipt.position: receipt.entry})


def test_faults_an_unknown_outcome_is_called_unknown(tmp_path: Path) -> None:
    """When the commit took effect and the store cannot be read, nobody is told a lie; the key finds the answer."""
    directory = fresh(tmp_path)
    key = Idempotency("k", b"d")
    faults = [Faulty("commit", "after", 1), Faulty("open", "before", 1, lasting=True)]

    def probe(name: str, when: str) -> None:
        for faulty in faults:
            faulty(name, when)

    with opened(directory, probe=probe) as engine:
        register(engine, "m")
        for faulty in faults:
            faulty.armed = True
        with pytest.raises(StoreError) as caught:
            submit(engine, packet("p"), idempotency=key)
        assert caught.value.code == "store.outcome_unknown"
        with pytest.raises(PfgovError):
            submit(engine, packet("q"))
        for faulty in faults:
            faulty.armed = False
        receipt = submit(engine, packet("p"), idempotency=key)
        assert (receipt.replayed, receipt.count) == (True, 2)
    check(directory, tmp_path, {row.seq: row.raw for row in receipt.entries})


def test_faults_a_batch_fails_or_stands_as_a_whole(tmp_path: Path) -> None:
    """When the commit of many commands fails, each is answered by what is on disk: all or none."""
    for when, expected in (("before", 0), ("after", 8)):
        directory = fresh(tmp_path / when)
        faulty = Faulty("commit", when, 1)
        with opened(directory, probe=faulty) as engine:
            register(engine, "m")
            faulty.armed = True
            with engine._queue._turn:
                futures = [
                    engine.submit_nowait(packet(f"p{i}"), principal=OPERATOR) for i in range(8)
                ]
            outcomes = [future.exception(30) for future in futures]
            assert outcomes.count(None) == expected
            faulty.armed = False
            assert register(engine, "last").position == 3 + 2 * expected
        check(directory, tmp_path, {})


def test_faults_a_full_disk_says_so_and_recovers(tmp_path: Path) -> None:
    """A full disk refuses commands with its own code, keeps everything before, and works again when there is room."""
    directory = fresh(tmp_path)
    acknowledged: dict[int, bytes] = {}
    with opened(directory) as engine:
        register(engine, "m")
        connection = engine._sequencer.queries.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")
        codes = set()
        for i in range(60):
            try:
                receipt = submit(engine, packet(f"p{i}", labels=(("x", "y" * 250),)))
            except StoreError as error:
                codes.add(error.code)
                break
            acknowledged.update({row.seq: row.raw for row in receipt.entries})
        assert codes == {"store.full"}
        assert acknowledged
        receipt = register(engine, "n")  # the connection was opened again, so the bound is gone
        assert receipt.position == 3 + len(acknowledged)
    check(directory, tmp_path, acknowledged)


def test_faults_a_rule_that_breaks_spoils_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When an event cannot be applied its command fails, and the others of its batch are decided again and stand."""
    from pfgov.engine.sequencing import deciding

    directory = fresh(tmp_path)
    real = deciding.apply

    def breaking(state: object, event: object, stamp: object) -> None:
        real(state, event, stamp)  # type: ignore[arg-type]
        if getattr(event, "packet_id", "") == "bad":
            raise KeyError("our own mistake")

    with opened(directory) as engine:
        register(engine, "m")
        monkeypatch.setattr(deciding, "apply", breaking)
        with engine._queue._turn:
            futures = [
                engine.submit_nowait(packet(name), principal=OPERATOR)
                for name in ("a", "bad", "b", "bad", "c")
            ]
        outcomes = [type(future.exception(30)).__name__ for future in futures]
        assert outcomes == [
            "NoneType",
            "StateSpoiledError",
            "NoneType",
            "StateSpoiledError",
            "NoneType",
        ]
        assert [p.packet_id for p in engine.reader.packets()] == ["a", "b", "c"]
        assert engine.status().members == 1
    check(directory, tmp_path, {})


def test_faults_leases_survive_a_reload(tmp_path: Path) -> None:
    """After a failed commit the leases are those that were held before it."""
    faulty = Faulty("commit", "before", 1)
    with opened(fresh(tmp_path), probe=faulty) as engine:
        register(engine, "m", lease_seconds=30)
        before = engine._sequencer.leases.rows(0)
        faulty.armed = True
        with pytest.raises(StoreError):
            submit(engine, packet("p"))
        assert engine._sequencer.leases.rows(0) == before
