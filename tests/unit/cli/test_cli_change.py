"""``policy impact``, ``diff`` and ``mutate`` on a command line: exit codes for CI, one JSON object, and words."""

import json
from pathlib import Path

import pytest
from support.commandline import CommandLine

from pfgov.policy.authoring.scaffold import make


@pytest.fixture
def story(pfgov: CommandLine, tmp_path: Path) -> Path:
    """Return the folder of the binding policies beside a ledger with members and packets."""
    pfgov.ok("init")
    for name, trust in (("low", "0.55"), ("top", "0.95")):
        pfgov.ok(
            "member",
            "register",
            "--id",
            name,
            "--type",
            "agent",
            "--capability",
            "ocr",
            "--trust",
            trust,
        )
    for number in range(4):
        pfgov.ok("packet", "submit", "--workload", "scan", "--needs", "ocr", "--id", f"p{number}")
    make(tmp_path / "policies", "starter")
    return tmp_path / "policies"


def change(folder: Path, old: str, new: str) -> None:
    """Replace a text in the policy files of *folder*."""
    hits = 0
    for path in folder.glob("*.policy.yaml"):
        text = path.read_text()
        hits += old in text
        path.write_text(text.replace(old, new))
    assert hits == 1


def test_a_set_without_impact_is_zero_everywhere(pfgov: CommandLine, story: Path) -> None:
    """A change that changes nothing fails a build."""
    every = [part for kind in ("widen", "narrow", "revoke", "flip") for part in ("--fail-on", kind)]
    said = pfgov("policy", "impact", story, *every)
    assert said.status == 0, said
    assert "nothing would change at once" in said.out


def test_impact_fails_for_what_was_asked_only(pfgov: CommandLine, story: Path) -> None:
    """A build goes on over what it was to stop at, or stops at what it was to let through."""
    change(
        story, "trust_floor: {type: double, value: 0.5}", "trust_floor: {type: double, value: 0.9}"
    )
    report = pfgov.ok("policy", "impact", story)
    lost = report["now"]["revoked"]["count"]
    assert lost >= 1
    assert pfgov("policy", "impact", story, "--fail-on", "widen").status == 0
    assert pfgov("policy", "impact", story, "--fail-on", "narrow").status == 1
    assert pfgov("policy", "impact", story, "--fail-on", "revoke").status == 1
    assert pfgov("policy", "impact", story, "--fail-on", f"revoke:{lost}").status == 0
    assert pfgov("policy", "impact", story, "--fail-on", f"revoke:{lost - 1}").status == 1


def test_impact_in_every_form(pfgov: CommandLine, story: Path, tmp_path: Path) -> None:
    """One form says something else than another, or a file is not the report."""
    change(
        story, "trust_floor: {type: double, value: 0.5}", "trust_floor: {type: double, value: 0.9}"
    )
    report = tmp_path / "report.json"
    assert pfgov("policy", "impact", story, "--format", "json", "--out", report).status == 0
    found = json.loads(report.read_text())
    text = pfgov("policy", "impact", story).out
    marked = pfgov("policy", "impact", story, "--format", "markdown").out
    for words in ("trust/trust-floor", found["proposed"][:12], "low"):
        assert words in text
        assert words in marked
    assert marked.startswith("### Impact of ")
    assert "| `trust/trust-floor` |" in marked


def test_impact_is_the_same_from_an_export(pfgov: CommandLine, story: Path, tmp_path: Path) -> None:
    """A report made from an export by somebody else has other bytes."""
    path = tmp_path / "all.jsonl"
    pfgov.ok("ledger", "export", "--fresh", "--out", path)
    here = pfgov("policy", "impact", story, "--format", "json").out
    anchor = pfgov.directory / "anchor.txt"
    there = pfgov("policy", "impact", story, "--export", path, "--key", anchor, "--format", "json")
    assert here == there.out


