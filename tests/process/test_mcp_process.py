"""The tools as a process over HTTP: it says where it listens once it does, and nothing of the kind otherwise."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from pfgov.errors import InvalidError
from pfgov.mcp.serving import Behind, http_application

pytestmark = pytest.mark.process


def _started(*arguments: str) -> subprocess.Popen[str]:
    command = ["mcp", "serve", "--url", "http://127.0.0.1:1", "--http", *arguments]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pfgov.cli", *command],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip


def test_mcp_the_process_says_where_it_listens() -> None:
    """With port 0 nobody learns the port; or it is said before anybody can connect."""
    process = _started("--port", "0")
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        at = said.removeprefix("tools at ").partition(",")[0]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(at)
        assert caught.value.code == 405
        caught.value.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_mcp_the_process_claims_no_port_that_is_taken() -> None:
    """It says that the tools are there, and ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = _started("--port", str(taken.getsockname()[1]))
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "tools at" not in said
    assert "in use" in said


@pytest.mark.parametrize(
    "name", ["https://tools.example", "tools example", "", "tools.example/", "tools.example:x", "-"]
)
def test_mcp_what_can_be_no_name_is_refused(name: str) -> None:
    """Somebody writes a URL, and every request is refused by a name that is never sent."""
    with pytest.raises(InvalidError, match="no name by which a server is asked"):
        http_application(Behind("http://localhost:1"), host="0.0.0.0", names=(name,))


@pytest.mark.parametrize("name", ["tools.example", "tools.example:8443", "tools:*", "[::1]:8900"])
def test_mcp_names_are_taken_as_they_stand_in_a_request(name: str) -> None:
    """A name with a port is refused, or an address."""
    http_application(Behind("http://localhost:1"), host="0.0.0.0", names=(name,))
