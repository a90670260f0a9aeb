"""Detectors of others: asked only where they are named, and refused where they cannot be asked."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from support.commandline import CommandLine

from pfgov.labelling import chosen, plugins
from pfgov.labelling.plugins import GROUP, VARIABLE, DetectorError
from pfgov.limits import DETECTORS_MAX


class Names:
    """Finds a name."""

    name = "names"
    version = "3.1"

    def detect(self, text: str) -> dict[str, int]:
        """Find Ana."""
        return {"pii.name": text.count("Ana")} if "Ana" in text else {}


class Other(Names):
    name = "other-name"


class Unnamed(Names):
    version = ""


class Long(Names):
    version = "3" * 200


class At(Names):
    version = "3@4"


class NoMethod:
    name = "names"
    version = "1"


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declare entry points of the group: name -> class of this module."""

    def declare(**found: str) -> None:
        points = EntryPoints(
            EntryPoint(name, f"test_labelling_plugins:{value}", GROUP)
            for name, value in found.items()
        )

        def entry_points(*, group: str, name: str | None = None) -> EntryPoints:
            chosen_ones = points.select(group=group)
            return chosen_ones if name is None else chosen_ones.select(name=name)

        monkeypatch.setattr(plugins, "entry_points", entry_points)
        monkeypatch.setattr(
            EntryPoint, "load", lambda self: globals()[self.value.partition(":")[2]]
        )

    plugins._loaded.cache_clear()
    yield declare
    plugins._loaded.cache_clear()


def test_what_is_installed_is_not_asked(declared: Any) -> None:
    """A package that is merely installed sees every context."""
    declared(names="Names")
    assert chosen() == ()


def test_what_is_named_is_asked(declared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that the environment names is not asked, or asked twice."""
    declared(names="Names")
    monkeypatch.setenv(VARIABLE, " names, names ,")
    assert [one.name for one in chosen()] == ["names"]
    assert [one.name for one in chosen(["names"])] == ["names"]


@pytest.mark.parametrize("value", ["Other", "Unnamed", "Long", "At", "NoMethod", "Missing"])
def test_what_is_no_detector_is_refused(value: str, declared: Any) -> None:
    """A plug-in under a false name, without a version, or that cannot be loaded is passed over in silence."""
    declared(names=value)
    with pytest.raises(DetectorError):
        chosen(["names"])


def test_nobody_takes_the_place_of_the_patterns(declared: Any) -> None:
    """An installed package replaces the patterns."""
    declared(patterns="Names")
    with pytest.raises(DetectorError):
        chosen(["patterns"])


def test_there_are_so_many_detectors_at_most() -> None:
    """A list of detectors without end is worked through."""
    with pytest.raises(DetectorError):
        chosen([f"d{number}" for number in range(DETECTORS_MAX)])


def test_a_door_stays_shut_where_a_detector_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With less found than was asked for, a packet is taken in all the same."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    pfgov.owned()
    monkeypatch.setenv(VARIABLE, "no-such-detector")
    assert (
        pfgov.refused("packet", "submit", "--id", "p", "--workload", "w")["code"] == "pii.detector"
    )
    assert pfgov.ok("packet", "list", "--all")["packets"][0]["packet_id"] == "fp-001"


def test_a_plug_in_speaks_at_the_door(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    declared: Any,
) -> None:
    """What a plug-in finds does not reach the packet."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    pfgov.owned()
    declared(names="Names")
    monkeypatch.setenv(VARIABLE, "names")
    context = tmp_path / "context.json"
    context.write_text('{"who": "Ana"}')
    pfgov("packet", "submit", "--id", "p", "--workload", "w", "--context", context)
    shown = pfgov.ok("packet", "show", "p")["packet"]
    assert (shown["data_classes"], shown["scanned_by"]) == (["pii.name"], ["names", "patterns"])
    found = pfgov.ok("pii", "scan", context)
    assert found["classes"] == {"pii.name": 1}
    assert found["detectors"] == ["names@3.1", "patterns@2"]


def test_a_scan_on_the_command_line_says_classes_and_no_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints what it found, calls a file without anything found, or fails on one that is no JSON."""
    pfgov = CommandLine(tmp_path / "none", capsys)
    notes = tmp_path / "notes.txt"
    notes.write_text("bob@example.com, and eve@example.com\n")
    said = pfgov("pii", "scan", notes)
    assert (said.status, "example" in said.out, "pii.email  2 times" in said.out) == (
        0,
        False,
        True,
    )
    assert pfgov("pii", "scan", notes, "--expect", "nothing").status == 1
    notes.write_bytes(b"\xff\xfe\xfa")
    assert pfgov.ok("pii", "scan", notes)["unreadable"] == "not UTF-8"
    notes.write_text("nothing here")
    assert pfgov("pii", "scan", notes, "--expect", "nothing").status == 0
    assert "pii.unknown" in pfgov.ok("pii", "classes")["classes"]
    assert pfgov("pii", "scan", tmp_path / "missing").status == 2
