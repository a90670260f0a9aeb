"""Showing a text that somebody else chose: what would steer a terminal is escaped.

Ids, labels, names of files and reasons come from whoever wrote an export or a request.  What the text means is not
known here.
"""


def shown(text: str) -> str:
    """*text* for a terminal, with control, format, bidirectional and unassigned characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"
