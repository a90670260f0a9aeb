"""What lies where a file of ours belongs may be a pipe, a device or endless: whoever looks is told, and goes on."""

import os
import select
import signal
import stat
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from support.ledgers import fresh

from pfgov.app.change.bundling import unpack
from pfgov.app.local.folder import acting_on_folder, reading_folder
from pfgov.app.local.tiles import publish
from pfgov.app.webhook import Delivery, Webhooks, read_webhooks
from pfgov.app.webhook import delivering as webhook
from pfgov.app.witness.book import LOGS, create
from pfgov.cli.ledger.verify import anchor_from
from pfgov.cli.output import Output
from pfgov.engine.maintenance.migrating import _copy_beside
from pfgov.engine.witnessing import keeping
from pfgov.engine.witnessing.rounds import read_policy
from pfgov.errors import PfgovError, StoreUnavailableError
from pfgov.files import copy_regular, read_regular, replace_private, replace_public
from pfgov.policy.authoring.scaffold import make
from pfgov.policy.load import parse_file
from pfgov.policy.problems import Problem
from pfgov.storage.moving import POINTER, leave, require_here
from pfgov.storage.postgres.folder import keep_url
from pfgov_api.keyring import KeyRing
from pfgov_api.oidc.settings import read_settings
from pfgov_ledger.cli import main
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.following import FollowingFileError, _open

