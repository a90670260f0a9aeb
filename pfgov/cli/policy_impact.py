"""``pfgov policy impact``: what a set would have decided in the recorded history, and what it would do now.

The history is a ledger's, wherever it is, or that in an export.  Exit status 1 is for whoever asked for it by name.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.policy import policy
from pfgov.cli.policy_bundle import signer_of
from pfgov.cli.policy_sets import Asked, asked

if TYPE_CHECKING:
    from pfgov.app.change import Report, Span
    from pfgov_ledger.keys import Signer

KINDS: Final = ("widen", "narrow", "revoke", "flip")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def span_options(command: _Command) -> _Command:
    """Give *command* the options of which :func:`span_of` makes a part of a history."""
    for option in (
        click.option(
            "--sample",
            type=click.IntRange(1, 1_000_000),
            default=1,
            metavar="N",
            help="Ask at one command in N only: faster, and what was not asked may differ unseen.",
        ),
        click.option(
            "--until",
            metavar="SIZE|TIME",
            help="Only the first SIZE entries, or those before.",
        ),
        click.option(
            "--since", metavar="ENTRY|TIME", help="Only decisions from this entry or time on."
        ),
    ):
        command = option(command)
    return command


def out_options(command: _Command) -> _Command:
    """Give *command* the options that say in which form a report is wanted, where, and signed by whom."""
    for option in (
        click.option(
            "--sign",
            metavar="FILE|URI",
            help="Sign the report with this private key; with --out, for pfgov policy activate --report.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write it there.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(("text", "json", "markdown")),
            default="text",
            show_default=True,
            help="`json` is the report itself, byte for byte the same wherever it is made.",
        ),
    ):
        command = option(command)
    return command


class Threshold(click.ParamType[tuple[str, int]]):
    """``widen``, ``narrow``, ``revoke`` or ``flip``, with the number that is still let through: ``flip:3``."""

    name = "widen|narrow|revoke|flip[:N]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return the name and the number."""
        kind, _, most = str(value).partition(":")
        if kind not in KINDS or (":" in str(value) and not (most.isascii() and most.isdigit())):
            self.fail(f"{value!r} is not one of {', '.join(KINDS)}, with :N or without", param, ctx)
        return kind, int(most or 0)


fail_on_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    type=Threshold(),
    metavar="widen|narrow|revoke|flip[:N]",
    help="Exit 1 if there are more than N (0) decisions of that kind, or owners that would lose a packet. Repeatable.",
)
"""The option that makes a finding an exit status."""


@verb(
    policy,
    "impact",
    examples=(
        "pfgov policy impact ./policies",
        "pfgov policy impact ./policies --format markdown --fail-on widen --fail-on revoke",
        "pfgov policy impact ./policies --export ledger.lineage.jsonl --key anchor.txt --format json",
    ),
    then="make it binding: pfgov policy activate ./policies",
)
@click.argument("proposed", metavar="DIR|DIGEST|BUNDLE")
@click.option(
    "--export",
    "export",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Ask about the history in this export, which is verified first.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="ANCHOR",
    help="With --export: what you pin; this ledger's own anchor by default.",
)
@span_options
@out_options
@fail_on_option
@click.option("--allow-plugin", is_flag=True, help="Run schedulers of installed packages, too.")
def impact(  # noqa: PLR0917 - click passes each option by its name
    output: Output,
    proposed: str,
    export: Path | None,
    key: Path | None,
    since: str | None,
    until: str | None,
    sample: int,
    form: str,
    out: Path | None,
    sign: str | None,
    fail_on: tuple[tuple[str, int], ...],
    allow_plugin: bool,
) -> int:
    """Say what a policy set would have decided otherwise, and what it would do now. Nothing is recorded.

    Every recorded command is run again and the set asked beside it, on the state, the facts and the time of that
    moment. What would have followed from another answer is not guessed.

    Exits 0, or 1 if --fail-on says so, 3 if the set does not compile, 4 if the history cannot be run again.
    """
    if key is not None and export is None:
        raise click.UsageError("--key belongs to --export", click.get_current_context())
    signer = signer_for(sign, out)
    chosen = asked(output, proposed)
    span = span_of(since, until, sample)
    report = _report(output, chosen, span, export, key, allow_plugin=allow_plugin)
    return present(output, report, chosen, form, out, signer, fail_on)


def signer_for(sign: str | None, out: Path | None) -> "Signer | None":
    """Return who signs the report, before anything else is done; nobody where nobody is named.

    Raises:
        UsageError: a signed report has to go to a file.
    """
    if sign is not None and out is None:
        raise click.UsageError("--sign belongs to --out", click.get_current_context())
    return None if sign is None else signer_of(sign)


