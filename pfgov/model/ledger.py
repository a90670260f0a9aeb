"""What can be sent about the ledger itself: its settings.

Which settings there are, and what each may be, is decided behind this border.
"""

from typing import Annotated, Final

from pfgov import commands as c
from pfgov.model.border import Wire
from pfgov.model.fields import Bounded, Text

SETTINGS_MAX: Final = 256
"""Settings that one change may name."""


class Settings(Wire):
    """New values of some settings: name -> value, both as text."""

    settings: Annotated[dict[Text, Text], Bounded(SETTINGS_MAX)]

    def to_action(self) -> c.Configure:
        """Return the command's action."""
        return c.Configure(settings=tuple(sorted(self.settings.items())))
