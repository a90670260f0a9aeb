"""The check of a whole folder in a process of its own, so that a keystroke never waits for one.

A thread would share the interpreter lock with what answers the editor.  The child gives way to it where both want a
processor, and ends when its input does, so that none is left behind.  What is wrong with a policy is
:mod:`pfgov.policy.authoring.editing.checked`'s; this module knows pipes and lengths.
"""

import contextlib
import os
import pickle
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, cast

from pfgov import interpreter
from pfgov.policy.authoring.editing.checked import Seen, check

NICENESS: Final = 5
"""How far the child steps back behind whoever answers the editor."""

_LENGTH_BYTES: Final = 8


class CheckLostError(Exception):
    """The child ended before it answered."""


class Beside:
    """A child that checks folders, started when it is first asked, and again after it was lost."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def check(self, root: Path, unsaved: Mapping[Path, str]) -> Seen:
        """Return what :func:`check` says; one question at a time.

        Raises:
            CheckLostError: the child ended, or was stopped.
        """
        with self._lock:
            child = self._started()
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                _send(child.stdin, (root, dict(unsaved)))
                seen = _receive(child.stdout)
            except (OSError, ValueError):
                seen = None
            if not isinstance(seen, Seen):
                self._end(child)
                raise CheckLostError(str(root))
            return seen

    def stop(self) -> None:
        """End the child, whatever it is doing; nothing is checked from here on."""
        self._is_over = True
        if (child := self._child) is not None:
            child.kill()  # whoever waits for its answer sees the end of it, and lets go of the lock
        with self._lock:
            if self._child is not None:
                self._end(self._child)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._is_over:
            raise CheckLostError("the server is leaving")
        if self._child is None:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
                interpreter.command("-m", __name__),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=interpreter.environment(),
            )
        return self._child

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = None
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # what it was still to be told goes nowhere
                if pipe is not None:
                    pipe.close()


def _send(pipe: IO[bytes], value: object) -> None:
    raw = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    pipe.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> object:
    """Return what came, or None where the other side is gone."""
    length = pipe.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    raw = pipe.read(size := int.from_bytes(length, "big"))
    if len(raw) < size:
        return None
    return pickle.loads(raw)  # noqa: S301 - from our own parent or child, over a private pipe


def main() -> None:
    """Answer until nothing more is asked."""
    os.nice(NICENESS)
    with os.fdopen(os.dup(0), "rb") as asked, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what anything here prints must not stand among the answers
        while isinstance(question := _receive(asked), tuple):
            root, unsaved = cast("tuple[Path, dict[Path, str]]", question)
            _send(answers, check(root, unsaved))


if __name__ == "__main__":
    main()
