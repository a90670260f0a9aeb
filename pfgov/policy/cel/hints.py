"""Did-you-mean: the nearest known name to a misspelt one.

Knows strings only.  Distance is by similarity of the text, with a preference for a name
that the misspelt one begins or ends with.
"""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name among *known* that *name* was probably meant to be, or None."""
    candidates = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    if close:
        return lowered[close[0]]
    squeezed = _squeeze(name)
    for candidate in candidates:
        other = _squeeze(candidate)
        if len(squeezed) >= 4 and (other.startswith(squeezed) or other.endswith(squeezed)):
            return candidate
    return None


def _squeeze(name: str) -> str:
    return name.replace("_", "").replace(".", "").lower()


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """``did you mean `x`?`` or None."""
    found = nearest(name, known)
    return f"did you mean `{found}`?" if found else None
