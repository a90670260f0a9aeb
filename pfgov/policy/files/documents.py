"""Policy and definitions files: positioned YAML nodes to frozen models.

The shape of the two kinds of file, key by key, with every mistake collected in the
:class:`~pfgov.policy.files.reader.Reader`.  Whether an expression means anything is the compiler's
business; whether a file exists is the loader's.
"""

import re
from typing import Final

from pfgov.core.commands import Obligation
from pfgov.core.verdicts import GUARDING, Point
from pfgov.limits import TEXT_LENGTH_MAX
from pfgov.policy import limits
from pfgov.policy.facts import PLACE, RIGHTS
from pfgov.policy.files import params
from pfgov.policy.files.model import (
    RESERVED_NAMES,
    Definitions,
    Mode,
    Param,
    Policy,
    Rule,
    RuleKind,
    Text,
    Variable,
)  # fmt: skip
from pfgov.policy.files.reader import IDENTIFIER, NAME, PATH_NAME, Reader
from pfgov.policy.files.source import Entries, Node, Scalar, plain
from pfgov.policy.problems import did_you_mean

API_VERSION: Final = "pfgov/v1"

MAY_REVIEW: Final = RIGHTS[:-3]
"""Rights that an escalation can ask for."""

MAY_ESCALATE: Final = frozenset(PLACE)
"""Where an escalation means something: elsewhere nobody could discharge it."""

OBLIGATIONS: Final = ("redact", "approval", "notify")
"""The types of obligations there are."""

_POINTS: Final = {"place": PLACE} | {point.value: (point,) for point in Point}
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_KINDS: Final[tuple[RuleKind, ...]] = ("require", "deny", "escalate")


def read_policy(reader: Reader, node: Node, *, kernel: bool = False) -> Policy | None:
    """Read a ``kind: Policy`` document; None when it is too broken to be compiled."""
    found = reader.entries(
        node,
        "a policy",
        required=("apiVersion", "kind", "metadata", "on", "rules"),
        optional=("imports", "params", "variables", "mode"),
    )
    check_api_version(reader, found)
    name, version, description = read_metadata(reader, found.get("metadata"), "the policy")
    if name in RESERVED_NAMES and not kernel and "metadata" in found:
        reader.error(
            "reserved_name",
            f"`{name}` is reserved: no policy can take the kernel's place",
            found["metadata"],
            "choose another name",
        )
    points = _points(reader, found.get("on"), "`on`")
    mode = reader.choice(found.get("mode"), "`mode`", ("enforce", "shadow")) or "enforce"
    rules = _rules(reader, found.get("rules"), points)
    params = _params(reader, found.get("params"))
    variables = _variables(reader, found.get("variables"))
    if name is None:
        return None
    return Policy(
        name=name,
        version=version,
        description=description,
        on=points,
        rules=rules,
        place=reader.place(node),
        mode=_mode(mode),
        imports=_imports(reader, found.get("imports")),
        params=params,
        variables=variables,
        misread=_misread(found, params, variables),
    )


def read_definitions(reader: Reader, node: Node) -> Definitions | None:
    """Read a ``kind: Definitions`` document; None when it is too broken to be compiled."""
    found = reader.entries(
        node,
        "a definitions file",
        required=("apiVersion", "kind", "metadata"),
        optional=("params", "variables"),
    )
    check_api_version(reader, found)
    name, version, description = read_metadata(
        reader, found.get("metadata"), "the definitions", PATH_NAME
    )
    constants = _params(reader, found.get("params"))
    variables = _variables(reader, found.get("variables"))
    taken = {param.name for param in constants}
    for variable in variables:
        if variable.name in taken:
            reader.problems.append(
                variable.place.problem(
                    "policy.duplicate_name", f"`defs.{variable.name}` is a param, too"
                )
            )
    if name is None:
        return None
    return Definitions(
        name,
        version,
        description,
        reader.place(node),
        params=constants,
        variables=variables,
        misread=_misread(found, constants, variables),
    )


