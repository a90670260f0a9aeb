"""What an editor sends, bounded before the library reads it: the library takes any length that a header states.

A line of a header or a message that is longer than may be ends the stream, as the editor's leaving does, and is kept as
the reason.  This module knows no message.
"""

from typing import BinaryIO, Final

from pfgov.errors import TooLargeError

LINE_BYTES_MAX: Final = 1_024
"""More than any line of a header that an editor sends."""

MESSAGE_BYTES_MAX: Final = 64 << 20
"""More than an editor says at once of files that have a quarter of a megabyte each."""


class Framed:
    """The bytes from an editor; ``fault`` says why they ended before it left."""

    def __init__(self, sent: BinaryIO) -> None:
        self._sent = sent
        self.fault: TooLargeError | None = None

    def readline(self) -> bytes:
        """Return the next line of a header, or nothing at the end."""
        line = self._sent.readline(LINE_BYTES_MAX + 1)
        if len(line) > LINE_BYTES_MAX:
            return self._ends("a line of a header", LINE_BYTES_MAX)
        return line

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes, or nothing at the end."""
        if size > MESSAGE_BYTES_MAX:
            return self._ends("a message", MESSAGE_BYTES_MAX)
        return self._sent.read(size)

    def _ends(self, what: str, most: int) -> bytes:
        self.fault = TooLargeError(
            f"{what} of the editor has more than {most} bytes", hint="start the server again"
        )
        return b""

    def close(self) -> None:
        """Close it."""
        self._sent.close()
