"""What a policy may ask about: every fact with its type, bounds and meaning, as data.

This is the schema that expressions are checked against, the shape of the dictionaries that the
engine hands over (:mod:`pfgov.core.judging` makes them), the source of ``docs/reference/facts.md`` and a
part of every policy set's digest.  The bounds are those that the border enforces
(:mod:`pfgov.limits`); the static cost of an expression rests on them.

An *optional* fact may be absent.  Reading it then, without ``has()``, makes the condition
*missing*, which never allows.  This module knows no rules and evaluates nothing.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from pfgov import limits
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy.cel import Timestamp
from pfgov.policy.cel.types import (
    BOOL,
    TIMESTAMP,
    CelType,
    Field,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)

SEMANTICS: Final = 4
"""The number of the meaning: schema, functions and evaluation together.  It is part of a policy
set's digest; replay refuses a set whose number it does not implement.

Since 2 there are the guarding points besides ``export``, declared labels, and facts about who submitted, who reviewed
and for whom the asker may act.  Since 3 a fact says which detectors looked through a packet's context.
Since 4 a reason shows the operand that decided (:mod:`pfgov.policy.judging.deciding`), exact durations, and its values
in sentences of any length; the schema is that of 3.
"""

OLDER_SCHEMAS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "6ea6bb5ead378eaf3eee6f4a1767ae30f53b66b01b88180baf509b583b5004b4",
        2: "8df2166ac174de96bf7e9ee04edfae80f2eef551efe5fcdc83d8bf387d22f02f",
        3: "f0a8acc6a8839d7112386aae00e041ba70820dc9e82aaba06cc7697e2dfe67d2",
    }
)
"""Older number -> SHA-256 of the canonical form of its schema's rows.

