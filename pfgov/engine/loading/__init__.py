"""From stored rows to the state and to receipts: what start-up, recovery and readers share."""

from pfgov.engine.loading.receipts import event_of, receipt_of
from pfgov.engine.loading.state import load_state
from pfgov.engine.loading.tree import StoredNodes, load_head

__all__ = ["StoredNodes", "event_of", "load_head", "load_state", "receipt_of"]
