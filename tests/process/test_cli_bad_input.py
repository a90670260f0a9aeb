"""Bad input through the real command line: a clear error, a stable code, an exit status, nothing half-written.

Every case runs in a process of its own over a copy of one small ledger.  Afterwards the ledger has as many entries as
before (or one more, where the refusal itself is on record), verifies, and its folder holds no new file.
"""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.commandline import GOOD, PACKET, Said, environment, spawn

from pfgov.cli import run
from pfgov.engine.reading.reader import LedgerReader
from pfgov.storage import open_store

pytestmark = pytest.mark.process

SPEC: dict[str, Any] = json.loads(PACKET.read_text())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger: a1 owns fp-001 under epoch 1, a2 is retired, done-1 is completed."""
    path = tmp_path_factory.mktemp("template") / "ledger"
    for line in (
        ["init", "--origin", "pfgov.test/bad"],
        ["member", "register", "--id", "a1", *GOOD],
        ["member", "register", "--id", "a2", *GOOD],
        ["member", "retire", "a2"],
        ["packet", "submit", "--file", str(PACKET)],
        ["packet", "review", "fp-001", "--grant", "--version", "3"],
        ["packet", "submit", "--id", "done-1", "--workload", "w"],
        ["packet", "complete", "done-1"],
        ["packet", "submit", "--id", "held-1", "--workload", "w", "--hold"],
    ):
        assert run(["--dir", str(path), *line, "--json"]) == 0
    return path


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Path:
    """A copy of the small ledger."""
    path = tmp_path / "ledger"
    shutil.copytree(template, path)
    return path


def size(ledger: Path) -> int:
    """Return the number of entries."""
    with LedgerReader(open_store(ledger)) as reader:
        return reader.head().size


def whole(ledger: Path) -> None:
    """Check that the ledger verifies and replays."""
    said = spawn("--dir", ledger, "ledger", "verify", "--replay")
    assert said.status == 0, said


@dataclass(frozen=True)
class Bad:
    """A command line that is refused: what it says on standard input, the code, the status, entries it records."""

    name: str
    arguments: tuple[str, ...]
    code: str
    status: int
    stdin: Any = None
    recorded: int = 0
    word: str = ""


def member(**fields: Any) -> dict[str, Any]:
    """Return the specification's member, changed."""
    return {"id": "m", "type": "agent", "capabilities": ["planning"], **fields}


REGISTER = ("member", "register", "--file", "-")
SUBMIT = ("packet", "submit", "--file", "-")
TYPED = ("member", "register", "--id", "m", "--type", "agent")
WORK = ("packet", "submit", "--id", "n", "--workload", "w")
NAN = b'{"id": "m", "type": "agent", "trust_score": NaN}'
TYPO = {**SPEC, "packet_id": "n", "priorty": 3}
PAST = "2001-01-01T00:00:00Z"
REQUEUE = ("packet", "requeue", "fp-001", "--reason")
STALE = ("packet", "complete", "fp-001", "--as", "a1", "--epoch", "0")

