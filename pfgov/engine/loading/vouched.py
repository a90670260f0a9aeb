"""Who signed what is stored, without believing the database: whoever can write that names any key he likes in it.

The log's keys that count are those at hand, and those to which the ledger's own key events lead, each signed by a key
before it, from the genesis that the anchor names.  The issuers' are in the same events; without an anchor their genesis
is the one under the root that was signed.  By the same events the folded rows of keys and policies are judged.  Where
the keys lie is not known here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from pfgov.core.events import LedgerCreated, PolicyActivated
from pfgov.core.state import State
from pfgov.engine.layout import Layout
from pfgov.engine.loading import receipts
from pfgov.engine.loading.intact import altered, check_entry, leaf_of, unreadable
from pfgov.engine.loading.state import load_state
from pfgov.engine.loading.tree import StoredNodes
from pfgov.errors import StoreCorruptError
from pfgov.files import read_regular
from pfgov.storage.port import EntryFilter, Queries
from pfgov_ledger import checkpoint, entry, keys, merkle, note
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer
from pfgov_ledger.lifecycle import LEDGER_ROLES, KeyRing
from pfgov_ledger.note import Vkey

_KEYS: Final = EntryFilter(subject="keys")
_UPGRADED: Final = EntryFilter(
    subject="ledger", types=("engine_upgraded",), newest_first=True, limit=1
)
_ACTIVATED: Final = EntryFilter(subject="policy", types=("policy_activated",), newest_first=True)


@dataclass(slots=True)
class KeyHistory:
    """The key events of a ledger, each authorised by keys before it and standing upon the one before it.

    Attributes:
        ring: The keys to which they lead.
        genesis: The leaf of the first entry.
        count: How many they are.
        last: The leaf of the last one; as an entry names it, so zeros before the first.
    """

    ring: KeyRing
    genesis: bytes
    count: int = 0
    last: bytes = entry.ZERO

    @property
    def place(self) -> tuple[int, bytes]:
        """The number of the next one, and the leaf before it: what that has to be signed for."""
        return self.count, self.last if self.count else self.genesis

    def take(self, event: entry.Entry) -> None:
        """Take the next one.

        Raises:
            LedgerError: it is not authorised where it stands.
            StoreCorruptError: ``store.altered``, it does not stand upon the last one.
        """
        if (event.subject_seq, event.subject_prev) != (self.count, self.last):
            raise altered(event.seq, "it does not stand upon the key event before it")
        self.ring.apply(event)
        self.count, self.last = event.subject_seq + 1, event.leaf


def vkeys_of(signers: Iterable[Signer]) -> Iterator[Vkey]:
    """Give what the log's keys among *signers* are verified with."""
    return (keys.vkey_of(one) for one in signers if one.role == "log")


def check_head(queries: Queries, layout: Layout, at_hand: Iterable[Vkey]) -> None:
    """Refuse a ledger whose newest checkpoint no key of its log signed: what it covers was added in the database.

    Without a key at hand and without an anchor nobody can tell, and nothing is refused.

    Raises:
        StoreCorruptError: ``store.altered``.
    """
    latest, is_any = queries.checkpoint(), False
    if latest is None:
        return
    for one in at_hand:
        is_any = True
        if _is_signed(latest[1], [one]):
            return
    logs = vouched_logs(queries, layout)
    if (logs is None and not is_any) or _is_signed(latest[1], logs or ()):
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
    ring = _history(queries, anchor.genesis_leaf).ring
    return [note.vkey(anchor.log_vkey.name, public) for public in ring.ever("log")]


def vouched_issuers(queries: Queries, layout: Layout, size: int, root: bytes) -> dict[str, bytes]:
    """Return every key that ever signed entries, by the id that they name, of the ledger whose *root* was signed.

    Entries that were changed elsewhere keep nothing from it as long as the anchor names the first.

    Raises:
        StoreCorruptError: ``store.altered``, the first entry is another, or a key event is not authorised.
    """
    if queries.entry(0) is None:
        return {}
    return _issuers(vouched_keys(queries, layout, size, root).ring)


