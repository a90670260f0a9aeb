"""A small schema and short-hands for the unit tests of the CEL engine."""

from typing import Any

from pfgov.policy.cel import (
    BOOL,
    BYTES,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelLoadError,
    Constant,
    Environment,
    Failure,
    Field,
    ListType,
    MapType,
    NumberType,
    Problem,
    Record,
    StringType,
    check,
    exact,
    parse,
    value_of,
)  # fmt: skip

SCORE = NumberType("double", 0, 1)
LOAD = Record("load", {"cpu": Field(INT), "memory": Field(INT)})
MEMBER = Record("member", {
    "trust_score": Field(SCORE, optional=True),
    "region": Field(StringType(64), optional=True),
    "status": Field(StringType(16, frozenset({"ACTIVE", "DRAINING", "FAILED"}))),
    "clearances": Field(ListType(StringType(64), 64)),
    "load": Field(LOAD),
    "capacity": Field(LOAD, optional=True),
    "labels": Field(MapType(StringType(64), StringType(64), 16)),
    "draining": Field(BOOL),
    "joined": Field(TIMESTAMP),
    "key": Field(BYTES),
})  # fmt: skip
PACKET = Record("packet", {
    "data_classes": Field(ListType(StringType(64), 64)),
    "minimum_trust_score": Field(SCORE),
    "handoff_count": Field(INT),
    "extra": Field(MapType(STRING, DYN)),
    "items": Field(ListType(DYN)),
})  # fmt: skip
ENVIRONMENT = Environment(
    {"member": MEMBER, "packet": PACKET, "x": DYN, "y": DYN, "now": TIMESTAMP, "ttl": DURATION},
    constants={"params.floor": Constant(0.6, SCORE), "params.on": Constant(True, BOOL)},
)
ANYTHING = Environment({"x": DYN, "y": DYN, "z": DYN}, constant_conditions=True, named_zones=False)


def problems(source: str, environment: Environment = ENVIRONMENT) -> tuple[Problem, ...]:
    """Why *source* is refused as a condition; empty when it is not."""
    try:
        check(parse(source), environment)
    except CelLoadError as error:
        return error.problems
    return ()


def codes(source: str, environment: Environment = ENVIRONMENT) -> list[str]:
    """The codes of :func:`problems`."""
    return [problem.code for problem in problems(source, environment)]


def only(source: str, environment: Environment = ENVIRONMENT) -> Problem:
    """The one problem of *source*."""
    (problem,) = problems(source, environment)
    return problem


def value(source: str, **facts: Any) -> Any:
    """The value of an expression over the dynamic roots x, y and z, unchecked types allowed."""
    return value_of(check(parse(source), ANYTHING, None, cost_limit=None, lenient=True))(facts)


def outcome(source: str, **facts: Any) -> bool | Failure:
    """The outcome of a condition over the dynamic roots."""
    return exact(check(parse(source), ANYTHING, cost_limit=None, lenient=True))(facts)
