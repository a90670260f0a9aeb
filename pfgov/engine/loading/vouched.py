"""Who signed what is stored, without believing the database: whoever can write that names any key he likes in it.

The log's keys that count are those at hand, and those to which the ledger's own key events lead, each signed by a key
before it, from the genesis that the anchor names.  The issuers' are in the same events; without an anchor their genesis
is the one under the root that was signed.  Which of them signs next is not known here.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from pfgov.engine.layout import Layout
from pfgov.engine.loading.intact import altered, leaf_of
from pfgov.engine.loading.tree import StoredNodes
from pfgov.errors import StoreCorruptError
from pfgov.files import read_regular
from pfgov.storage.port import EntryFilter, Queries
from pfgov_ledger import checkpoint, entry, keys, merkle, note
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer
from pfgov_ledger.lifecycle import KeyRing
from pfgov_ledger.note import Vkey

_KEYS: Final = EntryFilter(subject="keys")


def vkeys_of(signers: Iterable[Signer]) -> list[Vkey]:
    """Return what the log's keys among *signers* are verified with."""
    return [keys.vkey_of(one) for one in signers if one.role == "log"]


def check_head(queries: Queries, layout: Layout, at_hand: Sequence[Vkey]) -> None:
    """Refuse a ledger whose newest checkpoint no key of its log signed: what it covers was added in the database.

    Without a key at hand and without an anchor nobody can tell, and nothing is refused.

    Raises:
        StoreCorruptError: ``store.altered``.
    """
    latest = queries.checkpoint()
    if latest is None or _is_signed(latest[1], at_hand):
        return
    logs = vouched_logs(queries, layout)
    if (logs is None and not at_hand) or _is_signed(latest[1], logs or ()):
        return
    raise StoreCorruptError(
        f"no key of the log signed the newest checkpoint, over {latest[0]} entries: they were changed or added to in "
        "the database",
        code="store.altered",
        hint="restore a backup; nothing is signed upon it: pfgov ledger doctor",
    )


def vouched_logs(queries: Queries, layout: Layout) -> list[Vkey] | None:
    """Return every key that the log ever had, from the genesis that the anchor names; None without one to begin at.

    Raises:
        StoreCorruptError: ``store.altered``, the first entry is another, or a key event is not authorised.
    """
    anchor = _anchor(layout)
    if anchor is None or anchor.genesis_leaf is None:
        return None
    ring = _ring(queries, anchor.genesis_leaf)
    return [note.vkey(anchor.log_vkey.name, public) for public in ring.ever("log")]


def vouched_issuers(queries: Queries, layout: Layout, size: int, root: bytes) -> dict[str, bytes]:
    """Return every key that ever signed entries, by the id that they name, of the ledger whose *root* was signed.

    Entries that were changed elsewhere keep nothing from it as long as the anchor names the first.

    Raises:
        StoreCorruptError: ``store.altered``, the first entry is another, or a key event is not authorised.
    """
    row = queries.entry(0)
    if row is None:
        return {}
    leaf, anchor = leaf_of(row), _anchor(layout)
    if anchor is None or anchor.genesis_leaf != leaf:
        try:
            hashes = merkle.inclusion_proof(StoredNodes(queries), 0, size)
            merkle.check_inclusion(leaf, 0, size, hashes, root)
        except LedgerError as error:
            raise altered(0, "it is not under the root that was signed") from error
    return {keys.key_id(public): public for public in _ring(queries, leaf).ever("issuer")}


def _anchor(layout: Layout) -> keys.Anchor | None:
    with suppress(OSError, LedgerError):
        return keys.parse_anchor(read_regular(layout.anchor).decode(errors="replace"))
    return None


def _ring(queries: Queries, genesis: bytes) -> KeyRing:
    row = queries.entry(0)
    if row is None or leaf_of(row) != genesis:
        raise altered(0, "it is not the one that the anchor names")
    ring = KeyRing()
    try:
        ring.open(entry.parse(row.raw))
        for one in queries.entries(_KEYS):
            ring.apply(entry.parse(one.raw))
    except LedgerError as error:
        raise altered(error.position or 0, str(error)) from error
    return ring


def _is_signed(signed: bytes, logs: Sequence[Vkey]) -> bool:
    with suppress(LedgerError):
        checkpoint.open_checkpoint(signed, logs)
        return True
    return False
