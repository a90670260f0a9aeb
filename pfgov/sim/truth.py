"""Replay truth: the engine's memory, its tables and the ledger are one state, in one order, and the ledger runs again.

What :mod:`pfgov.sim.history` checks entry by entry is here checked of the whole: after each command the running state,
the state that a restart would load and the fold of all entries are compared as whoever walks them sees them, and at the
end of a history every recorded command is decided once more.
"""

from pfgov.core.state import State
from pfgov.engine import Engine
from pfgov.engine.loading import load_state
from pfgov.engine.reading import replay_store
from pfgov.sim.history import ViolationError
from pfgov.sim.likeness import difference
from pfgov_ledger.errors import LedgerError


def check_states(engine: Engine, shadow: State) -> None:
    """Check that what runs, what would be loaded and what the entries give are one, when nothing is under way.

    Raises:
        ViolationError: promise 5, with where two of them part.
    """
    if found := engine.look(lambda state: difference(state, shadow)):
        raise ViolationError(5, f"in memory and folded: {found}")
    with engine.reader.snapshot() as queries:
        loaded = load_state(queries)
    if found := difference(loaded, shadow):
        raise ViolationError(5, f"loaded and folded: {found}")


def check_replay(engine: Engine) -> None:
    """Check that every recorded command gives its entries again, and the entries every row, byte for byte.

    Raises:
        ViolationError: promise 5, with the position.
    """
    try:
        with engine.reader.snapshot() as queries:
            replay_store(queries)
    except LedgerError as error:
        raise ViolationError(5, f"a replay parts at {error.position}: {error}") from error
