"""The limits of many ledgers in one process: how many, how many at once, how long."""

from typing import Final

NAMED_LEDGERS_MAX: Final = 20_000
"""Ledgers in one folder that are known by their names; what comes after these, in order, is left out and said."""

OPEN_LEDGERS_MAX: Final = 256
"""Ledgers that are open at once, unless the command line says otherwise."""

OPENINGS_AT_ONCE: Final = 2
"""Ledgers that are being opened, or closed, at once; each takes a thread."""

OPENINGS_WAITING_MAX: Final = 128
"""Ledgers that wait to be opened; whoever asks for one more is told to come back."""

OPENING_SECONDS: Final = 20.0
"""How long the opening of a ledger is waited for; it is closed when it comes after all."""

REST_SECONDS: Final = 60.0
"""After so long without a request a ledger may be closed."""

REST_SECONDS_MIN: Final = 5.0
"""It stays open where something is due sooner than that, even when others want its place."""

UNFINISHED_SECONDS: Final = 600.0
"""After so long what is left of a ledger whose making was cut off is taken away by the next making."""

RETRY_SECONDS: Final = (1.0, 300.0)
"""How long a ledger that could not be opened is not tried again: twice as long each time, up to a bound."""

VISIT_SHARE: Final = 2.0
"""So many times as long as a visit to a ledger that nobody asked for took, the next one waits."""

SCAN_SECONDS: Final = 1.0
"""How often it is looked whether a ledger was added or taken away."""

STAMP_SECONDS: Final = 30.0
"""How often it is looked whether somebody else has written a ledger that rests."""

SERVERS_MAX: Final = 32
"""Servers among which ledgers are shared out, the first by their addresses; each is weighed for each ledger."""

SERVER_SILENT_SECONDS: Final = 3.0
"""After so long without a word another server's ledgers are shared out among the rest; as long as a lease lasts."""

HANDED_OVER_MAX: Final = 4
"""Open ledgers that are handed over to another server at one look; each closes here and is opened there."""

AGAIN_SECONDS: Final = 5.0
"""How soon a ledger that is to be ours, and that another server has still, is looked at again."""
