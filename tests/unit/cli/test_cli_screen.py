"""What is printed: text as it is, no blanks at the end of lines, nothing beside the JSON object."""

import io
import json
import logging
from decimal import Decimal
from pathlib import Path

import pytest
from support.commandline import CommandLine

from pfgov.cli import main
from pfgov.cli import output as screens
from pfgov.cli.output import (
    Output,
    Step,
    console,
    facts,
    indented,
    shown,
    status,
    styled,
    table,
)
from pfgov.core.wording import counted
from pfgov.limits import ID_LENGTH_MAX
from pfgov.log_lines import log_lines


def test_text_from_outside_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """A label that looks like markup or a link is printed letter by letter."""
    Output().tell(facts((("label", "[red]x[/red] :smile: [link=http://a]b[/link]"),)))
    assert "[red]x[/red] :smile: [link=http://a]b[/link]" in capsys.readouterr().out


def test_what_the_terminal_has_no_character_for_is_a_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under a locale that lacks a character of a file, what is wrong with the file is called a mistake of ours."""
    (tmp_path / "x.policy.yaml").write_text(
        "apiVersion: pfgov/v1\nkind: \u2603\n", encoding="utf-8"
    )
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    with pytest.raises(SystemExit) as left:
        main(["policy", "check", str(tmp_path)])
    out.seek(0)
    assert left.value.code == 3
    assert "`\\u2603` is no kind of file" in out.read()


def test_logs_of_the_smaller_servers_steer_no_terminal() -> None:
    """A name by which a stranger asks the tools, or what another server says, is written into a log as it came."""
    out, log = io.StringIO(), logging.getLogger("pfgov.test.lines")
    log_lines("pfgov.test.lines", stream=out)
    log.warning("Invalid Host header: %s", "\x9b2J\x1b[2J\u202e\r\nERROR forged\u2028x")
    log.error("again", exc_info=ValueError("\x1b]0;owned\x07"))
    said = out.getvalue()
    assert "\nERROR forged" not in said
    assert all(one.isprintable() for one in said.split("\n"))
    assert said.startswith("WARNING Invalid Host header: \\x9b2J\\x1b[2J\\u{202e}")
    assert "ValueError: \\x1b]0;owned\\x07" in said


def test_no_line_ends_in_blanks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables and lists can be pasted: no line has blanks at its end."""
    monkeypatch.setenv("COLUMNS", "40")
    Output().tell(
        table(("A", "#B"), [("x", 1), ("a longer word", 2)]),
        facts((("a", 1), ("bcd", "e"))),
        indented("some words " * 10),
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert [line for line in lines if line != line.rstrip()] == []
    assert max(map(len, lines)) <= 40


def test_a_command_stays_in_one_line_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next step, copied from a log or a pipe, must not break in its middle."""
    monkeypatch.setenv("COLUMNS", "40")
    step = f"next:  pfgov-verify {'long-name-' * 8}.jsonl --key .pfgov/anchor.txt --full"
    Output().tell(step)
    assert capsys.readouterr().out == f"{step}\n"


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1000, "1000 entries")]
)
def test_what_is_counted_is_in_the_right_number(count: int, words: str) -> None:
    """One is singular, all else plural; an s is enough for most words."""
    assert counted(count, "entry", "entries") == words
    assert counted(count, "payload") == f"{count} payload{'' if count == 1 else 's'}"


def test_tables_lose_no_letter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a narrow window cells fold between words; no id, digest or other word is cut in two."""
    monkeypatch.setenv("COLUMNS", "30")
    name, digest = f"agent-{'with-' * 20}long-name", "0123456789abcdef" * 4
    Output().tell(table(("!MEMBER", "TEXT"), [(name, f"{'words ' * 20}{digest}")]))
    said = capsys.readouterr().out
    assert name in said
    assert digest in said
    assert said.split().count("words") == 20
    assert len(said.splitlines()) > 3, "words go below each other where there is no room beside"
    Output().tell(facts((("digest", digest), ("name", "w " * 40))))
    said = capsys.readouterr().out
    assert digest in said
    assert said.split().count("w") == 40


def test_json_is_one_object_and_silences_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--json`` only the object is printed, with views and decimals in it."""
    output = Output(json=True)
    output.tell("nothing of this")
    output.show({"a": Decimal("0.9"), "b": (1, 2)}, "nor this")
    assert json.loads(capsys.readouterr().out) == {"a": "0.9", "b": [1, 2]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), ("", "-"), ([], "-"), ({}, "-"), (True, "yes"), (False, "no"), (0, "0"), (0.5, "0.5"),
        (("a", "b"), "a, b"), ({"cpu": 2.0, "x": None}, "cpu=2, x=-"), ([{"a": 1}], "a=1"), ("word", "word"),
    ],
)  # fmt: skip
def test_cells(value: object, text: str) -> None:
    """A cell shows lists with commas, maps as name=value, and nothing as a dash."""
    assert shown(value) == text


def test_facts_leave_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A name without a value is not shown."""
    Output().tell(facts((("there", 1), ("absent", None), ("empty", []))))
    assert capsys.readouterr().out == "there  1\n"


def test_statuses_are_words_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A status is told by its word; colour only repeats it."""
    Output().tell(status("ACTIVE"), status("UNHEARD_OF"), styled("x", "bold"))
    assert capsys.readouterr().out == "ACTIVE\nUNHEARD_OF\nx\n"


def test_colours_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR colours, NO_COLOR does not, even where colours are forced."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = io.StringIO()
    console(coloured).print(status("ACTIVE"))
    assert "\x1b[32m" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = io.StringIO()
    console(plain).print(status("ACTIVE"))
    assert "\x1b[32m" not in plain.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar is drawn on a terminal's standard error, and nowhere else."""
    with Output().progress("working") as step:
        step(1, 2)
    assert capsys.readouterr() == ("", "")
    terminal = _Terminal()
    monkeypatch.setattr(screens.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Output().progress("working") as step:
        step(1, 2)
    assert "working" in terminal.getvalue()
    with Output(json=True).progress("working") as step:
        assert isinstance(step, Step)
    assert capsys.readouterr().out == ""


STEERING = "\x1b[2J\x07\x9b\u202e\u2066\u200b\ufeff\u2028\x85\U000e0041end"


def steering(text: str) -> set[str]:
    """The characters of *text* that a terminal does not just show."""
    return {c for c in text if c != "\n" and not c.isprintable()}


def test_no_text_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A label, an id, a title, a message or a hint reaches the terminal with its control characters."""
    output = Output()
    output.tell(
        STEERING,
        facts(((STEERING, STEERING), ("list", [STEERING]), ("map", {STEERING: STEERING}))),
        table((STEERING,), [(STEERING,), (styled(STEERING, "red"),)], title=STEERING),
        indented(STEERING),
        styled(STEERING, "bold"),
        status(STEERING),
    )
    screens.remark(STEERING)
    told = "".join(capsys.readouterr())
    output.emit({STEERING: STEERING + "\x7f"})
    emitted = capsys.readouterr().out
    assert steering(told + emitted) == set()
    assert told.count("\\u{2066}") >= 12
    assert json.loads(emitted) == {STEERING: STEERING + "\x7f"}


def test_a_cell_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A label with line breaks writes lines that look like the command's own."""
    Output().tell(facts((("label", "x\nPASSED"),)), table(("A",), [("x\r\nPASSED",)]))
    assert "PASSED" not in [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_an_error_steers_nothing(pfgov: CommandLine, tmp_path: Path) -> None:
    """An error quotes an argument, a file's name or an id as it is."""
    pfgov("init")
    for arguments in (
        ("packet", "show", STEERING), ("member", "show", STEERING), ("ledger", "verify", STEERING),
        ("ledger", "verify", str(tmp_path), "--key", STEERING), (STEERING,), ("packet", STEERING),
        ("policy", "check", STEERING), ("ledger", "export", "--subject", STEERING),
        ("member", "register", "--id", STEERING),
    ):  # fmt: skip
        done = pfgov(*arguments)
        assert steering(done.out + done.err) == set(), arguments


def test_an_id_as_long_as_ids_may_be_is_whole_wherever_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What names a packet or a member can be pasted from every line, at 80 columns and with hyphens in it."""
    monkeypatch.setenv("COLUMNS", "80")
    pfgov = CommandLine(tmp_path, capsys)
    pfgov("init")
    member, packet = (f"{kind}{'-abcdefg' * 15}"[:ID_LENGTH_MAX] for kind in ("member", "packet"))
    said = [
        pfgov("member", "register", "--id", member, "--type", "agent", "--trust", "0.9"),
        pfgov("packet", "submit", "--id", packet, "--workload", "w"),
        pfgov("member", "show", member),
        pfgov("packet", "show", packet, "--history"),
        pfgov("packet", "explain", packet),
        pfgov("packet", "list"),
        pfgov("member", "list"),
        pfgov("ledger", "log"),
    ]
    for answer in said:
        text = answer.out + answer.err
        for name in (member, packet):
            assert text.count(name[:40]) == text.count(name), text


def test_of_several_problems_each_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first problem is the sentence of the error; below it stand the others, and no hint stands twice."""
    file = tmp_path / "bad.json"
    file.write_text('{"workload_type": 3, "priority": "x", "labls": {}}')
    said = CommandLine(tmp_path, capsys)("packet", "submit", "--file", file)
    assert said.status == 2
    assert said.err.count("3 is not a text") == 1
    assert said.err.count("is not a whole number") == 1
    assert said.err.count("did you mean labels?") == 1