CASES = [
    Bad("an unknown field", SUBMIT, "input.unknown_field", 2, TYPO, word="priority"),
    Bad("an unknown field of a member", REGISTER, "input.unknown_field", 2, member(trust=0.9), word="trust_score"),
    Bad("a field deep inside", SUBMIT, "input.unknown_field", 2, {**SPEC, "policy_constraints": {"min_trust": 1}}),
    Bad("trust 99", REGISTER, "input.invalid", 2, member(trust_score=99), word="between 0 and 1"),
    Bad("trust 99 typed", ("member", "trust", "a1", "99"), "input.invalid", 2, word="between 0 and 1"),
    Bad("trust with seven digits", REGISTER, "input.invalid", 2, member(trust_score=0.1234567), word="never rounds"),
    Bad("trust as a text", REGISTER, "input.invalid", 2, member(trust_score="0.9")),
    Bad("trust as a truth", REGISTER, "input.invalid", 2, member(trust_score=True)),
    Bad("NaN in a file", REGISTER, "input.invalid", 2, NAN, word="NaN"),
    Bad("NaN typed", (*TYPED, "--trust", "nan"), "input.invalid", 2),
    Bad("infinite memory", (*TYPED, "--memory", "inf"), "input.invalid", 2),
    Bad("a negative capacity", REGISTER, "input.invalid", 2, member(cpu_capacity=-1), word="negative"),
    Bad("a negative capacity typed", (*TYPED, "--cpu=-1"), "input.invalid", 2, word="negative"),
    Bad("a negative demand", (*WORK, "--demand", "cpu=-2"), "input.invalid", 2),
    Bad("no such type", (*TYPED[:-1], "robot"), "usage", 2, word="agent"),
    Bad("a duplicate member", ("member", "register", "--id", "a1", "--type", "agent"), "member.exists", 1),
    Bad("a duplicate packet", ("packet", "submit", "--file", str(PACKET)), "packet.exists", 1, word="again"),
    Bad("a handoff to nobody", ("packet", "handoff", "fp-001", "--to", "ghost"), "member.not_found", 1),
    Bad("an assignment to nobody", ("packet", "assign", "held-1", "--to", "ghost"), "member.not_found", 1),
    Bad("assigning what is owned", ("packet", "assign", "fp-001"), "lifecycle.illegal", 1),
    Bad("re-assigning what is completed", ("packet", "assign", "done-1"), "lifecycle.illegal", 1),
    Bad("completing twice", ("packet", "complete", "done-1"), "lifecycle.illegal", 1, word="COMPLETED"),
    Bad("a stale epoch", STALE, "ownership.stale_epoch", 1, recorded=1),
    Bad("another member's write", ("packet", "complete", "fp-001", "--as", "a2"), "ownership.not_owner", 1, recorded=1),
    Bad("retiring twice", ("member", "retire", "a2"), "lifecycle.illegal", 1, word="RETIRED"),
    Bad("draining the retired", ("member", "drain", "a2"), "lifecycle.illegal", 1),
    Bad("recovering the living", ("member", "recover", "a1"), "lifecycle.illegal", 1),
    Bad("no such packet", ("packet", "show", "fp-002"), "packet.not_found", 1, word="packet list"),
    Bad("no such member", ("member", "drain", "a11"), "member.not_found", 1, word="did you mean a1?"),
    Bad("widening", ("packet", "update", "fp-001", "--min-trust", "0.1"), "policy.narrowing", 1),
    Bad("a review nobody asked for", ("packet", "review", "fp-001", "--grant"), "review.not_requested", 1),
    Bad("accepting no handoff", ("packet", "accept", "fp-001"), "handoff.none", 1),
    Bad("no such scheduler", (*WORK, "--scheduler", "magic"), "scheduler.unknown", 1),
    Bad("a reason of the engine", (*REQUEUE, "pfgov:no_progress"), "input.invalid", 2, word="the engine's own"),
    Bad("a deadline that has passed", (*WORK, "--deadline", PAST), "packet.deadline", 2),
    Bad("no JSON", SUBMIT, "input.not_json", 2, b"packet_id: fp-9", word="line 1"),
    Bad("nothing", SUBMIT, "input.not_json", 2, b""),
    Bad("a list", SUBMIT, "input.invalid", 2, b"[]", word="object"),
    Bad("a key twice", SUBMIT, "input.invalid", 2, b'{"packet_id": "n", "packet_id": "m"}', word="twice"),
    Bad("no UTF-8", SUBMIT, "input.not_json", 2, b'{"packet_id": "\xff"}'),
    Bad("too deep", SUBMIT, "input.too_large", 2, b'{"a":' * 50 + b"1" + b"}" * 50),
    Bad("far too deep", SUBMIT, "input.too_large", 2, b"[" * 100_000),
    Bad("three megabytes", SUBMIT, "input.too_large", 2, b'{"a": "' + b"x" * 3_000_000 + b'"}'),
    Bad("a big integer", SUBMIT, "input.invalid", 2, {**SPEC, "packet_id": "n", "priority": 2**60}),
    Bad("an escape sequence", ("packet", "cancel", "fp-001", "--reason", "\x1b[2J"), "input.invalid", 2, word="U+001B"),
    Bad("a line break that is none", ("packet", "cancel", "fp-001", "--reason", "a\u2028b"), "input.invalid", 2),
    Bad("an id of a path", ("packet", "submit", "--id", "../../etc/passwd", "--workload", "w"), "input.invalid", 2),
    Bad("a missing file", ("packet", "submit", "--file", "no-such.json"), "input.unreadable", 4),
    Bad("a folder for a file", ("packet", "submit", "--file", "."), "input.unreadable", 4),
    Bad("a missing policy folder", ("policy", "activate", "no-such-folder"), "policy.no_folder", 4),
    Bad("no such setting", ("config", "set", "colour=red"), "input.invalid", 2),
    Bad("no such command", ("packet", "teleport", "fp-001"), "usage", 2),
    Bad("no such option", ("packet", "list", "--colour"), "usage", 2),
    Bad("too few words", ("packet", "show"), "usage", 2),
]  # fmt: skip


