"""W3C PROV: an entry is an activity, the state that it leaves is an entity, a member an agent, a policy set a plan.

PROV-N (https://www.w3.org/TR/prov-n/) and PROV-JSON say the same.  Names are percent-encoded into the ``pfgov``
namespace, so that no id can break out of a statement.  The verdicts' numbers and the bodies are attributes of the
activities; payloads are in neither.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pfgov.lineage.records import IN_MEMORY_MAX, Lineage, Record
from pfgov.lineage.text import line, moment
from pfgov_ledger.canonical import Json
from pfgov_ledger.disk_map import DiskMap

NAMESPACE: Final = "https://github.com/pfgov/pfgov/ns/prov#"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]")


def _local(kind: str, name: str) -> str:
    """Return a qualified name that both notations take for any *name*: what is no letter or digit is written as hex."""
    return f"pfgov:{kind}_{_UNSAFE.sub(lambda found: ''.join(f'-{b:02X}' for b in found[0].encode()), name)}"


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that one record speaks of."""

    activity: str
    state: str
    before: str | None
    agents: tuple[tuple[str, str], ...]
    plan: str | None


def _names(record: Record, latest: DiskMap[str]) -> _Names:
    entry = record.entry
    state = _local("state", f"{entry.log}/{entry.seq}")
    before = latest.get(entry.subject)
    latest.put(entry.subject, state)
    agents = [
        (kind, name)
        for kind, name in (("member", record.member_id), ("principal", record.principal))
        if name is not None
    ]
    plan = None if record.policy is None else _local("policy", record.policy)
    return _Names(_local("entry", f"{entry.log}/{entry.seq}"), state, before, tuple(agents), plan)


def _facts(record: Record) -> dict[str, Json]:
    entry = record.entry
    return {
        "pfgov:log": entry.log,
        "pfgov:seq": str(entry.seq),
        "pfgov:leaf": entry.leaf.hex(),
        "pfgov:type": entry.type,
        "pfgov:subject": entry.subject,
        "pfgov:body": line(entry.body),
    }


def _each(lineage: Lineage) -> Iterator[tuple[Record, _Names]]:
    latest: DiskMap[str] = DiskMap(IN_MEMORY_MAX, pack=str, unpack=str)
    try:
        for record in lineage:
            yield record, _names(record, latest)
    finally:
        latest.close()


def _quoted(text: object) -> str:
    """Return a PROV-N string: its grammar has the escapes of Turtle."""
    escaped = (
        str(text)
        .replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\r", "\\r")
    )
    return f'"{"".join(one if one.isprintable() else _escape(one) for one in escaped)}"'


def _escape(character: str) -> str:
    code = ord(character)  # what would steer a terminal, written so that it means the same
    return f"\\u{code:04X}" if code < 0x1_0000 else f"\\U{code:08X}"


def to_prov_n(lineage: Lineage) -> Iterator[str]:
    """Yield a PROV-N document, statement by statement."""
    yield "document"
    yield f"  prefix pfgov <{NAMESPACE}>"
    agents: set[str] = set()
    plans: set[str] = set()
    for record, names in _each(lineage):
        at = moment(record.entry.time)
        members = ", ".join(f"{key}={_quoted(value)}" for key, value in _facts(record).items())
        yield f"  activity({names.activity}, {at}, {at}, [{members}])"
        yield f"  entity({names.state}, [pfgov:subject={_quoted(record.entry.subject)}])"
        yield f"  wasGeneratedBy({names.state}, {names.activity}, {at})"
        if names.before is not None:
            yield f"  used({names.activity}, {names.before}, {at})"
            yield f"  wasDerivedFrom({names.state}, {names.before}, {names.activity}, -, -)"
        if names.plan is not None and names.plan not in plans:
            plans.add(names.plan)
            yield f"  entity({names.plan}, [prov:type='prov:Plan', pfgov:digest={_quoted(record.policy)}])"
        for kind, name in names.agents:
            agent = _local(kind, name)
            if agent not in agents:
                agents.add(agent)
                yield f"  agent({agent}, [pfgov:kind={_quoted(kind)}, pfgov:id={_quoted(name)}])"
            plan = names.plan if kind == "principal" and names.plan else "-"
            yield f"  wasAssociatedWith({names.activity}, {agent}, {plan})"
    yield "endDocument"


Section = Callable[[Record, _Names], Iterator[tuple[str, dict[str, Json]]]]


def _activities(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    at = moment(record.entry.time)
    yield names.activity, {"prov:startTime": at, "prov:endTime": at, **_facts(record)}


def _entities(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    yield names.state, {"pfgov:subject": record.entry.subject}
    if names.plan is not None:
        plan: Json = {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"}
        yield names.plan, {"prov:type": plan, "pfgov:digest": record.policy}


def _agents(_: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    for kind, name in names.agents:
        yield _local(kind, name), {"pfgov:kind": kind, "pfgov:id": name}


def _generated(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    at = moment(record.entry.time)
    yield (
        f"_:g{record.entry.seq}",
        {"prov:entity": names.state, "prov:activity": names.activity, "prov:time": at},
    )


def _used(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    if names.before is not None:
        at = moment(record.entry.time)
        yield (
            f"_:u{record.entry.seq}",
            {"prov:activity": names.activity, "prov:entity": names.before, "prov:time": at},
        )


def _derived(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    if names.before is not None:
        yield (
            f"_:d{record.entry.seq}",
            {
                "prov:generatedEntity": names.state,
                "prov:usedEntity": names.before,
                "prov:activity": names.activity,
            },
        )


def _associated(record: Record, names: _Names) -> Iterator[tuple[str, dict[str, Json]]]:
    for at, (kind, name) in enumerate(names.agents):
        members: dict[str, Json] = {
            "prov:activity": names.activity,
            "prov:agent": _local(kind, name),
        }
        if kind == "principal" and names.plan is not None:
            members["prov:plan"] = names.plan
        yield f"_:a{record.entry.seq}.{at}", members


_SECTIONS: Final[tuple[tuple[str, Section, bool], ...]] = (
    ("activity", _activities, False),
    ("entity", _entities, True),
    ("agent", _agents, True),
    ("wasGeneratedBy", _generated, False),
    ("used", _used, False),
    ("wasDerivedFrom", _derived, False),
    ("wasAssociatedWith", _associated, False),
)
"""Name in PROV-JSON, what fills it, and whether a name can come again and stands once."""


def to_prov_json(lineage: Lineage) -> Iterator[str]:
    """Yield a PROV-JSON document (W3C member submission), a member a line: one pass over the file for each section."""
    yield "{"
    yield f'"prefix":{line({"pfgov": NAMESPACE})}'
    for name, section, is_shared in _SECTIONS:
        yield f',"{name}":{{'
        seen: set[str] = set()
        separator = ""
        for record, names in _each(lineage):
            for key, value in section(record, names):
                if is_shared and key in seen:
                    continue
                if is_shared and not key.startswith("pfgov:state_"):
                    seen.add(key)
                yield f"{separator}{line(key)}:{line(value)}"
                separator = ","
        yield "}"
    yield "}"


__all__ = ["NAMESPACE", "to_prov_json", "to_prov_n"]
