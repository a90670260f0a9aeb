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
from pfgov.core.quantity import from_text
from pfgov.core.records import Member, Packet, TrustScore
from pfgov.core.verdicts import Point
from pfgov.errors import InvalidError, PolicyError
from pfgov.model import FlightPacket, MemberRegistration
from pfgov.policy import PolicyErrors, PolicySet, load_directory
from pfgov.policy.authoring.asking import ask
from pfgov.policy.problems import Problem

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}\.ya?ml", re.ASCII)
"""What a policy file that comes as a text may be called."""

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
    packet = _packet(flight)
    left = facts[0] if source is None else member_facts(_member(source.to_action()), policy.labels)
    question = ask(
        point.value,
        packet=packet_facts(packet, terms_facts(packet.terms, policy.labels)),
        source=left if point in {Point.HANDOFF, Point.ACCEPT} else None,
        now=now,
    )
    verdicts = policy.judge(question, facts, validated=True)
    return read_table(of_verdicts(members, verdicts, {}).table({}))


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
