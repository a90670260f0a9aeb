"""Which policy set a command is about: the binding one, a folder's, a signed bundle's, or one that the ledger recorded.

``policy eval``, ``who`` and ``test`` all ask here, and all name in their output what they asked, so that nobody takes
the word of one set for that of another.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.output import Output, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pfgov.policy import PolicySet
    from pfgov.policy.files.folder import Unread

BINDING: Final = "binding"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

against_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--against",
    "--policies",
    "against",
    metavar="binding|DIR|BUNDLE|DIGEST",
    help="The policy set to ask: the binding one, a folder's, a signed bundle's, or one that the ledger recorded. "
    "The binding one by default where there is a ledger, else the starter set.",
)
"""The option that names a set; ``--policies`` is its older name."""


uncovered_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--leave-uncovered",
    type=click.Choice(("register", "assign", "handoff", "accept", "retain")),
    multiple=True,
    help="A point at which the set has no rule, and nothing shall be allowed; again for another.",
)
"""The option that names what a set may leave uncovered."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """What of a folder is no part of its policy set, and why: said wherever the set is put to use."""

    files: "Sequence[Unread]"

    @classmethod
    def of(cls, folder: Path | None) -> "NotRead":
        """Return what is passed over in *folder*; nothing where it is none, or None."""
        from pfgov.policy.files.folder import list_folder

        return cls(list_folder(folder).unread if folder is not None and folder.is_dir() else ())

    def result(self) -> list[dict[str, str]]:
        """Return what the JSON object says of it."""
        return [{"path": str(item.path), "why": item.why} for item in self.files]

    def lines(self) -> list[str]:
        """Return what people are told of it."""
        return [f"not read: {item.shown}: {item.why}" for item in self.files]


@dataclass(frozen=True, slots=True)
class Asked:
    """A policy set, and what it was named: it stands in every answer."""

    policies: "PolicySet"
    name: str

    def result(self) -> dict[str, str]:
        """Return what the JSON object says of the set."""
        return {"policy": self.policies.digest, "against": self.name}

    def line(self) -> str:
        """Return what people are told of the set."""
        return f"asked: {self.name}, policy set {self.policies.digest[:12]}"


def asked(output: Output, against: str | None) -> Asked:
    """Return the set that *against* names; without a name the binding one, or the starter set where no ledger is.

    Raises:
        PfgovError: it does not load, or the ledger cannot be read or has no such set.
        UsageError: *against* names nothing.
    """
    from pfgov.policy import load_directory, load_starter

    if against is None and not _has_ledger(output):
        return Asked(load_starter(), "the starter set")
    if against is not None and against != BINDING:
        if against and Path(against).is_dir():
            return Asked(load_directory(against), against)
        if Path(against).is_file():
            from pfgov.app.change import bundling

            found = bundling.opened(bundling.read_file(Path(against)))
            return Asked(bundling.compiled(found), against)
        if not _DIGEST.fullmatch(against):
            if "/" in against:
                load_directory(against)  # it says what is wrong with a folder
            raise usage(
                f"{against!r} is no folder of policies, no bundle and no digest of a set",
                "write `binding`, a folder, a bundle, or the 64 digits that `pfgov policy show --json` prints",
            )
    return _recorded(output, None if against in {None, BINDING} else against)


def _has_ledger(output: Output) -> bool:
    from pfgov.app.local.folder import has_ledger

    named = output.url is not None or output.is_directory_named
    return named or has_ledger(output.directory)


def _recorded(output: Output, digest: str | None) -> Asked:
    """Return the binding set of the ledger that the command line means, or the one of *digest*."""
    from pfgov.cli.opening import reading

    with reading(output) as book:
        found = book.policy_set(digest)
    where = output.url or str(output.directory)
    return Asked(found, f"the {'binding' if digest is None else 'recorded'} set of {where}")
