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
    from pfgov.engine.ceremony import Changed
    from pfgov.model import KeyList, Revocation

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
    while its keys change: sign the revocation where the recovery key is, and send it the statement.
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
    from pfgov.engine import Layout

    layout = Layout(screen.directory)
    layout.require()
    text = layout.anchor.read_text()
    if screen.json:
        screen.emit({"anchor": text, "path": str(layout.anchor)})
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
    """Return the ledger's keys; this reads beside a running server."""
    from pfgov.cli.desk import reading
    from pfgov.engine.ceremony import keys_object
    from pfgov.model import KeyList, check_tree, parse

    with reading(screen) as book, book.reader.snapshot() as queries:
        origin = book.reader.state().origin
        return parse(KeyList, check_tree(keys_object(queries, origin)))


def _rotate(screen: Screen, role: str, recovery: Path | None) -> int:
    from pfgov.cli.desk import acting
    from pfgov.engine import ceremony

    step = f"pfgov ledger keys rotate {role} --url {{url}}"
    if recovery is not None:
        step += ", and revoke the old one, for which the recovery key signs elsewhere: keys revoke KEY --sign-only"
    with unless_served(step), acting(screen) as desk:
        done = ceremony.rotate(desk.engine, cast("Any", role), recovery=recovery)
    hints = [
        f"what was signed before stays good; the old private key is kept as {role}.*.retired: destroy it"
    ]
    if recovery is not None:
        hints = ["the old one is still in force: pfgov ledger keys revoke KEY; see: keys list"]
    if role == "log":
        hints.append("anchor.txt names the new key now; old copies go on being good for exports")
    return _say(screen, done, f"another {role} key signs from here on", *hints)


def _guarded(
    screen: Screen,
    found: "KeyList",
    key: str,
    recovery: Path | None,
    suspect_from: int | None,
) -> "Revocation":
    """Return the revocation of *key*, signed by the recovery key."""
    from pfgov.engine import Layout
    from pfgov.engine.ceremony import Place, find_key, recovery_key, sign_revocation
    from pfgov.model import Revocation
    from pfgov.records import Key

    known = {
        one.public: Key(one.role, one.public, one.since, one.until, one.state == "revoked")
        for one in found.keys
    }
    place = Place(found.origin, found.next.seq, bytes.fromhex(found.next.prev))
    guard = recovery_key(known, recovery or Layout(screen.directory).key("recovery"))
    action = sign_revocation(place, find_key(known, key), guard, suspect_from=suspect_from)
    return Revocation.of(action, origin=place.origin, seq=place.seq, prev=place.prev)


def _sign(
    screen: Screen, key: str, recovery: Path | None, suspect_from: int | None, listed: Path | None
) -> int:
    from pfgov.model import KeyList, parse

    found = _known(screen) if listed is None else parse(KeyList, read_tree(listed))
    signed = _guarded(screen, found, key, recovery, suspect_from)
    screen.emit(signed.model_dump(mode="json"))
    return 0


def _revoke(screen: Screen, key: str, recovery: Path | None, suspect_from: int | None) -> int:
    signed = _guarded(screen, _known(screen), key, recovery, suspect_from)
    return _record(
        screen, signed, f"pfgov ledger keys revoke {key} --sign-only > statement.json; then"
    )


def _send(screen: Screen, statement: Path) -> int:
    from pfgov.model import Revocation, parse

    return _record(screen, parse(Revocation, read_tree(statement)), "")


def _record(screen: Screen, signed: "Revocation", first: str) -> int:
    from pfgov.cli.desk import acting
    from pfgov.engine import ceremony

    step = f"{first} pfgov ledger keys revoke --statement statement.json --url {{url}}".strip()
    place = ceremony.Place(signed.origin, signed.seq, bytes.fromhex(signed.prev))
    with unless_served(step), acting(screen) as desk:
        done = ceremony.revoke(desk.engine, signed.to_action(), place)
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
