"""The tree of commands: every one teaches, parses its own examples, and is found when it is misspelt."""

import re
import shlex
import subprocess
import sys
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from support.commandline import environment

from pfgov.cli import run
from pfgov.cli.frame import Nouns, Verb
from pfgov.cli.output import Output
from pfgov.cli.tree import root

HEAVY = ("litestar", "celpy", "pydantic", "sqlite_utils", "msgspec", "cryptography", "lark")


def verbs(group: Nouns, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return every command below *group* with its path."""
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(context):
        command = group.load(name)
        assert command is not None
        if isinstance(command, Nouns):
            found += verbs(command, *path, name)
        else:
            found.append(((*path, name), command))
    return found


VERBS = verbs(root)
IDS = [" ".join(path) for path, _ in VERBS]


@pytest.mark.parametrize(("path", "command"), VERBS, ids=IDS)
def test_every_command_teaches(path: tuple[str, ...], command: click.Command) -> None:
    """Every command has a help text, a described option each, an example of itself and something to try next."""
    assert isinstance(command, Verb)
    assert command.help
    assert command.examples
    assert command.then
    assert any(text.startswith(f"pfgov {' '.join(path)}") for text in command.examples)
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help and one.name != "action"] == []
    assert {"--dir", "--json"} <= {text for one in options for text in one.opts}


def _examples() -> list[str]:
    found = [(path, text) for path, command in VERBS for text in getattr(command, "examples", ())]
    groups = [root, *(g for n in root.lazy if isinstance(g := root.load(n), Nouns))]
    found += [((), text) for group in groups for text in group.examples]
    return [line for _, text in found for line in text.split(" && ")]


@pytest.mark.parametrize("text", _examples())
def test_every_example_parses(text: str) -> None:
    """Every example in the help is a command line that its command accepts."""
    words = shlex.split(re.split(" [<>|] ", text)[0])
    if words[0] == "pfgov-verify":
        return
    assert words[0] == "pfgov"
    context = click.Context(root, obj=Output())
    command: click.Command | None = root
    rest = words[1:]
    while isinstance(command, Nouns):
        _, command, rest = command.resolve_command(context, rest)
    assert command is not None
    command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["ledger", "verify", "--help"], ["packet", "submit", "-h"], ["--version"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help comes at once: neither the server nor the policy engine nor the models are imported for it."""
    code = (
        "import sys\nfrom pfgov.cli import run\n"
        f"status = run({arguments!r})\n"
        f"assert status == 0, status\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["pakcet"], "did you mean pfgov packet?"),
        (["packet", "sumbit"], "did you mean pfgov packet submit?"),
        (["zzz"], "see how it is used: pfgov --help"),
    ],
)
def test_a_misspelt_command_is_guessed(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever mistypes a command is told which one was probably meant, and exits 2."""
    assert run(arguments) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["packet"], ["ledger"]])
def test_a_group_alone_shows_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A group without a command shows what there is."""
    assert run(arguments) == 2
    out = capsys.readouterr()
    assert "Usage: pfgov" in out.out + out.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_common_options_stand_anywhere(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--dir`` and ``--json`` mean the same before and after the command."""
    common = ["--dir", str(tmp_path / "none"), "--json"]
    words = ["packet", "list"]
    assert run([*common, *words] if place == "before" else [*words, *common]) == 4
    out, err = capsys.readouterr()
    assert err == ""
    assert '"code": "store.missing"' in out
    assert str(tmp_path / "none") in out


def test_the_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``PFGOV_DIR`` names the folder where no option does."""
    monkeypatch.setenv("PFGOV_DIR", str(tmp_path / "elsewhere"))
    assert run(["status"]) == 4
    assert str(tmp_path / "elsewhere") in capsys.readouterr().err


def test_completion_knows_the_tree() -> None:
    """The shell's completion offers commands, sub-commands and options."""
    from click.shell_completion import ShellComplete

    complete = ShellComplete(root, {"obj": Output()}, "pfgov", "_PFGOV_COMPLETE")
    assert "packet" in [item.value for item in complete.get_completions([], "pa")]
    assert "submit" in [item.value for item in complete.get_completions(["packet"], "su")]
    assert "--file" in [
        item.value for item in complete.get_completions(["packet", "submit"], "--fi")
    ]


def test_a_listing_shows_summaries_without_importing(capsys: pytest.CaptureFixture[str]) -> None:
    """The root's help names every command with its summary."""
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, lazy in root.lazy.items():
        assert name in out
        assert lazy.summary.split()[0] in out


def test_a_command_that_two_packages_offer_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package cannot put its own ``pfgov key`` in the place of ours: nothing is run until one of the two is gone."""
    ours = EntryPoint("key", "pfgov_api.cli:key", "pfgov.commands")
    theirs = EntryPoint("key", "helpful_keys:key", "pfgov.commands")
    for offered in ([theirs, ours], [ours, theirs]):
        monkeypatch.setattr(metadata, "entry_points", lambda offered=offered, **_: offered)
        assert run(["key", "list"]) == 4
        said = capsys.readouterr().err
        assert "[cli.duplicate_command]" in said
        assert "helpful_keys:key, pfgov_api.cli:key" in said
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [ours, ours])
    assert run(["key", "--help"]) == 0, "one package that is found twice is one"
