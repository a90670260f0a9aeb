"""Ready or not: it is the commits that say whether the ledger can be written, and nothing else."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import Api, problem
from support.faulty import Faulty

from pfgov.errors import PfgovError, StoreUnavailableError


@pytest.fixture
def disk() -> Faulty:
    """A disk that commits nothing while it is armed."""
    return Faulty("begin", "before", 1, lasting=True)


@pytest.fixture
def failing(tmp_path: Path, disk: Faulty) -> Iterator[Api]:
    """An API on that disk."""
    with Api(tmp_path, probe=disk) as found:
        yield found


def _write(api: Api, packet_id: str) -> int:
    body = {"packet_id": packet_id, "workload_type": "x"}
    return api.post("/api/packets", body).status_code


def _is_ready(api: Api) -> bool:
    status = api.get("/api/health/ready").status_code
    assert f"pfgov_ready {int(status == 200)}" in api.get("/metrics").text
    return status == 200


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage().partition(":")[0] for one in caplog.records if "ledger" in one.message]


def test_a_failed_commit_makes_unready_until_one_succeeds(
    failing: Api, disk: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    """Writes answer 503, so ready does; an empty tick knows nothing of it, and each change is one line of the log."""
    assert _write(failing, "before") == 201
    disk.armed = True
    assert [_write(failing, f"lost-{number}") for number in range(3)] == [503] * 3
    assert not _is_ready(failing)
    found = problem(failing.get("/api/health/ready"), 503)
    assert found["code"].startswith("store.")
    disk.armed = False
    failing.run(failing.service.tick())
    assert not _is_ready(failing), "a tick that commits nothing tells nothing"
    assert _write(failing, "after") == 201
    assert _is_ready(failing)
    assert _said(caplog) == ["the ledger cannot be written", "the ledger can be written again"]


def test_where_nobody_writes_the_ticker_tries(
    failing: Api, disk: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    """A balancer sends nobody to a server that is not ready: it finds out by itself that it can write again."""
    failing.run(failing.service.tick(index=True))  # nothing is new from here on
    disk.armed = True
    assert _write(failing, "lost") == 503
    for _ in range(3):
        failing.run(failing.service.tick(index=True))
        assert not _is_ready(failing)
    disk.armed = False
    failing.run(failing.service.tick(index=True))
    assert _is_ready(failing)
    assert len(_said(caplog)) == 2
    size = failing.engine.status().size
    failing.run(failing.service.tick(index=True))
    assert failing.engine.status().size == size, "without a fault it writes nothing"


def test_what_is_refused_or_repeated_says_nothing_about_the_disk(
    failing: Api, disk: Faulty
) -> None:
    """A conflict leaves the server ready; an answer that was recorded earlier leaves it unready."""
    body, key = {"packet_id": "p1", "workload_type": "x"}, {"Idempotency-Key": "k"}
    failing.post("/api/packets", body, headers=key)
    assert _write(failing, "p1") == 409
    assert _is_ready(failing)
    disk.armed = True
    assert _write(failing, "lost") == 503
    disk.armed = False
    assert failing.post("/api/packets", body, headers=key).headers["idempotent-replayed"] == "true"
    assert _write(failing, "p1") == 409
    assert not _is_ready(failing)


def test_a_ceremony_that_cannot_be_committed_makes_unready(failing: Api, disk: Faulty) -> None:
    """What keeps the ledger itself writes it, too."""
    disk.armed = True
    assert failing.post("/api/ledger/keys/rotations", {"role": "issuer"}).status_code == 503
    assert not _is_ready(failing)


def test_a_tick_that_fails_is_told(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it was, the ticker lives and the reason is answered; our own mistake has its traceback in the log."""

    def failing_with(error: Exception) -> None:
        def failing(*, lag: int = 0) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(api.engine, "tick", failing)
            api.run(api.service.tick())

    failing_with(StoreUnavailableError("the disk is full", hint="make room"))
    found = problem(api.get("/api/health/ready"), 503, "store.unavailable")
    assert "the disk is full" in found["detail"]
    assert api.get("/api/health/live").status_code == 200
    failing_with(ZeroDivisionError("oops"))
    assert problem(api.get("/api/health/ready"), 503, PfgovError.code)["detail"]
    api.run(api.service.tick(index=True))
    assert _is_ready(api)
    traces = [one.exc_info is not None for one in caplog.records if one.levelno == logging.ERROR]
    assert traces == [False, True]


def test_figures_are_there_when_the_engine_is_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While commits hang, ``/metrics`` answers what it knows and that nothing is ready, and reading goes on."""
    assert "pfgov_ready 1" in api.get("/metrics").text
    monkeypatch.setattr("pfgov.app.hosting.PATIENCE_SECONDS", 0.05)
    with api.engine._queue._turn:
        for _ in range(50):
            figures = api.get("/metrics")
            assert figures.status_code == 200
            assert "pfgov_ready 0" in figures.text
            assert "pfgov_entries 2" in figures.text, "what it said last"
            problem(api.get("/api/health/ready"), 503, "engine.busy")
            problem(api.get("/api/configuration"), 503, "engine.busy")
        assert api.get("/api/ledger/entries").status_code == 200
    assert "pfgov_ready 1" in api.get("/metrics").text


def test_figures_are_there_when_the_state_cannot_be_loaded(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk that keeps the state from being loaded is figures, too, not a refusal of them."""

    def full() -> None:
        raise StoreUnavailableError("the disk is full", code="store.full")

    monkeypatch.setattr(api.engine, "status", full)
    figures = api.get("/metrics")
    assert (figures.status_code, "pfgov_ready 0" in figures.text) == (200, True)
    assert "pfgov_entries" not in figures.text, "nothing is known yet"


def test_reads_that_wait_keep_neither_the_clock_nor_the_probe(api: Api) -> None:
    """Whoever reads a long history often enough keeps leases from ending, and the server from being found ready."""
    gate = threading.Event()

    async def ask() -> None:
        readers = [asyncio.ensure_future(asyncio.to_thread(gate.wait)) for _ in range(64)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(20):
                await api.service.tick()
                await api.service.status()
        finally:
            gate.set()
            await asyncio.gather(*readers)

    before = api.service.ticks
    api.run(ask())
    assert api.service.ticks == before + 1
