"""Putting a backup back, and beginning the successor of a ledger that cannot go on.

A copy that is older than what was published must never sign again: it would write a second history.  So a restored
copy is written to only when something speaks for its being the newest: the head lock, a checkpoint that was kept
elsewhere, or the word of whoever restores it.  Reading it needs nothing.  A successor names its predecessor's last
head in its genesis, so that both are one story.
"""

from dataclasses import dataclass
from pathlib import Path

from pfgov.clock import Clock
from pfgov.core.state import State
from pfgov.engine.engine import Engine
from pfgov.engine.layout import Layout
from pfgov.engine.loading import load_state
from pfgov.engine.loading.intact import check_policies
from pfgov.engine.loading.tree import StoredNodes, frontier_at, load_head
from pfgov.engine.loading.vouched import (
    check_head,
    check_policy,
    check_rows,
    vouched_issuers,
    vouched_logs,
)
from pfgov.errors import InvalidError, StoreCorruptError, StoreError, StoreUnavailableError
from pfgov.policy import PolicySet, from_document
from pfgov.storage.port import Published, Queries, Store
from pfgov_ledger import checkpoint, merkle, note
from pfgov_ledger.appender import Head
from pfgov_ledger.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Restored:
    """A ledger that can be written again: its name, its size, and what speaks for its being the newest."""

    origin: str
    size: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A new ledger and the head of the one that it continues."""

    origin: str
    predecessor: str
    size: int
    root: str


def restore(
    store: Store,
    backup: Path | None,
    *,
    seen: bytes | None = None,
    is_newest: bool = False,
) -> Restored:
    """Put *backup* into *store*, and let it be written again.

    Args:
        store: Where the ledger is to live; without a ledger, unless it is the backup itself.
        backup: The copied database; None for one that lies in *store* already.
        seen: A checkpoint that was kept elsewhere.
        is_newest: The word of whoever restores it that nothing was published after this copy.

    Raises:
        StoreUnavailableError: ``store.missing``, there is nothing to restore.
        StoreCorruptError: ``store.rolled_back`` or ``store.forked``, more was published, or something else.
        StoreError: ``restore.no_evidence``, nothing speaks for its being the newest; it can be read.
        PfgovError: ``ledger.exists``, ``store.*``.
    """
    if backup is not None:
        require_backup(backup)
    Layout(store.directory).make()
    if backup is not None:
        store.take_in(backup)
    store.require()
    lock = store.lock_writer(None)
    try:
        queries = store.open_queries()
        try:
            with queries.one_view():
                state = load_state(queries)
                check_head(queries, Layout(store.directory), ())
                head = load_head(queries, state.origin)
                if head.size:
                    check_rows(queries, Layout(store.directory), head.size, head.frontier.root())
                evidence = _evidence(store, queries, head, seen, is_newest=is_newest)
        finally:
            queries.close()
        _publish(store, head)
    finally:
        lock.release()
    return Restored(head.origin, head.size, evidence)


def require_backup(backup: Path) -> None:
    """Refuse a backup that is not there, before anything is made for it.

    Raises:
        StoreUnavailableError: ``store.missing``.
    """
    if not backup.exists():
        raise StoreUnavailableError(
            f"{backup} does not exist", code="store.missing", hint="name the copied database file"
        )


def _evidence(
    store: Store, queries: Queries, head: Head, seen: bytes | None, *, is_newest: bool
) -> str:
    """Return what speaks for *head* being the newest, having held it to all that was given."""
    found: list[str] = []
    published = store.read_head(head.origin) if store.has_head_lock() else None
    if published is not None:
        _hold(queries, head, published, "the head lock")
        found.append("the head lock")
    if seen is not None:
        _hold(queries, head, _opened(queries, head.origin, seen), "the checkpoint")
        found.append("a checkpoint that was kept elsewhere")
    if is_newest:
        found.append("the word of whoever restored it")
    if not found:
        raise StoreError(
            f"nothing tells whether more than {head.size} entries were published",
            code="restore.no_evidence",
            hint="it can be read as it is; to write it give --checkpoint FILE, put head.db beside it, or say --newest",
        )
    return " and ".join(found)


def _hold(queries: Queries, head: Head, seen: Published, what: str) -> None:
    """Refuse *head* if it is not what was *seen*, or goes on from it."""
    if seen.size > head.size:
        raise StoreCorruptError(
            f"{what} covers {seen.size} entries, and the copy holds {head.size}",
            code="store.rolled_back",
            hint="restore a newer copy; if there is none, begin a successor: pfgov ledger succeed",
        )
    if frontier_at(StoredNodes(queries), seen.size).root() != seen.root:
        raise StoreCorruptError(
            f"{what} has another root over {seen.size} entries than the copy",
            code="store.forked",
            hint="keep both as evidence, and begin a successor: pfgov ledger succeed",
        )


def _opened(queries: Queries, origin: str, seen: bytes) -> Published:
    try:
        stated = checkpoint.open_checkpoint(seen, _log_keys(load_state(queries))).checkpoint
    except LedgerError as error:
        raise InvalidError(
            f"that is not a checkpoint of {origin}: {error}",
            code="restore.checkpoint",
            hint="a checkpoint is what /api/ledger/checkpoint and pfgov ledger checkpoint give",
        ) from error
    return Published(stated.size, stated.root)


def _log_keys(state: State) -> list[note.Vkey]:
    """Return every key with which checkpoints of the ledger were ever signed."""
    return [
        note.vkey(state.origin, bytes.fromhex(key.public))
        for key in state.keys.values()
        if key.role == "log"
    ]


def _publish(store: Store, head: Head) -> None:
    """Let the head lock stand where the ledger ends."""
    lock = store.open_head_lock(head.origin, sync=True)
    try:
        lock.start(merkle.Frontier().root())
        known = lock.read()
        if known is not None and known.size < head.size:
            lock.move(known.size, Published(head.size, head.frontier.root()), 0)
    finally:
        lock.close()


def succeed(
    store: Store, old: Store, *, origin: str | None = None, clock: Clock | None = None
) -> Succeeded:
    """Begin in *store* the ledger that continues the one in *old*, whatever state that is in.

    Policies are taken over; members and work are not, for they would be without their history.

    Raises:
        DuplicateError: ``ledger.exists``, there is a ledger in *store* already.
        StoreUnavailableError: ``store.missing``, there is none in *old*.
        PfgovError: ``store.*``.
    """
    old.require()
    if old.directory.resolve() == store.directory.resolve():
        raise InvalidError(
            "a successor needs a folder of its own",
            code="restore.same_folder",
            hint="name another one with --dir",
        )
    queries = old.open_queries()
    try:
        with queries.one_view():
            state = load_state(queries)
            logs = vouched_logs(queries, Layout(old.directory))
            before = _last_signed(queries, _log_keys(state) if logs is None else logs)
            _, size, root = before
            issuers = vouched_issuers(queries, Layout(old.directory), size, bytes.fromhex(root))
            check_policy(queries, state.policy, issuers)
            policy = _policy(queries, state.policy)
    finally:
        queries.close()
    if not size:
        raise StoreUnavailableError(
            f"the ledger in {old.directory} has no entries", code="store.missing"
        )
    with Engine.create(store, origin, clock=clock, policy=policy, predecessor=before) as engine:
        return Succeeded(engine.origin, *before)


def _last_signed(queries: Queries, logs: list[note.Vkey]) -> tuple[str, int, str]:
    """Return whose the newest checkpoint is, its size and root: what was signed counts, whatever came after it.

    Raises:
        StoreCorruptError: ``store.altered``, none of *logs*, the log's keys, signed it.
    """
    latest = queries.checkpoint()
    if latest is None:
        return "", 0, ""
    try:
        stated = checkpoint.open_checkpoint(latest[1], logs).checkpoint
    except LedgerError as error:
        raise StoreCorruptError(
            f"the newest checkpoint was changed in the database: {error}",
            code="store.altered",
            hint="a successor names a head that was signed: restore the database from a backup first",
        ) from error
    return stated.origin, stated.size, stated.root.hex()


def _policy(queries: Queries, digest: str | None) -> PolicySet | None:
    """Return the policies that are taken over: those that an entry named, and not what lies there in their place.

    Raises:
        StoreCorruptError: ``store.altered``, they were changed.
    """
    document = queries.policy_set(digest) if digest else None
    if digest is None or document is None:
        return None
    return from_document(check_policies(document, digest), generated=True)
