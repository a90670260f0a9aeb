"""``pfgov root``: the whole way through folders, its exit statuses, and what is refused."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import opened, register
from support.roots import ledger_at

from pfgov.app.root import folder as roots
from pfgov.app.root.keeping import Root


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with two ledgers."""
    for name in ("acme", "globex"):
        ledger_at(tmp_path / "ledgers" / name)
    return tmp_path / "ledgers"


def _line(directory: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(directory, capsys)


def test_root_commands_lead_from_ledgers_to_a_verified_path(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step of the way from two ledgers to an entry that is verified through the root does not work."""
    pfgov, folder, out = _line(shelf / "acme", capsys), str(tmp_path / "root"), tmp_path / "e.path"
    vkey = pfgov.ok("root", "init", "--origin", "root.example/all", "--folder", folder)["vkey"]
    assert pfgov.ok("root", "add", "--in", str(shelf), "--folder", folder) == {
        "size": 2, "added": 2, "left_out": [],
    }  # fmt: skip
    assert pfgov.ok("root", "add", str(shelf / "acme"), "--folder", folder)["added"] == 0
    note = pfgov.ok("root", "show", "--folder", folder)["checkpoint"]
    assert pfgov.ok("root", "show", "--stored", "--folder", folder)["checkpoint"] == note
    assert note.startswith("root.example/all\n2\n")
    assert pfgov.ok("root", "prove", "1", "--folder", folder, "--out", str(out))["file"] == str(out)
    assert pfgov("root", "prove", "1", "--folder", folder, "--out", str(out)).status == 2
    shown = pfgov.ok("root", "prove", "1", "--folder", folder)["path"]
    assert shown.encode() == out.read_bytes()
    report = pfgov.ok("ledger", "verify", str(out), "--via", vkey)
    assert (report["exit_status"], report["via"]["checkpoint"]["size"]) == (0, 2)
    assert pfgov.ok("root", "check", "--folder", folder) == {"holds": True, "size": 2, "ledgers": 2}
    for wrong in (("--via", "nothing"), ("--via", "x+y+z")):
        assert pfgov("ledger", "verify", str(out), *wrong).status == 2
    assert pfgov("ledger", "verify", "--via", vkey).status == 2


def test_root_commands_say_what_is_wrong(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger with another history, one that cannot be read, or a changed root leaves with 0."""
    pfgov, folder = _line(shelf / "acme", capsys), str(tmp_path / "root")
    missing = pfgov("root", "add", "--in", str(shelf), "--folder", folder, "--json")
    assert (missing.error["code"], missing.status) == ("root.missing", 1)
    pfgov.ok("root", "init", "--origin", "root.example/all", "--folder", folder)
    behind = pfgov("root", "prove", "1", "--folder", folder, "--json")
    assert (behind.error["code"], behind.status) == ("root.behind", 1)
    assert pfgov("root", "add", "--folder", folder).status == 2
    shutil.copytree(shelf / "acme", tmp_path / "copy")
    with opened(shelf / "acme") as engine:
        register(engine, "m1")
    pfgov.ok("root", "add", "--in", str(shelf), "--folder", folder)
    alarm = pfgov("root", "add", str(tmp_path / "copy"), "--folder", folder)
    assert alarm.status == 1
    assert "ALARM" in alarm.out
    assert "ledger.rollback" in alarm.out
    unread = pfgov("root", "add", str(tmp_path / "nowhere"), "--folder", folder)
    assert (unread.status, "store.missing" in unread.out) == (4, True)
    with sqlite3.connect(Path(folder) / "root.db") as file:
        file.execute("UPDATE leaf SET proof = zeroblob(32)")
    broken = pfgov("root", "check", "--folder", folder, "--json")
    assert (broken.status, broken.json["holds"]) == (1, False)
    (Path(folder) / "root.note").unlink()
    lost = pfgov("root", "show", "--folder", folder, "--json")
    assert (lost.error["code"], lost.status) == ("root.published_missing", 4)


def test_root_commands_against_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path or the root's checkpoint cannot be fetched, or is another one than the server's."""
    vkey = roots.create(tmp_path / "root", "root.example/all")
    with Served(ledger_at(tmp_path / "served")) as server:
        remote, line = RemoteLine(server.url, capsys), _line(server.directory, capsys)
        assert remote("root", "show", "--json").error["code"] == "root.none"
        root = Root(tmp_path / "root", lambda: [("(default)", server.directory)])
        server.service.root = root
        try:
            root.look()
            assert remote.ok("root", "show")["checkpoint"].encode() == root.note()
            out = tmp_path / "e.path"
            remote.ok("root", "prove", "0", "--out", str(out))
            report = line.ok("ledger", "verify", str(out), "--via", str(vkey))
            assert report["via"]["checkpoint"]["trusted"] is True
            assert remote("root", "show", "--stored").status == 2
        finally:
            server.service.root = None
            root.stop()
