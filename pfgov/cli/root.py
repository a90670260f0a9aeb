"""``pfgov root``: one log over the checkpoints of many ledgers, witnessed once for all of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.cli.output import usage

if TYPE_CHECKING:
    from pfgov.app.root.feeding import Trouble

FOLDER: Final = Path(".pfgov-root")
COULD_NOT: Final = 4

root = Nouns(
    "root",
    help="A root over many ledgers: witnessed once, it stands over all of them.",
    examples=(
        "pfgov root init --origin example.org/root",
        "pfgov serve --ledgers /srv/ledgers --root .pfgov-root",
    ),
    then="what that proves, and what not: docs/how-to/witness-many-ledgers-at-once.md",
)
"""``pfgov root``."""

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="The root's folder.",
)


@verb(
    root,
    "init",
    examples=("pfgov root init --origin example.org/root",),
    then="keep it: pfgov serve --ledgers DIR --root FOLDER; or now and then: pfgov root add",
    files=FILES,
)
@click.option(
    "--origin", required=True, help="Its name, like a URL, and no ledger's: example.org/root."
)
@_FOLDER
def init(output: Output, origin: str, folder: Path) -> int:
    """Make a root: its key, and a log with nothing in it."""
    from pfgov.app.root.folder import create

    vkey = create(folder, origin)
    output.show(
        {"vkey": str(vkey), "folder": str(folder)},
        str(vkey),
        "give this key to the witnesses, and to whoever verifies: pfgov-verify --via",
    )
    return 0


@verb(
    root,
    "add",
    examples=("pfgov root add --in /srv/ledgers", "pfgov root add ledgers/acme ledgers/globex"),
    then="prove an entry through it: pfgov root prove 4 --dir ledgers/acme",
    files=FILES,
)
@click.argument("ledgers", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--in",
    "within",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Take the ledgers in the folders of DIR, too.",
)
@_FOLDER
def add(output: Output, ledgers: tuple[Path, ...], within: Path | None, folder: Path) -> int:
    """Add the newest checkpoints of LEDGERS (their folders), each with proof that it extends the one before it.

    A server that keeps the root (pfgov serve --root) does that by itself.

    Exits 1 if a ledger has another history than the root, 4 if one could not be read.
    """
    from pfgov.app.root.feeding import feed
    from pfgov.app.root.folder import writing
    from pfgov.app.tenancy import ledger_names

    named = [(str(one), one) for one in ledgers]
    if within is not None:
        named += [(str(within / name), within / name) for name in ledger_names(within)[0]]
    if not named:
        raise usage("no ledger was named", "name folders of ledgers, or a folder of such with --in")
    with writing(folder) as into:
        before = into.head().size
        troubles = feed(into, named)
        size = into.head().size
    _show_added(output, troubles, size, size - before)
    if any(one.is_alarm for one in troubles):
        return 1
    return COULD_NOT if troubles else 0


def _show_added(output: Output, troubles: "list[Trouble]", size: int, added: int) -> None:
    output.show(
        {
            "size": size,
            "added": added,
            "left_out": [
                {"ledger": one.name, "code": one.code, "why": one.why, "alarm": one.is_alarm}
                for one in troubles
            ],
        },
        f"{added} added, {size} in all",
        *(
            f"{'ALARM: ' if one.is_alarm else ''}{one.name} was left out: {one.why} ({one.code})"
            for one in troubles
        ),
    )


@verb(
    root,
    "show",
    examples=("pfgov root show", "pfgov root show --url https://pfgov.example > root.note"),
    then="keep it: pfgov-verify --via KEY --remember root.note holds later ones against it",
)
@click.option(
    "--stored", is_flag=True, help="What the database has, whether it was published or not."
)
@_FOLDER
def show(output: Output, stored: bool, folder: Path) -> int:
    """Print the root's newest signed checkpoint; that of a server with the witnesses' cosignatures."""
    raw = _checkpoint(output, folder, stored=stored)
    if output.json:
        output.emit({"checkpoint": raw.decode()})
    else:
        output.write(raw.decode())
    return 0


def _checkpoint(output: Output, folder: Path, *, stored: bool) -> bytes:
    if output.url is None:
        from pfgov.app.root import folder as folders

        if stored:
            return folders.stored(folder)
        with folders.RootReader(folder) as found:
            return found.head().note
    if stored:
        raise usage(
            "--stored is about a folder", "leave --url out, and name the root with --folder"
        )
    from pfgov.app.remote.rooting import root_note
    from pfgov.cli.opening import asking

    with asking(output) as session:
        return root_note(session)


@verb(
    root,
    "prove",
    examples=(
        "pfgov root prove 4 --dir ledgers/acme --out entry-4.path",
        "pfgov root prove 4 --url https://pfgov.example/l/acme --out entry-4.path",
    ),
    then="verify it: pfgov-verify entry-4.path --key anchor.txt --via ROOT_KEY --witness KEYS",
)
@click.argument("seq", type=click.IntRange(min=0))
@_FOLDER
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; standard output by default.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def prove(output: Output, seq: int, folder: Path, out: Path | None, force: bool) -> int:
    """Prove that the entry at position SEQ of a ledger is under the root's checkpoint.

    With --url the server's root is meant, and the ledger at that address.
    """
    from pfgov.cli.writing import target

    is_file = out is not None and str(out) != "-"
    if out is not None and is_file and out.exists() and not force:
        raise click.BadParameter(f"{out} exists; --force replaces it", param_hint="--out")
    raw = _path(output, seq, folder)
    if out is not None and is_file:
        with target(out) as file:
            file.write(raw)
    elif not output.json:
        output.write(raw.decode())
        return 0
    output.show(
        {"seq": seq, **({"path": raw.decode()} if not is_file else {"file": str(out)})},
        f"{out}: entry {seq}, through the root",
        f"next:  pfgov-verify {out} --key anchor.txt --via ROOT_KEY",
    )
    return 0


def _path(output: Output, seq: int, folder: Path) -> bytes:
    if output.url is not None:
        from pfgov.app.remote.rooting import path
        from pfgov.cli.opening import asking

        with asking(output) as session:
            return path(session, seq)
    from pfgov.app.local.folder import reading_folder
    from pfgov.app.root.folder import witnessed
    from pfgov.app.root.proving import path as path_of

    with reading_folder(output.directory) as ledger:
        return path_of(ledger, folder, seq, witnessed(folder))


@verb(
    root,
    "check",
    examples=("pfgov root check",),
    then="what only this finds: two histories of one ledger under the root",
    files=FILES,
)
@_FOLDER
def check(output: Output, folder: Path) -> int:
    """Go through all that the root holds again: every checkpoint by its proof, the tree, the signature.

    Exits 0 if all of it fits, 1 if something does not.
    """
    from pfgov.app.root.folder import examine
    from pfgov_ledger.errors import LedgerError

    try:
        found = examine(folder)
    except LedgerError as error:
        output.show(
            {"holds": False, "code": error.code, "position": error.position, "why": str(error)},
            f"FAILED: {error.code} at {error.position}: {error}",
        )
        return 1
    output.show(
        {"holds": True, "size": found.size, "ledgers": found.ledgers},
        f"{found.size} checkpoints of {found.ledgers} ledgers: each extends the one before it",
    )
    return 0
