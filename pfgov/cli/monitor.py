"""``pfgov monitor``: watch somebody's ledger over HTTP, and say when it is not what it was."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Output, Verb
from pfgov.cli.output import facts, remark, usage
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.app.monitor.watching import Alarm, Look

FOLDER: Path = Path(".pfgov-monitor")
COULD_NOT = 4


@click.command(
    "monitor",
    cls=Verb,
    examples=(
        "pfgov monitor --url https://ledger.example --key anchor.txt",
        "pfgov monitor --url https://ledger.example --key anchor.txt --once --json",
    ),
    then="hold decisions against policy, too: pfgov ledger verify --replay --url URL --key anchor.txt",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="ANCHOR",
    required=True,
    help="What you pin, from another channel than the server: its anchor.txt.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where what was seen is remembered, and evidence is kept; one folder for each ledger.",
)
@click.option("--once", is_flag=True, help="Look once, and leave with what came of it.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=86_400),
    default=60.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--webhook", metavar="URL", help="Post each new alarm there, as JSON.")
@click.pass_obj
def monitor(
    output: Output, *, key: Path, state: Path, once: bool, interval: float, webhook: str | None
) -> int:
    """Watch a ledger that others run: every checkpoint must extend the last one, every entry must be signed by an
    announced key, every committed map and every policy document must be what the entries say.

    The server needs a key of yours with the scope auditor, in PFGOV_API_KEY. Each entry is fetched once.

    Exits 0 if all of it fits, 1 with an alarm, 4 if nothing could be said. Without --once it goes on until it is
    stopped, prints what is new, and leaves with what the last look came to; with --json a line for each look.
    """
    import time

    from pfgov.app.monitor.fetching import Fetcher
    from pfgov.app.monitor.telling import Teller
    from pfgov.app.monitor.watching import Monitor
    from pfgov.cli.address import address, check_url
    from pfgov.cli.ledger.verify import anchor_from

    if output.url is None:
        raise usage(
            "a monitor watches a server",
            "name it: --url URL; a ledger's folder is checked by: pfgov ledger verify",
        )
    to = address(output.url, key_file=output.key_file, insecure=output.insecure)
    teller = None if webhook is None else Teller(check_url(webhook, "--webhook"))
    anchor = anchor_from(output, key)
    if anchor is None:
        raise AssertionError
    fetcher, before = Fetcher(to), None
    try:
        with Monitor(state, anchor, fetcher) as watching:
            while True:
                with output.progress("reading entries") as step:
                    look = watching.look(step)
                _show(output, look, before, is_last=once)
                before = look
                if teller is not None and (failed := teller.tell(look)) is not None:
                    remark(failed)
                if once:
                    return look.exit_status
                time.sleep(interval)
    except KeyboardInterrupt:
        return COULD_NOT if before is None else before.exit_status
    finally:
        fetcher.close()


def _show(output: Output, look: "Look", before: "Look | None", *, is_last: bool) -> None:
    """Say what a look came to; of one among many, only what is new to people, and to programs all of it."""
    if output.json:
        (output.emit if is_last else output.emit_line)(look.to_json())
        return
    if before is not None and not _is_new(look, before):
        return
    words = {"ok": "fits", "alarm": "ALARM", "unknown": "could not be checked"}[look.status]
    held = f"{counted(look.size, 'entry', 'entries')}, {look.size - look.before} new"
    output.tell(f"{look.origin}: {words}: {held}")
    if look.why is not None:
        output.tell(facts((("why", look.why),)))
    for position, kind in look.news:
        output.tell(f"  {position}  {kind}")
    if look.changes > len(look.news):
        output.tell(f"  and {look.changes - len(look.news)} more")
    for alarm in look.alarms:
        _show_alarm(output, alarm)
    sys.stdout.flush()


def _is_new(look: "Look", before: "Look") -> bool:
    return look.size > look.before or (look.status, look.alarms, look.why) != (
        before.status,
        before.alarms,
        before.why,
    )


def _show_alarm(output: Output, alarm: "Alarm") -> None:
    at = "" if alarm.position is None else f" at {alarm.position}"
    output.tell(f"ALARM: {alarm.code}{at}: {alarm.says}")
    kept = (("expected", alarm.expected), ("found", alarm.found), ("evidence", alarm.evidence))
    if any(value for _, value in kept):
        output.tell(facts(kept))
