"""The process in which policies from outside are tried out: it imports once, then forks a child for every question.

To start an interpreter and to import what compiles policies takes ten times as long as most questions do.  This process
does that once, before it has seen a byte from outside, and answers nothing itself.  Each child gets one question on a
socket, answers it there, and ends; the kernel ends it when it has used up its processor time or its memory, and its
parent when whoever asked lets go of the other end of a pipe.  No thread may start here: it would be lost in a fork.
"""

import gc
import os
import resource
import select
import signal
import socket
import tempfile
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pfgov.core.commands import BundleRef, ReportRef
from pfgov.errors import InvalidError, PfgovError, PolicyError, TooLargeError
from pfgov.policy import PolicySet, from_document, kernel_only
from pfgov.policy.problems import PolicyErrors, Problem
from pfgov_api.limits import (
    BODY_BYTES_MAX,
    TRIAL_CHECKS_MAX,
    TRIAL_FILE_BYTES_MAX,
    TRIAL_MEMORY_BYTES,
    TRIAL_PROCESSOR_SECONDS,
    TRIAL_RESULTS_MAX,
)

if TYPE_CHECKING:
    from pfgov_api.policy_bodies import PolicyTests, Sent, Weighing

KINDS: Final[dict[str, type[PfgovError]]] = {
    "input": InvalidError,
    "policy": PolicyError,
    "large": TooLargeError,
}
"""The classes of errors that a child may report, by the name under which it does."""

FOLDER_BYTES_MAX: Final = 4_096
STARTED: Final = b"+"
NOT_STARTED: Final = b"-"
_LOOK_SECONDS: Final = 1.0


class Asked(msgspec.Struct):
    """What a child is to do: compile the files in a body, try them (else *document*, else the kernel alone) out, run
    tests against them, or ask them about the ledger in *directory*.
    """

    raw: bytes
    is_question: bool
    document: bytes = b""
    now: int = 0
    directory: str = ""
    are_tests: bool = False


class Compiled(msgspec.Struct):
    """A set that compiles: what its activation says."""

    digest: str
    document: bytes
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]
    bundle: BundleRef | None = None
    report: ReportRef | None = None


class Refused(msgspec.Struct):
    """Why there is no answer."""

    kind: str
    code: str
    message: str
    hint: str | None = None
    pointer: str | None = None


class Said(msgspec.Struct):
    """What a child answers: one of the four."""

    answer: dict[str, Any] | None = None
    compiled: Compiled | None = None
    problems: list[Problem] | None = None
    refused: Refused | None = None


encode_asked: Final = msgspec.msgpack.Encoder().encode
decode_said: Final = msgspec.json.Decoder(Said).decode
_decode_asked: Final = msgspec.msgpack.Decoder(Asked).decode
_encode_said: Final = msgspec.json.Encoder().encode


# --- the parent ---------------------------------------------------------------------------


def main(handle: int) -> None:
    """Fork a child for every question that is announced on the inherited socket *handle*, until that is closed."""
    import_all()
    gc.freeze()  # or each child's first collection copies every page
    with socket.socket(fileno=handle) as control:
        _Parent(control).run()


