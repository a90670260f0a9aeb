"""Policy sets that came as texts, and trying one out on a packet and members that need not exist.

Nothing here is recorded, and no ledger is needed.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pfgov.app.prepare import looked_through
from pfgov.app.views import VerdictRow, read_table
from pfgov.core import commands as c
from pfgov.core.apply import new_packet
from pfgov.core.events import Imported, PacketCreated
from pfgov.core.judging import member_facts, of_verdicts, packet_facts, terms_facts
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.policy_port import Question
from pfgov.core.quantity import from_text
from pfgov.core.records import Member, Packet, TrustScore
from pfgov.core.verdicts import Point
from pfgov.errors import InvalidError, PolicyError
from pfgov.model import FlightPacket, MemberRegistration
from pfgov.policy import PolicyErrors, PolicySet, load_directory
from pfgov.policy.authoring.asking import ask
from pfgov.policy.authoring.explain import Step, explain
from pfgov.policy.problems import Problem

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}\.ya?ml", re.ASCII)
"""What a policy file that comes as a text may be called."""

STEPS_SHOWN_MAX: Final = 400
"""Parts of conditions whose values are shown, over all members that a question is about."""

STEP_LENGTH_MAX: Final = 160
"""Characters of such a part, and of its value."""

NOBODY_REAL: Final = "playground"
"""Names the packet and the principal of a question about neither."""


def compiled(files: Mapping[str, str]) -> PolicySet:
    """Compile policy files, given as name -> YAML text.

    Raises:
        InvalidError: a name is not that of a YAML file in one folder.
        PolicyErrors: the files do not make a set.
    """
    for name in files:
        if not NAME.fullmatch(name):
            raise InvalidError(
                f"{name[:64]!r} is not a file name like placement.policy.yaml", pointer="/files",
                hint="lower-case letters, digits, dots, dashes; no folders",
            )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pfgov-policies-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        try:
            return load_directory(folder)
        except PolicyErrors as error:
            raise PolicyErrors(_as_sent(one, folder) for one in error.problems) from None
        except PolicyError as error:
            message = error.message.replace(folder, "what was sent")
            raise PolicyError(message, code=error.code, hint=error.hint, pointer="/files") from None


def _as_sent(problem: Problem, folder: str) -> Problem:
    """Return *problem* with the names that the files were sent under instead of paths of this machine."""

    def named(text: str) -> str:
        return text.replace(f"{folder}{os.sep}", "").replace(folder, "/files")

    hint = None if problem.hint is None else named(problem.hint)
    return replace(problem, file=named(problem.file), message=named(problem.message), hint=hint)


def evaluate(
    policy: PolicySet,
    flight: FlightPacket,
    registrations: Sequence[MemberRegistration],
    point: Point,
    now: int,
    source: MemberRegistration | None = None,
) -> list[VerdictRow]:
    """Return what *policy* says at *now* (microseconds) of each of at least one member as an owner of the packet.

    An operator asks, as with ``pfgov policy eval``.  A handoff leaves *source*, by default the first member.
    """
    members = [_member(one.to_action()) for one in registrations]
    facts = [member_facts(member, policy.labels) for member in members]
    left = facts[0] if source is None else member_facts(_member(source.to_action()), policy.labels)
    verdicts = policy.judge(_question(policy, flight, point, now, left), facts, validated=True)
    return read_table(of_verdicts(members, verdicts, {}).table({}))


def in_full(
    policy: PolicySet,
    flight: FlightPacket,
    registrations: Sequence[MemberRegistration],
    point: Point,
    now: int,
    source: MemberRegistration | None = None,
) -> list[Mapping[str, object]]:
    """Return of each member what every rule said that applies, with the value of each part of its conditions.

    For people: what is longer than a person reads is cut, at ``STEPS_SHOWN_MAX`` and ``STEP_LENGTH_MAX``.
    """
    facts = [member_facts(_member(one.to_action()), policy.labels) for one in registrations]
    left = facts[0] if source is None else member_facts(_member(source.to_action()), policy.labels)
    question = _question(policy, flight, point, now, left)
    found: list[Mapping[str, object]] = []
    steps_left = STEPS_SHOWN_MAX
    for asked, fact in zip(registrations, facts, strict=True):
        rules: list[Mapping[str, object]] = []
        for rule in explain(policy, question, fact).rules:
            steps = rule.steps[:steps_left] if rule.status != "not applicable" else ()
            if steps:
                rules.append({"rule": rule.name, "status": rule.status, "steps": _steps(steps)})
                steps_left -= len(steps)
        found.append({"member_id": asked.id, "rules": rules})
    return found


def _steps(steps: Sequence[Step]) -> list[Mapping[str, object]]:
    return [{"depth": one.depth, "text": _cut(one.text), "value": _cut(one.value)} for one in steps]


def _cut(text: str) -> str:
    return text if len(text) <= STEP_LENGTH_MAX else text[: STEP_LENGTH_MAX - 1] + "…"


def _question(
    policy: PolicySet, flight: FlightPacket, point: Point, now: int, left: Mapping[str, object]
) -> Question:
    packet = _packet(flight)
    return ask(
        point.value,
        packet=packet_facts(packet, terms_facts(packet.terms, policy.labels)),
        source=dict(left) if point in {Point.HANDOFF, Point.ACCEPT} else None,
        now=now,
    )


def _packet(flight: FlightPacket) -> Packet:
    packet_id = flight.packet_id or NOBODY_REAL
    context = c.Commitment(digest="0" * 64, size=0) if flight.context_checkpoint else None
    asked = flight.to_action(packet_id=packet_id, context=context)
    found = looked_through(flight.context_payload())
    return new_packet(
        PacketCreated(
            packet_id=packet_id,
            workload_type=asked.workload_type,
            required_capabilities=asked.required_capabilities,
            constraints=asked.constraints,
            handoff=asked.handoff,
            demand=asked.demand,
            data_classes=tuple(sorted({*asked.data_classes, *found.classes})),
            priority=asked.priority,
            labels=asked.labels,
            created_at=0,
            lineage_id=asked.lineage_id,
            step=asked.step,
            imported=Imported(),
            scan=found,
        )
    )


def _member(asked: c.RegisterMember) -> Member:
    trust = (
        None
        if asked.trust_score is None
        else TrustScore(from_text(asked.trust_score), NOBODY_REAL, 0)
    )
    return Member(
        member_id=asked.member_id,
        incarnation=1,
        kind=asked.type,
        status=MemberStatus.ACTIVE,
        principal=NOBODY_REAL,
        capabilities={
            one.name: c.Capability(name=one.name, version=one.version) for one in asked.capabilities
        },
        capacity={name: from_text(text) for name, text in asked.capacity},
        region=asked.region,
        clearances=asked.clearances,
        labels=asked.labels,
        attested=trust,
    )
