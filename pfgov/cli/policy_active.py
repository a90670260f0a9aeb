"""``pfgov policy activate`` and ``show``: which policies are binding.

They join the authors' commands, which need no ledger.  A set that does not load changes nothing: the last good one
stays, and the refusal is recorded.
"""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.app.ledger import in_order
from pfgov.cli import render
from pfgov.cli.frame import Output, verb
from pfgov.cli.output import facts
from pfgov.cli.policy import coverage_rows, policy
from pfgov.cli.policy_sets import NotRead, uncovered_option
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Generator

    from pfgov.app.change.weighing import Weighed
    from pfgov.app.changing import Rests
    from pfgov.app.ledger import LedgerPort, Reading


report_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A signed report of its impact: pfgov policy impact --sign.",
)
"""The option that names a report."""


@verb(
    policy,
    "activate",
    examples=(
        "pfgov policy activate ./policies",
        "pfgov policy activate ./policies --dry-run",
        "pfgov policy activate ./policies --yes",
    ),
    then="see what is binding: pfgov policy show",
)
@click.argument("directory", metavar="DIR|BUNDLE", type=click.Path(path_type=Path))
@uncovered_option
@report_option
@click.option("--yes", is_flag=True, help="Do it whatever it changes.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what it would do; exit 1 if that needs a yes, or the bundle's key is not trusted.",
)
def activate(
    output: Output,
    directory: Path,
    leave_uncovered: tuple[str, ...],
    report: Path | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Make a folder of policies, or a signed bundle of them, binding; what members own is judged again.

    In a fresh workspace that is all. Where there are members or packets, the recorded decisions are asked again under
    the new set, the owners of now are judged, and the tests beside the policies are run: if a decision would come out
    otherwise, somebody would lose something, a guarding point would be left to rights or a test fails, it is shown, and
    you are asked. Without a terminal to ask on it is refused: --yes says that it is meant.

    A set that does not load is refused and recorded, and the last good one stays. So does it where the set has no rule
    at a point that decides who joins or who owns, for nothing is allowed there; name the point if that is meant.

    A bundle is let in if its publisher is trusted (`pfgov policy publisher list`); the configuration can demand one
    (activation_bundle), approvals (activation_approvals), and a signed report of impact (activation_report).

    Exits 0 if it is binding, 1 if it was not confirmed or, with --dry-run, would have to be or be refused, 3 if it does
    not compile.
    """
    rests = _rests(directory, report)
    with _unpacked(directory, rests, is_dry_run=dry_run) as folder:
        return make_binding(
            output, folder, leave_uncovered, rests, is_confirmed=yes, is_dry_run=dry_run
        )


def make_binding(
    output: Output,
    folder: Path,
    leave_uncovered: tuple[str, ...],
    rests: "Rests",
    *,
    is_confirmed: bool,
    is_dry_run: bool,
) -> int:
    """Weigh a folder of policies, ask where something is at stake, make it binding, and say so; return the exit status.

    Raises:
        UnconfirmedError: nobody said yes.
        PfgovError: it is refused.
    """
    from pfgov.cli.opening import acting, reading

    not_read = NotRead.of(folder)
    if is_dry_run:
        with reading(output) as book:
            found = _weighed(book, folder, leave_uncovered)
            return _show_dry_run(output, found, _standing(book, rests), not_read)
    with acting(output) as ledger_port:
        before = ledger_port.policies()
        weighed = None if is_confirmed else _loaded(ledger_port, folder, leave_uncovered)
        if weighed is not None and weighed.needs_yes:
            _confirm(output, weighed)
        view, done, is_new = ledger_port.activate(folder, leave_uncovered, rests)
    happened = in_order(done)
    said = "is binding" if is_new else "was binding already"
    asked = set(before["points"]) - set(view["points"]) if is_new else ()
    lost = [point for point in before["coverage"]["covered"] if point in asked]
    output.show(
        {
            "policy": view,
            "no_longer_covered": lost,
            "unread": not_read.result(),
            "entries": happened,
        },
        *not_read.lines(),
        f"policy set {view['digest'][:12]} {said}",
        facts((*coverage_rows(view["coverage"]), ("no longer covered", lost))),
        render.entries_list(happened),
    )
    return 0


def _rests(directory: Path, report: Path | None) -> "Rests":
    """Return what the activation rests on."""
    from pfgov.app.change import bundling
    from pfgov.app.changing import Rests
    from pfgov.cli.inputs import read_raw

    return Rests(
        bundle=bundling.read_file(directory) if directory.is_file() else None,
        report=None if report is None else read_raw(report),
    )


@contextmanager
def _unpacked(directory: Path, rests: "Rests", *, is_dry_run: bool) -> "Generator[Path]":
    """Give the folder itself, or one with the files of a bundle.

    Of one that does not open the ledger says why, and records it; in a dry run it is said here.
    """
    from pfgov.app.change import bundling

    if rests.bundle is None:
        yield directory
        return
    try:
        found = bundling.opened(rests.bundle)
    except bundling.BundleError:
        if is_dry_run:
            raise
        yield directory
        return
    with bundling.unpacked(found) as folder:
        yield folder


def _loaded(
    ledger_port: "LedgerPort", directory: Path, leave_uncovered: tuple[str, ...]
) -> "Weighed | None":
    """Return what making the folder binding would do; None where it does not load, which is the ledger's to refuse."""
    from pfgov.errors import PolicyError
    from pfgov.policy import load_directory

    try:
        load_directory(directory)
    except PolicyError:
        return None
    return _weighed(ledger_port, directory, leave_uncovered)


def _weighed(book: "Reading", directory: Path, leave_uncovered: tuple[str, ...]) -> "Weighed":
    """Return what making the folder binding would do.

    Raises:
        UncoveredError: it leaves a placing point uncovered that nobody named: no yes would make up for that.
    """
    from pfgov.app.change.weighing import Weighed, tested
    from pfgov.core.coverage import check_covered
    from pfgov.policy import load_directory

    policies = load_directory(directory)
    report, is_fresh = book.weigh(policies, directory)
    if report.binding not in {None, report.proposed}:
        check_covered(policies.points, leave_uncovered)
    return Weighed(report, tested(directory), is_fresh)


def _standing(book: "Reading", rests: "Rests") -> str:
    """Return how the key that signed the bundle stands in the ledger; empty where there is no bundle."""
    from pfgov.app.change import bundling

    if rests.bundle is None:
        return ""
    ref = bundling.opened(rests.bundle).ref
    keys = [key for one in book.publishers() if one.name == ref.publisher for key in one.keys]
    return next((key.status for key in keys if key.key == ref.key), "unknown")


def _show_dry_run(output: Output, weighed: "Weighed", standing: str, not_read: NotRead) -> int:
    """Say what an activation would do, and whether the key of the bundle that it rests on would let it."""
    if output.json:
        key = {"publisher_key": standing} if standing else {}
        output.emit({**weighed.as_dict(), **key, "unread": not_read.result()})
    else:
        output.tell(*not_read.lines())
        _tell(output, weighed)
        if standing:
            output.tell(f"the key of the bundle's publisher is {standing} here")
        output.tell("", "nothing was changed")
    return int(weighed.needs_yes or standing not in {"", "trusted"})


def _tell(output: Output, weighed: "Weighed") -> None:
    from pfgov.cli.policy_impact import tell

    tell(output, weighed.report)
    if not weighed.is_history_asked:
        output.tell("the recorded decisions of so long a history: pfgov policy impact DIR")
    tests = weighed.tested
    if tests.checks:
        output.tell(f"tests: {counted(tests.checks, 'check')}, {len(tests.failing)} failed")
        output.tell(*[f"  {said}" for said in tests.failing])
    else:
        output.tell("there are no tests beside these policies")


def is_on_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _confirm(output: Output, weighed: "Weighed") -> None:
    """Show what an activation would do and ask; without a terminal, refuse.

    Raises:
        UnconfirmedError: nobody said yes.
    """
    from pfgov.app.change.weighing import unconfirmed

    if output.json or not is_on_terminal():
        raise unconfirmed(weighed)
    _tell(output, weighed)
    if not click.confirm("Make it binding?", default=False):
        raise unconfirmed(weighed)


@verb(
    policy,
    "rollback",
    examples=("pfgov policy rollback", "pfgov policy rollback 3f2a9c --emergency"),
    then="see what is binding: pfgov policy show",
)
@click.argument("digest", metavar="[DIGEST]", required=False)
@click.option(
    "--emergency",
    is_flag=True,
    help="Whatever the configuration or the binding set demands; needs the scope `emergency`, and is recorded as one.",
)
def rollback(output: Output, digest: str | None, emergency: bool) -> int:
    """Go back to a policy set that was binding before: the last one, or one by what its digest begins with.

    The set comes from the ledger itself; no file is needed, and nothing is asked. What an activation demands
    (approvals, a bundle, a report) is demanded of it, too, except in an emergency.
    """
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        chosen, done = ledger_port.roll_back(digest, emergency=emergency)
    happened = in_order(done)
    output.show(
        {"digest": chosen, "emergency": emergency, "entries": happened},
        f"policy set {chosen[:12]} is binding again",
        render.entries_list(happened),
    )
    return 0


@verb(
    policy,
    "show",
    examples=("pfgov policy show", "pfgov policy show --source", "pfgov policy show --json"),
    then="make another set binding: pfgov policy activate DIR",
)
@click.option("--source", is_flag=True, help="The policies in full, with every expression.")
def show(output: Output, source: bool) -> int:
    """Show the binding policy set: its digest, its policies and their rules."""
    from pfgov.cli import output as parts
    from pfgov.cli.opening import reading

    if source:
        return _source(output)
    with reading(output) as book:
        view, digest = book.policies(), book.overview().policy
    rows = [
        (f"{one['name']}/{rule['id']}", _points(rule["on"]), one["mode"])
        for one in view["policies"]
        for rule in one["rules"]
    ]
    output.show(
        {"policy": view},
        facts((("policy set", digest or "none but the kernel"), *coverage_rows(view["coverage"]))),
        parts.table(("!RULE", "ASKED AT", "MODE"), rows),
    )
    return 0


def _source(output: Output) -> int:
    """Print the text of the binding policies, as files of which the same set can be made."""
    from pfgov.cli.opening import reading
    from pfgov.policy.authoring.showing import source_text

    with reading(output) as book:
        found = book.policy_set()
    text = source_text(found)
    if output.json:
        output.emit({"digest": found.digest, "source": text})
    else:
        output.write(text)
    return 0


def _points(names: list[str]) -> str:
    """Return decision points in the order in which they come."""
    from pfgov.core.verdicts import Point

    return ", ".join(point.value for point in Point if point.value in names)
