"""Who may take which lineage out: the policy in force is asked at ``export``, by every door that writes one.

The question is the one that ``decide`` would ask, on what is published.  Nothing is recorded: reading never writes.
"""

from functools import lru_cache

from pfgov.core import commands as c
from pfgov.core.decide.context import Context, Tools
from pfgov.core.decide.guarding import guard
from pfgov.core.policy_port import Facts
from pfgov.core.state import State
from pfgov.core.verdicts import Point
from pfgov.engine.layout import Layout
from pfgov.engine.loading.intact import check_policies
from pfgov.engine.loading.vouched import anchored_issuers, check_policy
from pfgov.policy import PolicySet, from_document, kernel_only
from pfgov.scheduling.registry import scheduler
from pfgov.storage.port import Queries

_PACKET = "packet/"


@lru_cache(maxsize=4)
def _compiled(document: bytes) -> PolicySet:
    return from_document(document)


def _binding(queries: Queries, digest: str | None) -> PolicySet:
    """Return the set of *digest*, which binds; the kernel alone only where none was ever activated."""
    if not digest:
        return kernel_only(generated=False)
    return _compiled(check_policies(queries.policy_set(digest) or b"", digest))


def check_export(
    queries: Queries,
    layout: Layout,
    principal: c.Principal,
    now: int,
    *,
    subject: str | None = None,
    span: tuple[int, int] | None = None,
) -> None:
    """Refuse an export of *subject*, of *span* or of everything that policy does not allow *principal* at *now*.

    Raises:
        PolicyDeniedError: it does not allow it.
        StoreCorruptError: ``store.altered``, the policies were changed in the database.
    """
    state = State()
    for row in queries.ledger_state():
        state.load_row("ledger_state", row.key, row.body)
    packet_id: str | None = None
    if subject is not None and subject.startswith(_PACKET):
        packet_id = subject.removeprefix(_PACKET)
    stored = None if packet_id is None else queries.packet(packet_id)
    if stored is not None:
        state.load_row("packet", stored.key, stored.body)
    check_policy(queries, state.policy, anchored_issuers(queries, layout))
    policies = _binding(queries, state.policy)
    tools = Tools(
        policies=lambda _: policies,
        scheduler=lambda ref: scheduler(ref.name, ref.parameters),
        index=lambda: (0, ""),
    )
    command = c.Command(id="export", principal=principal, do=c.CommitIndex())
    facts: Facts = {"kind": "range" if span is not None else "everything"}
    if subject is not None:
        facts = {"kind": "subject", "subject": subject}
    guard(
        Context(state, command, now, tools),
        Point.EXPORT,
        packet=state.packets.get(packet_id or ""),
        more={"export": facts},
    )
