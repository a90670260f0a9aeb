"""Facts from files: what authors write in fixtures, tests and ``policy eval``, checked and completed.

An author writes only the facts that matter.  Each is held against the schema (name, type, bounds,
with a did-you-mean), and what is left out gets a neutral default; optional facts stay absent.
``null`` removes a fact, so that a variation can take one away.  The envelope keys of real packets
and members (owner, audit, capacity by its long name) are understood and dropped or translated.

The engine does not come through here: it makes facts from validated state.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Final, cast

from pfgov.core.spelling import check_class, check_name, check_region
from pfgov.errors import InvalidError
from pfgov.policy.authoring.occurring import (
    ACTS_FOR,
    CHANGED,
    export_problem,
    packet_problem,
    principal_problem,
)
from pfgov.policy.cel.types import (
    BOOL,
    CelType,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)
from pfgov.policy.facts import PACKET_BEFORE, ROOTS
from pfgov.policy.files.reader import Reader, describe
from pfgov.policy.files.source import Entries, Items, Node, Scalar
from pfgov.policy.judging.functions import split_requirement
from pfgov.policy.problems import did_you_mean
from pfgov.policy.vocabulary import PRINCIPAL_IDS, SPELLINGS, Spelling

Facts = dict[str, object]

BEFORE_UPDATE: Final = "before@update"
"""The name here of the root ``before`` where it is a packet."""

BEFORE: Final = ("before", BEFORE_UPDATE)
"""The names here of the root ``before``."""

REMOVE: Final = object()
"""What ``null`` stands for until a variation is applied."""

_DEFAULTS: Final[dict[str, object]] = {
    "packet.workload_type": "work",
    "packet.handoff.allowed": True,
    "packet.submitted_by.id": "key:submitter",
    "member.type": "agent",
    "member.status": "ACTIVE",
    "member.incarnation": 1,
    "member.reliability": 0.5,
    "review.granted": True,
    "review.point": "place",
    "review.approvals": 1,
    "export.kind": "everything",
}
"""Defaults that are not the empty value of their type; ids default to the fixture's name."""

_BEYOND: Final = 1e12
"""An upper bound from here on is one of the format, and says nothing to an author."""

_ENVELOPE: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "packet": {
        "context_checkpoint": (),
        "current_owner": (),
        "owner": (),
        "audit": (),
        "status": (),
        "scheduler": (),
        "deadline": (),
        "max_handoffs": (),
        "progress_seconds": (),
        "hold": (),
        "version": (),
    },
    "member": {
        "member_id": ("id",),
        "cpu_capacity": ("capacity", "cpu"),
        "memory_capacity": ("capacity", "memory"),
        "trust": (),
        "public_key": (),
        "lease_seconds": (),
        "handoff_mode": (),
        "principal": (),
        "weight": (),
    },
}
"""Keys of real packets and members that are no facts: dropped, or the fact that they mean."""
_NESTED: Final = {"context_checkpoint": ("step", "step"), "trust": ("score", "trust_score")}
"""Envelope keys of which one inner key is a fact."""


def read_facts(reader: Reader, node: Node, root: str, *, envelope: bool = False) -> Facts:
    """Return the facts of *root* (``packet``, ``member`` ...) that *node* states, not completed.

    A ``null`` becomes :data:`REMOVE`.  Mistakes are noted in *reader*.
    """
    record = _record(root)
    if not isinstance(node, Entries):
        reader.wrong_type(node, f"`{root}`", "a mapping of facts")
        return {}
    found: Facts = {}
    aliases = _ENVELOPE.get(base_of(root), {}) if envelope else {}
    for key, value in node.pairs:
        if key.text in aliases:
            _translate(reader, found, value, root, key.text, aliases[key.text])
            continue
        if key.text == "capabilities" and base_of(root) == "member":
            _capabilities(reader, found, value)
            continue
        field = record.fields.get(key.text)
        path = f"{root}.{key.text}"
        if field is None:
            hint = did_you_mean(key.text, record.fields)
            reader.error("unknown_fact", f"there is no fact `{path}`", key, hint)
            continue
        found[key.text] = _value(reader, value, field.type, path)
    return found