def _misread(
    found: dict[str, Node], params: tuple[Param, ...], variables: tuple[Variable, ...]
) -> frozenset[str]:
    """Return the full names of params and variables that are in the file and could not be read."""
    read = {("params", one.name) for one in params} | {("variables", one.name) for one in variables}
    names: set[str] = set()
    for group in ("params", "variables"):
        node = found.get(group)
        for key, _ in node.pairs if isinstance(node, Entries) else ():
            if (group, key.text) not in read:
                names.add(f"{group}.{key.text}")
    return frozenset(names)


def _mode(text: str) -> Mode:
    return "shadow" if text == "shadow" else "enforce"


def check_api_version(reader: Reader, found: dict[str, Node]) -> None:
    """Note a version of the files' form that is not this one."""
    node = found.get("apiVersion")
    text = reader.string(node, "`apiVersion`")
    if node is not None and text is not None and text != API_VERSION:
        reader.error("api_version", f"apiVersion `{text}` is unknown", node, f"write {API_VERSION}")


def read_metadata(
    reader: Reader, node: Node | None, what: str, pattern: re.Pattern[str] = NAME
) -> tuple[str | None, str, str]:
    """Return (name, version, description) of a document; what is wrong is noted."""
    if node is None:
        return None, "", ""
    found = reader.entries(
        node, "`metadata`", required=("name", "version"), optional=("description",)
    )
    name = reader.name(found.get("name"), f"the name of {what}", pattern)
    version = reader.string(found.get("version"), "`version`", limit=64) or ""
    description = found.get("description")
    text = reader.string(description, "`description`") if description is not None else ""
    return name, version, text or ""


def _points(reader: Reader, node: Node | None, what: str) -> tuple[Point, ...]:
    points: dict[Point, None] = {}
    if isinstance(node, Scalar):
        reader.wrong_type(node, what, "a list", f"write on: [{node.text}]")
        return ()
    items = reader.items(node, what, len(_POINTS))
    if node is not None and not items and not reader.problems:
        reader.error("value", f"{what} is empty", node, f"one or more of: {', '.join(_POINTS)}")
    for item in items:
        name = reader.choice(item, "a decision point", tuple(_POINTS))
        for point in _POINTS.get(name or "", ()):
            if point in points:
                reader.error("value", f"{what} names {point} twice", item)
            points[point] = None
    return tuple(point for point in Point if point in points)


def _imports(reader: Reader, node: Node | None) -> tuple[Text, ...]:
    found: dict[str, Text] = {}
    for item in reader.items(node, "`imports`", limits.NAMES_MAX):
        text = reader.text(item, "an import", limit=limits.NAME_LENGTH_MAX)
        if text is not None and text.text in found:
            reader.error("duplicate_name", f"`{text.text}` is imported twice", item)
        elif text is not None:
            found[text.text] = text
    return tuple(found.values())


def _params(reader: Reader, node: Node | None) -> tuple[Param, ...]:
    made: list[Param] = []
    for key, value in reader.pairs(node, "`params`", limits.NAMES_MAX):
        name = reader.name(key, "the param", IDENTIFIER)
        found = reader.entries(value, f"the param `{key.text}`", required=("type", "value"))
        written = reader.string(found.get("type"), "`type`")
        type_node, value_node = found.get("type"), found.get("value")
        if name is None or written is None or type_node is None or value_node is None:
            continue
        type_name = params.normal_type(written)
        if type_name is None:
            hint = did_you_mean(written, params.TYPE_NAMES)
            hint = hint or f"one of: {', '.join(params.TYPE_NAMES)}"
            reader.error("value", f"there is no type `{written}` for params", type_node, hint)
            continue
        try:
            exact = params.convert(type_name, plain(value_node))
        except params.ParamError as error:
            message = f"`params.{name}` is declared {type_name}: its value must be {error}"
            reader.error("wrong_type", message, value_node)
            continue
        made.append(Param(name, type_name, exact, reader.place(key)))
    return tuple(made)


