"""Which key signs: of those at hand, the newest that the ledger lets sign.

The ledger is the switch.  A key that is to take over lies ready (``ROLE.key.next`` in the folder of keys, or a further
URI that the operator configured) before the ledger records that it did; from that entry on it is the one that is in
force, whatever was interrupted where.  That files change places afterwards is tidiness, done again at every opening.
This module signs nothing and decides nothing about keys: the ledger's entries do.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from pfgov.core.records import Key
from pfgov.core.state import State
from pfgov.engine.layout import Layout, SigningKeyError, key_errors
from pfgov.errors import StoreError, file_errors
from pfgov.files import read_regular, replace_public
from pfgov.storage.port import Probe, Queries
from pfgov_ledger import keys
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer

Role = Literal["issuer", "log"]

ROTATING: Final[tuple[Role, ...]] = ("log", "issuer")
"""The roles whose keys are online and can be replaced."""


class Signers(Struct, frozen=True):
    """Who signs: the issuer for entries, the log for checkpoints."""

    issuer: Signer
    log: Signer


class KeySources(Struct, frozen=True):
    """Where the signing keys are.

    Attributes:
        layout: The ledger's folder; its own files are the keys of a role for which no URI is given.
        issuer: URIs of issuer keys, the oldest first: the one that signs, and those that may take over.
        log: The same for log keys.
    """

    layout: Layout
    issuer: tuple[str, ...] = ()
    log: tuple[str, ...] = ()

    def configured(self, role: Role) -> tuple[str, ...]:
        """Return the URIs that the operator gave for *role*."""
        return self.issuer if role == "issuer" else self.log

    def uris(self, role: Role) -> tuple[str, ...]:
        """Return every place where a key of *role* may be, the oldest first."""
        given = self.configured(role)
        if given:
            return given
        own, following = self.layout.key(role), self.layout.next_key(role)
        return (f"file:{own}", f"file:{following}") if following.exists() else (f"file:{own}",)

    def opened(self, uri: str) -> Signer:
        """Return the signer at *uri*.

        Raises:
            SigningKeyError: it is missing, damaged, or readable by others.
        """
        with key_errors():
            return keys.open_signer(uri)

    def first(self) -> Signers:
        """Return the oldest keys: those that sign a ledger which has no entries yet.

        Raises:
            SigningKeyError: one cannot be opened.
        """
        return Signers(self.opened(self.uris("issuer")[0]), self.opened(self.uris("log")[0]))

    def chosen(self, known: Mapping[str, Key]) -> Signers:
        """Return the keys that sign now, where the ledger knows the keys *known*.

        Raises:
            SigningKeyError: a key cannot be opened, and none of the others is in force.
            StoreError: ``store.keys_changed``, all can be opened and none is in force.
        """
        return Signers(self._newest(known, "issuer"), self._newest(known, "log"))

    def _newest(self, known: Mapping[str, Key], role: Role) -> Signer:
        failed: SigningKeyError | None = None
        for uri in reversed(self.uris(role)):
            try:
                signer = self.opened(uri)
            except SigningKeyError as error:
                failed = error
                continue
            if is_in_force(known, role, signer):
                return signer
        raise failed or StoreError(
            f"the {role} key at hand is not one that this ledger lets sign",
            code="store.keys_changed",
            hint="see what became of it: pfgov ledger log --subject keys",
        )

    def at_hand(self, role: Role) -> Iterator[Signer]:
        """Give the keys of *role* that can be opened here, the newest first, whatever the ledger says of them.

        None is opened before it is asked for: an older one may be gone from where it was, or take long to say so.
        """
        for uri in reversed(self.uris(role)):
            with suppress(SigningKeyError):
                yield self.opened(uri)

    def successor(self, role: Role, public: str) -> Signer | None:
        """Return the signer at hand whose public key (hex) is *public*, if there is one."""
        for uri in reversed(self.uris(role)):
            try:
                signer = self.opened(uri)
            except SigningKeyError:
                continue
            if signer.role == role and signer.public.hex() == public:
                return signer
        return None

    def waiting(self, role: Role, known: Mapping[str, Key]) -> Iterator[Signer]:
        """Give the configured keys that the ledger has never seen, the oldest first.

        Raises:
            SigningKeyError: one cannot be opened.
        """
        for uri in self.configured(role):
            signer = self.opened(uri)
            if signer.public.hex() not in known:
                yield signer


def is_in_force(known: Mapping[str, Key], role: str, signer: Signer) -> bool:
    """Whether the ledger lets *signer* sign in *role*."""
    key = known.get(signer.public.hex())
    return key is not None and (key.role, signer.role, key.until) == (role, role, None)


def ledger_keys(queries: Queries) -> dict[str, Key]:
    """Return every key that the ledger ever knew, by public key in hex."""
    state = State()
    for row in queries.ledger_state():
        if row.key == "keys":
            state.load_row("ledger_state", row.key, row.body)
    return state.keys


# --- tidying up -----------------------------------------------------------------------------


def adopt(layout: Layout, known: Mapping[str, Key], step: Probe) -> list[str]:
    """Put key files into the places that the ledger's keys *known* give them; return the roles that changed hands.

    The caller holds the right to write.  A waiting file whose key took over gets its role's place; one whose key took
    over and was replaced since is kept under its own name, like every old key.

    Raises:
        StoreUnavailableError: a file cannot be moved.
    """
    adopted: list[str] = []
    for role in ROTATING:
        path = layout.next_key(role)
        if not path.exists():
            continue
        try:
            new = keys.file_signer(path)
        except LedgerError:
            continue  # no entry names a key that was never whole; the ceremony says what to do about the file
        if is_in_force(known, role, new):
            with file_errors(path):
                step("key_exchanged", "before")
                _exchange(layout, role)
                step("key_exchanged", "after")
            adopted.append(role)
        elif new.public.hex() in known:
            with file_errors(path):
                path.replace(_retired(layout, role, new))
                _sync(path.parent)
    return adopted


def _retired(layout: Layout, role: str, signer: Signer) -> Path:
    return layout.key(role).with_name(f"{role}.{keys.key_id(signer.public)[:8]}.retired")


def _exchange(layout: Layout, role: str) -> None:
    """Keep the old key's file under another name, and give the new one its place, in one step."""
    path = layout.key(role)
    if path.exists():
        with key_errors():
            kept = _retired(layout, role, keys.file_signer(path))
        if not kept.exists():
            os.link(path, kept)
    layout.next_key(role).replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_anchor(layout: Layout, log: Signer, genesis: bytes | None) -> None:
    """Write what a verifier pins, as a whole: the log's verifier key and the leaf of the first entry.

    Raises:
        StoreUnavailableError: the file cannot be written.
    """
    with key_errors():
        text = keys.Anchor(keys.vkey_of(log), genesis).to_text()
    with file_errors(layout.anchor):
        replace_public(layout.anchor, text.encode(), durably=True)


def renew_anchor(layout: Layout, log: Signer, genesis: bytes, step: Probe) -> None:
    """Let this ledger's anchor name *log*; old copies go on being good for exports.

    An anchor that is missing, unreadable or another ledger's is not touched: the doctor tells.

    Raises:
        StoreUnavailableError: it cannot be written.
    """
    try:
        found = keys.parse_anchor(read_regular(layout.anchor).decode("utf-8"))
    except (OSError, ValueError, LedgerError):
        return
    if found.genesis_leaf == genesis and found.log_vkey != keys.vkey_of(log):
        with file_errors(layout.anchor):
            step("anchor_written", "before")
            write_anchor(layout, log, genesis)
            step("anchor_written", "after")
