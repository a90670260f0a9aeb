"""Random worlds for differential tests: a schema, expressions over it, facts valid and corrupt.

Everything is drawn from a seeded ``random.Random``, so a failure names a seed and an
index.  Expressions are built by wanted type, so that nearly all of them pass the checker
and a good part of them is true; corruption goes where real data goes wrong and further.
"""

import copy
import decimal
import enum
import math
import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from pfgov.policy.cel import (
    BOOL,
    INT,
    STRING,
    TIMESTAMP,
    CelLoadError,
    Checked,
    Clause,
    Constant,
    Environment,
    Field,
    Function,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
    Timestamp,
    Uint,
    check,
    parse,
)  # fmt: skip
from pfgov.policy.cel.errors import CelError

_DOUBLE = NumberType("double")
_TEXT = StringType(64)
_TEXTS = ListType(_TEXT, 16)

_LOAD = Record("load", {"cpu": Field(INT), "memory": Field(INT), "ratio": Field(_DOUBLE, True)})
_MEMBER = Record("member", {
    "id": Field(_TEXT),
    "trust_score": Field(_DOUBLE, optional=True),
    "region": Field(_TEXT, optional=True),
    "status": Field(_TEXT),
    "draining": Field(BOOL),
    "capabilities": Field(_TEXTS),
    "clearances": Field(_TEXTS, optional=True),
    "load": Field(_LOAD),
    "capacity": Field(_LOAD, optional=True),
    "labels": Field(MapType(_TEXT, _TEXT, 16)),
    "scores": Field(ListType(_DOUBLE, 8)),
    "ports": Field(ListType(INT, 8)),
    "joined": Field(TIMESTAMP),
    "class": Field(_TEXT),
})  # fmt: skip
_PACKET = Record("packet", {
    "data_classes": Field(_TEXTS),
    "regions": Field(_TEXTS, optional=True),
    "floor": Field(_DOUBLE),
    "hops": Field(INT),
    "urgent": Field(BOOL, optional=True),
    "demand": Field(_LOAD),
    "labels": Field(MapType(_TEXT, _TEXT, 16)),
    "ports": Field(ListType(INT, 8)),
    "due": Field(TIMESTAMP),
})  # fmt: skip


def _prefixed(text: object, items: object) -> object:
    if type(text) is not str or type(items) is not list:
        raise CelError("no such overload: prefixed", kind="type")
    for item in items:
        if type(item) is not str:
            raise CelError("no such overload: prefixed", kind="type")
        if text.startswith(item):
            return True
    return False


ROOTS: dict[str, Any] = {"member": _MEMBER, "packet": _PACKET, "action": _TEXT, "now": TIMESTAMP}
FUNCTIONS = [Function.simple("prefixed", (_TEXT, _TEXTS), BOOL, _prefixed, cost=50)]
CONSTANTS = {
    "params.floor": Constant(0.6, _DOUBLE),
    "params.hops": Constant(3, INT),
    "params.zone": Constant("eu", STRING),
}


def _environment() -> Environment:
    base = Environment(ROOTS, FUNCTIONS, constants=CONSTANTS)
    named: dict[str, Checked] = {}
    for name, text, type_ in (
        ("variables.pii", 'packet.data_classes.exists(c, c.startsWith("pii"))', BOOL),
        ("variables.margin", "member.trust_score - packet.floor", None),
        ("variables.free", "member.capacity.cpu - member.load.cpu", None),
        ("variables.cleared", "variables.pii || packet.data_classes.all(c, c in member.clearances)",
         BOOL),
    ):  # fmt: skip
        environment = Environment(ROOTS, FUNCTIONS, constants=CONSTANTS, named=named)
        named[name] = check(parse(text), environment, type_)
    assert base is not None
    return Environment(ROOTS, FUNCTIONS, constants=CONSTANTS, named=named, constant_conditions=True)


ENVIRONMENT = _environment()

TEXTS = [
    "",
    "eu",
    "eu-west",
    "us",
    "pii",
    "pii.email",
    "internal",
    "a",
    "b",
    "ACTIVE",
    "é☃",
    "x\ny",
]
DOUBLES = [0.0, -0.0, 0.5, 0.6, 0.7, 1.0, 1.5, -2.0, math.nan, math.inf, -math.inf, 1e300]
INTS = [0, 1, 2, 3, 7, -1, 4096, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]


