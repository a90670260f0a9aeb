"""The CEL engine: parse, check, evaluate, generate, explain.

    ast = parse('member.trust_score >= params.trust_floor')
    checked = check(ast, Environment({"member": MEMBER}, constants={...}))
    outcome = exact(checked)({"member": {...}})      # True, False or a Failure

A self-contained subpackage: it knows expressions, types and values, and nothing of
packets, members, policies or files.  Loading raises (:class:`CelLoadError` and its
subclasses, every problem with line and column); evaluating never does.
"""

from pfgov.policy.cel import types
from pfgov.policy.cel.checker import check
from pfgov.policy.cel.environment import Constant, Environment
from pfgov.policy.cel.errors import (
    CelCheckErrors,
    CelError,
    CelLoadError,
    CelSyntaxError,
    Failure,
    FailureKind,
    Problem,
)
from pfgov.policy.cel.exact import exact, value_of
from pfgov.policy.cel.generate import QUIET, Clause, Finding, Findings, Generated, generate
from pfgov.policy.cel.ir import Access, Checked
from pfgov.policy.cel.library import STANDARD, Function
from pfgov.policy.cel.parser import parse
from pfgov.policy.cel.syntax import Ast
from pfgov.policy.cel.trace import Comparison, Trace, trace
from pfgov.policy.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    BytesType,
    CelType,
    Field,
    ListType,
    MapType,
    NumberType,
    OptionalType,
    Record,
    StringType,
)
from pfgov.policy.cel.unparse import unparse
from pfgov.policy.cel.values import Duration, Timestamp, Uint

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "QUIET",
    "STANDARD",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "Access",
    "Ast",
    "BytesType",
    "CelCheckErrors",
    "CelError",
    "CelLoadError",
    "CelSyntaxError",
    "CelType",
    "Checked",
    "Clause",
    "Comparison",
    "Constant",
    "Duration",
    "Environment",
    "Failure",
    "FailureKind",
    "Field",
    "Finding",
    "Findings",
    "Function",
    "Generated",
    "ListType",
    "MapType",
    "NumberType",
    "OptionalType",
    "Problem",
    "Record",
    "StringType",
    "Timestamp",
    "Trace",
    "Uint",
    "check",
    "exact",
    "generate",
    "parse",
    "trace",
    "types",
    "unparse",
    "value_of",
]