What the schema declares now includes each of them, so that a set that was checked against an older one is compiled
against this one; its document keeps the rows that it was written with.
"""

MEMBER_TYPES: Final = frozenset(
    {"agent", "service", "tool", "node", "vnode", "model", "human", "worker"}
)
"""The kinds of members there are."""

RIGHTS: Final = (
    "operator", "assessor", "reviewer", "auditor", "admin", "submitter", "emergency", "engine",
)  # fmt: skip

_ID = StringType(max_length=limits.ID_LENGTH_MAX)
_TEXT = StringType(max_length=limits.TEXT_LENGTH_MAX)
_LABEL = StringType(max_length=limits.LABEL_LENGTH_MAX)
_SCORE = NumberType("double", minimum=0.0, maximum=1.0)
_QUANTITY = NumberType(
    "double",
    minimum=0.0,
    maximum=limits.QUANTITY_MAX + (limits.MICRO - 1) / limits.MICRO,  # six decimals after it
)
_SUM = NumberType("double", minimum=0.0)
"""What many quantities come to together: each is bounded, how many there are is not."""

_COUNT = NumberType("int", minimum=0.0, maximum=float(limits.INTEGER_MAX))
FREE_LABELS: Final = MapType(_ID, _LABEL, max_items=limits.LABELS_MAX)
"""Labels where none is declared: any names, any texts.  Sets with semantics 1 read them so."""

_IDS = ListType(_ID, max_items=limits.PRINCIPAL_RIGHTS_MAX)
_REGIONS = ListType(_ID, max_items=limits.REGIONS_MAX)
_CLASSES = ListType(_ID, max_items=limits.CLEARANCES_MAX)


def _fields(**rows: tuple[CelType, str] | tuple[CelType, str, str]) -> Mapping[str, Field]:
    """Make fields of (type, doc) or (type, "optional", doc) rows."""
    return MappingProxyType(
        {name: Field(row[0], optional=len(row) == 3, doc=row[-1]) for name, row in rows.items()}
    )


_PACKET: Final = Record(
    "packet",
    _fields(
        packet_id=(_ID, "Its id."),
        workload_type=(_ID, "What kind of work it is."),
        priority=(
            NumberType("int", minimum=0.0, maximum=float(limits.PRIORITY_MAX)),
            "0 is whenever, larger is sooner.",
        ),
        required_capabilities=(
            ListType(_LABEL, max_items=limits.CAPABILITIES_MAX),
            (
                "What an owner must be able to do: names, each with an optional PEP 440 specifier "
                "(`ocr>=1.2`). Read them with `capability_match`."
            ),
        ),
        data_classes=(
            _CLASSES,
            (
                "Classes of the data inside: lower-case dotted names such as `pii.email`. A class within `pii` "
                "demands the same word among the owner's clearances. Read them with `class_within`."
            ),
        ),
        scanned_by=(
            ListType(_ID, max_items=limits.DETECTORS_MAX),
            (
                "The detectors that looked through the present context, by name (`patterns`); empty where none did. "
                "What they found is among `data_classes`."
            ),
        ),
        policy_constraints=(
            Record(
                "policy_constraints",
                _fields(
                    pii_review_required=(BOOL, "A reviewer must agree before anybody owns it."),
                    minimum_trust_score=(_SCORE, "optional", "The least trust an owner may have."),
                    allowed_regions=(
                        _REGIONS,
                        "optional",
                        "Where an owner may be: absent means anywhere, an empty list nowhere.",
                    ),
                ),
            ),
            "What the packet itself demands. The kernel policy enforces it.",
        ),
        handoff=(
            Record(
                "handoff",
                _fields(
                    allowed=(BOOL, "Whether it may move once it is owned."),
                    reason=(_TEXT, "optional", "Why it is moving or may move, as submitted."),
                ),
            ),
            "The terms of handing it off.",
        ),
        handoff_count=(_COUNT, "How many handoffs were completed."),
        previous_owners=(
            ListType(_ID, max_items=limits.PREVIOUS_OWNERS_MAX),
            "Who owned it before, oldest first.",
        ),
        labels=(
            FREE_LABELS,
            "Names and values; a rule reads those that a `kind: Labels` file declares.",
        ),
        demand=(
            Record(
                "demand",
                _fields(
                    cpu=(_QUANTITY, "Processor units; 0 when it asks for none."),
                    memory=(_QUANTITY, "Memory units; 0 when it asks for none."),
                ),
            ),
            "What it needs of an owner's capacity.",
        ),
        step=(_LABEL, "optional", "The step named by its last checkpoint."),
        epoch=(_COUNT, "How many times its ownership has changed."),
        submitted_by=(
            Record(
                "submitted_by",
                _fields(
                    id=(_ID, "The principal that submitted it."),
                    members=(_IDS, "The members for which that principal might act then."),
                ),
            ),
            "optional",
            "Who submitted it; absent on packets from before this was recorded.",
        ),
        reviews=(
            ListType(_ID, max_items=limits.REVIEWS_PER_PACKET_MAX),
            "The principals whose granted reviews are on record, oldest first.",
        ),
        reviewed_for=(
            ListType(_ID, max_items=limits.REVIEWS_PER_PACKET_MAX * limits.PRINCIPAL_RIGHTS_MAX),
            "The members for which those principals might act when they granted.",
        ),
    ),
)

_MEMBER_FIELDS: Final = _fields(
    id=(_ID, "Its id."),
    type=(StringType(limits.ID_LENGTH_MAX, MEMBER_TYPES), "What it is."),
    capabilities=(ListType(_ID, max_items=limits.CAPABILITIES_MAX), "Names of what it can do."),
    capability_versions=(
        MapType(_ID, _ID, max_items=limits.CAPABILITIES_MAX),
        "Version of each capability, the empty string where it has none.",
    ),
    region=(_ID, "optional", "Where it is, hierarchical: `us-east/1a` is within `us-east`."),
    clearances=(_CLASSES, "The data classes it may see."),
    trust_score=(
        _SCORE,
        "optional",
        (
            "Its attested trust. Absent when nobody with the right has assessed it, or when the "
            "assessment has expired."
        ),
    ),
    reliability=(_SCORE, "Share of its recorded outcomes that were successes, recent ones first."),
    status=(
        StringType(32, frozenset(status.value for status in MemberStatus)),
        "Where it stands in its lifecycle.",
    ),
    load=(
        Record(
            "load",
            _fields(
                active=(_COUNT, "Packets it owns, and handoffs reserved for it."),
                cpu=(_SUM, "Processor units taken by them."),
                memory=(_SUM, "Memory units taken by them."),
                pressure=(_SCORE, "What it last reported of its own load, when recorded."),
            ),
        ),
        "How busy it is.",
    ),
    capacity=(
        Record(
            "capacity",
            _fields(
                cpu=(_QUANTITY, "optional", "Processor units it offers."),
                memory=(_QUANTITY, "optional", "Memory units it offers."),
                tasks=(_COUNT, "optional", "Packets it may own at a time."),
            ),
        ),
        "What it offers.",
    ),
    labels=(
        FREE_LABELS,
        "Names and values; a rule reads those that a `kind: Labels` file declares.",
    ),
    incarnation=(_COUNT, "1 at first; one more each time it comes back."),
)

_MEMBER: Final = Record("member", _MEMBER_FIELDS)
_SOURCE: Final = Record("source", _MEMBER_FIELDS)

_PRINCIPAL: Final = Record(
    "principal",
    _fields(
        id=(
            _ID,
            (
                "Who asks, pseudonymous: `local`, `key:...`, `oidc:...`, `pfgov:engine`, or a member's id where its "
                "key is for nothing else."
            ),
        ),
        name=(
            _LABEL,
            "optional",
            "The name that its key was given; absent for keys without one, for tokens and for the local operator.",
        ),
        issuer=(
            _TEXT,
            "optional",
            "Who vouches for it: the token's issuer; absent for keys and the local operator.",
        ),
        members=(_IDS, "The members for which it may act: those of its rights `member:ID`."),
        rights=(
            ListType(_ID, max_items=64),
            f"What the asker may do: {', '.join(RIGHTS[:-1])}, or `member:ID`.",
        ),
    ),
)

_REVIEW: Final = Record(
    "review",
    _fields(
        granted=(BOOL, "Whether it would be granted, or refused."),
        point=(_ID, "The decision point that it is for; `place` for assign, handoff and accept."),
        rules=(
            ListType(_ID, max_items=limits.ESCALATING_RULES_MAX),
            "The rules that it would discharge, each as `policy/rule`.",
        ),
        member=(_ID, "optional", "The member that it is for; absent when it is for any."),
        approvals=(_COUNT, "How many different principals have to grant it."),
    ),
)

_EXPORT: Final = Record(
    "export",
    _fields(
        kind=(
            StringType(32, frozenset({"everything", "range", "subject"})),
            "How much is taken out.",
        ),
        subject=(
            _ID,
            "optional",
            "The subject whose history it is: `packet/ID`, `member/ID`, `policy` ...",
        ),
    ),
)

_ACTIVATION: Final = Record(
    "activation",
    _fields(
        digest=(_ID, "The digest of the set that would become binding."),
        policies=(ListType(_ID, max_items=limits.POLICIES_MAX), "The policies in it, by name."),
        dropped=(
            ListType(_ID, max_items=limits.POLICIES_MAX),
            "The policies that are binding now and would not be any more: gone, or only in shadow.",
        ),
        points=(ListType(_ID, max_items=32), "The decision points that it covers."),
    ),
)

ROOTS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "packet": Field(_PACKET, doc="The work that is judged; at `update` as it would be."),
        "member": Field(_MEMBER, doc="Who would own it, owns it, registers, or would be changed."),
        "source": Field(
            _SOURCE,
            optional=True,
            doc="The last owner; present on a handoff, at its acceptance and at a review of one.",
        ),
        "principal": Field(_PRINCIPAL, doc="Who asks for it."),
        "action": Field(
            StringType(32, frozenset(point.value for point in Point)),
            doc="What is being done: the decision point's name.",
        ),
        "reason": Field(_TEXT, doc="Why, as recorded: `requested`, `failure`, `drain` ..."),
        "now": Field(TIMESTAMP, doc="The time of the decision, from the ledger entry."),
        "before": Field(
            Record("before", _MEMBER_FIELDS),
            doc="What would be changed, as it is: the packet at `update`, the member at `update_member`.",
        ),
        "review": Field(_REVIEW, doc="The review that is being given."),
        "export": Field(_EXPORT, doc="What would be taken out."),
        "activation": Field(_ACTIVATION, doc="The policy set that would become binding."),
    }
)
"""Every root name, with its type.  ``params``, ``variables`` and ``defs`` are the author's own."""

