"""What if a key ceremony stops: at any of its steps, by an error or by SIGKILL, in a thread or beside a writer process.

Whatever happens, the ledger has one key in force for each role and can sign with it: in the same engine after an error,
in the next one after a kill.  Nothing acknowledged is lost, and everything verifies under the anchor from before.
"""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faulty import Faulty
from support.killed import rotate_until_killed
from support.ledgers import fresh, opened, place, register, verified
from support.writers import threaded

from pfgov.engine import Engine, Layout, LedgerReader
from pfgov.engine.answers import Caller, Idempotency
from pfgov.engine.committing.process import ProcessCommitter
from pfgov.engine.keys.signing import KeySources, ledger_keys
from pfgov.engine.maintenance import ceremony
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.reading.replay import Replay
from pfgov.errors import PfgovError
from pfgov.storage import open_store
from pfgov_ledger import export, keys
from pfgov_ledger.verify import verify

ROLES: tuple[ceremony.Role, ...] = ("issuer", "log")
COMMIT = ("begin", "entries", "ledger_state", "checkpoint", "commit", "publish")
FILES = ("key_made", "key_exchanged")
ANCHOR = "anchor_written"
PATIENCE_SECONDS = 60


def points(role: ceremony.Role) -> list[tuple[ceremony.Role, str, str]]:
    """Every step of a rotation, before it and after it."""
    names = (*FILES, *COMMIT, *([ANCHOR] if role == "log" else []))
    return [(role, name, when) for name in names for when in ("before", "after")]


POINTS = [*points("issuer"), *points("log")]


def check(directory: Path, tmp_path: Path, anchor: str, role: ceremony.Role) -> bool:
    """Hold the ledger to its promises; return whether another key took over."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        known = ledger_keys(queries)
    in_force = [key for key in known.values() if key.role == role and key.until is None]
    assert len(in_force) == 1
    layout = Layout(directory)
    assert keys.file_signer(layout.key(role)).public.hex() == in_force[0].public
    assert (keys.parse_anchor((directory / "anchor.txt").read_text()).log_vkey) == keys.vkey_of(
        KeySources(layout).chosen(known).log
    )
    target = tmp_path / "all.jsonl"
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_full(log, out)
    for text in (anchor, (directory / "anchor.txt").read_text()):
        report = verify(target, anchor=keys.parse_anchor(text), replayer=Replay())
        assert report.exit_status == 0, report
    return len(known) == 4


@pytest.mark.parametrize(("role", "name", "when"), POINTS)
def test_faults_a_step_of_a_rotation_fails(
    tmp_path: Path, role: ceremony.Role, name: str, when: str
) -> None:
    """After an error at any step the same engine signs on, the rotation is done or can be, and all verifies."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    faulty = Faulty(name, when, 1)
    with opened(directory, probe=faulty) as engine:
        faulty.armed = True
        try:
            first = ceremony.rotate(engine, role)
        except PfgovError:
            first = None
        assert faulty.hits == 1
        register(engine, "m")
        with engine.reader.snapshot() as queries:
            known = ledger_keys(queries)
        assert len(known) == (3 if first is None else 4)
        if first is None:
            first = ceremony.rotate(engine, role)
        place(engine, "p")
    with opened(directory, seed="again") as engine:
        place(engine, "q")
    assert check(directory, tmp_path, anchor, role)
    assert not Layout(directory).next_key(role).exists()


