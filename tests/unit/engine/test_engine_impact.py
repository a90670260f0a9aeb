"""What a policy set would have decided: flips with their entries, what would happen now, and reports for anybody."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import policy_kit as kit
from support.ledgers import OPERATOR, SECOND, START, claim, opened, packet, place, register, submit

from pfgov.app.local.folder import acting_on_folder, reading_folder
from pfgov.app.remote.replaying import impact_of_export
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.reading import ReplayDifferenceError, Report, Span, impact_of_store
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.reading.impact import decode, encode
from pfgov.errors import InvalidError, PfgovError
from pfgov.policy import PolicySet, from_document
from pfgov.storage import open_store
from pfgov_ledger import export, keys
from pfgov_ledger.errors import LedgerError

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "data" / "ledgers"
VECTORS = ROOT / "ledger" / "vectors" / "golden" / "v1"

FLOOR = "  - {{id: floor, require: member.trust_score >= {floor}}}\n"
SECRET = (
    "  - {id: hidden, on: [place, retain], when: '\"secret\" in packet.data_classes', require: 'member.id != \"\"', "
    "obligations: [{type: redact, paths: [/secret]}]}\n"
)
ALL = "[register, place, retain]"


def rules(floor: str = "0.5", *, more: str = SECRET, on: str = ALL, name: str = "placement") -> str:
    """Return a policy with a floor of trust and a redaction."""
    return kit.policy(FLOOR.format(floor=floor) + more, on=on, name=name)


@pytest.fixture
def binding(tmp_path: Path) -> PolicySet:
    """Compile the set that is in force."""
    return kit.load(tmp_path / "binding", rules())


@pytest.fixture
def told(tmp_path: Path, binding: PolicySet) -> Path:
    """Return a closed ledger: three members by trust, packets owned, done, waiting, one with a secret."""
    from support.ledgers import fresh

    directory = fresh(tmp_path)
    with opened(directory, ManualClock(START + SECOND)) as engine:
        engine.activate(binding, principal=OPERATOR)
        for name, trust in (("low", "0.5"), ("mid", "0.7"), ("top", "0.95")):
            register(engine, name, trust_score=trust)
        for number in range(6):
            place(engine, f"p{number}")
        submit(engine, packet("s", data_classes=("secret",)))
        submit(engine, packet("strict", constraints=c.Constraints(minimum_trust_score="0.99")))
        submit(engine, c.CompletePacket(packet_id="p0", owner=claim(engine, "p0")))
        submit(engine, c.HandOff(packet_id="p1"))
        engine.commit_index()
        engine.settle()
    return directory


def impact(directory: Path, policies: PolicySet, **span: int) -> Report:
    """Return the impact of *policies* on a stored ledger."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        return impact_of_store(queries, policies, Span(**span))


def since(directory: Path) -> int:
    """Return the position after the one from which the binding set is in force."""
    with LedgerReader(open_store(directory)) as reader:
        return reader.state().policy_since


def set_of(directory: Path) -> PolicySet:
    """Return the binding set of a ledger."""
    with LedgerReader(open_store(directory)) as reader:
        return from_document(reader.policy_document(reader.state().policy or ""))


def exported(directory: Path, target: Path) -> Path:
    """Export the whole log."""
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_full(log, out)
    return target


def test_a_set_has_no_impact_on_what_it_decided(told: Path, binding: PolicySet) -> None:
    """Asking a history its own set again finds a difference."""
    found = impact(told, binding, since=since(told))
    assert found.counts.decisions >= 12
    assert (found.counts.same, found.flips) == (found.counts.decisions, ())
    assert found.now == type(found.now)()


def _golden_folders(tmp_path: Path) -> Iterator[Path]:
    for number, archive in enumerate(sorted(GOLDEN.glob("*.tar.xz"))):
        with tarfile.open(archive) as opened_archive:
            opened_archive.extractall(tmp_path / str(number), filter="data")
        yield tmp_path / str(number) / "golden"


def test_the_sets_of_golden_ledgers_have_no_impact_on_them(tmp_path: Path) -> None:
    """A ledger of an older version is judged otherwise by its own set."""
    folders = list(_golden_folders(tmp_path))
    assert folders
    for folder in folders:
        found = impact(folder, set_of(folder), since=since(folder))
        assert found.counts.decisions
        assert found.counts.same == found.counts.decisions, found.flips


def test_a_tightened_boundary_names_its_entries_and_who_loses(told: Path, tmp_path: Path) -> None:
    """A floor that rises by a hair is missed, or somebody else is blamed for it."""
    found = impact(told, kit.load(tmp_path / "new", rules("0.51")), since=since(told))
    assert found.counts.narrower > 0
    assert found.counts.wider == 0
    assert {share.name for share in found.by.members} == {"low"}
    assert {share.name for share in found.by.rules} == {"placement/floor"}
    assert all(flip.narrowed == ("low",) for flip in found.flips)
    assert [row.member_id for row in found.now.kept_out.first] == ["low"]
    with LedgerReader(open_store(told)) as reader:
        lost = {one.packet_id for one in reader.packets() if one.owner == "low"}
    assert {row.packet_id for row in found.now.revoked.first} == lost
    kinds = dict(found.counts.by_kind)
    assert kinds["allow_to_deny"] == 1, "low could not have registered"


