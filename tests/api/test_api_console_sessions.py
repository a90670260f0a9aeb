"""Sessions of the console while a page is open: what counts as something that a person does, and what ends with one."""

import asyncio
import re
import time
from concurrent.futures import Future
from pathlib import Path

import httpx2
import pytest
from support.api_server import Api
from support.console_api import console_of, sign_in

from pfgov_api.console.exchange import ACTED, FRAGMENT
from pfgov_api.console.fragments import Drawn, Fragments
from pfgov_api.console.live import LONGEST_SECONDS, pause
from pfgov_api.console.pages import Page
from pfgov_api.console.sessions import IDLE_SECONDS
from pfgov_api.console.site import PAGES
from pfgov_api.limits import STREAMS_PER_PRINCIPAL_MAX

SOON = IDLE_SECONDS * 2 / 3


class Wound:
    """A clock of sessions that is turned by hand."""

    def __init__(self, api: Api) -> None:
        self.moment = time.monotonic()
        console_of(api).sessions.now = lambda: self.moment


def following(api: Api, cookie: dict[str, str]) -> "Future[httpx2.Response]":
    """Follow the ledger as an open page does; done when the stream has ended."""
    before = api.service.streams.total
    asked = api.client.get("/console/events", headers=cookie)
    found = asyncio.run_coroutine_threadsafe(asked, api.loop)
    while api.service.streams.total == before and not found.done():
        time.sleep(0.01)
    return found


def test_what_a_page_asks_by_itself_keeps_no_session(tmp_path: Path) -> None:
    """A page that is open and follows the ledger keeps its session from ending, or what a person does does not."""
    with Api(tmp_path) as api:
        cookie = sign_in(api, "auditor")
        wound = Wound(api)

        def later(**headers: str) -> int:
            wound.moment += SOON
            return api.get("/console/overview", headers={**cookie, **headers}).status_code

        page = {FRAGMENT: "page"}
        assert [later(), later(), later(**page, **{ACTED: "1"}), later(**page)] == [200] * 4
        assert later(**page) == 401
        cookie = sign_in(api, "auditor")
        assert [later(), later(**page), later()] == [200, 200, 401]


def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    """The stream of an open page goes on when nobody did anything for half an hour, or keeps the session by itself."""
    with Api(tmp_path) as api:
        cookie = sign_in(api, "auditor")
        wound = Wound(api)
        first = following(api, cookie)
        wound.moment += SOON
        second = following(api, cookie)  # as a browser does whose connection was cut
        assert api.get("/console/overview", headers={**cookie, FRAGMENT: "page"}).status_code == 200
        wound.moment += SOON
        for one in (first, second):
            assert one.result(60).status_code == 200
        assert api.get("/console/overview", headers=cookie).status_code == 401


def test_signing_out_ends_the_stream(tmp_path: Path) -> None:
    """Another tab goes on to be told how far the ledger is after its browser was signed out."""
    with Api(tmp_path) as api:
        cookie = sign_in(api, "auditor")
        stream = following(api, cookie)
        console_of(api).sessions.end(cookie["Cookie"].partition("=")[2])
        assert stream.result(60).status_code == 200


def test_a_stream_too_many_is_refused(tmp_path: Path) -> None:
    """A stream for which there is no room is answered as if it were one: the page says live, and hears nothing."""
    with Api(tmp_path) as api:
        cookie = sign_in(api, "auditor")
        (record,) = [one for one in api.keyring.records() if one.scopes == ("auditor",)]
        share = api.keyring.grant(f"Bearer {api.keys()['auditor']}").share
        assert record.id in str(share)
        for _ in range(STREAMS_PER_PRINCIPAL_MAX):
            api.service.streams.take(share)
        assert following(api, cookie).result(60).status_code == 429


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.path)
def test_a_page_says_as_of_which_entry_it_was_drawn(api: Api, page: Page) -> None:
    """What is recorded between the drawing of a page and the first word of its stream is never shown on it."""
    api.member("m1")
    api.packet("p1", required_capabilities=["ocr"])
    (decided,) = api.get("/api/decisions").json()["items"]
    values = {"member_id": "m1", "packet_id": "p1", "capability": "ocr", "seq": decided["seq"]}
    path = page.path.format(**values)
    size = api.get("/api/status").json()["size"]
    text = api.get(f"/console/{path}").text
    found = re.findall(r'<body data-head="(\d+)">', text)
    assert found == ([str(size - 1)] if page.is_live else [])


def test_a_slow_moment_does_not_still_every_page(api: Api) -> None:
    """After one drawing that took long, pages hear of nothing for minutes, because each is told so much less often."""
    moment, took = 0.0, 0.0

    async def draw() -> Drawn:
        nonlocal moment
        moment += took
        return Drawn("Page", "overview", b"")

    fragments = Fragments(now=lambda: moment)
    waited = 0.0
    for position, took in enumerate((30.0, *(0.001 for _ in range(12)))):  # noqa: B007 - draw reads it
        api.run(fragments.get("page", position, position, draw))
        waited += pause(1, fragments.slowest)
        assert pause(1, fragments.slowest) <= LONGEST_SECONDS
    assert pause(1, fragments.slowest) < 1
    assert waited < 120
