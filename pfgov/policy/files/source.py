"""YAML text to nodes that know where they stand, with everything surprising refused.

The event stream of ruamel.yaml's pure parser is composed here, because its own constructors hide
positions and resolve what a policy file must not contain: aliases, anchors, tags, merge keys,
duplicate keys, several documents, and plain scalars on which YAML 1.1 and 1.2 disagree (``no``,
``on``, ``012``).  What is left means the same to every reader of YAML and of JSON.

This module knows no policies: it turns one text into one tree, or into problems.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pfgov.policy.limits import FILE_BYTES_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX
from pfgov.policy.problems import Problem

Plain = None | bool | int | float | str
Json = Plain | list["Json"] | dict[str, "Json"]

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_BOOLEANS: Final = {"true": True, "false": False}
_NULLS: Final = frozenset({"", "~", "null"})
_YAML_1_1: Final = re.compile(
    r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE|Null|NULL"
)
_UNLIKE: Final = re.compile(
    r"[-+]?0[0-9_]+|[-+]?0[xob][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[-+]?\.[0-9]+|[-+]?[0-9]+\."
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BREAK: Final = re.compile("\r\n?")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the 1-based line and column where it starts."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A single value; ``text`` is its content as written, ``raw`` the stretch of the file it spans.

    A comment follows on its line where it ``is_commented``.
    """

    value: Plain
    text: str
    quoted: bool
    raw: str = field(repr=False, compare=False)
    is_commented: bool = field(default=False, repr=False, compare=False)

    def position(self, line: int, column: int) -> tuple[int, int]:
        """Return where in the file the character at *line*, *column* of the content stands.

        Content and file agree on everything but white space, quotes and escapes, so the n-th
        character that is not white space is looked for; with escapes before it, the answer is the
        start of the value.
        """
        lines = self.text.split("\n")
        if not 1 <= line <= len(lines):
            return self.line, self.column
        before = "".join(lines[: line - 1]) + lines[line - 1][: column - 1]
        target = len(re.sub(r"\s", "", before, flags=re.ASCII))
        raw, at = self.raw, 0
        if raw[:1] in {"|", ">"}:
            at = raw.find("\n") + 1
        elif self.quoted:
            if "\\" in raw or "''" in raw:
                return self.line, self.column
            at = 1
        seen = 0
        while at < len(raw):
            if raw[at] not in " \t\r\n\f\v":
                if seen == target:
                    break
                seen += 1
            at += 1
        breaks = raw.count("\n", 0, at)
        if not breaks:
            return self.line, self.column + at
        return self.line + breaks, at - raw.rfind("\n", 0, at)

    def is_on_one_line(self, line: int, column: int, length: int) -> bool:
        """Say whether so many characters of the content from a place on surely stand on one line of the file."""
        if self.raw[:1] == "|" or "\n" not in self.raw:
            return True
        if self.raw[:1] in {'"', "'"} and ("\\" in self.raw or "''" in self.raw):
            return False
        return self.position(line, column)[0] == self.position(line, column + length - 1)[0]


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entries(Node):
    """A mapping: (key, value) in the order of the file; keys are unique."""

    pairs: tuple[tuple[Scalar, Node], ...]

    def get(self, name: str) -> Node | None:
        """Return the value at *name*, or None."""
        return next((value for key, value in self.pairs if key.text == name), None)


