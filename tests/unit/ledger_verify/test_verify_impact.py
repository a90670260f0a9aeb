"""A signed report of impact, held to the export that it is about: whose it is, and whether it is right."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import policy_kit as kit
from support.ledgers import OPERATOR, SECOND, START, fresh, opened, place, register, submit

from pfgov.app import publishers
from pfgov.app.change.resting import report_ref, sign, signed_report
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.answers import PolicyDocument
from pfgov.engine.reading import Report, Span, impact_of_store, stored_log
from pfgov.policy import PolicySet
from pfgov.storage import open_store
from pfgov_ledger import cli, envelope, impact
from pfgov_ledger import export as exporting
from pfgov_ledger.keys import SeedSigner

ACME = SeedSigner(role="publisher", name="acme", seed=b"\1" * 32)
NEXT = SeedSigner(role="publisher", name="acme", seed=b"\2" * 32)
STRANGER = SeedSigner(role="publisher", name="acme", seed=b"\3" * 32)
RULES = "  - {{id: floor, require: member.trust_score >= {floor}}}\n"


@dataclass
class Case:
    """A ledger's export with its anchor, the report on a proposed set, and the set's folder."""

    folder: Path
    export: Path
    anchor: Path
    report: Report
    proposed: Path

    def verify(self, raw: bytes, *options: object, export: Path | None = None) -> int:
        """Return the exit status of ``pfgov-verify`` for a signed report."""
        path = self.folder / "signed.json"
        path.write_bytes(raw)
        about = ("--about", export or self.export, "--key", self.anchor, "--processes", 1)
        return cli.main([str(one) for one in (path, *about, *options)])

    def changed(self, **what: Any) -> Report:
        """Return the report with other words about the ledger."""
        return msgspec.structs.replace(
            self.report, ledger=msgspec.structs.replace(self.report.ledger, **what)
        )


def _policies(folder: Path, floor: str) -> PolicySet:
    text = kit.policy(RULES.format(floor=floor), on="[register, place, retain]")
    return kit.load(folder, text)


def _told(folder: Path, origin_seed: str, end: Callable[[Engine, PolicySet], None]) -> Path:
    """Make a ledger in which two members own packets, and *end* has the last word."""
    directory = fresh(folder)
    with opened(directory, ManualClock(START + SECOND)) as engine:
        engine.activate(_policies(folder / "binding", "0.5"), principal=OPERATOR)
        submit(engine, c.TrustPublisher(name="acme", key=ACME.public.hex()))
        for name, trust in (("low", "0.55"), ("top", "0.95")):
            register(engine, name, trust_score=trust)
        for number in range(4):
            place(engine, f"{origin_seed}{number}")
        end(engine, _policies(folder / "proposed", "0.6"))
        engine.settle()
    return directory


def _impact(directory: Path, policies: PolicySet, span: Span) -> Report:
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        return impact_of_store(queries, policies, span)


def _exported(directory: Path, target: Path) -> Path:
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        exporting.write_full(log, out)
    return target


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Return a report whose signer the ledger trusts."""
    folder = tmp_path_factory.mktemp("impact")
    directory = _told(folder, "p", lambda *_: None)
    report = _impact(directory, _policies(folder / "proposed", "0.6"), Span(since=3))
    assert report.has_flips
    export = _exported(directory, folder / "all.lineage.jsonl")
    return Case(folder, export, directory / "anchor.txt", report, folder / "proposed")