@pytest.mark.parametrize("bad", CASES, ids=[bad.name.replace(" ", "-") for bad in CASES])
def test_bad_input(
    bad: Bad,
    ledger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is refused with its code and status, in a sentence and as an object, and nothing is half-written."""
    raw = bad.stdin if isinstance(bad.stdin, bytes) else json.dumps(bad.stdin).encode()
    before, files = size(ledger), sorted(path.name for path in ledger.rglob("*"))
    said = spawn("--dir", ledger, *bad.arguments, stdin=raw, cwd=tmp_path)
    assert (said.status, said.out) == (bad.status, ""), said
    assert said.err.startswith("error: ")
    assert f"[{bad.code}]" in said.err
    assert bad.word in said.err
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert run(["--dir", str(ledger), *bad.arguments, "--json"]) == bad.status
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"]["code"] == bad.code
    assert json.loads(out)["error"]["message"]
    assert size(ledger) == before + bad.recorded
    assert sorted(path.name for path in ledger.rglob("*")) == files


def test_after_the_battery_the_ledger_is_whole(ledger: Path) -> None:
    """A ledger that saw refusals, the recorded ones among them, verifies and replays."""
    for bad in (one for one in CASES if one.recorded or one.status == 1):
        assert run(["--dir", str(ledger), *bad.arguments]) == bad.status
    whole(ledger)


def test_assigning_to_a_retired_member(ledger: Path) -> None:
    """A retired member gets nothing: the denial is on record and names the status."""
    before = size(ledger)
    said = spawn("--dir", ledger, "packet", "assign", "held-1", "--to", "a2", "--json")
    assert said.status == 1
    assert said.json["packet"]["current_owner"] is None
    assert size(ledger) == before + 1
    told = spawn("--dir", ledger, "packet", "explain", "held-1", "--json").json
    reasons = {r["rule"]: r for r in told["members"][0]["reasons"]}
    assert (reasons["kernel/active"]["observed"], reasons["kernel/active"]["bound"]) == (
        "RETIRED",
        "ACTIVE",
    )


POLICY = "apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: mine, version: '1'}\non: [place]\nrules:\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (POLICY + "  - id: a\n    require: member.trst_score > 0.5\n", "trust_score"),
        (POLICY + "  - id: a\n    require: member.trust_score > \n", ""),
        (POLICY + "  - id: a\n    requires: true\n", "require"),
        ("not: a policy", "kind"),
        (": : :", ""),
        ("kind: Policy\nkind: Policy\n", "kind"),
    ],
)
def test_a_malformed_policy_changes_nothing(
    text: str, word: str, ledger: Path, tmp_path: Path
) -> None:
    """A set that does not load exits 3, is recorded as refused, and the last good one stays binding."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "mine.policy.yaml").write_text(text)
    active = spawn("--dir", ledger, "policy", "show", "--json").json["policy"]["digest"]
    before = size(ledger)
    said = spawn("--dir", ledger, "policy", "activate", folder)
    assert said.status == 3
    assert "mine.policy.yaml" in said.err
    assert word in said.err
    assert "Traceback" not in said.err
    assert size(ledger) == before + 1
    assert spawn("--dir", ledger, "policy", "show", "--json").json["policy"]["digest"] == active
    assert spawn("--dir", ledger, "packet", "requeue", "fp-001").status == 0
    whole(ledger)


# --- files and processes ------------------------------------------------------------------


def refused(said: Said, code: str, status: int = 4) -> None:
    """Check that a command was refused with this code."""
    assert said.status == status, said
    assert f"[{code}]" in said.err, said
    assert "next:" in said.err
    assert "Traceback" not in said.err


def test_no_ledger(tmp_path: Path) -> None:
    """Without a ledger every command names the folder and how to make one."""
    said = spawn("packet", "list", cwd=tmp_path)
    refused(said, "store.missing")
    assert "pfgov init" in said.err
    assert list(tmp_path.iterdir()) == []


UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
"""For root: file permissions hold, as they do for everybody else."""


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere"
)
def test_a_read_only_folder(ledger: Path) -> None:
    """A folder that cannot be written refuses writers in a sentence; readers still read, and nothing changes."""
    before = UNPRIVILEGED if os.geteuid() == 0 else ()
    entries, files = size(ledger), sorted(path.name for path in ledger.rglob("*"))
    _read_only(ledger)
    try:
        said = spawn("--dir", ledger, "packet", "cancel", "fp-001", before=before)
        refused(said, "store.unavailable")
        assert "Permission denied" in said.err
        refused(spawn("--dir", ledger / "new", "init", before=before), "store.unavailable")
        assert spawn("--dir", ledger, "packet", "list", before=before).status == 0
        assert spawn("--dir", ledger, "ledger", "verify", before=before).status == 0
        assert sorted(path.name for path in ledger.rglob("*")) == files
    finally:
        _read_only(ledger, writable=True)
    assert size(ledger) == entries
    assert spawn("--dir", ledger, "packet", "cancel", "fp-001").status == 0


