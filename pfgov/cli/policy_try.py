"""``pfgov policy try``: a set on trial beside the binding one, on what is decided meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.policy import policy
from pfgov.cli.policy_impact import fail_on_option, out_options, present, signer_for
from pfgov.cli.policy_sets import asked

LOOK_SECONDS: Final = 1.0
"""How long between two looks at the ledger."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Length(click.ParamType[int]):
    """A length of time such as ``90s``, ``15m``, ``1h`` or ``2d``, in seconds."""

    name = "N(s|m|h|d)"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        text = str(value)
        number, unit = text[:-1], _UNITS.get(text[-1:])
        is_number = number.isascii() and number.isdigit() and len(number) <= 6
        if unit is None or not is_number or int(number) == 0:
            self.fail(f"{text!r} is no length of time; write 90s, 15m, 1h or 2d", param, ctx)
        return int(number) * unit


def waiting(seconds: int, tell: Callable[[int], None]) -> Callable[[int], bool]:
    """Return what says whether *seconds* have passed, and waits a while between two questions."""
    until = time.monotonic() + seconds

    def is_over(entries: int) -> bool:
        tell(entries)
        left = until - time.monotonic()
        if left <= 0:
            return True
        try:
            time.sleep(min(left, LOOK_SECONDS))
        except KeyboardInterrupt:
            return True  # what came until now is reported
        return False

    return is_over


@verb(
    policy,
    "try",
    examples=(
        "pfgov policy try 3f2a... --for 1h",
        "pfgov policy try ./policies --for 15m --fail-on widen --fail-on flip:3",
    ),
    then="have it approved: pfgov policy propose ./policies",
)
@click.argument("proposed", metavar="DIR|DIGEST|BUNDLE")
@click.option(
    "--for", "seconds", type=Length(), required=True, help="How long: 90s, 15m, 1h or 2d."
)
@out_options
@fail_on_option
@click.option("--allow-plugin", is_flag=True, help="Run schedulers of installed packages, too.")
def try_(
    output: Output,
    proposed: str,
    seconds: int,
    form: str,
    out: Path | None,
    sign: str | None,
    fail_on: tuple[tuple[str, int], ...],
    allow_plugin: bool,
) -> int:
    """Judge a set beside the binding one on what is decided from now on, and report it as impact.

    Decisions are taken as ever and cost what they cost: each that is recorded meanwhile is asked again afterwards, on
    the state, the facts and the time of its moment. Ctrl-C ends the trial early and reports what came until then. The
    report is the one that `pfgov policy impact --since ENTRY` makes of the same entries, and is signed the same way.

    Exits 0, or 1 if --fail-on says so, 3 if the set does not compile, 4 if the history cannot be run again.
    """
    from pfgov.app.change.trying import try_live
    from pfgov.cli.opening import reading

    signer = signer_for(sign, out)
    chosen = asked(output, proposed)
    with reading(output) as book, output.progress("on trial, then asking") as step:
        is_over = waiting(seconds, lambda entries: step(entries, None))
        report = try_live(book, chosen.policies, is_over, step, allow_plug_ins=allow_plugin)
    return present(output, report, chosen, form, out, signer, fail_on)
