"""The key ceremony: another key takes over, or one is revoked, while the ledger goes on being written.

``ledger/FORMAT.md`` section 8.  A new private key lies ready before the ledger records that it takes over, signed by
both (or under the recovery key); the committing side signs with it from the next entry on.  Private keys stay where
they are: this process makes them or opens them, and nothing secret comes in or goes out.  A revocation is authorised by
the recovery key, whose signature is made wherever that key is kept: here it is only checked.  An interruption anywhere
leaves the old key in force or the new one, and :mod:`pfgov.engine.keys.signing` finds out which.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.records import Key
from pfgov.engine.answers import Caller, Receipt, Request
from pfgov.engine.keys import Role, adopt, ledger_keys, renew_anchor
from pfgov.engine.layout import Layout, key_errors
from pfgov.engine.loading.vouched import anchored_keys
from pfgov.engine.sequencing.exclusive import earlier, run_to_completion
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PfgovError,
    StateConflictError,
    file_errors,
)
from pfgov.limits import LEDGER_KEYS_MAX
from pfgov.storage.port import Probe, Queries, untouched
from pfgov_ledger import keys, lifecycle
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer

if TYPE_CHECKING:
    from pfgov.engine.engine import Engine
    from pfgov.engine.sequencing import Sequencer

LOCAL: Final = Caller()
"""Whoever sits at this machine."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a ceremony recorded: its receipt, the role, and public keys in hex; ``old`` signed until then."""

    receipt: Receipt
    role: str
    old: str | None
    new: str | None

    @property
    def position(self) -> int:
        """Where it was recorded."""
        return self.receipt.position


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next key event will stand: what its signatures are bound to."""

    origin: str
    seq: int
    prev: bytes


def place_of(queries: Queries, layout: Layout, origin: str) -> Place:
    """Return where the next key event of the ledger *origin* will stand, as those before it say.

    Raises:
        NotFoundError: the ledger has no entries.
        StoreCorruptError: ``store.altered``, one of them was changed.
    """
    known = anchored_keys(queries, layout)
    if known is None:
        raise NotFoundError("the ledger has no entries yet", hint="create it with: pfgov init")
    return Place(origin, *known.place)


def find_key(known: Mapping[str, Key], beginning: str) -> Key:
    """Return the one key of *known* whose public half, in hex, begins like that.

    Raises:
        NotFoundError: ``key.not_found``; none does, or more than one.
    """
    found = [key for public, key in known.items() if beginning and public.startswith(beginning)]
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found)} keys of this ledger begin with {beginning[:80]!r}",
            code="key.not_found",
            hint="see them: pfgov ledger keys list",
        )
    return found[0]


# --- rotation -------------------------------------------------------------------------------


def rotate(
    engine: "Engine", role: Role, *, recovery: Path | None = None, caller: Caller = LOCAL
) -> Changed:
    """Let a new key take over *role*; whatever is committed after it is signed by the new one.

    Args:
        engine: The ledger, opened for writing; others may go on using it.
        role: ``issuer`` or ``log``.
        recovery: The recovery key, where the old key is not to be trusted: the new one is added under it, and the old
            one stays in force until it is revoked.
        caller: Who asks.

    Raises:
        SigningKeyError: a key is missing, damaged, readable by others, or cannot be written.
        StateConflictError: ``key.none_waiting``, keys are not files here, and no configured one is left;
            ``key.too_many``.
        PfgovError: as :meth:`Engine.submit`.
    """
    step = engine.options.probe or untouched
    with engine.ceremonies:

        def look(sequencer: "Sequencer") -> tuple[Receipt | None, dict[str, Key]]:
            adopt(engine.layout, sequencer.state.keys, step)  # what an earlier one could not
            return _earlier(sequencer, caller), dict(sequencer.state.keys)

        receipt, known = engine.exclusively(look)
        before: str | None = None
        if receipt is None:
            before = _current(engine, role, known).public.hex()
            new = _successor(engine, role, known, step)
            receipt = engine.exclusively(
                lambda sequencer: _rotate(engine, sequencer, role, new, recovery, caller)
            )
    event = receipt.events[0]
    if not isinstance(event, e.KeyRotated):
        raise TypeError(event.type)
    return Changed(receipt, event.role, event.old or before, event.new)


def _current(engine: "Engine", role: Role, known: Mapping[str, Key]) -> Signer:
    signers = engine.sources.chosen(known)
    return signers.issuer if role == "issuer" else signers.log


def _earlier(sequencer: "Sequencer", caller: Caller) -> Receipt | None:
    """Return the answer that the caller's idempotency key was given before."""
    nothing = c.RotateKey(role="", new="", signatures=())  # never decided
    return earlier(sequencer, _request(nothing, caller))


