"""Policies: the language, its files, its compiled sets and the tools of its authors.

Files become a :class:`PolicySet` through :func:`load_directory` (or :class:`PolicyErrors` with every
problem in them); a set answers a :class:`~pfgov.core.judging.Question` with one verdict a candidate.  This package
knows the facts' schema but not where facts come from, and it knows neither schedulers nor storage.
"""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.policy.facts import SEMANTICS
    from pfgov.policy.judging.judge import PolicySet
    from pfgov.policy.load import (
        from_document,
        kernel_only,
        load_directory,
        load_starter,
        shipped_directory,
    )
    from pfgov.policy.problems import PolicyErrors, Problem

__all__ = [
    "SEMANTICS",
    "PolicyErrors",
    "PolicySet",
    "Problem",
    "from_document",
    "kernel_only",
    "load_directory",
    "load_starter",
    "shipped_directory",
]

__getattr__ = face(
    __name__,
    {
        "pfgov.policy.facts": ("SEMANTICS",),
        "pfgov.policy.judging.judge": ("PolicySet",),
        "pfgov.policy.load": (
            "from_document",
            "kernel_only",
            "load_directory",
            "load_starter",
            "shipped_directory",
        ),
        "pfgov.policy.problems": (
            "PolicyErrors",
            "Problem",
        ),
    },
)
