"""``policy watch``, ``bench``, ``repl``, ``try`` and ``sim run --from-ledger``: what an author does meanwhile."""

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import policy_kit as kit
from support.commandline import CommandLine

from pfgov.app.local.folder import acting_on_folder, reading_folder
from pfgov.app.views.facts import facts_of_member, facts_of_packet
from pfgov.cli import policy_repl, policy_try, policy_watch
from pfgov.core.judging import member_facts, packet_facts, terms_facts
from pfgov.core.verdicts import Point
from pfgov.policy.authoring.measuring import measure
from pfgov.policy.authoring.scaffold import make
from pfgov.policy.authoring.watching import rounds
from pfgov.policy.cel.types import Record
from pfgov.policy.facts import ABSENT_AT, ROOTS_AT, root_types
from pfgov.sim.scenarios import SCENARIOS

TEST = (
    "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\ncases:\n  - name: low\n    action: assign\n"
    "    packet: {with: {}, as: p}\n    members: [{with: {trust_score: 0.4}, as: m}]\n    expect: {m: deny}\n"
)
GOOD = kit.policy("  - {id: floor, require: member.trust_score >= 0.5}\n")
LAX = GOOD.replace("0.5", "0.3")
WRONG = GOOD.replace("trust_score", "trust_scor")


@pytest.fixture
def story(pfgov: CommandLine, tmp_path: Path) -> Path:
    """Return a folder of policies that is stricter than the binding one, beside a ledger with members and packets."""
    pfgov.ok("init")
    for name, trust in (("low", "0.6"), ("top", "0.95")):
        pfgov.ok(
            *("member", "register", "--id", name, "--type", "agent", "--capability", "ocr@1.2"),
            *("--trust", trust, "--region", "eu-west", "--cpu", "8", "--label", "team=red"),
        )
    for number in range(3):
        pfgov.ok(
            *("packet", "submit", "--workload", "scan", "--needs", "ocr", "--id", f"p{number}"),
            *("--priority", str(number), "--demand", "cpu=0.25", "--min-trust", "0.5"),
        )
    folder = tmp_path / "policies"
    make(folder, "starter")
    path = folder / "trust.policy.yaml"
    path.write_text(path.read_text().replace("value: 0.5}", "value: 0.7}"))
    return folder


# --- watch --------------------------------------------------------------------------------


def saving(path: Path, *texts: str) -> Callable[[], None]:
    """Return a pause in which the next text is saved; a text that is empty saves nothing."""
    left = iter(texts)

    def pause() -> None:
        text = next(left)
        if text:
            path.write_text(text)

    return pause


def test_each_save_is_a_round(tmp_path: Path) -> None:
    """A save is missed, a pause counts as one, or a set that does not compile ends the watch."""
    path = kit.write(tmp_path, {"p.policy.yaml": GOOD, "p.test.yaml": TEST}) / "p.policy.yaml"
    pause = saving(path, "", LAX, "", WRONG, "nonsense: [", f"{GOOD}# again\n")
    found = list(itertools.islice(rounds(tmp_path, pause), 5))
    assert [one.changed for one in found] == [(), *[("p.policy.yaml",)] * 4]
    assert [one.passes for one in found] == [True, False, False, False, True]
    assert found[1].report is not None
    assert len(found[1].report.failed) == 1
    assert (found[2].report, found[3].report) == (None, None)
    assert {one.code for one in found[2].problems} == {"cel.unknown_field"}


def test_a_file_that_comes_or_goes_is_a_round(tmp_path: Path) -> None:
    """Only files that were there at first are watched, or a file that is gone is not noticed."""
    kit.write(tmp_path, {"p.policy.yaml": GOOD, "p.test.yaml": TEST})

    def pause(steps: list[int] = []) -> None:  # noqa: B006 - it counts its calls
        steps.append(1)
        if len(steps) == 1:
            (tmp_path / "q.policy.yaml").write_text(GOOD.replace("placement", "second"))
        else:
            (tmp_path / "p.test.yaml").unlink()

    found = list(itertools.islice(rounds(tmp_path, pause), 3))
    assert [one.changed for one in found] == [(), ("q.policy.yaml",), ("p.test.yaml",)]
    assert found[2].report is None, "there are no tests any more"
    assert found[2].passes


