"""Policies from outside are compiled and tried out in a process of their own, with an end to its time and memory.

What an author writes is bounded, but a thousand rules on a hundred members take seconds, and a thread of the server
would take them from everybody's requests.  :mod:`pfgov_api.trial_process` is that process, and forks one for each
question; here is who asks it: what it is handed, and how long it is waited for.  Of a child nothing is unpickled.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from typing import Any, Final

import msgspec

from pfgov import interpreter
from pfgov.errors import BusyError, DecisionTooLongError, PolicyError
from pfgov.policy.problems import PolicyErrors
from pfgov_api.access import Quota
from pfgov_api.limits import (
    TRIAL_ANSWER_BYTES_MAX,
    TRIAL_MEMORY_BYTES,
    TRIAL_PROCESSOR_SECONDS,
    TRIAL_SECONDS,
    TRIALS_MAX,
    TRIALS_PER_PRINCIPAL_MAX,
)
from pfgov_api.trial_process import KINDS, STARTED, Asked, Compiled, Said, decode_said, encode_asked

_CODE: Final = "from pfgov_api.trial_process import main; main(%d)"


class Trials:
    """The questions that are under way, and the process that forks for them once there was one."""

    def __init__(self) -> None:
        self.quota = Quota("trials of policies", TRIALS_PER_PRINCIPAL_MAX)
        self._room = asyncio.Semaphore(TRIALS_MAX)
        self._handing = asyncio.Lock()
        self._parent: _Parent | None = None
        self.under_way = 0

    async def compiled(self, raw: bytes) -> Compiled:
        """Return the set in the body *raw*.

        Raises:
            PolicyErrors: the files do not make a set.
            PfgovError: as :meth:`evaluated`.
        """
        said = await self._said(raw, is_question=False)
        if said.compiled is None:
            raise _spent()
        return said.compiled

    async def evaluated(self, raw: bytes, document: bytes, now: int) -> dict[str, Any]:
        """Return what the set in the body *raw*, or the one of *document*, says to the question in it.

        Raises:
            PolicyErrors: the files do not make a set.
            DecisionTooLongError: it took too much.
            BusyError: no process can be started for it now.
            PfgovError: the question is wrong.
        """
        said = await self._said(raw, is_question=True, document=document, now=now)
        if said.answer is None:
            raise _spent()
        return said.answer

    async def tested(self, raw: bytes, document: bytes) -> dict[str, Any]:
        """Return what the tests in the body *raw* come to: of the set in it, or of the one of *document*.

        Raises:
            PolicyErrors: the files do not make a set, or the tests cannot be read.
            DecisionTooLongError: it took too much.
            BusyError: no process can be started for it now.
            PfgovError: there is no test.
        """
        said = await self._said(raw, is_question=False, document=document, are_tests=True)
        if said.answer is None:
            raise _spent()
        return said.answer

    async def weighed(self, raw: bytes, directory: str) -> dict[str, Any]:
        """Return what the set in the body *raw* would change in the ledger in *directory*.

        Raises:
            PolicyErrors: the files do not make a set.
            DecisionTooLongError: it took too much.
            PfgovError: it cannot be told.
        """
        said = await self._said(raw, is_question=False, directory=directory)
        if said.answer is None:
            raise _spent()
        return said.answer

    async def _said(
        self,
        raw: bytes,
        *,
        is_question: bool,
        document: bytes = b"",
        now: int = 0,
        directory: str = "",
        are_tests: bool = False,
    ) -> Said:
        with tempfile.TemporaryDirectory(prefix="pfgov-policies-") as folder:
            asked = Asked(raw, is_question, document, now, directory, are_tests)
            async with self._room:
                self.under_way += 1
                try:
                    out = await self._run(encode_asked(asked), folder)
                finally:
                    self.under_way -= 1
        try:
            said = decode_said(out)
        except msgspec.DecodeError:
            raise _spent() from None
        if said.problems is not None:
            raise PolicyErrors(said.problems)
        if said.refused is not None:
            refused = said.refused
            raise KINDS.get(refused.kind, PolicyError)(
                refused.message, code=refused.code, hint=refused.hint, pointer=refused.pointer
            )
        return said

    async def _run(self, asked: bytes, folder: str) -> bytes:
        """Return what a child writes that has *folder* for its files; it is killed when this ends before it does."""
        ours, theirs = socket.socketpair()
        held, holding = os.pipe()
        try:
            ours.setblocking(False)
            async with asyncio.timeout(TRIAL_SECONDS):
                await asyncio.shield(self._hand(theirs, held, folder))
                return await _exchange(ours, asked)
        except TimeoutError:
            raise _spent() from None
        finally:
            os.close(holding)  # the child's parent sees it, and kills
            ours.close()

    async def _hand(self, theirs: socket.socket, held: int, folder: str) -> None:
        """Have a child started that works on *theirs* until *held* is at its end; both are closed here."""
        try:
            async with self._handing:
                if self._parent is not None and self._parent.is_running:
                    with contextlib.suppress(ConnectionError):  # it died just now
                        return await self._parent.start(folder, theirs.fileno(), held)
                    self._parent.kill()
                self._parent = _Parent()
                await self._parent.start(folder, theirs.fileno(), held)
        except OSError:
            raise BusyError(
                "no process can be started for these policies now",
                hint="try again; the server's limits of processes and descriptors are reached",
            ) from None
        finally:
            theirs.close()
            os.close(held)

    def kill(self) -> None:
        """End every child: the server stops."""
        if self._parent is not None:
            self._parent.kill()
            self._parent = None


async def _exchange(pipe: socket.socket, asked: bytes) -> bytes:
    """Send *asked* and return all that comes back.

    Raises:
        DecisionTooLongError: it is too much, or the child died.
    """
    loop = asyncio.get_running_loop()
    out = bytearray()
    try:
        await loop.sock_sendall(pipe, asked)
        pipe.shutdown(socket.SHUT_WR)
        while part := await loop.sock_recv(pipe, 1 << 16):
            out += part
            if len(out) > TRIAL_ANSWER_BYTES_MAX:
                raise _spent()
    except ConnectionError:
        raise _spent() from None
    return bytes(out)


class _Parent:
    """The process that forks a child for each question, in a session of its own."""

    def __init__(self) -> None:
        """Start it; it answers once it has imported.

        Raises:
            OSError: it cannot be started.
        """
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
                interpreter.command("-c", _CODE % theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=interpreter.environment(),
                start_new_session=True,
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()

    @property
    def is_running(self) -> bool:
        """Whether it can be asked for another child."""
        if self._process.poll() is None:
            return True
        self._control.close()
        return False

    async def start(self, folder: str, work: int, held: int) -> None:
        """Have a child started.

        Raises:
            OSError: it could not be; a ConnectionError, if this process has died.
        """
        socket.send_fds(self._control, [folder.encode()], [work, held])
        said = await asyncio.get_running_loop().sock_recv(self._control, 1)
        if not said:
            raise ConnectionResetError("the process that forks is gone")
        if said != STARTED:
            raise OSError("the child was not started")

    def kill(self) -> None:
        """End it with all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._control.close()


def _spent() -> DecisionTooLongError:
    return DecisionTooLongError(
        f"the policies took more than {TRIAL_PROCESSOR_SECONDS} s of the processor, {TRIAL_SECONDS:g} s in all,"
        f" or {TRIAL_MEMORY_BYTES >> 20} MiB of memory",
        hint="try fewer rules or members at once: pfgov policy test DIR does it on your own machine",
    )
