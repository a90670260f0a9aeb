"""Every command against a server says what it says over a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_server import WORKS, RemoteLine, Served, alike
from support.commandline import GOOD, PACKET, ROOT, CommandLine, Said

from pfgov.app.change import bundling
from pfgov.policy import load_directory
from pfgov_ledger.keys import SeedSigner

PUBLISHER = SeedSigner(role="publisher", name="acme", seed=b"\1" * 32)
STORY: tuple[tuple[object, ...], ...] = (
    ("status",),
    ("config", "set", "lease_seconds=3600"),  # or a slow machine tells another story on either side
    ("member", "list"),
    ("member", "register", "--id", "a1", *GOOD, "--cpu", "8", "--label", "team=red"),
    ("member", "register", "--id", "a1", *GOOD),
    ("member", "register", "--id", "x", "--type", "agent", "--lease", "0"),
    ("member", "register", "--id", "low", "--type", "agent", "--trust", "0.5", "--region", "eu-west"),
    ("discover", "--packet", PACKET),
    ("packet", "submit", "--file", PACKET),
    ("packet", "submit", "--file", PACKET),
    ("packet", "explain", "fp-001"),
    ("packet", "list", "--stuck"),
    ("packet", "review", "fp-001", "--grant", "--version", "2", "--note", "seen"),
    ("packet", "review", "fp-001", "--grant", "--version", "3", "--note", "seen", "--expires", "7d"),
    ("packet", "explain", "fp-001"),
    ("packet", "explain", "fp-001", "--at", "0"),
    ("packet", "assign", "fp-001"),
    ("packet", "handoff", "fp-001", "--to", "low"),
    ("packet", "show", "fp-001", "--context", "--history"),
    ("packet", "checkpoint", "fp-001", "--file", PACKET, "--step", "read"),
    ("packet", "show", "fp-001", "--context"),
    ("packet", "update", "fp-001", "--min-trust", "0.93", "--priority", "7"),
    ("packet", "update", "fp-001", "--min-trust", "0.5"),
    ("member", "register", "--id", "a2", *GOOD, "--handoff-mode", "accept"),
    ("packet", "handoff", "fp-001", "--to", "a2", "--reason", "shift ends"),
    ("packet", "list"),
    ("packet", "accept", "fp-001"),
    ("packet", "accept", "fp-001"),
    ("packet", "handoff", "fp-001"),
    ("packet", "abort", "fp-001"),
    ("packet", "complete", "fp-001", "--as", "a1", "--incarnation", "1", "--epoch", "1"),
    ("packet", "requeue", "fp-001", "--reason", "stuck"),
    ("packet", "show", "fp-001", "--history"),
    ("packet", "audit", "fp-001"),
    ("packet", "audit", "ghost"),
    ("packet", "result", "fp-001"),
    ("packet", "complete", "fp-001", "--result", PACKET),
    ("packet", "complete", "fp-001"),
    ("packet", "result", "fp-001"),
    ("packet", "result", "ghost"),
    ("packet", "submit", "--id", "again-1", *WORKS, "--again", "fp-001", "--demand", "cpu=0.25"),
    ("packet", "submit", "--id", "again-2", *WORKS, "--again", "fp-01"),
    ("packet", "fail", "again-1", "--reason", "no such case"),
    ("packet", "submit", "--id", "held", *WORKS, "--hold"),
    ("packet", "assign", "held"),
    ("packet", "show", "ghost"),
    ("packet", "cancel", "held"),
    ("packet", "list", "--all"),
    ("packet", "list", "--all", "--limit", "1"),
    ("packet", "list", "--status", "FAILED", "--status", "CANCELLED"),
    ("discover", "--needs", "flying", "--min-trust", "0.9"),
    ("discover", "--packet", "ghost"),
    ("member", "list", "--capability", "policy_review", "--region", "us-east"),
    ("member", "update", "a1", "--add-capability", "routing@1.2", "--weight", "3"),
    ("member", "update", "a1", "--weight", "3"),
    ("member", "trust", "a1", "0.96", "--expires", "30d"),
    ("member", "heartbeat", "a1", "--owns", "fp-001:1", "--pressure", "0.25"),
    ("member", "heartbeat", "ghost"),
    ("member", "quarantine", "a1", "--reason", "odd", "--until", "2h"),
    ("member", "release", "a1"),
    ("member", "drain", "a2", "--deadline", "15m"),
    ("member", "drain", "low", "--mode", "stop_first"),
    ("member", "fail", "a1", "--reason", "gone"),
    ("member", "recover", "a1"),
    ("member", "retire", "a1"),
    ("member", "retire", "a1"),
    ("member", "show", "a1", "--history"),
    ("member", "show", "ghost"),
    ("member", "list", "--all"),
    ("tick",),
    ("tick", "--resume"),
    ("config", "set", "lease_seconds=4500", "scheduler.batch=ring"),
    ("config", "set", "colour=red"),
    ("config", "show"),
    ("policy", "show"),
    ("policy", "diff", "binding", ROOT / "policies" / "eu-residency", "--cases", "50"),
    ("policy", "impact", ROOT / "policies" / "eu-residency"),
    ("policy", "impact", "BROKEN"),
    ("policy", "propose", ROOT / "policies" / "eu-residency", "--note", "to be looked at"),
    ("policy", "proposals"),
    ("policy", "approve", "ab" * 32),
    ("policy", "approve", "DIGEST"),
    ("policy", "reject", "DIGEST", "--note", "not now"),
    ("policy", "proposals"),
    ("policy", "activate", ROOT / "policies" / "eu-residency"),
    ("policy", "activate", ROOT / "policies" / "eu-residency", "--yes"),
    ("policy", "activate", ROOT / "policies" / "eu-residency"),
    ("policy", "activate", "BROKEN"),
    ("policy", "activate", "EMPTY"),
    ("policy", "show"),
    ("policy", "shadow"),
    ("policy", "try", ROOT / "policies" / "eu-residency", "--for", "1s"),
    ("sim", "run", "--from-ledger", "--scenario", "default", "--seed", "2"),
    ("policy", "promote", "residency", "--yes"),
    ("policy", "publisher", "list"),
    ("policy", "activate", "BUNDLE", "--yes"),
    ("policy", "publisher", "trust", "acme", PUBLISHER.public.hex(), "--expires", "2040-01-01T00:00:00Z"),
    ("policy", "publisher", "trust", "Acme", PUBLISHER.public.hex()),
    ("policy", "activate", "BUNDLE", "--yes"),
    ("policy", "rollback"),
    ("policy", "rollback", "0000000000"),
    ("policy", "rollback", "--emergency"),
    ("policy", "publisher", "revoke", "acme", PUBLISHER.public.hex()),
    ("policy", "publisher", "list"),
    ("ledger", "log"),
    ("ledger", "log", "--limit", "3"),
    ("ledger", "log", "--after", "2", "--limit", "4"),
    ("ledger", "log", "--subject", "packet/fp-001", "--type", "handoff_started", "--type", "handoff_aborted"),
    ("ledger", "log", "--subject", "packet/ghost"),
    ("ledger", "log", "--at", "3"),
    ("ledger", "log", "--at", "9999"),
    ("ledger", "head"),
    ("ledger", "prove", "3"),
    ("ledger", "prove", "9999"),
    ("ledger", "export", "--subject", "packet/fp-001", "--out", "OUT"),
    ("ledger", "export", "--fresh", "--force", "--out", "OUT"),
    ("ledger", "export", "--subject", "packet/fp-001", "--since", "4", "--force", "--out", "OUT"),
    ("ledger", "export", "--range", "2:5", "--force", "--out", "OUT.gz"),
    ("ledger", "export", "--range", "2:5000", "--force", "--out", "OUT"),
    ("ledger", "report", "fp-001", "--fresh", "--force", "--out", "OUT"),
    ("ledger", "report", "ghost", "--out", "OUT"),
    ("ledger", "erase", "--packet", "ghost"),
    ("ledger", "erase", "--packet", "ghost", "--why", "retention"),
    ("ledger", "erase", "ab" * 32),
    ("ledger", "erase", "--packet", "held"),
    ("ledger", "erase", "--packet", "again-1", "--why", "retention"),
    ("ledger", "keys", "rotate", "issuer"),
    ("ledger", "keys", "rotate", "log"),
    ("ledger", "keys", "rotate", "recovery"),
    ("ledger", "keys"),
    ("key", "list"),
    ("ledger", "verify"),
    ("ledger", "replay"),
    ("status",),
)  # fmt: skip
"""A whole life of a ledger, refusals included; every command that can work against a server is in it."""

ELSEWHERE = {
    "kubernetes run": "tests/unit/cli/test_cli_kubernetes.py: it asks a cluster, too",
    "ledger create": "tests/process/test_cli_server_named.py: it is about a server of several",
    "ledger list": "tests/process/test_cli_server_named.py: it is about a server of several",
    "ledger convert": "tests/unit/cli/test_cli_inputs.py: it takes an export and its anchor",
    "mcp serve": "tests/api/test_mcp_tools.py: it serves until it is stopped",
    "monitor": "tests/unit/cli/test_cli_monitor.py: it watches a server from outside",
    "policy bench": "tests/unit/cli/test_cli_authoring.py: its figures are those of the machine",
    "policy repl": "tests/unit/cli/test_cli_authoring.py: it reads what is typed",
    "policy publisher rotate": "tests/unit/cli/test_cli_bundles.py: it takes private keys, and signs for one ledger",
    "policy eval": "tests/unit/policy/test_policy_cli.py: it takes files and says which set it asked",
    "policy test": "tests/unit/policy/test_policy_cli.py: it takes files",
    "policy who": "tests/unit/policy/test_policy_cli.py: it takes files and says which set it asked",
    "root prove": "tests/unit/cli/test_cli_root.py: it takes the folder of a root, too",
    "root show": "tests/unit/cli/test_cli_root.py: it is about a server with a root",
}
"""The commands that are not told in the story, and where they are."""

ALONE = frozenset(
    {"sha256", "trust", "verdicts", "required", "checkpoint", "exit_status", "passed"}
)
"""What a server's log cannot say without an anchor from elsewhere."""

