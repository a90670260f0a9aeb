"""Exports and their verification from the command line: what is said beside the file, and of a file that cannot be."""

import errno
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from support.commandline import GOOD, CommandLine

from pfgov.cli.writing import OutputError, target
from pfgov_ledger import cli as verifier


def test_an_export_of_what_never_was_says_so(pfgov: CommandLine, tmp_path: Path) -> None:
    """A mistyped id must not look like a history: standard error says that there is none, and the export proves it."""
    pfgov.owned()
    for out, subject, is_there in (
        (tmp_path / "none.jsonl", "packet/nope", False),
        ("-", "packet/nope", False),
        (tmp_path / "some.jsonl", "packet/fp-001", True),
    ):
        said = pfgov("ledger", "export", "--subject", subject, "--fresh", "--out", out)
        assert said.status == 0
        remark = f"there is no entry of {subject}: the export proves that\n"
        assert said.err == ("" if is_there else remark)
    file, key = str(tmp_path / "none.jsonl"), str(pfgov.directory / "anchor.txt")
    assert verifier.main([file, "--key", key, "--subject", "packet/nope"]) == 0


def test_a_file_that_cannot_be_written_is_named(pfgov: CommandLine, tmp_path: Path) -> None:
    """The path is the one that was asked for, never the unfinished file's, and the next step fits."""
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    plain = tmp_path / "plain"
    plain.write_text("mine")
    for path, hint in (
        (tmp_path / "none" / "x.jsonl", f"make the folder first: {tmp_path / 'none'}"),
        (plain / "x.jsonl", f"{plain} is no folder"),
        (tmp_path, "name a file"),
    ):
        for command in (("export",), ("prove", 0)):
            error = pfgov.refused("ledger", *command, "--out", path, "--force")
            assert (error["code"], error["status"]) == ("output.unwritable", 4)
            assert error["message"].startswith(f"{path} ")
            assert hint in error["hint"]


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "make room"), (errno.EROFS, "where you may write"), (errno.EIO, "--out")],
)
def test_a_disk_that_gives_up_is_no_fault_of_the_input(
    tmp_path: Path, number: int, hint: str
) -> None:
    """A full disk is said of the file that was wanted, and nothing is left of it; other errors stay what they are."""
    path = tmp_path / "out.jsonl"
    if hint == "--out":
        with pytest.raises(OSError, match="input"), target(path):
            raise OSError(number, "odd", "the-input")
        return
    with pytest.raises(OutputError) as caught, target(path):
        raise OSError(number, "gives up")
    assert str(path) in caught.value.message
    assert hint in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A device or a pipe under the name of the file stays what it is, whatever ``--force`` says."""
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="is no file"), target(pipe):
        raise AssertionError
    assert pipe.is_fifo()


def test_a_replay_that_nobody_asked_for_is_called_that(pfgov: CommandLine) -> None:
    """`verify` has a policy engine; without --replay it must not say that it has none."""
    pfgov.owned()
    said = pfgov("ledger", "verify")
    assert said.status == 0
    assert "replay            not checked: not asked for\n" in said.out
    assert "replay            pass\n" in pfgov("ledger", "verify", "--replay").out
    assert pfgov.ok("ledger", "verify")["verdicts"]["replay"]["why"] == "not_asked"


def test_an_older_copy_is_read_with_a_warning(pfgov: CommandLine, tmp_path: Path) -> None:
    """Whoever reads a ledger that was rolled back learns it, with the next step, and may read it nevertheless."""
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    older = tmp_path / "older.db"
    with sqlite3.connect(pfgov.directory / "ledger.db") as store, sqlite3.connect(older) as copy:
        store.backup(copy)
    store.close()
    copy.close()
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    for command in (("status",), ("ledger", "verify")):
        assert pfgov(*command).err == ""
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (pfgov.directory / name).unlink(missing_ok=True)
    shutil.copy(older, pfgov.directory / "ledger.db")
    for command in (("status",), ("ledger", "verify")):
        said = pfgov(*command)
        assert said.status == 0
        warning, hint = said.err.splitlines()
        assert warning.startswith("warning: 1 published entry is not here")
        assert hint == "next:  pfgov ledger doctor"


@pytest.mark.parametrize("name", ["all.lineage.jsonl", "all.lineage.jsonl.gz"])
def test_an_export_is_its_owners_alone(pfgov: CommandLine, tmp_path: Path, name: str) -> None:
    """An export holds contexts: nobody else may read it, whatever the umask and whoever could read what it replaces."""
    path = tmp_path / name
    pfgov.owned()
    before = os.umask(0)
    try:
        pfgov.ok("ledger", "export", "--out", path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        pfgov.ok("ledger", "export", "--out", path, "--force")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_an_export_that_was_packed_again_is_not_called_forged(
    pfgov: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ordinary gzip of an honest export is a failed verification with exit status 1."""
    import gzip

    from pfgov_ledger.cli import main

    pfgov.ok("init")
    plain, packed = tmp_path / "all.jsonl", tmp_path / "all.jsonl.gz"
    pfgov.ok("ledger", "export", "--out", str(plain))
    with gzip.open(packed, "wb") as out:
        out.write(plain.read_bytes())
    refused = pfgov.refused("ledger", "verify", str(packed))
    assert (refused["code"], refused["status"]) == ("export.other_gzip", 4)
    anchor = str(pfgov.directory / "anchor.txt")
    assert main([str(packed), "--key", anchor]) == 4
    assert "gunzip it first" in capsys.readouterr().err
    assert main([str(plain), "--key", anchor]) == 0
