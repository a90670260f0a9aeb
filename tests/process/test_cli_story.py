"""``pfgov demo`` as a user runs it: a process, a terminal's width, an exit status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commandline import ROOT, SEED, environment, spawn

pytestmark = pytest.mark.process

STORY = (
    "A ledger of its own", "Members join", "A packet arrives", "A person reviews", "The owner works",
    "The owner goes silent", "The old owner wakes up", "A drain", "Done", "Three more ways to choose",
    "Export, and verify offline", "One byte is changed", "In sum", "Try next",
)  # fmt: skip


def test_the_summary_is_counted_from_the_ledger(tmp_path: Path) -> None:
    """``pfgov demo --json`` prints what happened, and its numbers are those of the ledger that it kept."""
    said = spawn("demo", "--json", "--keep", tmp_path / "kept", cwd=tmp_path)
    assert said.status == 0
    summary = said.json
    assert summary["verified"] is True
    assert summary["replayed"] is True
    assert summary["tampered"]["code"] == "ledger.signature_invalid"
    ledger = ("--dir", tmp_path / "kept" / "ledger")
    entries = spawn(*ledger, "ledger", "log", "--limit", "1000", "--json").json["entries"]
    bodies = [(entry["type"], entry["body"]) for entry in entries]
    kinds = [kind for kind, _ in bodies]
    decided = [body for kind, body in bodies if kind == "assignment_decision"]
    allowed = [body for body in decided if body["outcome"] == "allowed"]
    assert summary["ledger_entries"] == len(entries)
    assert summary["packets"] == kinds.count("packet_created") == 4
    assert summary["assignments"] == len(allowed) >= 4
    assert summary["denied"] == kinds.count("handoff_denied") + sum(
        body["outcome"] == "denied" for body in decided
    )
    assert summary["denied"] >= 1
    moved = kinds.count("handoff_completed") + sum("source" in body for body in allowed)
    assert summary["handoffs"] == moved == 2
    assert summary["stale_writes_refused"] == kinds.count("write_refused") == 1
    named = entries[summary["tampered"]["position"]]
    assert (named["type"], named["subject"]) == ("assignment_decision", "packet/fp-001")
    every = {
        "member_registered", "packet_created", "capability_discovered", "assignment_decision",
        "handoff_started", "handoff_completed", "member_retired", "packet_completed",
    }  # fmt: skip
    assert every - set(kinds) <= {"capability_discovered"}
    packet = spawn(*ledger, "packet", "show", "fp-001", "--json").json["packet"]
    assert packet["status"] == "COMPLETED"


@pytest.mark.parametrize("columns", [80, 120])
def test_the_story_reads_well(columns: int, tmp_path: Path) -> None:
    """Every chapter is told, in order, within the window, no line ends in blanks, and nothing is left behind."""
    said = spawn("demo", cwd=tmp_path, COLUMNS=str(columns), TMPDIR=str(tmp_path))
    assert (said.status, said.err) == (0, "")
    places = [said.out.find(title) for title in STORY]
    assert -1 not in places
    assert places == sorted(places)
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in said.out
    assert "0.87" in said.out
    assert "would be eligible with trust 0.9" in said.out
    assert "PASSED" in said.out
    assert list(tmp_path.iterdir()) == []


def test_the_story_is_the_same_every_time(tmp_path: Path) -> None:
    """Time is played and choices are computed: two runs tell the same, so that documentation can quote it."""
    first, second = (spawn("demo", cwd=tmp_path).out for _ in range(2))
    assert first == second


def test_the_inputs_are_the_specifications() -> None:
    """The demo carries the specification's two files byte for byte."""
    shipped = ROOT / "pfgov" / "cli" / "demo" / "data"
    for name in ("packet.json", "register-member.sh"):
        assert (shipped / name).read_bytes() == (SEED / name).read_bytes()


