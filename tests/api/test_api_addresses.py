"""Where a server listens and where it is found: one clear error, and nothing believed that is no address."""

import socket

import pytest
from support.api_server import Api

from pfgov.errors import InvalidError, StoreError
from pfgov_api.addresses import URL_LENGTH_MAX, is_loopback, listen, local_url, public_url
from pfgov_api.greeting import Greeting


def test_a_name_listens_at_all_its_addresses_with_one_port() -> None:
    """Port 0 is drawn once; whoever connects then waits to be accepted."""
    found = listen("localhost", 0)
    assert len({one.getsockname()[1] for one in found}) == 1
    for one in found:
        with socket.create_connection(one.getsockname()[:2], 10):
            pass
        one.close()


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("203.0.113.1", "the address is not this machine's"),
        ("no such name", "there is no such address"),
    ],
)
def test_an_address_that_cannot_be_had_is_said(host: str, why: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(StoreError, match=why) as refused:
        listen(host, 0)
    assert refused.value.code == "serve.address"


def test_a_port_that_is_taken_is_said() -> None:
    """Taken by another, or by an earlier call; what was had of the others is given back."""
    found = listen("127.0.0.1", 0)
    port = found[0].getsockname()[1]
    with pytest.raises(StoreError, match="the port is taken"):
        listen("127.0.0.1", port)
    found[0].close()
    listen("127.0.0.1", port)[0].close()


@pytest.mark.parametrize(
    ("text", "url"),
    [("https://pfgov.example", "https://pfgov.example"), ("https://Pfgov.Example/", "https://pfgov.example"),
     ("http://10.0.0.1:8080", "http://10.0.0.1:8080"), ("http://[::1]:80/", "http://[::1]:80"),
     ("https://localhost", "https://localhost")],
)  # fmt: skip
def test_a_public_url_is_a_scheme_a_name_and_perhaps_a_port(text: str, url: str) -> None:
    """In lower case, without a slash at the end."""
    assert public_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "pfgov.example", "ftp://pfgov.example", "https://", "https:///x", "https://pfgov.example/x",
     "https://pfgov.example//", "https://pfgov.example/..", "https://pfgov.example?x", "https://pfgov.example#x",
     "https://me@pfgov.example", "https://pfgov.example:0", "https://pfgov.example:99999", "https://pfgov.example:x",
     "https://a b", "https://a\nb", "https://pfgov.example:", "javascript://x", "https://[::1", "https://-x",
     "https://" + "x" * URL_LENGTH_MAX, "https://pfgov.example\\@evil.example", "https://p\u00e4gov.example"],
)  # fmt: skip
def test_what_is_no_public_url_is_refused(text: str) -> None:
    """Nothing that a reader could take for another place, and no path: the API begins at the root."""
    with pytest.raises(InvalidError, match="not where a server can be found"):
        public_url(text)


def test_loopback_is_this_machine() -> None:
    """By name and by number."""
    assert [is_loopback(one) for one in ("localhost", "127.0.0.9", "::1", "0.0.0.0", "example")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert local_url("::1", 1) == "http://[::1]:1"


def test_the_configuration_names_the_public_url(api: Api) -> None:
    """If one is given; else what the caller asked for, as before."""
    path = "/.well-known/authzen-configuration"
    assert api.get(path).json()["policy_decision_point"] == "http://localhost:8000"
    api.service.public_url = "https://pfgov.example"
    told = api.get(path).json()
    assert told["policy_decision_point"] == "https://pfgov.example"
    assert all(url.startswith("https://pfgov.example") for url in told.values())


def test_the_greeting_prints_what_works(api: Api) -> None:
    """A command with a key where one is needed, and the public URL where there is one."""

    def greeting() -> str:
        found = Greeting.of(api.service, api.directory, "http://127.0.0.1:1", is_new=False)
        return "\n".join(found.lines)

    assert "Authorization" not in greeting()
    assert "curl -s 'http://127.0.0.1:1/api/ledger/export'" in greeting()
    api.keys()
    api.service.public_url = "https://pfgov.example"
    wanted = """curl -s -H "Authorization: Bearer $PFGOV_API_KEY" 'https://pfgov.example/api/ledger/export'"""
    assert wanted in greeting()
    assert "listening  http://127.0.0.1:1 " in greeting()


def test_the_greeting_steers_no_terminal(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of the anchor, or a folder's name, clears the screen of who starts the server."""
    api.engine.layout.anchor.write_text("\x1b[2J\u202ePASSED\n")
    Greeting.of(api.service, api.directory, "http://127.0.0.1:1", is_new=False).say()
    said = capsys.readouterr().err
    assert all(line.isprintable() for line in said.splitlines())
    assert "\\x1b[2J\\u{202e}PASSED" in said