def _request(action: c.Action, caller: Caller) -> Request:
    return Request(
        action, caller.principal, caller.request_id, caller.idempotency, holds=caller.holds
    )


def _successor(engine: "Engine", role: Role, known: Mapping[str, Key], step: Probe) -> Signer:
    """Return the key that is to take over, lying where it is found again: a configured one, or a new file."""
    if len(known) >= LEDGER_KEYS_MAX:
        raise StateConflictError(
            f"the ledger knows {len(known)} keys, as many as it may",
            code="key.too_many",
            hint="begin a successor: pfgov ledger succeed",
        )
    sources = engine.sources
    if sources.configured(role):
        for waiting in sources.waiting(role, known):
            return waiting
        raise StateConflictError(
            f"every configured {role} key is in the ledger already",
            code="key.none_waiting",
            hint=f"configure another and start again: pfgov serve --signer {role}=URI",
        )
    path = engine.layout.next_key(role)
    with key_errors(), file_errors(path):
        if path.exists():  # an earlier ceremony was interrupted before its entry
            return keys.file_signer(path)
        new = keys.generate(role=role, name=_current(engine, role, known).name)
        step("key_made", "before")
        keys.write_file(path, new)
        step("key_made", "after")
    return new


def _rotate(
    engine: "Engine",
    sequencer: "Sequencer",
    role: Role,
    new: Signer,
    recovery: Path | None,
    caller: Caller,
) -> Receipt:
    known, step = sequencer.state.keys, engine.options.probe or untouched
    place = place_of(sequencer.queries, engine.layout, sequencer.state.origin)
    if new.public.hex() in known:
        raise DuplicateError(
            "that key is known already; a key has one role, once", code="key.known"
        )
    if new.role != role or (role == "log" and new.name != place.origin):
        raise StateConflictError(
            f"the {new.role} key {new.name} cannot be the {role} key of {place.origin}",
            code="key.unsuitable",
            hint="a log key bears the ledger's name",
        )
    current = _current(engine, role, known)
    old = current.public if recovery is None else None
    other = current if recovery is None else recovery_key(known, recovery)
    message = lifecycle.rotation(
        origin=place.origin, seq=place.seq, prev=place.prev, role=role, old=old, new=new.public
    )
    action = c.RotateKey(
        role=role,
        old=None if old is None else old.hex(),
        new=new.public.hex(),
        signatures=_signed(message, other, new),
    )
    receipt = run_to_completion(sequencer, [_request(action, caller)])[0]
    genesis = sequencer.queries.entry(0)
    with suppress(PfgovError):  # it is recorded and in force; files follow at the next opening
        adopt(engine.layout, sequencer.state.keys, step)
        if genesis is not None and role == "log":
            renew_anchor(engine.layout, new, genesis.leaf, step)
    return receipt


def _signed(message: bytes, *signers: Signer) -> tuple[tuple[str, str], ...]:
    """Return the signatures of *message*, each checked: what a key service answers is recorded for good."""
    made = tuple((one.public.hex(), one.sign(message).hex()) for one in signers)
    with key_errors():
        lifecycle.signers_of([list(pair) for pair in made], message)
    return made


def recovery_key(known: Mapping[str, Key], path: Path) -> Signer:
    """Return the recovery key in *path*, if it is one of the keys *known* that counts.

    Raises:
        SigningKeyError: the file is missing, damaged, or readable by others.
        InvalidError: it holds another key.
    """
    with key_errors(hint=f"is {path} the file of the recovery key, and yours alone?"):
        signer = keys.file_signer(path)
    found = known.get(signer.public.hex())
    if found is None or found.role != "recovery" or found.until is not None:
        raise InvalidError(
            f"{path} does not hold a recovery key of this ledger that is in force",
            hint="it was written by pfgov init, as keys/recovery.key",
        )
    return signer


# --- revocation -----------------------------------------------------------------------------


def sign_revocation(
    place: Place, key: Key, guard: Signer, *, suspect_from: int | None = None
) -> c.RevokeKey:
    """Return the revocation of *key*, signed by the recovery key *guard* for the next key event at *place*.

    This needs no ledger: it is done where the recovery key is.
    """
    message = _revocation(place, key.role, key.public, suspect_from)
    return c.RevokeKey(
        role=key.role,
        key=key.public,
        suspect_from=suspect_from,
        signatures=_signed(message, guard),
    )


