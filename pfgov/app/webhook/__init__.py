"""Webhooks: receivers are told what was committed, signed and again if need be, where everybody may be reached."""

from pfgov.app.hosting import Engine
from pfgov.app.local import LOCAL, shown
from pfgov.app.local.ledger import LocalLedger
from pfgov.app.webhook.delivering import Delivery, Happened
from pfgov.app.webhook.endpoints import Webhooks, read_webhooks

__all__ = ["Delivery", "Webhooks", "delivery_of", "read_webhooks"]


def delivery_of(webhooks: Webhooks, engine: Engine) -> Delivery:
    """Return what tells *webhooks* of the entries of *engine*'s ledger."""
    ledger = LocalLedger(engine, LOCAL)

    def since(position: int, limit: int) -> list[Happened]:
        views = [shown(one, full=False) for one in ledger.since(position, limit)]
        return [Happened(one.seq, one.type, one.time, one.subject, one.says) for one in views]

    return Delivery(
        webhooks,
        engine.store.directory,
        since=since,
        size=ledger.size,
        now=lambda: engine.clock.now() // 1_000_000,
    )
