"""From what was asked to what the engine is given: an action, and the payloads behind its commitments.

Salts and ids are drawn here, and nowhere else at the edge, by whatever the caller brings along.  Every context comes by
here, whatever door it came in by, and is looked through for personal data: the names of the classes go on, and of the
context nothing but its commitment.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from pfgov.app.publishers import check_rotation
from pfgov.core.commands import (
    Action,
    ActivatePolicy,
    BundleRef,
    HandOff,
    PlacePacket,
    ProposePolicy,
    RefusePolicy,
    ReportRef,
    Scan,
)
from pfgov.core.lifecycle import OWNED
from pfgov.core.records import Packet
from pfgov.core.state import State
from pfgov.core.verdicts import PLACING
from pfgov.engine import Attachment, PolicyDocument
from pfgov.errors import NotFoundError, PfgovError
from pfgov.labelling import chosen, is_quick, micros_for, scan
from pfgov.model import Checkpoint, Completion, FlightPacket, PublisherRotation, Wire
from pfgov.policy import PolicyErrors

Attach = Callable[[str, str, bytes], Attachment]
"""Salts a payload: the subject that it belongs to, the field, the bytes."""


class Prepared(NamedTuple):
    """An action, and what belongs to it."""

    action: Action
    attachments: tuple[Attachment | PolicyDocument, ...] = ()

    @property
    def payloads(self) -> tuple[Attachment, ...]:
        """What is attached besides policy documents."""
        return tuple(one for one in self.attachments if isinstance(one, Attachment))


def prepare(
    asked: Wire | Action,
    attach: Attach,
    draw_id: Callable[[], str],
    *,
    member_id: str | None = None,
    packet_id: str | None = None,
) -> Prepared:
    """Return what a body describes, about a member or a packet; an action is taken as it is.

    Raises:
        TooLargeError: all fields together, or the context, are larger than they may be.
        DetectorError: a detector that is to look through contexts cannot be asked.
    """
    if isinstance(asked, Action):
        return Prepared(asked)
    if isinstance(asked, PublisherRotation):
        check_rotation(asked)
    body: Any = asked
    if isinstance(asked, Completion) and packet_id is not None:
        return _completing(asked, attach, packet_id)
    if not isinstance(asked, FlightPacket | Checkpoint):
        named = {"member_id": member_id, "packet_id": packet_id}
        about = {name: value for name, value in named.items() if value is not None}
        return Prepared(body.to_action(**about))
    if isinstance(asked, FlightPacket):
        packet_id = asked.packet_id or draw_id()
    payload = asked.context_payload()
    seen = looked_through(payload)
    if payload is None:
        return Prepared(body.to_action(packet_id=packet_id, scan=seen))
    attached = attach(f"packet/{packet_id}", "context", payload)
    action = body.to_action(packet_id=packet_id, context=attached.commitment, scan=seen)
    return Prepared(action, (attached,))


def _completing(asked: Completion, attach: Attach, packet_id: str) -> Prepared:
    payload = asked.result_payload()
    if payload is None:
        return Prepared(asked.to_action(packet_id=packet_id))
    attached = attach(f"packet/{packet_id}", "result", payload)
    return Prepared(asked.to_action(packet_id=packet_id, result=attached.commitment), (attached,))


def looked_through(payload: bytes | None) -> Scan:
    """Return what is found in the *payload* of a context, by class; nothing where there is none.

    Raises:
        DetectorError: a detector that is to look through contexts cannot be asked.
    """
    found = scan(payload, chosen(), micros=micros_for(payload))
    return Scan(detectors=found.detectors, classes=found.classes)


def takes_long(asked: Wire | Action, raw: bytes) -> bool:
    """Whether preparing what a body *raw* asks for may take longer than others should wait.

    Raises:
        DetectorError: a detector that is to look through contexts cannot be asked.
    """
    return isinstance(asked, FlightPacket | Checkpoint) and (bool(chosen()) or not is_quick(raw))


def placing(
    asked: FlightPacket, attach: Attach, draw_id: Callable[[], str], *, is_taken: bool
) -> Prepared:
    """Return what would submit *asked* now, as if it were not held; one whose id *is_taken* is judged as a new one."""
    packet_id = draw_id() if asked.packet_id is None or is_taken else asked.packet_id
    flight = asked.model_copy(update={"packet_id": packet_id, "hold": False})
    return prepare(flight, attach, draw_id)


def moving(packet: Packet) -> Prepared:
    """Return what would find an owner for *packet* now, or another one."""
    name = packet.packet_id
    return Prepared(
        HandOff(packet_id=name) if packet.status in OWNED else PlacePacket(packet_id=name)
    )


class Loaded(Protocol):
    """A policy set, or what another process says of one that it compiled."""

    @property
    def digest(self) -> str:
        """Its identity."""
        ...

    @property
    def document(self) -> bytes:
        """Its canonical form."""
        ...

    @property
    def policies(self) -> tuple[tuple[str, str, str], ...]:
        """Name, version and mode of each policy."""
        ...

    @property
    def points(self) -> Iterable[str]:
        """The decision points that it covers."""
        ...


def activating(
    found: Loaded,
    leave_uncovered: Iterable[str] = (),
    gone: Iterable[str] = (),
    *,
    bundle: BundleRef | None = None,
    report: ReportRef | None = None,
    rollback: Literal["ordinary", "emergency"] | None = None,
) -> Prepared:
    """Return what makes a policy set binding, with its document; it may leave these placing points uncovered.

    *gone* are approvers who may not approve any more; *bundle* and *report* are what it rests on.
    """
    action = ActivatePolicy.of(
        found.digest, found.policies, found.points, leave_uncovered, gone, bundle, report, rollback
    )
    return Prepared(action, (PolicyDocument(found.digest, found.document),))


def rolling_back(found: Loaded, gone: Iterable[str], *, emergency: bool) -> Prepared:
    """Return what makes a set binding again; what it leaves uncovered it left so before."""
    uncovered = set(PLACING) - set(found.points)
    return activating(
        found,
        map(str, uncovered),
        gone,
        rollback="emergency" if emergency else "ordinary",
    )


def earlier(state: State, digest: str | None) -> str:
    """Return the set that was binding before under *digest* or what it begins with; the last one by default.

    Raises:
        NotFoundError: ``policy.never_binding``, none was, or several begin so.
    """
    fitting = [one for one in state.policies_before if one.startswith(digest or "")]
    if fitting and (digest is None or len(fitting) == 1):
        return fitting[-1]
    known = ", ".join(one[:12] for one in reversed(state.policies_before))
    said = "no other policy set" if digest is None else f"no one policy set {digest[:64]!r}"
    raise NotFoundError(
        f"{said} was binding in this ledger, as far back as is remembered",
        code="policy.never_binding",
        hint=f"name one of {known}" if known else "make a set binding: pfgov policy activate DIR",
    )


def proposing(found: Loaded, note: str | None, report: ReportRef | None = None) -> Prepared:
    """Return what proposes a policy set, with its document, and with a *report* of what it would have decided."""
    action = ProposePolicy(
        digest=found.digest,
        policies=found.policies,
        points=tuple(sorted(map(str, found.points))),
        note=note,
        report=report,
    )
    return Prepared(action, (PolicyDocument(found.digest, found.document),))


def refusing(error: PfgovError) -> RefusePolicy:
    """Return what records that a policy set, or what it came with, did not load."""
    if not isinstance(error, PolicyErrors):
        return RefusePolicy(codes=(error.code,), errors=1)
    return RefusePolicy(codes=error.codes, errors=len(error.problems))
