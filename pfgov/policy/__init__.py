"""Policies: the language, its files, its compiled sets and the tools of its authors.

Files become a :class:`PolicySet` through :func:`load_directory` (or :class:`PolicyErrors` with every
problem in them); a set answers a :class:`Question` with one verdict a candidate.  This package
knows the facts' schema but not where facts come from, and it knows neither schedulers nor storage.
"""

from pfgov.policy.facts import SEMANTICS
from pfgov.policy.fleet import Fleet, Kinds
from pfgov.policy.load import (
    from_document,
    kernel_only,
    load_directory,
    load_starter,
    shipped_directory,
)
from pfgov.policy.policyset import PolicySet, Question
from pfgov.policy.problems import PolicyErrors, Problem

__all__ = [
    "SEMANTICS",
    "Fleet",
    "Kinds",
    "PolicyErrors",
    "PolicySet",
    "Problem",
    "Question",
    "from_document",
    "kernel_only",
    "load_directory",
    "load_starter",
    "shipped_directory",
]
