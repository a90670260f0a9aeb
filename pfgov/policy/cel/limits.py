"""Every bound of the CEL engine, by name: what an author may write and what an evaluation may use.

Numbers only.  Nothing here knows how a bound is enforced; the module that
enforces one names it, and a test stands at each edge.
"""

from typing import Final

SOURCE_CHARACTERS: Final = 4_096
"""Longest source text; refused before any parser sees it."""

TOKENS: Final = 2_048
"""Most tokens in a source text; cel-python's parser takes some 0.03 ms each."""

NESTING: Final = 32
"""Deepest nesting of parentheses, brackets and braces."""

TREE_DEPTH: Final = 64
"""Deepest syntax tree (``&&`` and ``||`` chains count once, whatever their length)."""

TREE_NODES: Final = 2_048
"""Most nodes in one syntax tree."""

COST_UNITS: Final = 1_000_000
"""Largest static cost of one expression, in cel-go's units (the bound Kubernetes uses per call)."""

WORK_UNITS: Final = COST_UNITS
"""Most work of one evaluation at run time: a unit a loop step, list item or ten characters.

Work never exceeds the static cost where facts keep their declared bounds, so this is a
backstop for facts that nobody bounded.
"""

ITEMS_ASSUMED: Final = 256
"""Items assumed, for the static cost, in a list or map whose bound nobody declared."""

CHARACTERS_ASSUMED: Final = 1_024
"""Characters assumed, for the static cost, in a string or bytes whose bound nobody declared."""

FACT_DEPTH: Final = 128
"""Deepest nesting of facts that are compared; what comes in is never nested deeper than 32."""

RANGE_ITEMS: Final = 1_000
"""Longest list that ``lists.range`` makes."""

PATTERN_CHARACTERS: Final = 512
"""Longest regular expression."""

PATTERN_MEMORY_BYTES: Final = 1 << 20
"""Memory one compiled regular expression may take (RE2's ``max_mem``)."""

PATTERN_STEP_UNITS: Final = 10
"""Time of compiling one step of a regular expression's program."""

PATTERN_COMPILED_UNITS: Final = 20_000
"""Time of compiling a regular expression that is not known before it is used."""

PATTERN_CHARACTER_STEPS: Final = 4
"""Steps of a pattern's program for which one character of a text takes a unit, at worst: where RE2 has to keep all of
them in mind at once."""

PATTERN_STEPS_ASSUMED: Final = 65_536
"""Steps assumed of a pattern that is not known before it is used: more fit into no program of that memory."""

FORMAT_PRECISION: Final = 1_000
"""Largest precision in a format clause such as ``%.3f``."""

INT_MIN: Final = -(2**63)
"""The least int of CEL: 64 bits with a sign."""
INT_MAX: Final = 2**63 - 1
"""The greatest int of CEL."""
UINT_MAX: Final = 2**64 - 1
"""The greatest uint of CEL: 64 bits."""
DOUBLE_EXACT: Final = 2**53
"""Integers up to this magnitude convert to double without rounding."""
