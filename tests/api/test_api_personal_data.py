"""Personal data in contexts, through every door: found, named by class, judged, and nowhere said again."""

import asyncio
import base64
import gzip
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.commandline import CommandLine
from support.ledgers import fresh

from pfgov.app import prepare
from pfgov.app.in_turn import InTurn
from pfgov.app.ledger import EntriesWanted, LedgerPort
from pfgov.app.local.folder import acting_on_folder, reading_folder
from pfgov.engine import LedgerReader
from pfgov.engine.maintenance.erasing import Target, erase
from pfgov.engine.reading.exporting import stored_log
from pfgov.errors import PfgovError
from pfgov.labelling import scan
from pfgov.lineage import FORMATS, convert, verified
from pfgov.model import Checkpoint, FlightPacket, MemberRegistration, check_tree, parse
from pfgov.storage import open_store
from pfgov_ledger import export, keys

PLANTED = (
    "unmistakable@example.org",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "hunter22!",
)
CONTEXT = {
    "step": "start",
    "customer": {"mail": PLANTED[0], "notes": [f"card {PLANTED[1]}, account {PLANTED[2]}"]},
    "config": f"password={PLANTED[3]}",
}  # fmt: skip
CLASSES = ["pii.card", "pii.email", "pii.iban", "secret.password"]
MEMBER: dict[str, Any] = {
    "id": "m1", "type": "agent", "capabilities": [{"name": "ocr", "version": "1.2"}], "trust_score": 0.95,
    "region": "us-east", "cpu_capacity": 8,
}  # fmt: skip

Door = Callable[[str, dict[str, Any]], None]
"""Does ``register``, ``submit`` or ``checkpoint`` with a body, and raises AssertionError where it is refused."""


@contextmanager
def library(folder: Path, _: list[str], __: CommandLine) -> Iterator[Door]:
    """The door of a program that opens the folder."""
    wires: dict[str, Any] = {
        "register": MemberRegistration, "submit": FlightPacket, "checkpoint": Checkpoint,
    }  # fmt: skip

    def do(what: str, body: dict[str, Any]) -> None:
        port: LedgerPort
        with acting_on_folder(folder) as port:
            about = {"packet_id": "p1"} if what == "checkpoint" else {}
            port.do(parse(wires[what], check_tree(body)), **about)

    yield do


@contextmanager
def command_line(folder: Path, said: list[str], pfgov: CommandLine) -> Iterator[Door]:
    """The command line over the folder."""
    line = CommandLine(folder, pfgov._capsys)

    def do(what: str, body: dict[str, Any]) -> None:
        file = folder.parent / f"{what}.json"
        if what == "checkpoint":
            file.write_text(json.dumps(body.pop("context_checkpoint")))
            claim = (
                str(body["member_id"]),
                "--epoch",
                body["epoch"],
                "--incarnation",
                body["incarnation"],
            )
            found = line("packet", "checkpoint", "p1", "--as", *claim, "--file", file)
        else:
            file.write_text(json.dumps(body))
            found = line(
                *(("member", "register") if what == "register" else ("packet", "submit")),
                "--file",
                file,
            )
        file.unlink()
        said.append(found.out + found.err)
        assert found.status in {0, 1}, found

    yield do


@contextmanager
def http(folder: Path, said: list[str], _: CommandLine) -> Iterator[Door]:
    """The API."""
    with Api(folder.parent) as api:
        paths = {
            "register": "/api/members/register", "submit": "/api/packets", "checkpoint": "/api/packets/p1/checkpoint",
        }  # fmt: skip

        def do(what: str, body: dict[str, Any]) -> None:
            answer = api.post(paths[what], body)
            api.post("/api/tick", {})
            said.append(answer.text)
            assert answer.status_code in {200, 201}, answer.text

        yield do


DOORS = {"library": library, "command line": command_line, "http": http}


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A command line, for its output."""
    return CommandLine(tmp_path, capsys)


def shown(folder: Path) -> Any:
    """The packet as it stands."""
    with reading_folder(folder) as book:
        return book.packet("p1")


def grown(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The body of a checkpoint by the packet's owner."""
    owned = shown(folder)
    claim = {
        "member_id": owned.current_owner,
        "incarnation": owned.incarnation,
        "epoch": owned.epoch,
    }
    return {**claim, "context_checkpoint": body}


