"""The key ceremony: another key takes over, or one is revoked, without a moment in which the wrong one signs.

``ledger/FORMAT.md`` section 8.  A new private key is written beside the old one; then the ledger records the change,
signed by both (or under the recovery key); only then do the files change places.  An interruption anywhere is healed
when the ledger is next opened for writing: :func:`adopt` looks at what was recorded.  The engine that recorded the
change signs nothing more; whoever opens the ledger next signs with the new key.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pfgov import commands as c
from pfgov.engine.layout import Layout, key_errors
from pfgov.errors import InvalidError, NotFoundError, StateConflictError
from pfgov.records import Key
from pfgov.state import State
from pfgov.storage.connections import open_reader
from pfgov.storage.errors import translating
from pfgov.storage.queries import Queries
from pfgov_ledger import keys, lifecycle
from pfgov_ledger.keys import SeedSigner

if TYPE_CHECKING:
    from pfgov.engine.engine import Engine

Role = Literal["issuer", "log"]

ROTATING: Final[tuple[Role, ...]] = ("log", "issuer")
"""The roles whose keys are online and can be replaced."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a ceremony recorded: the position, and public keys in hex."""

    position: int
    role: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next key event will stand: what its signatures are bound to."""

    origin: str
    seq: int
    prev: bytes
    keys: dict[str, Key]
    size: int


def _place(queries: Queries) -> _Place:
    state, head, genesis = _ledger_state(queries), queries.subject_head("keys"), queries.entry(0)
    if genesis is None:
        raise NotFoundError("the ledger has no entries yet", hint="create it with: pfgov init")
    seq, prev = (0, genesis.leaf) if head is None else head
    return _Place(state.origin, seq, prev, state.keys, queries.size())


def _ledger_state(queries: Queries) -> State:
    state = State()
    for row in queries.ledger_state():
        state.load_row("ledger_state", row.key, row.body)
    return state


def rotate(engine: "Engine", role: Role, *, recovery: Path | None = None) -> Changed:
    """Let a new key take over *role*; *engine* signs nothing after it: close it, then open the ledger again.

    Args:
        engine: The ledger, opened for writing; nobody else may be using it.
        role: ``issuer`` or ``log``.
        recovery: The recovery key, where the old key is not to be trusted: the new one is added under it, and the old
            one stays in force until it is revoked.

    Raises:
        SigningKeyError: a key file is missing, damaged, readable by others, or cannot be written.
        PfgovError: as :meth:`Engine.submit`.
    """
    layout = engine.layout
    with engine.reader.snapshot() as queries:
        place = _place(queries)
    path = layout.next_key(role)
    with key_errors():
        current = keys.file_signer(layout.key(role))
        if not path.exists():
            keys.write_file(path, keys.generate(role=role, name=current.name))
        new = keys.file_signer(path)
        other = current if recovery is None else _recovery_key(place, recovery)
    old = current.public if recovery is None else None
    message = lifecycle.rotation(
        origin=place.origin, seq=place.seq, prev=place.prev, role=role, old=old, new=new.public
    )
    action = c.RotateKey(
        role=role,
        old=None if old is None else old.hex(),
        new=new.public.hex(),
        signatures=_signed(message, other, new),
    )
    engine.close()  # and open it again, so that a new log key signs the checkpoint over its own rotation
    with type(engine).open(layout.directory, clock=engine.clock, options=engine.options) as signing:
        receipt = signing.submit(action, principal=c.LOCAL_OPERATOR)
    adopt(layout)
    return Changed(receipt.position, role, current.public.hex(), action.new)


def revoke(
    engine: "Engine", key: str, *, recovery: Path | None = None, suspect_from: int | None = None
) -> Changed:
    """Make what *key* signs from here on count for nothing.

    Args:
        engine: The ledger, opened for writing.
        key: The public key in hex, or the beginning of it.
        recovery: The recovery key's file; the one in the ledger's folder by default.
        suspect_from: The position from which on its entries are doubtful; this only annotates.

    Raises:
        NotFoundError: ``key.not_found``; no key, or more than one, begins like that.
        StateConflictError: ``key.in_use``, the engine signs with it: let another take over first.
        SigningKeyError: the recovery key is missing, damaged, or readable by others.
        PfgovError: as :meth:`Engine.submit`.
    """
    layout = engine.layout
    with engine.reader.snapshot() as queries:
        place = _place(queries)
    found = [known for public, known in place.keys.items() if key and public.startswith(key)]
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found)} keys of this ledger begin with {key[:80]!r}",
            code="key.not_found",
            hint="they are in the entries of: pfgov ledger log --subject keys",
        )
    with key_errors():
        signing = [keys.file_signer(layout.key(role)).public.hex() for role in ROTATING]
        guard = _recovery_key(place, recovery or layout.key("recovery"))
    if found[0].public in signing:
        role = found[0].role
        raise StateConflictError(
            f"the ledger signs with that {role} key",
            code="key.in_use",
            hint=f"first: pfgov ledger keys rotate {role} --recovery FILE",
        )
    message = lifecycle.revocation(
        origin=place.origin,
        seq=place.seq,
        prev=place.prev,
        role=found[0].role,
        key=bytes.fromhex(found[0].public),
        suspect_from=suspect_from,
    )
    action = c.RevokeKey(
        role=found[0].role,
        key=found[0].public,
        suspect_from=suspect_from,
        signatures=_signed(message, guard),
    )
    receipt = engine.submit(action, principal=c.LOCAL_OPERATOR)
    return Changed(receipt.position, action.role, action.key, None)


def _signed(message: bytes, *signers: SeedSigner) -> tuple[tuple[str, str], ...]:
    return tuple((one.public.hex(), one.sign(message).hex()) for one in signers)


def _recovery_key(place: _Place, path: Path) -> SeedSigner:
    """Return the recovery key in *path*, if it is one of this ledger's that counts."""
    signer = keys.file_signer(path)
    known = place.keys.get(signer.public.hex())
    if known is None or known.role != "recovery" or known.until is not None:
        raise InvalidError(
            f"{path} does not hold a recovery key of this ledger that is in force",
            hint="it was written by pfgov init, as keys/recovery.key",
        )
    return signer


