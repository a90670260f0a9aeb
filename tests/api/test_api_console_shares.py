"""What a request takes of a server while it is answered: a stranger's nothing that others need, a key's its share."""

import asyncio
import time
from pathlib import Path

import pytest
from support.api_server import Api
from support.console_api import sign_in
from support.wire import Wire, asked, listening

from pfgov_api.limits import REQUESTS_PER_PRINCIPAL_MAX, SIGN_IN_BYTES_MAX
from pfgov_api.proving import CHALLENGE

FORM = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}


def _head(length: int) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**FORM, "Content-Length": length}.items()]
    return "\r\n".join(
        ["POST /console/sign-in HTTP/1.1", "Host: localhost", *lines, "", ""]
    ).encode()


def test_a_form_that_is_waited_for_keeps_nobody_out(tmp_path: Path) -> None:
    """Strangers who begin to sign in, and let their forms wait, have all that may be answered at once."""
    with Api(tmp_path, in_flight_max=2) as api, listening(api) as port:
        key = api.keys()["operator"]
        ask = (
            "GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {key}\r\n\r\n"
        )
        strangers = [Wire(port) for _ in range(3)]
        try:
            for one in strangers:
                one.say(_head(50) + b"key=")
            for _ in range(5):
                time.sleep(0.05)
                assert asked(port, ask.encode()).startswith(b"HTTP/1.1 200 ")
            assert api.service.in_flight == 0
        finally:
            for one in strangers:
                one.socket.close()


@pytest.mark.parametrize("more", [0, 1])
def test_a_form_to_sign_in_has_a_bound(tmp_path: Path, more: int) -> None:
    """Whoever is nobody yet has the server take in as much as a policy set has."""
    with Api(tmp_path) as api:
        form = f"key={api.keys()['operator']}&next=".ljust(SIGN_IN_BYTES_MAX + more, "x")
        answer = api("POST", "/console/sign-in", content=form.encode(), headers=FORM)
        assert answer.status_code == (400 if more else 303)


def test_a_page_counts_as_a_request_of_its_key(tmp_path: Path) -> None:
    """What a key may have answered at once over the API it may have again, and again, in each browser."""
    with Api(tmp_path) as api:
        cookie = sign_in(api, "auditor")
        share = api.keyring.grant(f"Bearer {api.keys()['auditor']}").share
        for _ in range(REQUESTS_PER_PRINCIPAL_MAX):
            api.service.requests.take(share)
        for path in ("overview", "events", "raw/anchor"):
            assert api.get(f"/console/{path}", headers=cookie).status_code == 429
        for _ in range(REQUESTS_PER_PRINCIPAL_MAX):
            api.service.requests.give(share)
        for path in ("overview", "nothing", "raw/anchor"):
            api.get(f"/console/{path}", headers=cookie)
        assert (api.service.requests.total, api.service.in_flight) == (0, 0)


def test_probes_that_wait_keep_nobody_out(tmp_path: Path) -> None:
    """Who has the server prove that it is one waits for a key service, and with others for everybody's answers."""
    with Api(tmp_path, in_flight_max=1) as api:
        api.run(api.service.proving.acquire())
        probe = api.client.get("/api/health/live", headers={CHALLENGE: "0" * 64})
        asking = asyncio.run_coroutine_threadsafe(probe, api.loop)
        time.sleep(0.05)
        assert not asking.done()
        assert api.post("/api/packets", {"workload_type": "x"}).status_code == 201
        api.loop.call_soon_threadsafe(api.service.proving.release)
        assert asking.result(60).status_code == 200
