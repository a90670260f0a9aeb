"""What a sequencer needs from outside.  Values and callables only; it runs nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from pfgov.clock import Timekeeper
from pfgov.core.state import State
from pfgov.engine.answers import Entropy
from pfgov.engine.committing.committers import Committer
from pfgov.storage.port import Queries


@dataclass(frozen=True, slots=True)
class Ports:
    """What a sequencer needs from outside.

    Attributes:
        open_committer: Opens the committing side from the store: at the start, and again after a failure.
        time: The clock.
        draw: Randomness for salts.
        run: A name that no other run of an engine has; command ids begin with it.
        keep_tables: Whether verdict tables are stored.
        tables_kept: Positions behind the head for which they stay stored.
        answers_kept: For how long an idempotency key is answered, in microseconds.
        address: Where the server listens that this engine belongs to, if it does.
        over_network: Whether the store is asked over a network, where an answer may be long in coming, or never come.
        vouched: Returns a state that was loaded, or refuses it: its rows are others than the entries give.
    """

    open_committer: Callable[[], Committer]
    time: Timekeeper
    draw: Entropy
    run: str
    keep_tables: bool
    tables_kept: int
    answers_kept: int
    address: str | None = None
    over_network: bool = False
    vouched: Callable[[Queries, State], State] = lambda _queries, state: state
