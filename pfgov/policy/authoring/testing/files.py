"""Test and fixture files: positioned YAML nodes to cases, properties and named facts.

Every mistake is collected with its place, as for policies: a misspelt fixture or rule id is a
problem of the file, never a test that passes by accident.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy import limits
from pfgov.policy.authoring import inputs, occurring
from pfgov.policy.authoring.asking import before_problem, usual_reason
from pfgov.policy.authoring.testing.model import (
    DENIED,
    Candidate,
    Case,
    Expectation,
    Fixtures,
    Outcome,
    TestFile,
)
from pfgov.policy.authoring.testing.propertyfiles import read_properties
from pfgov.policy.cel import CelError, Timestamp
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.cel.types import CelType, Field, MapType, Record
from pfgov.policy.facts import ABSENT_AT, MORE, ROOTS, ROOTS_AT
from pfgov.policy.files.documents import API_VERSION, OBLIGATIONS
from pfgov.policy.files.folder import list_folder
from pfgov.policy.files.model import Policy
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import Entries, Items, Node, Scalar
from pfgov.policy.load import kind_of, parse_file
from pfgov.policy.problems import Problem, did_you_mean

NOW: Final = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z: the time of a test that names none."""

_PLURALS: Final = {"packets": "packet", "members": "member", "principals": "principal"}
_OUTCOMES: Final[tuple[Outcome, ...]] = ("allow", "escalate", "deny")
_SAID: Final = frozenset({*_OUTCOMES, "missing", "obligations", "shadow", "approvals"})
_RESERVED: Final = ("pfgov:no_policy", "pfgov:type_error", "pfgov:obligation")


def read_fixtures(root: Path, problems: list[Problem]) -> Fixtures:
    """Read every fixture file in every ``fixtures`` folder below *root*."""
    fixtures = Fixtures()
    for path in list_folder(root).fixtures:
        _read_fixture_file(path, fixtures, problems)
    return fixtures


def _read_fixture_file(path: Path, fixtures: Fixtures, problems: list[Problem]) -> None:
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    if node is not None and kind_of(reader, node, ("Fixtures",)):
        found = reader.entries(
            node, "a fixture file", required=("apiVersion", "kind"), optional=tuple(_PLURALS)
        )
        for plural, root in _PLURALS.items():
            for key, value in reader.pairs(found.get(plural), f"`{plural}`", limits.CASES_MAX):
                if key.text in fixtures.named[root]:
                    reader.error("duplicate_name", f"two {plural} are named `{key.text}`", key)
                stated = inputs.read_facts(reader, value, root)
                fixtures.named[root][key.text] = stated
    problems += reader.problems


def test_files(root: Path) -> list[Path]:
    """Return the test files below *root*, in order."""
    return list_folder(root).tests


test_files.__test__ = False  # type: ignore[attr-defined] # not a test of pytest's


def read_test_file(
    path: Path, fixtures: Fixtures, policies: Sequence[Policy], problems: list[Problem]
) -> TestFile | None:
    """Read one test file against the policies that it may name; None when it is too broken."""
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    made = None
    if node is not None and kind_of(reader, node, ("PolicyTest",)):
        made = _Builder(reader, fixtures, policies).file(node)
    problems += reader.problems
    return made