class SourceError(Exception):
    """The text is no acceptable YAML; ``problem`` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(text: str, file: str) -> Node:
    """Parse the one YAML document in *text*.

    Raises:
        SourceError: It is not YAML, or uses a feature that is refused; the first such place.
    """
    if len(text.encode("utf-8", "surrogatepass")) > FILE_BYTES_MAX:
        raise SourceError(
            Problem("policy.yaml.too_large", f"more than {FILE_BYTES_MAX} bytes", file, 1, 1)
        )
    return _Composer(text, file).document()


def plain(node: Node) -> Json:
    """Return *node* as plain JSON values, without positions."""
    match node:
        case Scalar(value=value):
            return value
        case Items(items=items):
            return [plain(item) for item in items]
        case Entries(pairs=pairs):
            return {key.text: plain(value) for key, value in pairs}
        case _:  # pragma: no cover - the three classes above are all there are
            raise AssertionError(node)


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._nodes = 0

    def document(self) -> Node:
        # Imported here: reading the ledger or a compiled set never needs YAML.
        import ruamel.yaml
        from ruamel.yaml.error import YAMLError

        library: Any = ruamel.yaml  # it is only partly typed
        try:
            return self._document(iter(library.YAML(typ="safe", pure=True).parse(self._text)))
        except YAMLError as error:
            raise self._not_yaml(error) from None

    def _not_yaml(self, error: Any) -> SourceError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(getattr(error, "problem", None) or str(error).partition("\n")[0])
        kept = _KEPT_START.fullmatch(self._line(line))
        if kept is not None and "\t" not in kept[0]:
            sign = _KEPT[kept["value"][0]]
            what = f"a value that begins with `{kept['value'][0]}` is {sign} in YAML"
            quote = f"quote the value: {_quoted(kept['value'])}"
            is_block = kept["value"][0] in "|>"
            meant = "write what follows on the next line, indented" if is_block else quote
            return self._error("syntax", what, line, kept.start("value") + 1, meant)
        hint = _syntax_hint(what, self._line(line), column)
        return self._error("syntax", what, line, column, hint)

    def _line(self, number: int) -> str:
        """Return the line of that number, if it is short enough for guesses, which go back and forth in it."""
        lines = self._text.splitlines()
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        return line if len(line) <= _LINE_GUESSED_MAX else ""

    def _document(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                if root is not None:
                    raise self._at(event, "documents", "a file holds one document, not several")
                if event.version or event.tags:
                    raise self._at(event, "directive", "directives are not allowed", "remove it")
            elif name not in {"StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"}:
                root = self._node(event, events, 1)
        if root is None:
            raise self._error("empty", "the file is empty", 1, 1)
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        self._nodes += 1
        if self._nodes > YAML_NODES_MAX:
            raise self._at(event, "too_large", f"more than {YAML_NODES_MAX} values in one file")
        if depth > YAML_DEPTH_MAX:
            raise self._at(event, "too_deep", f"more than {YAML_DEPTH_MAX} levels of nesting")
        name = type(event).__name__
        if name == "AliasEvent":
            raise self._at(event, "alias", "aliases are not allowed", "write the value out again")
        if event.anchor is not None:
            raise self._at(event, "alias", "anchors are not allowed", "write the value out again")
        if event.ctag is not None and str(event.ctag):
            mark = event.start_mark
            hint = _syntax_hint("", self._line(mark.line + 1), mark.column)
            message = f"`{event.ctag}` is a tag, and tags are not allowed"
            raise self._at(event, "tag", message, hint or "remove the tag")
        if name == "ScalarEvent":
            return self._scalar(event)
        if name == "SequenceStartEvent":
            return self._sequence(event, events, depth)
        return self._mapping(event, events, depth)

    def _sequence(self, start: Any, events: Iterator[Any], depth: int) -> Items:
        items: list[Node] = []
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self._node(event, events, depth + 1))
        return Items(start.start_mark.line + 1, start.start_mark.column + 1, tuple(items))

    def _mapping(self, start: Any, events: Iterator[Any], depth: int) -> Entries:
        pairs: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self._key(event, events, depth)
            if key.text in seen:
                raise self._at(
                    event,
                    "duplicate_key",
                    f"the key `{key.text}` stands here twice",
                    f"the first one is on line {seen[key.text]}",
                )
            seen[key.text] = key.line
            value = self._node(next(events), events, depth + 1)
            if isinstance(value, Scalar) and not value.raw:
                value = replace(value, line=key.line, column=key.column)  # nothing stands there
            pairs.append((key, value))
        return Entries(start.start_mark.line + 1, start.start_mark.column + 1, tuple(pairs))

    def _key(self, event: Any, events: Iterator[Any], depth: int) -> Scalar:
        if type(event).__name__ != "ScalarEvent":
            self._node(event, events, depth + 1)  # aliases and tags get their own message
            hint = "inside { } commas and brackets belong to YAML: quote the expression"
            raise self._at(event, "key", "a key must be a simple word", hint)
        self._nodes += 1
        text, quoted = str(event.value), event.style is not None
        if event.anchor is not None:
            raise self._at(event, "alias", "anchors are not allowed")
        if text == "<<" and not quoted:
            raise self._at(event, "merge_key", "merge keys are not allowed", "write the keys out")
        if not quoted and text != "on" and _YAML_1_1.fullmatch(text):
            raise self._at(
                event, "boolean", f"the key `{text}` is a boolean in YAML 1.1", f'write "{text}"'
            )
        return self._make(event, text, text, quoted=quoted)

    def _scalar(self, event: Any) -> Scalar:
        text = str(event.value)
        quoted = event.style is not None
        if quoted:
            return self._make(event, text, text, quoted=True)
        if _YAML_1_1.fullmatch(text):
            raise self._at(
                event,
                "boolean",
                f"`{text}` is a boolean or null in YAML 1.1 and a word in YAML 1.2",
                f'write true, false or null, or quote it: "{text}"',
            )
        if _UNLIKE.fullmatch(text):
            raise self._at(
                event,
                "number",
                f"`{text}` is read differently by different YAML readers, or is not finite",
                f'write a plain decimal number, or quote it: "{text}"',
            )
        return self._make(event, _resolve(text), text, quoted=False)

    def _make(self, event: Any, value: Plain, text: str, *, quoted: bool) -> Scalar:
        start, end = event.start_mark, event.end_mark
        if _SURROGATE.search(text):
            raise self._at(event, "text", "a lone surrogate is not a character")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._at(event, "number", f"`{text}` is too large for a number")
        raw = _BREAK.sub("\n", self._text[start.index : end.index])
        rest = self._text[end.index : end.index + 80].partition("\n")[0]
        is_commented = rest.lstrip(" ").startswith("#")
        return Scalar(start.line + 1, start.column + 1, value, text, quoted, raw, is_commented)

    def _at(self, event: Any, code: str, message: str, hint: str | None = None) -> SourceError:
        mark = event.start_mark
        return self._error(code, message, mark.line + 1, mark.column + 1, hint)

    def _error(
        self, code: str, message: str, line: int, column: int, hint: str | None = None
    ) -> SourceError:
        return SourceError(Problem(f"policy.yaml.{code}", message, self._file, line, column, hint))


def _resolve(text: str) -> Plain:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_QUOTED_START: Final = re.compile(
    r"""\s*(?:- *)?[^'":#]+: +(?P<value>(?P<quote>["']).*?(?P=quote) *[^\s#].*)"""
)
_BRACKET_START: Final = re.compile(
    r"""\s*(?:- *)?[^'":#]+: +(?P<value>(?:\[[^\[\]]*\]|\{[^{}]*\}) *[^\s#,].*)"""
)
_TAG_START: Final = re.compile(r"\s*(?:- *)?[^'\":#]+: +(?P<value>!.*)")
_KEPT_START: Final = re.compile(r"\s*(?:- *)?[^'\":#{\[]+: +(?P<value>[!&*|>%@`].*[^\s0-9+-].*)")
_KEPT: Final = {
    "!": "a tag",
    "&": "an anchor",
    "*": "an alias",
    "|": "a text of several lines",
    ">": "a text of several lines",
    "%": "a directive",
    "@": "reserved",
    "`": "reserved",
}
"""Characters that YAML keeps for itself at the beginning of a value -> what they make of it."""