def _read_only(folder: Path, *, writable: bool = False) -> None:
    for path in (folder, *folder.rglob("*")):
        if writable:
            path.chmod(0o700 if path.is_dir() else 0o600)
    for path in (folder, *folder.rglob("*")):
        if not writable:
            path.chmod(0o500 if path.is_dir() else 0o400)


def test_a_place_where_no_folder_can_be(tmp_path: Path) -> None:
    """``init`` below a file, or where nobody may write, is refused in a sentence."""
    (tmp_path / "file").write_text("x")
    refused(spawn("--dir", tmp_path / "file" / "ledger", "init"), "store.unavailable")
    refused(spawn("--dir", "/proc/ledger", "init"), "store.unavailable")


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\xff" * 20_000)


def _truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5_000)


def _replace(path: Path) -> None:
    path.write_bytes(b"this is no database, it is a text\n" * 1_000)


@pytest.mark.parametrize("damage", [_overwrite, _truncate, _replace])
@pytest.mark.parametrize("command", [("packet", "list"), ("packet", "cancel", "fp-001")])
def test_a_corrupted_database(
    damage: Callable[[Path], None], command: tuple[str, ...], ledger: Path
) -> None:
    """A damaged database is named as damaged, by readers and writers alike."""
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (ledger / name).unlink(missing_ok=True)
    damage(ledger / "ledger.db")
    refused(spawn("--dir", ledger, *command), "store.corrupt")


def test_another_programs_database(ledger: Path) -> None:
    """A database that is not a ledger is left alone."""
    import sqlite3

    path = ledger / "ledger.db"
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    refused(spawn("--dir", ledger, "packet", "list"), "store.foreign")


def test_a_missing_key(ledger: Path) -> None:
    """Without the issuer's key nothing can be signed, and the message names the file."""
    (ledger / "keys" / "issuer.key").unlink()
    said = spawn("--dir", ledger, "packet", "cancel", "fp-001")
    refused(said, "key.unusable")
    assert "issuer.key" in said.err
    assert spawn("--dir", ledger, "packet", "list").status == 0


def test_a_second_process(ledger: Path) -> None:
    """While one process writes, another is told which one; reading and exporting go on beside it."""
    hold = (
        "import sys\nfrom pathlib import Path\nfrom pfgov.engine.engine import Engine\n"
        "from pfgov.storage import open_store\n"
        f"engine = Engine.open(open_store(Path({str(ledger)!r})))\n"
        "print('open', flush=True)\nsys.stdin.read()\nengine.close()\n"
    )
    before = size(ledger)
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as writer:  # fmt: skip
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        said = spawn("--dir", ledger, "packet", "cancel", "fp-001")
        refused(said, "store.locked")
        assert f"process {writer.pid}" in said.err
        assert spawn("--dir", ledger, "packet", "list").status == 0
        assert spawn("--dir", ledger, "ledger", "verify").status == 0
        writer.communicate(b"")
    assert size(ledger) == before
    assert spawn("--dir", ledger, "packet", "cancel", "fp-001").status == 0


def test_an_older_copy_is_not_continued(ledger: Path, tmp_path: Path) -> None:
    """A database restored from a copy that is older than what was published is refused: signing on would fork it."""
    copy = tmp_path / "copy.db"
    assert spawn("--dir", ledger, "tick").status == 0
    shutil.copy(ledger / "ledger.db", copy)
    assert spawn("--dir", ledger, "packet", "cancel", "fp-001").status == 0
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (ledger / name).unlink(missing_ok=True)
    shutil.copy(copy, ledger / "ledger.db")
    refused(spawn("--dir", ledger, "packet", "cancel", "held-1"), "store.rolled_back")
