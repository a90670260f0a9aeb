"""Declared labels: what type each has, who may set it, and what may become of it.

A label travels as a text.  Where a set declares it, rules see a value of its type; with a text that is none, because it
was set under another set, whatever they do fails.  What is not declared, no rule sees: whoever submits or registers may
set it, and from then on it is an operator's.  This module knows neither files nor the state.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Never

from pfgov import limits
from pfgov.core.labelling import LabelRefusal
from pfgov.policy.cel import CelError
from pfgov.policy.cel.limits import PATTERN_MEMORY_BYTES
from pfgov.policy.cel.strings import compile_re2
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.cel.types import BOOL, DOUBLE, INT, TIMESTAMP, CelType, StringType
from pfgov.policy.cel.values import Timestamp, written
from pfgov.policy.facts import LabelTypes
from pfgov.policy.files.model import Label, LabelOwner, Labels

Pairs = Sequence[tuple[str, str]]

SETTERS: Final = ("operator", "assessor", "reviewer", "auditor", "admin", "submitter", "member")
"""Who may be named as setting a label: rights, or the member that it is on."""

PATTERN_LENGTH_MAX: Final = 256
"""Characters in the pattern of a label."""

ENUM_MAX: Final = 64
"""Values that a label may be confined to."""

_INT: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_DOUBLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?", re.ASCII)


class Unreadable:
    """A label whose text is not of its declared type: whatever a rule does with it fails, and a rule that fails denies.

    It was set under another set.  Were it absent, a rule that asks whether there is one would pass it by.
    """

    __hash__ = None  # type: ignore[assignment]  # what remembers verdicts by their facts must not

    def __init__(self, text: str) -> None:
        self.text = text

    def _fails(self, *_: object) -> Never:
        raise CelError(
            f"the label's value {written(self.text)} is not of its declared type", kind="type"
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _fails
    __len__ = __iter__ = __contains__ = __getitem__ = _fails
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _fails
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __neg__ = __float__ = __int__ = _fails

    def __repr__(self) -> str:
        return f"unreadable {written(self.text)}"


class LabelValueError(ValueError):
    """A text is not of the declared type."""


@lru_cache(maxsize=1_024)
def pattern(text: str) -> Any:
    """Return the compiled RE2 pattern *text*, in little memory if it is not of a set from before that was asked for.

    Raises:
        ValueError: it is none.
    """
    try:
        return _compiled(text, PATTERN_MEMORY_BYTES)
    except ValueError:
        return _compiled(text, None)


def steps_of(text: str) -> int:
    """Return how many steps the program of the pattern *text* has: what a value takes grows with it.

    Raises:
        ValueError: it is none, or needs too much memory.
    """
    return int(_compiled(text, PATTERN_MEMORY_BYTES).programsize)


def _compiled(text: str, memory: int | None) -> Any:
    try:
        return compile_re2(text, memory)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an RE2 pattern: {error}") from None


def value_of(label: Label, text: str) -> bool | int | float | str | Timestamp:
    """Return what *text* stands for.

    Raises:
        LabelValueError: it is not of the label's type.
    """
    match label.type:
        case "string":
            if label.enum and text not in label.enum:
                raise LabelValueError(f"is {text!r}, not one of {', '.join(label.enum)}")
            if label.pattern is not None and not pattern(label.pattern).fullmatch(text):
                raise LabelValueError(f"is {text!r}, which does not match {label.pattern!r}")
            return text
        case "int" if _INT.fullmatch(text):
            return int(text)
        case "double" if _DOUBLE.fullmatch(text):
            return float(text)
        case "bool" if text in {"true", "false"}:
            return text == "true"
        case "timestamp":
            try:
                return parse_timestamp(text)
            except CelError:
                pass
        case _:
            pass
    raise LabelValueError(f"is {text!r}, not {_WRITTEN[label.type]}")


_WRITTEN: Final = {
    "int": "a whole number such as 12",
    "double": "a plain number such as 0.5",
    "bool": "true or false",
    "timestamp": "a moment such as 2026-06-13T20:00:00Z",
}


def type_of(label: Label) -> CelType:
    """Return the type that rules see."""
    match label.type:
        case "int":
            return INT
        case "double":
            return DOUBLE
        case "bool":
            return BOOL
        case "timestamp":
            return TIMESTAMP
        case _:
            allowed = frozenset(label.enum) if label.enum else None
            return StringType(limits.LABEL_LENGTH_MAX, allowed)


def is_narrower(label: Label, old: str, new: str) -> bool:
    """Whether *new* asks for no less than *old*: later in the enum, true, or more."""
    try:
        before, after = value_of(label, old), value_of(label, new)
    except LabelValueError:
        return False
    if label.type == "string":
        return bool(label.enum) and label.enum.index(new) >= label.enum.index(old)
    if isinstance(before, Timestamp) or isinstance(after, Timestamp):
        return (
            isinstance(before, Timestamp) and isinstance(after, Timestamp) and after.ns >= before.ns
        )
    return not isinstance(before, str) and not isinstance(after, str) and after >= before


@dataclass(frozen=True, slots=True)
class Declarations:
    """Every label that a set declares; ``is_free`` where the set is older than declarations."""

    packet: Mapping[str, Label] = field(default_factory=dict[str, Label])
    member: Mapping[str, Label] = field(default_factory=dict[str, Label])
    is_free: bool = False

    def of(self, owner: LabelOwner) -> Mapping[str, Label]:
        """Return the labels declared for packets, or for members."""
        return self.packet if owner == "packet" else self.member

    def types(self) -> LabelTypes | None:
        """Return what expressions are checked against."""
        if self.is_free:
            return None
        return {
            "packet": {name: type_of(label) for name, label in self.packet.items()},
            "member": {name: type_of(label) for name, label in self.member.items()},
        }

    def facts(self, owner: LabelOwner, pairs: Pairs) -> dict[str, object]:
        """Return *pairs* as rules see them: declared ones with their type, others as texts that no rule can name."""
        declared = self.of(owner)
        found: dict[str, object] = {}
        for name, text in pairs:
            label = declared.get(name)
            if label is None:
                found[name] = text
                continue
            try:
                found[name] = value_of(label, text)
            except LabelValueError:
                found[name] = text if label.type == "string" else Unreadable(text)
        return found

    def typed(self, owner: LabelOwner, labels: Mapping[str, object]) -> dict[str, object]:
        """Return *labels* from outside, where a value may be of any type, as rules see them."""
        texts = [(name, text) for name, text in labels.items() if type(text) is str]
        others = {name: value for name, value in labels.items() if type(value) is not str}
        return {**others, **self.facts(owner, texts)}

    def refusal(
        self,
        owner: LabelOwner,
        before: Mapping[str, str] | None,
        after: Mapping[str, str],
        rights: Collection[str],
    ) -> LabelRefusal | None:
        """Return why whoever has *rights* may not make the labels *before* into *after*; None where it may.

        *before* is None where labels are set for the first time: at submission and registration.
        """
        declared, old = self.of(owner), before or {}
        for name in sorted({*old, *after}):
            if old.get(name) == after.get(name):
                continue
            label = declared.get(name)
            if label is None:
                if before is None or "operator" in rights:
                    continue
                return LabelRefusal(name, "is not declared: only an operator changes it", False)
            found = _refusal(label, old.get(name), after.get(name), rights)
            if found is not None:
                return found
        return None


def _refusal(
    label: Label, old: str | None, new: str | None, rights: Collection[str]
) -> LabelRefusal | None:
    if new is not None:
        try:
            value_of(label, new)
        except LabelValueError as error:
            return LabelRefusal(label.name, str(error), True)
    if set(label.set_by).isdisjoint(rights):
        who = f"is set by {' or '.join(label.set_by)}"
        gone = (
            "" if new is not None else f"; without {label.name}={old} among the labels it would go"
        )
        return LabelRefusal(label.name, f"{who}{gone}", False)
    if old is None or label.change == "rights":
        return None
    if label.change == "narrow" and new is not None and is_narrower(label, old, new):
        return None
    kept = "never changes" if label.change == "never" else "only becomes narrower"
    gone = "" if new is not None else f"; without {label.name}={old} among the labels it would go"
    return LabelRefusal(label.name, f"{kept}: it is {old!r}{gone}", False)


FREE: Final = Declarations(is_free=True)
"""Of a set that is older than declarations."""


def declarations(files: Sequence[Labels]) -> Declarations:
    """Return what *files* declare together; the loader has refused what is declared twice."""
    made: dict[str, dict[str, Label]] = {"packet": {}, "member": {}}
    for labels in files:
        for label in labels.labels:
            made[label.owner][label.name] = label
    return Declarations(MappingProxyType(made["packet"]), MappingProxyType(made["member"]))
