"""``pfgov ledger keys``: the anchor that verifiers pin, and the ceremonies that change who signs.

Private keys are drawn and kept by the engine's ceremony; nothing secret is printed here.  A revocation can be signed
where the recovery key is, beside a running server or on another machine, and sent as a statement.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import read_tree
from pfgov.cli.ledger.group import ledger, unless_served
from pfgov.cli.output import facts, table

if TYPE_CHECKING:
    from pfgov.app.ledger import KeyChange
    from pfgov.model import KeyList, Revocation

NOT_THERE: Final = (
    "no server has the recovery key: --recovery FILE says where on this machine it is"
)
"""Why a revocation is not signed by a server."""

STAYS: Final = (
    "the recovery key does not travel; without --recovery the server lets another key take over"
)
"""Why a server's key is not added under the recovery key."""

_FILE: Final = click.Path(path_type=Path, allow_dash=True)


@verb(
    ledger,
    "keys",
    examples=(
        "pfgov ledger keys > anchor.txt",
        "pfgov ledger keys list",
        "pfgov ledger keys rotate issuer",
        "pfgov ledger keys rotate log --recovery /media/usb/recovery.key",
        "pfgov ledger keys revoke 9f2c81 --recovery /media/usb/recovery.key --suspect-from 4711",
        "pfgov ledger keys revoke 9f2c81 --recovery /media/usb/recovery.key --url https://ledger.example",
        "pfgov ledger keys revoke 9f2c81 --sign-only --keys keys.json --recovery /media/usb/recovery.key",
        "pfgov ledger keys revoke --statement statement.json",
    ),
    then="pfgov-verify FILE --key anchor.txt",
)
@click.argument("action", type=click.Choice(("show", "list", "rotate", "revoke")), default="show")
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
@click.option(
    "--sign-only",
    is_flag=True,
    help="With revoke: print the signed statement, and change nothing; no server has to stop for it.",
)
@click.option(
    "--keys",
    "listed",
    type=_FILE,
    metavar="FILE",
    help="With --sign-only: what `keys list --json` or GET /api/ledger/keys said, where the ledger itself is not.",
)
@click.option(
    "--statement",
    type=_FILE,
    metavar="FILE",
    help="With revoke: record a statement that was signed with --sign-only.",
)
def keys(
    output: Output,
    action: str,
    what: str | None,
    recovery: Path | None,
    suspect_from: int | None,
    sign_only: bool,
    listed: Path | None,
    statement: Path | None,
) -> int:
    """Print the anchor, the public text that a verifier pins; list keys, rotate one, or revoke one.

    `rotate issuer` and `rotate log` draw a new key and let it take over, signed by the old and the new one. If the old
    one may be stolen, name the recovery key: then `revoke` it, by the first digits of its public key. A server goes on
    while its keys change (--url): a revocation is signed here, with the recovery key, and only the statement is sent.
    """
    if action != "revoke" and (sign_only or statement is not None or suspect_from is not None):
        _refuse("--suspect-from, --sign-only and --statement belong to revoke")
    if listed is not None and not sign_only:
        _refuse("--keys belongs to revoke --sign-only")
    if action in {"show", "list"}:
        if what is not None or recovery is not None:
            _refuse(f"{action} takes nothing else")
        return _show(output) if action == "show" else _list(output)
    if action == "rotate":
        if what not in {"issuer", "log"}:
            _refuse("which key: rotate issuer, or rotate log?")
        return _rotate(output, str(what), recovery)
    if statement is not None:
        if what is not None or recovery is not None or sign_only or suspect_from is not None:
            _refuse("a statement says everything itself: --statement FILE takes nothing else")
        return _send(output, statement)
    if what is None:
        _refuse("which key: the first digits of its public key")
    if sign_only:
        return _sign(output, str(what), recovery, suspect_from, listed)
    return _revoke(output, str(what), recovery, suspect_from)


def _refuse(why: str) -> NoReturn:
    raise click.UsageError(why, click.get_current_context())