class Expressions:
    """Draws expressions.  ``plain`` keeps to what every CEL engine is known to agree on."""

    def __init__(self, rng: random.Random, *, plain: bool = False) -> None:
        self.rng = rng
        self.plain = plain
        self.variables: list[tuple[str, str]] = []
        self.loops = 0

    def pick(self, *makers: Callable[[], str]) -> str:
        return self.rng.choice(makers)()

    def condition(self, depth: int = 3) -> str:
        """An expression of type bool."""
        pick = self.rng.random()
        if depth <= 0 or pick < 0.25:
            return self.atom()
        if pick < 0.45:
            return f"({self.joined(' && ', depth)})"
        if pick < 0.62:
            return f"({self.joined(' || ', depth)})"
        if pick < 0.72:
            return f"!{self.wrapped(depth - 1)}"
        if pick < 0.78:
            parts = [self.condition(depth - 1) for _ in range(3)]
            return "({} ? {} : {})".format(*parts)
        return self.fold(depth)

    def joined(self, sign: str, depth: int) -> str:
        count = self.rng.choice([2, 2, 3])
        return sign.join(self.condition(depth - 1) for _ in range(count))

    def wrapped(self, depth: int) -> str:
        return f"({self.condition(depth)})"

    def fold(self, depth: int) -> str:
        if self.loops >= 2:
            return self.atom()
        kinds = ["all", "exists"] if self.plain else ["all", "exists", "exists_one"]
        name = f"v{len(self.variables)}"
        item, target = self.rng.choice([
            ("text", self.texts()), ("text", self.texts()), ("double", self.doubles()),
            ("int", self.integers()),
        ])  # fmt: skip
        self.variables.append((name, item))
        self.loops += 1
        body = self.condition(depth - 1)
        if self.rng.random() < 0.5:
            body = self.about(name, item)
        self.loops -= 1
        self.variables.pop()
        kind = self.rng.choice(kinds)
        if not self.plain and self.rng.random() < 0.15:
            count = self.rng.choice(INTS[:4])
            return f"{target}.filter({name}, {body}).size() {self.order()} {count}"
        return f"{target}.{kind}({name}, {body})"

    def about(self, name: str, item: str) -> str:
        if item == "text":
            return self.pick(
                lambda: f"{name} in {self.texts()}",
                lambda: f"{name} == {self.text()}",
                lambda: f"{name}.startsWith({self.text()})",
            )
        if item == "double":
            return f"{name} {self.order()} {self.double()}"
        return f"{name} {self.order()} {self.integer()}"

    def atom(self) -> str:
        makers = [
            lambda: f"{self.double()} {self.order()} {self.double()}",
            lambda: f"{self.integer()} {self.order()} {self.integer()}",
            lambda: f"{self.text()} {self.rng.choice(['==', '!='])} {self.text()}",
            lambda: f"{self.text()} in {self.texts()}",
            lambda: (
                f"{self.text()}.{self.rng.choice(['startsWith', 'endsWith', 'contains'])}"
                f"({self.text()})"
            ),
            lambda: "member.draining",
            lambda: self.rng.choice(["true", "false"]),
            lambda: f"size({self.texts()}) {self.order()} {self.rng.choice([0, 1, 2])}",
        ]
        if not self.plain:
            makers += [
                lambda: f"{self.integer()} {self.order()} {self.double()}",
                lambda: "packet.urgent",
                self.has,
                self.has,
                lambda: f"{self.text()} < {self.text()}",
                lambda: f"{self.time()} {self.order()} {self.time()}",
                lambda: "variables.pii",
                lambda: "variables.cleared",
                lambda: f"prefixed({self.text()}, {self.texts()})",
                lambda: f"{self.text()}.matches('^[a-z]+[-.]?')",
                lambda: f"{self.text()} in {self.labels()}",
                lambda: f"{self.integer()} in {self.integers()}",
                lambda: f"{self.double()} in {self.doubles()}",
                lambda: f"{self.texts()} == {self.texts()}",
                lambda: f"{self.doubles()} == {self.doubles()}",
                lambda: (
                    f"dyn({self.double()}) == dyn({self.rng.choice([self.text, self.integer])()})"
                ),
                lambda: f"member.draining == {self.rng.choice(['packet.urgent', 'true', 'false'])}",
            ]
        return self.rng.choice(makers)()

    def has(self) -> str:
        path = self.rng.choice([
            "member.trust_score", "member.region", "member.clearances", "packet.regions",
            "packet.urgent", "member.capacity", "member.load.ratio", "member.labels.tier",
            "member.capacity.ratio", "member.labels.`b-c`",
        ])  # fmt: skip
        return f"has({path})"

    def order(self) -> str:
        return self.rng.choice(["<", "<=", ">", ">=", "==", "!="])

    def named(self, kind: str) -> list[str]:
        return [name for name, item in self.variables if item == kind]

    def double(self, depth: int = 1) -> str:
        pick = self.rng.random()
        own = self.named("double")
        if own and pick < 0.4:
            return self.rng.choice(own)
        if pick < 0.3:
            known = ["0.6", "0.7", "1.0", "0.0", "-2.0", "1e300"]
            return self.rng.choice(known if self.plain else [*known, "params.floor"])
        if depth and pick < 0.45:
            sign = self.rng.choice(["+", "-", "*"] if self.plain else ["+", "-", "*", "/"])
            return f"({self.double(0)} {sign} {self.double(0)})"
        if self.plain:
            return self.rng.choice(["packet.floor", "packet.floor", "member.scores[0]"])
        return self.rng.choice([
            "member.trust_score", "member.trust_score", "packet.floor", "member.load.ratio",
            "member.scores[0]", "variables.margin", "member.?trust_score.orValue(0.5)",
            "packet.demand.ratio", "double(packet.hops)",
        ])  # fmt: skip

    def integer(self, depth: int = 1) -> str:
        pick = self.rng.random()
        own = self.named("int")
        if own and pick < 0.4:
            return self.rng.choice(own)
        if pick < 0.3:
            known = ["0", "1", "3", "-7", "4096"]
            return self.rng.choice(known if self.plain else [*known, "params.hops"])
        if depth and pick < 0.5:
            signs = ["+", "-"] if self.plain else ["+", "-", "*", "/", "%"]
            return f"({self.integer(0)} {self.rng.choice(signs)} {self.integer(0)})"
        if self.plain:
            return self.rng.choice(["packet.hops", "member.load.cpu", "size(member.capabilities)"])
        return self.rng.choice([
            "packet.hops", "member.load.cpu", "member.load.memory", "packet.demand.cpu",
            "member.capacity.cpu", "variables.free", "size(member.capabilities)", "member.ports[0]",
            "size(member.id)", "packet.labels.size()", "-packet.hops", "packet.ports[packet.hops]",
        ])  # fmt: skip

    def text(self) -> str:
        pick = self.rng.random()
        own = self.named("text")
        if own and pick < 0.5:
            return self.rng.choice(own)
        if pick < 0.4:
            return self.rng.choice(['"eu"', '"pii"', '"pii.email"', '""', '"ACTIVE"', '"é☃"'])
        plain = ["member.id", "member.status", "action", "member.capabilities[0]"]
        if self.plain:
            return self.rng.choice(plain)
        return self.rng.choice([
            *plain, "member.region", "member.region", "params.zone", "member.labels.tier",
            'packet.labels["team"]', "member.`class`", 'member.?region.orValue("us")',
            'member.labels["a\\nb"]', "(member.id + action)", "member.status.lowerAscii()",
            "packet.labels[member.id]", "string(packet.hops)",
            "cel.bind(z, member.region, z + z)", 'member["status"]',
        ])  # fmt: skip

    def texts(self) -> str:
        plain = ["member.capabilities", "packet.data_classes", '["eu", "us", "pii"]', '["a"]']
        if self.plain:
            return self.rng.choice(plain)
        return self.rng.choice([
            *plain, "member.clearances", "packet.regions", "packet.regions", "[member.id, action]",
            "packet.data_classes.filter(w, w.startsWith('pii'))", "(member.capabilities + ['z'])",
            "packet.data_classes.map(w, w + '!')",
        ])  # fmt: skip

    def doubles(self) -> str:
        if self.plain:
            return self.rng.choice(["member.scores", "[0.5, 0.6]"])
        return self.rng.choice(["member.scores", "[0.5, 0.6, packet.floor]"])

    def integers(self) -> str:
        return self.rng.choice(["member.ports", "packet.ports", "[1, 2, 3]"])

    def labels(self) -> str:
        return self.rng.choice(["member.labels", "packet.labels"])

    def time(self) -> str:
        return self.rng.choice([
            "now", "member.joined", "packet.due", 'timestamp("2026-01-01T00:00:00Z")',
            'now + duration("1h")', 'packet.due - duration("90m")',
        ])  # fmt: skip


