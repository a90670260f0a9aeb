"""What a name in a policy file means, and which names could stand at a place.

Facts and functions are the schema's, labels, params, variables and definitions those of the files that were read last;
of the text that is being written only its lines are looked at, because it often does not parse.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pfgov.core.verdicts import Point
from pfgov.policy.cel import STANDARD
from pfgov.policy.cel.types import CelType, Field, NumberType, Record, StringType
from pfgov.policy.facts import ROOTS
from pfgov.policy.files.model import Label
from pfgov.policy.judging.functions import DOCS
from pfgov.policy.load import Files
from pfgov.policy.provenance import MEANING, setter

Kind = Literal[
    "fact", "label", "function", "param", "variable", "definition", "rule", "policy", "point"
]

_SEGMENT: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_INDEX: Final = r"""\[(?:"[^"\]]*"|'[^'\]]*')\]"""
_PATH: Final = re.compile(rf"{_SEGMENT}(?:\.\??{_SEGMENT}|{_INDEX})*")
_BEFORE: Final = re.compile(rf"""({_SEGMENT}(?:\.\??{_SEGMENT})*)\.\??({_SEGMENT})?$""")
_IN_LABELS: Final = re.compile(r"""(packet|member|source|before)\.labels\[["']([^"'\]]*)$""")
_WORD: Final = re.compile(rf"(?<![\w.\"'])({_SEGMENT})?$")
_POINTS: Final = re.compile(r"^\s*(?:- +)?on:\s*\[[^\]]*$")
_RULES: Final = re.compile(r"""(?:deny|escalate|shadow):\s*\[[^\]]*$""")
_POLICY: Final = re.compile(r"^policy:\s*[\w.-]*$")
_BEFORE_MAX: Final = 8_192
_NAME_MAX: Final = 512
"""Characters before the cursor in which what is being written is looked for, and in which a name is."""
_OWN: Final = re.compile(rf"^(params|variables):|^  ({_SEGMENT}):|^(\S)")
_LABEL_ROOTS: Final = {
    "packet": "packet",
    "member": "member",
    "source": "member",
    "before": "member",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means.

    Attributes:
        name: As it is written, such as ``member.trust_score``.
        kind: What it is.
        type: Its type, or a function's signature; empty where it has none.
        doc: A sentence; may be empty.
        set_by: Who sets it; None where nobody is named.
    """

    name: str
    kind: Kind
    type: str = ""
    doc: str = ""
    set_by: str | None = None

    def as_markdown(self) -> str:
        """Return it as an editor shows it."""
        head = f"`{self.name}`: {self.kind}" + (f", {self.type}" if self.type else "")
        lines = [head, self.doc, "" if self.set_by is None else f"Set by {self.set_by}."]
        return "\n\n".join(line for line in lines if line)


class Names:
    """Every name that there is in a folder, beside the schema's."""

    def __init__(self, files: Files) -> None:
        self._labels = {(x.owner, x.name): x for y in files.labels for x in y.labels}
        self._definitions = sorted(
            {
                name
                for one in files.definitions
                for name in (*(x.name for x in one.params), *(x.name for x in one.variables))
            }
        )
        self._policies = {
            policy.name: [rule.id for rule in policy.rules] for policy in files.policies
        }

    # --- what stands there -----------------------------------------------------------------

    def meaning_at(self, text: str, line: int, character: int) -> tuple[Meaning, int, int] | None:
        """Return what the name at a place means, and the columns (0-based) that it takes; None where there is none."""
        lines = text.split("\n")
        if not 0 <= line < len(lines):
            return None
        for found in _PATH.finditer(lines[line]):
            if found.start() <= character <= found.end():
                path, start, end = _up_to(found, character)
                meaning = self._meaning(path, text)
                return None if meaning is None else (meaning, start, end)
        return None

    def _meaning(self, path: str, text: str) -> Meaning | None:
        root, _, rest = path.partition(".")
        if root in {"params", "variables"} and rest:
            return self._own(root, rest, text)
        if path in DOCS:
            return Meaning(path, "function", *DOCS[path])
        if path in STANDARD:
            return Meaning(path, "function", _signatures(path))
        if root in _LABEL_ROOTS and rest.startswith("labels") and rest != "labels":
            owner, name = _LABEL_ROOTS[root], rest.removeprefix("labels")
            return self._label(path, owner, name.strip(".[]\"'"))
        field = _field(path)
        return None if field is None else _fact(path, field)

    def _own(self, root: str, name: str, text: str) -> Meaning | None:
        said = _own_names(text).get(root, {}).get(name)
        kind: Kind = "param" if root == "params" else "variable"
        return (
            None
            if said is None
            else Meaning(f"{root}.{name}", kind, doc=f"`{said}`" if said else "")
        )

    def _label(self, path: str, owner: str, name: str) -> Meaning | None:
        label = self._labels.get(("packet" if owner == "packet" else "member", name))
        return None if label is None else _of_label(path, label)

    # --- what could stand there ------------------------------------------------------------

    def completions(self, text: str, line: int, character: int) -> list[Meaning]:
        """Return what could stand at a place, by the names that are to be inserted after what stands there already."""
        lines = text.split("\n")
        before = lines[line][:character] if 0 <= line < len(lines) else ""
        return list(self._completions(before, text)) if len(before) <= _BEFORE_MAX else []

    def _completions(self, before: str, text: str) -> Iterator[Meaning]:
        if found := _IN_LABELS.search(before):
            yield from self._labels_of(_LABEL_ROOTS[found[1]])
        elif found := _BEFORE.search(before, max(len(before) - _NAME_MAX, 0)):
            yield from self._members(found[1].replace("?", ""), text)
        elif _POINTS.search(before):
            yield from (Meaning(point.value, "point") for point in Point)
            yield Meaning("place", "point", doc="Stands for assign, handoff and accept.")
        elif _RULES.search(before):
            yield from self._rules()
        elif _POLICY.search(before):
            yield from (Meaning(name, "policy") for name in self._policies)
        elif _WORD.search(before) and ":" in before:
            yield from (_fact(name, field) for name, field in ROOTS.items())
            yield from (Meaning(name, "function", *said) for name, said in DOCS.items())
            yield from (
                Meaning(name, "function", _signatures(name))
                for name in STANDARD
                if re.fullmatch(r"[a-zA-Z][\w.]*", name)
            )
            for root, kind in (
                ("params", "param"),
                ("variables", "variable"),
                ("defs", "definition"),
            ):
                yield Meaning(root, kind)  # type: ignore[arg-type]  # three of the kinds

    def _members(self, path: str, text: str) -> Iterator[Meaning]:
        root, _, rest = path.partition(".")
        if rest == "labels" and root in _LABEL_ROOTS:
            yield from self._labels_of(_LABEL_ROOTS[root])
        elif path in {"params", "variables"}:
            for name, said in _own_names(text).get(path, {}).items():
                yield Meaning(
                    name,
                    "param" if path == "params" else "variable",
                    doc=f"`{said}`" if said else "",
                )
        elif path == "defs":
            yield from (Meaning(name, "definition") for name in self._definitions)
        else:
            field = _field(path)
            if field is not None and isinstance(field.type, Record):
                for name, inner in field.type.fields.items():
                    meaning = _fact(f"{path}.{name}", inner)
                    yield Meaning(name, "fact", meaning.type, meaning.doc, meaning.set_by)

    def _labels_of(self, owner: str) -> Iterator[Meaning]:
        for (whose, name), label in sorted(self._labels.items()):
            if whose == owner:
                yield _of_label(name, label)

    def _rules(self) -> Iterator[Meaning]:
        for policy, rules in self._policies.items():
            yield from (Meaning(rule, "rule", doc=f"Of the policy {policy}.") for rule in rules)


def _up_to(found: re.Match[str], character: int) -> tuple[str, int, int]:
    """Return the path up to the end of the segment in which *character* is."""
    end = found.end()
    for step in re.finditer(r"\.|\[", found[0]):
        if found.start() + step.start() >= character:
            end = found.start() + step.start()
            break
    path = found[0][: end - found.start()].replace("?", "")
    return path, found.start(), end


def _own_names(text: str) -> dict[str, dict[str, str]]:
    """Return the params and variables that a text declares, by name, with what stands after each."""
    names: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in text.split("\n"):
        found = _OWN.match(line)
        if found is None:
            continue
        if found[1]:
            section = names.setdefault(found[1], {})
        elif found[3]:
            section = None
        elif found[2] and section is not None:
            section[found[2]] = line.partition(":")[2].strip()
    return names


def _field(path: str) -> Field | None:
    root, *steps = path.split(".")
    field = ROOTS.get(root)
    for step in steps:
        if field is None or not isinstance(field.type, Record):
            return None
        field = field.type.fields.get(step)
    return field


def _fact(path: str, field: Field) -> Meaning:
    said = f"{'optional ' if field.optional else ''}{type_text(field.type)}"
    who = setter(tuple(path.split(".")))
    return Meaning(path, "fact", said, field.doc, MEANING.get(who) if who is not None else None)


def _of_label(name: str, label: Label) -> Meaning:
    values = f"One of {', '.join(label.enum)}." if label.enum else ""
    return Meaning(name, "label", f"optional {label.type}", values, ", ".join(label.set_by))


def type_text(kind: CelType) -> str:
    """Return a type with its bounds."""
    if isinstance(kind, NumberType) and kind.maximum is not None and kind.maximum < 1e15:
        return f"{kind.name}, {kind.minimum or 0:g} to {kind.maximum:g}"
    if isinstance(kind, StringType) and kind.allowed is not None:
        return f"one of {', '.join(sorted(kind.allowed))}"
    return str(kind)


def _signatures(name: str) -> str:
    function = STANDARD[name]
    shown: list[str] = []
    for overload in function.overloads[:3]:
        taken = [str(one) for one in overload.arguments]
        if function.is_member and taken:
            shown.append(f"{taken[0]}.{name}({', '.join(taken[1:])}) -> {overload.result}")
        else:
            shown.append(f"{name}({', '.join(taken)}) -> {overload.result}")
    return "; ".join(shown)