def test_a_kept_folder_must_be_new(tmp_path: Path) -> None:
    """The demo writes into nobody's folder."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    said = spawn("demo", "--keep", tmp_path / "mine", "--json")
    assert (said.status, said.error["code"]) == (1, "demo.not_empty")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_reader_that_leaves_early(tmp_path: Path) -> None:
    """``pfgov demo | head -1`` ends quietly: no traceback, no complaint."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m pfgov.cli --help | head -1"],
        capture_output=True,
        env=environment(),
        cwd=tmp_path,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    with subprocess.Popen(
        [sys.executable, "-m", "pfgov.cli", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED="1"), cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_reader_that_leaves_early_makes_no_verdict_a_yes(tmp_path: Path) -> None:
    """``set -o pipefail; pfgov policy diff ... --fail-on widen | head`` lets a change pass that is to be stopped."""
    for name in ("old", "new"):
        assert spawn("policy", "init", tmp_path / name, "--json").status == 0
    path = tmp_path / "new" / "trust.policy.yaml"
    path.write_text(path.read_text().replace("value: 0.5", "value: 0.4"))
    command = ["policy", "diff", str(tmp_path / "old"), str(tmp_path / "new"), "--fail-on", "widen"]
    reading, writing = os.pipe()
    os.close(reading)  # nobody ever reads
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pfgov.cli", *command],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-", ">/dev/full"])
def test_a_stream_that_is_closed_is_no_mistake_of_ours(tmp_path: Path, closed: str) -> None:
    """A command whose standard output is closed ends as a mistake of ours, or as if its words had been heard."""
    ledger = tmp_path / "ledger"
    assert spawn("--dir", ledger, "init").status == 0
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m pfgov.cli --dir "$1" status {closed}', sys.executable, ledger],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert b"[input.unreadable]" in done.stderr or "2>&-" in closed
    for odd in (b"pfgov.internal", b"Traceback", b"Exception"):
        assert odd not in done.stderr


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """A file that is opened takes the number of a closed stream: what a library writes there goes into it."""
    said = (
        "import os, sys; from pfgov_ledger.streams import take_places; take_places();"
        "sys.exit(os.open(sys.executable, os.O_RDONLY) < 3)"
    )
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, said],
        env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0


def test_control_c_is_quiet(tmp_path: Path) -> None:
    """An interrupt exits with 130, without a traceback, and leaves the ledger as it was."""
    ledger = tmp_path / "ledger"
    assert spawn("--dir", ledger, "init").status == 0
    before = spawn("--dir", ledger, "ledger", "head", "--json").json
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "pfgov.cli", "--dir", str(ledger), "packet", "submit", "--file", "-"],
        stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        preexec_fn=_as_in_the_foreground,  # noqa: PLW1509 - no threads are running here
    ) as process:  # fmt: skip
        try:
            _wait_until_it_reads(process.pid)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert (process.returncode, out, err) == (130, b"", b"")
    os.close(reading)
    os.close(writing)
    assert spawn("--dir", ledger, "ledger", "head", "--json").json == before


def _as_in_the_foreground() -> None:
    """Take interrupts: whoever runs the tests in the background has a shell that ignores them for all its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_it_reads(pid: int) -> None:
    """Return once the process sleeps in a read of its standard input (an anonymous pipe that nobody writes)."""
    for _ in range(3_000):
        where = Path(f"/proc/{pid}/wchan")
        if not where.exists() or "pipe" in where.read_text():
            return
        time.sleep(0.01)
    raise AssertionError("it never read")


def test_an_export_can_be_piped(tmp_path: Path) -> None:
    """``--out -`` writes the export, and only that, to standard output; the stand-alone verifier accepts it."""
    ledger = tmp_path / "ledger"
    assert spawn("--dir", ledger, "init").status == 0
    said = spawn("--dir", ledger, "ledger", "export", "--out", "-")
    assert (said.status, said.err) == (0, "")
    (tmp_path / "all.lineage.jsonl").write_text(said.out)
    done = subprocess.run(
        [sys.executable, "-m", "pfgov_ledger", "all.lineage.jsonl", "--key", "ledger/anchor.txt", "--full"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("PASSED\n")


def test_completion_as_the_shell_asks(tmp_path: Path) -> None:
    """The shell gets its script, and the words that fit."""
    script = spawn(cwd=tmp_path, _PFGOV_COMPLETE="bash_source")
    assert script.status == 0
    assert "_pfgov_completion" in script.out
    words = spawn(
        cwd=tmp_path, _PFGOV_COMPLETE="bash_complete", COMP_WORDS="pfgov packet ex", COMP_CWORD="2"
    )
    assert "explain" in words.out
