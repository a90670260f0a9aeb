"""``pfgov policy``: exit codes, JSON, and text that a person can act on."""

import json
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.cli import run
from pfgov.core.verdicts import Point
from pfgov.policy import shipped_directory
from pfgov.policy.authoring.showing import source_text
from pfgov.policy.cel import parse

STARTER = str(shipped_directory("starter"))
PACKETS = f"{STARTER}/fixtures/packets.yaml"
MEMBERS = f"{STARTER}/fixtures/members.yaml"
SEED = Path(__file__).parents[2] / "data" / "seed" / "packet.json"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> object:
    """Run a command line and return (exit status, standard output and error)."""

    def call(*arguments: str) -> tuple[int, str]:
        status = run(["policy", *arguments])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return call


def as_json(cli, *arguments: str):  # noqa: ANN001, ANN201 - the fixture's own shape
    """Run with ``--json`` and return (exit status, the object)."""
    status, out = cli(*arguments, "--json")
    return status, json.loads(out)


def test_a_good_folder_checks_with_zero(cli) -> None:  # noqa: ANN001
    """0: everything was checked and there is nothing to say."""
    status, found = as_json(cli, "check", STARTER)
    assert (status, found["ok"], found["problems"]) == (0, True, [])
    assert len(found["digest"]) == 64


