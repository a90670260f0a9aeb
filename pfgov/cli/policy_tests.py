"""What the tests of policies came to, for people and for programs.

Everything shown comes from a report; nothing is run here.
"""

from typing import TYPE_CHECKING, Any

from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.policy.authoring.testing.runner import Report


def outcome_result(report: "Report", enough: bool) -> dict[str, Any]:
    """Return what the tests came to as JSON objects show it."""
    return {
        "ok": not report.failed and enough,
        "passed": len(report.results) - len(report.failed),
        "failed": [
            {
                "file": item.file,
                "line": item.line,
                "case": item.case,
                "member": item.member,
                "problem": item.problem,
                "details": list(item.details),
            }
            for item in report.failed
        ],
        "coverage": {
            "seen": report.coverage.reached,
            "wanted": len(report.coverage.wanted),
            "missed": [str(target) for target in report.coverage.missed],
            "points": {
                "seen": report.coverage.reached_points,
                "wanted": len(report.coverage.wanted_points),
                "missed": [str(asked) for asked in report.coverage.missed_points],
            },
        },
    }


def outcome_lines(
    report: "Report", least: int | None, least_points: int | None, *, shown: bool
) -> list[str]:
    """Return what people are told of the tests."""
    lines: list[str] = []
    for item in report.failed:
        who = f": {item.member}" if item.member else ""
        lines.append(f"{item.file}:{item.line}: {item.case}{who}")
        lines.append(f"    {item.problem}")
        lines += [f"    {detail}" for detail in item.details]
    lines.append(f"{counted(len(report.results), 'check')}, {len(report.failed)} failed")
    if shown or least is not None or least_points is not None:
        found = report.coverage
        lines += [str(target) for target in found.missed]
        if shown or least_points is not None:
            lines += [str(asked) for asked in found.missed_points]
        lines.append(
            f"coverage: {found.reached} of {len(found.wanted)} outcomes seen, "
            f"{found.reached_points} of {len(found.wanted_points)} points asked"
        )
        if least_points is not None and not found.asks_at_least(least_points):
            lines.append(f"that is less than {least_points} % of the points")
        if least is not None and not found.is_at_least(least):
            lines.append(f"that is less than {least} %")
    return lines
