"""API keys: drawn once, shown once, kept as hashes, each with the scopes it grants.

A key is ``pfgov_ID_SECRET`` with 256 random bits of secret; the file holds SHA-256 digests, which for such secrets
need no slow hash.  Where no key was ever made the server is for this machine only: it listens on loopback and everybody
there is the local operator.  A file that is there, even one without keys, or that is missing although there were keys,
lets nobody in.  The file is read again when it changes, so that a revocation holds at once.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from pfgov.core.commands import RIGHTS, Principal
from pfgov.core.ids import is_reserved
from pfgov.core.spelling import as_seen, check_label
from pfgov.decoding import Reader
from pfgov.errors import InvalidError, NotFoundError, StoreUnavailableError
from pfgov.files import read_regular, replace_private
from pfgov.limits import INTEGER_MAX, LABEL_LENGTH_MAX, PRINCIPAL_RIGHTS_MAX
from pfgov.model.times import to_moment
from pfgov_api.grants import Grant, everybody
from pfgov_api.problems import UnauthenticatedError

FILE: Final = "api-keys.json"
KEYS_MAX: Final = 1_000
SCOPES: Final = frozenset(RIGHTS) - {"engine"}
_MEMBER: Final = re.compile(r"member:([A-Za-z0-9][A-Za-z0-9._:@~-]{0,127})", re.ASCII)
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 5


def check_scopes(scopes: tuple[str, ...]) -> None:
    """Refuse what cannot be granted from outside.

    Raises:
        InvalidError: one is no scope, or there are none, or too many.
    """
    if not 0 < len(scopes) <= PRINCIPAL_RIGHTS_MAX:
        raise InvalidError(f"{len(scopes)} scopes are not 1 to {PRINCIPAL_RIGHTS_MAX}")
    for scope in scopes:
        member = _MEMBER.fullmatch(scope)
        if scope not in SCOPES and (member is None or is_reserved(member[1])):
            raise InvalidError(
                f"{scope!r} is not a scope", hint=f"scopes: {', '.join(sorted(SCOPES))}, member:ID"
            )


class KeyRecord(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A key as the file keeps it.  Times in microseconds."""

    id: str
    digest: str
    scopes: tuple[str, ...]
    created_at: int
    name: str = ""
    revoked_at: int | None = None


def shown_keys(records: Iterable[KeyRecord]) -> list[dict[str, object]]:
    """Return keys as they are shown, revoked ones too; never the secrets, nor their digests."""
    return [
        {
            "id": one.id,
            "scopes": list(one.scopes),
            "name": one.name,
            "created_at": to_moment(one.created_at),
            "revoked_at": None if one.revoked_at is None else to_moment(one.revoked_at),
        }
        for one in records
    ]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[KeyRecord]


_KEYS: Final = Reader[_File](_File)


def _sound(records: list[KeyRecord]) -> tuple[KeyRecord, ...]:
    """Return *records*, if each was made and revoked at a moment that there is.

    Raises:
        DecodeError: one was not.
    """
    for one in records:
        if not (0 <= one.created_at <= INTEGER_MAX and 0 <= (one.revoked_at or 0) <= INTEGER_MAX):
            raise msgspec.DecodeError("a moment that there is not")
    return tuple(records)