def adopt(layout: Layout) -> list[str]:
    """Put new key files in their places where the ledger says that they took over; return the roles.

    The caller holds the writer lock, or nobody writes.

    Raises:
        SigningKeyError: a new key's file is damaged.
        PfgovError: ``store.*``.
    """
    waiting = [role for role in ROTATING if layout.next_key(role).exists()]
    if not waiting:
        return []
    connection = open_reader(layout.database)
    try:
        in_force = _ledger_state(Queries(connection, layout.database)).keys
    finally:
        connection.close()
    adopted: list[str] = []
    for role in waiting:
        with key_errors():
            new = keys.file_signer(layout.next_key(role))
        known = in_force.get(new.public.hex())
        if known is not None and known.until is None:
            _exchange(layout, role)
            adopted.append(role)
    if "log" in adopted:
        _renew_anchor(layout)
    return adopted


def _exchange(layout: Layout, role: str) -> None:
    """Keep the old key's file under another name, and give the new one its place, in one step."""
    path = layout.key(role)
    with key_errors():
        number = keys.key_id(keys.file_signer(path).public)[:8]
    with translating(path):
        kept = path.with_name(f"{role}.{number}.retired")
        if not kept.exists():
            os.link(path, kept)
        layout.next_key(role).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _renew_anchor(layout: Layout) -> None:
    """Write the anchor with the new log key; copies of the old one go on being good for exports."""
    with key_errors():
        genesis = keys.parse_anchor(layout.anchor.read_text()).genesis_leaf
        vkey = keys.vkey_of(keys.file_signer(layout.key("log")))
    with translating(layout.anchor):
        unfinished = layout.anchor.with_name("anchor.txt.next")
        unfinished.write_text(keys.Anchor(vkey, genesis).to_text())
        unfinished.replace(layout.anchor)
