"""What can be sent about the ledger itself: its settings, and that time shall do its work.

Which settings there are, and what each may be, is decided behind this border.
"""

from typing import Annotated, Final

from pydantic import Field

from pfgov.core import commands as c
from pfgov.limits import DEAD_NAMED_MAX
from pfgov.model.border import Wire
from pfgov.model.fields import Bounded, Id, Text

SETTINGS_MAX: Final = 256
"""Settings that one change may name."""


class Settings(Wire):
    """New values of some settings: name -> value, both as text."""

    settings: Annotated[dict[Text, Text], Bounded(SETTINGS_MAX)]

    def to_action(self) -> c.Configure:
        """Return the command's action."""
        return c.Configure(settings=tuple(sorted(self.settings.items())))


class Tick(Wire):
    """Let what is due happen.

    With ``resume`` a halt ends and every leased member gets a whole lease from now first; members named as ``dead`` get
    none, and with ``dead_percent`` neither does who is silent now, if those are no more than so many percent of all.
    """

    resume: bool = False
    dead: Annotated[tuple[Id, ...], Bounded(DEAD_NAMED_MAX)] = ()
    dead_percent: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def is_resuming(self) -> bool:
        """Whether a halt is to end: who names the dead wants their leases to."""
        return self.resume or bool(self.dead) or self.dead_percent is not None

    @property
    def share_permille(self) -> int | None:
        """The acknowledged share in thousandths."""
        return None if self.dead_percent is None else self.dead_percent * 10