def complete(root: str, stated: Mapping[str, object], name: str) -> Facts:
    """Return *stated* with every required fact that it lacks, and without what was removed."""
    if root == "principal":
        return _principal(stated, name)
    facts = _completed(_record(root), stated, base_of(root))
    key = {"packet": "packet_id"}.get(root, "id")
    if key in facts and not facts[key]:
        facts[key] = name
    if base_of(root) == "member" and "capability_versions" not in stated:
        facts["capability_versions"] = dict.fromkeys(cast("list[str]", facts["capabilities"]), "")
    return facts


def as_before(root: str, stated: Mapping[str, object]) -> Facts:
    """Return ``before`` as it is *stated*: whole in what an update changes, and of the rest only what is said."""
    said = {name for name, value in stated.items() if value is not REMOVE} | CHANGED[base_of(root)]
    return {name: value for name, value in complete(root, stated, "").items() if name in said}


def vary(base: Mapping[str, object], change: Mapping[str, object]) -> Facts:
    """Return *base* with *change* laid over it, record by record."""
    merged: Facts = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if key != "labels" and isinstance(value, dict) and isinstance(old, dict):
            merged[key] = vary(cast("Facts", old), cast("Facts", value))
        else:
            merged[key] = value
    return merged


def differences(root: str, facts: Mapping[str, object]) -> Facts:
    """Return what in *facts* differs from the defaults: how a counterexample is shown."""
    return _differences(facts, complete(root, {}, root))


def _differences(facts: Mapping[str, object], plain: Mapping[str, object]) -> Facts:
    found: Facts = {}
    for key, value in facts.items():
        usual = plain.get(key)
        if isinstance(value, dict) and isinstance(usual, dict):
            inner = _differences(cast("Facts", value), cast("Facts", usual))
            if inner:
                found[key] = inner
        elif value != usual or isinstance(value, bool) != isinstance(usual, bool):
            found[key] = value
    return found


def facts_of(root: str) -> Collection[str]:
    """Return the names of the facts of *root*."""
    return _record(root).fields


def base_of(root: str) -> str:
    """Return whose kind the facts of *root* are: ``packet`` or ``member`` for those that have another name."""
    return {"source": "member", "before": "member", BEFORE_UPDATE: "packet"}.get(root, root)


def _principal(stated: Mapping[str, object], name: str) -> Facts:
    """Complete a principal as the doors make one: an id of its own form, and members as its rights say."""
    facts = _completed(_record("principal"), stated, "principal")
    rights = [right for right in cast("list[object]", facts["rights"]) if isinstance(right, str)]
    own = [right.removeprefix(ACTS_FOR) for right in rights if right.startswith(ACTS_FOR)]
    facts["members"] = facts["members"] or own
    if not facts["id"]:
        facts["id"] = own[0] if len(own) == len(rights) == 1 else f"key:{name}"
    return facts


def as_principal(facts: Mapping[str, object]) -> Facts:
    """Return *facts* as those of a principal that a door lets in: one id of its form, its members among its rights."""
    others = [r for r in cast("list[str]", facts["rights"]) if not r.startswith(ACTS_FOR)]
    members = cast("list[str]", facts["members"])
    made: Facts = {**facts, "rights": sorted([*others, *(f"{ACTS_FOR}{m}" for m in members)])}
    if principal_problem(made) is not None:
        made["rights"] = [right for right in cast("list[str]", made["rights"]) if right != "engine"]
        if not str(made["id"]).startswith(("key:", "oidc:")):
            made["id"] = f"key:{facts['id']}"
        made.pop("name" if str(made["id"]).startswith("oidc:") else "issuer", None)
    return made


def problem_of(root: str, facts: Mapping[str, object]) -> str | None:
    """Say why these facts of *root* cannot occur; None where they may."""
    if root == "principal":
        return principal_problem(facts)
    if root == "export":
        return export_problem(facts)
    return packet_problem(facts) if base_of(root) == "packet" else None


def _record(root: str) -> Record:
    kind = PACKET_BEFORE if root == BEFORE_UPDATE else ROOTS[root].type
    assert isinstance(kind, Record)
    return kind


# --- reading ---------------------------------------------------------------------------------


