"""What an auditor asks about one packet: seven questions, each line of an answer with the entries that prove it.

The questions are those of the specification's Flight Recorder.  Everything is read from the packet's own entries and
from those of the members that had it or were offered it; nothing is judged, and nothing is left out silently: entries
that who asks may not read are counted as withheld.  Where entries come from is not known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from pfgov.app.views.numbers import moment
from pfgov.app.views.sentences import sentence
from pfgov.core import events as e
from pfgov.core.commands import Commitment
from pfgov.core.verdicts import Point
from pfgov_ledger.escaping import shown

QUESTIONS: Final[Mapping[str, str]] = {
    "registered": "Who registered?",
    "advertised": "What capabilities were advertised?",
    "selected": "Why was this member selected?",
    "context": "What context moved?",
    "handoffs": "Why did it change hands?",
    "policies": "Which policy allowed it?",
    "retired": "When did the member retire?",
}
"""Key of an answer -> the question, in the order of the page."""

OF_A_MEMBER: Final = (
    "member_registered", "member_recovered", "member_failed", "member_draining", "drain_cancelled", "member_retired",
    "capability_discovered", "capability_withdrawn",
)  # fmt: skip
"""The entries of a member that an audit reads."""

_MOVES: Final = (
    e.HandoffStarted,
    e.HandoffCompleted,
    e.HandoffDenied,
    e.HandoffEscalated,
    e.HandoffAborted,
    e.OwnershipRevoked,
    e.PacketRequeued,
)


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that proves something: where, when, its leaf hash (hex), and whose command caused it."""

    seq: int
    time: str
    type: str
    subject: str
    leaf: str
    principal: str | None = None
    principal_name: str | None = None


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is so, and what proves it; ``details`` is for programs."""

    says: str
    entries: list[AuditEntry]
    details: dict[str, Any] = {}


class AuditAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One of :data:`QUESTIONS` with its answer; no lines means that nothing of the kind happened."""

    key: str
    question: str
    lines: list[AuditLine]


class PacketAudit(msgspec.Struct, frozen=True, kw_only=True):
    """The seven answers.  ``size`` is the ledger's when it was read; ``whole`` is false where there was too much."""

    packet_id: str
    workload_type: str
    status: str
    current_owner: str | None
    epoch: int
    size: int
    whole: bool
    withheld: int
    answers: list[AuditAnswer]


class Read(Struct, frozen=True):
    """An entry as it was read; the time in microseconds."""

    seq: int
    time: int
    leaf: bytes
    event: e.Event


class Evidence(Struct, frozen=True):
    """What an audit is made of.

    Attributes:
        packet: The packet's entries, oldest first.
        members: Of each member that had the packet or was offered it, the entries of :data:`OF_A_MEMBER`.
        policies: Every activation of a policy set, oldest first.
    """

    packet: Sequence[Read]
    members: Mapping[str, Sequence[Read]] = field(default_factory=dict[str, Sequence[Read]])
    policies: Sequence[Read] = ()


def members_in(packet: Iterable[e.Event]) -> list[str]:
    """Return the members that had the packet or were offered it, in the order in which that happened."""
    return list(dict.fromkeys(life.member_id for event in packet for life in _lives_in(event)))


def audit_answers(evidence: Evidence) -> list[AuditAnswer]:
    """Return the seven answers."""
    lives = _lives(evidence.packet)
    lines = {
        "registered": _registered(evidence, lives),
        "advertised": _advertised(evidence, lives),
        "selected": [_selected(one) for one in evidence.packet if _decision(one.event)],
        "context": _context(evidence.packet),
        "handoffs": _handoffs(evidence),
        "policies": _policies(evidence),
        "retired": _retired(evidence, lives),
    }
    return [
        AuditAnswer(key=key, question=question, lines=lines[key])
        for key, question in QUESTIONS.items()
    ]


