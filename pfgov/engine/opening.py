"""Opening a ledger's parts: what has to be there, what must not be, and which committing side takes the batches.

The engine's own module says in which order.  Nothing here decides, and nothing is signed but through the parts.
"""

from collections.abc import Callable

from pfgov.clock import Clock
from pfgov.engine.committers import Committer, InlineCommitter
from pfgov.engine.layout import Layout
from pfgov.engine.options import Options
from pfgov.engine.process import ProcessCommitter, WriterSpec
from pfgov.engine.sequencer import Ports, Sequencer
from pfgov.engine.signing import KeySources
from pfgov.engine.timekeeping import Timekeeper
from pfgov.engine.writer import Writer
from pfgov.errors import DuplicateError, InvalidError, PfgovError, StoreError
from pfgov.events import SEMANTICS_KNOWN
from pfgov.ids import RANDOM_BYTES, ulid
from pfgov.state import State
from pfgov.storage.connections import open_reader
from pfgov.storage.errors import translating
from pfgov.storage.queries import Queries
from pfgov_ledger.entry import is_origin


class SemanticsError(PfgovError):
    """The ledger was written under rules that this version does not follow."""

    code = "engine.semantics"
    exit_status = 4


def open_sequencer(layout: Layout, clock: Clock, options: Options, *, new: bool) -> Sequencer:
    """Open keys and store and load the state; the caller holds the writer lock.

    Raises:
        SigningKeyError: a signing key is missing, damaged, or readable by others.
        PfgovError: ``store.*``.
    """
    ports = Ports(
        open_committer=_opener(
            KeySources(layout, options.issuer, options.log), clock, options, new=new
        ),
        time=Timekeeper(clock),
        draw=options.draw,
        run=ulid(clock.now(), options.draw(RANDOM_BYTES)),
        keep_tables=options.keep_tables,
        tables_kept=options.tables_kept,
        answers_kept=options.answers_kept,
    )
    return Sequencer(ports)


def refuse_other_rules(state: State, layout: Layout) -> None:
    """Refuse a ledger without a genesis entry, or one that follows other rules.

    Raises:
        StoreError: ``store.unfinished``, its creation was interrupted.
        SemanticsError: other rules.
    """
    if state.configuration is None:
        raise StoreError(
            f"the ledger in {layout.directory} was never finished",
            code="store.unfinished",
            hint="run: pfgov init again",
        )
    if state.semantics not in SEMANTICS_KNOWN:
        raise SemanticsError(
            f"the ledger follows rules number {state.semantics}, and this pfgov knows "
            f"{', '.join(map(str, sorted(SEMANTICS_KNOWN)))}",
            hint="use the version of pfgov that wrote it",
        )


def refuse_existing(layout: Layout) -> None:
    """Refuse a folder in which a ledger has entries already.

    Raises:
        DuplicateError: ``ledger.exists``.
        PfgovError: ``store.*``, what is there cannot be read.
    """
    if not layout.database.exists():
        return
    connection = open_reader(layout.database)
    try:
        with translating(layout.database):
            made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entry'").fetchone()
            size = Queries(connection, layout.database).size() if made else 0
    finally:
        connection.close()
    if size:
        raise DuplicateError(
            f"there is a ledger in {layout.directory} already",
            code="ledger.exists",
            hint="use it, or choose another folder with --dir",
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


def _opener(
    sources: KeySources, clock: Clock, options: Options, *, new: bool
) -> Callable[[], Committer]:
    spec = WriterSpec(sources, not new, options.sync_head)

    def open_committer() -> Committer:
        if options.committing == "process":
            return ProcessCommitter(spec, options.start_writer)
        return InlineCommitter(
            Writer(
                sources,
                clock.monotonic,
                must_exist=not new,
                sync_head=options.sync_head,
                probe=options.probe,
            )
        )

    return open_committer
