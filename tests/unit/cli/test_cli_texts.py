"""Whole texts on a screen, and files that a command is told to write: nothing steers, and nothing goes elsewhere."""

import base64
import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import policy_kit as kit
from support.cli_server import GREETS, LIVE, RemoteLine, answering, reply
from support.commandline import CommandLine

from pfgov.app.change.showing import code
from pfgov.app.views.audit import AuditAnswer, AuditEntry, AuditLine, PacketAudit, audit_markdown
from pfgov.cli.output import Output
from pfgov.cli.sim import drawn
from pfgov.cli.writing import OutputError
from pfgov.policy.authoring.scaffold import make
from pfgov.policy.authoring.showing import source_text

STEERING = "\x1b[2J\x07\x9b\u202e\u2066\u200b\ufeff\u2028\x85\x7f\U000e0041end"
PATIENCE_SECONDS = 60


def steering(text: str) -> set[str]:
    """The characters of *text* that a terminal does not just show."""
    return {c for c in text if c != "\n" and not c.isprintable()}


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """End a test that waits for a pipe."""

    def give_up(_number: int, _frame: Any) -> None:
        pytest.fail("it waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _audit(text: str) -> PacketAudit:
    entry = AuditEntry(seq=1, leaf="ab" * 8, type="t", subject="s", time="t")
    line = AuditLine(says=text, entries=[entry])
    return PacketAudit(
        packet_id=text, workload_type=text, status="ASSIGNED", current_owner=text, epoch=1, size=3,
        whole=False, withheld=1, answers=[AuditAnswer(key="k", question="Who?", lines=[line])],
    )  # fmt: skip


def test_a_whole_text_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A text that is printed as it is, a signed note or Markdown, clears the screen and writes PASSED on it."""
    Output().write(f"one\n{STEERING}\nthree\n")
    out = capsys.readouterr().out
    assert steering(out) == set()
    assert out.splitlines()[::2] == ["one", "three"]


def test_markdown_steers_nothing_and_keeps_its_lines() -> None:
    """A name, a reason or a rule of a review breaks out of its line, or hides what stands there."""
    told = audit_markdown(_audit(f"{STEERING}\n## Who?\n- nobody"))
    assert steering(told) == set()
    assert told.count("\n## Who?\n") == 1
    assert "pfgov packet show {" not in told
    quoted = code(f"{STEERING}`|\nx")
    assert steering(quoted) == set()
    assert quoted.count("`") == 2


def test_the_source_of_a_set_steers_nothing_and_makes_the_same_set(tmp_path: Path) -> None:
    """A description that turns the writing round is shown so; or what is shown cannot be read again."""
    text = kit.policy(
        f"  - {{id: one, require: \"member.id != '\\u202e\\U000E0041'\", message: {json.dumps(STEERING)}}}\n",
        extra=f"variables: {{odd: {json.dumps(repr(STEERING))}}}\n",
    )
    first = kit.load(tmp_path / "one", text.replace(json.dumps(STEERING), _yaml(STEERING)))
    shown = source_text(first)
    assert steering(shown) == set()
    texts = [one for one in shown.split("---\n") if "name: kernel" not in one]
    assert kit.load(tmp_path / "two", *texts).digest == first.digest


def _yaml(text: str) -> str:
    """*text* in double quotes, with an escape for each character that YAML may not take as it is."""
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'


ROOT_HASH, SIGNED = (base64.b64encode(bytes(size)).decode() for size in (32, 68))
NOTE = f"log\x9b\u202e\n3\n{ROOT_HASH}\n\n\u2014 x\x9b {SIGNED}\n"


def _audited() -> str:
    return msgspec.json.encode(_audit(STEERING)).decode()


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        (b"/api/ledger/key", STEERING, ("ledger", "key", "show")),
        (b"/api/ledger/key", "\udcff", ("ledger", "key", "show")),
        (b"/api/ledger/checkpoint", NOTE, ("ledger", "head", "--note")),
        (b"/audit", _audited(), ("packet", "audit", "p1", "--markdown")),
        (b"/audit", _audited(), ("packet", "audit", "p1")),
    ],
)
def test_a_server_that_is_not_ours_steers_nothing(
    path: bytes, body: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shown as the server sent it is a text that a terminal obeys."""

    def say(raw: bytes) -> bytes | None:
        if GREETS in raw:
            return LIVE
        is_asked = path in raw.partition(b"\r\n")[0]
        sent = body.encode(errors="surrogateescape")
        return reply(200, sent) if is_asked else reply(404, b"{}")

    with answering(say) as url:
        done = RemoteLine(url, capsys)(*command)
    assert steering(done.out + done.err) == set()
    assert "pfgov.internal" not in done.err
    assert (done.out + done.err).strip()


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "\u00fc" * 70, "\u2603.example"])
def test_a_host_that_can_be_none_is_no_mistake_of_ours(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that no resolver takes ends a command with a report of a bug."""
    refused = RemoteLine(f"http://{host}", capsys).refused("status")
    assert (refused["code"], refused["status"]) == ("input.invalid", 2)


# --- files that a command is told to write -------------------------------------------------------


def _link(path: Path) -> None:
    precious = path.with_name("precious")
    precious.write_bytes(b"precious")
    path.symlink_to(precious)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def test_pictures_are_drawn_elsewhere_and_go_into_nothing_that_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plot obeys a matplotlibrc in the folder that somebody stands in, and is written through a link."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out.png").symlink_to("theirs")
    stood: list[Path] = []

    def draw(path: Path) -> list[Path]:
        stood.append(Path.cwd())
        pictures = [path.with_suffix(".png"), path.with_suffix(".svg")]
        for one in pictures:
            one.write_bytes(b"drawn")
        return pictures

    with pytest.raises(OutputError):
        drawn(draw, Path("out"))
    assert (tmp_path / "theirs").read_text() == "theirs"
    (tmp_path / "out.png").unlink()
    assert drawn(draw, Path("out")) == ["out.png", "out.svg"]
    assert (tmp_path / "out.png").read_bytes() == b"drawn"
    assert tmp_path not in stood
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("odd", [os.mkfifo, _link, _dangling])
@pytest.mark.parametrize("kind", ["bundle", "junit", "impact", "export"])
def test_what_a_command_writes_goes_into_nothing_that_lies_there(
    pfgov: CommandLine, tmp_path: Path, odd: Callable[[Path], None], kind: str
) -> None:
    """A link under a name that a file has by default leads what is written over another; a pipe holds its writer."""
    folder, path = tmp_path / "set", tmp_path / "out"
    make(folder, "eu-residency")
    if kind in {"impact", "export"}:
        pfgov.ok("init")
    key = tmp_path / "acme.key"
    pfgov.ok("policy", "publisher", "key", key, "--name", "acme")
    commands: dict[str, tuple[object, ...]] = {
        "bundle": ("policy", "bundle", "build", folder, "--key", key, "--publisher", "acme", "--version", "1",
                   "--out", path),
        "junit": ("policy", "test", folder, "--junit", path),
        "impact": ("policy", "impact", folder, "--out", path),
        "export": ("ledger", "export", "--out", path, "--force"),
    }  # fmt: skip
    odd(path)
    refused = pfgov.refused(*commands[kind])
    assert refused["code"] == "output.unwritable"
    assert not path.with_name("elsewhere").exists()
    if odd is _link:
        assert path.with_name("precious").read_bytes() == b"precious"
    path.unlink()
    assert pfgov(*commands[kind]).status == 0
    others = 0o077 if kind in {"impact", "export"} else 0o022
    assert stat.S_IMODE(path.stat().st_mode) & others == 0
