"""What is written differently in two policy sets: policies and rules by name, with a rename told from a removal.

Each change says what it does where its kind alone says it: a policy that is only recorded from now on lets through what
it kept out, and so does a rule that is gone.  What an expression that changed does is for the search (:mod:`.search`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pfgov.core.verdicts import Point
from pfgov.policy.authoring.comparing import shapes
from pfgov.policy.authoring.showing import span
from pfgov.policy.files.labels import pattern
from pfgov.policy.files.model import (
    KERNEL,
    Bundle,
    Definitions,
    Label,
    LabelChange,
    Policy,
    Rule,
    Text,
)
from pfgov.policy.judging.judge import PolicySet

Effect = Literal["widens", "narrows", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is written differently.

    Attributes:
        where: What it is in: ``policy pii``, ``policy pii, rule pii-trust``.
        what: What changed, in a few words: ``mode``, ``require``, ``removed`` ...
        old: How it was; empty where it was not there.
        new: How it is; empty where it is not there any more.
        effect: What that does by itself, where its kind says so.
    """

    where: str
    what: str
    old: str = ""
    new: str = ""
    effect: Effect = "unknown"


def changes(old: PolicySet, new: PolicySet) -> list[Change]:
    """Return every change from *old* to *new*, policies first, in the order of names; places do not matter."""
    return [
        *_policies(old, new),
        *_definitions(old.bundle.definitions, new.bundle.definitions),
        *_labels(old.bundle, new.bundle),
    ]


# --- policies -----------------------------------------------------------------------------


def _policies(old: PolicySet, new: PolicySet) -> Iterator[Change]:
    before = {one.name: one for one in old.bundle.policies if one.name != KERNEL}
    after = {one.name: one for one in new.bundle.policies if one.name != KERNEL}
    said = (_said_by(old), _said_by(new))
    renamed = _renames(before, after, lambda name, at: said[at].get((name, "")))
    for name in sorted(before.keys() | after.keys()):
        was, found = before.get(name), after.get(name)
        if name in renamed:
            yield Change(f"policy {name}", "renamed", name, renamed[name], "none")
        elif was is None and found is not None and name not in renamed.values():
            yield _whole(f"policy {name}", "added", found, comes=True)
        elif was is not None and found is None:
            yield _whole(f"policy {name}", "removed", was, comes=False)
        elif was is not None and found is not None:
            yield from _policy(was, found, (old, new), said)


def _whole(where: str, what: str, policy: Policy, *, comes: bool) -> Change:
    points = ", ".join(point.value for point in policy.on)
    said = f"{policy.mode}, on {points}, {len(policy.rules)} rules"
    if policy.mode == "shadow":
        return Change(where, what, "" if comes else said, said if comes else "", "none")
    return Change(
        where, what, "" if comes else said, said if comes else "", "narrows" if comes else "widens"
    )


_Said = Mapping[tuple[str, str], Counter[tuple[Point, str]]]
"""What each policy (with an empty rule), and each rule of it, says at each decision point."""


def _said_by(policies: PolicySet) -> _Said:
    found: dict[tuple[str, str], Counter[tuple[Point, str]]] = {}
    for point, judge in policies.judges.items():
        for planned in judge.rules:
            said = (point, shapes.effect(planned))
            for rule in ("", planned.rule.id):
                found.setdefault((planned.policy, rule), Counter())[said] += 1
    return found


def _renames(
    before: Mapping[str, object],
    after: Mapping[str, object],
    content: Callable[[str, int], object],
) -> dict[str, str]:
    """Return old name -> new name of what says the same under another name; *content* is asked for old (0) and new."""
    gone = [name for name in sorted(before) if name not in after]
    come = [name for name in sorted(after) if name not in before]
    found: dict[str, str] = {}
    for name in gone:
        for other in come:
            if content(name, 0) == content(other, 1):
                found[name] = other
                come.remove(other)
                break
    return found


def _policy(
    was: Policy, found: Policy, sets: tuple[PolicySet, PolicySet], said: tuple[_Said, _Said]
) -> Iterator[Change]:
    where = f"policy {was.name}"
    if was.mode != found.mode:
        effect: Effect = "widens" if found.mode == "shadow" else "narrows"
        yield Change(where, "mode", was.mode, found.mode, effect)
    yield from _values(
        where,
        "param",
        {p.name: f"{p.value!r} ({p.type})" for p in was.params},
        {p.name: f"{p.value!r} ({p.type})" for p in found.params},
    )
    yield from _values(
        where,
        "variable",
        {v.name: v.expression.text for v in was.variables},
        {v.name: v.expression.text for v in found.variables},
    )
    yield from _values(
        where, "defs", _resolved(was, sets[0].bundle), _resolved(found, sets[1].bundle)
    )
    before, after = {r.id: r for r in was.rules}, {r.id: r for r in found.rules}
    renamed = _renames(before, after, lambda name, at: said[at].get((was.name, name)))
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        here = f"{where}, rule {name}"
        if name in renamed:
            yield Change(here, "renamed", name, renamed[name], "none")
        elif one is None and other is not None and name not in renamed.values():
            yield Change(here, "added", "", _said(other), _weight(found, comes=True))
        elif one is not None and other is None:
            yield Change(here, "removed", _said(one), "", _weight(was, comes=False))
        elif one is not None and other is not None:
            yield from _rule(here, one, other)