def _variables(reader: Reader, node: Node | None) -> tuple[Variable, ...]:
    made: list[Variable] = []
    for key, value in reader.pairs(node, "`variables`", limits.NAMES_MAX):
        name = reader.name(key, "the variable", IDENTIFIER)
        expression = reader.expression(value, f"the variable `{key.text}`")
        if name is not None and expression is not None:
            made.append(Variable(name, expression, reader.place(key)))
    return tuple(made)


# --- rules ----------------------------------------------------------------------------------


def _rules(reader: Reader, node: Node | None, points: tuple[Point, ...]) -> tuple[Rule, ...]:
    items = reader.items(node, "`rules`", limits.RULES_PER_POLICY_MAX)
    if node is not None and not items and not reader.problems:
        reader.error("value", "`rules` is empty", node, "a policy without rules allows everything")
    made: dict[str, Rule] = {}
    for item in items:
        rule = _rule(reader, item, points)
        if rule is None:
            continue
        if rule.id in made:
            reader.problems.append(
                rule.place.problem(
                    "policy.duplicate_rule",
                    f"two rules have the id `{rule.id}`",
                    f"the first one is on line {made[rule.id].place.line}",
                )
            )
            continue
        made[rule.id] = rule
    return tuple(made.values())


def _rule(reader: Reader, node: Node, points: tuple[Point, ...]) -> Rule | None:
    before = len(reader.problems)
    found = reader.entries(
        node,
        "a rule",
        required=("id",),
        optional=("on", "when", "require", "deny", "escalate", "message", "obligations"),
    )
    id_node = found.get("id")
    name = reader.name(id_node, "the id")
    what = f"the rule `{name}`" if name else "the rule"
    kind = _kind(reader, node, found, what, is_clear=len(reader.problems) == before)
    own = _rule_points(reader, found.get("on"), points, what)
    to, expires, approvals = _escalation(reader, found.get("escalate"), own, what)
    _no_duties_of_guards(reader, found.get("obligations"), own, what)
    obligations = tuple(
        obligation
        for item in reader.items(
            found.get("obligations"), "`obligations`", limits.OBLIGATIONS_PER_RULE_MAX
        )
        if (obligation := _obligation(reader, item)) is not None
    )
    if kind == "deny" and "obligations" in found:
        reader.error(
            "obligation",
            f"{what} denies when it fires, so its obligations could never be carried out",
            found["obligations"],
            "put them on a rule with `require`, or on a rule of their own with `when`",
        )
    condition_node = found.get(kind) if kind in {"require", "deny"} else None
    condition = reader.expression(condition_node, f"`{kind}`")
    when = reader.expression(found.get("when"), "`when`")
    if name is None or kind is None or id_node is None:
        return None
    if condition_node is not None and condition is None:
        return None
    return Rule(
        id=name,
        kind=kind,
        on=own,
        place=reader.place(id_node),
        when=when,
        condition=condition,
        to=to,
        expires=expires,
        message=reader.text(found.get("message"), "`message`", limit=TEXT_LENGTH_MAX),
        obligations=obligations,
        approvals=approvals,
    )


def _no_duties_of_guards(
    reader: Reader, node: Node | None, own: tuple[Point, ...], what: str
) -> None:
    """Refuse obligations where nobody becomes an owner, so that nothing could carry them out."""
    idle = [point.value for point in own if point in GUARDING]
    if node is not None and idle:
        reader.error(
            "obligation",
            f"{what} imposes obligations at {', '.join(idle)}, where nothing could carry them out",
            node,
            "give the rule its own `on: [place]`",
        )


