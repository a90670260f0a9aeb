"""Opening the ledger that the command line means: a folder, or a server with the key for it.

What answers is a ledger port; a command does not know which of the two it has.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from pfgov.app.ledger import LedgerPort, Reading
from pfgov.cli.output import Output
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.app.remote import Session


def reading(output: Output) -> AbstractContextManager[Reading]:
    """Open the ledger for reading.

    Raises:
        PfgovError: ``store.*`` or ``server.*``, it is not there or cannot be read.
    """
    if output.url is not None:
        return _at_server(output)
    from pfgov.app.local.folder import reading_folder

    return reading_folder(output.directory)


def acting(output: Output) -> AbstractContextManager[LedgerPort]:
    """Open the ledger for writing.

    Raises:
        PfgovError: ``store.*`` or ``server.*``, it is not there, cannot be written, or another process writes it.
    """
    if output.url is not None:
        return _at_server(output)
    from pfgov.app.local.folder import acting_on_folder

    return acting_on_folder(output.directory)


@contextmanager
def asking(output: Output) -> Generator["Session"]:
    """Open a session with the server that was named, for what is no business of a ledger.

    Raises:
        PfgovError: as :func:`reading` does of a server.
    """
    from pfgov.app.remote import Session
    from pfgov.cli.address import address

    to = address(output.url or "", key_file=output.key_file, insecure=output.insecure)
    with Session(to) as session:
        session.greet()
        yield session


@contextmanager
def _at_server(output: Output) -> Generator[LedgerPort]:
    """Greet the server that the command line or the environment names.

    Raises:
        PfgovError: ``server.*``, it cannot be asked; or ``input.invalid``, it cannot be one.
    """
    from pfgov.app.remote import RemoteLedger

    with asking(output) as session:
        yield RemoteLedger(session)


def warn_of_loss(book: Reading) -> None:
    """Say on standard error that a ledger is an older copy of itself, where it is; reading it goes on."""
    import click

    lost = book.lost()
    if lost is None:
        click.echo("warning: a copy without its head lock: more may have been recorded", err=True)
        click.echo("next:  pfgov ledger restore --help", err=True)
    elif lost:
        words = counted(lost, "published entry is", "published entries are")
        click.echo(f"warning: {words} not here: an older copy was put back", err=True)
        click.echo("next:  pfgov ledger doctor", err=True)
