"""What whoever submits hears: all about its own packets, as it is committed, and nothing about those of others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import Api, problem
from support.ledgers import START

from pfgov.client.stream import EventParser
from pfgov_api import streams
from pfgov_api.operations import Call
from pfgov_api.routes import OPERATIONS

OWN = [
    ("packet_created", "packet/mine"),
    ("assignment_decision", "packet/mine"),
    ("packet_completed", "packet/mine"),
]
LAST = ("packet_created", "packet/last")
"""What is committed after everything else: who has heard that has heard what it hears of the rest."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A member, a packet of the submitter that ends, and packets of an operator and of another submitter."""
    with Api(tmp_path) as found:
        found.member("m1")
        found.keys()
        found.post("/api/packets", {"packet_id": "theirs", "workload_type": "x"}, scope="operator")
        found.post("/api/packets", {"packet_id": "mine", "workload_type": "x"}, scope="submitter")
        claim = found.claim("mine")
        found.post("/api/packets/mine/complete", claim, scope="member:m1")
        _, other = found.keyring.create(("submitter",), now=START)
        found.post(
            "/api/packets",
            {"packet_id": "others", "workload_type": "x"},
            headers={"Authorization": f"Bearer {other}"},
        )
        found.post("/api/packets", {"packet_id": "last", "workload_type": "x"}, scope="submitter")
        yield found


def _heard(
    api: Api, key: str, until: tuple[str, str] = LAST, **query: str
) -> list[tuple[str, str]]:
    """What a listener hears from the beginning of the ledger to *until*."""
    operation = next(one for one in OPERATIONS if one.name == "stream_events")
    grant = api.service.access.grant(f"Bearer {key}")
    call = Call(
        operation=operation, service=api.service, principal=grant.principal, request_id="r", path={},
        query={"after": "0", **query}, body=None, raw=b"", headers={}, url=operation.path, grant=grant,
    )  # fmt: skip

    async def listen() -> list[tuple[str, str]]:
        stream = (await streams.events(call)).stream
        assert stream is not None
        parser, heard = EventParser(), list[tuple[str, str]]()
        async for piece in stream:
            heard += [(one.type, one.data["subject"]) for one in parser.feed(piece)]
            if until in heard:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return heard[: heard.index(until)]

    return api.run(listen())


def test_api_whoever_submitted_hears_about_its_own_packets_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submitter is refused, or hears about a member, or about a packet that an operator or another submitted."""
    key = api.keys()["submitter"]
    assert _heard(api, key) == OWN
    assert _heard(api, key, type="packet_completed,packet_created") == [OWN[0], OWN[2]]
    assert _heard(api, key, until=OWN[2], packet="mine") == OWN[:2]
    monkeypatch.setattr(streams, "OWN_PACKETS_MAX", 1)
    assert _heard(api, key) == OWN


def test_api_a_submitter_may_not_listen_to_others(api: Api) -> None:
    """It names a member, or a packet of somebody else or of nobody, and is heard out."""
    for query in (
        "member=m1",
        "packet=theirs",
        "packet=others",
        "packet=none",
        "packet=mine&member=m1",
    ):
        found = problem(api.get(f"/api/events?{query}", scope="submitter"), 403, "access.forbidden")
        assert "hears only about packets" in found["detail"], query
        assert found["hint"]


def test_api_further_rights_hear_what_they_heard_before(api: Api) -> None:
    """A submitter that is an auditor, too, hears less for it; one with a member's key does not hear its member."""
    _, both = api.keyring.create(("submitter", "auditor"), now=START)
    assert ("member_registered", "member/m1") in _heard(api, both)
    assert ("packet_created", "packet/others") in _heard(api, both)
    _, member = api.keyring.create(("submitter", "member:m1"), now=START)
    heard = _heard(api, member, until=("packet_completed", "packet/mine"), member="m1")
    assert ("member_registered", "member/m1") in heard
    _, reader = api.keyring.create(("submitter", "member:m1"), now=START)
    answer = api.get("/api/events?member=m2", headers={"Authorization": f"Bearer {reader}"})
    problem(answer, 403, "access.forbidden")


def test_api_one_packet_is_listened_to(api: Api) -> None:
    """Whoever may hear everything names a packet, and hears about others."""
    heard = _heard(api, api.keys()["auditor"], until=OWN[2], packet="mine")
    assert heard == OWN[:2]
