"""What SQLite does for each question: one about a single thing may not walk through all of them."""

import inspect
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.ledgers import fresh

from pfgov.storage import open_store, port
from pfgov.storage.port import EntryFilter, PacketFilter, Queries

NARROW: dict[str, Callable[[Any], object]] = {
    "answers": lambda q: q.answers([("p", "k"), ("p", "l")]),
    "attachment": lambda q: q.attachment("d"),
    "attachment_state": lambda q: q.attachment_state("d"),
    "attachments": lambda q: list(q.attachments("packet/p")),
    "checkpoint": lambda q: (q.checkpoint(), q.checkpoint(3)),
    "entries": lambda q: list(q.entries(EntryFilter(subject="packet/p"))),
    "entry": lambda q: q.entry(1),
    "last_entries": lambda q: q.last_entries(["packet/p", "member/m"]),
    "latest_index": lambda q: q.latest_index(),
    "leaves": lambda q: list(q.leaves(0, 2)),
    "member": lambda q: q.member("m"),
    "node": lambda q: q.node(1, 1),
    "owned": lambda q: (list(q.owned(["ASSIGNED", "PENDING"], "m")), list(q.owned(["ASSIGNED"]))),
    "packet": lambda q: q.packet("p"),
    "packet_ids": lambda q: q.packet_ids("a", "b", 10),
    "packets": lambda q: [
        list(q.packets(PacketFilter(**asked)))
        for asked in (
            {"ids": ("p", "q"), "limit": None},
            {"statuses": ("ASSIGNED",)},
            {"statuses": ("ASSIGNED", "PENDING", "ASSIGNED"), "after": "p"},
            {"statuses": ("ASSIGNED", "PENDING"), "owner": "m"},
        )
    ],
    "payload_and_views": lambda q: q.payload_and_views("d"),
    "policy_set": lambda q: q.policy_set("d"),
    "signed": lambda q: list(q.signed(0, 2)),
    "size": lambda q: q.size(),
    "still_present": lambda q: q.still_present(["d", "e"]),
    "verdict_table": lambda q: q.verdict_table("d"),
}
"""Questions whose cost is that of their answer, each as it is asked."""

WALKS = {
    "leases",  # one row for each living member: all are asked for
    "erasures",  # an index of their own
    "ledger_state",
    "members",
    "packet_counts",
    "payloads_present",
    "subject_heads",
    "verdict_tables_kept",
}
"""Questions about everything there is of a kind: a start, an export, a status."""


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The questions of a new ledger."""
    found = open_store(fresh(tmp_path_factory.mktemp("plans"))).open_queries()
    yield found
    found.close()


def plans(connection: sqlite3.Connection, ask: Callable[[], object]) -> list[str]:
    """Return what SQLite says that it does for everything that *ask* asks."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    try:
        ask()
    finally:
        connection.set_trace_callback(None)
    return [
        str(row[3])
        for statement in asked
        if statement.startswith(("SELECT", "WITH"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


@pytest.mark.parametrize("name", sorted(NARROW))
def test_storage_a_question_about_one_thing_walks_through_no_table(queries: Any, name: str) -> None:
    """What one packet, member or payload costs grows with all that the ledger has."""
    found = plans(queries.connection, lambda: NARROW[name](queries))
    assert found, "nothing was asked"
    assert not [step for step in found if step.startswith("SCAN")], found


def test_storage_each_question_is_of_one_kind() -> None:
    """A question that the port names is asked above by nobody."""
    named = {name for name, _ in inspect.getmembers(Queries) if not name.startswith("_")}
    assert named - {"close", "one_view"} == NARROW.keys() | WALKS, port.__name__