def test_an_export_that_cannot_be_asked_says_why(
    pfgov: CommandLine, story: Path, tmp_path: Path
) -> None:
    """Whoever has a cut, a missing or another ledger's export reads one word, or words twice, and no next step."""
    path, cut = tmp_path / "all.jsonl", tmp_path / "cut.jsonl"
    pfgov.ok("ledger", "export", "--fresh", "--out", path)
    cut.write_bytes(path.read_bytes()[:2_000])
    other = tmp_path / "other"
    pfgov.ok("--dir", other, "init")
    mine, another = pfgov.directory / "anchor.txt", other / "anchor.txt"
    for export, anchor, words in (
        (cut, mine, "ends before its trailer"),
        (tmp_path / "missing.jsonl", mine, "could not be read"),
        (path, another, "belongs to another log"),
    ):
        said = pfgov("policy", "impact", story, "--export", export, "--key", anchor)
        assert (said.status, said.err.count(words)) == (4, 1), said
        assert "next:" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "5", "--until", "3"),
        ("--since", "5", "--until", "5"),
        ("--since", "2026-06-13T20:00:00Z", "--until", "2026-06-13T19:00:00Z"),
        ("--fail-on", "wide"),
        ("--fail-on", "widen:-1"),
        ("--fail-on", "widen:x"),
        ("--fail-on", "widen:"),
        ("--since", "yesterday"),
        ("--until", "-1"),
        ("--sample", "0"),
        ("--key", "anchor.txt"),
        ("--format", "html"),
    ],
)
def test_a_wrong_option_is_two(pfgov: CommandLine, story: Path, arguments: tuple[str, ...]) -> None:
    """A threshold that was misread, or a part of the history with nothing in it, lets everything through."""
    assert pfgov("policy", "impact", story, *arguments).status == 2


@pytest.mark.parametrize("length", ["0s", "00h", "1", "-1s", "1w", ""])
def test_a_trial_of_no_length_is_refused(pfgov: CommandLine, story: Path, length: str) -> None:
    """A trial in which nothing can be decided passes."""
    assert pfgov("policy", "try", story, "--for", length).status == 2


def test_impact_of_what_does_not_compile_is_three(pfgov: CommandLine, story: Path) -> None:
    """A broken set has no impact."""
    change(story, "member.trust_score >= params.trust_floor", "member.trust_scor >= 1")
    assert pfgov("policy", "impact", story).status == 3


def test_diff_names_the_change_and_fails_where_asked(pfgov: CommandLine, story: Path) -> None:
    """A change of a boundary is not found, or named as something else."""
    assert pfgov("policy", "diff", "binding", story, "--fail-on", "differ").status == 0
    change(
        story, "trust_floor: {type: double, value: 0.5}", "trust_floor: {type: double, value: 0.49}"
    )
    said = pfgov("policy", "diff", "binding", story)
    assert said.status == 0
    assert "param trust_floor: 0.5 (double) -> 0.49 (double)" in said.out
    assert "the new set allows more: deny -> allow (trust/trust-floor)" in said.out
    assert pfgov("policy", "diff", "binding", story, "--fail-on", "widen").status == 1
    assert pfgov("policy", "diff", "binding", story, "--fail-on", "narrow").status == 0
    found = pfgov.ok("policy", "diff", "binding", story)
    assert found["widens"] is True
    assert {one["point"] for one in found["points"]} == {"assign", "handoff", "accept", "retain"}
    marked = pfgov("policy", "diff", "binding", story, "--format", "markdown").out
    assert "```yaml" in marked
    assert "`0.49 (double)`" in marked


def test_markdown_of_hostile_names_stays_what_it_is(pfgov: CommandLine, story: Path) -> None:
    """A text in a policy ends its code quotes and writes into somebody's review."""
    change(
        story,
        "member.trust_score >= params.trust_floor",
        'member.trust_score >= params.trust_floor || member.id == "`|x|`"',
    )
    marked = pfgov("policy", "diff", "binding", story, "--format", "markdown").out
    rows = [line for line in marked.splitlines() if "policy trust" in line]
    assert rows
    assert all(line.count("`") % 2 == 0 for line in rows)
    assert "`|x|`" not in "".join(rows)


def test_mutate_says_the_score_and_fails_below_it(pfgov: CommandLine, tmp_path: Path) -> None:
    """A score below the least is a pass."""
    (tmp_path / "p.policy.yaml").write_text(
        'apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: p, version: "1"}\non: [assign]\n'
        "rules:\n  - {id: r, require: member.trust_score >= 0.5}\n"
    )
    (tmp_path / "p.test.yaml").write_text(
        "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: p\ncases:\n"
        "  - {name: a, packet: {as: p}, members: [{with: {trust_score: 0.9}, as: m}], expect: {m: allow}}\n"
        "  - {name: b, packet: {as: p}, members: [{with: {trust_score: 0.1}, as: m}], expect: {m: deny}}\n"
    )
    found = pfgov.ok("policy", "mutate", tmp_path)
    assert 0 < found["percent"] < 100
    missed = [one for one in found["survivors"] if not one["equivalent"]]
    assert missed
    assert all(one["file"].endswith("p.policy.yaml") and one["line"] == 6 for one in missed)
    assert pfgov("policy", "mutate", tmp_path, "--min", found["percent"]).status == 0
    said = pfgov("policy", "mutate", tmp_path, "--min", found["percent"] + 1)
    assert said.status == 1
    assert "no test notices it" in said.out


# --- activating -------------------------------------------------------------------------------


