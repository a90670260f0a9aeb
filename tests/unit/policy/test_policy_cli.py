"""``pfgov policy``: exit codes, JSON, and text that a person can act on."""

import json
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.cli import run
from pfgov.policy import shipped_directory

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
        "definitions.schema.json", "fixtures.schema.json", "policy.schema.json", "policytest.schema.json",
    ]  # fmt: skip