def _syntax_hint(message: str, line: str, column: int) -> str | None:
    """Return what was probably meant on the *line* where the parser gave up."""
    if "\t" in line[:column]:
        return "use spaces: YAML takes no tab there"
    if found := _QUOTED_START.fullmatch(line):
        return (
            f"the value ends at its second quote; quote the whole of it: {_quoted(found['value'])}"
        )
    if found := _BRACKET_START.fullmatch(line):
        return f"the value ends at its closing bracket; quote the whole of it: {_quoted(found['value'])}"
    if found := _TAG_START.fullmatch(line):
        return f"`!` begins a tag in YAML; quote the value: {_quoted(found['value'])}"
    if "mapping values are not allowed" in message:
        return "a value that contains `: ` must be quoted"
    if "could not find expected ':'" in message:
        return "a key must be followed by `:` and a space"
    if "cannot start any token" in message or "while scanning" in message:
        return "quote the value: it begins with a character that YAML keeps for itself"
    if "expected ',' or '}'" in message:
        return "inside { } brackets and commas belong to YAML: quote the expression"
    if "expected <block end>" in message:
        return "check the indentation of this line and the one before it"
    return None


def _quoted(value: str) -> str:
    """Return *value* without its comment as a quoted scalar, if it is short enough to be shown."""
    text = value.partition(" #")[0].rstrip()
    if len(text) > _HINT_MAX:
        return "'...'"
    if "'" in text and not {'"', "\\"} & set(text):
        return f'"{text}"'
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


_HINT_MAX: Final = 120
_LINE_GUESSED_MAX: Final = 1_000
