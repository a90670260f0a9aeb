"""Checkpoints are cosigned by witnesses, kept, and whatever they refuse is noticed; nobody waits for a slow one."""

import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
from support.ledgers import fresh, opened, register
from support.witnesses import NOW, follow, head_of, log_key, policy_of, served

from pfgov.clock import ManualClock
from pfgov.engine import LedgerReader
from pfgov.engine.maintenance import ceremony
from pfgov.engine.witnessing.asking import Reply, poster
from pfgov.engine.witnessing.keeping import load_note, witnessed
from pfgov.engine.witnessing.rounds import ANSWER_SECONDS, LedgerLog, Rounds
from pfgov.errors import InvalidError
from pfgov.storage import open_store
from pfgov_ledger import checkpoint, note
from pfgov_ledger.tlog_policy import Policy, parse


def _rounds(directory: Path, policy: Policy, **options: object) -> Rounds:
    return Rounds(
        lambda: LedgerLog(open_store(directory)),
        directory,
        policy,
        **options,  # type: ignore[arg-type]
    )


def _grow(directory: Path, name: str, count: int = 3) -> None:
    with opened(directory, seed=name) as engine:
        for number in range(count):
            register(engine, f"{name}{number}")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger of five entries."""
    found = fresh(tmp_path)
    _grow(found, "a")
    return found


def test_witnessing_a_quorum_cosigns_and_is_kept(directory: Path, tmp_path: Path) -> None:
    """The cosignatures do not hold, are lost at a restart, or the ledger's growth is not followed."""
    clock = ManualClock(NOW)
    vkey = log_key(directory)
    with (
        served(tmp_path / "w1", "one.test/w", vkey, clock=clock) as one,
        served(tmp_path / "w2", "two.test/w", vkey, clock=clock) as two,
    ):
        policy = policy_of(one, two)
        rounds = _rounds(directory, policy)
        assert rounds.newest is None
        assert [s.outcome for s in rounds.run_once()] == ["cosigned", "cosigned"]
        newest = rounds.newest
        assert newest is not None
        assert (newest.size, newest.time) == (5, NOW // 1_000_000)
        keys = [party.vkey for party in policy.witnesses.values()]
        opened_ = checkpoint.open_checkpoint(newest.signed, [note.parse_vkey(vkey)], keys)
        assert len(opened_.witnesses) == 2
        again = _rounds(directory, policy)
        assert again.newest == newest
        assert [s.known for s in again.standings()] == [5, 5]
        _grow(directory, "b")
        assert {s.known for s in again.run_once()} == {8}
        assert again.newest is not None
        assert again.newest.size == 8
        (
            directory / "witnesses.json"
        ).unlink()  # what a witness knows is asked: 409, and again from there
        (directory / "witnessed.note").write_bytes(b"damaged")
        lost = _rounds(directory, policy)
        assert (lost.newest, {s.known for s in lost.standings()}) == (None, {0})
        _grow(directory, "c")
        assert {(s.outcome, s.known) for s in lost.run_once()} == {("cosigned", 11)}


def test_witnessing_too_few_are_no_quorum(directory: Path, tmp_path: Path) -> None:
    """One witness of two counts as both, or a dead one keeps the other from being asked."""
    with served(tmp_path / "w1", "one.test/w", log_key(directory)) as one:
        with served(tmp_path / "w2", "two.test/w") as two:
            dead = two
        rounds = _rounds(directory, policy_of(dead, one))
        assert [s.outcome for s in rounds.run_once()] == ["failed", "cosigned"]
        assert rounds.newest is None
        least = _rounds(directory, policy_of(dead, one, least=1))
        least.run_once()
        assert least.newest is not None


def test_witnessing_an_unknown_log_or_key_is_said_with_the_remedy(
    directory: Path, tmp_path: Path
) -> None:
    """Nobody learns that a witness has to be told the log, or its new key."""
    folder = tmp_path / "w1"
    with served(folder, "one.test/w") as one:
        rounds = _rounds(directory, policy_of(one))
        (standing,) = rounds.run_once()
        assert (standing.outcome, standing.is_alarm) == ("refused", False)
        assert "pfgov ledger keys" in standing.why
        other = fresh(tmp_path / "other")
        with opened(other) as engine:
            shutil.rmtree(other / "unused", ignore_errors=True)
            assert engine.origin == "pfgov.test/one"
        (tmp_path / "k").mkdir()
        from pfgov_ledger import keys as ledger_keys

        stranger = ledger_keys.SeedSigner(role="log", name="pfgov.test/one", seed=bytes(32))
        follow(folder, str(ledger_keys.vkey_of(stranger)))
        (standing,) = rounds.run_once()
        assert standing.why.startswith("403")
        follow(folder, log_key(directory))
        assert rounds.run_once()[0].outcome == "cosigned"


def test_witnessing_goes_on_through_a_rotation_and_a_restart(
    directory: Path, tmp_path: Path
) -> None:
    """A new log key is an alarm, nobody is told that the witness needs it, or a restarted witness begins anew."""
    folder, first = tmp_path / "w1", log_key(directory)
    with served(folder, "one.test/w", first) as one:
        assert _rounds(directory, policy_of(one)).run_once()[0].outcome == "cosigned"
    with opened(directory, seed="rotating") as engine:
        ceremony.rotate(engine, "log")
    _grow(directory, "b")
    assert log_key(directory) != first
    with served(folder, "one.test/w", first) as one:  # restarted, and not told yet
        rounds = _rounds(directory, policy_of(one))
        (standing,) = rounds.run_once()
        assert (standing.outcome, standing.is_alarm) == ("refused", False)
        assert standing.why.startswith("403")
        follow(folder, first, log_key(directory))
        (standing,) = rounds.run_once()
        assert standing.outcome == "cosigned"
        assert rounds.newest is not None
        assert rounds.newest.size == head_of(directory)[0]


def test_witnessing_a_fork_and_a_rollback_are_alarms_until_healed(
    directory: Path, tmp_path: Path
) -> None:
    """Another history of this name goes on without anybody noticing; or the alarm never ends."""
    older, forked = tmp_path / "older", tmp_path / "forked"
    shutil.copytree(directory, older)
    shutil.copytree(directory, forked)
    _grow(directory, "b")
    _grow(forked, "x")
    with served(tmp_path / "w1", "one.test/w", log_key(directory)) as one:
        policy = policy_of(one)
        honest = _rounds(directory, policy)
        assert honest.run_once()[0].known == 8
        for liar, said in ((older, "rolled back"), (forked, "another root over 8")):
            rounds = _rounds(liar, policy)
            (standing,) = rounds.run_once()
            assert (standing.outcome, standing.is_alarm) == ("alarm", True), standing
            assert said in standing.why
            assert rounds.newest is None
        _grow(forked, "y")
        rounds = _rounds(forked, policy)
        (standing,) = rounds.run_once()
        assert (standing.outcome, standing.is_alarm) == ("alarm", True)
        assert "not the history it has seen" in standing.why
        assert len(list((tmp_path / "w1" / "evidence").iterdir())) == 2
        assert [one.name for one in rounds.alarms] == ["w0"]
        assert honest.run_once()[0].outcome == "cosigned"
        assert honest.alarms == []


def test_witnessing_an_alarm_stays_while_the_witness_is_silent(directory: Path) -> None:
    """A witness that alarmed and then does not answer looks well again."""
    replies = [
        Reply(422, "text/plain", b""),
        Reply(500, "text/plain", b""),
        Reply(409, "x", b"99\n"),
    ]
    policy = policy_of(f"{_any_vkey()} http://w.test")
    rounds = _rounds(directory, policy, post=lambda *_: replies.pop(0))
    assert rounds.run_once()[0].is_alarm
    assert rounds.run_once()[0].outcome == "failed"
    assert rounds.alarms
    (standing,) = rounds.run_once()
    assert (standing.known, standing.outcome) == (99, "alarm")


def _any_vkey() -> str:
    from pfgov_ledger import keys

    return str(keys.vkey_of(keys.SeedSigner(role="witness", name="w.test/w", seed=bytes(32))))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, "text/plain", b""), "refused"),
        (Reply(200, "text/plain", b"nonsense\n"), "refused"),
        (Reply(200, "text/plain", "\u2014 w.test/w AAAAAAA=\n".encode()), "refused"),
        (Reply(409, "text/plain", b"many"), "refused"),
        (Reply(409, "text/plain", b"0\n"), "alarm"),
        (Reply(400, "text/plain", b""), "refused"),
        (Reply(302, "text/plain", b""), "failed"),
        (Reply(503, "text/plain", b""), "failed"),
    ],
)
def test_witnessing_every_answer_means_something(directory: Path, reply: Reply, kind: str) -> None:
    """A lying or broken witness is taken for one that cosigned, or stops the others."""
    rounds = _rounds(directory, policy_of(f"{_any_vkey()} http://w.test"), post=lambda *_: reply)
    (standing,) = rounds.run_once()
    assert standing.outcome == kind
    assert rounds.newest is None


