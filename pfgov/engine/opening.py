"""Opening a ledger's parts: what has to be there, what must not be, and which committing side takes the batches.

The engine's own module says in which order.  Nothing here decides, and nothing is signed but through the parts.
"""

import os
from collections.abc import Callable

from pfgov.clock import Clock, Timekeeper
from pfgov.core.events import SEMANTICS_KNOWN
from pfgov.core.ids import RANDOM_BYTES, ulid
from pfgov.core.state import State
from pfgov.engine.committing import Committer, InlineCommitter, ProcessCommitter, Writer, WriterSpec
from pfgov.engine.keys import KeySources
from pfgov.engine.layout import Layout
from pfgov.engine.loading.vouched import checked_state
from pfgov.engine.options import Options
from pfgov.engine.sequencing import Ports, Sequencer
from pfgov.errors import (
    DuplicateError,
    InvalidError,
    LeadershipLostError,
    PfgovError,
    StoreCorruptError,
    StoreError,
)
from pfgov.storage.leading import WriterLock
from pfgov.storage.port import Store
from pfgov_ledger.entry import is_origin


class SemanticsError(PfgovError):
    """The ledger was written under rules that this version does not follow."""

    code = "engine.semantics"
    exit_status = 4


def open_sequencer(
    store: Store, lock: WriterLock, clock: Clock, options: Options, *, new: bool
) -> Sequencer:
    """Open keys and store and load the state; the caller holds the writer *lock*.

    Raises:
        SigningKeyError: a signing key is missing, damaged, or readable by others.
        PfgovError: ``store.*``.
    """
    ports = Ports(
        open_committer=_opener(store, lock, key_sources(store, options), clock, options, new=new),
        time=Timekeeper(clock),
        draw=options.draw,
        run=ulid(clock.now(), options.draw(RANDOM_BYTES)),
        keep_tables=options.keep_tables,
        tables_kept=options.tables_kept,
        answers_kept=options.answers_kept,
        address=options.address,
        over_network=store.can_be_led,
        vouched=lambda queries, state: checked_state(queries, Layout(store.directory), state),
    )
    return Sequencer(ports)


def refuse_other_rules(state: State, store: Store) -> None:
    """Refuse a ledger without a genesis entry, or one that follows other rules.

    Raises:
        StoreError: ``store.unfinished``, its creation was interrupted.
        SemanticsError: other rules.
    """
    if state.configuration is None:
        raise StoreError(
            f"the ledger in {store.directory} was never finished",
            code="store.unfinished",
            hint="run: pfgov init again",
        )
    if state.semantics not in SEMANTICS_KNOWN:
        raise SemanticsError(
            f"the ledger follows rules number {state.semantics}, and this pfgov knows "
            f"{', '.join(map(str, sorted(SEMANTICS_KNOWN)))}",
            hint="use the version of pfgov that wrote it",
        )


def refuse_existing(store: Store) -> None:
    """Refuse a place in which a ledger has entries already, or had: its keys would sign a second history.

    Raises:
        DuplicateError: ``ledger.exists``.
        StoreCorruptError: ``store.rolled_back``, its database is gone.
        PfgovError: ``store.*``, what is there cannot be read.
    """
    if store.has_entries():
        raise DuplicateError(
            f"there is a ledger in {store.directory} already",
            code="ledger.exists",
            hint="use it, or choose another folder with --dir",
        )
    layout = Layout(store.directory)
    # The anchor is written once the first entry is committed: no creation that was interrupted before that left one.
    if os.path.lexists(layout.anchor) and layout.interrupted_origin() is not None:
        raise StoreCorruptError(
            f"{store.directory} has the keys and the anchor of a ledger, and {store.location} has no entry of it",
            code="store.rolled_back",
            hint="put the database back: pfgov ledger restore; a new ledger begins in an empty folder",
        )


def checked_origin(text: str) -> str:
    """Return *text* if it may name a ledger.

    Raises:
        InvalidError: it may not.
    """
    if not is_origin(text):
        raise InvalidError(
            f"{text!r} cannot name a ledger",
            hint="use 1 to 255 printable ASCII characters without spaces and without +",
        )
    return text


def key_sources(store: Store, options: Options) -> KeySources:
    """Return where the ledger's signing keys are: beside its store, unless the options say otherwise."""
    return KeySources(Layout(store.directory), options.issuer, options.log)


def _opener(
    store: Store,
    lock: WriterLock,
    sources: KeySources,
    clock: Clock,
    options: Options,
    *,
    new: bool,
) -> Callable[[], Committer]:
    spec = WriterSpec(store.url, sources, not new, options.sync_head)

    def open_committer() -> Committer:
        if lock.is_lost and options.address is not None:  # the server is about to stand by
            raise LeadershipLostError(
                f"{store.location}: another server leads this ledger, or is to lead it",
                hint="nothing was written; ask the server that leads it now",
            )
        if options.committing == "process":
            return ProcessCommitter(spec, options.start_writer)
        return InlineCommitter(
            Writer(
                store,
                sources,
                clock.monotonic,
                must_exist=not new,
                sync_head=options.sync_head,
                probe=options.probe,
            )
        )

    return open_committer