def _revocation(place: Place, role: str, public: str, suspect_from: int | None) -> bytes:
    return lifecycle.revocation(
        origin=place.origin,
        seq=place.seq,
        prev=place.prev,
        role=role,
        key=bytes.fromhex(public),
        suspect_from=suspect_from,
    )


def revoke(
    engine: "Engine", action: c.RevokeKey, place: Place, *, caller: Caller = LOCAL
) -> Changed:
    """Make what a key signs from here on count for nothing.

    Args:
        engine: The ledger, opened for writing; others may go on using it.
        action: What the recovery key signed.
        place: The place in the ledger that it was signed for.
        caller: Who asks.

    Raises:
        NotFoundError: ``key.not_found``, the ledger has no such key in that role.
        ConflictError: ``key.revoked``, it was revoked before; ``key.in_use``, the ledger signs with it: let another
            take over first; ``key.statement_stale``, another key event came between.
        InvalidError: ``key.signature``, a signature does not hold; or the statement is another ledger's.
        ForbiddenError: ``key.unauthorised``, no recovery key that is in force signed it.
        PfgovError: as :meth:`Engine.submit`.
    """

    def run(sequencer: "Sequencer") -> Receipt:
        found = _earlier(sequencer, caller)
        if found is None:
            _check(engine, sequencer, action, place)
            found = run_to_completion(sequencer, [_request(action, caller)])[0]
        return found

    with engine.ceremonies:
        receipt = engine.exclusively(run)
    return Changed(receipt, action.role, action.key, None)


def _check(engine: "Engine", sequencer: "Sequencer", action: c.RevokeKey, place: Place) -> None:
    known = sequencer.state.keys
    now = place_of(sequencer.queries, engine.layout, sequencer.state.origin)
    if place.origin != now.origin:
        raise InvalidError(
            f"the statement is for {place.origin[:80]}, and this ledger is {now.origin}",
            pointer="/origin",
        )
    key = known.get(action.key)
    if key is None or key.role != action.role:
        raise NotFoundError(
            f"there is no {action.role} key {action.key}", code="key.not_found", pointer="/keys/key"
        )
    if key.revoked:
        raise ConflictError("that key is revoked already", code="key.revoked")
    if place != now:
        raise ConflictError(
            f"the statement is for key event {place.seq}, and the next one is {now.seq}, after {now.prev.hex()[:16]}",
            code="key.statement_stale",
            hint="another key event came between: get the keys again and sign anew",
        )
    _check_signers(known, action, place)
    signers = engine.sources.chosen(known)
    if action.key in {signers.issuer.public.hex(), signers.log.public.hex()}:
        raise StateConflictError(
            f"the ledger signs with that {action.role} key",
            code="key.in_use",
            hint=f"first let another take over: pfgov ledger keys rotate {action.role}",
        )


def _check_signers(known: Mapping[str, Key], action: c.RevokeKey, place: Place) -> None:
    message = _revocation(place, action.role, action.key, action.suspect_from)
    try:
        signers = lifecycle.signers_of([list(pair) for pair in action.signatures], message)
    except LedgerError as error:
        raise InvalidError(
            f"a signature of the statement does not hold: {error.code}",
            code="key.signature",
            hint="sign it again; what is signed is the whole statement",
            pointer="/signatures",
        ) from error
    guards = {
        bytes.fromhex(k.public) for k in known.values() if k.role == "recovery" and k.until is None
    }
    if not signers & guards:
        raise ForbiddenError(
            "no recovery key of this ledger that is in force signed the statement",
            code="key.unauthorised",
            hint="the recovery key was written by pfgov init, as keys/recovery.key",
        )


# --- looking --------------------------------------------------------------------------------


def keys_object(queries: Queries, layout: Layout, origin: str) -> dict[str, object]:
    """Return the ledger's keys and where the next key event will stand, as they are shown and saved.

    Raises:
        NotFoundError: the ledger has no entries.
    """
    place = place_of(queries, layout, origin)
    known: Sequence[Key] = sorted(ledger_keys(queries).values(), key=lambda k: (k.since, k.public))
    return {
        "origin": place.origin,
        "next": {"seq": place.seq, "prev": place.prev.hex()},
        "keys": [
            {
                "role": key.role,
                "public": key.public,
                "id": keys.key_id(bytes.fromhex(key.public)),
                "since": key.since,
                "until": key.until,
                "state": "revoked"
                if key.revoked
                else "in_force"
                if key.until is None
                else "replaced",
            }
            for key in known
        ],
    }
