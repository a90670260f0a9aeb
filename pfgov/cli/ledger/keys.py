"""``pfgov ledger keys``: the anchor that verifiers pin, and the ceremonies that change who signs.

Private keys are drawn and kept by the engine's ceremony; nothing secret is printed here.  A revocation can be signed
where the recovery key is, beside a running server or on another machine, and sent as a statement.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.inputs import read_tree
from pfgov.cli.ledger.group import ledger, unless_served
from pfgov.cli.screen import facts, table

if TYPE_CHECKING:
    from pfgov.cli.desk import KeyChange
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
    screen: Screen,
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
        return _show(screen) if action == "show" else _list(screen)
    if action == "rotate":
        if what not in {"issuer", "log"}:
            _refuse("which key: rotate issuer, or rotate log?")
        return _rotate(screen, str(what), recovery)
    if statement is not None:
        if what is not None or recovery is not None or sign_only or suspect_from is not None:
            _refuse("a statement says everything itself: --statement FILE takes nothing else")
        return _send(screen, statement)
    if what is None:
        _refuse("which key: the first digits of its public key")
    if sign_only:
        return _sign(screen, str(what), recovery, suspect_from, listed)
    return _revoke(screen, str(what), recovery, suspect_from)


def _refuse(why: str) -> NoReturn:
    raise click.UsageError(why, click.get_current_context())


def _show(screen: Screen) -> int:
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        text, path = book.anchor(), book.anchor_path
    if screen.json:
        screen.emit({"anchor": text, "path": path})
    else:
        screen.write(text)
    return 0


def _list(screen: Screen) -> int:
    found = _known(screen)
    rows = [(one.role, one.public, one.state, one.since, one.until) for one in found.keys]
    screen.show(
        found.model_dump(mode="json"),
        table(("role", "public", "state", "#since", "#until"), rows),
        facts((("next key event", found.next.seq), ("after", found.next.prev))),
    )
    return 0


def _known(screen: Screen) -> "KeyList":
    """Return the ledger's keys; a folder is read beside a running server."""
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        return book.keys()


def _rotate(screen: Screen, role: str, recovery: Path | None) -> int:
    from pfgov.cli.desk import acting
    from pfgov.cli.folder import acting_on_folder
    from pfgov.model import Rotation

    step = f"pfgov ledger keys rotate {role} --url {{url}}"
    if recovery is not None:
        step += ", and revoke the old one, for which the recovery key signs elsewhere: keys revoke KEY --sign-only"
    asked = Rotation(role=cast("Any", role))
    with unless_served(step):
        if recovery is None:
            with acting(screen) as desk:
                done = desk.rotate(asked)
        else:
            with acting_on_folder(screen.folder(STAYS)) as folder:
                done = folder.rotate(asked, recovery=recovery)
    where = "" if screen.url is None else "on the server "
    hints = [
        f"what was signed before stays good; the old private key is kept {where}as {role}.*.retired: destroy it"
    ]
    if recovery is not None:
        hints = ["the old one is still in force: pfgov ledger keys revoke KEY; see: keys list"]
    if role == "log":
        hints.append("anchor.txt names the new key now; old copies go on being good for exports")
    return _say(screen, done, f"another {role} key signs from here on", *hints)


def _guard(screen: Screen, recovery: Path | None) -> Path:
    """Return where the recovery key is: where it is said to be, or in the ledger's folder."""
    if recovery is not None:
        return recovery
    from pfgov.engine import Layout

    return Layout(screen.folder(NOT_THERE)).key("recovery")


def _guarded(
    found: "KeyList",
    key: str,
    recovery: Path,
    suspect_from: int | None,
) -> "Revocation":
    """Return the revocation of *key*, signed by the recovery key."""
    from pfgov.engine.ceremony import Place, find_key, recovery_key, sign_revocation
    from pfgov.model import Revocation
    from pfgov.records import Key

    known = {
        one.public: Key(one.role, one.public, one.since, one.until, one.state == "revoked")
        for one in found.keys
    }
    place = Place(found.origin, found.next.seq, bytes.fromhex(found.next.prev))
    guard = recovery_key(known, recovery)
    action = sign_revocation(place, find_key(known, key), guard, suspect_from=suspect_from)
    return Revocation.of(action, origin=place.origin, seq=place.seq, prev=place.prev)


def _sign(
    screen: Screen, key: str, recovery: Path | None, suspect_from: int | None, listed: Path | None
) -> int:
    from pfgov.model import KeyList, parse

    guard = _guard(screen, recovery)
    found = _known(screen) if listed is None else parse(KeyList, read_tree(listed))
    signed = _guarded(found, key, guard, suspect_from)
    screen.emit(signed.model_dump(mode="json"))
    return 0


def _revoke(screen: Screen, key: str, recovery: Path | None, suspect_from: int | None) -> int:
    guard = _guard(screen, recovery)
    signed = _guarded(_known(screen), key, guard, suspect_from)
    return _record(
        screen, signed, f"pfgov ledger keys revoke {key} --sign-only > statement.json; then"
    )


def _send(screen: Screen, statement: Path) -> int:
    from pfgov.model import Revocation, parse

    return _record(screen, parse(Revocation, read_tree(statement)), "")


def _record(screen: Screen, signed: "Revocation", first: str) -> int:
    from pfgov.cli.desk import acting

    step = f"{first} pfgov ledger keys revoke --statement statement.json --url {{url}}".strip()
    with unless_served(step), acting(screen) as desk:
        done = desk.revoke(signed)
    return _say(screen, done, f"that {done.role} key counts for nothing from here on")


def _say(screen: Screen, done: "KeyChange", says: str, *hints: str) -> int:
    result = {"role": done.role, "entry": done.entry, "old": done.old, "new": done.new}
    screen.show(
        result,
        says,
        facts((("recorded by entry", done.entry), ("old", done.old), ("new", done.new))),
        *hints,
    )
    return 0
