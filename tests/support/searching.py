"""How long a property is searched for what breaks it: a number of examples that ``make fuzz`` multiplies."""

import os
from typing import Final

FUZZ: Final = bool(os.environ.get("PFGOV_FUZZ"))
"""Whether this run searches longer than ``make test`` does."""

FUZZ_TIMES: Final = 20
"""How many times as many examples ``make fuzz`` tries."""


def examples(count: int) -> int:
    """Return how many examples to try where ``make test`` tries *count*."""
    return count * FUZZ_TIMES if FUZZ else count
