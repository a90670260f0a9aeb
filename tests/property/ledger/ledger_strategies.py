"""Values of the canonical profile, for the ledger's property tests."""

from hypothesis import strategies as st

from pfgov_ledger import canonical

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00").filter(
        lambda c: not (0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE)
    ),
    max_size=12,
)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
INTEGERS = st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
SCALARS = st.none() | st.booleans() | INTEGERS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
