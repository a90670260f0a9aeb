"""Facts and little policy folders for the tests of the policy layer."""

from collections.abc import Mapping
from pathlib import Path

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy import PolicyErrors, PolicySet, load_directory
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.facts import MORE, ROOTS_AT
from pfgov.policy.load import compiled_files, read_directory

Facts = dict[str, object]

OPERATOR: Facts = {"id": "local", "rights": ["operator"], "members": []}


def packet(**changes: object) -> Facts:
    """Return the facts of a packet that demands nothing, with *changes*."""
    facts: Facts = {
        "packet_id": "p-1",
        "workload_type": "work",
        "priority": 0,
        "required_capabilities": [],
        "data_classes": [],
        "policy_constraints": {"pii_review_required": False},
        "handoff": {"allowed": True},
        "handoff_count": 0,
        "previous_owners": [],
        "labels": {},
        "demand": {"cpu": 0.0, "memory": 0.0},
        "epoch": 0,
        "reviews": [],
        "reviewed_for": [],
        "scanned_by": [],
    }
    return {**facts, **changes}


def constraints(**changes: object) -> Facts:
    """Return a packet whose constraints are *changes*."""
    return packet(policy_constraints={"pii_review_required": False, **changes})


def member(**changes: object) -> Facts:
    """Return the facts of a good member, with *changes*; a change to ``...`` takes the fact away."""
    facts: Facts = {
        "id": "m-1",
        "type": "agent",
        "capabilities": ["ocr"],
        "capability_versions": {"ocr": "1.4"},
        "region": "us-east/1a",
        "clearances": ["pii.email"],
        "trust_score": 0.95,
        "reliability": 0.5,
        "status": "ACTIVE",
        "load": {"active": 0, "cpu": 0.0, "memory": 0.0, "pressure": 0.0},
        "capacity": {},
        "labels": {},
        "incarnation": 1,
    }
    return {key: value for key, value in {**facts, **changes}.items() if value is not ...}


def more(point: Point) -> dict[str, Facts]:
    """Return the facts that only *point* has."""
    every: dict[str, Facts] = {
        "before": packet() if point is Point.UPDATE else member(),
        "review": {"granted": True, "point": "place", "rules": ["risk/high"], "approvals": 1},
        "export": {"kind": "everything"},
        "activation": {"digest": "f" * 64, "policies": ["kernel"], "dropped": [], "points": []},
    }
    return {root: every[root] for root in MORE if root in ROOTS_AT[point]}


def question(
    point: Point = Point.ASSIGN,
    work: Facts | None = None,
    source: Facts | None = None,
    principal: Facts | None = None,
) -> Question:
    """Return a question at *point*; a packet is there wherever one exists."""
    has_packet = "packet" in ROOTS_AT[point] and point is not Point.EXPORT
    return Question(
        point=point,
        action=point.value,
        packet=(work or packet()) if has_packet else None,
        source=source,
        principal=principal or OPERATOR,
        reason="requested",
        now=1_767_225_600_000_000,
        more=more(point),
    )


def policy(rules: str, *, name: str = "placement", on: str = "[place]", extra: str = "") -> str:
    """Return the text of a policy file; *rules* is indented YAML of the list's items."""
    return (
        "apiVersion: pfgov/v1\nkind: Policy\n"
        f'metadata: {{name: {name}, version: "1"}}\non: {on}\n{extra}rules:\n{rules}'
    )


def labels(*names: str) -> str:
    """Return the text of a file that declares labels of packets and members as texts."""
    rows = "".join(
        f"  {name}: {{type: string, set_by: [submitter, operator], change: rights}}\n"
        for name in names
    )
    head = 'apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: "1"}\n'
    return f"{head}packet:\n{rows}member:\n{rows}"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write *files* below *folder* and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def load(folder: Path, *texts: str, generated: bool = True, is_sound: bool = True) -> PolicySet:
    """Compile policy *texts* with the kernel; without *is_sound* what an author cannot mean is compiled, too."""
    write(folder, {f"p{i}.policy.yaml": text for i, text in enumerate(texts)})
    if is_sound:
        return load_directory(folder, generated=generated)
    compiled, problems = compiled_files(read_directory(folder), generated=generated)
    assert compiled is not None, problems
    return compiled


def problems(folder: Path, *texts: str) -> list[tuple[str, int, int, str, str | None]]:
    """Return (code, line, column, message, hint) of every problem in policy *texts*."""
    try:
        load(folder, *texts, generated=False)
    except PolicyErrors as error:
        return [(p.code, p.line, p.column, p.message, p.hint) for p in error.problems]
    return []


def found_in(path: Path, files: dict[str, str]) -> list[tuple[str, int, int, str]]:
    """Return (code, line, column, message and hint) of every problem of *files*."""
    write(path, files)
    problems = check_directory(path).problems
    return [(p.code, p.line, p.column, f"{p.message} {p.hint or ''}") for p in problems]
