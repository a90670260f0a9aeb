"""Every limit of the HTTP API by name: how much, how many at once, how long.

Limits of what is recorded are in :mod:`pfgov.limits`.  Two answers say that a limit was met: 429 to a principal that
has its own share in use, 503 to everybody while the whole server has no more to give.  Both carry ``Retry-After``.
"""

from typing import Final

# --- one request -----------------------------------------------------------------------------

BODY_BYTES_MAX: Final = 1_500_000
"""A context checkpoint of one megabyte, with its envelope."""

LARGE_BYTES: Final = 65_536
"""A body from here on is read in a thread, so that nobody else's request waits for it."""

HEADERS_MAX: Final = 100
HEAD_BYTES_MAX: Final = 65_536
"""The request line and the headers together."""

HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a further request, to the end of the headers."""

BODY_SECONDS: Final = 30.0
"""From the end of the headers to the end of the body."""

STALLED_SECONDS: Final = 30.0
STALLED_BYTES: Final = 16_384
"""A reader has to take so many bytes in so many seconds, while there are some for it."""

RETRY_AFTER_SECONDS: Final = 1

# --- the whole server ------------------------------------------------------------------------

IN_FLIGHT_MAX: Final = 1_000
"""Requests being answered; more are told to come back."""

STREAMS_MAX: Final = 1_000
"""Streams of events and exports being sent."""

LONG_THREADS: Final = 2
"""Exports being written, and policies being tried out, at once; more wait for their turn, and nobody else for them."""

SCANNED_MAX: Final = 10_000
"""Entries that one question looks at where no index helps; the page that it answers then says where to go on."""

# --- one principal ---------------------------------------------------------------------------

REQUESTS_PER_PRINCIPAL_MAX: Final = 100
"""Requests of one principal being answered: a tenth of the server's."""

STREAMS_PER_PRINCIPAL_MAX: Final = 100
"""Streams of one principal being sent."""

EXPORTS_PER_PRINCIPAL_MAX: Final = 2
"""Exports of one principal being made or sent: each is a file as large as the history that it covers."""

# --- tokens and the keys that they are verified with -----------------------------------------

TOKEN_BYTES_MAX: Final = 8_192
TOKEN_HEADER_BYTES_MAX: Final = 1_024
LEEWAY_SECONDS_MAX: Final = 300
TOKEN_SECONDS_MAX: Final = 86_400
"""The longest life of a token that a configuration may allow."""

CLAIM_VALUES_MAX: Final = 256
"""Values of the scope claim that are looked at."""

SUBJECT_LENGTH_MAX: Final = 255
KEY_SET_BYTES_MAX: Final = 262_144
KEY_SET_KEYS_MAX: Final = 64
RSA_BITS: Final = (2_048, 8_192)

FETCH_SECONDS: Final = 5.0
"""For everything: name, connection, TLS, answer."""

FETCH_EVERY_SECONDS: Final = 300.0
"""How often the issuer is asked for its keys."""

FETCH_GAP_SECONDS: Final = 30.0
"""The least time between two fetches, whatever is asked of the server."""