@pytest.mark.parametrize(("name", "when"), [(n, w) for n in COMMIT for w in ("before", "after")])
@pytest.mark.parametrize("role", ROLES)
def test_faults_the_writer_beside_the_engine_fails_under_a_rotation(
    tmp_path: Path, role: ceremony.Role, name: str, when: str
) -> None:
    """With the committing side elsewhere an error in its commit is healed in the same way."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    faulty = Faulty(name, when, 1)
    with opened(directory, committing="process", start_writer=threaded(faulty)) as engine:
        faulty.armed = True
        try:
            ceremony.rotate(engine, role)
        except PfgovError:
            ceremony.rotate(engine, role)
        assert faulty.hits == 1
        register(engine, "m")
    assert check(directory, tmp_path, anchor, role)


@pytest.mark.parametrize(("name", "when"), [(n, w) for n in COMMIT for w in ("before", "after")])
def test_faults_a_storage_call_of_a_revocation_fails(tmp_path: Path, name: str, when: str) -> None:
    """Whatever fails, the statement is recorded once: at once, or when it is sent again."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    faulty = Faulty(name, when, 1)
    caller = Caller(idempotency=Idempotency("k", b"d"))
    with opened(directory, probe=faulty) as engine:
        old = ceremony.rotate(engine, "issuer").old or ""
        with engine.reader.snapshot() as queries:
            known, place_ = (
                ledger_keys(queries),
                ceremony.place_of(queries, engine.layout, engine.origin),
            )
        guard = ceremony.recovery_key(known, Layout(directory).key("recovery"))
        action = ceremony.sign_revocation(place_, known[old], guard)
        faulty.armed = True
        try:
            ceremony.revoke(engine, action, place_, caller=caller)
        except PfgovError:
            register(engine, "m")
        assert faulty.hits == 1
        ceremony.revoke(engine, action, place_, caller=caller)
        assert len(engine.reader.lineage("keys")) == 2
        register(engine, "n")
    assert check(directory, tmp_path, anchor, "issuer")


@pytest.fixture(scope="module")
def context() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Children that are forked from a process which has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["support.killed"])
        yield context


def _killed(committing: str) -> list[tuple[ceremony.Role, str, str]]:
    """The steps that the engine's own process makes."""
    if committing == "thread":
        return POINTS
    handed_over = [(role, "handed_over", "after") for role in ROLES]
    return [*(one for one in POINTS if one[1] not in COMMIT), *handed_over]


@pytest.mark.process
@pytest.mark.parametrize(
    ("committing", "role", "name", "when"),
    [(c, *point) for c in ("thread", "process") for point in _killed(c)],
)
def test_faults_sigkill_at_a_step_of_a_rotation(
    tmp_path: Path,
    context: multiprocessing.context.ForkServerContext,
    committing: str,
    role: ceremony.Role,
    name: str,
    when: str,
) -> None:
    """Killed at any step, the next start signs with the old key or the new one, and what was acknowledged is there."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    ours, theirs = context.Pipe(duplex=False)
    arguments = (str(directory), committing, role, name, when, theirs)
    child = context.Process(target=rotate_until_killed, args=arguments)
    child.start()
    theirs.close()
    acknowledged: dict[int, bytes] = {}
    while ours.poll(PATIENCE_SECONDS):
        try:
            acknowledged.update(ours.recv())
        except EOFError:
            break
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == -9, "it was killed where it was to be"
    assert acknowledged
    with Engine.open(open_store(directory)) as engine:
        position = register(engine, "after").position
        stored = {found.row.seq: found.row.raw for found in engine.reader.entries()}
        assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
        assert position == len(stored) - 1
        engine.reader.replay()
    has_changed = check(directory, tmp_path, anchor, role)
    assert has_changed or name not in {"handed_over", "key_exchanged", ANCHOR}
    with Engine.open(open_store(directory)) as engine:
        ceremony.rotate(engine, role)
        register(engine, "again")
    assert verified(directory, tmp_path).exit_status == 0


@pytest.mark.process
@pytest.mark.parametrize("role", ROLES)
def test_faults_the_writer_process_dies_between_key_and_entry(
    tmp_path: Path, role: ceremony.Role
) -> None:
    """When the writer process is killed once the key lies ready, another is started and carries the rotation out."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    engines: list[Engine] = []

    def kill(name: str, when: str) -> None:
        if (name, when) == ("key_made", "after"):
            committer = engines[0]._sequencer.committer
            assert isinstance(committer, ProcessCommitter)
            committer._child.kill()
            committer._child.wait()

    with opened(directory, committing="process", probe=kill) as engine:
        engines.append(engine)
        register(engine, "m")
        ceremony.rotate(engine, role)
        assert engine.status().reloads == 1
        register(engine, "n")
    assert check(directory, tmp_path, anchor, role)
