"""Logs of the smaller servers, for people: plain lines on standard error that steer no terminal.

What a peer sent stands in them: a name by which somebody asked, a message of another server.  Whatever a terminal would
not just show is escaped, as everywhere.  Who logs what is not known here.
"""

import logging
from typing import TextIO

from pfgov_ledger.escaping import shown


class EscapedLines(logging.Formatter):
    """``LEVEL message``, with an exception's lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines; a message is one, whatever is in it."""
        lines = [f"{record.levelname} {shown(record.getMessage())}"]
        if record.exc_info and record.exc_info[0] is not None:
            lines += map(shown, self.formatException(record.exc_info).split("\n"))
        return "\n".join(lines)


def log_lines(
    *names: str, level: int = logging.WARNING, stream: TextIO | None = None
) -> logging.Handler:
    """Write what the loggers of these *names* say from *level* on to *stream*, by default standard error."""
    handler = logging.StreamHandler(stream)  # None is standard error
    handler.setFormatter(EscapedLines())
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
    return handler