PACKET_BEFORE: Final = Record("before", _PACKET.fields)
"""What ``before`` is where a packet is changed."""

_ALWAYS: Final = ("principal", "action", "reason", "now")

ROOTS_AT: Final[Mapping[Point, tuple[str, ...]]] = MappingProxyType(
    {
        Point.REGISTER: ("member", *_ALWAYS),
        Point.ASSIGN: ("packet", "member", "source", *_ALWAYS),
        Point.HANDOFF: ("packet", "member", "source", *_ALWAYS),
        Point.ACCEPT: ("packet", "member", "source", *_ALWAYS),
        Point.RETAIN: ("packet", "member", *_ALWAYS),
        Point.EXPORT: ("packet", "export", *_ALWAYS),
        Point.SUBMIT: ("packet", *_ALWAYS),
        Point.UPDATE: ("packet", "before", *_ALWAYS),
        Point.UPDATE_MEMBER: ("member", "before", *_ALWAYS),
        Point.REVIEW: ("packet", "source", "review", *_ALWAYS),
        Point.COMPLETE: ("packet", "member", *_ALWAYS),
        Point.ACTIVATE: ("activation", *_ALWAYS),
    }
)
"""Which roots exist at which decision point.  Naming another one there is a load error."""

ABSENT_AT: Final[Mapping[Point, frozenset[str]]] = MappingProxyType(
    {
        Point.ASSIGN: frozenset({"source"}),
        Point.EXPORT: frozenset({"packet"}),
        Point.REVIEW: frozenset({"source"}),
    }
)
"""Roots that may be absent there; reading one then, without ``has``, is *missing*, which denies."""