def _value(reader: Reader, node: Node, wanted: CelType, path: str) -> object:
    if isinstance(node, Scalar) and node.value is None and not node.quoted:
        return REMOVE
    match wanted:
        case Record() if isinstance(node, Entries):
            return _fields(reader, node, wanted, path)
        case ListType(elem=elem, max_items=most) if isinstance(node, Items):
            if most is not None and len(node.items) > most:
                reader.error("fact", f"`{path}` has more than {most} items", node)
            return [_value(reader, item, elem, f"{path}[]") for item in node.items]
        case MapType(value=inner) if isinstance(node, Entries):
            return {k.text: _value(reader, v, inner, f"{path}.{k.text}") for k, v in node.pairs}
        case NumberType() if isinstance(node, Scalar) and _is_number(node, wanted):
            return _number(reader, node, wanted, path)
        case StringType() if isinstance(node, Scalar) and isinstance(node.value, str):
            return _string(reader, node, wanted, path)
        case _ if wanted == BOOL and isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        case _:
            kind = "a mapping" if isinstance(wanted, Record) else str(wanted)
            hint = None
            if isinstance(node, Scalar) and isinstance(wanted, ListType):
                hint = f"write [{node.text}]"
            elif isinstance(node, Scalar) and isinstance(wanted, StringType) and node.text:
                hint = f'quote it: "{node.text}"'
            message = f"`{path}` must be {kind}, not {describe(node)}"
            reader.error("fact", message, node, hint)
            return REMOVE


def _fields(reader: Reader, node: Entries, record: Record, path: str) -> Facts:
    found: Facts = {}
    for key, value in node.pairs:
        field = record.fields.get(key.text)
        if field is None:
            hint = did_you_mean(key.text, record.fields)
            reader.error("unknown_fact", f"there is no fact `{path}.{key.text}`", key, hint)
            continue
        found[key.text] = _value(reader, value, field.type, f"{path}.{key.text}")
    return found


def _is_number(node: Scalar, wanted: NumberType) -> bool:
    if isinstance(node.value, bool):
        return False
    return isinstance(node.value, int) or (wanted.name == "double" and type(node.value) is float)


def _number(reader: Reader, node: Scalar, wanted: NumberType, path: str) -> object:
    value = cast("int | float", node.value)
    low = -math.inf if wanted.minimum is None else wanted.minimum
    high = math.inf if wanted.maximum is None else wanted.maximum
    if not low <= value <= high:
        hint = f"write {value / 100:g}" if (low, high) == (0, 1) and 1 < value <= 100 else None
        bounds = f"from {low:g} to {high:g}" if high < _BEYOND else f"{low:g} or more"
        reader.error("fact", f"`{path}` is {node.text}, not {bounds}", node, hint)
    return float(value) if wanted.name == "double" else int(value)


def _string(reader: Reader, node: Scalar, wanted: StringType, path: str) -> object:
    text = cast("str", node.value)
    if wanted.allowed is not None and text not in wanted.allowed:
        hint = did_you_mean(text, wanted.allowed) or f"one of: {', '.join(sorted(wanted.allowed))}"
        reader.error("fact", f"`{path}` cannot be `{text}`", node, hint)
    if wanted.max_length is not None and len(text) > wanted.max_length:
        reader.error("fact", f"`{path}` is longer than {wanted.max_length} characters", node)
    check = _SPELT.get(path.partition(".")[2])
    spelt = SPELLINGS.get(path.removesuffix("[]").replace(BEFORE_UPDATE, "before"))
    if check is not None:
        try:
            check(text)
        except (InvalidError, ValueError) as error:
            advice = error.hint if isinstance(error, InvalidError) else None
            message = error.message if isinstance(error, InvalidError) else str(error)
            reader.error("fact", f"`{path}`: {message}", node, advice)
    elif spelt is not None and spelt is not PRINCIPAL_IDS and not spelt.has(text):
        reader.error("fact", f"`{path}` is never `{text}`", node, spelt.instead(text))
    return text


def _check_requirement(text: str) -> None:
    check_name(split_requirement(text)[0])


_SPELT: Final[Mapping[str, Callable[[str], object]]] = {
    "data_classes[]": check_class,
    "clearances[]": check_class,
    "workload_type": check_name,
    "region": check_region,
    "capabilities[]": check_name,
    "required_capabilities[]": _check_requirement,
    "policy_constraints.allowed_regions[]": check_region,
}
"""Facts whose names have one spelling: what a door would refuse cannot occur in a fixture either."""

_SPELT_STEPS: Final = [(path.removesuffix("[]").split("."), one) for path, one in _SPELT.items()]


def _get(held: object, name: str) -> object:
    """Return what *held* has under *name*, where it is a record and has."""
    return cast("Facts", held).get(name) if isinstance(held, dict) else None