PATIENCE_SECONDS = 20


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """End a test that waits for a pipe which nobody writes to."""

    def give_up(_number: int, _frame: Any) -> None:
        pytest.fail("it waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _in_a_child(ask: Callable[[], None]) -> None:
    """Run *ask* in a process that can be ended: SQLite, once it waits for a pipe, hears no signal of Python's."""
    child = os.fork()
    if not child:
        status = 1
        try:
            ask()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    ended = os.pidfd_open(child)
    try:
        if not select.select([ended], [], [], PATIENCE_SECONDS / 2)[0]:
            os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == 0, "it failed, or waits for ever"
    finally:
        os.close(ended)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


ODD = pytest.mark.parametrize("odd", [_pipe, _device, _folder])


@ODD
def test_what_is_no_file_is_not_read(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    """Neither a pipe nor a device nor a folder is waited for or read."""
    path = tmp_path / "one"
    odd(path)
    with pytest.raises(OSError, match="no regular file"):
        read_regular(path)


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    """A file that is too large is read as far as to see that."""
    (tmp_path / "one").write_bytes(b"x" * 100)
    assert len(read_regular(tmp_path / "one", 10)) == 11
    assert len(read_regular(tmp_path / "one", 100)) == 100


@ODD
def test_who_reads_a_file_of_ours_is_told(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    """Keys, settings, policies and what witnesses keep: each says what is wrong, and none waits."""
    path = tmp_path / "one"
    odd(path)
    for read in (
        KeyRing(path, must_exist=True).records,
        lambda: read_settings(path),
        lambda: read_policy(path),
    ):
        with pytest.raises(PfgovError):
            read()
    problems: list[Problem] = []
    assert parse_file(path, problems) is None
    assert [one.code for one in problems] == ["policy.unreadable"]
    odd(tmp_path / keeping.KNOWN)
    assert keeping.load_known(tmp_path) == {}
    odd(tmp_path / keeping.NOTE)
    assert keeping.kept(tmp_path) is None
    odd(tmp_path / webhook.FILE)
    nobody = Webhooks((), frozenset())
    assert Delivery(nobody, tmp_path, since=lambda *_: (), size=int, now=int).standings == {}
    with pytest.raises(PfgovError):
        read_webhooks(path)


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("precious"))


def _shared(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o666)


@pytest.mark.parametrize("odd", [_pipe, _link, _shared])
@pytest.mark.parametrize("draft", [".{}.{}", "{}.next", "{}.part", "{}.tmp", "api-keys.tmp"])
def test_what_is_written_goes_into_no_file_that_lies_there(
    tmp_path: Path, odd: Callable[[Path], None], draft: str
) -> None:
    """A pipe under a draft's name holds its writer for ever, a link leads it elsewhere, a shared file stays so."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    path = tmp_path / "api-keys.json"
    odd(tmp_path / draft.format(path.name, os.getpid()))
    KeyRing(path).create(("operator",), now=1)
    replace_private(path.with_name("private"), b"new", durably=True)
    for name, replace in (("private", replace_private), ("public", replace_public)):
        odd(tmp_path / f".{name}.{os.getpid()}")
        replace(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    assert precious.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


@ODD
@pytest.mark.parametrize(
    "name",
    [
        "ledger.db", "ledger.db-wal", "ledger.db-journal", "head.db", "head.db-wal", "head.db-journal",
        "keys/issuer.key", "keys/log.key", "store.url",
    ],
)  # fmt: skip
def test_a_ledger_one_of_whose_files_is_odd_is_refused(
    tmp_path: Path, odd: Callable[[Path], None], name: str
) -> None:
    """A pipe or a device in the place of a database, of its journal or a key holds every command, and the server."""
    directory = fresh(tmp_path)
    (directory / name).unlink(missing_ok=True)
    odd(directory / name)

    def ask() -> None:
        with pytest.raises((PfgovError, LedgerError)), acting_on_folder(directory):
            pass
        if name.startswith(("ledger.db", "head.db")):
            with pytest.raises(PfgovError), reading_folder(directory) as book:
                book.head()

    _in_a_child(ask)


@ODD
@pytest.mark.parametrize("beside", ["", "-wal", "-journal"])
def test_what_a_monitor_keeps_is_no_pipe(
    tmp_path: Path, odd: Callable[[Path], None], beside: str
) -> None:
    """A pipe in the place of what a monitor remembers, or of its journal, holds it."""
    odd(tmp_path / f"seen.db{beside}")

    def ask() -> None:
        with pytest.raises(FollowingFileError):
            _open(tmp_path / "seen.db")

    _in_a_child(ask)


@ODD
def test_an_odd_anchor_holds_nobody(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    """A pipe in the place of the anchor holds whoever verifies, translates or reports."""
    odd(tmp_path / "anchor.txt")
    with pytest.raises((OSError, LedgerError)):
        anchor_from(Output(tmp_path), None)


def test_a_copy_goes_into_no_file_that_lies_there_and_is_read_by_no_more_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that moves leaves its keys readable for a moment, writes into a link's end, or waits for a pipe."""
    old, new, outside = fresh(tmp_path / "old"), tmp_path / "new", tmp_path / "outside"
    outside.write_text("theirs")
    new.mkdir(mode=0o755)
    (new / "anchor.txt").symlink_to(outside)
    modes: list[int] = []
    original = os.open

    def opening(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if flags & os.O_CREAT:
            modes.append(mode)
        return original(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", opening)
    before = os.umask(0)
    try:
        _copy_beside(old, new)
    finally:
        os.umask(before)
    assert outside.read_text() == "theirs"
    for path in (*(old / "keys").iterdir(), old / "anchor.txt"):
        copied = new / path.relative_to(old)
        assert copied.read_bytes() == path.read_bytes()
        assert copied.stat().st_mode == path.stat().st_mode
    assert modes
    assert {one & 0o077 for one in modes} == {0}
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        copy_regular(tmp_path / "pipe", new / "copy")
    (old / "keys" / "odd.key").symlink_to("/dev/zero")
    with pytest.raises(StoreUnavailableError):
        _copy_beside(old, new)


def test_what_is_made_for_its_owner_is_written_by_nobody_else(tmp_path: Path) -> None:
    """Where everybody may write what a program makes, others say which logs a witness vouches for."""
    before = os.umask(0)
    try:
        create(tmp_path / "w", "one.test/w")
    finally:
        os.umask(before)
    assert (tmp_path / "w" / LOGS).stat().st_mode & 0o077 == 0
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / LOGS).symlink_to(tmp_path / "theirs")
    create(tmp_path / "x", "two.test/w")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("mask", [0, 0o002, 0o022])
def test_the_folder_of_a_ledger_in_a_database_is_its_owners_alone(
    tmp_path: Path, mask: int
) -> None:
    """Whoever is in the group puts another head lock, other API keys or another database into the folder."""
    before = os.umask(mask)
    try:
        keep_url(tmp_path / "ledger", "postgresql://role@host/database#name")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700


def test_a_public_file_is_read_by_others_and_written_by_none(tmp_path: Path) -> None:
    """Without a umask everybody may write the anchor that verifiers pin, and the tiles of the log."""
    before = os.umask(0)
    try:
        replace_public(tmp_path / "anchor.txt", b"public")
        anchor = (ledger := fresh(tmp_path / "ledger")) / "anchor.txt"
        publish(ledger, tmp_path / "host" / "tiles")
        make(tmp_path / "policies")
        bundle: Any = SimpleNamespace(files={"a/x.policy.yaml": "x", "labels.yaml": "y"})
        unpack(bundle, tmp_path / "unpacked")
        good, pinned = VECTORS / "golden" / "v1" / "full.lineage.jsonl", VECTORS / "anchor.txt"
        new = tmp_path / "new-anchor.txt"
        assert main([str(good), "--key", str(pinned), "--full", "--new-anchor", str(new)]) == 0
    finally:
        os.umask(before)
    for path in (tmp_path / "anchor.txt", anchor, new):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    made = [
        one for name in ("host", "policies", "unpacked") for one in (tmp_path / name).rglob("*")
    ]
    assert len(made) > 20
    assert {stat.S_IMODE(one.stat().st_mode) & 0o022 for one in made} == {0}


def test_the_pointer_to_a_moved_ledger_goes_into_no_file_that_lies_there(tmp_path: Path) -> None:
    """A link or a pipe where the pointer belongs is written into, waited for, or hides that the ledger was moved."""
    pointer = tmp_path / POINTER
    pointer.symlink_to(tmp_path / "theirs")
    with pytest.raises(StoreUnavailableError):
        require_here(tmp_path)
    leave(tmp_path, "/new")
    assert not (tmp_path / "theirs").exists()
    with pytest.raises(StoreUnavailableError, match="was moved to /new"):
        require_here(tmp_path)
    pointer.unlink()
    os.mkfifo(pointer)
    leave(tmp_path, "/newer")
    assert pointer.read_text() == "/newer\n"