BROKEN = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: mine, version: "1"}
on: [place]
rules:
  - id: a
    require: member.trst_score >= 0.5
"""


def _rendered(said: Said, arguments: tuple[object, ...]) -> Any:
    told = alike(said.json)
    if arguments[:2] == ("ledger", "head"):
        return {name: told[name] for name in ("origin", "size")}
    if arguments[:2] == ("ledger", "verify"):
        return said.json["export"]
    if arguments[:2] == ("policy", "diff"):
        return {name: one for name, one in told.items() if name != "names"}  # the folder, the URL
    if arguments[:2] == ("sim", "run"):
        return {name: one for name, one in told.items() if name != "against"}  # the folder, the URL
    return {name: one for name, one in told.items() if name not in ALONE}


def test_a_story_is_the_same_over_a_folder_and_over_a_server(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command gives the same JSON and the same exit status, refusals too, but for ids, times and signatures."""
    here, served = twins
    sides = (CommandLine(here, capsys), RemoteLine(served.url, capsys))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mine.policy.yaml").write_text(BROKEN)
    (tmp_path / "empty").mkdir()
    bundle = bundling.build(ROOT / "policies" / "starter", PUBLISHER, publisher="acme", version="1")
    (tmp_path / "acme.bundle.json").write_bytes(bundle)
    places = {
        "BROKEN": tmp_path / "broken", "BUNDLE": tmp_path / "acme.bundle.json",
        "EMPTY": tmp_path / "empty", "OUT": tmp_path / "out.jsonl",
        "OUT.gz": tmp_path / "out.jsonl.gz",
        "DIGEST": load_directory(ROOT / "policies" / "eu-residency").digest,
    }  # fmt: skip
    for arguments in STORY:
        words = [places.get(str(word), word) for word in arguments]
        for path in ("OUT", "OUT.gz"):
            Path(places[path]).unlink(missing_ok=True)
        over_folder = sides[0](*words, "--json")
        for path in ("OUT", "OUT.gz"):
            Path(places[path]).unlink(missing_ok=True)
        over_server = sides[1](*words, "--json")
        assert _rendered(over_folder, arguments) == _rendered(over_server, arguments), arguments
        if arguments[:2] != ("ledger", "verify"):
            assert over_folder.status == over_server.status, arguments