def check_rows(
    queries: Queries, layout: Layout, size: int, root: bytes, state: State | None = None
) -> None:
    """Refuse a ledger of *size* entries, whose *root* was signed, if its rows of keys, policies or rules say otherwise.

    The row of keys says who signs next, and what another than these signs passes no verifier again; by the row of the
    policies everything is decided, under the rules, and for the name, that are in the row of the ledger.  Where key
    events are hidden the newest entry and checkpoint are signed by keys that none of the others brought in.
    What was loaded of these rows is in *state*, and is what is judged: read again they may say something else.

    Raises:
        StoreCorruptError: ``store.altered``, a row says something else, or a key signed last that may not sign.
    """
    ring = vouched_keys(queries, layout, size, root).ring
    issuers, state = _issuers(ring), state or ledger_rows(queries)
    stated = {(key.role, public, key.until is None) for public, key in state.keys.items()}
    if stated != {
        (role, public.hex(), public in ring.active(role))
        for role in LEDGER_ROLES
        for public in ring.ever(role)
    }:
        raise unreadable("the row of keys", ValueError("the key events say something else"))
    last, latest = queries.entry(size - 1), queries.checkpoint()
    if last is None or latest is None:
        raise altered(size - 1, "it is gone, or what was signed of it")
    found = check_entry(last, issuers)
    is_key_event = found.subject == "keys"  # its key may have been replaced by it
    try:
        if not is_key_event:
            ring.issuer_of(found)
    except LedgerError as error:
        raise altered(found.seq, f"its key does not sign any more: {error}") from error
    publics = ring.ever("log") if is_key_event else ring.active("log")
    if not _is_signed(latest[1], [note.vkey(found.log, public) for public in publics]):
        raise altered(found.seq, "no log key that is in force signed the newest checkpoint")
    check_policy(queries, state.policy, issuers)
    _check_earlier(queries, state, issuers)
    _check_begun(queries, state, issuers)


def anchored_issuers(queries: Queries, layout: Layout) -> dict[str, bytes]:
    """Return every key that ever signed entries, by the id that they name, for whoever reads.

    Raises:
        StoreCorruptError: ``store.altered``, as :func:`anchored_keys`.
    """
    found = anchored_keys(queries, layout)
    return {} if found is None else _issuers(found.ring)


def anchored_keys(queries: Queries, layout: Layout) -> KeyHistory | None:
    """Return the key events for whoever reads, as the anchor has the first entry; None where there is no entry.

    Without an anchor nobody can tell, and the first entry is believed.

    Raises:
        StoreCorruptError: ``store.altered``, the first entry is another, or a key event is not authorised.
    """
    anchor, row = _anchor(layout), queries.entry(0)
    if anchor is not None and anchor.genesis_leaf is not None:
        return _history(queries, anchor.genesis_leaf)
    return None if row is None else _history(queries, leaf_of(row))


def checked_state(queries: Queries, layout: Layout, state: State) -> State:
    """Return *state*, which was loaded from the rows of keys, policies and rules that its entries give.

    Raises:
        StoreCorruptError: ``store.altered``, as :func:`check_rows`.
    """
    latest = queries.checkpoint()
    if state.size and latest is not None:
        stated = checkpoint.parse_text(note.split(latest[1])[0])
        check_rows(queries, layout, state.size, stated.root, state)
    return state


def read_state(queries: Queries, layout: Layout) -> State:
    """Return the state for whoever reads: the policy set that binds is the one that the newest activation names.

    Raises:
        StoreCorruptError: ``store.altered``, the row of the policies names another.
    """
    state, latest = load_state(queries), queries.checkpoint()
    if latest is not None:
        try:
            stated = checkpoint.parse_text(note.split(latest[1])[0])
        except LedgerError as error:
            raise unreadable("the newest checkpoint", error) from error
        issuers = vouched_issuers(queries, layout, stated.size, stated.root)
        check_policy(queries, state.policy, issuers)
    return state


def check_policy(queries: Queries, digest: str | None, issuers: Mapping[str, bytes]) -> None:
    """Refuse *digest* as the binding policy set's unless the newest activation names it, signed by one of *issuers*.

    Raises:
        StoreCorruptError: ``store.altered``.
    """
    if digest != next(_activations(queries, issuers, 1), None):
        raise unreadable(
            "the row of the policies", ValueError("the newest activation names another set")
        )


