"""Lines of an answer that comes in pieces, however small: a line takes time in proportion to its length.

A server may be anybody's and sends a byte at a time if it likes.  Whoever reads lines bounds them by what is held; what
they mean is not known here.
"""


class Lines:
    """What has come of a line that is not whole yet."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return len(self._held)

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that are whole with *piece*, without their ends."""
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0] = bytes(self._held) + lines[0]
            self._held.clear()
        self._held += rest
        return lines
