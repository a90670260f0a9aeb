"""How far a candidate is from what a rule asks of it, as a whole number: the distance that near misses are ordered by.

* A number counts its gap to the bound, in thousandths of the bound (of 1 where the bound is smaller than that), rounded
  up: trust 0.78 where 0.80 is asked is 20 away, six tasks where five fit 200.
* Every item of a list that is lacking (a capability, a clearance) counts :data:`ITEM`.
* Whatever else would have to be another value, or is not known, counts :data:`OTHER`.

The distance of a candidate is the sum over its denials.  It orders and is shown; nothing that decides reads it.
"""

from fractions import Fraction
from typing import Final

ITEM: Final = 1_000
"""What one lacking item of a list counts, as much as a number that is missed by its whole bound."""

OTHER: Final = 1_000
"""What a value counts that would have to be another one, or that is absent."""

_SCALE: Final = 1_000


def gap(observed: float, bound: float) -> int:
    """Return how far *observed* is from *bound*: 1 or more, since it was not enough.

    >>> gap(0.78, 0.8), gap(6, 5), gap(0.5, 0.5), gap(0.1, 4000)
    (20, 200, 1, 1000)
    """
    # The decimal digits as written, so that 0.8 - 0.78 is exactly two hundredths.
    exact, wanted = Fraction(repr(observed)), Fraction(repr(bound))
    missing = abs(wanted - exact) * _SCALE / max(abs(wanted), Fraction(1))
    return max(1, -(-missing.numerator // missing.denominator))


def of_texts(observed: str | None, bound: str | None) -> int:
    """Return the distance that a reason's two texts say, as a verdict table holds them.

    >>> of_texts("0.78", "0.8"), of_texts("[a]", "[b, c]"), of_texts("us-east", "[eu, eu-west]")
    (20, 2000, 1000)
    >>> of_texts("{a: 1.2}", "[b>=1, c, and 3 more]")
    5000
    """
    if observed is None or bound is None:
        return OTHER
    if observed[:1] in {"[", "{"} and bound[:1] == "[":
        return ITEM * max(1, _items(bound))
    try:
        return gap(float(observed), float(bound))
    except ValueError:  # words, or a number that is none
        return OTHER


def _items(text: str) -> int:
    """Return how many items a list has that was written for people, who are told of eight and how many more."""
    parts = text[1:-1].split(", ")
    more = parts[-1].split(" ") if parts else []
    if len(more) == 3 and more[0] == "and" and more[1].isdecimal():
        return len(parts) - 1 + int(more[1])
    return len(parts) if text[1:-1] else 0
