"""What can be done about a cluster and its ledger, as values.  Each can be done twice without harm.

``deciding`` makes them, ``performing`` does them; this module knows neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit the packet of a pod; the same body under the same key is the same command."""

    pod_uid: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Do *verb* to a packet: ``complete``, ``fail`` and ``cancel``."""

    packet_id: str
    verb: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Register:
    """Register a member."""

    member_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """Change what the ledger knows of a member."""

    member_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Beat:
    """Renew a member's lease."""

    member_id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Do *verb* to a member: ``drain``, ``cancel-drain``, ``recover``, ``fail``."""

    member_id: str
    verb: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Change a pod that is still at *version*: ``open`` its gate or ``note`` its packet, owner and epoch."""

    what: str
    namespace: str
    pod: str
    version: str
    patch: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask for the end of a pod that nobody owns where it runs; budgets of disruption are heeded."""

    namespace: str
    pod: str
    uid: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Say on the pod what became of it: a condition, and an event."""

    namespace: str
    pod: str
    uid: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Show:
    """Have a mirror of a packet or a member say *status*; ``version`` is None where there is none yet."""

    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the mirror of what is over."""

    kind: str
    namespace: str
    name: str
    uid: str


Action: TypeAlias = (
    Submit | Act | Register | Update | Beat | Turn | Patch | Evict | Tell | Show | Drop
)