def draw_clause(rng: random.Random, index: int, *, plain: bool = False) -> tuple[Clause, str]:
    """A clause that passes the checker, and its text."""
    while True:
        text = Expressions(rng, plain=plain).condition(rng.choice([1, 2, 3]))
        when_text = Expressions(rng).condition(1) if not plain and rng.random() < 0.3 else None
        try:
            condition = check(parse(text), ENVIRONMENT)
            when = None if when_text is None else check(parse(when_text), ENVIRONMENT)
        except CelLoadError:
            continue
        clause = Clause(f"rule-{index}", condition, when, quiet=rng.random() < 0.7)
        return clause, text if when_text is None else f"[{when_text}] {text}"


# --- facts -----------------------------------------------------------------------------------


def draw_facts(rng: random.Random, *, plain: bool = False) -> dict[str, Any]:
    """Facts that the schema allows, NaN and absent optional fields included."""
    doubles = DOUBLES[:8] if plain else DOUBLES

    def texts() -> list[str]:
        return [rng.choice(TEXTS) for _ in range(rng.choice([0, 1, 2, 3, 6]))]

    def load() -> dict[str, Any]:
        found: dict[str, Any] = {"cpu": rng.choice(INTS), "memory": rng.choice(INTS[:7])}
        if rng.random() < 0.5:
            found["ratio"] = rng.choice(doubles)
        return found

    def labels() -> dict[str, str]:
        keys = ["tier", "team", "b-c", "a\nb", "m1"]
        return {key: rng.choice(TEXTS) for key in keys if rng.random() < 0.4}

    def time() -> Timestamp:
        return Timestamp(rng.choice([0, 1_767_225_600 * 10**9, 1_764_000_000 * 10**9 + 1]))

    member: dict[str, Any] = {
        "id": rng.choice(["m1", "m2", "eu"]), "status": rng.choice(["ACTIVE", "DRAINING"]),
        "draining": rng.random() < 0.3, "capabilities": texts(), "load": load(),
        "labels": labels(), "scores": [rng.choice(doubles) for _ in range(rng.choice([0, 1, 3]))],
        "ports": [rng.choice(INTS[:7]) for _ in range(rng.choice([0, 1, 3]))], "joined": time(),
        "class": rng.choice(TEXTS),
    }  # fmt: skip
    packet: dict[str, Any] = {
        "data_classes": texts(), "floor": rng.choice(doubles), "hops": rng.choice(INTS[:6]),
        "demand": load(), "labels": labels(), "ports": [1, 2][: rng.choice([0, 1, 2])],
        "due": time(),
    }  # fmt: skip
    for record, optional in ((member, {"trust_score": rng.choice(doubles),
                                       "region": rng.choice(TEXTS), "clearances": texts(),
                                       "capacity": load()}),
                             (packet, {"regions": texts(), "urgent": rng.random() < 0.5})):  # fmt: skip
        for key, value in optional.items():
            if rng.random() < 0.7:
                record[key] = value
    return {"member": member, "packet": packet, "action": rng.choice(TEXTS), "now": time()}


