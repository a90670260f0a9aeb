"""Identifiers: ULIDs, which sort by the time they were drawn, and the names that no member may have.

Time and randomness are arguments; the edge (the command line, the server, the engine's front) supplies the
clock and the operating system's randomness, so that everything behind it can be run again.  Format: 48 bits of
milliseconds, then 80 random bits, in Crockford's base 32 (https://github.com/ulid/spec).  This module does not
know what the identifiers name.
"""

import os
from typing import Final

from pfgov.clock import Clock

RANDOM_BYTES: Final = 10
"""Random bytes in one ULID."""

ULID_LENGTH: Final = 26
"""Characters of one ULID."""

RESERVED_IDS: Final = frozenset({"anyone", "local"})
RESERVED_PREFIXES: Final = ("key:", "oidc:", "pfgov:")
"""Ids of principals that are no members: entries name both in the same place, so neither may pass for the other."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS: Final = range(120, -1, -10)
_MILLISECONDS_MAX: Final = 2**48 - 1


def is_reserved(name: str) -> bool:
    """Whether *name* belongs to principals that are no members, or differs from such a one in capitals alone.

    >>> is_reserved("key:abc"), is_reserved("keys:abc"), is_reserved("Local")
    (True, False, True)
    """
    lowered = name.lower()
    return lowered in RESERVED_IDS or lowered.startswith(RESERVED_PREFIXES)


def ulid(time: int, random: bytes) -> str:
    """Return the ULID of *time* (microseconds since the epoch) and ten *random* bytes.

    >>> ulid(1_782_331_200_000_000, bytes(10))
    '01KVXKFMG00000000000000000'

    Raises:
        ValueError: *time* does not fit 48 bits of milliseconds, or *random* is not ten bytes.
    """
    milliseconds = time // 1_000
    if not 0 <= milliseconds <= _MILLISECONDS_MAX:
        raise ValueError(f"{time} us does not fit a ULID")
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a ULID needs {RANDOM_BYTES} random bytes, not {len(random)}")
    number = milliseconds << 80 | int.from_bytes(random, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def ulid_time(text: str) -> int:
    """Return when the ULID *text* was drawn, in microseconds since the epoch (a whole millisecond).

    Raises:
        ValueError: *text* is not a ULID in capitals.
    """
    if len(text) != ULID_LENGTH or text[0] > "7" or not set(text) <= set(_ALPHABET):
        raise ValueError(f"{text!r} is not a ULID")
    number = 0
    for letter in text:
        number = number << 5 | _ALPHABET.index(letter)
    return (number >> 80) * 1_000


def fresh_ulid(clock: Clock) -> str:
    """Return a new ULID, drawn with the operating system's randomness.  For the edge only."""
    return ulid(clock.now(), os.urandom(RANDOM_BYTES))
