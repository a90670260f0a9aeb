"""Bundles and publishers on a command line: built, checked, trusted, handed over, made binding, gone back from."""

from pathlib import Path

import pytest
from support.commandline import CommandLine

from pfgov.policy.authoring.scaffold import make


def test_a_bundle_from_its_key_to_its_end(pfgov: CommandLine, tmp_path: Path) -> None:
    """A step between making a key and going back does not lead to the next, or a refusal is not one."""
    folder, one, two = tmp_path / "set", tmp_path / "one.key", tmp_path / "two.key"
    make(folder, "eu-residency")
    keys = [
        pfgov.ok("policy", "publisher", "key", path, "--name", "acme")["key"] for path in (one, two)
    ]
    assert pfgov("policy", "publisher", "key", one, "--name", "acme").status != 0
    first, second = tmp_path / "1.bundle.json", tmp_path / "2.bundle.json"
    for key, version, path in ((one, "1", first), (two, "2", second)):
        options = ("--publisher", "acme", "--version", version, "--out", path)
        pfgov.ok("policy", "bundle", "build", folder, "--key", key, *options)
    shown = pfgov.ok("policy", "bundle", "show", first, "--unpack", tmp_path / "again")
    assert shown["bundle"]["version"] == "1"
    assert sorted(p.name for p in folder.glob("*.yaml")) == sorted(
        p.name for p in (tmp_path / "again").glob("*.yaml")
    )
    pfgov.ok("policy", "bundle", "verify", first, "--publisher-key", keys[0])
    assert pfgov("policy", "bundle", "verify", first, "--publisher-key", keys[1]).status == 1
    pfgov.ok("init")
    pfgov.ok("config", "set", "activation_bundle=1")
    assert "bundle.missing" in pfgov("policy", "activate", folder, "--yes").err
    assert "publisher.unknown" in pfgov("policy", "activate", first, "--yes").err
    before = pfgov("policy", "activate", first, "--dry-run")
    assert (before.status, "publisher is unknown here" in before.out) == (1, True)
    pfgov.ok("policy", "publisher", "trust", "acme", keys[0])
    assert pfgov("policy", "activate", first, "--dry-run").status == 0
    pfgov.ok("policy", "diff", "binding", first)
    pfgov.ok("policy", "activate", first, "--yes")
    pfgov.ok("policy", "publisher", "rotate", "acme", "--key", one, "--new", two)
    rows = pfgov.ok("policy", "publisher", "list")["publishers"][0]["keys"]
    assert [(row["key"], row["status"]) for row in rows] == [
        (keys[0], "rotated"),
        (keys[1], "trusted"),
    ]
    assert "bundle.missing" in pfgov("policy", "rollback").err
    pfgov.ok("policy", "rollback", "--emergency")
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(second.read_bytes().replace(b"eu", b"us", 1))
    refused = pfgov("policy", "activate", wrong, "--yes")
    assert refused.status == 3
    assert "bundle.altered" in refused.err
    assert "bundle.altered" in pfgov("policy", "activate", wrong, "--dry-run").err
    assert pfgov.ok("ledger", "log", "--limit", "1")["entries"]
    pfgov.ok("policy", "activate", second, "--yes")
    pfgov.ok("ledger", "replay")


@pytest.mark.parametrize("name", ["x y", "../acme", "", "-acme", "a" * 129, "über"])
def test_a_name_that_no_ledger_can_know_is_refused(
    pfgov: CommandLine, tmp_path: Path, name: str
) -> None:
    """A bundle is built that nobody can let in, or is written elsewhere because its publisher is named like a path."""
    folder, key = tmp_path / "set", tmp_path / "one.key"
    make(folder, "eu-residency")
    assert pfgov("policy", "publisher", "key", key, "--name", name).status == 2
    assert not key.exists()
    pfgov.ok("policy", "publisher", "key", key, "--name", "acme")
    before = sorted(tmp_path.rglob("*.json"))
    options = (f"--publisher={name}", "--version", "1")
    said = pfgov("policy", "bundle", "build", folder, "--key", key, *options)
    assert (said.status, "bundle.contents" in said.err) == (3, True), said
    assert sorted(tmp_path.rglob("*.json")) == before
