"""Lists by what no index knows: nothing is passed over, whatever the page, the direction and the bound."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.app import history as scanning
from pfgov.app.hosting import Caller
from pfgov.app.ledger import EntriesWanted
from pfgov.core.commands import LOCAL_OPERATOR
from pfgov.model.times import to_moment
from pfgov.storage.port import EntryFilter


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A ledger of two principals, several outcomes and several moments."""
    with Api(tmp_path_factory.mktemp("scan")) as api:
        api.keys()
        api.member("m1")
        for number in range(12):
            api.clock.advance(1_000_000)
            scope = "operator" if number % 3 else "submitter"
            wants = ["flying"] if number % 4 == 0 else []
            body = {"packet_id": f"p{number}", "workload_type": "x", "required_capabilities": wants}
            assert api.post("/api/packets", body, scope=scope).status_code == 201
        api.post("/api/packets/p1/cancel", scope="operator")
        yield api


def _followed(api: Api, path: str) -> list[dict[str, Any]]:
    """Everything that the pages list, by their links; no page has more than was asked for."""
    found: list[dict[str, Any]] = []
    at: str | None = path
    for _ in range(500):
        answer = api.get(at or "", scope="auditor")
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        assert len(answer.json()["items"]) <= 3
        link = answer.headers.get("link")
        assert (link is None) == ("next" not in answer.json())
        if link is None:
            return found
        at = link[1 : link.index(">")]
    raise AssertionError("the pages do not end")


def _all(api: Api) -> list[dict[str, Any]]:
    return list(api.get("/api/ledger/entries?limit=1000", scope="auditor").json()["items"])


def _actor(api: Api, scope: str) -> str:
    found: str = api.service.access.grant(f"Bearer {api.keys()[scope]}").principal.id
    return found


@pytest.mark.parametrize("most", [1, 2, 5, 10_000])
@pytest.mark.parametrize("batch", [1, 3, 500])
@pytest.mark.parametrize("newest", ["", "&newest=true"])
def test_filters_pass_over_nothing(
    told: Api, monkeypatch: pytest.MonkeyPatch, most: int, batch: int, newest: str
) -> None:
    """By actor and by outcome, alone and with a subject, a type or a span: what a look at everything finds."""
    monkeypatch.setattr(scanning, "SCANNED_MAX", most)
    monkeypatch.setattr(scanning, "BATCH", batch)
    entries, who = _all(told), _actor(told, "submitter")
    times = [told.engine.reader.entry(one["seq"]).row.time for one in entries]
    caused, actor = [], ""
    for one in entries:
        actor = one.get("principal") or actor
        caused += [one["seq"]] if actor == who else []
    assert caused
    for query, wanted in (
        (f"actor={who}", caused),
        (f"actor={who}&type=assignment_decision",
         [n for n in caused if entries[n]["type"] == "assignment_decision"]),
        (f"actor={who}&subject=packet/p3", [n for n in caused if entries[n]["subject"] == "packet/p3"]),
        ("outcome=denied", [one["seq"] for one in entries if one["body"].get("outcome") == "denied"]),
        (f"actor={who}&outcome=allowed",
         [n for n in caused if "decision" in entries[n]["body"] and entries[n]["body"]["outcome"] == "allowed"]),
        ("actor=nobody", []),
        ("type=assignment_decision", [one["seq"] for one in entries if one["type"] == "assignment_decision"]),
        ("type=packet_cancelled,packet_created",
         [one["seq"] for one in entries if one["type"] in {"packet_cancelled", "packet_created"}]),
        ("type=index_committed", []),
        (f"since={to_moment(times[7])}", [n for n, time in enumerate(times) if time >= times[7]]),
        (f"until={to_moment(times[7])}", [n for n, time in enumerate(times) if time < times[7]]),
        (f"since={to_moment(times[7])}&type=packet_created",
         [one["seq"] for one in entries if one["type"] == "packet_created" and times[one["seq"]] >= times[7]]),
    ):  # fmt: skip
        found = _followed(told, f"/api/ledger/entries?limit=3&{query}{newest}")
        assert [one["seq"] for one in found] == (wanted[::-1] if newest else wanted), query


