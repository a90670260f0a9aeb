"""Names and texts in expressions that cannot be meant: a word that no list holds, one id compared with another kind.

Works on one checked expression and answers in problems that say where.  How names are spelt is a table
(:mod:`pfgov.policy.vocabulary`); this module knows only how expressions compare them.  For authors' tools alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeGuard

from pfgov.core.characters import normalized
from pfgov.core.spelling import LABELS_HOLD, as_seen
from pfgov.policy.cel import ir
from pfgov.policy.cel.hints import did_you_mean
from pfgov.policy.cel.possible import walk
from pfgov.policy.cel.types import ListType, Record, StringType
from pfgov.policy.files.model import Text
from pfgov.policy.problems import Problem, Severity
from pfgov.policy.vocabulary import MEMBERS_OF, Path, spelling

_EQUALITIES: Final = frozenset({"_==_", "_!=_"})
_ORDERS: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_WHOLE: Final = frozenset({"size", *_EQUALITIES})
_SETS: Final = frozenset({"sets.contains", "sets.intersects", "sets.equivalent"})
_PARTS: Final = frozenset({"startsWith", "endsWith", "contains"})
_VERBS: Final = {
    "startsWith": "begins with",
    "endsWith": "ends with",
    "contains": "holds",
    "matches": "matches",
}
_CASES: Final = {"lowerAscii": str.lower, "upperAscii": str.upper}


@dataclass(frozen=True, slots=True)
class Writer:
    """Says what is wrong with a part of *text*, where that part stands."""

    text: Text

    def shown(self, node: ir.Node) -> str:
        """Return *node* as its author wrote it, on one line."""
        return " ".join(self.text.text[node.span.start : node.span.end].split())

    def problem(
        self, code: str, message: str, node: ir.Node, hint: str | None, severity: Severity = "error"
    ) -> Problem:
        """Return a problem of *node*."""
        return self.text.problem(code, message, node.span.line, node.span.column, hint, severity)


class Naming:
    """What one expression says of names; loops are told to it from outside in."""

    def __init__(self, writer: Writer) -> None:
        """Take who says what is wrong."""
        self._say = writer
        self._items: dict[int, Path] = {}
        self._labels: dict[int, Record] = {}

    def enter(self, node: ir.Node) -> None:
        """Remember of what list the variable of the loop *node* is an item, or of what labels it is a name."""
        if isinstance(node, ir.Fold) and (labels := _labels_of(node.target)) is not None:
            self._labels[node.locals[0].slot] = labels
        if isinstance(node, ir.Fold) and isinstance(node.target.type, ListType):
            path = path_of(node.target)
            if path is not None:
                self._items[node.locals[-1].slot] = path

    def problems(self, node: ir.Call) -> Iterator[Problem]:
        """Yield what is wrong with the call *node* itself."""
        yield from self._words(node)
        yield from self._text(node)
        yield from self._ids(node)
        yield from self._whole(node)
        yield from self._ordered(node)
        yield from self._folded_case(node)
        yield from self._label_names(node)
        yield from self.read_whole(node)

    # --- labels -----------------------------------------------------------------------------

    def _label_names(self, node: ir.Call) -> Iterator[Problem]:
        """A label asked for by a name that no file declares: ``"team" in packet.labels``."""
        if len(node.arguments) != 2:
            return
        left, right = node.arguments
        named: Iterator[tuple[Record | None, str]] = iter(())
        match node.function.name:
            case "@in":
                inside, item = _labels_of(right), self._name_of(left)
                named = ((labels, word) for labels, other in ((inside, left), (item, right))
                         for word in (_constants(other) if labels is not None else ()))  # fmt: skip
            case "_==_" | "_!=_":
                named = ((self._name_of(one), word) for one, other in ((left, right), (right, left))
                         for word in _constants(other))  # fmt: skip
            case _:
                pass
        for labels, word in named:
            if labels is not None and word not in labels.fields:
                yield self._say.problem(
                    "cel.unknown_field",
                    f"labels has no field `{word}`",
                    node,
                    _declared(word, labels),
                )

    def _name_of(self, node: ir.Node) -> Record | None:
        """Return the labels of which *node* is a name, as the variable of a loop."""
        return self._labels.get(node.slot) if isinstance(node, ir.Local) else None

    def read_whole(self, node: ir.Node) -> Iterator[Problem]:
        """Every label is read, or one by a name that is not written out: also those that no file declares."""
        match node:
            case ir.Fold(target=target) if _labels_of(target) is not None:
                if any(self._is_named(part, node.locals[0].slot) for part in walk(node)):
                    return
                read = target
            case ir.Index(operand=operand) if (
                _labels_of(operand) is not None and path_of(node) is None
            ):
                read = operand
            case ir.Call(function=function, arguments=arguments) if function.name in _WHOLE:
                read = next((one for one in arguments if _labels_of(one) is not None), node)
            case _:
                return
        if read is not node:
            yield self._say.problem(
                "policy.undeclared_labels",
                f"`{self._say.shown(node)}` reads labels that no file declares, too: anybody sets those",
                node,
                f'name the label, and declare it: {self._say.shown(read)}.NAME, or "NAME" in {self._say.shown(read)}',
                "warning",
            )

    def _is_named(self, part: ir.Node, slot: int) -> bool:
        """Whether *part* compares the variable *slot* with a text."""
        if not isinstance(part, ir.Call) or part.function.name not in {*_EQUALITIES, "@in"}:
            return False
        one, other = part.arguments
        pairs = ((one, other), (other, one))
        return any(
            isinstance(a, ir.Local) and a.slot == slot and any(_constants(b)) for a, b in pairs
        )

    # --- words ------------------------------------------------------------------------------

    def _words(self, node: ir.Call) -> Iterator[Problem]:
        """A word that a fact never is: ``"opertor" in principal.rights``, ``member.region == "EU"``."""
        for path, word in self._compared(node):
            yield from self._demanded(path, word, node)
            yield from self._label_value(path, word, as_seen(word), node)
            spelt = spelling(path)
            if spelt is None or spelt.has(word):
                continue
            name = ".".join(path)
            instead = spelt.instead(word)
            if not word:
                instead = (
                    f"no name is empty: whether an optional fact is there is asked with has({name})"
                )
            if spelt.is_closed:
                yield self._say.problem(
                    "cel.never_equal", f"{name} never holds {word!r}", node, instead
                )
            else:
                yield self._say.problem(
                    "policy.spelling",
                    f"{name} is never spelt {word!r}",
                    node,
                    instead,
                    "warning",
                )

    def _label_value(self, path: Path, text: str, seen: str, node: ir.Call) -> Iterator[Problem]:
        """A text that no label has, though it looks like one: of two characters for one, with a blank at an end."""
        if path[1:2] == ("labels",) and len(path) == 3 and text != seen:
            name = ".".join(path)
            instead = f"write {seen!r}: {LABELS_HOLD}"
            yield self._say.problem(
                "policy.spelling",
                f"{name} never holds {text!a}",
                node,
                instead if seen else f"whether a label is there is asked with has({name})",
                "warning",
            )

    def _compared(self, node: ir.Call) -> Iterator[tuple[Path, str]]:
        """Yield (path of a fact or a list, word that it or an item of it is compared with)."""
        if len(node.arguments) != 2:
            return
        left, right = node.arguments
        match node.function.name:
            case "@in" if isinstance(left, ir.Const):
                yield from _each(path_of(right), left)
            case "@in":
                yield from _each(self._path(left), right)
            case "_==_" | "_!=_":
                for one, other in ((left, right), (right, left)):
                    if isinstance(other, ir.Const):
                        yield from _each(self._path(one), other)
            case "region_within":
                yield from _each(path_of(left), right)
            case "class_within":
                yield from self._classes(left, right)
                yield from self._classes(right, left)
            case "capability_match":
                for word in _constants(left):
                    yield (("member", "capabilities"), re.split(r"[\s<>=!~]", word, maxsplit=1)[0])
            case name if name in _SETS:
                for one, other in ((left, right), (right, left)):
                    yield from _each(path_of(one), other)
            case _:
                pass

    def _classes(self, one: ir.Node, other: ir.Node) -> Iterator[tuple[Path, str]]:
        """Yield the words of *other*, in the lower case in which ``class_within`` compares them with *one*."""
        path = self._path(one) or ("packet", "data_classes")
        yield from ((path, word.casefold()) for word in _constants(other))

    def _path(self, node: ir.Node) -> Path | None:
        return self._items.get(node.slot) if isinstance(node, ir.Local) else path_of(node)

    def _demanded(self, path: Path, word: str, node: ir.Call) -> Iterator[Problem]:
        """A bare name among demands that may have a version: ``"shell" in packet.required_capabilities``."""
        if path[1:] != ("required_capabilities",):
            return
        yield self._say.problem(
            "policy.requirement",
            f"a packet that asks for `{word}>=0` asks for {word}, too, and passes `{self._say.shown(node)}` by",
            node,
            f'write packet.required_capabilities.exists(r, r.matches("^{word}([<>=!~]|$)"))',
            "warning",
        )

    # --- parts of texts ---------------------------------------------------------------------

    def _text(self, node: ir.Call) -> Iterator[Problem]:
        """A beginning that no name has: ``c.startsWith("PII.")``; a pattern in capitals."""
        name = node.function.name
        if len(node.arguments) != 2 or not isinstance(node.arguments[1], ir.Const):
            return
        path, part = self._path(node.arguments[0]), node.arguments[1].value
        spelt = spelling(path)
        if path is None or type(part) is not str:
            return
        if name in _VERBS:
            yield from self._label_value(path, part, normalized("NFC", part), node)
        if spelt is None:
            return
        is_possible = True
        if name in _PARTS:
            is_possible = spelt.can(name, part)
        elif name == "matches" and spelt.characters is not None:
            is_possible = spelt.characters.issuperset(_literal_capitals(part))
        if not is_possible:
            lowered = part.lower()
            hint = spelt.hint
            if lowered != part and (name not in _PARTS or spelt.can(name, lowered)):
                hint = f"did you mean `{lowered}`?"
            yield self._say.problem(
                "policy.spelling",
                f"no name of {'.'.join(path)} {_VERBS[name]} {part!r}",
                node,
                hint,
                "warning",
            )

    def _folded_case(self, node: ir.Call) -> Iterator[Problem]:
        """A text in one case compared with one in the other: ``x.lowerAscii() == "High"``."""
        if node.function.name not in _EQUALITIES and node.function.name != "@in":
            return
        for one, other in (node.arguments, node.arguments[::-1]):
            if not isinstance(one, ir.Call) or one.function.name not in _CASES:
                continue
            folded = _CASES[one.function.name]
            for word in _constants(other):
                made = "".join(folded(char) if char.isascii() else char for char in word)
                if made != word:
                    yield self._say.problem(
                        "cel.never_equal",
                        f"{word!r} is in another case than `{self._say.shown(one)}` gives",
                        node,
                        f"did you mean `{made}`?",
                    )

    def _ordered(self, node: ir.Call) -> Iterator[Problem]:
        """Texts compared by size: ``member.capability_versions["ocr"] >= "1.10"``."""
        if node.function.name not in _ORDERS:
            return
        if not all(isinstance(part.type, StringType) for part in node.arguments):
            return
        paths = [path for part in node.arguments if (path := path_of(part)) is not None]
        hint = "compare numbers or times, or list the texts that are meant: x in [...]"
        if any("capability_versions" in path for path in paths):
            hint = 'write capability_match("NAME>=1.2", member.capability_versions)'
        elif any("labels" in path[1:2] for path in paths):
            hint = "declare the label as int, double or timestamp, or list the texts that are meant: x in [...]"
        yield self._say.problem(
            "policy.text_order",
            f'`{self._say.shown(node)}` compares texts letter by letter: "10" is before "9", and "high" before "low"',
            node,
            hint,
            "warning",
        )

    # --- lists and ids ----------------------------------------------------------------------

    def _whole(self, node: ir.Call) -> Iterator[Problem]:
        """A list that is compared as a whole: ``packet.data_classes == ["pii"]``."""
        paths = [path for part in node.arguments if (path := path_of(part)) is not None]
        is_written = any(isinstance(part, ir.MakeList) and part.items for part in node.arguments)
        if node.function.name in _EQUALITIES and is_written and len(paths) == 1:
            name = ".".join(paths[0])
            yield self._say.problem(
                "policy.whole_list",
                f"`{self._say.shown(node)}` is about just these, in byte order: one more makes it another list",
                node,
                f"ask of each: {name}.all(x, x in [...]), or {name}.exists(x, x in [...])",
                "warning",
            )

    def _ids(self, node: ir.Call) -> Iterator[Problem]:
        """A principal's id compared with a member's: ``member.id == packet.submitted_by.id``."""
        if node.function.name not in _EQUALITIES and node.function.name != "@in":
            return
        found: dict[str, Path] = {}
        for part in node.arguments:
            path = self._path(part)
            spelt = spelling(path)
            if path is not None and spelt is not None and spelt.whose is not None:
                found[spelt.whose] = path
        if len(found) == 2:
            principal, member = ".".join(found["principal"]), ".".join(found["member"])
            yield self._say.problem(
                "policy.other_id",
                f"{principal} has the id of a key or a token, and {member} that of a member: they are the same only "
                "where a key is for that member and nothing else",
                node,
                f"compare with {MEMBERS_OF.get(principal, principal)}: the members for which it may act",
                "warning",
            )


def _labels_of(node: ir.Node) -> Record | None:
    """Return what is declared of the labels that *node* is, else None."""
    while isinstance(node, ir.Named):
        node = node.expression.root
    is_labels = isinstance(node.type, Record) and node.type.name == "labels"
    return node.type if is_labels and isinstance(node.type, Record) else None


def _declared(word: str, labels: Record) -> str:
    """Return what to write for the label *word*, which no file declares."""
    hint = did_you_mean(word, labels.fields)
    if hint is None and not labels.fields:
        hint = "no file declares any: add one with `kind: Labels`"
    declared = ", ".join(sorted(labels.fields)[:12])
    return hint or f"declare it in a file of `kind: Labels`; declared are {declared}"


def path_of(node: ir.Node) -> Path | None:
    """Return the path of the fact that *node* reads, under whatever name, else None."""
    while isinstance(node, ir.Named):
        node = node.expression.root
    return ir.path_of(node)


def _each(path: Path | None, node: ir.Node) -> Iterator[tuple[Path, str]]:
    if path is not None:
        yield from ((path, word) for word in _constants(node))


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _constants(node: ir.Node) -> Iterator[str]:
    """Yield the texts that *node* is, or holds as a list."""
    match node:
        case ir.Const(value=str(value)):
            yield value
        case ir.Const(value=value) if _is_list(value):
            yield from (one for one in value if isinstance(one, str))
        case ir.MakeList(items=items):
            for item in items:
                if isinstance(item, ir.Const) and type(item.value) is str:
                    yield item.value
        case _:
            pass


def _literal_capitals(pattern: str) -> set[str]:
    """Return the capitals that every match of the RE2 *pattern* has: those outside of classes, escapes and choices."""
    if "(?" in pattern or "|" in pattern:
        return set()
    plain = re.sub(r"\\.|\[[^\]]*\]|.[*?{]", "", pattern)
    return {char for char in plain if "A" <= char <= "Z"}