def test_it_says_whose_a_report_is(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """A report of somebody unknown passes, one of a trusted publisher does not, or its name is not said."""
    assert case.verify(sign(case.report, ACME)) == 0
    out = capsys.readouterr().out
    assert f"acme, whose key {ACME.public.hex()} is in entry" in out
    assert "and trusted" in out
    assert out.endswith("PASSED\n")
    assert case.verify(sign(case.report, STRANGER)) == 1
    assert "ledger.impact_signer" in capsys.readouterr().out
    assert case.verify(sign(case.report, STRANGER), "--publisher-key", STRANGER.public.hex()) == 0
    assert case.verify(sign(case.report, ACME), "--publisher-key", NEXT.public.hex()) == 1
    capsys.readouterr()
    case.verify(sign(case.report, ACME), "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["signer"]["name"], found["signer"]["standing"]) == ("acme", "trusted")
    assert found["verdicts"]["replay"] == {"status": "not_checked", "why": "not_asked"}
    assert found["about"]["root"] == case.report.ledger.root


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"origin": "pfgov.test/other"}, "ledger.impact_other_ledger"),
        ({"root": "0" * 64}, "ledger.impact_other_ledger"),
        ({"size": 5}, "ledger.impact_other_ledger"),
        ({"size": 10_000}, "ledger.impact_other_range"),
        ({"size": 0}, "ledger.impact_other_range"),
        ({"first": 10_000}, "ledger.impact_other_range"),
        ({"sample": 0}, "ledger.impact_other_range"),
        ({"root": "0"}, "ledger.impact_altered"),
        ({"size": -1}, "ledger.impact_altered"),
    ],
)
def test_a_report_about_something_else_fails(
    case: Case, what: dict[str, Any], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report about another ledger or range passes because its signature holds."""
    assert case.verify(sign(case.changed(**what), ACME)) == 1
    assert f"FAILED: {code}" in capsys.readouterr().out


def test_a_report_in_the_place_of_another_set_fails(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report names a set as binding that was not, and passes."""
    other = msgspec.structs.replace(case.report, binding="1" * 64)
    assert case.verify(sign(other, ACME)) == 1
    assert "FAILED: ledger.impact_other_set" in capsys.readouterr().out


def test_it_is_made_again_byte_for_byte(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that lies about what it found passes, or one that does not lie fails."""
    named = ("--replay", "--set", case.proposed)
    assert case.verify(sign(case.report, ACME), *named) == 0
    assert case.verify(sign(case.report, ACME), "--replay") == 4
    assert "the proposed set is not in the export" in capsys.readouterr().out
    counts = msgspec.structs.replace(case.report.counts, flips=0)
    for lie in (
        msgspec.structs.replace(case.report, counts=counts),
        msgspec.structs.replace(case.report, flips=()),
        msgspec.structs.replace(case.report, now=type(case.report.now)()),
        case.changed(semantics=1),
        case.changed(sample=2),
    ):
        if lie == case.report:
            continue
        assert case.verify(sign(lie, ACME)) == 0  # nothing but an engine tells
        assert case.verify(sign(lie, ACME), *named) == 1
        assert "FAILED: ledger.impact_differs" in capsys.readouterr().out
    assert case.verify(sign(case.report, ACME), "--replay", "--set", case.folder / "binding") == 1
    assert "FAILED: ledger.impact_other_set" in capsys.readouterr().out


@pytest.mark.parametrize("span", [Span(), Span(size=12), Span(sample=2), Span(before=START + 1)])
def test_any_part_of_a_history_is_made_again(tmp_path: Path, span: Span) -> None:
    """A report about a part of a history cannot be made again from the export of the whole."""
    raw: list[bytes] = []

    def activated(engine: Engine, policies: PolicySet) -> None:
        engine.activate(policies, principal=OPERATOR)

    directory = _told(tmp_path, "q", activated)
    export = _exported(directory, tmp_path / "all.lineage.jsonl")
    report = _impact(directory, _policies(tmp_path / "proposed", "0.6"), span)
    if not report.ledger.size:
        return
    raw.append(sign(report, ACME))
    made = Case(tmp_path, export, directory / "anchor.txt", report, tmp_path / "proposed")
    assert (
        made.verify(raw[0], "--replay") == 0
    )  # the set is in the export, because it was activated


def test_no_byte_of_a_report_can_be_changed(case: Case) -> None:
    """A byte of a signed report is not covered by its signature."""
    raw = sign(case.report, ACME)
    for at in range(len(raw) - 1):
        changed = bytearray(raw)
        changed[at] ^= 1
        found = impact.examine(bytes(changed), case.export, anchor=None)
        assert found.verdicts["signature"].code == "ledger.impact_altered", at
    for other in (raw[:-2], raw + b" ", b" " + raw, raw + raw, b"", b"{}", b"\xff"):
        assert case.verify(other) == 1
    inner = json.loads(raw)
    for again in (
        {**inner, "payloadType": "application/vnd.pfgov.policy-bundle.v1+json"},
        {**inner, "signatures": inner["signatures"] * 2},
        {**inner, "signatures": []},
        {**inner, "more": 1},
    ):
        assert case.verify(envelope.encode(again)) == 1


def test_no_byte_of_the_export_can_be_changed(case: Case) -> None:
    """A report passes on a history that somebody touched."""
    whole, signed = case.export.read_bytes(), sign(case.report, ACME)
    path = case.folder / "touched.lineage.jsonl"
    for at in range(7, len(whole), len(whole) // 24):
        touched = bytearray(whole)
        touched[at] = ord("A") if touched[at] != ord("A") else ord("B")
        path.write_bytes(touched)
        assert case.verify(signed, export=path) != 0, at


@pytest.mark.parametrize(
    ("how", "wanted"), [("rotated", 0), ("expired", 0), ("revoked", 1), ("unused", 1)]
)
def test_a_key_that_ended_counts_where_the_ledger_took_the_report(
    how: str, wanted: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stolen key vouches for ever, or a report that a set rests on is nobody's once its key was replaced."""
    signed: list[bytes] = []

    def end(engine: Engine, policies: PolicySet) -> None:
        report = _impact(tmp_path / "ledger", policies, Span())
        signed.append(sign(report, ACME))
        if how != "unused":
            action = c.ActivatePolicy.of(policies.digest, policies.policies, policies.points)
            engine.submit(
                msgspec.structs.replace(action, report=report_ref(signed[0])),
                principal=OPERATOR,
                attachments=(PolicyDocument(policies.digest, policies.document),),
            )
        if how == "expired":
            ends = START + 100 * SECOND
            submit(engine, c.TrustPublisher(name="acme", key=ACME.public.hex(), expires_at=ends))
            engine.clock.advance(200 * SECOND)
        elif how == "revoked":
            submit(engine, c.RevokePublisher(name="acme", key=ACME.public.hex()))
        else:
            origin = engine.look(lambda state: state.origin)
            asked = publishers.rotation(origin, "acme", ACME, NEXT, None)
            submit(
                engine,
                c.RotatePublisher(
                    origin=origin,
                    name="acme",
                    old=ACME.public.hex(),
                    new=NEXT.public.hex(),
                    signatures=asked.signatures,
                ),
            )
        place(engine, "last")

    directory = _told(tmp_path, "r", end)
    export = _exported(directory, tmp_path / "all.lineage.jsonl")
    report, _ = signed_report(signed[0])
    made = Case(tmp_path, export, directory / "anchor.txt", report, tmp_path / "proposed")
    assert made.verify(signed[0]) == wanted
    out = capsys.readouterr().out
    assert f"and {'rotated' if how == 'unused' else how}" in out
    assert ("rested on" in out) == (how != "unused")


@pytest.mark.parametrize(
    "options",
    [
        ("--replay",),
        ("--publisher-key", "0" * 64),
        ("--about", "x", "--full"),
        ("--about", "x", "--quick"),
        ("--about", "x", "--publisher-key", "acme"),
        ("--about", "x", "--set", "y"),
    ],
)
def test_options_that_make_no_sense_are_usage(options: tuple[str, ...]) -> None:
    """An option is taken that does nothing, so that somebody believes that it was heeded."""
    assert cli.main(["report.json", *options]) == 2


def test_what_is_not_there_cannot_be_established(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file, anchor or engine passes, or looks like a forgery."""
    raw = sign(case.report, ACME)
    assert case.verify(raw, export=case.folder / "absent") == 4
    path = case.folder / "signed.json"
    assert cli.main([str(path), "--about", str(case.export)]) == 4
    assert "NOT ESTABLISHED" in capsys.readouterr().out
    assert cli.main([str(case.folder / "absent"), "--about", str(case.export)]) == 4
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    assert case.verify(raw, "--replay", "--set", case.proposed) == 4
    assert "no policy engine is installed here" in capsys.readouterr().out
