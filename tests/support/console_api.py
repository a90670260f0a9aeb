"""The console without a browser: signing in, and sending forms as its pages do."""

import html
import re
from typing import Any
from urllib.parse import urlencode

import httpx2

from pfgov_api.console.handlers import Console
from support.api_server import Api

HERE = {"Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def sign_in(api: Api, scope: str) -> dict[str, str]:
    """The header with the cookie of a session of *scope*."""
    key = api.keys()[scope]
    answer = send(api, "/console/sign-in", {"key": key})
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    return {"Cookie": cookie.partition(";")[0]}


def send(api: Api, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
    """Post a form as a page of the console does."""
    content = urlencode(form).encode()
    return api("POST", path, content=content, headers={**HERE, **FORM, **headers})


def console_of(api: Api) -> Console:
    """The console behind an API."""
    for route in api.app.app.routes:
        for one in getattr(route, "route_handlers", ()):
            if "console" in str(one.name or ""):
                found: Console = one.fn.__closure__[0].cell_contents
                return found
    raise AssertionError("there is no console")


def first_decision(api: Api, **options: Any) -> int:
    """The position of a decision."""
    query = "newest=true&limit=1&type=assignment_decision"
    found: int = api.get(f"/api/ledger/entries?{query}", **options).json()["items"][0]["seq"]
    return found


def key_in(text: str) -> str:
    """The idempotency key of a form."""
    return re.findall(r'name="key" value="([^"]+)"', text)[0]


def fields_of(page: str) -> dict[str, str]:
    """What a form would send as it stands: its texts and its hidden values."""
    texts = re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    found = {name: html.unescape(value) for name, value in (*texts, *hidden)}
    return {name: value.replace("\n", "\r\n") for name, value in found.items()}
