"""The command line as a program that starts at once: a process that has imported it forks a child for every command.

To start Python and import what ``pfgov`` needs takes ten times as long as most commands do, and the pages' examples are
hundreds of commands.  :func:`program` puts a small ``pfgov`` into a folder for the ``PATH``.  It hands its arguments,
environment, folder and standard files to this process, which forks; signals that it gets go to the child, whose exit
status it leaves with.  What goes on running (a server, a demo) is the real program.  That the real one starts, in which
time and from where, is for ``tests/packaging`` to say.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

REAL: Final = ("serve", "witness", "monitor", "mcp", "kubernetes", "sim")
"""Commands that go on running, or start processes that import the program anew."""

_SHIM = """#!{python} -ISE
import json, os, signal, socket, sys
named = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
if named in {real!r} or "--console" in sys.argv or "--churn" in sys.argv:
    os.execv({python!r}, [{python!r}, "-P", "-m", "pfgov.cli", *sys.argv[1:]])
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), os.umask(0)]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as pipe:
    pipe.connect({address!r})
    socket.send_fds(pipe, [b"%d\\n" % len(asked)], [0, 1, 2])
    pipe.sendall(asked)
    answers = pipe.makefile("r")
    child = int(answers.readline())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda given, _: os.kill(child, given))
    status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def program() -> str:
    """Return the folder with the ``pfgov`` of this test process, whose forking process is started by the first call."""
    if not _started:
        folder = tempfile.mkdtemp(prefix="pfgov-prefork-")
        address = f"{folder}/socket"
        paths = [str(Path(__file__).parents[2] / part) for part in (".", "ledger", "api", "tests")]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "TERM": "dumb",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", f"from support.prefork import serve; serve({address!r})"],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        shim = Path(folder) / "pfgov"
        shim.write_text(_SHIM.format(python=sys.executable, real=REAL, address=address))
        shim.chmod(0o755)
        _started.append((folder, process))
        atexit.register(_stop)
    return _started[0][0]


_started: "list[tuple[str, subprocess.Popen[bytes]]]" = []


def _stop() -> None:
    import shutil

    for folder, process in _started:
        process.kill()
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


# --- the process that forks ---------------------------------------------------------------


def serve(address: str) -> None:
    """Import the program, and fork a child for every command that is sent to the socket at *address*."""
    from pfgov import cli

    for found in pkgutil.walk_packages(cli.__path__, "pfgov.cli."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for name in (
        "pfgov.app.local.folder",
        "pfgov.app.policies",
        "pfgov.engine.opening",
        "pfgov.policy.authoring",
    ):
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(address)
        door.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            pipe, _ = door.accept()
            if os.fork() == 0:  # it waits for the command, so that others need not
                door.close()
                _attend(pipe)
            pipe.close()
            _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _attend(pipe: socket.socket) -> None:
    """Take one command from *pipe*, run it in a child of this child, and say how it ended."""
    try:
        head, files, _, _ = socket.recv_fds(pipe, 16, 3)
        rest = b""
        if b"\n" in head:
            head, rest = head.split(b"\n", 1)
        while len(rest) < int(head):
            rest += pipe.recv(1 << 16)
        child = os.fork()
        if child == 0:
            pipe.close()
            _be_the_program(json.loads(rest), files)
        pipe.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        pipe.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _be_the_program(asked: "tuple[list[str], str, dict[str, str], int]", files: list[int]) -> None:
    arguments, folder, environment, mask = asked
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.umask(mask)
        os.environ.clear()
        os.environ.update(environment)
        random.seed()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        sys.argv = ["pfgov", *arguments]
        from pfgov.cli import main

        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