def _entry(one: Read) -> AuditEntry:
    command = one.event.command
    return AuditEntry(
        seq=one.seq,
        time=moment(one.time) or "",
        type=one.event.type,
        subject=getattr(one.event, "subject", ""),
        leaf=one.leaf.hex(),
        principal=command.principal.id if command else None,
        principal_name=command.principal.name if command else None,
    )


def _line(says: str, *proof: Read, **details: Any) -> AuditLine:
    given = {name: value for name, value in details.items() if value not in (None, [], {}, ())}
    return AuditLine(says=says, entries=[_entry(one) for one in proof], details=given)


def _decision(event: e.Event) -> e.Decision | None:
    found = getattr(event, "decision", None)
    is_moving = not isinstance(event, e.DecisionEvaluated)
    return found if is_moving and isinstance(found, e.Decision) else None


def _lives_in(event: e.Event) -> list[e.Owner]:
    if isinstance(event, e.DecisionEvaluated | e.WriteRefused):
        return []
    found = (getattr(event, name, None) for name in ("source", "owner", "target"))
    return [one for one in found if isinstance(one, e.Owner)]


def _lives(packet: Sequence[Read]) -> dict[tuple[str, int], int]:
    """Return each life of a member that had the packet or was offered it, with the position of the first time."""
    found: dict[tuple[str, int], int] = {}
    for one in packet:
        for life in _lives_in(one.event):
            found.setdefault((life.member_id, life.incarnation), one.seq)
    return found


def _name(member_id: str, incarnation: int) -> str:
    return f"{member_id} (life {incarnation})" if incarnation > 1 else member_id


def _who(one: Read) -> str:
    command = one.event.command
    if command is None:
        return "on its own account"
    named = f" ({command.principal.name})" if command.principal.name else ""
    return f"by {command.principal.id}{named}"


# --- the questions ------------------------------------------------------------------------


def _beginnings(entries: Sequence[Read], incarnation: int) -> list[Read]:
    """Return the entries that begin a life of a member: what it registered with, and the recovery, if it had failed."""
    begun = [
        one
        for one in entries
        if isinstance(one.event, e.MemberRegistered | e.MemberRecovered)
        and one.event.incarnation <= incarnation
    ]
    registered = [one for one in begun if isinstance(one.event, e.MemberRegistered)][-1:]
    return [
        *registered,
        *(
            one
            for one in begun
            if isinstance(one.event, e.MemberRecovered)
            and one.event.incarnation == incarnation
            and (not registered or one.seq > registered[0].seq)
        ),
    ]


def _registered(evidence: Evidence, lives: Mapping[tuple[str, int], int]) -> list[AuditLine]:
    created = [one for one in evidence.packet if isinstance(one.event, e.PacketCreated)][:1]
    lines = [
        _line(f"{sentence(one.event)}, {_who(one)} on {moment(one.time)}", one) for one in created
    ]
    for member_id, incarnation in lives:
        for one in _beginnings(evidence.members.get(member_id, ()), incarnation):
            event = one.event
            key = event.public_key if isinstance(event, e.MemberRegistered) else None
            lines.append(
                _line(
                    f"{sentence(event)}, {_who(one)} on {moment(one.time)}",
                    one,
                    member_id=member_id,
                    incarnation=incarnation,
                    public_key=key,
                )
            )
    return lines


