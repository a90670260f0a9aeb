"""A real server: the process that ``pfgov serve`` is, started, killed and started again."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def without_privileges() -> None:
    """Let limits on processes bind this one, and what it starts, though the superuser runs the tests.

    They are counted for the real user, and bind whoever is not the superuser and may neither administer the system nor
    raise limits.  The files of this interpreter can still be read: another effective user could perhaps not.  For a
    child, before its program.
    """
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_SYS_ADMIN, CAP_SYS_RESOURCE):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    os.setresuid(NOBODY, 0, 0)


def for_whom(path: Path) -> None:
    """Give *path* to whom :func:`without_privileges` makes of the superuser: some questions are asked in its name."""
    if os.geteuid() == 0:
        for one in (path, *path.rglob("*")):
            os.chown(one, NOBODY, -1)


PR_CAPBSET_DROP, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 24, 21, 24
NOBODY = 61_234


class Server:
    """``pfgov serve`` on a port of its own."""

    def __init__(
        self, directory: Path, *options: str, limits: Mapping[int, int] | None = None
    ) -> None:
        self.directory = directory
        self.options = options
        self.limits = limits or {}
        self.program: tuple[str, ...] = ("-m", "pfgov.cli")
        self.before: Callable[[], None] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.errors = directory.parent / "server.err"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wanted: str = "ready") -> None:
        """Start it and wait until it is ready, or only ``live``: a standby is not ready."""
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(ROOT / p) for p in (".", "ledger", "api")),
        }
        with self.errors.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "serve", "--dir", str(self.directory), "--port", str(self.port),
                 *self.options],
                stdout=subprocess.DEVNULL, stderr=err, env=env, preexec_fn=self.before,  # noqa: PLW1509 - it only calls the system
            )  # fmt: skip
        for limit, value in self.limits.items():
            resource.prlimit(self.process.pid, limit, (value, value))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if httpx2.get(f"{self.url}/api/health/{wanted}", timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server does not come up:\n{self.errors.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; return the exit status and how many seconds it took."""
        assert self.process is not None
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_SECONDS)
        return status, time.monotonic() - start

    def stop(self) -> None:
        """End it, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