def _weight(policy: Policy, *, comes: bool) -> Effect:
    if policy.mode == "shadow":
        return "none"
    return "narrows" if comes else "widens"


def _rule(where: str, was: Rule, found: Rule) -> Iterator[Change]:
    if was.on != found.on:
        old, new = set(was.on), set(found.on)
        effect: Effect = "unknown"
        if new < old:
            effect = "widens"
        elif old < new:
            effect = "narrows"
        yield Change(where, "on", _points(was), _points(found), effect)
    if was.kind != found.kind:
        yield Change(where, "kind", was.kind, found.kind)
    pairs: Sequence[tuple[str, str, str]] = (
        ("when", _text(was.when), _text(found.when)),
        (found.kind, _text(was.condition), _text(found.condition)),
        ("escalate", _asked(was), _asked(found)),
        ("obligations", _duties(was), _duties(found)),
    )
    for what, old_text, new_text in pairs:
        if old_text != new_text:
            yield Change(where, what, old_text, new_text)
    if _text(was.message) != _text(found.message):
        yield Change(where, "message", _text(was.message), _text(found.message), "none")


def _points(rule: Rule) -> str:
    return ", ".join(point.value for point in rule.on)


def _text(text: Text | None) -> str:
    return "" if text is None else text.text


def _said(rule: Rule) -> str:
    parts = [f"when {rule.when.text}"] if rule.when is not None else []
    parts.append(f"{rule.kind} {_text(rule.condition) or _asked(rule)}".rstrip())
    return "; ".join(parts)


def _asked(rule: Rule) -> str:
    if rule.to is None:
        return ""
    within = f" within {span(rule.expires)}" if rule.expires is not None else ""
    return f"{rule.approvals} {rule.to}{within}"


def _duties(rule: Rule) -> str:
    return ", ".join(
        f"{one.type} {', '.join(one.paths) or one.to or ''}".rstrip() for one in rule.obligations
    )


def _values(
    where: str, kind: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(where, f"{kind} {name}", old.get(name, ""), new.get(name, ""))


def _resolved(policy: Policy, bundle: Bundle) -> dict[str, str]:
    """Return what each ``defs.NAME`` of *policy* stands for, and where that is defined."""
    offered = {one.name: one for one in bundle.definitions}
    found: dict[str, str] = {}
    for text in policy.imports:
        one = offered.get(text.text)
        if one is not None:
            found |= {name: f"{said}, from {one.name}" for name, said in _offers(one).items()}
    return found


# --- definitions and labels ---------------------------------------------------------------


def _offers(found: Definitions) -> dict[str, str]:
    made = {param.name: repr(param.value) for param in found.params}
    return made | {variable.name: variable.expression.text for variable in found.variables}


def _definitions(old: Sequence[Definitions], new: Sequence[Definitions]) -> Iterator[Change]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    for name in sorted(before.keys() | after.keys()):
        was, found = before.get(name), after.get(name)
        where = f"definitions {name}"
        if was is None:
            yield Change(where, "imported now", "", name, "none")
        elif found is None:
            yield Change(where, "not imported any more", name, "", "none")
        else:
            yield from _values(where, "defs", _offers(was), _offers(found))


def _labels(old: Bundle, new: Bundle) -> Iterator[Change]:
    def said(bundle: Bundle) -> dict[str, Label]:
        return {
            f"{label.owner} label {label.name}": label
            for labels in bundle.labels
            for label in labels.labels
        }

    before, after = said(old), said(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        said_before, said_after = (_declared(one) if one else "" for one in (was, now))
        if said_before != said_after:
            effect = "unknown" if was is None or now is None else _loosened(was, now)
            yield Change(name, "declaration", said_before, said_after, effect)


def _loosened(old: Label, new: Label) -> Effect:
    """Return what another declaration does by itself: who may set the label, to which values, and how it may change."""
    changes = get_args(LabelChange)
    setters, values = (set(old.set_by), set(new.set_by)), (set(old.enum), set(new.enum))
    gained = [setters[1] - setters[0], values[1] - values[0] if values[0] else ()]
    lost = [setters[0] - setters[1], values[0] - values[1] if values[1] else ()]
    later = changes.index(new.change) - changes.index(old.change)
    is_freed = bool(values[0] and not values[1]) or _takes_more(old, new)
    is_bound = bool(values[1] and not values[0]) or bool(new.pattern and not old.pattern)
    if any(gained) or later > 0 or is_freed:
        return "widens"
    return "narrows" if any(lost) or later < 0 or is_bound else "unknown"


def _takes_more(old: Label, new: Label) -> bool:
    """Whether *new* may take a value that *old* did not: nobody can say of two patterns that it takes none."""
    if old.type != new.type:
        return True
    if old.pattern is None or old.pattern == new.pattern:
        return False
    return not new.enum or not all(pattern(old.pattern).fullmatch(value) for value in new.enum)


def _declared(label: Label) -> str:
    values = f" {'|'.join(label.enum)}" if label.enum else ""
    values += f" {label.pattern}" if label.pattern is not None else ""
    return f"{label.type}{values}, set by {', '.join(label.set_by)}, change {label.change}"
