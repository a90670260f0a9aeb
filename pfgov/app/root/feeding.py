"""From ledgers into a root: what each says of itself now, with the proof that it extends what the root has.

Whose checkpoint it is says the anchor in the ledger's folder, and not the database: whoever writes that could name a
key of his own, or another ledger, and what a root has signed it never takes back.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pfgov.engine.layout import Layout
from pfgov.engine.loading.tree import StoredNodes
from pfgov.engine.reading.reader import LedgerReader
from pfgov.errors import PfgovError, StoreUnavailableError, file_errors
from pfgov.files import read_regular
from pfgov.storage import open_store
from pfgov.storage.root import Offer, RootWriter
from pfgov_ledger import checkpoint, errors, keys, merkle, note
from pfgov_ledger.checkpoint import Checkpoint

log = logging.getLogger("pfgov.api")

Known = Callable[[str], Checkpoint | None]
"""Origin -> what the root has of it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A ledger whose checkpoint is not in the root, and why; an alarm if its history is not the root's."""

    name: str
    code: str
    why: str
    is_alarm: bool


def offer_of(directory: Path, known: Known) -> Offer | None:
    """Return the newest checkpoint of the ledger in *directory*, for a root that has *known*; None if it has that.

    Raises:
        PfgovError: ``store.*``, the ledger or its anchor cannot be read.
        LedgerError: what it says of itself cannot be, or is another ledger's.
    """
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        latest = queries.checkpoint()
        if latest is None:
            return None
        stated = checkpoint.parse_text(note.split(latest[1])[0])
        log = _log_key(directory)  # after the checkpoint: a rotation renews it at once
        if stated.origin != log.name:
            raise errors.OriginMismatchError(expected=log.name, found=stated.origin)
        before = known(stated.origin)
        if before == stated:
            return None
        old = 0 if before is None else before.size
        # Of a ledger that is shorter than the root knows there is no proof: it is offered, and refused.
        proof = (
            merkle.consistency_proof(StoredNodes(queries), old, stated.size)
            if old <= stated.size
            else ()
        )
        return Offer(latest[1], tuple(proof), (log,))


def _log_key(directory: Path) -> note.Vkey:
    """Return the log's present key, as the anchor beside the ledger names it.

    Raises:
        StoreUnavailableError: there is none that can be read.
    """
    path = Layout(directory).anchor
    with file_errors(path):
        raw = read_regular(path)
    try:
        return keys.parse_anchor(raw.decode(errors="replace")).log_vkey
    except errors.LedgerError as error:
        raise StoreUnavailableError(f"{path} is no anchor: {error}") from error


def feed(root: RootWriter, ledgers: Iterable[tuple[str, Path]]) -> list[Trouble]:
    """Add what is new in *ledgers*, each a name and a folder, to *root*; return what could not be added.

    Raises:
        PfgovError: ``root.*``, ``store.*``: the root cannot be written.
    """
    troubles: list[Trouble] = []
    offers: dict[bytes, tuple[str, Offer]] = {}
    for name, directory in ledgers:
        try:
            offer = offer_of(directory, root.known)
        except PfgovError as error:
            troubles.append(Trouble(name, error.code, error.message, is_alarm=False))
        except errors.LedgerError as error:
            troubles.append(Trouble(name, error.code, str(error), is_alarm=True))
        except Exception as error:
            # Of one ledger that fails in a way that nobody foresaw the others must not be kept out.
            log.exception("the ledger %s could not be looked at", name)
            troubles.append(Trouble(name, PfgovError.code, type(error).__name__, is_alarm=False))
        else:
            if offer is not None:
                offers[offer.signed] = name, offer
    for refusal in root.add([offer for _, offer in offers.values()]):
        name, _ = offers[refusal.offer.signed]
        troubles.append(Trouble(name, refusal.error.code, str(refusal.error), is_alarm=True))
    return troubles
