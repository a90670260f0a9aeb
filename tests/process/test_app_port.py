"""The two sides of the ledger port answer the same question alike, whatever conditions it has."""

from collections.abc import Generator
from typing import Any

import msgspec
import pytest
from support.cli_server import Served
from support.ledgers import fresh, opened, packet, submit

from pfgov.app.ledger import EntriesWanted, MembersWanted, PacketsWanted, Reading
from pfgov.app.local.folder import reading_folder
from pfgov.app.remote import Address, RemoteLedger, Session
from pfgov.core import commands as c
from pfgov.core.lifecycle import PacketStatus

pytestmark = pytest.mark.process

LIVE = tuple(str(one) for one in PacketStatus)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Reading, Reading]]:
    """A ledger read in its folder, and through a server."""
    folder = fresh(tmp_path_factory.mktemp("port"))
    with opened(folder) as engine:
        for number in range(4):
            joining = c.RegisterMember(
                member_id=f"m{number}",
                type="agent",
                region=("us-east", "us-east/2b", "eu", None)[number],
                labels=(("team", "red"),) if number % 2 else (),
                trust_score="0.9",
                capacity=(("tasks", "1"),),
            )
            submit(engine, joining)
        for number in range(6):
            submit(engine, packet(f"p{number}"))
    with (
        Served(folder) as served,
        Session(Address(served.url)) as session,
        reading_folder(folder) as local,
    ):
        yield local, RemoteLedger(session)


MEMBERS = (
    MembersWanted(),
    MembersWanted(statuses=("ACTIVE",)),
    MembersWanted(statuses=("FAILED", "RETIRED")),
    MembersWanted(region="us-east"),
    MembersWanted(region="us"),
    MembersWanted(label=("team", "red")),
    MembersWanted(label=("team", "blue")),
    MembersWanted(capability="none-has-it"),
    MembersWanted(kind="agent"),
    MembersWanted(kind="human"),
    MembersWanted(words="M1"),
    MembersWanted(words="red", kind="agent"),
    MembersWanted(after="m0", limit=2),
    MembersWanted(after="m2"),
    MembersWanted(owns=False),
)
ENTRIES = (
    EntriesWanted(),
    EntriesWanted(limit=3),
    EntriesWanted(limit=3, full=True),
    EntriesWanted(after=-1, limit=2),
    EntriesWanted(after=4),
    EntriesWanted(subject="packet/p1"),
    EntriesWanted(types=("member_registered", "packet_created"), limit=5),
    EntriesWanted(subject="packet/none"),
)
PACKETS = (
    PacketsWanted(LIVE),
    PacketsWanted(LIVE, limit=2),
    PacketsWanted(LIVE, after="p2", limit=1),
    PacketsWanted(("PENDING",)),
    PacketsWanted(LIVE, stuck=True),
    PacketsWanted(LIVE, owner="m1"),
    PacketsWanted(LIVE, owner="nobody"),
)


def _plain(found: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(found))


@pytest.mark.parametrize("wanted", MEMBERS, ids=str)
def test_port_members(sides: tuple[Reading, Reading], wanted: MembersWanted) -> None:
    """A condition on members means something else over a server than over its folder, or nothing."""
    local, remote = sides
    assert _plain(local.members(wanted)) == _plain(remote.members(wanted))


@pytest.mark.parametrize("wanted", ENTRIES, ids=str)
def test_port_entries(sides: tuple[Reading, Reading], wanted: EntriesWanted) -> None:
    """A condition on entries means something else over a server than over its folder, or nothing."""
    local, remote = sides
    assert _plain(local.entries(wanted)) == _plain(remote.entries(wanted))


@pytest.mark.parametrize("wanted", PACKETS, ids=str)
def test_port_packets(sides: tuple[Reading, Reading], wanted: PacketsWanted) -> None:
    """A condition on packets means something else over a server than over its folder, or nothing."""
    local, remote = sides
    assert _plain(local.packets(wanted)) == _plain(remote.packets(wanted))


def test_port_conditions_are_met(sides: tuple[Reading, Reading]) -> None:
    """Both sides agree because both leave a condition out."""
    local, _ = sides
    names = {str(one): [member.id for member in local.members(one)] for one in MEMBERS}
    assert list(names.values()) == [
        ["m0", "m1", "m2", "m3"],
        ["m0", "m1", "m2", "m3"],
        [],
        ["m0", "m1"],
        [],
        ["m1", "m3"],
        [],
        [],
        ["m0", "m1", "m2", "m3"],
        [],
        ["m1"],
        ["m1", "m3"],
        ["m1", "m2"],
        ["m3"],
        ["m0", "m1", "m2", "m3"],
    ]
    assert [len(local.entries(one)) for one in ENTRIES[1:4]] == [3, 3, 2]
    assert [one.seq for one in local.entries(ENTRIES[3])] == [0, 1]