def _verbs(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    from pfgov.cli.frame import Nouns

    if not isinstance(command, Nouns):
        yield path, command
        return
    for verb in command.list_commands(None):  # type: ignore[arg-type]
        yield from _verbs(command.load(verb), f"{path} {verb}")


def _every_verb() -> set[str]:
    from pfgov.cli.frame import Verb
    from pfgov.cli.tree import root

    found: set[str] = set()
    for name in root.lazy:
        verbs = dict(_verbs(root.load(name), name))
        found |= {
            path
            for path, verb in verbs.items()
            if isinstance(verb, Verb) and not (verb.folder or verb.files)
        }
    return found


def test_no_command_is_left_out_of_the_story() -> None:
    """A command that can work against a server is told in the story; those with a test of their own are named here."""
    told = {" ".join(map(str, words[:most])) for words in STORY for most in (1, 2, 3)}
    assert _every_verb() - told == ELSEWHERE.keys()


def test_text_reads_the_same(
    twins: tuple[Path, Served], capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables and sentences over a server are those over a folder."""
    here, served = twins
    for words in (("member", "list", "--all"), ("packet", "list", "--all"), ("config", "show")):
        over_folder, over_server = (
            side(*words) for side in (CommandLine(here, capsys), RemoteLine(served.url, capsys))
        )
        assert over_folder.out == over_server.out
    assert f"server      {served.url}" in RemoteLine(served.url, capsys)("status").out


def test_what_a_server_proves_is_verified_here(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's log verifies under an anchor from elsewhere; the server's own word pins nothing."""
    _, served = twins
    pfgov = RemoteLine(served.url, capsys)
    anchor = tmp_path / "anchor.txt"
    anchor.write_text(pfgov("ledger", "keys").out)
    assert anchor.read_text() == (served.directory / "anchor.txt").read_text()
    assert pfgov("ledger", "verify").status == 4
    assert pfgov("ledger", "verify", "--key", anchor, "--replay").status == 0
    out = tmp_path / "entry.tlog-proof"
    assert pfgov("ledger", "prove", "1", "--out", out).status == 0
    refused = pfgov.refused("ledger", "verify", out, "--key", anchor)
    assert (refused["code"], refused["status"]) == ("usage", 2)
    assert pfgov("ledger", "head", "--note").out == pfgov.ok("ledger", "head")["checkpoint"]


def test_who_asks_the_set_that_is_binding_there(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``policy who`` and ``eval`` judge files by the server's policies, where no others are named."""
    _, served = twins
    pfgov = RemoteLine(served.url, capsys)
    pack = ROOT / "policies" / "eu-residency"
    pfgov.ok("policy", "activate", pack, "--yes")
    fixtures = pack / "fixtures" / "eu.yaml"
    asked = ("policy", "who", "--packet", f"{fixtures}#personal", "--members", fixtures, "--json")
    there = pfgov(*asked).json
    assert there["policy"] == pfgov.ok("policy", "show")["policy"]["digest"]
    assert "dallas" not in there["eligible"]
    one = (
        "policy",
        "eval",
        "--packet",
        f"{fixtures}#personal",
        "--member",
        f"{fixtures}#dallas",
        "--json",
    )
    assert pfgov(*one).json["policy"] == there["policy"]

    # the same set, whatever it is named by and wherever it is: one answer
    starter = ROOT / "policies" / "starter"
    bundle = tmp_path / "acme.bundle.json"
    bundle.write_bytes(bundling.build(pack, PUBLISHER, publisher="acme", version="1"))
    here = CommandLine(tmp_path / "none", capsys)
    test = ("policy", "test", pack, "--json")
    for question in (asked, one, test):
        names = (
            ("binding", bundle) if question is test else ("binding", there["policy"], pack, bundle)
        )
        said = [pfgov(*question, "--against", name) for name in names]
        said += [here(*question, "--against", name) for name in names if name in {pack, bundle}]
        found = [{**answer.json, "status": answer.status} for answer in said]
        sets = [
            f"the binding set of {served.url}",
            f"the recorded set of {served.url}",
            str(pack),
            str(bundle),
        ]
        assert {answer.pop("against") for answer in found} == set(
            sets[:: 3 if question is test else 1]
        )
        assert all(answer == found[0] for answer in found)
        assert found[0]["policy"] == there["policy"]
        other = here(*question, "--against", starter).json
        assert other.get("policy") != there["policy"]
        assert pfgov(*question, "--against", starter).json == other
        for wrong in ("", "bindnig", there["policy"][:12]):
            for side in (pfgov, here):
                refused = side(*question, "--against", wrong)
                assert (refused.status, refused.json["error"]["code"]) == (2, "usage")