def _advertised(evidence: Evidence, lives: Mapping[tuple[str, int], int]) -> list[AuditLine]:
    """Say what each member could do when the packet first came to it."""
    lines: list[AuditLine] = []
    for (member_id, incarnation), at in lives.items():
        entries = evidence.members.get(member_id, ())
        begun = _beginnings(entries, incarnation)
        proof = [one for one in begun if isinstance(one.event, e.MemberRegistered)]
        offered: dict[str, str | None] = {}
        for one in entries:
            event = one.event
            if not proof or not proof[0].seq <= one.seq < at:
                continue
            if isinstance(event, e.MemberRegistered):
                offered = {cap.name: cap.version for cap in event.capabilities}
            elif isinstance(event, e.CapabilityDiscovered):
                offered[event.capability.name] = event.capability.version
                proof.append(one)
            elif isinstance(event, e.CapabilityWithdrawn):
                offered.pop(event.name, None)
                proof.append(one)
        if proof:
            said = [
                f"{name} {version}" if version else name
                for name, version in sorted(offered.items())
            ]
            what = ", ".join(said) or "nothing"
            name = _name(member_id, incarnation)
            says = f"{name} offered {what} when the packet first came to it, at entry {at}"
            lines.append(_line(says, *proof, member_id=member_id, capabilities=offered))
    return lines


def _selected(one: Read) -> AuditLine:
    decision = _decision(one.event)
    if decision is None:
        raise AssertionError(one.event.type)
    says = sentence(one.event)
    chose = decision.scheduler if decision.point != Point.ACCEPT else None  # the target was named
    if chose is not None and decision.score is not None:
        says += f"; {chose.name} scored it {decision.score}"
        if decision.runner_up:
            says += f", {decision.runner_up} {decision.runner_up_score}"
    return _line(
        says,
        one,
        point=decision.point,
        considered=decision.considered,
        eligible=decision.eligible,
        rejected=dict(decision.rejected),
        scheduler=decision.scheduler and decision.scheduler.name,
        score=decision.score,
        runner_up=decision.runner_up,
        runner_up_score=decision.runner_up_score,
        nearest=[loser.member_id for loser in decision.nearest],
        table=decision.table,
    )


def _context(packet: Sequence[Read]) -> list[AuditLine]:
    lines: list[AuditLine] = []
    for one in packet:
        event: Any = one.event
        found: Commitment | None = getattr(event, "context", None)
        view: Commitment | None = getattr(event, "view", None)
        named = found or view
        if named is None:
            continue
        whose = _lives_in(event)[-1:]
        to = f" for {whose[0].member_id}" if whose else ""
        size = f", up to {named.size} bytes"
        withheld = [path for duty in getattr(event, "obligations", ()) for path in duty.paths]
        less = f"; withheld: {', '.join(withheld)}" if withheld else ""
        step = getattr(event, "step", None)
        lines.append(
            _line(
                f"{event.type.replace('_', ' ')}{to}: commitment {named.digest}{size}{less}",
                one,
                commitment=found and found.digest,
                view=view and view.digest,
                size=named.size,
                withheld=withheld,
                step=step,
            )
        )
    return lines


def _handoffs(evidence: Evidence) -> list[AuditLine]:
    lines: list[AuditLine] = []
    for one in evidence.packet:
        if not isinstance(one.event, _MOVES):
            continue
        proof, event = [one], one.event
        if isinstance(event, e.OwnershipRevoked) and event.cause == "member_failed":
            died = (
                other
                for other in evidence.members.get(event.owner.member_id, ())
                if isinstance(other.event, e.MemberFailed)
                and other.event.incarnation == event.owner.incarnation
            )
            proof += list(died)[-1:]
        trigger = getattr(event, "reason", None) or getattr(event, "cause", None)
        lines.append(_line(sentence(event), *proof, trigger=trigger, reasons=_rules(event)))
    return lines


def _rules(event: e.Event) -> list[str]:
    found: tuple[str, ...] = getattr(event, "reasons", ())
    return list(found)


