"""Every door by which lineage or a context is taken out: a rule at ``export`` that denies has effect there.

The table is held against the routes: one that reads and has no row fails here, until it is said to be judged at
``export`` or to be a view that rights alone govern.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from support import policy_kit as kit
from support.api_server import Api
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import START, fresh, opened, register

from pfgov.client import Client
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine
from pfgov.errors import PfgovError
from pfgov.lineage import FORMATS
from pfgov.policy import PolicySet
from pfgov_api.routes import OPERATIONS

RULES: Final = '  - {id: open, on: [register, place, retain], require: member.id != "nobody"}\n'
NEVER: Final = '  - {id: never, on: [export], deny: principal.id != "nobody"}\n'
PACKET: Final = {
    "packet_id": "p1",
    "workload_type": "scan",
    "context_checkpoint": {"step": "one", "name": "Ada"},
}

TAKES_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "export_ledger": (
        "/api/ledger/export", "/api/ledger/export?start=0&stop=3", "/api/ledger/export?subject=packet/p1",
        "/api/ledger/export?subject=policy", *(f"/api/ledger/export?as={name}" for name in FORMATS),
    ),
    "export_packet": (
        "/api/packets/p1/export", *(f"/api/packets/p1/export?as={name}" for name in FORMATS),
    ),
    "packet_context": ("/api/packets/p1/context", "/api/packets/p1/context?whole=true"),
    "tile_2": ("/tiles/tile/entries/000.p/4", "/tiles/tile/signatures/000.p/4"),
}  # fmt: skip
"""What gives lineage as it was signed, or a context to somebody who does not hold the packet; and how it is asked."""

DEEPER: Final = frozenset(f"tile_{depth}" for depth in range(1, 8))
"""The same resource at other depths of its path, by the same function; bundles of short ledgers stand at the second."""

TO_ITS_SUBMITTER: Final = frozenset({"packet_result"})
"""What came of a packet is for whoever submitted it, and for nobody else."""

VIEWS: Final = frozenset(
    {
        "list_members", "show_member", "heartbeat", "list_capabilities", "list_packets", "show_packet",
        "packet_lineage", "audit_packet", "list_decisions", "explain_decision", "discover", "show_policies",
        "policy_document", "list_publishers", "policy_impact", "policies_in_shadow", "list_proposals",
        "evaluate_policies", "test_policies",
        "show_ledger", "show_configuration", "list_entries", "show_entry", "checkpoint", "tiles_checkpoint",
        "root_checkpoint",
        "inclusion_proof", "consistency_proof", "anchor", "stream_events", "list_payloads", "show_payload",
        "list_keys", "list_api_keys", "list_ledgers", "create_ledger", "authzen_search_subject",
        "authzen_search_resource", "authzen_search_action", "authzen_configuration", "show_analytics", "simulate",
        "live", "ready", "status", "witnesses", "webhooks", "metrics", "openapi", "docs", "problem", "show_session",
        "show_fleet", "search", "commit_index", "tick",
    }
)  # fmt: skip
"""What is shown for work, as far as rights let it be seen (decision records 0014 and 0025); no context is in it."""

LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "everything": ("ledger", "export", "--out", "-"),
    "a range": ("ledger", "export", "--range", "0:3", "--out", "-"),
    "a subject": ("ledger", "export", "--subject", "packet/p1", "--out", "-"),
    "a report": ("ledger", "report", "p1", "--out", "FOLDER/report.html"),
    "a context": ("packet", "show", "p1", "--context"),
}
"""How the command line takes something out, over a folder and over a server."""


@cache
def policies(*, exports: bool) -> PolicySet:
    """Return a set that allows everything, or everything but exports."""
    on = f"[register, place, retain{'' if exports else ', export'}]"
    text = kit.policy(RULES if exports else RULES + NEVER, on=on)
    with TemporaryDirectory() as folder:
        return kit.load(Path(folder), text)


def prepare(engine: Engine, *, exports: bool) -> None:
    """Let everything through, or everything but exports, and cover all that there is."""
    engine.activate(policies(exports=exports), principal=c.LOCAL_OPERATOR)
    engine.commit_index()


def test_every_route_that_reads_has_a_row() -> None:
    """A new way to read is judged at `export`, or said here to be a view."""
    reading = {operation.name for operation in OPERATIONS if not operation.writes}
    assert reading == set(TAKES_OUT) | DEEPER | TO_ITS_SUBMITTER | VIEWS


def test_a_denied_export_gives_nothing_over_http(tmp_path: Path) -> None:
    """Whole, by subject, in part, in every format, as tiles and as a context: all of it, or none, whoever asks."""
    paths = [path for rows in TAKES_OUT.values() for path in rows]
    with Api(tmp_path) as api:
        prepare(api.engine, exports=True)
        register(api.engine, "m1")
        assert api.post("/api/packets", PACKET).status_code == 201
        assert api.engine.reader.packet("p1").owner == "m1"
        prepare(api.engine, exports=True)
        for path in paths:
            assert api.get(path, scope="operator").status_code == 200, path
        prepare(api.engine, exports=False)
        for path in paths:
            is_same = "/context" in path or "as=" in path
            scopes = ["operator"] if is_same else ["operator", "auditor", "admin"]
            for scope in scopes:
                answer = api.get(path, scope=scope)
                assert (answer.status_code, answer.json().get("code")) == (403, "policy.denied"), (
                    path
                )
                assert "Ada" not in answer.text
        own = api.get("/api/packets/p1/context", scope="member:m1")
        assert own.json()["context"]["name"] == "Ada", "who holds the packet works with its context"
        hashes = api.get("/tiles/tile/0/000.p/4", scope="auditor")
        assert hashes.status_code == 200, "hashes tell nothing"


def test_a_denied_export_gives_nothing_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a folder, over a server and from the client: refused, and no file is left behind."""
    directory = fresh(tmp_path)
    with opened(directory, ManualClock(START)) as engine:
        prepare(engine, exports=True)
        register(engine, "m1")
    local = CommandLine(directory, capsys)
    kit.write(tmp_path, {"p1.json": json.dumps(PACKET)})
    local.ok("packet", "submit", "--file", tmp_path / "p1.json")
    with opened(directory) as engine:
        engine.commit_index()
    assert local(*_line("everything", tmp_path)).status == 0
    assert "Ada" in local(*_line("a context", tmp_path)).out
    with opened(directory) as engine:
        prepare(engine, exports=False)
    tiles = local("ledger", "tiles", tmp_path / "tiles", "--json")
    assert "policy.denied" in tiles.out + tiles.err
    _denied_everywhere(local, tmp_path)
    with Served(directory) as served, Client(served.url) as client:
        _denied_everywhere(RemoteLine(served.url, capsys), tmp_path)
        with pytest.raises(PfgovError) as caught:
            client.export("p1")
        assert caught.value.code == "policy.denied", (
            "and so the tool `verify` of agents, which asks just that"
        )
    assert not (tmp_path / "report.html").exists()
    assert not list((tmp_path / "tiles").rglob("*"))


def _denied_everywhere(line: CommandLine, folder: Path) -> None:
    for name in LINES:
        said: Any = line(*_line(name, folder), "--json")
        assert "policy.denied" in said.out + said.err, (name, said)
        assert "Ada" not in said.out


def _line(name: str, folder: Path) -> list[str]:
    return [word.replace("FOLDER", str(folder)) for word in LINES[name]]