def test_a_fresh_workspace_takes_a_set_in_one_command(pfgov: CommandLine, tmp_path: Path) -> None:
    """The first set of one's own has to be confirmed, though nothing is at stake."""
    pfgov.ok("init")
    make(tmp_path / "policies", "eu-residency")
    assert "is binding" in pfgov("policy", "activate", tmp_path / "policies").out


def test_a_change_without_consequences_goes_through(pfgov: CommandLine, story: Path) -> None:
    """A change that takes nothing from anybody waits for a yes."""
    change(story, "the least to join with", "which joining takes")
    assert pfgov("policy", "activate", story, "--dry-run").status == 0
    assert "is binding" in pfgov("policy", "activate", story).out


def activated(pfgov: CommandLine) -> int:
    """How many sets were ever made binding."""
    count: int = pfgov.ok("ledger", "log", "--type", "policy_activated")["count"]
    return count


def test_a_change_with_consequences_waits_for_a_yes(pfgov: CommandLine, story: Path) -> None:
    """A set that takes packets from their owners becomes binding without a word, or not even with one."""
    change(
        story,
        "trust_floor: {type: double, value: 0.5}",
        "trust_floor: {type: double, value: 0.9}",
    )
    before = activated(pfgov)
    refused = pfgov.refused("policy", "activate", story)
    assert (refused["code"], refused["status"]) == ("policy.unconfirmed", 1)
    said = pfgov("policy", "activate", story, "--dry-run")
    assert said.status == 1
    assert "would be taken from" in said.out
    assert "nothing was changed" in said.out
    told = pfgov("policy", "activate", story, "--dry-run", "--json")
    assert told.status == 1
    assert told.json["needs_yes"] is True
    assert told.json["report"]["now"]["revoked"]["count"] >= 1
    assert activated(pfgov) == before
    made = pfgov.ok("policy", "activate", story, "--yes")
    assert "ownership_revoked" in [one["type"] for one in made["entries"]]


def test_a_failing_test_waits_for_a_yes(pfgov: CommandLine, story: Path) -> None:
    """A set whose own tests fail becomes binding without a word."""
    path = next(story.glob("trust.test.yaml"))
    path.write_text(path.read_text().replace("allow", "deny", 1))
    said = pfgov("policy", "activate", story)
    assert said.status == 0, "the same set is binding already: nothing would change"
    change(story, "the least to join with", "which joining takes")
    refused = pfgov.refused("policy", "activate", story)
    assert refused["code"] == "policy.unconfirmed"
    assert "a test fails" in refused["message"]
    assert "1 failed" in pfgov("policy", "activate", story, "--dry-run").out


def test_a_set_that_does_not_load_is_refused_and_recorded_as_before(
    pfgov: CommandLine, story: Path
) -> None:
    """Weighing a broken set keeps its refusal from the record, or a dry run writes one."""
    change(story, "member.trust_score >= params.trust_floor", "member.trust_scor >= 1")
    assert pfgov("policy", "activate", story, "--dry-run").status == 3
    assert pfgov.ok("ledger", "log", "--type", "policy_refused")["count"] == 0
    assert pfgov("policy", "activate", story).status == 3
    assert pfgov("policy", "activate", story, "--yes").status == 3
    assert pfgov.ok("ledger", "log", "--type", "policy_refused")["count"] == 2


def test_a_yes_on_a_terminal_is_asked_for(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal nobody is asked, or no answer passes for a yes."""
    change(
        story,
        "trust_floor: {type: double, value: 0.5}",
        "trust_floor: {type: double, value: 0.9}",
    )
    answers = iter([False, True])
    monkeypatch.setattr("pfgov.cli.policy_active.is_on_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: next(answers))
    assert pfgov("policy", "activate", story).status == 1
    assert activated(pfgov) == 1
    assert pfgov("policy", "activate", story).status == 0
    assert activated(pfgov) == 2


def test_only_the_present_is_asked_of_a_long_history(
    pfgov: CommandLine, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An activation takes as long as the ledger is old, or skips who would lose something."""
    change(
        story,
        "trust_floor: {type: double, value: 0.5}",
        "trust_floor: {type: double, value: 0.9}",
    )
    whole = pfgov("policy", "activate", story, "--dry-run", "--json").json["report"]
    monkeypatch.setattr("pfgov.app.change.weighing.WEIGHED_ENTRIES_MAX", 3)
    said = pfgov("policy", "activate", story, "--dry-run", "--json").json["report"]
    assert said["counts"]["decisions"] == 0
    assert said["now"] == whole["now"]
    assert said["ledger"]["root"] == whole["ledger"]["root"]
    assert "pfgov policy impact" in pfgov("policy", "activate", story, "--dry-run").out


STRICT = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: strict, version: "1", description: Only the best.}
mode: shadow
on: [assign, retain]
rules:
  - {id: best, require: member.trust_score >= 0.9}
