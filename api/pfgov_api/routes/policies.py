"""Policies: what is binding, making a set binding, and trying one out on facts of one's own."""

import asyncio
import os
import re
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from pfgov import commands as c
from pfgov import model
from pfgov.apply import new_packet
from pfgov.decide.judging import of_verdicts
from pfgov.errors import InvalidError, NotFoundError, PolicyError
from pfgov.events import Imported, PacketCreated
from pfgov.facts import member_facts, packet_facts, terms_facts
from pfgov.lifecycle import MemberStatus
from pfgov.model import Wire
from pfgov.model.fields import Bounded
from pfgov.policy import (
    PolicyErrors,
    PolicySet,
    Question,
    from_document,
    kernel_only,
    load_directory,
)
from pfgov.policy.problems import Problem
from pfgov.policy.showing import set_view
from pfgov.quantity import from_text
from pfgov.records import Member, TrustScore
from pfgov.verdicts import Point
from pfgov.views import nearest_miss, read_table
from pfgov_api.answers import recorded
from pfgov_api.operations import AUDITORS, READERS, Answer, Call, Operation
from pfgov_api.routes.running import WRITE, run

FILES_MAX: Final = 64
FILE_LENGTH_MAX: Final = 65_536
MEMBERS_MAX: Final = 100
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}\.ya?ml", re.ASCII)

Files = Annotated[
    dict[str, Annotated[str, Field(max_length=FILE_LENGTH_MAX)]],
    Field(
        min_length=1,
        max_length=FILES_MAX,
        json_schema_extra={"propertyNames": {"pattern": f"^{_NAME.pattern}$"}},
    ),
]


class Activation(Wire):
    """A policy set: file name -> YAML text."""

    files: Files


class PolicyQuestion(Wire):
    """A question to a policy set that need not be binding; nothing is recorded."""

    files: Files | None = None
    packet: model.FlightPacket
    members: Annotated[
        tuple[model.MemberRegistration, ...],
        Bounded(MEMBERS_MAX, unique=False),
        Field(json_schema_extra={"minItems": 1}),
    ]
    action: Literal["assign", "handoff", "accept", "retain"] = "assign"


def compiled(files: dict[str, str]) -> PolicySet:
    """Compile policy files that came over the wire.

    Raises:
        InvalidError: a name is not that of a YAML file in one folder.
        PolicyErrors: the files do not make a set.
    """
    for name in files:
        if not _NAME.fullmatch(name):
            raise InvalidError(
                f"{name[:64]!r} is not a file name like placement.policy.yaml", pointer="/files",
                hint="lower-case letters, digits, dots, dashes; no folders",
            )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pfgov-policies-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        try:
            return load_directory(folder)
        except PolicyErrors as error:
            raise PolicyErrors(_as_sent(one, folder) for one in error.problems) from None
        except PolicyError as error:
            message = error.message.replace(folder, "what was sent")
            raise PolicyError(message, code=error.code, hint=error.hint, pointer="/files") from None


def _as_sent(problem: Problem, folder: str) -> Problem:
    """Return *problem* with the names that the files were sent under: where they lie here is nobody's business."""

    def told(text: str) -> str:
        return text.replace(f"{folder}{os.sep}", "").replace(folder, "/files")

    hint = None if problem.hint is None else told(problem.hint)
    return replace(problem, file=told(problem.file), message=told(problem.message), hint=hint)


async def _show(call: Call) -> Answer:
    return Answer(set_view(await _active(call)))


async def _active(call: Call) -> PolicySet:
    digest, document = await _binding(call)
    if not digest:
        return await asyncio.to_thread(kernel_only)
    return await asyncio.to_thread(from_document, document, generated=True)


async def _binding(call: Call) -> tuple[str, bytes]:
    """Return the digest and the document of the binding set; both empty while there is none but the kernel."""
    digest = await call.service.in_turn(lambda: call.service.engine.status().policy)
    if not digest:
        return "", b""
    return digest, await asyncio.to_thread(call.service.reader.policy_document, digest)


