"""Policies in shadow mode: the set in which one of them binds, made from what the ledger has of the binding set.

A policy in shadow mode is asked and decides nothing.  What it would have done is the impact of the same set with that
policy in force; to make it binding is to make that set binding, through the same door as any other.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pfgov.core.wording import counted
from pfgov.engine.reading import Report
from pfgov.errors import NotFoundError
from pfgov.policy import PolicySet
from pfgov.policy.authoring.showing import source_texts
from pfgov.policy.files.model import KERNEL


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What one policy in shadow mode would have done."""

    policy: str
    report: Report

    @property
    def rate(self) -> str:
        """The share of decisions that it would have changed, in per mille."""
        counts = self.report.counts
        changed = counts.decisions - counts.same
        return (
            f"{changed * 1000 // counts.decisions} in 1,000" if counts.decisions else "none asked"
        )


def shadowed(found: PolicySet) -> list[str]:
    """Return the names of the policies of a set that are in shadow mode, in order."""
    return sorted(name for name, _, mode in found.policies if mode == "shadow")


def promoted_files(found: PolicySet, name: str) -> dict[str, str]:
    """Return the files, by name, of the set *found* with the policy *name* in force.

    Raises:
        NotFoundError: ``policy.not_shadowed``, it is not in shadow mode there.
    """
    names = shadowed(found)
    if name not in names:
        known = f"in shadow mode: {', '.join(names)}" if names else "no policy is in shadow mode"
        raise NotFoundError(
            f"no policy {name[:64]!r} of the binding set is in shadow mode",
            code="policy.not_shadowed",
            hint=f"{known}; see: pfgov policy show",
        )
    bound = tuple(
        replace(one, mode="enforce") if one.name == name else one
        for one in found.bundle.policies
        if one.name != KERNEL  # which joins every set by itself
    )
    texts = source_texts(replace(found.bundle, policies=bound))
    return {f"{number:03}.policy.yaml": text for number, text in enumerate(texts)}


@contextmanager
def promoted(found: PolicySet, name: str) -> Generator[Path]:
    """Give a folder with :func:`promoted_files`, which is gone afterwards; raises as it does."""
    files = promoted_files(found, name)
    with TemporaryDirectory(prefix="pfgov-promoted-") as folder:
        for file, text in files.items():
            (Path(folder) / file).write_text(text, encoding="utf-8")
        yield Path(folder)


def summary_row(one: Shadowed) -> tuple[str, int, int, int, str]:
    """Return the cells of a policy: its name, decisions asked, wider, narrower, and the share that it would change."""
    counts = one.report.counts
    return one.policy, counts.decisions, counts.wider, counts.narrower, one.rate


def headline(found: list[Shadowed]) -> str:
    """Return what is said above the rows."""
    return f"{counted(len(found), 'policy', 'policies')} in shadow mode, each as if it alone were in force"
