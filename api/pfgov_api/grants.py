"""What proving who one is comes to: a principal, for as long as the proof holds.

This module does not know how anything is proved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pfgov.core.commands import LOCAL_OPERATOR, Principal


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks.

    Attributes:
        principal: Its id and rights.
        holds: Whether it would be granted still; cheap, and never raises.  Long answers ask it again and again.
        share: Under which name its requests are counted; None is not limited.
    """

    principal: Principal
    holds: Callable[[], bool]
    share: str | None = None


def _always() -> bool:
    return True


NOBODY: Final = Grant(Principal(id="anyone", rights=()), _always)
"""Whoever asks where no key is needed."""


def everybody(is_open: Callable[[], bool]) -> Grant:
    """Return the grant of the local operator: everybody on this machine, while *is_open*."""
    return Grant(LOCAL_OPERATOR, is_open)