def test_warnings_alone_are_one(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """1: it loads, and something in it is doubtful."""
    kit.write(
        tmp_path,
        {
            "p.policy.yaml": kit.policy(
                "  - {id: t, require: member.trust_score > 0.5}\n",
                extra="params: {unused: {type: int, value: 1}}\n",
            )
        },
    )
    status, found = as_json(cli, "check", str(tmp_path))
    assert (status, [p["code"] for p in found["problems"]]) == (1, ["policy.unused_param"])
    assert found["problems"][0]["severity"] == "warning"


def test_what_does_not_compile_is_three(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """3: it does not compile; the place and the suggestion are printed."""
    kit.write(tmp_path, {"p.policy.yaml": kit.policy("  - {id: t, require: member.trust > 0.5}\n")})
    status, out = cli("check", str(tmp_path))
    assert status == 3
    assert "p.policy.yaml:6:29: error" in out
    assert "did you mean" in out
    assert cli("test", str(tmp_path))[0] == 3


def test_a_missing_folder_is_four(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """4: nothing could be checked."""
    status, found = as_json(cli, "check", str(tmp_path / "nowhere"))
    assert (status, found["error"]["code"]) == (4, "policy.no_folder")


def test_a_wrong_command_line_is_two(cli) -> None:  # noqa: ANN001
    """2: the command line makes no sense."""
    assert cli("eval", "--member", f"{MEMBERS}#good")[0] == 2
    assert cli("eval", "--action", "register", "--packet", f"{PACKETS}#plain")[0] == 2
    assert cli("schema", "Nonsense")[0] == 2
    assert cli("eval", "--packet", f"{PACKETS}#plain", "--member", "nowhere.json")[0] == 2


def test_tests_that_pass_are_zero_and_that_fail_one(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """0 and 1: tests and coverage decide."""
    status, found = as_json(cli, "test", STARTER, "--min", "100")
    assert (status, found["failed"], found["coverage"]["missed"]) == (0, [], [])
    files = {
        "p.policy.yaml": kit.policy("  - {id: t, require: member.trust_score > 0.5}\n"),
        "p.test.yaml": "apiVersion: pfgov/v1\nkind: PolicyTest\ncases:\n"
        "  - {name: x, packet: p, members: [m], expect: {m: allow}}\n",
        "fixtures/f.yaml": "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {p: {}}\n"
        "members: {m: {trust_score: 0.4}}\n",
    }
    kit.write(tmp_path, files)
    report = tmp_path / "report.xml"
    status, found = as_json(cli, "test", str(tmp_path), "--junit", str(report))
    assert (status, found["failed"][0]["problem"]) == (1, "expected allow, got deny [placement/t]")
    assert "<failure" in report.read_text()
    good = files["fixtures/f.yaml"].replace("0.4", "0.6")
    kit.write(tmp_path, {"fixtures/f.yaml": good})
    assert cli("test", str(tmp_path))[0] == 0
    status, out = cli("test", str(tmp_path), "--min", "100")
    assert status == 1
    assert "was never seen false" in out
    status, out = cli("test", str(tmp_path), "--min-points", "100")
    assert status == 1
    assert "placement/t: no case where it applies at handoff" in out
    assert "1 of 3 points asked" in out
    assert cli("test", str(tmp_path), "--min-points", "33")[0] == 0


def test_a_decision_is_zero_or_one(cli) -> None:  # noqa: ANN001
    """0 if the member may, 1 if not; the sentence has value and bound."""
    asked = ("eval", "--packet", f"{PACKETS}#plain", "--member")
    assert cli(*asked, f"{MEMBERS}#good")[0] == 0
    status, out = cli(*asked, f"{MEMBERS}#doubtful")
    assert status == 1
    assert "trust 0.3 is below the floor 0.5" in out
    assert "would be eligible with trust_score 0.5; has 0.3" in out
    status, found = as_json(cli, *asked, f"{MEMBERS}#doubtful", "--explain")
    assert (status, found["decision"], found["reasons"][0]["rule"]) == (
        1,
        "deny",
        "trust/trust-floor",
    )


def test_an_allowance_that_is_left_to_rights_is_said_to_be(cli) -> None:  # noqa: ANN001
    """Where no policy is asked, `allow` does not mean that anybody may."""
    status, out = cli("eval", "--action", "submit", "--packet", f"{PACKETS}#plain")
    assert status == 0
    assert "no policy in force covers submit: whoever has the right may, and nobody else" in out
    assert "no policy in force" not in cli("eval", "--action", "export")[1]


def test_who_answers_for_a_fleet(cli) -> None:  # noqa: ANN001
    """Every member is named, with each failing rule or as eligible."""
    status, found = as_json(cli, "who", "--packet", f"{PACKETS}#plain", "--members", MEMBERS)
    assert (status, found["eligible"]) == (0, ["good", "plain", "nowhere"])
    assert {item["member"] for item in found["members"]} == {
        "good", "plain", "doubtful", "shady", "unassessed", "nowhere", "closed",
    }  # fmt: skip
    status, found = as_json(cli, "who", "--packet", f"{PACKETS}#personal", "--members", MEMBERS)
    assert (status, found["eligible"]) == (0, ["good"])


def test_the_specifications_own_packet_can_be_asked_about(cli) -> None:  # noqa: ANN001
    """A real packet with its envelope is understood as it stands: here a review is still missing."""
    status, found = as_json(cli, "who", "--packet", str(SEED), "--members", MEMBERS)
    assert status == 1
    good = next(item for item in found["members"] if item["member"] == "good")
    assert (good["decision"], good["reasons"][0]["rule"]) == ("escalate", "kernel/pii-review")


def test_init_copies_a_pack_that_passes(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """`init` gives a folder whose tests pass at once, and never overwrites one."""
    target = tmp_path / "mine"
    status, found = as_json(cli, "init", str(target))
    assert (status, len(found["files"]) > 5) == (0, True)
    assert cli("test", str(target), "--min", "100")[0] == 0
    status, found = as_json(cli, "init", str(target))
    assert (status, found["error"]["code"]) == (2, "policy.exists")
    status, found = as_json(cli, "init", str(tmp_path / "b"), "--pack", "startr")
    assert found["error"]["hint"] == "did you mean `starter`?"


def test_fmt_says_what_it_would_change(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """`fmt --check` is for builds, `fmt` does it, and twice is once."""
    text = "# why\nkind: Policy\napiVersion: pfgov/v1\n" + kit.policy(
        "    -   {id: t, require: member.trust_score > 0.5}   # note\n"
    ).removeprefix("apiVersion: pfgov/v1\nkind: Policy\n")
    path = kit.write(tmp_path, {"p.policy.yaml": text}) / "p.policy.yaml"
    before = kit.load_directory(tmp_path).digest
    assert cli("fmt", str(tmp_path), "--check")[0] == 1
    assert path.read_text() == text
    assert cli("fmt", str(tmp_path))[0] == 0
    assert path.read_text().startswith("# why\napiVersion") or "apiVersion" in path.read_text()[:40]
    assert "# note" in path.read_text()
    assert cli("fmt", str(tmp_path), "--check")[0] == 0
    assert kit.load_directory(tmp_path).digest == before


def test_schemas_are_printed_and_written(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """`schema KIND` prints one, `--out` writes all."""
    status, out = cli("schema", "Policy")
    assert (status, json.loads(out)["title"]) == (0, "pfgov Policy")
    assert cli("schema", "--out", str(tmp_path))[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "definitions.schema.json", "fixtures.schema.json", "labels.schema.json",
        "packet.schema.json", "policy.schema.json",
        "policytest.schema.json",
    ]  # fmt: skip


# --- which set is asked -----------------------------------------------------------------------

NO_TOOLS = kit.policy(
    "  - {id: no-tools, deny: member.type == 'tool'}\n", name="own", on="[register, place, retain]"
)


@pytest.fixture
def ledger(cli, tmp_path: Path) -> Path:  # noqa: ANN001
    """A ledger whose binding set refuses tools, and only these."""
    kit.write(tmp_path / "own", {"own.policy.yaml": NO_TOOLS})
    assert run(["init", "--dir", str(tmp_path / "ledger")]) == 0
    asked = ["policy", "activate", str(tmp_path / "own"), "--dir", str(tmp_path / "ledger")]
    assert run(asked) == 0
    kit.write(
        tmp_path,
        {
            "p.json": '{"workload_type": "w"}',
            "m.json": '{"id": "m", "type": "agent"}',
            "t.json": '{"id": "t", "type": "tool", "trust_score": 0.9}',
        },
    )
    return tmp_path


@pytest.mark.parametrize(("member", "status"), [("m", 0), ("t", 1)])
@pytest.mark.parametrize("against", [(), ("--against", "binding"), ("--against", "own")])
def test_the_binding_set_answers_where_there_is_a_ledger(
    cli,  # noqa: ANN001
    ledger: Path,
    capsys,  # noqa: ANN001
    member: str,
    status: int,
    against: tuple[str, ...],
) -> None:
    """What `eval` says is what the ledger's engine would decide, and the set that was asked is named."""
    capsys.readouterr()
    named = tuple(str(ledger / "own") if word == "own" else word for word in against)
    asked = ("eval", "--packet", str(ledger / "p.json"), "--member", str(ledger / f"{member}.json"))
    found = as_json(cli, *asked, "--dir", str(ledger / "ledger"), *named)
    assert found[0] == status
    digest = kit.load_directory(ledger / "own").digest
    assert found[1]["policy"] == digest
    said = str(ledger / "own") if named[-1:] == (str(ledger / "own"),) else "the binding set of "
    assert found[1]["against"].startswith(said)
    status_of_text, text = cli(*asked, "--dir", str(ledger / "ledger"), *named)
    assert (status_of_text, f"policy set {digest[:12]}" in text) == (status, True)


def test_a_recorded_set_is_asked_by_its_digest(cli, ledger: Path, capsys) -> None:  # noqa: ANN001
    """A set that was binding once can be asked again; an unknown digest and a wrong word are errors."""
    digest = kit.load_directory(ledger / "own").digest
    starter = kit.load_directory(STARTER).digest
    capsys.readouterr()
    asked = ("--packet", str(ledger / "p.json"), "--dir", str(ledger / "ledger"))
    who = ("who", *asked, "--members", str(ledger / "m.json"))
    assert as_json(cli, *who, "--against", digest)[1]["eligible"] == ["m"]
    status, found = as_json(cli, *who, "--against", starter)
    assert (status, found["policy"], found["eligible"]) == (1, starter, [])
    assert as_json(cli, *who, "--against", "0" * 64)[1]["error"]["code"] == "policy.not_found"
    status, found = as_json(cli, *who, "--against", "bindnig")
    assert (status, found["error"]["code"]) == (2, "usage")
    assert "write `binding`, a folder, a bundle, or the 64 digits" in found["error"]["hint"]


def test_without_a_ledger_the_starter_set_answers(cli, tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    """Beside no ledger the starter set is asked, and said to be."""
    monkeypatch.chdir(tmp_path)
    status, found = as_json(
        cli, "eval", "--packet", f"{PACKETS}#plain", "--member", f"{MEMBERS}#good"
    )
    assert (status, found["against"]) == (0, "the starter set")


def test_who_takes_the_time_the_asker_and_explains(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """`who` asks at a time and as somebody, and shows every rule for every member if it is asked to."""
    rules = (
        "  - {id: late, require: 'now < timestamp(\"2027-01-01T00:00:00Z\")'}\n"
        "  - {id: asked, require: '\"auditor\" in principal.rights'}\n"
    )
    kit.write(
        tmp_path,
        {
            "set/p.policy.yaml": kit.policy(rules),
            "p.json": '{"workload_type": "w"}',
            "m.json": '[{"id": "m", "type": "agent"}, {"id": "n", "type": "tool"}]',
            "a.json": '{"id": "key:a", "rights": ["auditor"]}',
        },
    )
    who = (
        "who", "--packet", str(tmp_path / "p.json"), "--members", str(tmp_path / "m.json"),
        "--against", str(tmp_path / "set"),
    )  # fmt: skip
    early, late = ("--now", "2026-06-01T00:00:00Z"), ("--now", "2027-06-01T00:00:00Z")
    auditor = ("--principal", str(tmp_path / "a.json"))
    assert as_json(cli, *who, *early, *auditor)[1]["eligible"] == ["m", "n"]
    status, found = as_json(cli, *who, *late, "--explain")
    reasons = [reason["rule"] for reason in found["members"][0]["reasons"]]
    assert (status, reasons) == (1, ["placement/late", "placement/asked"])
    assert found["members"][0]["rules"][-1]["status"] == "failed"
    text = cli(*who, *late, "--explain")[1]
    assert text.count("placement/late: failed") == 2
    assert "rules" not in as_json(cli, *who, *late)[1]["members"][0]


def test_the_binding_set_can_be_printed_and_read_back(cli, ledger: Path, capsys) -> None:  # noqa: ANN001
    """`show --source` leaves nothing out: files of its text make the same set, for every shipped set."""
    capsys.readouterr()
    status, text = cli("show", "--source", "--dir", str(ledger / "ledger"))
    assert status == 0
    assert "deny:" in text
    assert "member.trust_score >= packet.policy_constraints.minimum_trust_score" in text


@pytest.mark.parametrize("name", ["starter", "eu-residency", "agent-fleet", "regulated-review"])
def test_the_source_of_a_set_makes_the_same_set(name: str, tmp_path: Path) -> None:
    """Files of the printed text have the digest of the set that was printed."""
    found = kit.load_directory(shipped_directory(name))
    for number, text in enumerate(source_text(found).split("---\n")):
        if "name: kernel\n" not in text:
            kind = "policy." if "kind: Policy\n" in text else ""
            kit.write(tmp_path, {f"f{number}.{kind}yaml": text})
    assert kit.load_directory(tmp_path).digest == found.digest


# --- layout -----------------------------------------------------------------------------------

SLOPPY = """# why
apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1"}
on: [place]
variables:
  able: member.capabilities.exists( c,c=="ocr" )   # can read
rules:
  - id: folded
    require: >-
      variables.able&&member.trust_score>0.5
      ||!( member.type=="tool" )
  - id: quoted
    when: '"eu"==member.region'
    deny: "packet.priority>  - 1"
  - {id: flow, require: 'member.type  in["agent","human"]'}
  - id: by-hand
    require: |
      member.trust_score>0.1  &&
        member.trust_score<0.9
"""

NEAT = """# why
apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1"}
on: [place]
variables:
  able: member.capabilities.exists(c, c == "ocr")  # can read
rules:
  - id: folded
    require: >-
      variables.able && member.trust_score > 0.5
      || !(member.type == "tool")
  - id: quoted
    when: '"eu" == member.region'
    deny: "packet.priority>  - 1"
  - {id: flow, require: 'member.type in ["agent", "human"]'}
  - id: by-hand
    require: |
      member.trust_score>0.1  &&
        member.trust_score<0.9
"""


def test_fmt_lays_expressions_out(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """White space in expressions is put in order, in every style of scalar; nothing else of them changes."""
    path = kit.write(tmp_path, {"p.policy.yaml": SLOPPY}) / "p.policy.yaml"
    before = kit.load_directory(tmp_path)
    assert cli("fmt", str(tmp_path))[0] == 0
    assert path.read_text() == NEAT
    assert cli("fmt", str(tmp_path), "--check")[0] == 0
    after = kit.load_directory(tmp_path)
    for one, other in zip(before.bundle.policies, after.bundle.policies, strict=True):
        for rule, same in zip(one.rules, other.rules, strict=True):
            for text, new in ((rule.when, same.when), (rule.condition, same.condition)):
                assert (text is None) == (new is None)
                assert text is None or new is None or parse(text.text) == parse(new.text)


def test_tests_can_try_the_binding_set(cli, ledger: Path, capsys) -> None:  # noqa: ANN001
    """`test --against` holds the same cases to another set, and names it; a folder without tests fails."""
    capsys.readouterr()
    tests = {
        "own.test.yaml": "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: own\ncases:\n"
        "  - {name: x, packet: p, members: [m, t], expect: {m: allow, t: {deny: [no-tools]}}}\n",
        "fixtures/f.yaml": "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {p: {}}\n"
        "members: {m: {}, t: {type: tool}}\n",
    }
    kit.write(ledger / "next", {**tests, "own.policy.yaml": NO_TOOLS.replace("'tool'", "'node'")})
    status, found = as_json(cli, "test", str(ledger / "next"))
    assert (status, found["against"]) == (1, str(ledger / "next"))
    binding = ("--against", "binding", "--dir", str(ledger / "ledger"))
    status, found = as_json(cli, "test", str(ledger / "next"), *binding)
    assert (status, found["policy"]) == (0, kit.load_directory(ledger / "own").digest)
    assert "the binding set of" in found["against"]
    status, found = as_json(cli, "test", str(ledger / "own"))
    assert (status, found["error"]["code"]) == (1, "policy.no_tests")


def test_a_fixture_is_picked_by_its_name_or_its_id(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """`FILE#NAME` is the name that the file gives, or an id; a wrong one says what there is, with exit status 2."""
    text = (
        "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {p: {}}\nmembers: {good: {id: m-1, trust_score: 0.9}}\n"
        'principals: {asker: {id: "key:ops", rights: [operator]}}\n'
    )
    path = kit.write(tmp_path, {"f.yaml": text}) / "f.yaml"
    asked = ("eval", "--packet", f"{path}#p", "--against", STARTER, "--principal", f"{path}#asker")
    for name in ("good", "m-1"):
        assert as_json(cli, *asked, "--member", f"{path}#{name}")[0] == 0
    status, found = as_json(cli, *asked, "--member", f"{path}#god")
    assert (status, found["error"]["hint"]) == (2, "did you mean `good`?")
    assert as_json(cli, *asked, "--member", f"{path}#good", "--now", "soon")[0] == 2


POINT_FACTS = {
    # point: (a rule that reads what only this point has, options, other options that turn the answer)
    "register": ("member.type == 'tool'", {"member": "{type: tool}"}, {"member": "{type: agent}"}),
    "assign": (
        "packet.priority > 3",
        {"packet": "{priority: 4}", "member": "{}"},
        {"packet": "{priority: 3}", "member": "{}"},
    ),
    "handoff": (
        "source.status == 'QUARANTINED'",
        {"packet": "{}", "member": "{}", "source": "{status: QUARANTINED}"},
        {"packet": "{}", "member": "{}", "source": "{}"},
    ),
    "accept": (
        "source.region == 'eu'",
        {"packet": "{}", "member": "{}", "source": "{region: eu}"},
        {"packet": "{}", "member": "{}", "source": "{region: us}"},
    ),
    "retain": (
        "member.load.active > 3",
        {"packet": "{}", "member": "{load: {active: 4}}"},
        {"packet": "{}", "member": "{load: {active: 3}}"},
    ),
    "submit": (
        "packet.priority > 3 && !('operator' in principal.rights)",
        {"packet": "{priority: 4}", "principal": "{id: 'key:a', rights: [submitter]}"},
        {"packet": "{priority: 4}"},
    ),
    "update": (
        "packet.priority < before.priority || packet.packet_id != before.packet_id",
        {"packet": "{priority: 3}", "before": "{priority: 4}"},
        {"packet": "{priority: 3}"},
    ),
    "update_member": (
        "size(member.clearances) > size(before.clearances) || member.id != before.id",
        {"member": "{clearances: [pii]}", "before": "{}"},
        {"member": "{clearances: [pii]}"},
    ),
    "review": (
        "review.granted && 'p/risky' in review.rules",
        {"packet": "{}", "review": "{rules: [p/risky]}"},
        {"packet": "{}", "review": "{granted: false, rules: [p/risky]}"},
    ),
    "complete": (
        "packet.step != 'checked'",
        {"packet": "{step: draft}", "member": "{}"},
        {"packet": "{step: checked}", "member": "{}"},
    ),
    "export": (
        "export.kind == 'everything' || export.subject == 'policy'",
        {"export": "{kind: everything}"},
        {"export": "{kind: subject, subject: packet/p}", "packet": "{packet_id: p}"},
    ),
    "activate": (
        "'guards' in activation.dropped",
        {"activation": "{dropped: [guards]}"},
        {"activation": "{policies: [guards]}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("point", "named", "before", "said"),
    [
        ("update", "packet: {packet_id: q}", "{packet_id: p}", "`before` is the packet 'p'"),
        ("update", "packet: {workload_type: a}", "{workload_type: b}", "`before.workload_type`"),
        ("update_member", "member: {id: bob}", "{id: ann}", "`before` is the member 'ann'"),
        ("update_member", "member: {type: node}", "{type: agent}", "`before.type`"),
    ],
)
def test_eval_refuses_a_change_of_two_things(
    cli,  # noqa: ANN001
    tmp_path: Path,
    point: str,
    named: str,
    before: str,
    said: str,
) -> None:
    """A `--before` of another packet or member is no question, and its answer would be about nobody."""
    root, _, facts = named.partition(": ")
    rule = kit.policy("  - {id: it, deny: principal.id == 'key:nobody'}\n", on=f"[{point}]")
    kit.write(tmp_path, {"set/p.policy.yaml": rule, "b.yaml": before, "a.yaml": facts})
    options = [f"--{root}", str(tmp_path / "a.yaml"), "--before", str(tmp_path / "b.yaml")]
    status, found = cli("eval", "--action", point, "--against", str(tmp_path / "set"), *options)
    assert status == 2
    assert said in found


@pytest.mark.parametrize("point", sorted(POINT_FACTS))
def test_eval_asks_at_every_point_with_the_facts_of_that_point(
    cli,  # noqa: ANN001
    tmp_path: Path,
    point: str,
) -> None:
    """`eval` takes what there is to judge at a point, and nothing else: its answer turns with just that."""
    assert set(POINT_FACTS) == {one.value for one in Point}
    rule, denied, allowed = POINT_FACTS[point]
    text = kit.policy(f'  - id: it\n    deny: "{rule}"\n', on=f"[{point}]")
    kit.write(tmp_path, {"set/p.policy.yaml": text})

    def asked(facts: dict[str, str]) -> tuple[int, dict[str, object]]:
        options: list[str] = []
        for root, stated in facts.items():
            file = tmp_path / f"{root}.yaml"
            file.write_text(stated)
            options += [f"--{root}", str(file)]
        return as_json(cli, "eval", "--action", point, "--against", str(tmp_path / "set"), *options)

    status, found = asked(denied)
    assert (status, [r["rule"] for r in found["reasons"]]) == (1, ["placement/it"]), found
    assert [reason["missing"] for reason in found["reasons"]] == [None]
    status, found = asked(allowed)
    assert (status, found["decision"]) == (0, "allow"), found
    other = "activation" if point != "activate" else "packet"
    status, found = asked({**allowed, other: "{}"})
    assert (status, found["error"]["code"]) == (2, "usage")


def test_who_says_each_reason_once_and_on_one_line(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """A cell with several reasons holds no escapes, and what a rule without a message says is not said again."""
    rules = "  - {id: high, require: member.trust_score >= 0.9}\n  - {id: near, require: member.region == 'eu'}\n"
    files = {
        "set/p.policy.yaml": kit.policy(rules),
        "p.json": '{"workload_type": "w"}',
        "m.json": '{"id": "m", "trust_score": 0.5, "region": "us"}',
    }
    kit.write(tmp_path, files)
    asked = ("--packet", str(tmp_path / "p.json"), "--against", str(tmp_path / "set"))
    text = cli("who", *asked, "--members", str(tmp_path / "m.json"))[1]
    assert "\\x0a" not in text
    text = cli("eval", *asked, "--member", str(tmp_path / "m.json"))[1]
    assert text.count("bound 0.9") == 1
    assert text.count("bound eu") == 1


def test_a_file_in_the_place_of_a_folder_is_told_as_that(cli, tmp_path: Path) -> None:  # noqa: ANN001
    """Whoever names a policy's file hears which folder to name."""
    kit.write(
        tmp_path, {"p.policy.yaml": kit.policy("  - {id: t, require: member.trust_score > 0.5}\n")}
    )
    for verb in ("check", "test"):
        status, found = as_json(cli, verb, str(tmp_path / "p.policy.yaml"))
        assert (status, found["error"]["code"]) == (4, "policy.no_folder")
        assert found["error"]["hint"] == f"name the folder: {tmp_path}"
