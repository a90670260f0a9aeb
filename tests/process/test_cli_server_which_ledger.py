"""Which ledger a command is about: what is about this machine alone, and what is never guessed."""

from pathlib import Path

import pytest
from support.api_process import free_port
from support.cli_server import RemoteLine
from support.commandline import spawn

HERE = (
    ("init",), ("serve",), ("key", "create", "--scope", "admin"), ("key", "revoke", "x"),
    ("ledger", "doctor"), ("ledger", "keys", "rotate", "issuer", "--recovery", "x"),
    ("ledger", "keys", "revoke", "ab"), ("ledger", "keys", "revoke", "ab", "--sign-only"),
)  # fmt: skip
FILES = (
    ("demo",), ("sim", "list"), ("sim", "metrics"), ("policy", "check", "x"), ("policy", "schema", "Policy"),
    ("policy", "init", "x"), ("policy", "fmt", "x"),
    ("witness", "init", "--name", "x"), ("witness", "serve"), ("ledger", "tiles", "x"),
)  # fmt: skip


@pytest.mark.parametrize("words", [*HERE, *FILES], ids=" ".join)
def test_what_makes_no_sense_over_http_says_why(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command about this machine refuses ``--url``, says why and what to do instead, and touches nothing."""
    refused = RemoteLine("http://localhost:1", capsys).refused(*words)
    assert (refused["code"], refused["status"]) == ("usage", 2)
    assert "--url" in refused["message"]
    assert len(refused["message"].partition(": ")[2]) > 20
    assert "--dir" in refused["hint"] or "--url" in refused["hint"]
    assert list(tmp_path.iterdir()) == []


def test_which_ledger_is_never_guessed(tmp_path: Path) -> None:
    """The command line counts before the environment; both sides at once are refused; a folder's command needs one."""
    ledger, dead = tmp_path / "ledger", f"http://127.0.0.1:{free_port()}"
    assert spawn("init", "--dir", ledger).status == 0
    assert spawn("status", "--dir", ledger, PFGOV_URL=dead).status == 0
    assert spawn("status", "--url", dead, PFGOV_DIR=str(ledger)).status == 4
    assert spawn("status", PFGOV_URL=dead).status == 4
    assert spawn("sim", "list", PFGOV_URL=dead).status == 0
    for words, environment in (
        (("status", "--dir", ledger, "--url", dead), {}),
        (("status", "--url", dead, "--dir", ledger), {}),
        (("status",), {"PFGOV_URL": dead, "PFGOV_DIR": str(ledger)}),
        (("ledger", "doctor"), {"PFGOV_URL": dead}),
        (("init",), {"PFGOV_URL": dead}),
    ):
        said = spawn(*words, "--json", cwd=tmp_path, **environment)
        assert (said.status, said.error["code"]) == (2, "usage"), words
        assert said.error["hint"]
