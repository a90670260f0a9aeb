"""A policy set as people and programs are shown it: its digest, its policies and where each rule is asked.

The canonical document is another thing: that is what a digest is of.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from pfgov.core.commands import Obligation
from pfgov.core.coverage import coverage_of
from pfgov.policy.files.documents import API_VERSION
from pfgov.policy.files.model import Bundle, Definitions, Labels, Policy, Rule
from pfgov.policy.judging.judge import PolicySet


def source_text(found: PolicySet) -> str:
    """Return the policies of a set with their expressions as the text of files, one after the other.

    Files of these texts make a set with the same digest: nothing that binds is left out.
    """
    return "---\n".join(source_texts(found.bundle))


def source_texts(bundle: Bundle) -> list[str]:
    """Return the texts of the files that *bundle* would be made of, as :func:`source_text` has them of its set."""
    documents = [
        *map(_policy, bundle.policies),
        *map(_definitions, bundle.definitions),
        *map(_labels, bundle.labels),
    ]
    return ["".join(f"{line}\n" for line in _lines(document)) for document in documents]


def span(micros: int) -> str:
    """Return a span of time as policy files write it.

    >>> span(900_000_000), span(86_400_000_000), span(90_000_000)
    ('15m', '1d', '90s')
    """
    seconds = micros // 1_000_000
    size, unit = next(
        (s, u) for s, u in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")) if seconds % s == 0
    )
    return f"{seconds // size}{unit}"


def _lines(document: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Write JSON values as YAML: mappings of scalars, lists of mappings, everything else in its JSON form."""
    for key, value in document.items():
        if value is None or value in ([], {}):
            continue
        if key in {"params", "variables", "metadata", "packet", "member"}:
            yield f"{indent}{key}:"
            entries = cast("dict[str, object]", value)
            yield from (f"{indent}  {name}: {_scalar(inner)}" for name, inner in entries.items())
        elif key == "rules":
            yield "rules:"
            for rule in cast("list[dict[str, Any]]", value):
                yield from _listed(rule)
        else:
            yield f"{indent}{key}: {_scalar(value)}"


def _listed(rule: dict[str, Any]) -> Iterator[str]:
    lines = list(_lines(rule, "    "))
    yield f"  - {lines[0].lstrip()}"
    yield from lines[1:]


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _WORDS:
        return value
    return _printable(json.dumps(value, ensure_ascii=False))


def _printable(text: str) -> str:
    """Return *text*, values in their JSON form, with what a terminal would not just show as YAML's escapes.

    They mean the same, and a reader of YAML takes not all of these characters as they are.
    """
    return "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Policy",
        "metadata": _metadata(policy),
        "on": [str(point) for point in policy.on],
        "mode": policy.mode if policy.mode != "enforce" else None,
        "imports": [text.text for text in policy.imports],
        "params": {p.name: {"type": p.type, "value": p.value} for p in policy.params},
        "variables": {v.name: v.expression.text for v in policy.variables},
        "rules": [_rule(rule, policy) for rule in policy.rules],
    }


def _definitions(found: Definitions) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Definitions",
        "metadata": _metadata(found),
        "params": {p.name: {"type": p.type, "value": p.value} for p in found.params},
        "variables": {v.name: v.expression.text for v in found.variables},
    }


def _labels(found: Labels) -> dict[str, Any]:
    owned: dict[str, dict[str, object]] = {"packet": {}, "member": {}}
    for label in found.labels:
        made: dict[str, object] = {"type": label.type, "set_by": list(label.set_by)}
        if label.enum:
            made["enum"] = list(label.enum)
        if label.pattern is not None:
            made["pattern"] = label.pattern
        owned[label.owner][label.name] = {**made, "change": label.change}
    head = {"apiVersion": API_VERSION, "kind": "Labels", "metadata": _metadata(found)}
    return {**head, **owned}


def _metadata(found: Policy | Definitions | Labels) -> dict[str, str]:
    made = {"name": found.name, "version": found.version}
    return {**made, "description": found.description} if found.description else made


def _rule(rule: Rule, policy: Policy) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": rule.id,
        "on": [str(point) for point in rule.on] if rule.on != policy.on else None,
        "when": rule.when.text if rule.when else None,
    }
    if rule.condition is not None:
        made[rule.kind] = rule.condition.text
    if rule.to is not None:
        escalate: dict[str, Any] = {"to": rule.to}
        if rule.expires is not None:
            escalate["expires"] = span(rule.expires)
        if rule.approvals > 1:
            escalate["approvals"] = rule.approvals
        made["escalate"] = escalate
    made["message"] = rule.message.text if rule.message else None
    made["obligations"] = [_obligation(item) for item in rule.obligations]
    return made


def _obligation(item: Obligation) -> dict[str, Any]:
    made: dict[str, Any] = {"type": item.type}
    if item.paths:
        made["paths"] = list(item.paths)
    if item.to is not None:
        made["to"] = item.to
    if item.expires is not None:
        made["expires"] = span(item.expires)
    return made


_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./() ,=<>+*&|!-]*[A-Za-z0-9_)]")
"""Texts that YAML reads as they stand."""

_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def set_view(found: PolicySet) -> dict[str, Any]:
    """Return *found* as it is shown."""
    return {
        "digest": found.digest,
        "points": sorted(str(point) for point in found.points),
        "coverage": coverage_of(found.points).view(),
        "policies": [
            {
                "name": one.name,
                "version": one.version,
                "mode": one.mode,
                "description": one.description,
                "rules": [
                    {"id": rule.id, "on": sorted(str(point) for point in rule.on)}
                    for rule in one.rules
                ],
            }
            for one in found.bundle.policies
        ],
    }