@dataclass(slots=True)
class KeyRing:
    """The keys of one ledger's folder."""

    path: Path
    must_exist: bool = False
    recheck_seconds: float = 0.0
    _checked: float = float("-inf")
    _stamp: tuple[int, int, int] | None = None
    _records: tuple[KeyRecord, ...] = ()
    _by_digest: dict[str, KeyRecord] = field(default_factory=dict[str, KeyRecord])

    def records(self) -> tuple[KeyRecord, ...]:
        """Return every key, revoked ones too.

        Raises:
            StoreUnavailableError: the file cannot be read or is damaged: nobody gets in.
        """
        now = time.monotonic()
        if now - self._checked < self.recheck_seconds:
            return self._records
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            # A link that leads nowhere was laid by who has the keys elsewhere: they are missing now.
            if self.must_exist or self.path.is_symlink():
                raise _unreadable(self.path, error) from error
            self._checked = now
            return ()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            try:
                self._records = _sound(_KEYS.decode(read_regular(self.path)).keys)
            except (OSError, msgspec.DecodeError) as error:
                raise _unreadable(self.path, error) from error
            self._stamp = stamp
            self._by_digest = {record.digest: record for record in self._records}
            self.must_exist = True  # a file that vanishes must not make everybody the operator
        self._checked = now
        return self._records

    @property
    def has_been_used(self) -> bool:
        """Whether a key was ever made or revoked in this folder, as far as its files tell."""
        return os.path.lexists(self.path) or os.path.lexists(self._lock)

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    @property
    def is_open(self) -> bool:
        """Whether no key was ever made, so that everybody on this machine is the operator."""
        return not self.records() and not self.must_exist

    def create(
        self,
        scopes: tuple[str, ...],
        *,
        now: int,
        draw: Callable[[int], bytes] = os.urandom,
        name: str = "",
    ) -> tuple[KeyRecord, str]:
        """Make a key; return its record and the key itself, which is not kept.

        Raises:
            InvalidError: an unknown scope, or none.
        """
        identity = _text(draw(_ID_BYTES))
        secret = _text(draw(_SECRET_BYTES))
        key = f"pfgov_{identity}_{secret}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.adopt(identity, digest, scopes, now=now, name=name), key

    def adopt(
        self, identity: str, digest: str, scopes: tuple[str, ...], *, now: int, name: str = ""
    ) -> KeyRecord:
        """Take in a key that its owner drew: *digest* is the SHA-256 of the whole of it, in hex.

        Raises:
            InvalidError: an unknown scope, or none; or there are too many keys.
        """
        check_scopes(scopes)
        record = KeyRecord(identity, digest, tuple(sorted(scopes)), now, name)
        with self._alone() as records:
            if len(records) >= KEYS_MAX:
                raise InvalidError(f"there are {KEYS_MAX} keys already")
            self._write([*records, record])
        return record

    def revoke(self, identity: str, *, now: int) -> KeyRecord:
        """End a key.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._alone() as records:
            for index, record in enumerate(records):
                if record.id == identity:
                    if record.revoked_at is None:
                        records[index] = msgspec.structs.replace(record, revoked_at=now)
                        self._write(records)
                    return records[index]
        raise NotFoundError(
            f"there is no key {identity}", code="key.not_found", hint="see them: pfgov key list"
        )

    @contextlib.contextmanager
    def _alone(self) -> Generator[list[KeyRecord]]:
        """Give the keys as they are now, to be changed while nobody else does: not another thread, nor another process.

        Otherwise a key that is made beside a revocation would undo it.
        """
        lock = self._lock
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unreadable(lock, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._checked = float("-inf")
            yield list(self.records())
        finally:
            os.close(handle)  # which gives the lock back

    def _write(self, records: list[KeyRecord]) -> None:
        """Replace the file.  For the holder of the lock."""
        raw = msgspec.json.format(msgspec.json.encode(_File(records)))
        try:
            replace_private(self.path, raw, durably=True)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        self._stamp, self._checked = None, float("-inf")

    def grant(self, authorization: str | None) -> Grant:
        """Return who sends this ``Authorization`` header; it holds until the key is revoked or changed.

        Raises:
            UnauthenticatedError: keys exist and this is none of them, or a revoked one.
        """
        records = self.records()
        if not records and not self.must_exist:
            return everybody(self._is_still_open)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise UnauthenticatedError(
                "a key is needed", hint="send: Authorization: Bearer pfgov_..."
            )
        digest = hashlib.sha256(key.strip().encode(errors="replace")).hexdigest()
        record = self._by_digest.get(digest)
        if record is None:
            raise UnauthenticatedError(
                "that is not a key of this server", hint="see the keys: pfgov key list"
            )
        if record.revoked_at is not None:
            raise UnauthenticatedError("that key was revoked", hint="ask for a new one")
        name = _principal_id(record)
        principal = Principal(id=name, rights=record.scopes, name=_recorded_name(record.name))
        return Grant(principal, lambda: self._has(record), name)

    def may_still(self, principal_id: str, right: str) -> bool:
        """Whether some key of that principal is in force and grants *right*.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        return any(
            record.revoked_at is None
            and right in record.scopes
            and _principal_id(record) == principal_id
            for record in self.records()
        )

    def _has(self, record: KeyRecord) -> bool:
        """Whether *record* is here and unchanged; a file that cannot be read grants nothing."""
        try:
            self.records()
        except StoreUnavailableError:
            return False
        return self._by_digest.get(record.digest) == record

    def _is_still_open(self) -> bool:
        try:
            return self.is_open
        except StoreUnavailableError:
            return False


def _principal_id(record: KeyRecord) -> str:
    """Return the pseudonymous id that entries name: the member, where the key is only a member's."""
    if len(record.scopes) == 1 and record.scopes[0].startswith("member:"):
        member_id = record.scopes[0].removeprefix("member:")
        if not is_reserved(member_id):
            return member_id
    return f"key:{record.id}"


def _recorded_name(name: str) -> str | None:
    """Return the name of a key as entries and policies have it: what is seen of it; none where nothing is.

    A name that was dropped because of a character that nobody sees would make its bearer somebody else than the one of
    the plain name, who has approved already.
    """
    seen = as_seen(as_seen(name)[:LABEL_LENGTH_MAX])
    if not seen:
        return None
    with contextlib.suppress(InvalidError):
        return check_label(seen)
    return None


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _unreadable(path: Path, error: Exception) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the keys in {path} cannot be read or written ({type(error).__name__})",
        code="key.file",
        hint="nobody is let in until the file is mended",
    )
