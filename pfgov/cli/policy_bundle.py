"""``pfgov policy bundle``: a policy set as one signed file, built, checked and shown.

No ledger is needed: a bundle says itself whose it is, and whether that counts is the ledger's to say when it is to be
made binding (:mod:`pfgov.cli.policy_active`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.cli.output import facts
from pfgov.cli.policy import policy

if TYPE_CHECKING:
    from pfgov.app.change.bundling import Bundle, Mutants
    from pfgov_ledger.keys import Signer

bundle: Final = Nouns(
    "bundle",
    help="Carry a policy set as one signed file.",
    examples=(
        "pfgov policy bundle build policies --key acme.key --publisher acme --version 1.2.0",
    ),
    then="make it binding elsewhere: pfgov policy activate acme-1.2.0.bundle.json",
)
"""``pfgov policy bundle``."""

policy.add_command(bundle)

file_argument = click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False)
)
key_option = click.option(
    "--key",
    required=True,
    metavar="FILE|URI",
    help="The private key that signs: its file, or a URI like env:VARIABLE.",
)
"""A private key, by its file or its URI."""


def signer_of(text: str) -> "Signer":
    """Return the signer that a file or a URI names.

    Raises:
        SigningKeyError: there is none, or others can read it.
    """
    from pfgov.app.publishers import signer

    return signer(text)


@verb(
    bundle,
    "build",
    examples=(
        "pfgov policy bundle build policies --key acme.key --publisher acme --version 1.2.0",
        "pfgov policy bundle build policies --key env:BUNDLE_KEY --publisher acme --version 1.2.0 --mutants",
    ),
    then="check it as whoever gets it: pfgov policy bundle verify acme-1.2.0.bundle.json",
    files=FILES,
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@key_option
@click.option("--publisher", required=True, metavar="NAME", help="Whose it is, as ledgers know it.")
@click.option("--version", required=True, metavar="VERSION", help="One set a version, for ever.")
@click.option("--source", metavar="TEXT", help="Where the files come from: a commit, for example.")
@click.option("--mutants", is_flag=True, help="Say, too, how many mistakes the tests notice.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it is written; NAME-VERSION.bundle.json by default.",
)
def build(
    output: Output,
    folder: Path,
    key: str,
    publisher: str,
    version: str,
    source: str | None,
    mutants: bool,
    out: Path | None,
) -> int:
    """Build a bundle of a folder of policies: the set, its files, its tests and what they came to, signed.

    The same files, key and names make the same bytes, wherever and whenever. A set whose tests fail is not bundled.

    Exits 0, or 3 if the policies do not compile or a test fails.
    """
    from pfgov.app.change import bundling
    from pfgov.cli.writing import put

    counted = _mutants(output, folder) if mutants else None
    raw = bundling.build(
        folder,
        signer_of(key),
        publisher=publisher,
        version=version,
        source=source,
        mutants=counted,
    )
    path = out or Path(f"{publisher}-{version}.bundle.json")
    put(path, raw, is_public=True)
    _show(output, bundling.opened(raw), f"wrote {path}", file=str(path))
    return 0


def _mutants(output: Output, folder: Path) -> "Mutants":
    from pfgov.app.change.bundling import Mutants
    from pfgov.policy.authoring.mutating.running import mutate_directory

    with output.progress("mutating") as step:
        found = mutate_directory(folder, progress=step)
    equivalent = len(found.survivors) - len(found.missed)
    return Mutants(noticed=found.killed, counted=found.counted, equivalent=equivalent)


@verb(
    bundle,
    "verify",
    examples=(
        "pfgov policy bundle verify acme-1.2.0.bundle.json",
        "pfgov policy bundle verify acme-1.2.0.bundle.json --publisher-key 5f0c...",
    ),
    then="see what it would change: pfgov policy impact acme-1.2.0.bundle.json",
    files=FILES,
)
@file_argument
@click.option(
    "--publisher-key", metavar="HEX", help="Hold it to this public key, that you know otherwise."
)
def verify(output: Output, file: Path, publisher_key: str | None) -> int:
    """Check a bundle: its signature, the digest of every part, and that its files make the set that it names here.

    Without --publisher-key it says whose key signed, and not whether that is somebody.

    Exits 0, or 1 if another key signed, 3 if a byte is not as it was signed.
    """
    from pfgov.app.change import bundling
    from pfgov.errors import ForbiddenError

    found = bundling.opened(bundling.read_file(file))
    bundling.compiled(found)
    if publisher_key is not None and publisher_key != found.key:
        raise ForbiddenError(
            f"the key {found.key[:12]} signed it, not {publisher_key[:12]}",
            code="publisher.unknown",
            hint="fetch the bundle again from its publisher",
        )
    _show(output, found, "every part is as it was signed", file=str(file))
    return 0


@verb(
    bundle,
    "show",
    examples=("pfgov policy bundle show acme-1.2.0.bundle.json",),
    then="compare it with what is binding: pfgov policy diff binding acme-1.2.0.bundle.json",
    files=FILES,
)
@file_argument
@click.option(
    "--unpack",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write its files to this folder, which must not exist.",
)
def show(output: Output, file: Path, unpack: Path | None) -> int:
    """Show what is in a bundle, once its signature holds."""
    from pfgov.app.change import bundling

    found = bundling.opened(bundling.read_file(file))
    if unpack is not None:
        bundling.unpack(found, unpack)
    _show(output, found, *([f"wrote its files to {unpack}"] if unpack else []), file=str(file))
    return 0


def _show(output: Output, found: "Bundle", *lines: str, file: str) -> None:
    from pfgov.app.change.bundling import summary

    rows = list(summary(found))
    result: dict[str, Any] = {name.replace(" ", "_"): value for name, value in rows}
    result["files"] = sorted(found.files)
    output.show({"bundle": result, "file": file}, facts(rows), *lines)