def test_a_widened_boundary_names_its_entries(tmp_path: Path, binding: PolicySet) -> None:
    """A floor that falls by a hair is missed where another member got the packet anyway."""
    from support.ledgers import fresh

    directory = fresh(tmp_path)
    with opened(directory, ManualClock(START + SECOND)) as engine:
        engine.activate(binding, principal=OPERATOR)
        register(engine, "top", trust_score="0.95")
        register(engine, "low", trust_score="0.5")
        submit(engine, c.AssessTrust(member_id="low", score="0.499"))
        place(engine, "p")
    found = impact(directory, kit.load(tmp_path / "new", rules("0.499")))
    wide = [flip for flip in found.flips if flip.subject == "packet/p"]
    assert [(flip.widened, flip.rules) for flip in wide] == [(("low",), ("placement/floor",))]
    assert found.counts.wider >= 1


def test_a_renamed_policy_has_no_impact(told: Path, tmp_path: Path) -> None:
    """A rename is counted as a change of what is decided."""
    renamed = kit.load(tmp_path / "new", rules(name="renamed"))
    found = impact(told, renamed, since=since(told))
    assert found.counts.same == found.counts.decisions
    assert found.now.revoked.count == 0


def test_a_policy_in_shadow_leaves_its_points_uncovered(told: Path, tmp_path: Path) -> None:
    """Moving the only policy into shadow goes through without a word about what is denied then."""
    text = rules().replace("rules:", "mode: shadow\nrules:")
    found = impact(told, kit.load(tmp_path / "new", text), since=since(told))
    assert found.now.uncovered == ("register", "assign", "handoff", "accept", "retain")
    assert found.counts.narrower == found.counts.decisions - dict(found.counts.by_kind).get(
        "x", 0
    ) - (found.counts.same)
    assert found.now.revoked.count > 0


def test_another_redaction_is_another_obligation(told: Path, tmp_path: Path) -> None:
    """What would be withheld, or not any more, is not counted."""
    without = impact(told, kit.load(tmp_path / "a", rules(more="")), since=since(told))
    assert dict(without.counts.by_kind) == {"other_obligations": 1}
    assert (without.counts.wider, without.counts.narrower) == (1, 0)
    more = SECRET.replace("/secret", "/other")
    other = impact(told, kit.load(tmp_path / "b", rules(more=more)), since=since(told))
    assert dict(other.counts.by_kind) == {"other_obligations": 1}
    assert (other.counts.wider, other.counts.narrower) == (1, 1)


def test_a_guard_that_denies_names_the_rule(told: Path, tmp_path: Path) -> None:
    """A command that would have been refused before it was recorded is taken for allowed."""
    guard = kit.policy("  - {id: shut, deny: packet.priority == 0}\n", on="[submit]", name="guard")
    found = impact(told, kit.load(tmp_path / "new", rules(), guard), since=since(told))
    refused = [flip for flip in found.flips if flip.point == "submit"]
    assert len(refused) == 7, (
        "six packets and the one with a secret; nobody may have the strict one anyway"
    )
    assert {(flip.kind, flip.new, flip.rules) for flip in refused} >= {
        ("allow_to_deny", "refused", ("guard/shut",))
    }


def test_a_denial_on_record_is_no_impact_of_the_set_that_denied(told: Path, tmp_path: Path) -> None:
    """What a guard refused is taken for allowed, so that the set that refused it would now refuse it."""
    guard = kit.policy("  - {id: shut, deny: packet.priority == 5}\n", on="[submit]", name="guard")
    guarded = kit.load(tmp_path / "guarded", rules(), guard)
    with opened(told, ManualClock(START + 60 * SECOND)) as engine:
        engine.activate(guarded, principal=OPERATOR)
        with pytest.raises(PfgovError):
            submit(engine, packet("no", priority=5))
    span = {"since": since(told)}
    same = impact(told, guarded, **span)
    assert (same.counts.decisions, same.counts.same) == (2, 2)
    without = impact(told, kit.load(tmp_path / "without", rules()), **span)
    (flip,) = without.flips
    assert (flip.kind, flip.old, flip.rules) == ("deny_to_allow", "refused", ("guard/shut",))
    assert without.counts.wider == 1


