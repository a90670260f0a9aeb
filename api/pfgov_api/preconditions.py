"""``If-Match``: a write that is to hold only for what its caller has seen (RFC 9110, 13.1.1).

What is compared is the ETag of ``GET /api/packets/{id}`` or ``GET /api/members/{id}``, for every write about that
packet or member, and of ``GET /api/configuration`` for a change of that.  It is compared when the command is decided,
in its turn, so that nothing comes in between.  One that was answered before under its idempotency key gets that answer.
Where a write is about none of these, the header is refused: a condition that is passed over is worse than none.
For whoever may not read what is changed there is nothing that could be named: the answer would say that it exists, and
by guesses what it is.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pfgov.app.views import member_view, packet_view
from pfgov.app.visibility import may_read_member, may_read_packet
from pfgov.core.overview import settings_view
from pfgov.core.state import State
from pfgov_api.limits import IF_MATCH_CHARACTERS_MAX
from pfgov_api.operations import Call, Operation
from pfgov_api.outgoing import digest_of, encode, tags_in
from pfgov_api.problems import HttpError, PreconditionError

HEADER: Final = "if-match"

SETTINGS: Final = "/api/configuration"


def is_conditional(operation: Operation) -> bool:
    """Whether ``If-Match`` can be asked of *operation*."""
    if not operation.writes:
        return False
    return operation.path == SETTINGS or operation.path_parameters in {
        ("packet_id",),
        ("member_id",),
    }


def check_taken(operation: Operation, header: str) -> None:
    """Refuse a condition that would not be looked at, or is none.

    Raises:
        HttpError: this write takes none, or *header* is longer than one can be.
    """
    if operation.method != "GET" and not is_conditional(operation):
        raise HttpError(
            "If-Match is not looked at here",
            hint="send it with what changes a packet, a member or the settings, with the ETag of GET on that",
        )
    if len(header) > IF_MATCH_CHARACTERS_MAX:
        raise HttpError(
            f"If-Match has more than {IF_MATCH_CHARACTERS_MAX} characters",
            hint="send the ETag of GET on what is changed",
        )


def configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of ``GET /api/configuration``."""
    return {"configuration": settings}


def precondition(call: Call) -> Callable[[State], None]:
    """Return what refuses the command of *call* where its ``If-Match`` does not hold."""
    header = call.headers[HEADER]
    wanted = tags_in(",".join(p for p in header.split(",") if not p.strip().startswith("W/")))

    def check(state: State) -> None:
        """Refuse unless the present state of what is changed is one that was named.

        Raises:
            PreconditionError: it is not.
        """
        digest = _digest(call, state)
        if digest is None or wanted.isdisjoint({"*", digest}):
            named = call.path.get("packet_id") or call.path.get("member_id")
            what = "the configuration" if named is None else named
            raise PreconditionError(
                f"{what} is not any more what If-Match names",
                hint="read it again, look whether the change still makes sense, and send its new ETag",
            )

    return check


def _digest(call: Call, state: State) -> str | None:
    if call.operation.path == SETTINGS:
        return digest_of(encode(configuration(settings_view(state.settings))))
    packet_id, member_id = call.path.get("packet_id"), call.path.get("member_id", "")
    if packet_id is not None:
        packet = state.packets.get(packet_id)
        if packet is None or not may_read_packet(call.principal, packet):
            return None
        return digest_of(encode(packet_view(packet)))
    member = state.members.get(member_id)
    if member is None or not may_read_member(call.principal, member_id):
        return None
    shown = member_view(member, list(state.owned.get(member_id) or ()))
    return digest_of(encode(shown))
