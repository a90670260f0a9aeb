"""``pfgov policy watch``: the tests again whenever a policy file is saved."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import FILES, Output, verb
from pfgov.cli.policy import folder, policy
from pfgov.cli.policy_tests import outcome_lines, outcome_result
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.policy.authoring.watching import Round

LOOK_SECONDS: Final = 0.3
"""How long between two looks at the files."""


def pause() -> None:
    """Let some time pass between two looks."""
    time.sleep(LOOK_SECONDS)


@verb(
    policy,
    "watch",
    examples=("pfgov policy watch policies", "pfgov policy watch policies --until-pass"),
    then="weigh the change: pfgov policy impact policies",
    files=FILES,
)
@folder
@click.option("--until-pass", is_flag=True, help="Stop with 0 as soon as everything passes.")
def watch(output: Output, folder: Path, until_pass: bool) -> int:
    """Check the policies and run their tests, and again at each save, until you press Ctrl-C.

    What it says is what `pfgov policy check` and `pfgov policy test` say. With --json there is one object a round.
    """
    from pfgov.policy.authoring.watching import rounds

    for found in rounds(folder, pause):
        _tell(output, found)
        if until_pass and found.passes:
            break
    return 0


def _tell(output: Output, found: "Round") -> None:
    report = found.report
    if output.json:
        result: dict[str, Any] = {
            "changed": list(found.changed),
            "ok": found.passes,
            "problems": [problem.as_dict() for problem in found.problems],
            "tests": None if report is None else outcome_result(report, enough=True),
        }
        output.emit(result)
        return
    lines = [f"changed: {', '.join(found.changed)}"] if found.changed else []
    lines += [problem.as_text() for problem in found.problems]
    if report is not None:
        lines += outcome_lines(report, None, None, shown=False)
    errors = sum(problem.severity == "error" for problem in found.problems)
    if errors:
        lines.append(f"{counted(errors, 'error')}: the tests were not run")
    elif report is None:
        lines.append("there are no tests beside these policies")
    for line in lines:
        output.out.print(line, soft_wrap=True)
    output.tell("pass" if found.passes else "fail", "")
