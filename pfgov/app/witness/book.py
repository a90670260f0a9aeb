"""What a witness has seen: one checkpoint a log, the newest that it cosigned, on disk before anybody is told.

A folder holds the witness's key, a C2SP tlog-policy file that names the logs, and a note for each log.  To look,
to check and to keep is one step for all logs together, and one process at a time has the folder: two answers about one
log could otherwise vouch for two histories.  What a log's key signed and does not fit is kept as evidence.
"""

import fcntl
import hashlib
import os
import threading
from pathlib import Path
from typing import Final, Self

from pfgov.app.evidence import Evidence
from pfgov.clock import Clock
from pfgov.errors import (
    DuplicateError,
    InvalidError,
    NotFoundError,
    StoreCorruptError,
    StoreLockedError,
    file_errors,
)
from pfgov.files import read_regular, replace_private
from pfgov_ledger import checkpoint, keys, note, tlog_policy, witness
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.note import Vkey
from pfgov_ledger.witness import RefusedError, Submission

KEY: Final = "witness.key"
LOGS: Final = "logs.policy"
SEEN: Final = "seen"
FOLLOWED: Final = "followed"
LOCK: Final = "witness.lock"

_NOTHING: Final = """# Logs that this witness follows: their log keys, as `pfgov ledger keys` prints them.
# log VKEY
quorum none
"""


def create(folder: Path, name: str) -> Vkey:
    """Make a witness called *name* in *folder*; return its verifier key.

    Raises:
        DuplicateError: ``witness.exists``, there is one.
        InvalidError: it cannot be called that.
        StoreUnavailableError: the folder cannot be written.
    """
    if (folder / KEY).exists():
        raise DuplicateError(f"{folder} holds a witness already", code="witness.exists")
    if not note.is_name(name):
        raise InvalidError(
            f"{name!r} cannot name a witness", hint="name it like a URL: example.org/witness"
        )
    with file_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = keys.generate(role="witness", name=name)
        keys.write_file(folder / KEY, signer)
        if not (folder / LOGS).exists():
            replace_private(folder / LOGS, _NOTHING.encode())
    return keys.vkey_of(signer)


class Book:
    """The folder of a witness, opened for cosigning.  Thread-safe.  Close it; or use it as a context manager."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open it.

        Raises:
            NotFoundError: ``witness.missing``, there is no witness in that folder.
            StoreLockedError: another process has it.
            LedgerError: the key or the list of logs cannot be used.
            StoreUnavailableError: the folder cannot be read.
        """
        if not (folder / KEY).exists():
            raise NotFoundError(
                f"there is no witness in {folder}",
                code="witness.missing",
                hint="make one: pfgov witness init --name example.org/witness",
            )
        self._folder = folder
        self._clock = clock
        self._evidence = Evidence(folder)
        self._one = threading.Lock()
        self.signer = keys.file_signer(folder / KEY)
        with file_errors(folder):
            (folder / SEEN).mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StoreLockedError(f"another process is the witness of {folder}") from None
        try:
            self._followed = self._read_followed()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def vkey(self) -> Vkey:
        """What others verify its cosignatures with."""
        return keys.vkey_of(self.signer)

    def logs(self) -> dict[str, tuple[Vkey, ...]]:
        """Return the logs that it follows now: the file is read each time, so that a key can be added while it runs.

        Raises:
            LedgerError: the file is no tlog-policy.
        """
        with file_errors(self._folder / LOGS):
            text = read_regular(self._folder / LOGS).decode("utf-8", errors="surrogateescape")
        policy = tlog_policy.parse(text)
        return {
            origin: tuple(one.vkey for one in parties) for origin, parties in policy.logs.items()
        }

    def add(self, raw: bytes) -> bytes:
        """Answer an ``add-checkpoint`` request: return the cosignature line.

        Raises:
            RefusedError: the status that the protocol wants.
            LedgerError, StoreUnavailableError: it cannot tell, or cannot keep what it would vouch for.
        """
        submission = witness.parse(raw)
        logs = self.logs()
        with self._one:
            origin = witness.stated(submission).origin
            known = self._seen(origin) if origin in logs else None
            try:
                new = witness.examine(submission, logs, known)
            except RefusedError as refused:
                if known is not None:
                    self._keep_evidence(refused, known, submission, raw)
                raise
            seconds = self._clock.now() // 1_000_000
            line = witness.cosignature(submission.signed, self.signer, time=seconds)
            self._keep(new.origin, submission.signed + line)
        return line

    # --- files -----------------------------------------------------------------------------

    def _path(self, origin: str) -> Path:
        return self._folder / SEEN / f"{_named(origin)}.note"

    def _seen(self, origin: str) -> Checkpoint | None:
        """Return what was last cosigned of *origin*; what cannot be read is not taken for nothing."""
        path = self._path(origin)
        with file_errors(path):
            try:
                raw = read_regular(path)
            except FileNotFoundError:
                if path.stem in self._followed:
                    raise self._lost(origin, path) from None
                return None
        found = checkpoint.parse_text(note.split(raw)[0])
        if found.origin != origin:
            raise LedgerError(f"{path} is the note of another log")
        return found

    def _keep(self, origin: str, signed: bytes) -> None:
        """Put the note on disk, whole, before anybody hears of it."""
        path = self._path(origin)
        with file_errors(path):
            replace_private(path, signed, durably=True)
            if path.stem not in self._followed:
                # After the note: of one without a line here that line is written at the next start.
                followed = self._followed | {path.stem}
                self._write_followed(followed)
                self._followed = followed

    def _read_followed(self) -> frozenset[str]:
        """Return of which logs something was ever cosigned, by the names of their notes.

        A note that is gone is not one that never was: the log could be given another history.
        """
        path = self._folder / FOLLOWED
        with file_errors(path):
            try:
                known = frozenset(read_regular(path).decode("ascii", errors="replace").split())
            except FileNotFoundError:
                known = frozenset[str]()
            found = known | {one.stem for one in (self._folder / SEEN).glob("*.note")}
            if found != known:
                self._write_followed(found)
        return found

    def _write_followed(self, names: frozenset[str]) -> None:
        text = "".join(f"{name}\n" for name in sorted(names))
        replace_private(self._folder / FOLLOWED, text.encode(), durably=True)

    def _lost(self, origin: str, path: Path) -> StoreCorruptError:
        return StoreCorruptError(
            f"what was cosigned of {origin} is gone: {path}",
            code="witness.lost",
            hint=f"put the file back; without it, begin anew with another key, or take {path.stem} out of "
            f"{self._folder / FOLLOWED} if nobody has a cosignature of that log",
        )

    def _keep_evidence(
        self, refused: RefusedError, known: Checkpoint, submission: Submission, raw: bytes
    ) -> None:
        """Keep a submission that the log's key signed and that is not the history that was seen.

        Anybody may send what the log signed with hashes that prove nothing: then it does not fit by itself alone.
        """
        text = note.split(submission.signed)[0]
        of = f"{_named(known.origin)[:16]}-"
        if refused.known == submission.old:  # another root of the same size
            self._evidence.keep_proof(text, raw, of)
        elif refused.status == 422:
            self._evidence.keep_signed(text, raw, of)

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _named(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()