def present(
    output: Output,
    report: "Report",
    chosen: Asked,
    form: str,
    out: Path | None,
    signer: "Signer | None",
    fail_on: tuple[tuple[str, int], ...],
) -> int:
    """Write or show a report as the options say, and return the exit status."""
    if signer is not None and out is not None:
        _write_signed(report, signer, out)
        out = None
    _show(output, report, chosen, form, out)
    return int(any(found > most for found, most in _found(report, fail_on)))


def _write_signed(report: "Report", signer: "Signer", out: Path) -> None:
    from pfgov.app.change.resting import sign
    from pfgov.cli.writing import put

    put(out, sign(report, signer))


def _report(
    output: Output,
    chosen: Asked,
    span: "Span",
    export: Path | None,
    key: Path | None,
    *,
    allow_plugin: bool,
) -> "Report":
    """Return the report on the ledger that the command line means, or on an export."""
    from pfgov.cli.opening import reading, warn_of_loss

    if export is None:
        with reading(output) as book, output.progress("asking") as step:
            warn_of_loss(book)
            return book.impact(chosen.policies, span, step, allow_plug_ins=allow_plugin)
    from pfgov.app.remote.replaying import impact_of_export
    from pfgov.cli.ledger.verify import anchor_from

    output.files_only("the export is read on this machine; leave --export out to ask the server")
    anchor = anchor_from(output, key)
    with output.progress("asking") as step:
        return impact_of_export(
            export, anchor, chosen.policies, span, step, allow_plug_ins=allow_plugin
        )


def span_of(since: str | None, until: str | None, sample: int) -> "Span":
    """Return the part of a history that options name.

    Raises:
        BadParameter: what is written is neither an entry's number nor a time, or nothing lies between the two.
    """
    from pfgov.app.change import Span

    first, after = _place(since, "--since")
    size, before = _place(until, "--until")
    for begin, end in ((first, size), (after, before)):
        if begin is not None and end is not None and begin >= end:
            raise click.BadParameter(
                f"{until} does not come after {since}, so that nothing would be asked",
                param_hint="--until",
            )
    return Span(since=first or 0, size=size, after=after, before=before, sample=sample)


def _place(text: str | None, option: str) -> tuple[int | None, int | None]:
    """Return a position and a time, of which one was written."""
    from pfgov.errors import InvalidError
    from pfgov.model.times import to_microseconds

    if text is None:
        return None, None
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text), None
    try:
        return None, to_microseconds(text)
    except InvalidError as error:
        raise click.BadParameter(
            f"{error.message}; write an entry's number or a time like 2026-06-13T20:00:00Z",
            param_hint=option,
        ) from None


def _found(report: "Report", fail_on: tuple[tuple[str, int], ...]) -> list[tuple[int, int]]:
    """Return how many there are of each kind that was asked for, beside the number that is let through."""
    counts = report.counts
    found = {
        "widen": counts.wider,
        "narrow": counts.narrower,
        "flip": counts.flips,
        "revoke": report.now.revoked.count,
    }
    return [(found[kind], most) for kind, most in fail_on]


def _show(output: Output, report: "Report", chosen: Asked, form: str, out: Path | None) -> None:
    from pfgov.app.change import encode
    from pfgov.app.change.showing import markdown

    if output.json or form == "json":
        text = encode(report).decode() + "\n"
    elif form == "markdown":
        text = markdown(report, chosen.name)
    else:
        text = None
    if out is not None:
        from pfgov.cli.writing import put

        put(out, (text if text is not None else markdown(report, chosen.name)).encode())
        return
    if text is not None:
        output.write(text)
        return
    tell(output, report)


def tell(output: Output, report: "Report") -> None:
    """Print a report for people."""
    from pfgov.app.change import showing
    from pfgov.cli.output import facts, table

    output.tell(facts(showing.summary(report)))
    if report.has_flips:
        output.tell("", table(("what changed", "#decisions"), showing.kinds(report)))
        for title, shares in (
            ("rule", report.by.rules),
            ("member", report.by.members),
            ("workload type", report.by.workload_types),
            ("data class", report.by.data_classes),
        ):
            rows = [(one.name, one.wider, one.narrower) for one in shares[: showing.SHOWN_MAX]]
            if rows:
                output.tell("", table((f"!by {title}", "#wider", "#narrower"), rows))
        rows_ = [showing.flip_row(flip) for flip in report.flips[: showing.SHOWN_MAX]]
        left = report.counts.decisions - report.counts.same - len(rows_)
        output.tell("", table(("#entry", "!subject", "point", "outcome", "why"), rows_))
        output.tell(*([f"and {left} more: --format json lists up to 1,000"] if left > 0 else []))
    lines = showing.consequence_lines(report.now)
    if lines:
        output.tell("", "if it were binding now:", *[f"  {line}" for line in lines])
    else:
        output.tell("", "if it were binding now, nothing would change at once")
    output.tell("", showing.LIMITS)
