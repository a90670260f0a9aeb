"""Typed reading of positioned nodes: one small question at a time, every wrong answer collected.

A :class:`Reader` never raises for a mistake in a file: it notes a positioned problem and returns
None, so that one pass finds them all.  Unknown keys get a did-you-mean.  It knows the shapes of
YAML values, not what a policy is.
"""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from pfgov.policy.cel.errors import CelSyntaxError
from pfgov.policy.cel.scan import scan
from pfgov.policy.files.model import Place, Text
from pfgov.policy.files.source import Entries, Items, Node, Scalar
from pfgov.policy.limits import NAME_LENGTH_MAX
from pfgov.policy.problems import Problem, did_you_mean

_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_LINE_END: Final = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")
"""Names of policies and ids of rules: lower-case words joined by ``-``, ``_`` or ``.``."""

PATH_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_./][a-z0-9]+)*")
"""Names of definitions, which may have folders."""

LABEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
"""Names of labels, as the border takes them."""

IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]*")
"""Names of params and variables: what an expression can say after a dot."""


class Reader:
    """Reads the nodes of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def error(self, code: str, message: str, node: Node, hint: str | None = None) -> None:
        """Note a problem at *node*."""
        self.problems.append(
            Problem(f"policy.{code}", message, self.file, node.line, node.column, hint)
        )

    def place(self, node: Node) -> Place:
        """Return where *node* stands."""
        return Place(self.file, node.line, node.column)

    def entries(
        self, node: Node, what: str, *, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Node]:
        """Return the known keys of a mapping; unknown, missing and non-mapping are noted."""
        if not isinstance(node, Entries):
            shown = ", ".join(f"{key}: ..." for key in required or optional)
            self.wrong_type(node, what, "a mapping", f"write {{{shown}}}")
            return {}
        known = (*required, *optional)
        found: dict[str, Node] = {}
        for key, value in node.pairs:
            if key.text in known:
                found[key.text] = value
            else:
                hint = _other_key(key.text, known, did_you_mean(key.text, known))
                self.error("unknown_key", f"{what} has no key `{key.text}`", key, hint)
        for name in required:
            if name not in found:
                self.error("missing_key", f"{what} needs the key `{name}`", node)
        return found

    def pairs(self, node: Node | None, what: str, limit: int) -> list[tuple[Scalar, Node]]:
        """Return the entries of a mapping with the author's own names as keys."""
        if node is None:
            return []
        if not isinstance(node, Entries):
            self.wrong_type(node, what, "a mapping of names")
            return []
        if len(node.pairs) > limit:
            self.error("too_many", f"{what} has more than {limit} entries", node)
            return []
        return list(node.pairs)

    def items(self, node: Node | None, what: str, limit: int) -> list[Node]:
        """Return the items of a list; None is the empty list."""
        if node is None:
            return []
        if not isinstance(node, Items):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) and node.text else None
            hint = "begin each item with `- `" if isinstance(node, Entries) else hint
            self.wrong_type(node, what, "a list", hint)
            return []
        if len(node.items) > limit:
            self.error("too_many", f"{what} has more than {limit} items", node)
            return []
        return list(node.items)

    def string(self, node: Node | None, what: str, *, limit: int = 4_096) -> str | None:
        """Return a text that is not empty."""
        if node is None:
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            hint = None
            if isinstance(node, Scalar):
                hint = f'quote it: "{node.text}"' if node.text else "write a text"
            elif isinstance(node, Items):
                hint = "join conditions with &&" if what in _CONDITIONS else "name one"
            self.wrong_type(node, what, "a text", hint)
            return None
        if not node.value.strip():
            self.error("value", f"{what} is empty", node)
            return None
        if len(node.value) > limit:
            self.error("value", f"{what} is longer than {limit} characters", node)
            return None
        return node.value

    def expression(self, node: Node | None, what: str) -> Text | None:
        """Return an expression with its place; a bare ``true`` is taken as its text."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool | int | float):
            return Text(node.text, self.place(node), node)
        text = self.string(node, what)
        if text is None or not isinstance(node, Scalar):
            if isinstance(node, Entries):
                self.problems[-1] = self.place(node).problem(
                    "policy.wrong_type",
                    f"{what} must be an expression, not a mapping",
                    "quote the expression: it begins with `{` or holds `: `",
                )
            return None
        found = Text(text.rstrip(), self.place(node), node)
        return None if self._is_hidden(found, node) else found

    def _is_hidden(self, text: Text, node: Scalar) -> bool:
        """Refuse a comment that goes on behind its line: what stands there was meant, and would not be asked."""
        try:
            comments = scan(text.text).comments
        except CelSyntaxError:
            return False  # whoever parses it says so
        for one in comments:
            comment = text.text[one.start : one.end].rstrip()
            if _LINE_END.search(comment):
                what = "the comment goes on behind a character that ends a line elsewhere"
                hint = "end the line with a line feed"
            elif not node.is_on_one_line(one.line, one.column, len(comment)):
                what = (
                    "YAML joins these lines, and so the comment goes on to the end of the last one"
                )
                hint = "keep the lines: write `|` behind the colon and the expression below it; or take the comment out"
            else:
                continue
            self.problems.append(text.problem("policy.comment", what, one.line, one.column, hint))
            return True
        return False

    def text(self, node: Node | None, what: str, *, limit: int) -> Text | None:
        """Return a text with its place."""
        found = self.string(node, what, limit=limit)
        if found is None or not isinstance(node, Scalar):
            return None
        return Text(found.strip(), self.place(node), node)

    def name(self, node: Node | None, what: str, pattern: re.Pattern[str] = NAME) -> str | None:
        """Return a name of the given pattern."""
        found = self.string(node, what, limit=NAME_LENGTH_MAX)
        if found is None or node is None:
            return None
        if not pattern.fullmatch(found):
            self.error(
                "name",
                f"{what} `{found}` is not a name",
                node,
                "use lower-case letters, digits and single `-` or `_`, beginning with a letter"
                if pattern is not IDENTIFIER
                else "use lower-case letters, digits and `_`, beginning with a letter",
            )
            return None
        return found

    def choice(
        self, node: Node | None, what: str, choices: Collection[str], code: str = "value"
    ) -> str | None:
        """Return one of *choices*; another word is a problem of that *code*."""
        found = self.string(node, what)
        if found is None or node is None:
            return None
        if found not in choices:
            hint = did_you_mean(found, choices) or f"one of: {', '.join(choices)}"
            self.error(code, f"{what} cannot be `{found}`", node, hint)
            return None
        return found

    def duration(self, node: Node | None, what: str, limit: int) -> int | None:
        """Return microseconds from ``30s``, ``15m``, ``12h`` or ``7d``."""
        found = self.string(node, what)
        if found is None or node is None:
            return None
        match = _DURATION.fullmatch(found)
        micros = int(match[1]) * _UNITS[match[2]] * 1_000_000 if match else 0
        if not match or micros > limit:
            self.error(
                "value", f"{what} `{found}` is not a duration", node, "write 30s, 15m, 12h or 7d"
            )
            return None
        return micros

    def whole(self, node: Node | None, what: str, least: int, most: int) -> int | None:
        """Return a whole number from *least* to *most*."""
        if node is None:
            return None
        if not isinstance(node, Scalar) or type(node.value) is not int:
            self.wrong_type(node, what, "a whole number")
            return None
        if not least <= node.value <= most:
            self.error("value", f"{what} is {node.value}, not {least} to {most}", node)
            return None
        return node.value

    def boolean(self, node: Node | None, what: str) -> bool | None:
        """Return true or false."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong_type(node, what, "true or false")
        return None

    def wrong_type(self, node: Node, what: str, wanted: str, hint: str | None = None) -> None:
        """Note that *node* is not a *wanted*."""
        self.error("wrong_type", f"{what} must be {wanted}, not {describe(node)}", node, hint)


