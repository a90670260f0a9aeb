"""Which key may sign what, and when: the ring of keys that genesis opens and key events change.

``FORMAT.md`` section "Keys".  An event takes effect *after* its own entry.  A key enters the ring
once, in one role; it can be retired by a rotation or revoked, and never comes back.  Keys come from
the log alone; whether the log is the one that a reader pins is checked against the anchor.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import canonical, dsse, ed25519, entry, errors, keys
from pfgov_ledger.canonical import Json
from pfgov_ledger.entry import Entry

LEDGER_ROLES: Final = ("log", "issuer", "recovery")
"""The roles that genesis and key events know."""

_ACTIVE, _RETIRED, _REVOKED = "active", "retired", "revoked"
KEYS_MAX: Final = 1_024
"""Keys that a log may ever introduce: what bounds the memory and the time that a hostile one can take."""
SUSPECTS_MAX: Final = 100
"""Suspicions listed in a report."""
_SIGNATURES_MAX: Final = 8
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){0,128}")


@dataclass(slots=True)
class _Key:
    role: str
    state: str


def statement(
    *, origin: str, seq: int, prev: bytes, action: str, change: Mapping[str, object]
) -> bytes:
    """What is signed to authorise a key event: the DSSE PAE of canonical JSON.

    Args:
        origin: The log.
        seq: The ``subject_seq`` in the ``keys`` history that the event will have.
        prev: The leaf hash of the key event before it; of genesis, if there is none.
        action: ``rotate`` or ``revoke``.
        change: ``{new, old, role}`` or ``{key, role, suspect_from}``; absent values are null.
    """
    value = {
        "action": action,
        "keys": dict(change),
        "origin": origin,
        "prev": prev.hex(),
        "seq": seq,
    }
    return dsse.pae(dsse.KEY_STATEMENT_TYPE, canonical.encode(value))


def rotation(
    *, origin: str, seq: int, prev: bytes, role: str, old: bytes | None, new: bytes
) -> bytes:
    """The :func:`statement` that *new* takes over *role* from *old* (None: is added to it)."""
    change = {"new": new.hex(), "old": None if old is None else old.hex(), "role": role}
    return statement(origin=origin, seq=seq, prev=prev, action="rotate", change=change)


def revocation(
    *, origin: str, seq: int, prev: bytes, role: str, key: bytes, suspect_from: int | None
) -> bytes:
    """The :func:`statement` that *key*'s signatures count for nothing from here on."""
    change = {"key": key.hex(), "role": role, "suspect_from": suspect_from}
    return statement(origin=origin, seq=seq, prev=prev, action="revoke", change=change)