def _show(output: Output) -> int:
    from pfgov.cli.opening import reading

    with reading(output) as book:
        text, path = book.anchor(), book.anchor_path
    if output.json:
        output.emit({"anchor": text, "path": path})
    else:
        output.write(text)
    return 0


def _list(output: Output) -> int:
    found = _known(output)
    rows = [(one.role, one.public, one.state, one.since, one.until) for one in found.keys]
    output.show(
        found.model_dump(mode="json"),
        table(("role", "public", "state", "#since", "#until"), rows),
        facts((("next key event", found.next.seq), ("after", found.next.prev))),
    )
    return 0


def _known(output: Output) -> "KeyList":
    """Return the ledger's keys; a folder is read beside a running server."""
    from pfgov.cli.opening import reading

    with reading(output) as book:
        return book.keys()


def _rotate(output: Output, role: str, recovery: Path | None) -> int:
    from pfgov.app.local.folder import acting_on_folder
    from pfgov.cli.opening import acting
    from pfgov.model import Rotation

    step = f"pfgov ledger keys rotate {role} --url {{url}}"
    if recovery is not None:
        step += ", and revoke the old one, for which the recovery key signs elsewhere: keys revoke KEY --sign-only"
    asked = Rotation(role=cast("Any", role))
    with unless_served(step):
        if recovery is None:
            with acting(output) as ledger_port:
                done = ledger_port.rotate(asked)
        else:
            with acting_on_folder(output.folder(STAYS)) as folder:
                done = folder.rotate(asked, recovery=recovery)
    where = "" if output.url is None else "on the server "
    hints = [
        f"what was signed before stays good; the old private key is kept {where}as {role}.*.retired: destroy it"
    ]
    if recovery is not None:
        hints = ["the old one is still in force: pfgov ledger keys revoke KEY; see: keys list"]
    if role == "log":
        hints.append("anchor.txt names the new key now; old copies go on being good for exports")
    return _say(output, done, f"another {role} key signs from here on", *hints)


def _guard(output: Output, recovery: Path | None) -> Path:
    """Return where the recovery key is: where it is said to be, or in the ledger's folder."""
    if recovery is not None:
        return recovery
    from pfgov.app.local.folder import recovery_path

    return recovery_path(output.folder(NOT_THERE))


def _sign(
    output: Output, key: str, recovery: Path | None, suspect_from: int | None, listed: Path | None
) -> int:
    from pfgov.app.local.folder import revocation
    from pfgov.model import KeyList, parse

    guard = _guard(output, recovery)
    found = _known(output) if listed is None else parse(KeyList, read_tree(listed))
    signed = revocation(found, key, guard, suspect_from=suspect_from)
    output.emit(signed.model_dump(mode="json"))
    return 0


def _revoke(output: Output, key: str, recovery: Path | None, suspect_from: int | None) -> int:
    from pfgov.app.local.folder import revocation

    guard = _guard(output, recovery)
    signed = revocation(_known(output), key, guard, suspect_from=suspect_from)
    return _record(
        output, signed, f"pfgov ledger keys revoke {key} --sign-only > statement.json; then"
    )


def _send(output: Output, statement: Path) -> int:
    from pfgov.model import Revocation, parse

    return _record(output, parse(Revocation, read_tree(statement)), "")


def _record(output: Output, signed: "Revocation", first: str) -> int:
    from pfgov.cli.opening import acting

    step = f"{first} pfgov ledger keys revoke --statement statement.json --url {{url}}".strip()
    with unless_served(step), acting(output) as ledger_port:
        done = ledger_port.revoke(signed)
    return _say(output, done, f"that {done.role} key counts for nothing from here on")


def _say(output: Output, done: "KeyChange", says: str, *hints: str) -> int:
    result = {"role": done.role, "entry": done.entry, "old": done.old, "new": done.new}
    output.show(
        result,
        says,
        facts((("recorded by entry", done.entry), ("old", done.old), ("new", done.new))),
        *hints,
    )
    return 0
