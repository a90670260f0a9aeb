"""Looking a ledger over: is everything where it belongs, unaltered, and safe for the next start?

Each check is one row of a table and comes to one finding; a check that another's failure makes meaningless is not made.
Nothing is written and no lock is taken, so that it runs beside a server.  Which key might sign when is the verifier's
business, and whether decisions follow from policy is the replay's.
"""

import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from pfgov.clock import JUMP_MAX, Clock, SystemClock
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.canonical import IN_ORDER
from pfgov.core.records import Stamp
from pfgov.core.state import State
from pfgov.core.wording import counted
from pfgov.engine.answers import VIEW
from pfgov.engine.keys import KeySources
from pfgov.engine.layout import ROLES, Layout, SigningKeyError, key_errors
from pfgov.engine.loading import load_head, load_state, receipts
from pfgov.engine.loading.erased import Erased, signed_erasures
from pfgov.engine.loading.intact import (
    check_entry,
    check_policies,
    check_table,
    issuers_of,
    opens,
)
from pfgov.engine.loading.vouched import anchored_issuers, check_rows
from pfgov.engine.options import Options
from pfgov.engine.reading import LedgerReader
from pfgov.engine.reading.older_orders import OlderOrders
from pfgov.engine.reading.replay import ReplayDifferenceError, replay_store
from pfgov.engine.reading.rows import compare_rows
from pfgov.errors import PfgovError
from pfgov.files import read_regular
from pfgov.limits import CLOCK_IDLE_MAX
from pfgov.storage.port import Queries, Store
from pfgov_ledger import checkpoint, entry, keys, merkle, note
from pfgov_ledger.commitments import named_in
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.replaying import ReplayUnavailableError

FREE_BYTES_MIN: Final = 1 << 30
"""Free disk below this is a warning: a ledger only grows, and a full disk stops every command."""

FREE_BYTES_LEAST: Final = 64 << 20
"""Free disk below this is a failure: the write-ahead log alone may need as much."""

_EVIDENCE: Final = "keep the files as evidence, and restore a backup"

