"""Every limit of webhooks by name: how many receivers, how long one is waited for, how much that failed is listed."""

from typing import Final

ENDPOINTS_MAX: Final = 16
"""Receivers in one file; each has a thread of its own."""

DEAD_MAX: Final = 1_000
"""Dead letters of one receiver that are listed; the oldest are dropped, and counted."""

TIMEOUT_SECONDS: Final = 10.0
"""How long a receiver may take to be reached, and to answer."""

STOP_SECONDS: Final = 1.0
"""How long a server that stops waits for receivers, all together: it has to close its ledger within four."""
