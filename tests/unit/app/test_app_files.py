"""What lies where a file of ours belongs may be a pipe, a device or endless: whoever looks is told, and goes on."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import fresh

from pfgov.app.local.folder import acting_on_folder
from pfgov.app.webhook import Delivery, Webhooks, read_webhooks
from pfgov.app.webhook import delivering as webhook
from pfgov.engine.witnessing import keeping
from pfgov.engine.witnessing.rounds import read_policy
from pfgov.errors import PfgovError
from pfgov.files import read_regular, replace_private, replace_public
from pfgov.policy.load import parse_file
from pfgov.policy.problems import Problem
from pfgov_api.keyring import KeyRing
from pfgov_api.oidc.settings import read_settings
from pfgov_ledger.errors import LedgerError

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
    "name", ["ledger.db", "head.db", "keys/issuer.key", "keys/log.key", "store.url"]
)
def test_a_ledger_one_of_whose_files_is_odd_is_refused(
    tmp_path: Path, odd: Callable[[Path], None], name: str
) -> None:
    """A pipe or a device in the place of a database or a key holds every command, and the start of the server."""
    directory = fresh(tmp_path)
    (directory / name).unlink(missing_ok=True)
    odd(directory / name)
    with pytest.raises((PfgovError, LedgerError)), acting_on_folder(directory):
        pass