def test_names_beyond_those_that_are_told_apart_are_the_same_everywhere(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which names are counted apart depends on the machine."""
    monkeypatch.setattr("pfgov.engine.reading.impact.NAMES_COUNTED_MAX", 1)
    found = impact(told, kit.load(tmp_path / "new", rules("0.96")), since=since(told) + 4)
    assert {share.name for share in found.by.members} == {"low", "*"}


def test_a_waiting_packet_that_would_be_placed_is_named(tmp_path: Path, binding: PolicySet) -> None:
    """What would find an owner at once is not said."""
    from support.ledgers import fresh

    directory = fresh(tmp_path)
    with opened(directory, ManualClock(START + SECOND)) as engine:
        engine.activate(binding, principal=OPERATOR)
        register(engine, "m", trust_score="0.5")
        submit(engine, c.AssessTrust(member_id="m", score="0.4"))
        place(engine, "waits")
        engine.settle()
    found = impact(directory, kit.load(tmp_path / "new", rules("0.4")))
    assert [(row.packet_id, row.member_id) for row in found.now.placed.first] == [("waits", "m")]


def test_a_report_is_the_same_bytes_from_an_export(told: Path, tmp_path: Path) -> None:
    """A report depends on where it was made."""
    new = kit.load(tmp_path / "new", rules("0.6"))
    anchor = keys.parse_anchor((told / "anchor.txt").read_text())
    path = exported(told, tmp_path / "all.jsonl")
    here = impact(told, new)
    for span in (
        Span(),
        Span(since=9),
        Span(size=20),
        Span(sample=3),
        Span(before=here.flips[3].time),
    ):
        there = impact_of_export(path, anchor, new, span, lambda *_: None)
        with LedgerReader(open_store(told)) as reader, reader.snapshot() as queries:
            assert encode(impact_of_store(queries, new, span)) == encode(there)
    assert decode(encode(here)) == here


def test_an_export_that_was_touched_is_refused(
    told: Path, tmp_path: Path, binding: PolicySet
) -> None:
    """Impact is told of a history that somebody made up."""
    path = exported(told, tmp_path / "all.jsonl")
    raw = bytearray(path.read_bytes())
    at = len(raw) // 2
    raw[at] = ord("A") if raw[at] != ord("A") else ord("B")
    path.write_bytes(raw)
    anchor = keys.parse_anchor((told / "anchor.txt").read_text())
    with pytest.raises(LedgerError):
        impact_of_export(path, anchor, binding, Span(), lambda *_: None)


def test_a_ledger_that_is_not_what_its_commands_give_is_refused(
    told: Path, binding: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history that does not come out again is asked all the same."""
    monkeypatch.setattr("pfgov.core.decide.placement.NEAREST_LOSERS_MAX", 0)
    monkeypatch.setattr("pfgov.core.judging.NEAREST_LOSERS_MAX", 0)
    with pytest.raises(ReplayDifferenceError):
        impact(told, binding)


def test_a_sample_is_a_part_of_the_whole_and_says_so(told: Path, tmp_path: Path) -> None:
    """A sample asks other commands in another run, or passes for the whole."""
    new = kit.load(tmp_path / "new", rules("0.6"))
    whole, some = impact(told, new), impact(told, new, sample=3)
    assert some.ledger.sample == 3
    assert 0 < some.counts.decisions < whole.counts.decisions
    assert set(some.flips) < set(whole.flips)
    assert some.ledger.root == whole.ledger.root
    assert some.now == whole.now
    assert encode(impact(told, new, sample=3)) == encode(some)


def test_ended_packets_leave_memory_and_come_back(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packet that has ended is missing when a later command names it, or stays in memory for ever."""
    with opened(told, ManualClock(START + 60 * SECOND)) as engine:
        for number in range(8):
            place(engine, f"e{number}")
            submit(
                engine, c.CompletePacket(packet_id=f"e{number}", owner=claim(engine, f"e{number}"))
            )
        submit(engine, packet("again", again="e0"))
        engine.settle()
    new = kit.load(tmp_path / "new", rules("0.6"))
    before = impact(told, new)
    monkeypatch.setattr("pfgov.engine.reading.replay.ENDED_IN_MEMORY_MAX", 2)
    assert encode(impact(told, new)) == encode(before)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"format":"pfgov.impact/v1"}'])
def test_what_is_no_report_is_refused(raw: bytes) -> None:
    """Any bytes are taken for a report."""
    with pytest.raises(InvalidError) as refusal:
        decode(raw)
    assert refusal.value.code == "impact.report"


def test_a_report_in_other_bytes_is_refused(told: Path, binding: PolicySet) -> None:
    """Two texts stand for one report."""
    raw = encode(impact(told, binding))
    with pytest.raises(InvalidError):
        decode(raw.replace(b'{"binding"', b'{ "binding"', 1))


def test_the_state_is_left_as_it_was(told: Path, tmp_path: Path) -> None:
    """Asking what would happen changes something."""
    new = kit.load(tmp_path / "new", rules("0.9"))
    copy = tmp_path / "copy"
    shutil.copytree(told, copy)
    with reading_folder(copy) as book:
        book.impact(new, Span(), lambda *_: None)
        assert book.replay(lambda *_: None).rows
    with acting_on_folder(copy) as ledger:
        assert ledger.engine.reader.head().size == impact(told, new).ledger.size