def test_witnessing_a_witness_that_names_another_size_each_time_is_left(directory: Path) -> None:
    """It is asked for ever."""
    sizes = iter((1, 2, 3, 4, 5))
    asked: list[str] = []

    def post(url: str, _: bytes) -> Reply:
        asked.append(url)
        return Reply(409, "text/x.tlog.size", b"%d\n" % next(sizes))

    rounds = _rounds(directory, policy_of(f"{_any_vkey()} http://w.test/prefix/"), post=post)
    assert rounds.run_once()[0].outcome == "failed"
    assert asked == ["http://w.test/prefix/add-checkpoint"] * 3


def test_witnessing_a_witness_needs_a_url(directory: Path) -> None:
    """A policy that is good for verifying alone is taken, and nobody is ever asked."""
    for text in (f"witness w {_any_vkey()}\nquorum w", "quorum none"):
        with pytest.raises(InvalidError) as caught:
            _rounds(directory, parse(text))
        assert caught.value.code == "witness.policy"


def test_witnessing_a_kept_note_without_a_quorum_is_nothing(directory: Path) -> None:
    """A note that somebody put there counts as witnessed."""
    _, signed = head_of(directory)
    policy = policy_of(f"{_any_vkey()} http://w.test")
    (directory / "witnessed.note").write_bytes(signed)
    assert load_note(directory, policy) is None
    assert witnessed(b"nonsense", policy) is None


