"""Policy change control: what a change of the binding set does, known before it does it."""

from pfgov.engine.reading import Affected, Consequences, Listed, Report, Span
from pfgov.engine.reading.impact import decode, digest, encode

__all__ = [
    "Affected", "Consequences", "Listed", "Report", "Span", "decode", "digest", "encode",
]  # fmt: skip
