"""``pfgov ledger keys``: the anchor that verifiers pin, and the ceremonies that change who signs.

Private keys are drawn and kept by the engine's ceremony; nothing secret is printed here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.screen import facts

if TYPE_CHECKING:
    from pfgov.engine.ceremony import Changed


@verb(
    ledger,
    "keys",
    examples=(
        "pfgov ledger keys > anchor.txt",
        "pfgov ledger keys rotate issuer",
        "pfgov ledger keys rotate log --recovery /media/usb/recovery.key",
        "pfgov ledger keys revoke 9f2c81 --recovery /media/usb/recovery.key --suspect-from 4711",
    ),
    then="pfgov-verify FILE --key anchor.txt",
)
@click.argument("action", type=click.Choice(("show", "rotate", "revoke")), default="show")
@click.argument("what", required=False, metavar="[ROLE|KEY]")
@click.option(
    "--recovery",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The recovery key; rotate then leaves the old key out of it.",
)
@click.option(
    "--suspect-from",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="With revoke: entries from here on are doubtful; a note for auditors, no more.",
)
def keys(
    screen: Screen, action: str, what: str | None, recovery: Path | None, suspect_from: int | None
) -> int:
    """Print the anchor, the public text that a verifier pins; rotate a key, or revoke one.

    `rotate issuer` and `rotate log` draw a new key and let it take over, signed by the old and the new one. If the old
    one may be stolen, name the recovery key: then `revoke` it, by the first digits of its public key.
    """
    context = click.get_current_context()
    if action != "revoke" and suspect_from is not None:
        raise click.UsageError("--suspect-from belongs to revoke", context)
    if action == "show":
        if what is not None or recovery is not None:
            raise click.UsageError("show takes nothing else", context)
        return _show(screen)
    if action == "rotate":
        if what not in {"issuer", "log"}:
            raise click.UsageError("which key: rotate issuer, or rotate log?", context)
        return _rotate(screen, what, recovery)
    if what is None:
        raise click.UsageError("which key: the first digits of its public key", context)
    return _revoke(screen, what, recovery, suspect_from)


def _show(screen: Screen) -> int:
    from pfgov.engine import Layout

    layout = Layout(screen.directory)
    layout.require()
    text = layout.anchor.read_text()
    if screen.json:
        screen.emit({"anchor": text, "path": str(layout.anchor)})
    else:
        screen.write(text)
    return 0


def _rotate(screen: Screen, role: str, recovery: Path | None) -> int:
    from pfgov.cli.desk import acting
    from pfgov.engine import ceremony

    with acting(screen) as desk:
        done = ceremony.rotate(desk.engine, cast("Any", role), recovery=recovery)
    hints = [
        f"what was signed before stays good; the old private key is kept as {role}.*.retired: destroy it"
    ]
    if recovery is not None:
        hints = [
            f"the old one is still in force: pfgov ledger keys revoke {(done.old or 'KEY')[:16]}"
        ]
    if role == "log":
        hints.append("anchor.txt names the new key now; old copies go on being good for exports")
    return _say(screen, done, f"another {role} key signs from here on", *hints)


def _revoke(screen: Screen, key: str, recovery: Path | None, suspect_from: int | None) -> int:
    from pfgov.cli.desk import acting
    from pfgov.engine import ceremony

    with acting(screen) as desk:
        done = ceremony.revoke(desk.engine, key, recovery=recovery, suspect_from=suspect_from)
    return _say(screen, done, f"that {done.role} key counts for nothing from here on")


def _say(screen: Screen, done: "Changed", says: str, *hints: str) -> int:
    result = {"role": done.role, "entry": done.position, "old": done.old, "new": done.new}
    screen.show(
        result,
        says,
        facts((("recorded by entry", done.position), ("old", done.old), ("new", done.new))),
        *hints,
    )
    return 0
