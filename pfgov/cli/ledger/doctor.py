"""``pfgov ledger doctor``: look the ledger over, and say what to do about what is not well.

The checks are the engine's; this module shows them and chooses the exit status.
"""

from typing import Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import table

FAILED, COULD_NOT = 1, 4

MARKS: Final = {"ok": "ok", "warning": "warning", "failed": "FAILED", "not_checked": "not checked"}


@verb(
    ledger,
    "doctor",
    examples=("pfgov ledger doctor", "pfgov ledger doctor --strict"),
    then="check every signature and decision, too: pfgov ledger verify --replay",
    folder="it looks at files; a server answers for its own at /api/health/ready",
)
@click.option("--strict", is_flag=True, help="A warning fails, too.")
def doctor(output: Output, strict: bool) -> int:
    """Look the ledger over: schema, keys, head, tables, erasures, disk.

    Writes nothing and runs beside a server.  Exits 0 if all is well (warnings are allowed without --strict), 1 if
    something is wrong, 4 if there is no ledger.
    """
    from pfgov.app.local.folder import examine

    findings = examine(output.directory)
    outcomes = {finding.outcome for finding in findings}
    bad = {"failed", "warning"} if strict else {"failed"}
    status = FAILED if outcomes & bad else COULD_NOT if "not_checked" in outcomes else 0
    result = {
        "healthy": status == 0,
        "findings": [
            {"check": f.check, "outcome": f.outcome, "says": f.says, "hint": f.hint}
            for f in findings
        ],
    }
    rows = [(f.check, MARKS[f.outcome], f.says) for f in findings]
    hints = [f"{f.check}: {f.hint}" for f in findings if f.hint and f.outcome != "ok"]
    output.show(result, table(("!check", "!outcome", "what was found"), rows), *hints)
    return status