MORE: Final = ("before", "review", "export", "activation")
"""Roots of guarding points, which a question carries by name."""

PLACE: Final = (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT)
"""What ``on: [place]`` stands for."""

MEMBER_ROOTS: Final = frozenset({"member"})
"""The roots that differ from candidate to candidate; all others are shared by a batch."""

LOAD_PATHS: Final = frozenset({"load", "reliability"})
"""Members of ``member`` and ``source`` that change without the member being updated."""

HISTORY_PATHS: Final = frozenset({"handoff_count", "previous_owners", "epoch", "step"})
"""Members of ``packet`` that change as it moves."""


LabelTypes = Mapping[str, Mapping[str, CelType]]
"""What is declared of labels: ``packet`` and ``member`` -> name -> type."""


def root_types(shape: Collection[str], labels: LabelTypes | None = None) -> dict[str, CelType]:
    """Return the type of each root of *shape*.

    With *labels* a rule sees those labels, each with its type, and no other; without, any, as texts.
    """
    types = {name: ROOTS[name].type for name in shape}
    if "before" in types and "packet" in types:
        types["before"] = PACKET_BEFORE
    if labels is None:
        return types
    return {name: _labelled(kind, labels) for name, kind in types.items()}


def _labelled(kind: CelType, labels: LabelTypes) -> CelType:
    """Return *kind* with the labels that are declared for it in the place of any."""
    if not isinstance(kind, Record) or "labels" not in kind.fields:
        return kind
    owner = "packet" if "packet_id" in kind.fields else "member"
    declared = {name: Field(type_, optional=True) for name, type_ in labels.get(owner, {}).items()}
    known = Field(Record("labels", declared), doc=kind.fields["labels"].doc)
    return Record(kind.name, {**kind.fields, "labels": known})


def schema_rows() -> list[list[str]]:
    """Return the schema as (path, type, "optional" or "") rows, in order: what the digest covers."""
    rows: list[list[str]] = []
    for root, field in ROOTS.items():
        _rows(root, field, rows)
    _rows("before@update", Field(PACKET_BEFORE), rows)
    return rows


def _rows(path: str, field: Field, rows: list[list[str]]) -> None:
    kind = "record" if isinstance(field.type, Record) else str(field.type)
    rows.append([path, kind, "optional" if field.optional else ""])
    if isinstance(field.type, Record):
        for name, inner in field.type.fields.items():
            _rows(f"{path}.{name}", inner, rows)


def shared_facts(question: Question) -> dict[str, object]:
    """Return the facts of *question* that are the same for every candidate; what is None is absent."""
    values: dict[str, object] = {
        "principal": question.principal,
        "action": question.action,
        "reason": question.reason,
        "now": Timestamp(question.now * 1_000),
        **question.more,
    }
    if question.packet is not None:
        values["packet"] = question.packet
    if question.source is not None:
        values["source"] = question.source
    return values
