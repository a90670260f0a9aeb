"""The group ``pfgov ledger``; its commands are in the modules beside this one."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from pfgov.cli.frame import Nouns

ledger: Final = Nouns(
    "ledger",
    help="The history: every decision, signed and chained.\n\n"
    "An export is one file that anybody can verify without pfgov and without the network.",
    order=(
        "export",
        "verify",
        "convert",
        "prove",
        "replay",
        "head",
        "log",
        "list",
        "create",
        "tiles",
        "keys",
        "erase",
        "doctor",
    ),
    examples=(
        "pfgov ledger export --out all.lineage.jsonl",
        "pfgov-verify all.lineage.jsonl --key .pfgov/anchor.txt",
    ),
    then="give the anchor (pfgov ledger keys) to whoever shall verify, by another way than the export",
)


@contextmanager
def unless_served(step: str) -> Generator[None]:
    """Let the block open the ledger; where a server holds it, say how *step* is done there (``{url}`` is its address).

    Raises:
        StoreLockedError: another process writes the ledger.
    """
    from pfgov.errors import StoreLockedError

    try:
        yield
    except StoreLockedError as error:
        if error.address is None:
            raise
        hint = f"nothing has to stop; ask the server: {step.replace('{url}', error.address)}"
        raise StoreLockedError(error.message, hint=hint, address=error.address) from error