def test_witnessing_goes_on_beside_a_slow_one(directory: Path, tmp_path: Path) -> None:
    """A witness that hangs keeps the others, the next round, or the end of the server waiting."""
    hanging, released = "http://hanging.test", threading.Event()
    send = poster(ANSWER_SECONDS)

    def post(url: str, body: bytes) -> Reply:
        if url.startswith(hanging):
            released.wait()  # for as long as the test lasts, however slow this machine is
            raise TimeoutError
        return send(url, body)

    with served(tmp_path / "w1", "one.test/w", log_key(directory)) as one:
        policy = policy_of(f"{_any_vkey()} {hanging}", one, least=1)
        rounds = _rounds(directory, policy, interval_seconds=60.0, post=post)
        rounds.start()
        try:
            _until(lambda: rounds.newest is not None and rounds.newest.size == 5)
            _grow(directory, "b")
            rounds.want()
            _until(lambda: rounds.newest is not None and rounds.newest.size == 8)
            rounds.stop()
            assert [s.outcome for s in rounds.standings()] == [None, "cosigned"]
        finally:
            rounds.stop()
            released.set()


def _until(true: "object") -> None:
    for _ in range(10_000):  # a bound for a test that fails, not a measure
        if true():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_witnessing_a_trickling_answer_has_a_deadline() -> None:
    """A witness that sends a byte now and then holds its thread for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            try:
                for _ in range(1_000):
                    connection.sendall(b"x")
                    time.sleep(0.01)
            except OSError:
                pass

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    with pytest.raises(OSError):
        poster(0.3)(f"http://127.0.0.1:{listener.getsockname()[1]}/add-checkpoint", b"x")
    listener.close()
    thread.join()


def test_witnessing_begins_before_the_first_checkpoint_is_read(
    directory: Path, tmp_path: Path
) -> None:
    """A witness that is asked before there is anything to ask about is never asked again."""
    with served(tmp_path / "w", "one.test/w", log_key(directory)) as one:
        rounds = _rounds(directory, policy_of(one), interval_seconds=0.05)
        asking = threading.Thread(target=rounds._asker("w0"), daemon=True)
        asking.start()
        asking.join(0.2)
        assert asking.is_alive()
        with LedgerReader(open_store(directory)) as reader:
            rounds._begin(reader)
        for _ in range(200):
            if rounds.newest is not None:
                break
            time.sleep(0.05)
        rounds.stop()
        asking.join(5)
        assert rounds.newest is not None