def test_facts_of_tests_are_watched_in_every_form(tmp_path: Path) -> None:
    """A fixture that is written as JSON, or a name in capitals that is refused, is saved and nothing happens."""
    kit.write(tmp_path, {"p.policy.yaml": GOOD, "p.test.yaml": TEST})
    (tmp_path / "fixtures").mkdir()
    names = iter(("fixtures/members.json", "Q.POLICY.YAML"))
    pause = lambda: (tmp_path / next(names)).write_text("{}")  # noqa: E731
    found = list(itertools.islice(rounds(tmp_path, pause), 3))
    assert [one.changed for one in found] == [(), ("fixtures/members.json",), ("Q.POLICY.YAML",)]


def test_watch_stops_once_everything_passes(
    pfgov: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on after everything passed, stops before, or says something else than check and test say."""
    folder = kit.write(tmp_path / "set", {"p.policy.yaml": WRONG, "p.test.yaml": TEST})
    monkeypatch.setattr(policy_watch, "pause", saving(folder / "p.policy.yaml", LAX, GOOD))
    said = pfgov("policy", "watch", folder, "--until-pass")
    assert said.status == 0
    for words in (
        "did you mean `trust_score`?", "the tests were not run", "changed: p.policy.yaml", "1 check, 1 failed",
    ):  # fmt: skip
        assert words in said.out, words
    assert said.out.rstrip().endswith("pass")
    again = pfgov("policy", "watch", folder, "--until-pass", "--json")
    assert json.loads(again.out)["tests"]["passed"] == 1
    assert pfgov("policy", "watch", tmp_path / "nothing").status != 0


# --- bench --------------------------------------------------------------------------------


def test_a_set_is_asked_at_each_point_and_each_rule_alone(tmp_path: Path) -> None:
    """A decision point or a rule is not measured, or the dearest one does not come first."""
    dear = "packet.data_classes.all(a, packet.data_classes.all(b, a == b || a != b))"
    rules = (
        f"  - {{id: cheap, require: packet.priority < 9}}\n  - {{id: dear, require: '{dear}'}}\n"
    )
    policies = kit.load(tmp_path, kit.policy(rules, on="[assign, retain]"))
    ticks = itertools.count()
    found = measure(policies, lambda: float(next(ticks)), 0.001)
    assert {one.point.value for one in found.points} == {"assign", "retain"}
    assert all(one.per_second > 0 and one.verdicts for one in found.points)
    names = {(one.name, one.point.value) for one in found.rules}
    assert {("placement/dear", "assign"), ("placement/cheap", "retain")} <= names
    assert any(name.startswith("kernel/") for name, _ in names)
    costs = [one.microseconds for one in found.rules]
    assert costs == sorted(costs, reverse=True)


def test_bench_says_what_it_asked(pfgov: CommandLine, tmp_path: Path) -> None:
    """The rates do not say of which set they are."""
    folder = kit.write(tmp_path / "set", {"p.policy.yaml": GOOD})
    found = pfgov.ok("policy", "bench", folder, "--seconds", "0.1")
    assert found["against"] == str(folder)
    assert {row["point"] for row in found["points"]} == {"assign", "handoff", "accept"}
    assert found["rules"][0]["microseconds"] > 0


# --- repl ---------------------------------------------------------------------------------


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let these lines be the input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))


def test_expressions_are_tried_on_what_the_ledger_has(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expression has another value than in a rule, or its parts are not shown."""
    asked = ("--packet", "p2", "--member", "low", "--against", story, "--in", "trust")
    typed(
        monkeypatch, "member.trust_score >= params.trust_floor", "packet.priority + 1", ":quit", "1"
    )
    said = pfgov("policy", "repl", *asked)
    assert said.status == 0
    assert "member.trust_score >= params.trust_floor = false" in said.out
    assert "  member.trust_score = 0.6" in said.out
    assert "packet.priority + 1 = 3" in said.out
    typed(
        monkeypatch, "member.trust_scor > 1.0", "", "size(packet.required_capabilities)", ":facts"
    )
    told = pfgov("policy", "repl", *asked)
    assert told.status == 1, "the input is no terminal, and an expression was wrong"
    assert "did you mean `trust_score`?" in told.out
    assert "size(packet.required_capabilities) = 1" in told.out
    assert '"region": "eu-west"' in told.out
    typed(monkeypatch, "1 +", "true")
    found = json.loads(pfgov("policy", "repl", "--json").out)
    assert [one["value"] for one in found["expressions"]] == [None, "true"]
    assert found["expressions"][0]["problems"]


def test_a_name_that_is_nothing_is_said(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name passes for plain facts."""
    typed(monkeypatch, "true")
    for options, words in (
        (("--packet", "ghost"), "packet.not_found"),
        (("--member", "ghost"), "member.not_found"),
        (("--in", "truts"), "did you mean `trust`?"),
        (("--packet", "no/such.yaml"), "no/such.yaml"),
    ):
        said = pfgov("policy", "repl", *options)
        assert said.status != 0
        assert words in said.err
    assert story.is_dir()


def test_facts_of_a_view_are_those_that_rules_see(pfgov: CommandLine, story: Path) -> None:
    """A rule that holds in the repl does not hold in the engine, because a fact is another one."""
    assert story.is_dir()
    with acting_on_folder(pfgov.directory) as ledger:
        labels = ledger.policy_set().labels
        for name in ("low", "top"):
            member = ledger.engine.look(lambda state, name=name: state.members[name])  # type: ignore[misc]
            assert facts_of_member(ledger.member(name), 0) == member_facts(member, labels)
        packet = ledger.engine.look(lambda state: state.packets["p1"])
        whole = packet_facts(packet, terms_facts(packet.terms, labels))
        assert whole["submitted_by"]
        seen = ledger.packet("p1")
        assert facts_of_packet(seen, policy_repl._said_of(ledger, seen)) == whole


def test_what_says_who_is_among_the_facts(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who submitted a packet, who reviewed it for whom, or that a trust has expired, is another fact in the repl."""
    assert story.is_dir()
    pfgov.ok(
        "packet", "submit", "--workload", "scan", "--needs", "ocr", "--id", "pii", "--pii-review"
    )
    pfgov.ok("packet", "review", "pii", "--grant", "--version", "3")
    pfgov.ok("member", "trust", "low", "0.7", "--expires", "2h")
    asked = ("--packet", "pii", "--member", "low", "--source", "top")
    typed(
        monkeypatch,
        "packet.submitted_by.id + packet.reviews[0]",
        "has(member.trust_score)",
        "source.region",
    )
    found = pfgov.ok("policy", "repl", "--action", "handoff", *asked)["expressions"]
    assert [one["value"] for one in found] == ["locallocal", "true", "eu-west"]
    typed(monkeypatch, "has(member.trust_score)")
    (late,) = pfgov.ok("policy", "repl", *asked[:4], "--now", "2999-01-01T00:00:00Z")["expressions"]
    assert late["value"] == "false"


@pytest.mark.parametrize("action", [point.value for point in Point])
def test_every_decision_has_all_its_facts(
    pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """A rule of a guarding point cannot be tried: what only that point has is missing."""
    pfgov.ok("init")
    absent = ABSENT_AT.get(Point(action), frozenset())
    facts = [
        f"{root}.{name}"
        for root, kind in root_types(ROOTS_AT[Point(action)]).items()
        if isinstance(kind, Record) and root not in absent
        for name, field in kind.fields.items()
        if not field.optional
    ]
    typed(monkeypatch, *[f"{fact} == {fact}" for fact in facts])
    found = pfgov.ok("policy", "repl", "--action", action)["expressions"]
    wrong = [one for one in found if one["value"] != "true"]
    assert (len(found), wrong) == (len(facts), [])


def test_a_fact_that_a_decision_has_not_is_refused(pfgov: CommandLine) -> None:
    """A file is read for a decision that does not know what is in it."""
    pfgov.ok("init")
    said = pfgov("policy", "repl", "--action", "submit", "--member", "m")
    assert said.status == 2
    assert "a decision at submit has no --member" in said.err


# --- try ----------------------------------------------------------------------------------


def test_a_trial_is_the_impact_on_what_came_meanwhile(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A trial asks what was decided before it, misses what came, or reports otherwise than impact does."""
    with reading_folder(pfgov.directory) as book:
        begun = book.overview().size

    def while_waiting(seconds: int, told: Callable[[int], None]) -> Callable[[int], bool]:
        assert seconds == 900

        def is_over(entries: int) -> bool:
            told(entries)
            if not entries:
                pfgov(
                    "packet", "submit", "--workload", "scan", "--needs", "ocr", "--id", "meanwhile"
                )
            return entries > 0

        return is_over

    monkeypatch.setattr(policy_try, "waiting", while_waiting)
    out = tmp_path / "report.json"
    said = pfgov(
        "policy",
        "try",
        story,
        "--for",
        "15m",
        "--format",
        "json",
        "--out",
        out,
        "--fail-on",
        "narrow",
    )
    assert said.status == 1, said
    tried = json.loads(out.read_text())
    assert tried["ledger"]["first"] == begun
    assert [flip["subject"] for flip in tried["flips"]] == ["packet/meanwhile"]
    same = pfgov("policy", "impact", story, "--since", str(begun), "--format", "json")
    assert same.out == out.read_text()


def test_a_trial_is_recorded_with_the_proposal(
    pfgov: CommandLine, story: Path, tmp_path: Path
) -> None:
    """What came of a trial is nowhere on record, or a file that nobody signed backs a proposal."""
    key, out = tmp_path / "acme.key", tmp_path / "trial.json"
    public = pfgov.ok("policy", "publisher", "key", key, "--name", "acme")["key"]
    pfgov.ok("policy", "publisher", "trust", "acme", public)
    plain = tmp_path / "plain.json"
    line = ("policy", "try", story, "--for", "1s")
    assert pfgov(*line, "--format", "json", "--out", plain).status == 0
    refusal = pfgov.refused("policy", "propose", story, "--report", plain)
    assert refusal["code"] == "impact.altered"
    missing = pfgov.refused("policy", "propose", story, "--report", tmp_path / "nowhere")
    assert missing["code"] == "input.unreadable"
    assert pfgov.ok("policy", "proposals")["proposals"] == []
    said = pfgov(*line, "--sign", key, "--out", out)
    assert said.status == 0, said
    pfgov.ok("policy", "propose", story, "--report", out)
    (found,) = pfgov.ok("policy", "proposals")["proposals"]
    body = pfgov.ok("ledger", "log", "--at", found["proposal"])["entries"][0]["body"]
    assert body["report"]["digest"] == found["report"]
    assert body["report"]["key"] == public
    assert found["report"][:12] in pfgov("policy", "proposals").out
    pfgov.ok("ledger", "replay")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3_600), ("2d", 172_800)]
)
def test_a_length_of_time_is_read(text: str, seconds: int) -> None:
    """A trial takes another time than it was given."""
    assert policy_try.Length().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1w", "٣h", "9999999s"])
def test_what_is_no_length_of_time_is_refused(pfgov: CommandLine, text: str) -> None:
    """A trial takes whatever time somebody mistyped."""
    said = pfgov("policy", "try", "policies", "--for", text)
    assert said.status == 2
    assert "write 90s, 15m, 1h or 2d" in said.err


def test_a_trial_ends_when_its_time_is_over_or_somebody_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trial goes on for ever, or ends at the first look."""
    told: list[int] = []
    assert policy_try.waiting(0, told.append)(3)
    assert told == [3]

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(policy_try.time, "sleep", lambda _: None)
    assert not policy_try.waiting(60, told.append)(4)
    monkeypatch.setattr(policy_try.time, "sleep", interrupted)
    assert policy_try.waiting(60, told.append)(5)


# --- from the ledger on -------------------------------------------------------------------


def test_a_simulation_begins_with_the_ledger(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulation has another fleet than the ledger, asks another set, or writes to the ledger."""
    monkeypatch.setitem(SCENARIOS, "default", replace(SCENARIOS["default"], minutes=2))
    before = pfgov("ledger", "log", "--json").out
    options = ("--from-ledger", "--scenario", "default", "--seed", "3")
    binding = pfgov.ok("sim", "run", *options)
    assert (binding["members"], binding["packets"]) == (2, 3)
    assert binding["against"].startswith("the binding set")
    assert pfgov.ok("sim", "run", *options) == binding
    stricter = pfgov.ok("sim", "run", *options, "--policies", story)
    assert stricter["policy"] != binding["policy"]
    assert stricter["metrics"] != binding["metrics"], "one of two members may have nothing any more"
    assert binding["metrics"]["success_rate"] == 1
    assert pfgov("ledger", "log", "--json").out == before


def test_what_a_simulation_cannot_begin_with_is_said(pfgov: CommandLine, story: Path) -> None:
    """An empty fleet is simulated as if something happened, or an option is passed over."""
    assert story.is_dir()
    for name in ("low", "top"):
        pfgov("member", "fail", name, "--reason", "gone")
    assert "sim.no_members" in pfgov("sim", "run", "--from-ledger").err
    assert pfgov("sim", "run", "--policies", story).status == 2
    assert pfgov("sim", "run", "--from-ledger", "--scenario", "taura-2003").status == 2