class KeyRing:
    """The keys of one log, as of the entries that it was shown, in order."""

    def __init__(self) -> None:
        self._keys: dict[bytes, _Key] = {}
        self._by_id: dict[bytes, bytes] = {}
        self._origin = ""
        self._prev = entry.ZERO
        self.suspects: list[tuple[str, int]] = []

    def open(self, genesis: Entry) -> None:
        """Take the first keys.

        Raises:
            GenesisError: Not a genesis entry.
            WeakKeyError, KeyRoleError, EntryShapeError: A key must not be trusted.
        """
        if not entry.is_genesis(genesis):
            raise errors.GenesisError(position=0, expected="ledger_created", found=genesis.type)
        self._origin, self._prev = genesis.log, genesis.leaf
        if genesis.body.get("origin") != genesis.log:
            raise errors.OriginMismatchError(
                position=0,
                expected=genesis.log,
                found=canonical.text_of(genesis.body.get("origin"), 80),
            )
        listed = genesis.body.get("keys")
        if not isinstance(listed, list):
            raise errors.EntryShapeError("genesis lists keys", position=0)
        for item in listed:
            match item:
                case {"role": str(role), "public": str(public)}:
                    self._add(role, _public(public, 0), 0)
                case _:
                    raise errors.EntryShapeError("a key is {role, public}", position=0)
        for role in ("log", "issuer"):
            if not self.active(role):
                raise errors.GenesisError(f"genesis names no {role} key", position=0)

    def active(self, role: str) -> list[bytes]:
        """The public keys that may act in *role* now."""
        return [k for k, v in self._keys.items() if (v.role, v.state) == (role, _ACTIVE)]

    def ever(self, role: str) -> list[bytes]:
        """Every public key that *role* ever had."""
        return [k for k, v in self._keys.items() if v.role == role]

    def issuer_of(self, of: Entry) -> bytes:
        """The public key that must have signed *of*.

        Raises:
            KeyUnknownError, KeyRoleError, KeyRetiredError, KeyRevokedError: It may not.
        """
        public = self._by_id.get(of.issuer)
        if public is None:
            raise errors.KeyUnknownError(position=of.seq, found=of.issuer.hex())
        self._check_active(public, "issuer", of.seq)
        return public

    def _may(self, public: bytes, role: str) -> bool:
        known = self._keys.get(public)
        return known is not None and (known.role, known.state) == (role, _ACTIVE)

    def check_log(self, public: bytes, position: int) -> None:
        """Refuse *public* unless it may sign checkpoints now.

        Raises:
            KeyUnknownError, KeyRoleError, KeyRetiredError, KeyRevokedError: It may not.
        """
        self._check_active(public, "log", position)

    def apply(self, of: Entry) -> None:
        """Carry out a key event, if it is one.

        Raises:
            RotationError: It lacks the signatures that authorise it.
            LedgerError: It is malformed, or names a key that must not be trusted.
        """
        if of.subject != "keys":
            return
        try:
            if of.type == "key_rotated":
                self._rotate(of)
            elif of.type == "key_revoked":
                self._revoke(of)
        except errors.LedgerError as error:
            raise error.at(of.seq) from None
        finally:
            self._prev = of.leaf

    def _check_active(self, public: bytes, role: str, position: int) -> None:
        if self._may(public, role):
            return
        known, identity = self._keys.get(public), keys.key_id(public)
        if known is None:
            raise errors.KeyUnknownError(position=position, found=identity)
        if known.role != role:
            raise errors.KeyRoleError(position=position, expected=role, found=known.role)
        if known.state == _RETIRED:
            raise errors.KeyRetiredError(position=position, found=identity)
        raise errors.KeyRevokedError(position=position, found=identity)

    def _add(self, role: str, public: bytes, position: int) -> None:
        if role not in LEDGER_ROLES:
            raise errors.KeyRoleError(
                position=position, expected=", ".join(LEDGER_ROLES), found=role[:40]
            )
        known = self._keys.get(public)
        if known is not None:
            raise errors.KeyRoleError(
                "a key enters once, in one role",
                position=position,
                expected="a new key",
                found=known.role,
            )
        self._check_room(position)
        self._keys[public] = _Key(role, _ACTIVE)
        self._by_id[bytes.fromhex(keys.key_id(public))] = public

    def _check_room(self, position: int) -> None:
        if len(self._keys) >= KEYS_MAX:
            raise errors.KeyLimitError(position=position, expected=f"at most {KEYS_MAX} keys")

    def _rotate(self, of: Entry) -> None:
        self._check_room(of.seq)  # before the signatures, which cost
        role, new = of.body.get("role"), _public(of.body.get("new"), of.seq)
        old = None if of.body.get("old") is None else _public(of.body.get("old"), of.seq)
        if not isinstance(role, str):
            raise errors.EntryShapeError("role is a string")
        message = rotation(
            origin=self._origin, seq=of.subject_seq, prev=self._prev, role=role, old=old, new=new
        )
        signers = signers_of(of.body.get("signatures"), message, of.seq)
        if old is not None and not (self._may(old, role) and old in signers):
            raise errors.RotationError(
                expected=f"the active {role[:40]} key", found="no such signature"
            )
        if old is None and not any(self._may(signer, "recovery") for signer in signers):
            raise errors.RotationError(expected="the recovery key", found="no such signature")
        if new not in signers:
            raise errors.RotationError(expected="the new key", found="no such signature")
        self._add(role, new, of.seq)
        if old is not None:
            self._keys[old].state = _RETIRED

    def _revoke(self, of: Entry) -> None:
        role, key = of.body.get("role"), _public(of.body.get("key"), of.seq)
        suspect_from = of.body.get("suspect_from")
        if not isinstance(role, str):
            raise errors.EntryShapeError("role is a string")
        if suspect_from is not None and (type(suspect_from) is not int or suspect_from < 0):
            raise errors.EntryShapeError("suspect_from is a position")
        message = revocation(
            origin=self._origin,
            seq=of.subject_seq,
            prev=self._prev,
            role=role,
            key=key,
            suspect_from=suspect_from,
        )
        signers = signers_of(of.body.get("signatures"), message, of.seq)
        if not any(self._may(signer, "recovery") for signer in signers):
            raise errors.RotationError(expected="the recovery key", found="no such signature")
        known = self._keys.get(key)
        if known is None or known.role != role:
            raise errors.KeyUnknownError(found=keys.key_id(key))
        known.state = _REVOKED
        if suspect_from is not None and len(self.suspects) < SUSPECTS_MAX:
            self.suspects.append((keys.key_id(key), suspect_from))


def _public(value: Json, position: int | None) -> bytes:
    if not isinstance(value, str) or entry.HEX32.fullmatch(value) is None:
        raise errors.EntryShapeError("a key is 64 hexadecimal digits", position=position)
    public = bytes.fromhex(value)
    try:
        ed25519.check_public(public)
    except errors.WeakKeyError as error:
        if position is not None:
            error.at(position)
        raise error from None
    return public


def signers_of(listed: Json, message: bytes, position: int | None = None) -> set[bytes]:
    """The keys whose signatures of *message* are *listed*, as ``[public, signature]`` in hex; every one must hold.

    Raises:
        EntryShapeError, WeakKeyError, SignatureError: One is malformed, by a key that must not be trusted, or wrong.
    """
    if not isinstance(listed, list) or len(listed) > _SIGNATURES_MAX:
        raise errors.EntryShapeError("signatures is a short list")
    signers: set[bytes] = set()
    for pair in listed:
        match pair:
            case [str(public), str(signature)]:
                key = _public(public, position)
                if _HEX.fullmatch(signature) is None:
                    raise errors.EntryShapeError("a signature is lowercase hexadecimal")
                ed25519.check(key, message, bytes.fromhex(signature))
                signers.add(key)
            case _:
                raise errors.EntryShapeError("a signature is [public, signature]")
    return signers
