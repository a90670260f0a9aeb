"""``pfgov kubernetes``: what it prints, and what it refuses before it asks anybody."""

from pathlib import Path

import pytest
from support.cli_server import RemoteLine
from support.commandline import CommandLine


@pytest.fixture
def pfgov(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in an empty folder."""
    return CommandLine(tmp_path / "none", capsys)


def test_manifests_are_printed_for_kubectl(pfgov: CommandLine) -> None:
    """The text is YAML as it stands, the same each time, and JSON carries it with the account's name."""
    text = pfgov("kubernetes", "manifests", "--namespace", "gov")
    assert text.status == 0
    assert text.out.startswith("# What the cluster shows")
    assert "system:serviceaccount:gov:pfgov-controller" in text.out
    shown = pfgov.ok("kubernetes", "manifests", "--namespace", "gov")
    assert shown["account"] == "system:serviceaccount:gov:pfgov-controller"
    assert shown["manifests"].rstrip() == text.out.rstrip()


def test_manifests_refuse_what_is_no_name(pfgov: CommandLine) -> None:
    """What could be more than a name is refused, and an image without a server too."""
    assert (
        pfgov.refused("kubernetes", "manifests", "--namespace", "A b")["code"] == "kubernetes.name"
    )
    assert pfgov("kubernetes", "manifests", "--image", "a").status == 2


def test_run_needs_a_server_and_a_cluster(
    pfgov: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a server, without a cluster, and with a mapping that is none, it says what to name."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert pfgov("kubernetes", "run", "--once").status == 2
    line = RemoteLine("http://127.0.0.1:1", capsys)
    run = ("kubernetes", "run", "--once")
    assert line.refused(*run)["code"] == "kubernetes.no_cluster"
    assert line(*run, "--pod-label", "x").status == 2
    cluster = ("--kubernetes", "http://127.0.0.1:1")
    assert line.refused(*run, *cluster, "--cluster", "A.b")["code"] == "kubernetes.name"
    gone = line.refused(*run, *cluster)
    assert (gone["code"], gone["status"]) == ("kubernetes.unreachable", 4)
