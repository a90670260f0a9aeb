"""Witnesses that are not ours cosign a live ledger, and refuse what ours refuses.

``make peers`` builds both, litewitness and omniwitness, from the versions that stand there.
"""

import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.ledgers import fresh, opened, register
from support.peers import missing, peer
from support.witnesses import log_key, policy_of

from pfgov.engine.maintenance import ceremony
from pfgov.engine.witnessing.rounds import Rounds, rounds_of
from pfgov_ledger import keys, merkle, note, strict64

SEED = bytes(range(32))
NAME = "witness.test/w"
ORIGIN = "pfgov.test/one"
WITNESSES = {name: peer(name) for name in ("litewitness", "omniwitness")}


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(f"it ended: {process.communicate()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("it does not listen")


@contextmanager
def _running(command: list[str], port: int) -> Generator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _await(port, process)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def _litewitness(folder: Path, log: str) -> Generator[str]:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    key = folder / "key.pem"
    form = serialization.PrivateFormat.OpenSSH
    key.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    key.chmod(0o600)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(key)], capture_output=True, check=True, text=True
    )
    fingerprint = shown.stdout.split()[1]
    database, agent, port = folder / "w.db", folder / "a", _port()
    connection = sqlite3.connect(database)
    connection.executescript(
        "CREATE TABLE IF NOT EXISTS log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS key (origin TEXT NOT NULL, key TEXT NOT NULL,"
        " FOREIGN KEY(origin) REFERENCES log(origin));"
    )
    empty = strict64.encode(merkle.EMPTY_ROOT)
    connection.execute("INSERT OR IGNORE INTO log VALUES (?, 0, ?)", (ORIGIN, empty))
    connection.execute("INSERT INTO key VALUES (?, ?)", (ORIGIN, log))
    connection.commit()
    connection.close()
    agent.unlink(missing_ok=True)
    holder = subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if agent.exists():
                break
            time.sleep(0.05)
        added = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
        subprocess.run(["ssh-add", "-q", str(key)], env=added, check=True, capture_output=True)
        command = [
            WITNESSES["litewitness"], "-name", NAME, "-db", str(database), "-ssh-agent", str(agent),
            "-key", fingerprint,
            "-listen", f"127.0.0.1:{port}",
        ]  # fmt: skip
        with _running(command, port):
            yield f"http://127.0.0.1:{port}"
    finally:
        holder.terminate()
        holder.wait(timeout=20)


@contextmanager
def _omniwitness(folder: Path, log: str) -> Generator[str]:
    signer = keys.SeedSigner(role="witness", name=NAME, seed=SEED)
    private, logs, port = folder / "key", folder / "logs.yaml", _port()
    private.write_text(signer.to_text().split(" ")[-1].strip())
    said = f"  - Origin: {ORIGIN}\n    URL: http://127.0.0.1:1/\n    PublicKey: {log}\n    Feeder: none\n"
    logs.write_text(
        "Logs:\n" + said
    )  # one key for an origin, so that a new one takes the place of the old
    command = [
        WITNESSES["omniwitness"], f"--listen=127.0.0.1:{port}", "--metrics_listen=", f"--private_key_path={private}",
        f"--db_file={folder / 'w.db'}", f"--additional_logs={logs}",
    ]  # fmt: skip
    with _running(command, port):
        yield f"http://127.0.0.1:{port}"


STARTERS = {"litewitness": _litewitness, "omniwitness": _omniwitness}


def _rounds(directory: Path, url: str) -> Rounds:
    public = keys.SeedSigner(role="witness", name=NAME, seed=SEED).public
    vkey = note.vkey(NAME, public, note.COSIGNATURE_V1)
    return rounds_of(directory, policy_of(f"{vkey} {url}"))


def _grow(directory: Path, name: str) -> None:
    with opened(directory, seed=name) as engine:
        for number in range(3):
            register(engine, f"{name}{number}")


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("which", sorted(WITNESSES))
def test_a_real_witness_cosigns_and_refuses_as_ours_does(which: str, tmp_path: Path) -> None:
    """An independent witness does not understand what we send, or we do not understand what it says."""
    if not WITNESSES[which]:
        pytest.skip(missing(which))
    directory, forked, older = fresh(tmp_path), tmp_path / "forked", tmp_path / "older"
    _grow(directory, "a")
    shutil.copytree(directory, forked)
    shutil.copytree(directory, older)
    folder = (
        Path("/tmp") / f"pfgov-{os.getpid()}-{which[:4]}"
    )  # the path of an agent's socket has to be short
    folder.mkdir()
    try:
        with STARTERS[which](folder, log_key(directory)) as url:
            rounds = _rounds(directory, url)
            assert rounds.run_once()[0].outcome == "cosigned", rounds.standings()
            _grow(directory, "b")
            assert rounds.run_once()[0].outcome == "cosigned"
            assert rounds.newest is not None
            assert rounds.newest.size == 8
            (directory / "witnesses.json").unlink()
            _grow(directory, "c")
            again = _rounds(
                directory, url
            )  # it has forgotten what the witness knows: 409, then from there
            assert [(s.outcome, s.known) for s in again.run_once()] == [("cosigned", 11)]
            assert _rounds(older, url).run_once()[0].is_alarm
            for name in ("x", "y"):
                _grow(forked, name)
            assert _rounds(forked, url).run_once()[0].is_alarm  # as large
            _grow(forked, "z")
            assert _rounds(forked, url).run_once()[0].is_alarm  # larger
            assert again.run_once()[0].outcome == "cosigned"
        with opened(directory, seed="rotating") as engine:
            ceremony.rotate(engine, "log")
        _grow(directory, "d")
        if (
            which == "omniwitness"
        ):  # it reads what it remembers with the log's present key, and cannot
            with STARTERS[which](folder, log_key(directory)) as url:
                (standing,) = _rounds(directory, url).run_once()
                assert (standing.outcome, standing.is_alarm) == ("failed", False), standing
            (folder / "w.db").unlink()
        with STARTERS[which](folder, log_key(directory)) as url:  # restarted, and told the new key
            after = _rounds(directory, url)
            (standing,) = after.run_once()
            assert (standing.outcome, after.alarms) == ("cosigned", []), standing
            assert _rounds(older, url).run_once()[0].is_alarm
    finally:
        shutil.rmtree(folder)