def describe(node: Node) -> str:
    """Return what *node* is, for a message."""
    match node:
        case Items():
            return "a list"
        case Entries():
            return "a mapping"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool() | int() | float(), text=text):
            return f"`{text}`"
        case _:
            return "a text"


_CONDITIONS: Final = ("`require`", "`deny`", "`when`")
_OTHER_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "allow": "no rule allows by itself: write `require`, which denies unless it is true",
        "effect": "what a rule does is its key: `require`, `deny` or `escalate`",
        **dict.fromkeys(
            ("condition", "if", "expr", "expression", "match", "validate", "cel"),
            "write it under `when`, or under `require` or `deny`, which say what follows",
        ),
        **dict.fromkeys(
            ("actions", "action", "operations", "resources", "resource", "verbs"),
            "what a rule is asked at stands under `on`: a list of decision points",
        ),
        "unless": "write it under `require`, or negated under `when`",
        "name": "a rule has an `id`",
    }
)
"""Keys of rules in other languages -> what to write here."""


_OTHER_POLICY_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("default", "effect", "decision"),
            "there is no default to choose: where somebody would get a packet, what no policy covers is denied",
        ),
        **dict.fromkeys(
            ("priority", "order", "weight", "precedence"),
            "their order means nothing: all are evaluated, and one that denies is enough",
        ),
        **dict.fromkeys(
            (
                "spec",
                "statements",
                "statement",
                "validations",
                "policies",
                "resourcePolicy",
                "principalPolicy",
            ),
            "write what it says under `rules`, which stands at the top",
        ),
        **dict.fromkeys(
            ("target", "match", "matchConstraints", "resource", "actions", "scope", "points"),
            "what a policy is asked at stands under `on`: a list of decision points",
        ),
        **dict.fromkeys(("name", "version", "description", "id"), "write it under `metadata`"),
        **dict.fromkeys(
            (
                "enabled",
                "disabled",
                "validationFailureAction",
                "failurePolicy",
                "enforcementMode",
                "enforce",
            ),
            "write `mode: shadow` for what is only to be watched",
        ),
        **dict.fromkeys(
            ("import", "importDerivedRoles", "derivedRoles"),
            "write `imports`: names of definitions",
        ),
        **dict.fromkeys(
            ("constants", "parameters", "data"), "write `params`: NAME: {type: ..., value: ...}"
        ),
    }
)
"""Keys of policies in other languages -> what to write here."""


def _other_key(text: str, known: Collection[str], near: str | None) -> str:
    """Return what was probably meant by a key that is not known."""
    if text in _OTHER_KEYS and "require" in known:
        return _OTHER_KEYS[text]
    if text in _OTHER_POLICY_KEYS and "rules" in known:
        return _OTHER_POLICY_KEYS[text]
    if near is not None:
        return near
    if not _WORD.fullmatch(text):
        return "inside { } a comma ends a value: quote the expression, or write each key on a line of its own"
    return f"known keys: {', '.join(known)}"


_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
