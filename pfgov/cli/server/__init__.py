"""A ledger behind a server: the line to it, the table of its routes, and what commands see of it.

Nobody imports this for a command over a folder.
"""

from collections.abc import Generator
from contextlib import contextmanager

from pfgov.cli.screen import Screen
from pfgov.cli.server.address import address
from pfgov.cli.server.desk import ServerDesk
from pfgov.cli.server.line import Line


@contextmanager
def at_server(screen: Screen) -> Generator[ServerDesk]:
    """Greet the server that the command line or the environment names.

    Raises:
        PfgovError: ``server.*``, it cannot be asked; or ``input.invalid``, it cannot be one.
    """
    to = address(screen.url or "", key_file=screen.key_file, insecure=screen.insecure)
    with Line(to) as line:
        line.greet()
        yield ServerDesk(line)


__all__ = ["ServerDesk", "at_server"]
