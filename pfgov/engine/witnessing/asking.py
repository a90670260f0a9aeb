"""One exchange with one witness: a checkpoint goes there, a cosignature comes back, or the reason why not.

The bytes are :mod:`pfgov_ledger.witness`'s business.  A witness that knows another size says so and is asked again from
there.  One that knows more than there is, or another history, is an alarm: either it follows another log of this name,
or this one was rolled back or forked.
"""

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pfgov import __version__
from pfgov.deadlines import timed
from pfgov_ledger import witness
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.note import Vkey
from pfgov_ledger.witness import Submission

ATTEMPTS: Final = 3
"""How often one checkpoint is sent when the witness names another size each time."""


class Reply(NamedTuple):
    """What came back: the status, the media type, the body."""

    status: int
    media_type: str
    body: bytes


Post = Callable[[str, bytes], Reply]
"""Sends a body to a URL; raises OSError where no answer comes."""

Proofs = Callable[[int, int], tuple[bytes, ...]]
"""(old size, new size) -> the consistency proof."""

Kind = Literal["cosigned", "alarm", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exchange came to.

    Attributes:
        kind: Cosigned; an alarm, the history is in doubt; refused, somebody has to do something; failed, try again.
        known: The size that the witness has seen, as far as that was found out.
        lines: Its signature lines, when it cosigned.
        why: One sentence, when it did not.
    """

    kind: Kind
    known: int
    lines: bytes = b""
    why: str = ""


_REMEDIES: Final = {
    400: "it did not understand the request",
    403: "it knows another key of this log: give it the anchor's log key, and after a rotation the new one",
    404: "it does not follow this log: have its operator add the log's key (pfgov ledger keys)",
}


def ask(
    url: str, vkey: Vkey, signed: bytes, size: int, known: int, proofs: Proofs, post: Post
) -> Outcome:
    """Send the checkpoint *signed*, over *size* entries, to the witness at *url*, which saw *known* of them."""
    for _ in range(ATTEMPTS):
        if known > size:
            return Outcome(
                "alarm",
                known,
                why=f"it has seen {known} entries, and there are {size}: rolled back?",
            )
        body = Submission(known, proofs(known, size), signed).to_bytes()
        try:
            reply = post(f"{url.rstrip('/')}/{witness.PATH}", body)
        except (OSError, http.client.HTTPException) as error:
            return Outcome("failed", known, why=f"no answer ({type(error).__name__})")
        if reply.status != 409:
            return _outcome(reply, vkey, signed, size, known)
        try:
            other = witness.parse_size(reply.body)
        except ValueError:
            return Outcome("refused", known, why="it answered 409 without a size")
        if other == known:
            why = f"it knows another root over {known} entries: this history was forked"
            return Outcome("alarm", known, why=why)
        known = other
    return Outcome("failed", known, why="it names another size each time")


def _outcome(reply: Reply, vkey: Vkey, signed: bytes, size: int, known: int) -> Outcome:
    if reply.status == 200:
        try:
            return Outcome("cosigned", size, witness.accepted(signed, reply.body, vkey))
        except LedgerError as error:
            return Outcome("refused", known, why=f"its cosignature does not hold: {error}")
    if reply.status == 422:
        why = f"it refuses the proof from {known} to {size} entries: not the history it has seen"
        return Outcome("alarm", known, why=why)
    if reply.status in _REMEDIES:
        return Outcome("refused", known, why=f"{reply.status}: {_REMEDIES[reply.status]}")
    return Outcome("failed", known, why=f"it answered {reply.status}")


def poster(seconds: float, media_type: str = "text/plain; charset=utf-8") -> Post:
    """Return what sends a body over HTTP and reads a bounded answer, all of it within *seconds*."""

    def post(url: str, body: bytes) -> Reply:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        connection = timed(parts.hostname or "", parts.port, seconds, is_secure=is_secure)
        try:
            headers = {
                "Content-Type": media_type,
                "User-Agent": f"pfgov/{__version__}",
            }
            connection.request("POST", parts.path or "/", body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers.get_content_type(), _read(answer))
        finally:
            connection.close()

    return post


def _read(answer: http.client.HTTPResponse) -> bytes:
    """Read at most what an answer may have."""
    found = bytearray()
    while piece := answer.read1(8_192):
        found += piece
        if len(found) > witness.ANSWER_BYTES_MAX:
            raise OSError("too long")
    return bytes(found)