@pytest.mark.parametrize("most", [2, 10_000])
def test_decisions_of_a_span(told: Api, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """From a moment on, and before another; together with the other filters, page by page."""
    monkeypatch.setattr(scanning, "SCANNED_MAX", most)
    whole = _followed(told, "/api/decisions?limit=3")
    assert len(whole) == 12
    times = [told.engine.reader.entry(one["seq"]).row.time for one in whole]
    since, until = to_moment(times[3]), to_moment(times[9])
    assert _followed(told, f"/api/decisions?limit=3&since={since}") == whole[3:]
    assert _followed(told, f"/api/decisions?limit=3&until={until}") == whole[:9]
    both = f"/api/decisions?limit=3&since={since}&until={until}"
    assert _followed(told, both) == whole[3:9]
    narrowed = [one for one in whole[3:9] if one["body"]["outcome"] == "denied"]
    assert _followed(told, f"{both}&outcome=denied") == narrowed
    assert narrowed
    assert _followed(told, "/api/decisions?limit=3&since=2090-01-01T00:00:00Z") == []
    assert _followed(told, "/api/decisions?limit=3&until=2020-01-01T00:00:00Z") == []
    problem(told.get("/api/decisions?since=yesterday", scope="auditor"), 400)
    problem(told.get("/api/ledger/entries?outcome=maybe", scope="auditor"), 400)


def test_one_question_looks_at_so_much(told: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to find; the answer says where to go on."""
    monkeypatch.setattr(scanning, "SCANNED_MAX", 5)
    monkeypatch.setattr(scanning, "BATCH", 2)
    looked = 0
    real = told.service.reader.entries

    def counting(wanted: EntryFilter | None = None) -> Any:
        nonlocal looked
        assert wanted is not None
        found = real(wanted)
        spanned = real(EntryFilter(wanted.start, wanted.stop)) if wanted.types else found
        looked += len(spanned)  # the database looks at those of other types, too
        return found

    monkeypatch.setattr(told.service.reader, "entries", counting)
    for path, key in (
        ("/api/ledger/entries?actor=nobody", "after"),
        ("/api/ledger/entries?actor=nobody&newest=true", "before"),
        ("/api/decisions?member=nobody", "after"),
        ("/api/ledger/entries?type=index_committed", "after"),
        ("/api/ledger/entries?type=index_committed&newest=true", "before"),
    ):
        looked = 0
        answer = told.get(path, scope="auditor")
        assert answer.json()["items"] == []
        assert looked <= 6
        assert f"{key}={answer.json()['next']}" in answer.headers["link"]


def test_a_list_of_a_machine_is_whole(told: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks the ledger itself for so many entries of a type gets fewer, for one look did not find them."""
    monkeypatch.setattr(scanning, "SCANNED_MAX", 2)
    ledger = told.service.ledger(Caller(LOCAL_OPERATOR))
    every = [one["seq"] for one in _all(told) if one["type"] == "packet_created"]
    for limit, after, wanted in (
        (None, None, every),
        (5, None, every[-5:]),
        (100, None, every),
        (5, -1, every[:5]),
        (5, every[2], every[3:8]),
        (100, every[2], every[3:]),
    ):
        asked = EntriesWanted(types=("packet_created",), limit=limit, after=after)
        assert [one.seq for one in ledger.entries(asked)] == wanted


def test_a_members_key_lists_neither(told: Api) -> None:
    """New filters open no door: these lists are about everybody."""
    for path in ("/api/ledger/entries?actor=local", "/api/decisions?since=2026-01-01T00:00:00Z"):
        problem(told.get(path, scope="member:m1"), 403)