def import_all() -> None:
    """Import what a question needs, once and for every child."""
    for name in (
        "pfgov.app.change.bundling",
        "pfgov.app.change.resting",
        "pfgov.app.change.weighing",
        "pfgov.app.local.folder",
        "pfgov.app.policies",
        "pfgov.app.policy_tests",
        "pfgov.app.views",
        "pfgov_api.policy_bodies",
    ):
        import_module(name)
    kernel_only()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A child has ended: waking up is all that is wanted of the signal."""


class _Parent:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}
        """Child -> the end of a pipe whose other end is held by whoever asked."""
        self._ended, ending = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(ending, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(ending, warn_on_full_buffer=False)

    def run(self) -> None:
        try:
            self._fork_until_closed()
        finally:  # whatever ends this process, nobody waits for its children
            for child in self._children:
                os.kill(child, signal.SIGKILL)
            for child in self._children:
                os.waitpid(child, 0)  # or they stay in the table where process 1 reaps nobody

    def _fork_until_closed(self) -> None:
        while True:
            held = {pipe: child for child, pipe in self._children.items()}
            control = self._control.fileno()
            ready, _, _ = select.select([control, self._ended, *held], [], [], _LOOK_SECONDS)
            for pipe in held.keys() & ready:
                os.kill(held[pipe], signal.SIGKILL)  # nobody waits for it, and it is not reaped yet
            self._reap()
            if control in ready and not self._take():
                return

    def _reap(self) -> None:
        try:
            while os.read(self._ended, 4_096):
                pass
        except BlockingIOError:
            pass
        while self._children:
            child, _ = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            os.close(self._children.pop(child))

    def _take(self) -> bool:
        """Start the child of one question; False at the end, which may come before the answer is sent."""
        try:
            return self._started()
        except ConnectionError:
            return False

    def _started(self) -> bool:
        folder, pipes, _, _ = socket.recv_fds(self._control, FOLDER_BYTES_MAX, 2)
        if not folder:
            return False
        work, held = pipes
        try:
            child = os.fork()
        except OSError:
            os.close(held)
            self._control.send(NOT_STARTED)
        else:
            if not child:
                _be_child(work, folder.decode())
            self._children[child] = held
            self._control.send(STARTED)
        os.close(work)
        return True


# --- a child ------------------------------------------------------------------------------


def _be_child(work: int, folder: str) -> None:
    """Answer the question on the socket *work*, and end."""
    try:
        signal.set_wakeup_fd(-1)
        os.dup2(work, 0)
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = folder
        confine()
        answer_one(0)
    finally:
        os._exit(0)


def confine() -> None:
    """Take from this process what it does not need."""
    seconds = TRIAL_PROCESSOR_SECONDS
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, TRIAL_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, TRIAL_FILE_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (least, least))
    os.nice(10)


def answer_one(handle: int) -> None:
    """Read a question from the socket *handle*, and write its answer there."""
    with socket.socket(fileno=handle) as pipe:
        asked = _decode_asked(b"".join(iter(lambda: pipe.recv(1 << 16), b"")))
        pipe.sendall(_encode_said(said_to(asked)))


def said_to(asked: Asked) -> Said:
    """Return what is said to a question, errors too."""
    try:
        return answer(asked)
    except PolicyErrors as error:
        return Said(problems=list(error.problems))
    except PfgovError as error:
        kind = next((name for name, known in KINDS.items() if isinstance(error, known)), "policy")
        return Said(refused=Refused(kind, error.code, error.message, error.hint, error.pointer))


def answer(asked: Asked) -> Said:
    """Return what is asked for.

    Raises:
        PfgovError: the question, or a file in it, is wrong.
    """
    from pfgov.app.policies import compiled, evaluate, in_full
    from pfgov.app.views import misses_result, nearest_misses
    from pfgov.core.verdicts import Point
    from pfgov.model import parse, read_json
    from pfgov_api.policy_bodies import PolicyQuestion, PolicyTests, Sent, Weighing

    tree = read_json(asked.raw, limit=BODY_BYTES_MAX)
    if asked.directory:
        return Said(answer=_weighed(parse(Weighing, tree), asked.directory))
    if asked.are_tests:
        return Said(answer=_tested(parse(PolicyTests, tree), asked.document))
    if not asked.is_question:
        return Said(compiled=_compiled(parse(Sent, tree)))
    body = parse(PolicyQuestion, tree)
    policies = _recorded(asked.document) if body.files is None else compiled(body.files)
    point = Point(body.action)
    rows = evaluate(policies, body.packet, body.members, point, asked.now, body.source)
    misses = misses_result(nearest_misses(rows))
    said = {"policy": policies.digest, "members": rows, **misses}
    if body.in_full:
        said["in_full"] = in_full(
            policies, body.packet, body.members, point, asked.now, body.source
        )
    return Said(answer=said)


def _recorded(document: bytes) -> PolicySet:
    """Return the set of a document that the ledger attached; the kernel alone for none."""
    return from_document(document, generated=True) if document else kernel_only()


def _tested(body: "PolicyTests", document: bytes) -> dict[str, Any]:
    """Return what the tests in a body come to: of its files, of its bundle with its own tests, or of a recorded set."""
    from pfgov.app.change import bundling
    from pfgov.app.policies import compiled
    from pfgov.app.policy_tests import of_folder, of_texts, shown

    bundle = None if body.bundle is None else bundling.opened(body.bundle.encode())
    if bundle is not None:
        policies = bundling.compiled(bundle)
    else:
        policies = _recorded(document) if body.files is None else compiled(body.files)
    if body.tests is not None:
        report = of_texts(body.tests, policies, TRIAL_CHECKS_MAX)
    else:
        assert bundle is not None  # or the body was refused
        with bundling.unpacked(bundle) as folder:
            report = of_folder(folder, policies, TRIAL_CHECKS_MAX)
    return shown(report, TRIAL_RESULTS_MAX)


def _compiled(sent: "Sent") -> Compiled:
    """Return the set that was sent, with what it rests on."""
    from pfgov.app.change import bundling
    from pfgov.app.change.resting import report_ref
    from pfgov.app.policies import compiled

    bundle = None if sent.bundle is None else bundling.opened(sent.bundle.encode())
    found = compiled(sent.files or {}) if bundle is None else bundling.compiled(bundle)
    return Compiled(
        found.digest,
        found.document,
        found.policies,
        tuple(sorted(map(str, found.points))),
        None if bundle is None else bundle.ref,
        None if sent.report is None else report_ref(sent.report.encode()),
    )


def _weighed(body: "Weighing", directory: str) -> dict[str, Any]:
    """Return what the proposed set would change in the ledger in *directory*, which is only read."""
    from pfgov.app.local.folder import reading_folder
    from pfgov.app.policies import compiled

    policies = compiled(body.files)
    with reading_folder(Path(directory)) as book:
        report, is_fresh = book.weigh(policies, since=body.since, sample=body.sample)
    return {"report": msgspec.to_builtins(report), "fresh": is_fresh}