class _Text(str):
    __slots__ = ()


class _Liar(str):
    """A string that claims to equal everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(str(self))


class _Level(enum.IntEnum):
    HIGH = 3


class _Real(float):
    __slots__ = ()


JSON_JUNK: list[Any] = [
    None, True, False, 0, 1, 2, -1, 0.0, 1.0, 0.9, math.nan, math.inf, 2**53 + 1, 2**63 - 1, "",
    "eu", "0.9", "ACTIVE", [], ["eu"], ["a", 1, None], [None], [True], [[]], [1.0, "a"], {},
    {"tier": 1}, {"cpu": 1}, {"cpu": "1", "memory": None}, [math.nan], ["eu"] * 40,
]  # fmt: skip
FOREIGN_JUNK: list[Any] = [
    2**63, -(2**70), ("eu",), {"eu"}, frozenset({"eu"}), decimal.Decimal("0.9"), _Text("eu"),
    _Liar("zz"), _Level.HIGH, _Real(0.9), OrderedDict(eu=1), defaultdict(lambda: 1.0), b"eu",
    Uint(1), Timestamp(5), [_Text("eu")], [_Liar("q")], object(), {1: "a", False: "b"},
    {"eu": _Liar("x")}, range(3), bytearray(b"x"), 1 + 2j, "\ud800",
]  # fmt: skip


def corrupt(rng: random.Random, facts: dict[str, Any], *, foreign: bool = True) -> dict[str, Any]:
    """A copy of *facts* with one to three things wrong."""
    facts = copy.deepcopy(facts)
    junk = JSON_JUNK + (FOREIGN_JUNK if foreign else [])
    for _ in range(rng.choice([1, 1, 2, 3])):
        container, key = _somewhere(rng, facts)
        if isinstance(container, dict) and rng.random() < 0.3:
            container.pop(key, None)
        else:
            container[key] = copy.deepcopy(rng.choice(junk))
    return facts


def _somewhere(rng: random.Random, facts: dict[str, Any]) -> tuple[Any, Any]:
    container: Any = facts
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = rng.choice(keys)
        inner = container[key]
        deeper = (type(inner) is dict or type(inner) is list) and len(inner) > 0
        if deeper and (container is facts or rng.random() < 0.5) and rng.random() < 0.97:
            container = inner
            continue
        return container, key
