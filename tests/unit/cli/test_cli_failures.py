"""Errors: one sentence, a stable code, a next step and an exit status; never a traceback."""

import json

import click
import pytest
from support.commandline import CommandLine

from pfgov import cli, errors
from pfgov.cli import frame, tree
from pfgov.cli.failures import report
from pfgov.cli.output import Output
from pfgov.errors import Problem
from pfgov.policy.problems import PolicyErrors
from pfgov.policy.problems import Problem as Found
from pfgov_ledger.errors import KeyTextError


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.InvalidError("x"), "input.invalid", 2),
        (errors.UnknownFieldError("x"), "input.unknown_field", 2),
        (errors.NotFoundError("x", code="packet.not_found"), "packet.not_found", 1),
        (errors.StaleEpochError("x"), "ownership.stale_epoch", 1),
        (errors.ForbiddenError("x"), "access.forbidden", 1),
        (errors.PolicyError("x"), "policy.invalid", 3),
        (errors.StoreLockedError("x"), "store.locked", 4),
        (click.UsageError("no"), "usage", 2),
        (click.BadParameter("no"), "usage", 2),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "input.unreadable", 4),
        (OSError("odd"), "input.unreadable", 4),
        (KeyTextError("not a key"), KeyTextError.code, 4),
        (RuntimeError("boom"), "pfgov.internal", 4),
    ],
)
def test_every_error_has_a_code_and_a_status(
    error: Exception, code: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """People get a sentence with the code on standard error, programs the same as an object on standard output."""
    assert report(error, Output()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert f"[{code}]" in err
    assert report(error, Output(json=True)) == status
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["error"]["code"] == code


def test_the_next_step_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The hint stands on a line of its own."""
    report(errors.NotFoundError("there is no x", hint="make one"), Output())
    assert capsys.readouterr().err == "error: there is no x [not_found]\nnext:  make one\n"


def test_all_problems_of_an_input_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever sent three mistakes sees three, with their places."""
    problems = [Problem(f"/a/{i}", f"is wrong {i}", hint="mend it") for i in range(20)]
    error = errors.InvalidError("a: is wrong (and 19 more)", errors=problems)
    report(error, Output())
    err = capsys.readouterr().err
    assert "  /a/0: is wrong 0 (mend it)\n" in err
    assert "  and 8 more\n" in err
    report(error, Output(json=True))
    listed = json.loads(capsys.readouterr().out)["error"]["errors"]
    assert [one["pointer"] for one in listed] == [f"/a/{i}" for i in range(20)]


def test_all_problems_of_policies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Policy files that do not load show every problem once, with its place, as ``policy check`` does."""
    problems = [Found("cel.x", "bad", "a.policy.yaml", line, 3, "mend it") for line in (4, 9)]
    report(PolicyErrors(problems), Output())
    assert capsys.readouterr().err == (
        "a.policy.yaml:4:3: error: bad [cel.x]\n    mend it\n"
        "a.policy.yaml:9:3: error: bad [cel.x]\n    mend it\n2 errors\n"
    )
    report(PolicyErrors(problems), Output(json=True))
    listed = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert [one["line"] for one in listed] == [4, 9]


def test_long_sentences_are_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is one line, however narrow the window, so that it can be searched for."""
    monkeypatch.setenv("COLUMNS", "20")
    report(errors.InvalidError("word " * 30 + "end"), Output())
    assert len(capsys.readouterr().err.splitlines()) == 1


class _Boom(frame.Verb):
    def invoke(self, ctx: click.Context) -> int:
        raise RuntimeError("boom")


class _Interrupt(frame.Verb):
    def invoke(self, ctx: click.Context) -> int:
        raise KeyboardInterrupt


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command that breaks and one that is interrupted into the tree."""
    monkeypatch.setitem(tree.root.commands, "boom", _Boom("boom"))
    monkeypatch.setitem(tree.root.commands, "interrupt", _Interrupt("interrupt"))


@pytest.mark.usefixtures("broken")
def test_a_mistake_of_ours_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception is reported without a traceback, and says how to get one."""
    assert cli.run(["boom"]) == 4
    err = capsys.readouterr().err
    assert "unexpected RuntimeError: boom [pfgov.internal]" in err
    assert "PFGOV_DEBUG=1" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("broken")
def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PFGOV_DEBUG the exception itself comes out."""
    monkeypatch.setenv("PFGOV_DEBUG", "1")
    with pytest.raises(RuntimeError):
        cli.run(["boom"])


@pytest.mark.usefixtures("broken")
def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Control-C exits with 130 and says nothing."""
    assert cli.run(["interrupt"]) == 130
    assert capsys.readouterr() == ("", "")


def test_main_leaves_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """``pfgov`` as a program exits with what the run came to."""
    monkeypatch.setattr("sys.argv", ["pfgov", "no-such-command"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2


def test_every_problem_names_its_option(pfgov: CommandLine) -> None:
    """The second thing that is wrong is told by its option, as the first is; programs get the places."""
    wrong = (
        "member",
        "register",
        "--id",
        "m",
        "--type",
        "agent",
        "--region",
        "US",
        "--clearance",
        "PII",
    )
    pfgov.ok("init")
    said = pfgov(*wrong)
    assert said.err.startswith("error: --region: ")
    assert "\n  --clearance: 'PII' is not a data class" in said.err
    assert [one["pointer"] for one in pfgov(*wrong, "--json").error["errors"]] == [
        "/region",
        "/clearances/0",
    ]


def test_an_id_that_only_looks_right_is_told_by_its_character(pfgov: CommandLine) -> None:
    """Ids and names of labels name the letter of another script, too."""
    pfgov.ok("init")
    said = pfgov("member", "register", "--id", "\u0430gent", "--type", "agent")
    assert "it holds U+0430 (CYRILLIC SMALL LETTER A), which looks like a" in said.err
    said = pfgov("packet", "submit", "--workload", "w", "--label", "te\u0430m=x")
    assert "which looks like a" in said.err
