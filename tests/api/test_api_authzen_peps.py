"""Clients that others wrote ask by AuthZEN 1.0: each gets the same answer, whoever it is about."""

import asyncio
from collections.abc import Iterator

import pytest
from support.cli_server import Served
from support.ledgers import START, Drawn, fresh

from pfgov.core import commands as c

FITS, LACKS = "auth:account:agentmesh:fits", "auth:account:agentmesh:lacks"
"""One of the clients gives every id a prefix; it is a member's id like another."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server with a packet and two members, and a key."""
    with Served(fresh(tmp_path_factory.mktemp("peps"))) as found:
        for name, capabilities in ((FITS, ("ocr",)), (LACKS, ())):
            offers = tuple(c.Capability(name=one) for one in capabilities)
            member = c.RegisterMember(member_id=name, type="agent", capabilities=offers)
            found.engine.submit(member, principal=c.LOCAL_OPERATOR)
        packet = c.SubmitPacket(
            packet_id="p1", workload_type="scan", lineage_id="l", hold=True, required_capabilities=("ocr",)
        )  # fmt: skip
        found.engine.submit(packet, principal=c.LOCAL_OPERATOR)
        _, key = found.keyring.create(("operator",), now=START, draw=Drawn("keys"))
        yield found.url, key


def test_decern_asks_and_is_answered(served: tuple[str, str]) -> None:
    """The client of decern reads another decision than was made, or does not see that its key is wrong."""
    decern = pytest.importorskip("decern", reason="decern is not installed")
    url, key = served
    client = decern.Client(url, token=key)

    def asks(member: str) -> bool:
        subject, packet = {"type": "member", "id": member}, {"type": "packet", "id": "p1"}
        found: bool = client.evaluate(subject, "assign", packet).allowed
        return found

    assert (asks(FITS), asks(LACKS), asks("nobody")) == (True, False, False)
    client.token = "wrong"
    with pytest.raises(decern.DecernError) as caught:
        asks(FITS)
    assert caught.value.status_code == 401


def test_apparitor_asks_once_and_for_several(served: tuple[str, str]) -> None:
    """The strict reader of apparitor takes an answer for malformed, or reads a denial as a permit."""
    pytest.importorskip("apparitor", reason="apparitor is not installed")
    from apparitor import models
    from apparitor.client import AuthZENClient
    from apparitor.config import ScannerConfig

    url, key = served
    bearer = {"Authorization": f"Bearer {key}"}
    config = ScannerConfig(pdp_url=url, allow_insecure_pdp=True, default_headers=bearer)
    assign = models.Action(name="assign")
    packet = models.Resource(type="packet", id="p1")
    subjects = [models.Subject(type="member", id=one) for one in (FITS, LACKS)]

    async def ask() -> None:
        async with AuthZENClient(config) as client:
            for subject, allowed in zip(subjects, (True, False), strict=True):
                one = models.EvaluationRequest(subject=subject, action=assign, resource=packet)
                assert (await client.evaluate(one)).decision is allowed
            items = [models.EvaluationItem(subject=one) for one in subjects]
            both = models.BatchEvaluationRequest(action=assign, resource=packet, evaluations=items)
            found = (await client.evaluate_batch(both)).evaluations
            assert [one.decision for one in found] == [True, False]

    asyncio.run(ask())


def test_authzen_policy_backend_asks_and_is_answered(served: tuple[str, str]) -> None:
    """The backend of an agents' toolkit gets an error where it gets a decision, or no reason with a denial."""
    authzen = pytest.importorskip(
        "authzen_backend", reason="authzen-policy-backend is not installed"
    )
    url, key = served
    with authzen.AuthZENBackend(
        f"{url}/access/v1/evaluation", "refunds", token=key, default_subject_type="member"
    ) as backend:

        def asks(agent: str) -> tuple[bool, str | None]:
            asked = {"agent_id": agent, "action": "assign", "tool_name": "scan"}
            found = backend.evaluate({**asked, "resource_type": "packet", "resource_id": "p1"})
            return found.allowed, found.error

        assert asks("fits") == (True, None)
        assert asks("lacks") == (False, None)