def _policies(evidence: Evidence) -> list[AuditLine]:
    reviews = {one.seq: one for one in evidence.packet if isinstance(one.event, e.ReviewRecorded)}
    lines: list[AuditLine] = []
    for one in evidence.packet:
        decision = _decision(one.event)
        if decision is None or not _lives_in(one.event):
            continue
        sets = [
            other
            for other in evidence.policies
            if other.seq < one.seq
            and isinstance(other.event, e.PolicyActivated)
            and other.event.digest == decision.policy
        ][-1:]
        names = [
            f"{ref.name} {ref.version}"
            for other in sets
            if isinstance(other.event, e.PolicyActivated)
            for ref in other.event.policies
        ]
        by = ", ".join(names) or "the kernel alone"
        outcome = getattr(one.event, "outcome", "allowed")
        asked = [reviews[seq] for seq in getattr(one.event, "reviews", ()) if seq in reviews]
        reviewed = "".join(f"; reviewed by {_reviewer(other)}" for other in asked)
        lines.append(
            _line(
                f"{outcome} at {decision.point} by {by} (set {decision.policy[:12] or 'kernel'}){reviewed}",
                one, *sets, *asked,
                outcome=outcome, point=decision.point, policy=decision.policy, policies=names,
                rejected=dict(decision.rejected), shadow=dict(decision.shadow),
            )
        )  # fmt: skip
    return lines


def _reviewer(one: Read) -> str:
    event = one.event
    return event.reviewer if isinstance(event, e.ReviewRecorded) else ""


def _retired(evidence: Evidence, lives: Mapping[tuple[str, int], int]) -> list[AuditLine]:
    """Say how each of those lives ended, or that it goes on."""
    lines: list[AuditLine] = []
    for member_id, incarnation in lives:
        ends = [
            one
            for one in evidence.members.get(member_id, ())
            if isinstance(
                one.event, e.MemberDraining | e.DrainCancelled | e.MemberRetired | e.MemberFailed
            )
            and one.event.incarnation == incarnation
        ]
        lines += [
            _line(f"{sentence(one.event)}, on {moment(one.time)}", one, member_id=member_id)
            for one in ends
        ]
        is_over = any(isinstance(one.event, e.MemberRetired | e.MemberFailed) for one in ends)
        if not is_over and member_id in evidence.members:
            proof = _beginnings(evidence.members[member_id], incarnation)[-1:]
            lines.append(
                _line(
                    f"{_name(member_id, incarnation)} has neither retired nor failed",
                    *proof,
                    member_id=member_id,
                )
            )
    return lines


# --- as Markdown --------------------------------------------------------------------------


def audit_markdown(audit: PacketAudit) -> str:
    """Return the audit as a Markdown document: a heading a question, a line an item, its entries after it."""
    owner = audit.current_owner or "nobody"
    stands = f"{_plain(audit.workload_type)}, {audit.status}, owned by {_plain(owner)} under epoch {audit.epoch}"
    lines = [
        f"# Audit of packet {_plain(audit.packet_id)}",
        "",
        f"{stands}; read from {audit.size} entries.",
    ]
    for answer in audit.answers:
        lines += ["", f"## {answer.question}", ""]
        lines += [f"- {_plain(one.says)} {_proof(one)}" for one in answer.lines]
        if not answer.lines:
            lines.append("Nothing of the kind is on record.")
    lines += ["", *(f"> {_plain(note)}" for note in notes(audit))]
    return "\n".join(lines).rstrip() + "\n"


def notes(audit: PacketAudit) -> list[str]:
    """Return what a reader has to know besides: what is missing, and how it is verified."""
    export = f"pfgov ledger export --subject packet/{audit.packet_id} --fresh --out FILE"
    found = [f"verify it elsewhere: {export}; then pfgov-verify FILE --key ANCHOR"]
    if audit.withheld:
        found.insert(0, f"{audit.withheld} entries about others are withheld from this key")
    if not audit.whole:
        found.insert(
            0,
            f"there is more on record than one page holds; see: pfgov packet show {audit.packet_id} --history",
        )
    return found


def _proof(line: AuditLine) -> str:
    return " ".join(f"[entry {one.seq} `{one.leaf[:16]}`]" for one in line.entries)


_ESCAPED: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#|"})


def _plain(text: str) -> str:
    """Return *text* as one line that shows what is in it."""
    return shown(text).translate(_ESCAPED)
