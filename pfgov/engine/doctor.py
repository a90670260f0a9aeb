"""Looking a ledger over: is everything where it belongs, unaltered, and safe for the next start?

Each check is one row of a table and comes to one finding; a check that another's failure makes meaningless is not made.
Nothing is written and no lock is taken, so that it runs beside a server.  Signatures of entries are the verifier's
business, and whether decisions follow from policy is the replay's.
"""

import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pfgov.apply import apply
from pfgov.engine import stored
from pfgov.engine.layout import ROLES, Layout, SigningKeyError, key_errors
from pfgov.engine.loading import load_state
from pfgov.engine.options import Options
from pfgov.engine.reading import LedgerReader
from pfgov.engine.signing import KeySources
from pfgov.engine.writer import load_head
from pfgov.errors import PfgovError
from pfgov.records import Stamp
from pfgov.replay import compare_rows
from pfgov.state import State
from pfgov.storage.head_lock import read_head
from pfgov.storage.queries import Queries
from pfgov_ledger import checkpoint, keys, note
from pfgov_ledger.errors import LedgerError

FREE_BYTES_MIN: Final = 1 << 30
"""Free disk below this is a warning: a ledger only grows, and a full disk stops every command."""

FREE_BYTES_LEAST: Final = 64 << 20
"""Free disk below this is a failure: the write-ahead log alone may need as much."""

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

    layout: Layout
    queries: Queries
    options: Options


def examine(directory: Path, options: Options | None = None) -> list[Finding]:
    """Look the ledger in *directory* over.

    Args:
        directory: Its folder.
        options: How its engine runs, as far as checks ask: key URIs, and how long verdict tables are kept.
    """
    layout, options = Layout(directory), options or Options()
    findings = [_key_files(layout, options), _disk(layout)]
    try:
        # without the head lock: what it says is compared below, and must not keep the rest from being seen
        with (
            LedgerReader(directory, heed_head_lock=False) as reader,
            reader.snapshot() as queries,
        ):
            findings.insert(0, Finding("schema", "ok", "tables, indexes and triggers are ours"))
            patient = Patient(layout, queries, options)
            findings += [_made(name, check, patient) for name, check in CHECKS]
    except PfgovError as error:
        findings.insert(0, Finding("schema", "failed", str(error), error.hint))
        findings += [
            Finding(name, "not_checked", "the database cannot be used") for name, _ in CHECKS
        ]
    return [*findings, _private(layout)]  # last: reading may have made files beside the database


def _made(name: str, check: Callable[[Patient], Finding], patient: Patient) -> Finding:
    """Return what *check* found; an error is a failure, never the end of the others."""
    try:
        return check(patient)
    except PfgovError as error:
        return Finding(name, "failed", str(error), error.hint)
    except LedgerError as error:
        at = "" if error.position is None else f" at {error.position}"
        return Finding(name, "failed", f"{error.code}{at}: {error}", "keep the files as evidence")


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


def _private(layout: Layout) -> Finding:
    """What a database holds, and who writes it, is nobody else's to read; older versions left that to the umask."""
    names = [
        path.with_name(path.name + beside)
        for path in (layout.database, layout.head)
        for beside in ("", "-wal", "-shm")
    ]
    found = [path for path in (*names, layout.lock, layout.commit_lock) if path.exists()]
    open_ = [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]
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


# --- with the database --------------------------------------------------------------------


def _head(patient: Patient) -> Finding:
    """The tree, its last entry and its checkpoint fit each other, and the head lock, which lies elsewhere."""
    queries, layout = patient.queries, patient.layout
    head = load_head(queries, load_state(queries).origin)
    published = read_head(layout.head, head.origin)
    if published is None:
        return Finding("head", "failed", "the head lock is not this ledger's", "put it back")
    if published.size > head.size:
        return Finding(
            "head",
            "failed",
            f"{published.size} entries were published, and there are {head.size}",
            "restore a newer copy; signing again from here would fork the ledger",
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
            "keep both as evidence and start a successor ledger",
        )
    if layout.head.absolute().parent == layout.directory.absolute():
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
        anchor = keys.parse_anchor(layout.anchor.read_text(errors="replace"))
    except OSError as error:
        return Finding("signers", "warning", f"{layout.anchor}: {error.strerror}", "pfgov tick")
    if anchor.log_vkey not in logs or genesis is None or anchor.genesis_leaf != genesis.leaf:
        return Finding(
            "signers",
            "failed",
            f"{layout.anchor} is not this ledger's anchor",
            "compare it with the copies that you gave away",
        )
    return Finding(
        "signers", "ok", "the keys at hand are in force, and the anchor is this ledger's"
    )


def fold(queries: Queries) -> State:
    """Return the state that the entries give, from the first on."""
    state = State()
    for row in queries.entries():
        apply(state, stored.event_of(row), Stamp(row.seq, row.time))
    state.touched.clear()
    return state


def _rows(patient: Patient) -> Finding:
    """Every row of the folded tables is what the entries give."""
    count = compare_rows(fold(patient.queries), patient.queries)
    return Finding("rows", "ok", f"{count} rows are what the entries give")


def _erasures(patient: Patient) -> Finding:
    """Whatever the log says was erased is gone, from the table and from the write-ahead log."""
    queries = patient.queries
    erased = [stored.erased_commitment(row) for row in queries.erasures()]
    left = sum(queries.attachment_state(digest) == "present" for digest in erased)
    says = f"{len(erased)} erasures, {queries.payloads_present()} payloads"
    if left:
        return Finding(
            "erasures",
            "failed",
            f"{left} payloads are still here although their erasure is recorded",
            "open the ledger for writing, which erases them again: pfgov tick",
        )
    beside = patient.layout.database.with_name(patient.layout.database.name + "-wal")
    if erased and beside.exists() and beside.stat().st_size:
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


CHECKS: Final[tuple[tuple[str, Callable[[Patient], Finding]], ...]] = (
    ("head", _head),
    ("signers", _signers),
    ("rows", _rows),
    ("erasures", _erasures),
    ("tables", _tables),
)
"""Name -> check, in the order in which they are made."""