"""


def test_what_is_in_shadow_is_weighed_and_promoted(pfgov: CommandLine, story: Path) -> None:
    """What a policy in shadow mode would have done is not said, or it binds without a word, or never."""
    assert pfgov.ok("policy", "shadow")["shadow"] == []
    (story / "strict.policy.yaml").write_text(STRICT)
    pfgov.ok("policy", "activate", story, "--yes")
    found = pfgov.ok("policy", "shadow")["shadow"]
    assert [one["policy"] for one in found] == ["strict"]
    report = found[0]["report"]
    assert report["counts"]["narrower"] > 0 == report["counts"]["wider"]
    assert "strict/best" in pfgov("policy", "shadow").out
    assert "policy.not_shadowed" in pfgov("policy", "promote", "trust").err
    assert pfgov("policy", "promote", "strict", "--dry-run").status == 1
    assert "policy.unconfirmed" in pfgov("policy", "promote", "strict").err
    view = pfgov.ok("policy", "promote", "strict", "--yes")["policy"]
    assert {one["name"]: one["mode"] for one in view["policies"]}["strict"] == "enforce"
    assert pfgov.ok("policy", "shadow")["shadow"] == []
    pfgov.ok("policy", "rollback")
    assert len(pfgov.ok("policy", "shadow")["shadow"]) == 1
    pfgov.ok("ledger", "replay")


def test_what_is_not_read_is_named_wherever_a_set_is_put_to_use(
    pfgov: CommandLine, story: Path, tmp_path: Path
) -> None:
    """A file beside the policies is passed over in silence, though its author took it for one of them."""
    (story / "old.policy.yaml.bak").write_text("kind: Policy\n")
    change(story, "value: 0.5}", "value: 0.51}")
    doors: list[tuple[str | Path, ...]] = [
        ("policy", "check", story),
        ("policy", "activate", story, "--dry-run"),
        ("policy", "propose", story),
        ("policy", "activate", story, "--yes"),
        ("init", "--policy", story, "--dir", tmp_path / "other"),
    ]
    for door in doors:
        said = pfgov(*door).out
        assert "old.policy.yaml.bak: its name does not end with .yaml" in said, door
    (found,) = pfgov.ok("policy", "activate", story, "--yes")["unread"]
    assert found["path"].endswith("old.policy.yaml.bak")


def test_a_policy_leaves_shadow_mode_with_the_report_that_is_demanded(
    pfgov: CommandLine, story: Path, tmp_path: Path
) -> None:
    """Where a report is demanded no policy can be put in force, or any report will do."""
    key, out = tmp_path / "acme.key", tmp_path / "impact.json"
    shadow = story / "stricter.policy.yaml"
    shadow.write_text(
        "apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: stricter, version: '1'}\nmode: shadow\n"
        "on: [assign]\nrules:\n  - id: high\n    require: member.trust_score >= 0.6\n"
    )
    pfgov.ok("policy", "activate", story, "--yes")
    public = pfgov.ok("policy", "publisher", "key", key, "--name", "acme")["key"]
    pfgov.ok("policy", "publisher", "trust", "acme", public)
    pfgov.ok("config", "set", "activation_report=5")
    assert pfgov.refused("policy", "promote", "stricter", "--yes")["code"] == "impact.missing"
    wrong = tmp_path / "wrong.json"
    assert pfgov("policy", "impact", story, "--sign", key, "--out", wrong).status == 0
    with_wrong = pfgov.refused("policy", "promote", "stricter", "--yes", "--report", wrong)
    assert with_wrong["code"] == "impact.other_set"
    shadow.write_text(shadow.read_text().replace("mode: shadow\n", ""))
    assert pfgov("policy", "impact", story, "--sign", key, "--out", out).status == 0
    pfgov.ok("policy", "promote", "stricter", "--yes", "--report", out)
    shown = pfgov.ok("policy", "show")["policy"]["policies"]
    assert {one["name"]: one["mode"] for one in shown}["stricter"] == "enforce"


def test_a_policys_file_is_no_bundle_that_somebody_altered(pfgov: CommandLine, story: Path) -> None:
    """Who names one file of a set is sent to a publisher, instead of to its folder."""
    file = story / "trust.policy.yaml"
    for words in (
        ("policy", "activate", file, "--yes"),
        ("policy", "impact", file),
        ("policy", "propose", file),
        ("policy", "bundle", "show", file),
    ):
        refused = pfgov.refused(*words)
        assert (refused["code"], str(story) in refused["hint"]) == ("policy.no_folder", True), words
