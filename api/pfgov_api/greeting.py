"""What a server says on standard error once it answers: where it listens, who gets in, and two commands to begin with.

It is written before the server answers, because it asks the ledger, and said afterwards.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from pfgov import __version__
from pfgov_api.service import Service
from pfgov_ledger.escaping import shown

KEY_VARIABLE: Final = "PFGOV_API_KEY"
"""Where the command line looks for its key, too."""


def _access(service: Service) -> str:
    tokens = service.access.tokens
    if service.access.is_open:
        return "this machine only, no keys yet"
    return "API keys" if tokens is None else f"API keys, tokens of {tokens.settings.issuer}"


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself once it answers, line by line; it is written before, for it asks the ledger.

    How many ledgers lie beside it is known only once it has looked for them.
    """

    first: tuple[str, ...]
    ledgers: Callable[[], str] | None
    last: tuple[str, ...]

    @classmethod
    def of(cls, service: Service, directory: Path, address: str, *, is_new: bool) -> Self:
        """Write it; the commands work as they stand, with the key in a variable if one is needed."""
        anchor, url = service.engine.layout.anchor, service.public_url or address
        proof = "" if service.access.is_open else f'-H "Authorization: Bearer ${KEY_VARIABLE}" '
        named = service.named
        first = (
            f"pfgov {__version__} {'created' if is_new else 'opened'} {service.origin} in {directory}",
            f"  listening  {address}   documentation {url}/api/docs",
            f"  console    {url}/console/",
            f"  access     {_access(service)}",
        )
        last = (
            *([f"  standby    {waits.message}"] if (waits := service.standing_by()) else []),
            f"  log key    {service.log_key}",
            f"  export     (umask 077 && curl -s {proof}'{url}/api/ledger/export' -o all.lineage.jsonl)",
            f"  verify     pfgov-verify all.lineage.jsonl --key {anchor} --full",
        )
        return cls(first, None if named is None else partial(named.greeting, url), last)

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, now."""
        return (*self.first, *([] if self.ledgers is None else [self.ledgers()]), *self.last)

    def say(self) -> None:
        """Say it on standard error."""
        for line in self.lines:
            print(shown(line), file=sys.stderr, flush=True)  # noqa: T201 - a server says where it listens
