"""Every verb of ``pfgov policy``, in the order in which a change goes: written, tried, weighed, made binding."""

from pfgov.cli import (
    policy_active,
    policy_bench,
    policy_bundle,
    policy_diff,
    policy_impact,
    policy_lsp,
    policy_mutate,
    policy_propose,
    policy_publisher,
    policy_repl,
    policy_shadow,
    policy_try,
    policy_watch,
)
from pfgov.cli.policy import policy

__all__ = [
    "policy",
    "policy_active",
    "policy_bench",
    "policy_bundle",
    "policy_diff",
    "policy_impact",
    "policy_lsp",
    "policy_mutate",
    "policy_propose",
    "policy_publisher",
    "policy_repl",
    "policy_shadow",
    "policy_try",
    "policy_watch",
]
