"""What a policy may ask about: every fact with its type, bounds and meaning, as data.

This is the schema that expressions are checked against, the shape of the dictionaries that the
engine hands over (:mod:`pfgov.facts` makes them), the source of ``docs/reference/facts.md`` and a
part of every policy set's digest.  The bounds are those that the border enforces
(:mod:`pfgov.limits`); the static cost of an expression rests on them.

An *optional* fact may be absent.  Reading it then, without ``has()``, makes the condition
*missing*, which never allows.  This module knows no rules and evaluates nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pfgov import limits
from pfgov.lifecycle import MemberStatus
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
from pfgov.verdicts import Point

SEMANTICS: Final = 1
"""The number of the meaning: schema, functions and evaluation together.  It is part of a policy
set's digest; replay refuses a set whose number it does not implement."""

MEMBER_TYPES: Final = frozenset(
    {"agent", "service", "tool", "node", "vnode", "model", "human", "worker"}
)
"""The kinds of members there are."""

RIGHTS: Final = ("operator", "assessor", "reviewer", "auditor", "admin", "submitter", "engine")

_ID = StringType(max_length=limits.ID_LENGTH_MAX)
_TEXT = StringType(max_length=limits.TEXT_LENGTH_MAX)
_LABEL = StringType(max_length=limits.LABEL_LENGTH_MAX)
_SCORE = NumberType("double", minimum=0.0, maximum=1.0)
_QUANTITY = NumberType("double", minimum=0.0, maximum=float(limits.QUANTITY_MAX))
_COUNT = NumberType("int", minimum=0.0, maximum=float(limits.INTEGER_MAX))
_LABELS = MapType(_ID, _LABEL, max_items=limits.LABELS_MAX)
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
                "Classes of the data inside, such as `pii:email`. A class that begins with `pii` "
                "demands the same word among the owner's clearances."
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
        labels=(_LABELS, "Free-form names and values."),
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
                cpu=(_QUANTITY, "Processor units taken by them."),
                memory=(_QUANTITY, "Memory units taken by them."),
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
    labels=(_LABELS, "Free-form names and values."),
    incarnation=(_COUNT, "1 at first; one more each time it comes back."),
)

_MEMBER: Final = Record("member", _MEMBER_FIELDS)
_SOURCE: Final = Record("source", _MEMBER_FIELDS)

_PRINCIPAL: Final = Record(
    "principal",
    _fields(
        id=(_ID, "Who asks, pseudonymous."),
        rights=(
            ListType(_ID, max_items=64),
            f"What the asker may do: {', '.join(RIGHTS[:-1])}, or `member:ID`.",
        ),
    ),
)

ROOTS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "packet": Field(_PACKET, doc="The work that is judged."),
        "member": Field(_MEMBER, doc="Who would own it, owns it, or registers."),
        "source": Field(
            _SOURCE,
            optional=True,
            doc="The last owner; present on a handoff and at its acceptance.",
        ),
        "principal": Field(_PRINCIPAL, doc="Who asks for it."),
        "action": Field(
            StringType(32, frozenset(point.value for point in Point)),
            doc="What is being done: the decision point's name.",
        ),
        "reason": Field(_TEXT, doc="Why, as recorded: `requested`, `failure`, `drain` ..."),
        "now": Field(TIMESTAMP, doc="The time of the decision, from the ledger entry."),
    }
)
"""Every root name, with its type.  ``params``, ``variables`` and ``defs`` are the author's own."""

_ALWAYS: Final = ("principal", "action", "reason", "now")

ROOTS_AT: Final[Mapping[Point, tuple[str, ...]]] = MappingProxyType(
    {
        Point.REGISTER: ("member", *_ALWAYS),
        Point.ASSIGN: ("packet", "member", "source", *_ALWAYS),
        Point.HANDOFF: ("packet", "member", "source", *_ALWAYS),
        Point.ACCEPT: ("packet", "member", "source", *_ALWAYS),
        Point.RETAIN: ("packet", "member", *_ALWAYS),
        Point.EXPORT: _ALWAYS,
    }
)
"""Which roots exist at which decision point.  Naming another one there is a load error."""

PLACE: Final = (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT)
"""What ``on: [place]`` stands for."""

MEMBER_ROOTS: Final = frozenset({"member"})
"""The roots that differ from candidate to candidate; all others are shared by a batch."""

LOAD_PATHS: Final = frozenset({"load", "reliability"})
"""Members of ``member`` and ``source`` that change without the member being updated."""

HISTORY_PATHS: Final = frozenset({"handoff_count", "previous_owners", "epoch", "step"})
"""Members of ``packet`` that change as it moves."""


def schema_rows() -> list[list[str]]:
    """Return the schema as (path, type, "optional" or "") rows, in order: what the digest covers."""
    rows: list[list[str]] = []
    for root, field in ROOTS.items():
        _rows(root, field, rows)
    return rows


def _rows(path: str, field: Field, rows: list[list[str]]) -> None:
    kind = "record" if isinstance(field.type, Record) else str(field.type)
    rows.append([path, kind, "optional" if field.optional else ""])
    if isinstance(field.type, Record):
        for name, inner in field.type.fields.items():
            _rows(f"{path}.{name}", inner, rows)