Outcome = Literal["ok", "warning", "failed", "not_checked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to: its name, the outcome, a sentence, and what to do about it."""

    check: str
    outcome: Outcome
    says: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """What checks look at."""

    store: Store
    layout: Layout
    queries: Queries
    options: Options
    clock: Clock


def examine(
    store: Store, options: Options | None = None, *, clock: Clock | None = None
) -> list[Finding]:
    """Look the ledger in *store* over.

    Args:
        store: Where it is kept.
        options: How its engine runs, as far as checks ask: key URIs, and how long verdict tables are kept.
        clock: What time it is; the machine's clock by default.
    """
    layout, options = Layout(store.directory), options or Options()
    findings = [_key_files(layout, options), _disk(layout)]
    try:
        # without the head lock: what it says is compared below, and must not keep the rest from being seen
        with (
            LedgerReader(store, heed_head_lock=False) as reader,
            reader.snapshot() as queries,
        ):
            findings.insert(0, Finding("schema", "ok", "tables, indexes and triggers are ours"))
            patient = Patient(store, layout, queries, options, clock or SystemClock())
            findings += [_made(name, check, patient) for name, check in CHECKS]
            if store.can_be_led:
                findings.append(_made("durability", _durability, patient))
    except PfgovError as error:
        findings.insert(0, Finding("schema", "failed", str(error), error.hint))
        findings += [
            Finding(name, "not_checked", "the database cannot be used") for name, _ in CHECKS
        ]
    return [*findings, _private(store)]  # last: reading may have made files beside the database


def _made(name: str, check: Callable[[Patient], Finding], patient: Patient) -> Finding:
    """Return what *check* found; an error is a failure, never the end of the others."""
    try:
        return check(patient)
    except PfgovError as error:
        return Finding(name, "failed", str(error), error.hint)
    except LedgerError as error:
        at = "" if error.position is None else f" at {error.position}"
        return Finding(name, "failed", f"{error.code}{at}: {error}", "keep the files as evidence")
    except Exception as error:  # noqa: BLE001 - rows that nobody of us wrote may break anything
        return Finding(name, "failed", f"a row cannot be read: {error}"[:300], _EVIDENCE)


# --- without the database -----------------------------------------------------------------


def _key_files(layout: Layout, options: Options) -> Finding:
    """Private keys are there, whole, and nobody else's to read; the recovery key is somewhere else."""
    elsewhere = {role for role, uris in (("issuer", options.issuer), ("log", options.log)) if uris}
    for role in ROLES:
        path = layout.key(role)
        if role in elsewhere or (role == "recovery" and not path.exists()):
            continue
        try:
            with key_errors():
                keys.file_signer(path)
        except SigningKeyError as error:
            return Finding("key_files", "failed", str(error), error.hint)
    folder = layout.key("log").parent
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o022:
        return Finding(
            "key_files", "failed", f"others may replace files in {folder}", f"chmod 700 {folder}"
        )
    if layout.key("recovery").exists():
        return Finding(
            "key_files",
            "warning",
            "the recovery key lies beside the keys that it is to replace",
            f"move {layout.key('recovery')} to a place that is not online",
        )
    return Finding("key_files", "ok", "the signing keys are whole and their owner's alone")


def _private(store: Store) -> Finding:
    """What a database holds, and who writes it, is nobody else's to read; older versions left that to the umask."""
    open_ = [path for path in store.files() if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_:
        return Finding(
            "database_files",
            "warning",
            f"others may read or write {', '.join(path.name for path in open_)}; payloads lie in the database",
            f"chmod 600 {' '.join(map(str, open_))}",
        )
    return Finding("database_files", "ok", "the databases and locks are their owner's alone")


def _disk(layout: Layout) -> Finding:
    """There is room to grow."""
    try:
        free = shutil.disk_usage(layout.directory).free
    except OSError as error:
        return Finding("disk", "failed", f"{layout.directory}: {error.strerror}")
    says = f"{free // (1 << 20)} MiB are free"
    if free < FREE_BYTES_LEAST:
        return Finding("disk", "failed", says, "make room before anything else is recorded")
    if free < FREE_BYTES_MIN:
        return Finding("disk", "warning", says, "make room; a full disk stops every command")
    return Finding("disk", "ok", says)


def _durability(patient: Patient) -> Finding:
    """What a database promises of a commit, it keeps when it loses a machine."""
    found = patient.store.risks()
    if not found:
        return Finding("durability", "ok", "a commit is on two machines before it is acknowledged")
    return Finding(
        "durability", "warning", "; ".join(found), "docs/how-to/keep-a-ledger-in-postgresql.md"
    )


# --- with the database --------------------------------------------------------------------


def _head(patient: Patient) -> Finding:
    """The tree, its last entry and its checkpoint fit each other, and the head lock, which lies elsewhere."""
    queries, store = patient.queries, patient.store
    head = load_head(queries, load_state(queries).origin)
    if not store.has_head_lock():
        return Finding(
            "head",
            "failed",
            f"{head.size} entries, and no head lock: nobody can tell whether this is all",
            "it can be read; to write it: pfgov ledger restore --help",
        )
    published = store.read_head(head.origin)
    if published is None:
        return Finding("head", "failed", "the head lock is not this ledger's", "put it back")
    if published.size > head.size:
        return Finding(
            "head",
            "failed",
            f"{published.size} entries were published, and there are {head.size}",
            "restore a newer copy, or begin a successor: pfgov ledger succeed; signing from here would fork the ledger",
        )
    if published.size < head.size:
        return Finding(
            "head",
            "warning",
            f"{head.size - published.size} committed entries are not published yet",
            "if no writer runs, let one open the ledger: pfgov tick",
        )
    if published.root != head.frontier.root():
        return Finding(
            "head",
            "failed",
            f"the root over {head.size} entries is not the one that was published",
            "keep both as evidence, and begin a successor: pfgov ledger succeed",
        )
    if not store.is_head_lock_apart():
        return Finding(
            "head",
            "warning",
            f"{head.size} entries, as published; the head lock lies in the ledger's own folder",
            "a restored copy brings its old lock along: put it elsewhere with PFGOV_HEAD_LOCK",
        )
    return Finding("head", "ok", f"{head.size} entries, as published")


def _signers(patient: Patient) -> Finding:
    """The keys that sign next are in force, the newest checkpoint holds, and the anchor is this ledger's."""
    queries, layout = patient.queries, patient.layout
    state = load_state(queries)
    KeySources(layout, patient.options.issuer, patient.options.log).chosen(state.keys)
    latest, genesis = queries.checkpoint(), queries.entry(0)
    logs = [
        note.vkey(state.origin, bytes.fromhex(key.public))
        for key in state.keys.values()
        if key.role == "log"
    ]
    if latest is not None:
        checkpoint.open_checkpoint(latest[1], logs)
    try:
        anchor = keys.parse_anchor(read_regular(layout.anchor).decode("utf-8", errors="replace"))
    except OSError as error:
        return Finding("signers", "warning", f"{layout.anchor}: {error.strerror}", "pfgov tick")
    if anchor.log_vkey not in logs or genesis is None or anchor.genesis_leaf != genesis.leaf:
        return Finding(
            "signers",
            "failed",
            f"{layout.anchor} is not this ledger's anchor",
            "compare it with the copies that you gave away",
        )
    stated = checkpoint.parse_text(note.split(latest[1])[0]) if latest is not None else None
    if stated is not None and stated.size == queries.size():
        check_rows(queries, layout, stated.size, stated.root)
    return Finding(
        "signers", "ok", "the keys at hand are in force, and the anchor is this ledger's"
    )


def fold(queries: Queries) -> State:
    """Return the state that the entries give, from the first on."""
    state = State()
    for row in queries.entries():
        apply(state, receipts.event_of(row), Stamp(row.seq, row.time))
    state.touched.clear()
    return state


def _rows(patient: Patient) -> Finding:
    """Every row of the folded tables is what the entries give."""
    count = compare_rows(fold(patient.queries), patient.queries)
    return Finding("rows", "ok", f"{count} rows are what the entries give")


def _orders(patient: Patient) -> Finding:
    """No decision saw a collection in an order of its own; ledgers from before semantics 4 may hold some that did."""
    says = "collections in commands stand in one order"
    genesis = patient.queries.entry(0)
    begun = None if genesis is None else receipts.event_of(genesis)
    if not isinstance(begun, e.LedgerCreated) or begun.semantics >= IN_ORDER:
        return Finding("orders", "ok", says)
    state, orders, met = State(), OlderOrders(), False
    for row in patient.queries.entries():
        event = receipts.event_of(row)
        orders.note(state, event, row.seq)
        met = met or orders.is_any
        apply(state, event, Stamp(row.seq, row.time))
    if not met:
        return Finding("orders", "ok", "no member's offers were ever given out of order")
    try:
        found = replay_store(patient.queries).reordered
    except ReplayDifferenceError as error:
        return Finding(
            "orders",
            "failed",
            f"the entry at {error.position} does not follow from its command in any order",
            "see how it differs: pfgov ledger replay",
        )
    except ReplayUnavailableError as error:
        return Finding("orders", "not_checked", f"cannot be run again: {error}")
    if not found:
        return Finding("orders", "ok", "members' offers were given out of order, to no effect")
    return Finding(
        "orders",
        "warning",
        f"{found} decisions saw members' offers in the order in which they were given: what older versions signed",
        "nothing to mend: it replays; a ledger created from now on has one order",
    )


def _erasures(patient: Patient) -> Finding:
    """Whatever the log says was erased is gone, from the table and from the write-ahead log."""
    queries = patient.queries
    issuers = partial(anchored_issuers, queries, patient.layout)
    erased = [one.commitment for one in signed_erasures(queries.erasures(), issuers)]
    left = len(queries.still_present(erased))
    says = f"{len(erased)} erasures, {queries.payloads_present()} payloads"
    if left:
        return Finding(
            "erasures",
            "failed",
            f"{left} payloads are still here although their erasure is recorded",
            "open the ledger for writing, which erases them again: pfgov tick",
        )
    if erased and patient.store.holds_old_pages():
        return Finding(
            "erasures",
            "warning",
            f"{says}; the write-ahead log is in use, and may hold old pages",
            "if no server runs: pfgov tick; a server says it itself",
        )
    return Finding("erasures", "ok", says)


def _tables(patient: Patient) -> Finding:
    """Verdict tables are kept for as long as they are to be, and no longer."""
    count, oldest = patient.queries.verdict_tables_kept()
    bound = patient.queries.size() - patient.options.tables_kept
    says = f"{count} verdict tables, from entry {oldest} on" if count else "no verdict tables"
    if oldest is not None and oldest < bound - patient.options.tables_kept // 10:
        return Finding(
            "tables",
            "warning",
            f"{says}; those before {bound} should be gone",
            "a writer deletes them little by little: pfgov tick",
        )
    return Finding("tables", "ok", says)


def _clock(patient: Patient) -> Finding:
    """The machine's clock fits the last entry: neither can be years away from the other."""
    state = load_state(patient.queries)
    bound = JUMP_MAX if state.configuration is None else state.settings.clock_jump_max
    ahead = patient.clock.now() - state.time
    if ahead > CLOCK_IDLE_MAX:
        return Finding(
            "clock",
            "failed",
            f"this machine's clock is {_days(ahead)} ahead of the last entry; nothing is recorded by such a clock",
            "set it right; if it is right, and the ledger rested that long: pfgov tick --resume",
        )
    if ahead < -bound:
        return Finding(
            "clock",
            "failed",
            f"the last entry is {_days(-ahead)} ahead of this machine's clock: deadlines before that count as passed",
            "set the clock right; if it is right, begin a successor: pfgov ledger succeed",
        )
    return Finding("clock", "ok", "this machine's clock fits the last entry")


def _days(microseconds: int) -> str:
    days = microseconds // 86_400_000_000
    return counted(days, "day") if days else f"{microseconds // 1_000_000} s"


def _entries(patient: Patient) -> Finding:
    """Every entry is what was signed, in the order in which it was signed, under the newest checkpoint."""
    queries = patient.queries
    known = load_state(queries).keys
    issuers = issuers_of({public: key.role for public, key in known.items()})
    tree, last, heads = merkle.Frontier(), bytes(32), dict[str, tuple[int, bytes]]()
    for row in queries.entries():
        found = check_entry(row, issuers)
        before = heads.get(found.subject, (0, bytes(32)))
        if (found.seq, found.prev) != (tree.size, last):
            return _out_of_place(row.seq)
        if (found.subject_seq, found.subject_prev) != before:
            return _out_of_place(row.seq)
        heads[found.subject] = (found.subject_seq + 1, row.leaf)
        tree.add(row.leaf)
        last = row.leaf
    latest = queries.checkpoint()
    if latest is None or checkpoint.parse_text(note.split(latest[1])[0]).root != tree.root():
        return Finding(
            "entries",
            "failed",
            "the tree over all entries is not the one that was signed",
            _EVIDENCE,
        )
    return Finding(
        "entries", "ok", f"{tree.size} entries are as they were signed, each upon the one before"
    )


def _out_of_place(seq: int) -> Finding:
    return Finding("entries", "failed", f"entry {seq} does not follow the one before it", _EVIDENCE)


def _payloads(patient: Patient) -> Finding:
    """Every payload that an entry names opens its commitment, or an entry says that it was erased."""
    queries, origin = patient.queries, load_state(patient.queries).origin
    altered, seen, present, missing = list[str](), set[str](), 0, 0
    erased = Erased(queries, patient.layout)
    for row in queries.entries():
        for digest, field in named_in(entry.parse(row.raw).body, row.raw):
            if digest in seen:
                continue
            seen.add(digest)
            stored = queries.attachment(digest)
            present += stored is not None
            if stored is not None:
                is_view = stored.parent is not None
                is_whole = opens(stored, origin) and is_view == (field == VIEW)
                altered += [] if is_whole else [digest]
            elif not erased.holds(digest):
                is_known = queries.attachment_state(digest) is not None
                altered += [digest] if is_known else []
                missing += not is_known
    if altered:
        named = ", ".join(altered[:8])
        says = f"{counted(len(altered), 'payload')} changed or taken away in the database: {named}"
        return Finding("payloads", "failed", says, _EVIDENCE)
    unnamed = queries.payloads_present() - present
    if missing or unnamed:
        says = f"{counted(missing, 'payload')} missing, and never erased; {unnamed} that no entry names"
        return Finding("payloads", "warning", says, "compare with a backup")
    return Finding("payloads", "ok", f"{counted(present, 'payload')}, each as its commitment says")


def _documents(patient: Patient) -> Finding:
    """Every policy set that was ever activated, and every verdict table that is kept, is what its digest says."""
    queries, sets, tables = patient.queries, 0, 0
    for row in queries.entries():
        event: Any = receipts.event_of(row)
        if isinstance(event, e.PolicyActivated):
            sets += 1
            check_policies(queries.policy_set(event.digest) or b"", event.digest)
        digest = getattr(getattr(event, "decision", None) or event, "table", None)
        if not isinstance(digest, str):
            continue
        stored = queries.verdict_table(digest)
        if stored is not None:
            tables += 1
            check_table(stored, digest)
    says = f"{counted(sets, 'policy set')} and {counted(tables, 'verdict table')}, each as its digest says"
    return Finding("documents", "ok", says)


CHECKS: Final[tuple[tuple[str, Callable[[Patient], Finding]], ...]] = (
    ("head", _head),
    ("signers", _signers),
    ("rows", _rows),
    ("orders", _orders),
    ("entries", _entries),
    ("payloads", _payloads),
    ("documents", _documents),
    ("erasures", _erasures),
    ("tables", _tables),
    ("clock", _clock),
)
"""Name -> check, in the order in which they are made."""