def _check_earlier(queries: Queries, state: State, issuers: Mapping[str, bytes]) -> None:
    """Refuse a row of the policies that names other sets to go back to than were activated, or in another order.

    A ledger that began under older rules remembers those that were replaced since.

    Raises:
        StoreCorruptError: ``store.altered``.
    """
    before = list(state.policies_before)
    if not before:
        return
    for limit in (len(before) + 1, None):  # more only where one of them was binding several times
        found = dict.fromkeys(_activations(queries, issuers, limit))
        found.pop(state.policy or "", None)
        if [*found][: len(before)][::-1] == before:
            return
    raise unreadable(
        "the row of the policies", ValueError("other sets were binding before, or in another order")
    )


def _activations(
    queries: Queries, issuers: Mapping[str, bytes], limit: int | None
) -> Iterator[str]:
    """Give the sets that were made binding, the newest first, by entries that one of *issuers* signed."""
    for row in queries.entries(replace(_ACTIVATED, limit=limit)):
        check_entry(row, issuers)
        event = receipts.event_of(row)
        if isinstance(event, PolicyActivated):
            yield event.digest


def _check_begun(queries: Queries, state: State, issuers: Mapping[str, bytes]) -> None:
    """Refuse a row of the ledger that has another name or predecessor than the first entry, or other rules.

    Raises:
        StoreCorruptError: ``store.altered``.
    """
    row = queries.entry(0)
    begun = None if row is None else receipts.event_of(row)
    if not isinstance(begun, LedgerCreated):
        raise altered(0, "it is no first entry")
    rules = begun.semantics
    if state.semantics != rules:
        for one in queries.entries(_UPGRADED):
            check_entry(one, issuers)
            rules = getattr(receipts.event_of(one), "semantics", rules)
    stated = (state.origin, state.predecessor, state.semantics)
    if stated != (begun.origin, begun.predecessor, rules):
        raise unreadable("the row of the ledger", ValueError("its entries say something else"))


def ledger_rows(queries: Queries) -> State:
    """Return a state with the rows that are not about members and packets.

    Raises:
        StoreCorruptError: ``store.altered``, no version writes such a row.
    """
    state = State()
    for row in queries.ledger_state():
        state.load_row("ledger_state", row.key, row.body)
    return state


def _issuers(ring: KeyRing) -> dict[str, bytes]:
    return {keys.key_id(public): public for public in ring.ever("issuer")}


def vouched_keys(queries: Queries, layout: Layout, size: int, root: bytes) -> KeyHistory:
    """Return the key events of the ledger whose *root* was signed.

    Raises:
        StoreCorruptError: ``store.altered``, the first entry is another, or a key event is not authorised.
    """
    row = queries.entry(0)
    if row is None:
        raise altered(0, "it is gone")
    leaf, anchor = leaf_of(row), _anchor(layout)
    if anchor is None or anchor.genesis_leaf != leaf:
        try:
            hashes = merkle.inclusion_proof(StoredNodes(queries), 0, size)
            merkle.check_inclusion(leaf, 0, size, hashes, root)
        except LedgerError as error:
            raise altered(0, "it is not under the root that was signed") from error
    return _history(queries, leaf)


def _anchor(layout: Layout) -> keys.Anchor | None:
    with suppress(OSError, LedgerError):
        return keys.parse_anchor(read_regular(layout.anchor).decode(errors="replace"))
    return None


def _history(queries: Queries, genesis: bytes) -> KeyHistory:
    row = queries.entry(0)
    if row is None or leaf_of(row) != genesis:
        raise altered(0, "it is not the one that the anchor names")
    found = KeyHistory(KeyRing(), genesis)
    try:
        found.ring.open(entry.parse(row.raw))
        for one in queries.entries(_KEYS):
            leaf_of(one)
            found.take(entry.parse(one.raw))
    except LedgerError as error:
        raise altered(error.position or 0, str(error)) from error
    return found


def _is_signed(signed: bytes, logs: Sequence[Vkey]) -> bool:
    with suppress(LedgerError):
        checkpoint.open_checkpoint(signed, logs)
        return True
    return False
