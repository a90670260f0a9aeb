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
"""Headers of one request."""
IF_MATCH_CHARACTERS_MAX: Final = 1_000
"""Characters of ``If-Match``: a dozen ETags."""
HEAD_BYTES_MAX: Final = 65_536
"""The request line and the headers together."""

SIGN_IN_BYTES_MAX: Final = 16_384
"""The form with which somebody signs in at the console: a key or a token, and the page to go to."""

HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a further request, to the end of the headers."""

BODY_SECONDS: Final = 30.0
"""From the end of the headers to the end of the body."""

STALLED_SECONDS: Final = 30.0
"""How long an answer may wait for a caller that takes nothing of it."""
STALLED_BYTES: Final = 16_384
"""A reader has to take so many bytes in so many seconds, while there are some for it."""

FORWARD_THREADS: Final = 32
"""Requests that a standby has sent on to the leader at once."""

RETRY_AFTER_SECONDS: Final = 1
"""What an answer that says *not now* asks its caller to wait."""

# --- the whole server ------------------------------------------------------------------------

IN_FLIGHT_MAX: Final = 1_000
"""Requests being answered; more are told to come back."""

STREAMS_MAX: Final = 1_000
"""Streams of events and exports being sent."""

TRIALS_MAX: Final = 2
"""Policies being compiled or tried out at once, each in a process of its own; more wait for their turn."""

TRIAL_SECONDS: Final = 20.0
"""How long one of them may take in all."""
TRIAL_PROCESSOR_SECONDS: Final = 10
"""What one of them may take of the processor."""
TRIAL_MEMORY_BYTES: Final = 1 << 30
"""What one of them may take of memory."""
TRIAL_ANSWER_BYTES_MAX: Final = 16 << 20
"""What one of them may answer."""
TRIAL_FILE_BYTES_MAX: Final = 1 << 20
"""What one of them may take."""
TRIAL_CHECKS_MAX: Final = 10_000
"""Checks in the tests of policies that are run by the server: candidates of cases, and properties."""
TRIAL_RESULTS_MAX: Final = 500
"""Checks that are answered one by one, those that fail first; the rest is counted."""

SIMULATIONS_MAX: Final = 2
"""Runs of the simulator at once, each in a process of its own."""

SIMULATION_SECONDS: Final = 120
"""How long one run of the simulator may take."""
SIMULATION_MEMORY_BYTES: Final = 1 << 30
"""What one of them may take."""

NAMED_CALLS_MAX: Final = 2_000
"""Requests and streams of all named ledgers together; the other half of the connections is left to the default one."""

NAMED_CALLS_PER_LEDGER_MAX: Final = 500
"""Requests and streams of one named ledger: a quarter of what there is for all."""

STRANGERS_BURST_MAX: Final = 16
"""Ledgers that may be opened one after the other for callers that show no key."""

STRANGERS_SECONDS: Final = 1.0
"""After so long one more."""

# --- one principal ---------------------------------------------------------------------------

REQUESTS_PER_PRINCIPAL_MAX: Final = 100
"""Requests of one principal being answered: a tenth of the server's."""

LARGE_PER_PRINCIPAL_MAX: Final = 4
"""Requests of one principal with a body that is large, being read or answered: such a body may take thirty times its
size of memory.  More wait."""

STREAMS_PER_PRINCIPAL_MAX: Final = 100
"""Streams of one principal being sent."""

TRIALS_PER_PRINCIPAL_MAX: Final = 1
"""Policies of one principal being compiled or tried out."""

SIMULATIONS_PER_PRINCIPAL_MAX: Final = 2
"""Runs of one principal: two, to be seen side by side."""

EXPORTS_PER_PRINCIPAL_MAX: Final = 2
"""Exports of one principal being made or sent: each is a file as large as the history that it covers."""

# --- tokens and the keys that they are verified with -----------------------------------------

TOKEN_BYTES_MAX: Final = 8_192
"""Bytes of a bearer token."""
TOKEN_HEADER_BYTES_MAX: Final = 1_024
"""Bytes of a token's header."""
LEEWAY_SECONDS_MAX: Final = 300
"""How far an issuer's clock may be off, at most."""
TOKEN_SECONDS_MAX: Final = 86_400
"""The longest life of a token that a configuration may allow."""

CLAIM_VALUES_MAX: Final = 256
"""Values of the scope claim that are looked at."""

SUBJECT_LENGTH_MAX: Final = 255
"""Characters of a token's subject."""
KEY_SET_BYTES_MAX: Final = 262_144
"""Bytes of an issuer's key set."""
KEY_SET_KEYS_MAX: Final = 64
"""Keys in an issuer's key set."""
RSA_BITS: Final = (2_048, 8_192)

FETCH_SECONDS: Final = 5.0
"""For everything: name, connection, TLS, answer."""

FETCH_EVERY_SECONDS: Final = 300.0
"""How often the issuer is asked for its keys."""

FETCH_GAP_SECONDS: Final = 30.0
"""The least time between two fetches, whatever is asked of the server."""
