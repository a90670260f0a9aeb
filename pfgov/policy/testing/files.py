"""Test and fixture files: positioned YAML nodes to cases, properties and named facts.

Every mistake is collected with its place, as for policies: a misspelt fixture or rule id is a
problem of the file, never a test that passes by accident.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pfgov.policy import inputs, limits
from pfgov.policy.cel import CelError, Timestamp
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.facts import ROOTS_AT
from pfgov.policy.files import API_VERSION
from pfgov.policy.load import FIXTURES, TEST_SUFFIX, kind_of, parse_file, yaml_files
from pfgov.policy.model import Policy
from pfgov.policy.policyset import Question
from pfgov.policy.problems import Problem, did_you_mean
from pfgov.policy.reader import Reader
from pfgov.policy.source import Entries, Items, Node, Scalar
from pfgov.policy.testing.model import (
    DENIED,
    Candidate,
    Case,
    Expectation,
    Fixtures,
    Outcome,
    TestFile,
)
from pfgov.policy.testing.propertyfiles import read_properties
from pfgov.verdicts import Point

NOW: Final = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z: the time of a test that names none."""

_PLURALS: Final = {"packets": "packet", "members": "member", "principals": "principal"}
_OUTCOMES: Final[tuple[Outcome, ...]] = ("allow", "escalate", "deny")
_RESERVED: Final = ("pfgov:no_policy", "pfgov:type_error")


def read_fixtures(root: Path, problems: list[Problem]) -> Fixtures:
    """Read every fixture file in every ``fixtures`` folder below *root*."""
    fixtures = Fixtures()
    for folder in sorted(path for path in root.rglob(FIXTURES) if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if path.suffix in {".yaml", ".yml", ".json"} and not path.name.startswith("."):
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
    return [path for path in yaml_files(root) if path.name.endswith(TEST_SUFFIX)]


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
            optional=("policy", "now", "cases", "properties"),
        )
        version = found.get("apiVersion")
        if isinstance(version, Scalar) and version.text != API_VERSION:
            message = f"apiVersion `{version.text}` is unknown"
            self.reader.error("api_version", message, version, f"write {API_VERSION}")
        names = [policy.name for policy in self.policies]
        if "policy" in found:
            self.policy = self.reader.choice(found["policy"], "`policy`", names)
        self.now = self._time(found.get("now"), NOW)
        cases = [
            case
            for item in self.reader.items(found.get("cases"), "`cases`", limits.CASES_MAX)
            if (case := self._case(item)) is not None
        ]
        if "cases" not in found and "properties" not in found:
            self.reader.error("missing_key", "a test file needs `cases` or `properties`", node)
        properties = read_properties(self.reader, found.get("properties"), self._covered())
        return TestFile(self.reader.file, self.policy, self.now, tuple(cases), properties)

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
            optional=("packet", "members", "source", "principal", "action", "reason", "now"),
        )
        name = reader.string(found.get("name"), "`name`", limit=200)
        action = reader.choice(found.get("action"), "`action`", [p.value for p in Point])
        point = Point(action or "assign")
        roots = ROOTS_AT[point]
        for key, root in (("packet", "packet"), ("members", "member"), ("source", "source")):
            if key in found and root not in roots:
                reader.error("test.case", f"`{key}` has no meaning at {point.value}", found[key])
            elif key not in found and root in roots and key != "source":
                reader.error("missing_key", f"a case at {point.value} needs `{key}`", node)
        packet = self._facts(found.get("packet"), "packet")
        source = self._facts(found.get("source"), "source")
        principal = self._facts(found.get("principal"), "principal")
        reason = found.get("reason")
        question = Question(
            point=point,
            action=point.value,
            packet=packet[1] if packet else None,
            source=source[1] if source else None,
            principal=principal[1] if principal else {"id": "somebody", "rights": ["operator"]},
            reason=(reader.string(reason, "`reason`") or "") if reason is not None else "requested",
            now=self._time(found.get("now"), self.now),
        )
        candidates = self._candidates(found, point)
        if name is None or "expect" not in found:
            return None
        return Case(name, reader.place(node), question, candidates)

    # --- facts ------------------------------------------------------------------------------

    def _facts(self, node: Node | None, root: str) -> tuple[str, inputs.Facts] | None:
        """Return (name, facts) from a fixture's name or from ``{from, with, as}``."""
        if node is None:
            return None
        table = self.fixtures.named["member" if root == "source" else root]
        if isinstance(node, Entries):
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
            return name, inputs.complete(root, inputs.vary(base, change), name)
        stated = self._fixture(node, table, root)
        if stated is None or not isinstance(node, Scalar):
            return None
        return node.text, inputs.complete(root, stated, node.text)

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
            return (Candidate("", {}, self._expectation(expect)),)
        members: dict[str, inputs.Facts] = {}
        for item in self.reader.items(found.get("members"), "`members`", limits.CASES_MAX):
            facts = self._facts(item, "member")
            if facts is None:
                continue
            if facts[0] in members:
                hint = "give the variation a name of its own with `as`"
                self.reader.error("duplicate_name", f"`{facts[0]}` is here twice", item, hint)
            members[facts[0]] = facts[1]
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
            node, "an expectation", required=(), optional=(*_OUTCOMES, "missing", "obligations")
        )
        stated = [outcome for outcome in _OUTCOMES if outcome in found]
        if not stated or stated == ["allow", "escalate"] or (len(stated) > 1 and "allow" in stated):
            self.reader.error(
                "test.expect", "say exactly one outcome: allow, escalate or deny", node
            )
            return DENIED
        outcome = "deny" if "deny" in stated else stated[0]
        denies = self._reasons(found.get("deny"))
        escalates = self._reasons(found.get("escalate"))
        missing = self._words(found.get("missing"), "`missing`")
        obligations = self._words(found.get("obligations"), "`obligations`")
        return Expectation(
            outcome=_outcome(outcome),
            denies=denies,
            escalates=escalates,
            missing=missing if missing is not None or denies is None else frozenset(),
            obligations=obligations,
        )

    def _words(self, node: Node | None, what: str) -> frozenset[str] | None:
        if node is None:
            return None
        words = [self.reader.string(item, what) for item in self.reader.items(node, what, 64)]
        return frozenset(word for word in words if word)

    def _reasons(self, node: Node | None) -> frozenset[str] | None:
        if node is None:
            return None
        if not isinstance(node, Items):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) else None
            self.reader.wrong_type(node, "the reasons", "a list of rule ids", hint)
            return None
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


def _outcome(text: str | None) -> Outcome:
    return text if text in _OUTCOMES else "deny"


__all__ = ["NOW", "Timestamp", "read_fixtures", "read_test_file", "test_files"]