def can_occur(root: str, facts: Mapping[str, object]) -> bool:
    """Whether a door would let in every name in *facts* of *root* that has one spelling, and who stands in them."""
    for steps, check in _SPELT_STEPS:
        for text in _texts(facts, steps):
            try:
                check(text)
            except (InvalidError, ValueError):
                return False
    for below, spelt in _spellings_of(root):
        if not all(spelt.has(text) for text in _texts(facts, below)):
            return False
    return problem_of(root, facts) is None


@cache
def _spellings_of(root: str) -> tuple[tuple[tuple[str, ...], Spelling], ...]:
    """Return how the names are spelt that facts of *root* hold, by their steps below it."""
    found = ((path.split("."), spelt) for path, spelt in SPELLINGS.items())
    return tuple(
        (tuple(steps[1:]), spelt)
        for steps, spelt in found
        if steps[0] == root and spelt is not PRINCIPAL_IDS  # who asks is looked at as a whole
    )


def _texts(facts: Mapping[str, object], steps: Sequence[str]) -> list[str]:
    """Return the texts that *facts* hold at *steps*: one, or those of a list."""
    held: object = facts
    for step in steps:
        held = _get(held, step)
    listed = cast("list[object]", held) if isinstance(held, list) else [held]
    return [text for text in listed if isinstance(text, str)]


def _capabilities(reader: Reader, found: Facts, node: Node) -> None:
    """Read names, or mappings with a name and a version, into the two facts that they make."""
    versions: dict[str, str] = {}
    for item in reader.items(node, "`capabilities`", 64):
        if isinstance(item, Entries):
            parts = reader.entries(
                item,
                "a capability",
                required=("name",),
                optional=("version", "category", "description", "attributes"),
            )
            name = reader.string(parts.get("name"), "`name`")
            version = parts.get("version")
            text = reader.string(version, "`version`") if version is not None else ""
        else:
            name, text = reader.string(item, "a capability"), ""
        if name is not None:
            _spelt_name(reader, item, name)
            versions[name] = text or ""
    found["capabilities"] = list(versions)
    found.setdefault("capability_versions", versions)


def _spelt_name(reader: Reader, node: Node, name: str) -> None:
    try:
        check_name(name)
    except InvalidError as error:
        reader.error("fact", f"`member.capabilities[]`: {error.message}", node, error.hint)


def _translate(
    reader: Reader, found: Facts, node: Node, root: str, key: str, path: tuple[str, ...]
) -> None:
    inside, fact = _NESTED.get(key, ("", ""))
    if inside:
        value = node.get(inside) if isinstance(node, Entries) else None
        if value is not None:
            found[fact] = _value(reader, value, _record(root).fields[fact].type, f"{root}.{fact}")
        return
    if not path:
        return
    kind: CelType = _record(root)
    for step in path:
        assert isinstance(kind, Record)
        kind = kind.fields[step].type
    target = found
    for step in path[:-1]:
        target = cast("Facts", target.setdefault(step, {}))
    target[path[-1]] = _value(reader, node, kind, f"{root}.{'.'.join(path)}")


# --- defaults --------------------------------------------------------------------------------


def _completed(record: Record, stated: Mapping[str, object], path: str) -> Facts:
    facts: Facts = {}
    for name, field in record.fields.items():
        value = stated.get(name, REMOVE)
        where = f"{path}.{name}"
        if isinstance(field.type, Record):
            given = cast("Facts", value) if isinstance(value, dict) else {}
            if value is not REMOVE or not field.optional:
                facts[name] = _completed(field.type, given, where)
        elif value is not REMOVE:
            facts[name] = _clean(value)
        elif not field.optional:
            facts[name] = _default(field.type, where)
    return facts


def _clean(value: object) -> object:
    if isinstance(value, list):
        return [item for item in cast("list[object]", value) if item is not REMOVE]
    if isinstance(value, dict):
        return {k: v for k, v in cast("Facts", value).items() if v is not REMOVE}
    return value


def _default(kind: CelType, path: str) -> object:
    if path in _DEFAULTS:
        return _DEFAULTS[path]
    match kind:
        case StringType():
            return ""
        case NumberType(name="double"):
            return 0.0
        case NumberType():
            return 0
        case ListType():
            return list[object]()
        case MapType():
            return Facts()
        case _:
            return False