async def _document(call: Call) -> Answer:
    digest, document = await _binding(call)
    if not digest:
        raise NotFoundError(
            "no policy set is binding but the kernel",
            code="policy.not_found",
            hint="activate a folder of policies: pfgov policy activate DIR",
        )
    return Answer(raw=document)


async def _activate(call: Call) -> Answer:
    body: Activation = call.body
    try:
        found = await call.service.at_length(compiled, body.files)
    except PolicyErrors as error:
        refuse = c.RefusePolicy(codes=error.codes, errors=len(error.problems))
        await call.service.submit(refuse, principal=call.principal, request_id=call.request_id)
        raise
    from pfgov.engine.answers import PolicyDocument

    action = c.ActivatePolicy(
        digest=found.digest, policies=found.policies, points=tuple(sorted(map(str, found.points)))
    )
    receipt = await run(call, action, (PolicyDocument(found.digest, found.document),))
    return await recorded(call, receipt)


async def _evaluate(call: Call) -> Answer:
    body: PolicyQuestion = call.body
    if not body.members:
        raise InvalidError("members: there is nobody to ask about", pointer="/members")
    # In a thread, judging too: a set may take seconds, and nobody else's request should wait for it.
    found = (
        await call.service.at_length(compiled, body.files)
        if body.files is not None
        else await _active(call)
    )
    packet_id = body.packet.packet_id or "playground"
    context = c.Commitment(digest="0" * 64, size=0) if body.packet.context_checkpoint else None
    submitted = body.packet.to_action(packet_id=packet_id, context=context)
    packet = new_packet(
        PacketCreated(
            packet_id=packet_id,
            workload_type=submitted.workload_type,
            required_capabilities=submitted.required_capabilities,
            constraints=submitted.constraints,
            handoff=submitted.handoff,
            demand=submitted.demand,
            data_classes=submitted.data_classes,
            priority=submitted.priority,
            labels=submitted.labels,
            created_at=0,
            lineage_id=submitted.lineage_id,
            step=submitted.step,
            imported=Imported(),
        )
    )
    members = [_member(one.to_action()) for one in body.members]
    question = Question(
        point=Point(body.action),
        action=body.action,
        packet=packet_facts(packet, terms_facts(packet.terms)),
        source=member_facts(members[0]) if body.action in {"handoff", "accept"} else None,
        now=call.service.engine.clock.now(),
    )
    facts = [member_facts(member) for member in members]
    judge = partial(found.judge, question, facts, validated=True)
    verdicts = await call.service.at_length(judge)
    rows = read_table(of_verdicts(members, verdicts, {}).table({}))
    return Answer({"policy": found.digest, "members": rows, "nearest_miss": nearest_miss(rows)})


def _member(action: c.RegisterMember) -> Member:
    trust = (
        None
        if action.trust_score is None
        else TrustScore(from_text(action.trust_score), "playground", 0)
    )
    return Member(
        member_id=action.member_id,
        incarnation=1,
        kind=action.type,
        status=MemberStatus.ACTIVE,
        principal="playground",
        capabilities={
            one.name: c.Capability(name=one.name, version=one.version)
            for one in action.capabilities
        },
        capacity={name: from_text(text) for name, text in action.capacity},
        region=action.region,
        clearances=action.clearances,
        labels=action.labels,
        attested=trust,
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation("show_policies", "GET", "/api/policies", READERS, "The binding policy set.", _show, "PolicySet",
    tag="policies"),
    Operation(
        "policy_document", "GET", "/api/policies/document", AUDITORS,
        "The binding set's canonical document, whose SHA-256 is its digest.", _document, "Object", tag="policies",
        raises=(404,),
    ),
    Operation(
        "activate_policies", "POST", "/api/policies/activate", frozenset({"admin"}),
        "Make a policy set binding; one that does not load is refused and recorded, and the last good one stays.",
        _activate, "Recorded", body=Activation, parameters=WRITE, tag="policies", writes=True,
    ),
    Operation(
        "evaluate_policies", "POST", "/api/policies/evaluate", READERS,
        "Try a policy set on a packet and members of your own; nothing is recorded.", _evaluate, "Playground",
        body=PolicyQuestion, tag="policies",
    ),
)  # fmt: skip