@pytest.mark.parametrize("name", DOORS)
def test_a_context_is_looked_through_wherever_it_comes_in(
    name: str, tmp_path: Path, line: CommandLine
) -> None:
    """A door lets personal data in under no class, or gives it to who is not cleared; what is declared is lost."""
    folder = tmp_path / "ledger" if name == "http" else fresh(tmp_path)
    with DOORS[name](folder, [], line) as door:
        door("register", MEMBER)
        flight = {"packet_id": "p1", "workload_type": "scan", "data_classes": ["pii.custom"]}
        door("submit", {**flight, "context_checkpoint": CONTEXT})
    found = shown(folder)
    assert found.data_classes == sorted(["pii.custom", *CLASSES])
    assert found.scanned_by == ["patterns"]
    assert found.current_owner is None
    assert found.waiting.reasons == {"kernel/pii-clearance": 1}


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("cleared", [False, True])
def test_an_owner_is_judged_again_for_what_its_context_has_come_to_hold(
    name: str, cleared: bool, tmp_path: Path, line: CommandLine
) -> None:
    """A member keeps what it may not see because it came in later, or loses what it may."""
    folder = tmp_path / "ledger" if name == "http" else fresh(tmp_path)
    clearances = [one for one in CLASSES if one.startswith("pii")] if cleared else []
    with DOORS[name](folder, [], line) as door:
        door("register", {**MEMBER, "clearances": clearances})
        door(
            "submit",
            {"packet_id": "p1", "workload_type": "scan", "context_checkpoint": {"step": "a"}},
        )
        assert shown(folder).current_owner == "m1"
        assert shown(folder).data_classes == []
        door("checkpoint", grown(CONTEXT, folder))
        found = shown(folder)
        assert found.data_classes == CLASSES
        assert found.current_owner == ("m1" if cleared else None)
        if cleared:
            door("checkpoint", grown({"step": "b"}, folder))
            assert shown(folder).data_classes == CLASSES  # once there, always there


@pytest.mark.parametrize("name", DOORS)
def test_what_is_found_is_said_nowhere(
    name: str, tmp_path: Path, line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that was found stands in an entry, a log, an answer, an error, a translation, or outlives its erasure."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "ledger" if name == "http" else fresh(tmp_path)
    said: list[str] = []
    with DOORS[name](folder, said, line) as door:
        clearances = [one for one in CLASSES if one.startswith("pii")]
        door("register", {**MEMBER, "clearances": clearances})
        door("submit", {"packet_id": "p1", "workload_type": "scan", "context_checkpoint": CONTEXT})
        door("checkpoint", grown({**CONTEXT, "more": "x"}, folder))
        for bad in ({**CONTEXT, "step": 7}, {**CONTEXT, "pad": "x" * 1_100_000}):
            with pytest.raises((AssertionError, PfgovError)) as refused:
                door("checkpoint", grown(bad, folder))
            said.append(str(refused.value))
    with (
        LedgerReader(open_store(folder)) as reader,
        stored_log(reader) as log,
        (tmp_path / "all.jsonl").open("wb") as out,
    ):
        export.write_full(log, out)
    lineage = verified(
        tmp_path / "all.jsonl", keys.parse_anchor((folder / "anchor.txt").read_text())
    )
    for format_name in FORMATS:
        with (tmp_path / "translated").open("ab") as target:
            convert(lineage, format_name, target, keys.file_signer(folder / "keys" / "log.key"))
    (tmp_path / "all.jsonl").unlink()  # an export holds contexts, as it says
    with reading_folder(folder) as book:
        entries = book.entries(EntriesWanted(full=True))
    said += [*map(repr, entries), caplog.text]
    everything = "\n".join(said)
    assert not [value for value in PLANTED if value in everything]
    assert everything.count("pii.email") > 3

    with acting_on_folder(folder) as port:
        erase(port.engine, Target(packet_id="p1"), "data_subject_request")  # type: ignore[attr-defined]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    left = [
        (str(path), value)
        for path in files
        for value in PLANTED
        if value.encode() in path.read_bytes()
    ]
    assert not left


def test_what_may_take_long_is_looked_through_beside_everybody_elses_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes that are packed a thousandfold stop the server for as long as they are looked through."""
    where: list[bool] = []

    def looked(*given: Any, **named: Any) -> Any:
        where.append(threading.current_thread().name.startswith("looking"))
        return scan(*given, **named)

    monkeypatch.setattr(prepare, "scan", looked)
    packed = base64.b64encode(gzip.compress(b"x" * 1_000, mtime=0)).decode()
    with Api(tmp_path) as api:
        api.member("m1")
        api.packet("p1", context_checkpoint={"step": "start"})
        api.packet("p2", context_checkpoint={"a": packed})
        owner = api.claim("p1")
        for context in ({"step": "next"}, {"a": packed}):
            body = {**owner, "context_checkpoint": context}
            assert api.post("/api/packets/p1/checkpoint", body).status_code == 200
        asked = {"workload_type": "w", "context_checkpoint": {"a": packed}}
        assert api.post("/api/discover", {"packet": asked}).status_code == 200
    assert where == [False, True, False, True, True]


def test_nobody_fills_the_threads_that_look_through_contexts() -> None:
    """One principal's contexts, a hundred at once, keep those of all others waiting."""

    async def ask() -> None:
        looking, gate = InTurn(2, "looking"), threading.Event()
        held = [asyncio.ensure_future(looking.run("a", gate.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            assert await looking.run("b", lambda: "seen") == "seen"
        assert not any(one.done() for one in held)
        gate.set()
        assert await asyncio.gather(*held) == [True] * 5
        assert looking._turns._known == {}
        looking.close()

    asyncio.run(ask())
