"""A console on which text that came from outside cannot steer the terminal.

Ids, labels, reasons and messages may hold whatever somebody wrote into a request or an export. Colours and cursor
movements are rich's own; every character of a text that a terminal would not just show is escaped, as the
verifiers escape it.
"""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from pfgov_ledger.escaping import shown


class TextConsole(Console):
    """Console whose texts are escaped after they were laid out; lines stay lines."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as the console does, with each text escaped."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control is not None or text.isprintable():
                yield segment
            else:
                yield Segment("\n".join(map(shown, text.split("\n"))), style)