def _kind(
    reader: Reader, node: Node, found: dict[str, Node], what: str, *, is_clear: bool
) -> RuleKind | None:
    """Return what the rule does; *is_clear* unless its keys were a problem already."""
    kinds: list[RuleKind] = [kind for kind in _KINDS if kind in found]
    if len(kinds) > 1:
        reader.error(
            "rule_kind",
            f"{what} has {' and '.join(f'`{kind}`' for kind in kinds)}: it can have only one",
            found[kinds[1]],
            "make two rules",
        )
        return None
    if kinds:
        if kinds[0] == "escalate" and "when" not in found:
            reader.error(
                "missing_key", f"{what} escalates, so it needs `when`", node, "say when it applies"
            )
            return None
        return kinds[0]
    if "when" in found and "obligations" in found:
        return "oblige"
    hint = "write require: EXPRESSION, deny: EXPRESSION, or when: EXPRESSION with escalate"
    if is_clear and isinstance(node, Entries):
        reader.error("rule_kind", f"{what} says nothing to do", node, hint)
    return None


def _rule_points(
    reader: Reader, node: Node | None, points: tuple[Point, ...], what: str
) -> tuple[Point, ...]:
    if node is None:
        return points
    own = _points(reader, node, f"`on` of {what}")
    strange = [point.value for point in own if point not in points]
    if strange and points:
        reader.error(
            "rule_points",
            f"{what} names {', '.join(strange)}, which its policy does not cover",
            node,
            "add it to the policy's own `on`",
        )
        return tuple(point for point in own if point in points)
    return own


def _escalation(
    reader: Reader, node: Node | None, own: tuple[Point, ...], what: str
) -> tuple[str | None, int | None, int]:
    if node is None:
        return None, None, 1
    found = reader.entries(node, "`escalate`", required=("to",), optional=("expires", "approvals"))
    idle = [point.value for point in own if point not in MAY_ESCALATE]
    if idle:
        reader.error(
            "escalate_point",
            f"{what} cannot escalate at {', '.join(idle)}: nobody could discharge it there",
            node,
            "give the rule its own `on: [place]`, or make it a `deny`",
        )
    to = reader.choice(found.get("to"), "`to`", MAY_REVIEW)
    expires = reader.duration(found.get("expires"), "`expires`", limits.ESCALATION_MICROS_MAX)
    approvals = reader.whole(found.get("approvals"), "`approvals`", 1, limits.APPROVALS_MAX)
    return to, expires, approvals or 1


def _obligation(reader: Reader, node: Node) -> Obligation | None:
    found = reader.entries(
        node, "an obligation", required=("type",), optional=("paths", "to", "expires")
    )
    kind = reader.choice(found.get("type"), "`type`", OBLIGATIONS)
    paths: list[str] = []
    for item in reader.items(found.get("paths"), "`paths`", limits.REDACT_PATHS_MAX):
        path = reader.string(item, "a path", limit=TEXT_LENGTH_MAX)
        if path is not None and not _POINTER.fullmatch(path):
            reader.error("value", f"`{path}` is not a JSON pointer", item, "write /customer/email")
        elif path is not None:
            paths.append(path)
    expires = reader.duration(found.get("expires"), "`expires`", limits.ESCALATION_MICROS_MAX)
    to = reader.string(found.get("to"), "`to`", limit=128)
    allowed = {"redact": {"paths"}, "approval": {"to", "expires"}, "notify": {"to"}}
    needed = {"redact": "paths", "approval": "to", "notify": "to"}
    if kind is None:
        return None
    for name in sorted(found.keys() - {"type"} - allowed[kind]):
        reader.error("obligation", f"`{name}` has no meaning for `{kind}`", found[name])
    if needed[kind] not in found or (kind == "redact" and not found.get("paths")):
        reader.error("obligation", f"the obligation `{kind}` needs `{needed[kind]}`", node)
        return None
    if kind == "redact":
        return Obligation(type="redact", paths=tuple(sorted(set(paths))))
    if kind == "approval":
        return Obligation(type="approval", to=to, expires=expires)
    return Obligation(type="notify", to=to)
