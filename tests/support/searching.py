"""How long a property is searched for what breaks it: a quarter of its examples in ``make test``, all of them in
``make test-long``, and many times as many in ``make fuzz``.
"""

import os
from typing import Final

FUZZ: Final = bool(os.environ.get("PFGOV_FUZZ"))
"""Whether this run searches longer than ``make test`` does."""

LONG: Final = FUZZ or bool(os.environ.get("PFGOV_LONG"))
"""Whether this run tries every example."""

FUZZ_TIMES: Final = 20
"""How many times as many examples ``make fuzz`` tries."""

SHARE: Final = 4
"""``make test`` tries one of so many examples, and never fewer than :data:`FEWEST`."""

FEWEST: Final = 5


def examples(count: int) -> int:
    """Return how many of *count* examples this run tries."""
    if FUZZ:
        return count * FUZZ_TIMES
    return count if LONG else max(min(count, FEWEST), count // SHARE)