class _Builder:
    """Reads one test file; holds what its cases refer to."""

    def __init__(self, reader: Reader, fixtures: Fixtures, policies: Sequence[Policy]) -> None:
        self.reader = reader
        self.fixtures = fixtures
        self.policies = policies
        self.policy: str | None = None
        self.now = NOW

    def file(self, node: Node) -> TestFile:
        found = self.reader.entries(
            node,
            "a test file",
            required=("apiVersion", "kind"),
            optional=("policy", "mode", "now", "cases", "properties"),
        )
        version = found.get("apiVersion")
        if isinstance(version, Scalar) and version.text != API_VERSION:
            message = f"apiVersion `{version.text}` is unknown"
            self.reader.error("api_version", message, version, f"write {API_VERSION}")
        names = [policy.name for policy in self.policies]
        if "policy" in found:
            self.policy = self.reader.choice(found["policy"], "`policy`", names, "test.policy")
        mode = self.reader.choice(found.get("mode"), "`mode`", ("enforce",))
        if mode is not None and self.policy is None:
            message = "`mode` is about one policy, and this file names none"
            self.reader.error("test.mode", message, found["mode"], "name it: policy: NAME")
        self.now = self._time(found.get("now"), NOW)
        for key in ("cases", "properties"):
            listed = found.get(key)
            if isinstance(listed, Items) and not listed.items:
                self.reader.error("test.empty", f"`{key}` is empty: it tests nothing", listed)
        cases = [
            case
            for item in self.reader.items(found.get("cases"), "`cases`", limits.CASES_MAX)
            if (case := self._case(item)) is not None
        ]
        if "cases" not in found and "properties" not in found:
            self.reader.error("missing_key", "a test file needs `cases` or `properties`", node)
        properties = read_properties(self.reader, found.get("properties"), self._covered())
        return TestFile(
            self.reader.file,
            self.policy,
            self.now,
            tuple(cases),
            properties,
            is_enforced=mode is not None,
        )

    def _covered(self) -> tuple[Point, ...]:
        chosen = [p for p in self.policies if self.policy in {None, p.name}]
        points = {point for policy in chosen for rule in policy.rules for point in rule.on}
        return tuple(point for point in Point if point in points)

    def _case(self, node: Node) -> Case | None:
        reader = self.reader
        found = reader.entries(
            node,
            "a case",
            required=("name", "expect"),
            optional=(
                "packet",
                "members",
                "source",
                "principal",
                "action",
                "reason",
                "now",
                *MORE,
            ),
        )
        name = reader.string(found.get("name"), "`name`", limit=200)
        action = reader.choice(found.get("action"), "`action`", [p.value for p in Point])
        point = Point(action or "assign")
        roots = ROOTS_AT[point]
        for key, root in (("packet", "packet"), ("members", "member"), ("source", "source")):
            is_never_there = root not in roots or (key == "source" and point is Point.ASSIGN)
            if key in found and is_never_there:
                reader.error("test.case", f"`{key}` has no meaning at {point.value}", found[key])
            elif key not in found and root in roots and root not in ABSENT_AT.get(point, ()):
                hint = "name the last owner, or write `source: null`" if key == "source" else None
                reader.error("missing_key", f"a case at {point.value} needs `{key}`", node, hint)
        packet = self._facts(found.get("packet"), "packet")
        source = (
            None if _is_null(found.get("source")) else self._facts(found.get("source"), "source")
        )
        principal = self._principal(found.get("principal"))
        reason = found.get("reason")
        question = Question(
            point=point,
            action=point.value,
            packet=packet[1] if packet else None,
            source=source[1] if source else None,
            principal=principal,
            reason=usual_reason(point) if reason is None else self._reason_given(reason),
            now=self._time(found.get("now"), self.now),
            more=self._more(found, point),
        )
        candidates = self._candidates(found, point)
        self._is_one(found.get("before"), question, candidates)
        if name is None or "expect" not in found:
            return None
        return Case(name, reader.place(node), question, candidates)

    def _reason_given(self, node: Node) -> str:
        """Return the reason of a case; a first placement has none, so that an empty one can be said."""
        if isinstance(node, Scalar) and node.value == "":
            return ""
        return self.reader.string(node, "`reason`") or ""

    def _is_one(
        self, node: Node | None, question: Question, candidates: Sequence[Candidate]
    ) -> None:
        """Note a ``before`` of another packet or member than the one that would be changed."""
        for candidate in candidates if node is not None else ():
            problem = before_problem(question, candidate.facts)
            if problem is not None and node is not None:
                self.reader.error("test.case", problem[0], node, problem[1])
                return

    def _more(self, found: Mapping[str, Node], point: Point) -> dict[str, inputs.Facts]:
        """Return the facts that only *point* has; what is not said to change is as it was."""
        made: dict[str, inputs.Facts] = {}
        for root in MORE:
            if root not in ROOTS_AT[point]:
                if root in found:
                    message = f"`{root}` has no meaning at {point.value}"
                    self.reader.error("test.case", message, found[root])
            elif root == "before":
                own = inputs.BEFORE_UPDATE if point is Point.UPDATE else root
                given = self._facts(found.get(root), own)
                made |= {root: given[1]} if given else {}
            else:
                node = found.get(root)
                stated = inputs.read_facts(self.reader, node, root) if node is not None else {}
                made[root] = inputs.complete(root, stated, root)
                problem = inputs.problem_of(root, made[root])
                if problem is not None and node is not None:
                    hint = "say which: subject: packet/ID"
                    self.reader.error("test.case", problem, node, hint)
        return made

    def _principal(self, node: Node | None) -> inputs.Facts:
        """Return who asks: an operator with a key where the case does not say, and nobody who cannot occur."""
        found = self._facts(node, "principal")
        if found is None or node is None:
            return inputs.complete("principal", {"rights": ["operator"]}, "operator")
        problem = occurring.principal_problem(found[1])
        if problem is not None:
            self.reader.error("test.principal", problem, node, occurring.principal_hint(found[1]))
        return found[1]

    # --- facts ------------------------------------------------------------------------------

    def _facts(self, node: Node | None, root: str) -> tuple[str, inputs.Facts] | None:
        """Return (name, facts) from a fixture's name or from ``{from, with, as}``."""
        if node is None:
            return None
        table = self.fixtures.named[inputs.base_of(root)]
        if isinstance(node, Entries):
            keys = {key.text for key, _ in node.pairs}
            if keys and keys <= set(inputs.facts_of(root)):
                message = f"`{root}` is a fixture's name, or a variation"
                hint = f"write {root}: {{with: {{...}}}} around the facts"
                self.reader.error("test.case", message, node, hint)
                return None
            found = self.reader.entries(
                node, f"`{root}`", required=(), optional=("from", "with", "as")
            )
            base_node = found.get("from")
            base = self._fixture(base_node, table, root) if base_node is not None else {}
            change = inputs.read_facts(self.reader, found["with"], root) if "with" in found else {}
            own = found.get("as")
            name = self.reader.string(own, "`as`") if own is not None else None
            name = name or (base_node.text if isinstance(base_node, Scalar) else root)
            if base is None:
                return None
            return name, self._completed(node, root, inputs.vary(base, change), name)
        stated = self._fixture(node, table, root)
        if stated is None or not isinstance(node, Scalar):
            return None
        return node.text, self._completed(node, root, stated, node.text)

    def _completed(self, node: Node, root: str, stated: inputs.Facts, name: str) -> inputs.Facts:
        """Return the facts that are *stated*, with all others; a packet that no ledger can hold is noted."""
        made = inputs.complete(root, stated, name)
        problem = occurring.packet_problem(made) if inputs.base_of(root) == "packet" else None
        if problem is not None:
            self.reader.error("test.packet", problem, node, occurring.PRINCIPAL_HINT)
        return inputs.as_before(root, stated) if root in inputs.BEFORE else made

    def _fixture(
        self, node: Node, table: Mapping[str, dict[str, object]], root: str
    ) -> dict[str, object] | None:
        name = self.reader.string(node, f"`{root}`")
        if name is None:
            return None
        if name not in table:
            known = f"known: {', '.join(sorted(table))}" if table else "no fixture file has any"
            hint = did_you_mean(name, table) or known
            self.reader.error("test.fixture", f"there is no {root} fixture `{name}`", node, hint)
            return None
        return table[name]

    def _time(self, node: Node | None, default: int) -> int:
        if node is None:
            return default
        text = self.reader.string(node, "`now`")
        if text is None:
            return default
        try:
            moment = parse_timestamp(text)
        except CelError:
            self.reader.error(
                "value", f"`{text}` is not a time", node, "write 2026-11-23T00:00:00Z"
            )
            return default
        return moment.ns // 1_000

    # --- candidates and expectations -------------------------------------------------------------

    def _candidates(self, found: Mapping[str, Node], point: Point) -> tuple[Candidate, ...]:
        expect = found.get("expect")
        if expect is None:
            return ()
        if "member" not in ROOTS_AT[point]:
            if isinstance(expect, Entries) and not {key.text for key, _ in expect.pairs} & _SAID:
                hint = "nobody is judged but who asks: expect: allow"
                message = f"a case at {point.value} has no members"
                self.reader.error("test.expect", message, expect, hint)
                return ()
            return (Candidate("", {}, self._expectation(expect)),)
        members: dict[str, inputs.Facts] = {}
        if isinstance(node := found.get("members"), Items) and not node.items:
            self.reader.error("test.empty", "a case without members asks about nobody", node)
        for item in self.reader.items(found.get("members"), "`members`", limits.CASES_MAX):
            facts = self._facts(item, "member")
            if facts is None:
                continue
            if facts[0] in members:
                hint = "give the variation a name of its own with `as`"
                self.reader.error("duplicate_name", f"`{facts[0]}` is here twice", item, hint)
            members[facts[0]] = facts[1]
        if not isinstance(expect, Entries):
            name = next(iter(members), "NAME")
            hint = f"say it of each member: expect: {{{name}: {_outcome_of(expect)}}}"
            self.reader.wrong_type(expect, "`expect`", "a mapping of members", hint)
            return ()
        if found.get("members") is not None and not isinstance(found["members"], Items):
            return ()  # that is the problem
        expected = self._expectations(expect, members)
        return tuple(
            Candidate(name, facts, expected.get(name, DENIED)) for name, facts in members.items()
        )

    def _expectations(
        self, node: Node, members: Mapping[str, inputs.Facts]
    ) -> dict[str, Expectation]:
        expected: dict[str, Expectation] = {}
        for key, value in self.reader.pairs(node, "`expect`", limits.CASES_MAX):
            if key.text not in members:
                hint = did_you_mean(key.text, members) or "it must be one of the case's members"
                message = f"`{key.text}` is not among the members of this case"
                self.reader.error("test.member", message, key, hint)
                continue
            expected[key.text] = self._expectation(value)
        return expected

    def _expectation(self, node: Node) -> Expectation:
        if isinstance(node, Scalar):
            return Expectation(_outcome(self.reader.choice(node, "an expectation", _OUTCOMES)))
        found = self.reader.entries(
            node,
            "an expectation",
            required=(),
            optional=(*_OUTCOMES, "missing", "obligations", "shadow", "approvals"),
        )
        stated = [outcome for outcome in _OUTCOMES if outcome in found]
        several = stated == ["allow", "escalate"] or (len(stated) > 1 and "allow" in stated)
        if several or not (stated or "shadow" in found):
            self.reader.error(
                "test.expect", "say exactly one outcome: allow, escalate or deny", node
            )
            return DENIED
        self._allowed(found.get("allow"))
        denies = self._reasons(found.get("deny"))
        missing = self._paths(found.get("missing"))
        return Expectation(
            outcome=_outcome("deny" if "deny" in stated else stated[0]) if stated else None,
            denies=denies,
            escalates=self._reasons(found.get("escalate")),
            missing=missing if missing is not None or denies is None else frozenset(),
            obligations=self._choices(found.get("obligations"), "an obligation", OBLIGATIONS),
            shadow=self._reasons(found.get("shadow"), may_be_empty=True),
            approvals=self._approvals(found.get("approvals"), asks="escalate" in stated),
        )

    def _approvals(self, node: Node | None, *, asks: bool) -> int | None:
        if node is None:
            return None
        if not asks:
            message = "`approvals` is about who has to agree, and nobody is asked"
            self.reader.error("test.expect", message, node, "say which rules ask: escalate: [RULE]")
        return self.reader.whole(node, "`approvals`", 1, limits.APPROVALS_MAX)

    def _allowed(self, node: Node | None) -> None:
        """Refuse ``allow: false``, which could be read as either outcome."""
        if node is not None and not (isinstance(node, Scalar) and node.value is True):
            hint = "write `deny`, or deny: [RULE] with the reasons"
            self.reader.error("test.expect", "`allow` can only be true", node, hint)

    def _choices(self, node: Node | None, what: str, known: Sequence[str]) -> frozenset[str] | None:
        if node is None:
            return None
        words = [
            self.reader.choice(item, what, known) for item in self.reader.items(node, what, 64)
        ]
        return frozenset(word for word in words if word)

    def _paths(self, node: Node | None) -> frozenset[str] | None:
        """Return the paths of facts that are expected to be absent; one that there is not is an error."""
        words = self._words(node, "`missing`")
        for item in node.items if isinstance(node, Items) else ():
            if isinstance(item, Scalar) and (hint := unknown_fact(item.text)) is not None:
                self.reader.error(
                    "unknown_fact", f"there is no fact `{item.text}`", item, hint or None
                )
        return words

    def _words(self, node: Node | None, what: str) -> frozenset[str] | None:
        if node is None:
            return None
        words = [self.reader.string(item, what) for item in self.reader.items(node, what, 64)]
        return frozenset(word for word in words if word)

    def _reasons(self, node: Node | None, *, may_be_empty: bool = False) -> frozenset[str] | None:
        if node is None:
            return None
        if not isinstance(node, Items):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) else None
            self.reader.wrong_type(node, "the reasons", "a list of rule ids", hint)
            return None
        if not node.items and not may_be_empty:
            hint = "name the rules; without the brackets any reason will do"
            self.reader.error("test.expect", "there is always a reason", node, hint)
        names = [self._reason(item) for item in node.items]
        return frozenset(name for name in names if name)

    def _reason(self, node: Node) -> str | None:
        text = self.reader.string(node, "a rule id")
        if text is None:
            return None
        every = {f"{p.name}/{rule.id}" for p in self.policies for rule in p.rules}
        if text in every or text in _RESERVED:
            return text
        if f"{self.policy}/{text}" in every:
            return f"{self.policy}/{text}"
        owners = sorted(name for name in every if name.endswith(f"/{text}"))
        if len(owners) == 1:
            return owners[0]
        if owners:
            hint = f"one of: {', '.join(owners)}"
        else:
            own = {name.removeprefix(f"{self.policy}/") for name in every}
            hint = did_you_mean(text, own) or "rule ids of other policies are written POLICY/RULE"
        self.reader.error("test.reason", f"there is no rule `{text}`", node, hint)
        return None


def _is_null(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.value is None and not node.quoted


def unknown_fact(path: str) -> str | None:
    """Return a hint (perhaps an empty one) if there is no fact at *path*; None if there is."""
    root, *steps = path.split(".")
    if root not in ROOTS:
        return did_you_mean(root, ROOTS) or ""
    kind: CelType = ROOTS[root].type
    for step in steps:
        if isinstance(kind, MapType):
            return None
        fields: Mapping[str, Field] = kind.fields if isinstance(kind, Record) else {}
        if step not in fields:
            return did_you_mean(step, fields) or ""
        kind = fields[step].type
    return None


def _outcome_of(node: Node) -> str:
    """Return the outcome that *node* says, as an example to write."""
    return node.text if isinstance(node, Scalar) and node.text in _OUTCOMES else "allow"


def _outcome(text: str | None) -> Outcome:
    return text if text in _OUTCOMES else "deny"


__all__ = ["NOW", "Timestamp", "read_fixtures", "read_test_file", "test_files"]
