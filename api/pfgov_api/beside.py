"""What a server has beside its default ledger: the ledgers of a folder, and a root over all of them.

It says where they are and makes what keeps them; which ledger a request is for is :mod:`pfgov_api.named`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfgov.app.hosting import Engine
from pfgov.app.root.keeping import Root
from pfgov.app.tenancy.claims import Claims
from pfgov.app.tenancy.limits import OPEN_LEDGERS_MAX
from pfgov.app.turns import Turns
from pfgov_api.hosts import Domain
from pfgov_api.keyring import KeyRing
from pfgov_api.named import Named
from pfgov_api.routes import OPERATIONS
from pfgov_api.service import Service
from pfgov_api.standby import Standby


@dataclass(frozen=True, slots=True)
class Beside:
    """Ledgers that are served beside the default one.

    Attributes:
        folder: The folder of their folders.
        share_keys: Whether the default ledger's keys and tokens are theirs.
        most: How many may be open at once.
        domain: Where each of them has a host of its own.
    """

    folder: Path
    share_keys: bool = False
    most: int = OPEN_LEDGERS_MAX
    domain: Domain | None = None

    @property
    def hosts(self) -> str | None:
        """The hosts at which others find them; None where they have none."""
        return None if self.domain is None else self.domain.host_of("*")


@dataclass(frozen=True, slots=True)
class Rooted:
    """The root that a server keeps over its ledgers.

    Attributes:
        folder: Where it is.
        witnesses: A C2SP tlog-policy file: who cosigns its checkpoints.
        interval_seconds: Between two looks at the ledgers, and two rounds of the witnesses.
    """

    folder: Path
    witnesses: Path | None = None
    interval_seconds: float = 10.0


def others(
    beside: Beside | None,
    default: Service,
    check: Callable[[Engine, KeyRing], None] | None,
    turns: Turns,
    directory: Path,
) -> Named | None:
    """Return the ledgers *beside* the *default* one, which is in *directory* and had by *turns*."""
    if beside is None:
        return None
    return Named(
        beside.folder,
        OPERATIONS,
        default=default,
        share=beside.share_keys,
        domain=beside.domain,
        check=check,
        most=beside.most,
        claims=Claims(turns.address, turns.nodes if turns.can_change else None),
        leave_out=directory,
    )


def root_over(rooted: Rooted | None, service: Service, directory: Path) -> Root | None:
    """Return the root over the default ledger, which is in *directory*, and those beside it; a standby keeps none.

    Raises:
        PfgovError: ``root.*``, ``store.*``, ``witness.policy``.
    """
    if rooted is None or isinstance(service, Standby):
        return None
    named = service.named

    def ledgers() -> list[tuple[str, Path]]:
        others = () if named is None else tuple(named.keeper.places.values())
        return [("(default)", directory), *((one.name, one.directory) for one in others)]

    return Root(
        rooted.folder, ledgers, witnesses=rooted.witnesses, interval_seconds=rooted.interval_seconds
    )
