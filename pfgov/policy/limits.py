"""Every bound of the policy language, named once; numbers only.

The bounds of a single expression are in :mod:`pfgov.policy.cel.limits`, those of the facts in
:mod:`pfgov.limits`.
"""

from typing import Final

FILE_BYTES_MAX: Final = 262_144
"""Bytes in one policy, test or fixture file."""

FILES_MAX: Final = 512
"""Files read from one directory."""

YAML_DEPTH_MAX: Final = 16
"""Mappings and lists inside each other in one file."""

YAML_NODES_MAX: Final = 50_000
"""Values in one file."""

POLICIES_MAX: Final = 128
"""Policies in one set, the kernel included."""

RULES_PER_POLICY_MAX: Final = 256
"""Rules in one policy."""

RULES_PER_SET_MAX: Final = 1_024
"""Rules in one set, the kernel included."""

SET_TIME_UNITS_MAX: Final = 1_000_000
"""What the rules of a set may take on one candidate at one decision point, in units of at most 0.1 microseconds."""

SOURCE_CHARACTERS_MAX: Final = 131_072
"""Characters in all expressions of one set: parsing and checking them takes some seconds."""

PATTERNS_MAX: Final = 256
"""Calls of ``matches`` in all expressions of one set: a pattern of a few characters can take 50 ms to be compiled."""

LABEL_PATTERN_STEPS_MAX: Final = 65_536
"""Steps of the programs of all labels' patterns in one set: values of 256 characters are held to them in half a second
at the most."""

NAMES_MAX: Final = 128
"""Params or variables in one policy or definitions file."""

LIST_PARAM_MAX: Final = 256
"""Items in a list or map param."""

NAME_LENGTH_MAX: Final = 64
"""Characters in the name of a policy, a rule, a param or a variable."""

APPROVALS_MAX: Final = 8
"""Different principals that one escalation may ask for."""

OBLIGATIONS_PER_RULE_MAX: Final = 8
"""Obligations of one rule."""

REDACT_PATHS_MAX: Final = 64
"""JSON pointers in one ``redact`` obligation."""

DOCUMENT_BYTES_MAX: Final = 1_048_576
"""Bytes of the canonical document of a set: what the ledger attaches."""

VERDICTS_CACHED_MAX: Final = 65_536
"""Verdicts kept for reuse at one decision point; the cache is emptied when full."""

REASONS_KEPT_MAX: Final = 512
"""Reasons of one rule kept for reuse with equal facts; the memory is emptied when full."""

COLUMN_KEYS_MAX: Final = 4_096
"""Values of a packet's facts that one rule was asked with once, so that the second time is remembered."""

COLUMN_OUTCOMES_MAX: Final = 16_384
"""Reasons of one rule kept for reuse over a fleet; the memory is emptied when full."""

ESCALATION_MICROS_MAX: Final = 366 * 86_400 * 1_000_000
"""The longest an escalation may wait."""

CASES_MAX: Final = 10_000
"""Cases in one test file."""

GENERATED_MAX: Final = 400
"""Inputs generated for one property unless the test says otherwise."""
