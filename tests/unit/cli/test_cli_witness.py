"""A witness of our own: made, served, and closed to whatever is no submission."""

import http.client
from dataclasses import replace
from pathlib import Path

import pytest
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import fresh, register
from support.witnesses import head_of, log_key, policy_of, served

from pfgov.app.witness.book import Book
from pfgov.app.witnesses import Witnesses
from pfgov.clock import ManualClock
from pfgov.engine.witnessing.rounds import rounds_of
from pfgov.errors import NotFoundError, StoreLockedError
from pfgov_ledger.witness import RefusedError, Submission, parse


def test_witness_init_makes_a_key_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init replaces the key that others trust, or a name that no note can hold is taken."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    folder = str(tmp_path / "w")
    done = pfgov.ok("witness", "init", "--name", "one.test/w", "--folder", folder)
    assert done["vkey"].startswith("one.test/w+")
    again = pfgov("witness", "init", "--name", "two.test/w", "--folder", folder, "--json")
    assert again.error["code"] == "witness.exists"
    bad = pfgov("witness", "init", "--name", "a b", "--folder", str(tmp_path / "x"), "--json")
    assert bad.status != 0
    missing = pfgov("witness", "serve", "--folder", str(tmp_path / "none"), "--json")
    assert missing.error["code"] == "witness.missing"
    with pytest.raises(NotFoundError):
        Book(tmp_path / "none", ManualClock(1))


def test_witness_one_process_has_the_folder(tmp_path: Path) -> None:
    """Two processes vouch for two histories of one log."""
    with served(tmp_path / "w", "one.test/w"), pytest.raises(StoreLockedError):
        Book(tmp_path / "w", ManualClock(1))


def _ask(
    url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes, str]:
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers["Content-Type"]
    connection.close()
    return found


def test_witness_answers_as_the_protocol_says(tmp_path: Path) -> None:
    """A status is another than tlog-witness wants, or something is cosigned that must not be."""
    directory = fresh(tmp_path)
    size, signed = head_of(directory)
    with served(tmp_path / "w", "one.test/w", log_key(directory)) as line:
        vkey, url = line.split(" ")
        assert _ask(url, "GET", "/") == (200, f"{vkey}\n".encode(), "text/plain; charset=utf-8")
        assert _ask(url, "GET", "/other")[0] == 404
        good = Submission(0, (), signed).to_bytes()
        assert _ask(url, "POST", "/other", good)[0] == 404
        assert _ask(url, "POST", "/add-checkpoint", b"nonsense")[0] == 400
        too_old = Submission(size + 1, (), signed).to_bytes()
        assert _ask(url, "POST", "/add-checkpoint", too_old)[0] == 400
        assert (
            _ask(
                url, "POST", "/add-checkpoint", good.replace(b"pfgov.test/one", b"pfgov.test/two")
            )[0]
            == 404
        )
        unsigned = good.replace(b"\n2\n", b"\n3\n")
        assert _ask(url, "POST", "/add-checkpoint", unsigned)[0] == 403
        with_proof = Submission(0, (bytes(32),), signed).to_bytes()
        assert _ask(url, "POST", "/add-checkpoint", with_proof)[0] == 422
        chunked = {"Transfer-Encoding": "chunked"}
        assert _ask(url, "POST", "/add-checkpoint", b"0\r\n\r\n", chunked)[0] == 411
        assert _ask(url, "POST", "/add-checkpoint", b"", {"Content-Length": "99999999"})[0] == 413
        status, answer, _ = _ask(url, "POST", "/add-checkpoint", good)
        assert (status, answer.count(b"\n")) == (200, 1)
        conflict = _ask(url, "POST", "/add-checkpoint", good)
        assert conflict == (409, b"%d\n" % size, "text/x.tlog.size")
        again = Submission(size, (), signed).to_bytes()
        assert _ask(url, "POST", "/add-checkpoint", again)[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"old 0", b"old 0\n", b"old 00\n\nx", b"old -1\n\nx", b"new 0\n\nx", b"old 0\nAAAA\n\nx",
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\nx", b"old \xc3\xa9\n\nx",
    ],
)  # fmt: skip
def test_witness_other_bodies_are_refused(raw: bytes) -> None:
    """A body that another witness refuses is read as something."""
    with pytest.raises(RefusedError) as caught:
        parse(raw)
    assert caught.value.status == 400


def test_witness_age_is_in_the_status_of_a_folder_and_of_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody sees how old the newest quorum is, that there is none, or that a witness alarms."""
    directory = fresh(tmp_path)
    pfgov = CommandLine(directory, capsys)
    assert pfgov.ok("status")["witnessed"] is None
    assert "witnessed" not in pfgov("status").out
    (directory / "witnessed.note").write_bytes(b"nonsense")
    assert pfgov.ok("status")["witnessed"] is None
    with (
        served(tmp_path / "w", "one.test/w", log_key(directory)) as one,
        Served(directory) as server,
    ):
        rounds = rounds_of(directory, policy_of(one))
        server.service.witnesses = Witnesses(rounds)
        line = RemoteLine(server.url, capsys)
        assert "witnessed   no quorum yet" in line("status").out
        rounds.run_once()
        for told in (line.ok("status"), pfgov.ok("status")):
            assert told["witnessed"]["size"] == told["size"] == 2
            assert told["witnessed"]["age_seconds"] > 0
        assert "witnessed   every entry, " in line("status").out
        register(server.engine, "m1")
        assert "witnessed   2 entries, " in line("status").out
        rounds._standings["w0"] = replace(rounds._standings["w0"], known=9)
        rounds.run_once()
        assert "s ago; ALARM by w0" in line("status").out
        assert line.ok("status")["witnessed"]["alarms"] == ["w0"]
