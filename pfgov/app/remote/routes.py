"""Which route does what a command does: a table from what is asked to a method and a path.

A body as it can be sent goes to its route as it is; an action that needs none goes with an empty one.  What is not in
the table cannot be done over HTTP.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from pfgov import model
from pfgov.core import commands as c
from pfgov.core.commands import Action
from pfgov.errors import NotFoundError
from pfgov.model import Wire
from pfgov.model.fields import ID_PATTERN

MEMBER: Final = "/api/members/{member_id}"
PACKET: Final = "/api/packets/{packet_id}"


_WHERE: Final = {
    "member": "see who is registered: pfgov member list",
    "packet": "see what was submitted: pfgov packet list --all",
}
"""The next step after a name that nothing has, as over a folder."""


class Route(NamedTuple):
    """A method and a path, with the ids in braces."""

    method: str
    path: str

    def about(self, member_id: str | None = None, packet_id: str | None = None) -> str:
        """Return the path of one member or packet.

        Raises:
            NotFoundError: what is named cannot be an id, so nothing has it; a server would not know the path.
        """
        for kind, name in (("member", member_id), ("packet", packet_id)):
            if name is not None and not re.fullmatch(ID_PATTERN, name):
                raise NotFoundError(
                    f"there is no {kind} {name}", code=f"{kind}.not_found", hint=_WHERE[kind]
                )
        return self.path.format(member_id=member_id or "", packet_id=packet_id or "")


ROUTES: Final[dict[type[Wire] | type[Action], Route]] = {
    model.MemberRegistration: Route("POST", "/api/members/register"),
    model.MemberUpdate: Route("PATCH", MEMBER),
    model.TrustAssessment: Route("POST", f"{MEMBER}/trust"),
    model.PressureReport: Route("POST", f"{MEMBER}/pressure"),
    model.Drain: Route("POST", f"{MEMBER}/drain"),
    c.CancelDrain: Route("POST", f"{MEMBER}/cancel-drain"),
    c.RetireMember: Route("POST", f"{MEMBER}/retire"),
    model.Failure: Route("POST", f"{MEMBER}/fail"),
    c.RecoverMember: Route("POST", f"{MEMBER}/recover"),
    model.Quarantine: Route("POST", f"{MEMBER}/quarantine"),
    c.ReleaseMember: Route("POST", f"{MEMBER}/release"),
    model.FlightPacket: Route("POST", "/api/packets"),
    model.PacketUpdate: Route("PATCH", PACKET),
    model.Placement: Route("POST", f"{PACKET}/assign"),
    model.Handoff: Route("POST", f"{PACKET}/handoff"),
    model.Acceptance: Route("POST", f"{PACKET}/accept"),
    model.Abort: Route("POST", f"{PACKET}/abort"),
    model.Checkpoint: Route("POST", f"{PACKET}/checkpoint"),
    model.Completion: Route("POST", f"{PACKET}/complete"),
    model.GivingUp: Route("POST", f"{PACKET}/fail"),
    model.Requeue: Route("POST", f"{PACKET}/requeue"),
    model.Cancellation: Route("POST", f"{PACKET}/cancel"),
    model.Review: Route("POST", f"{PACKET}/reviews"),
    model.PublisherTrust: Route("POST", "/api/policies/publishers"),
    model.PublisherRotation: Route("POST", "/api/policies/publishers/rotations"),
    model.PublisherRevocation: Route("POST", "/api/policies/publishers/revocations"),
    model.Settings: Route("PATCH", "/api/configuration"),
    model.Rotation: Route("POST", "/api/ledger/keys/rotations"),
    model.Revocation: Route("POST", "/api/ledger/keys/revocations"),
    model.Erasure: Route("POST", "/api/ledger/erasures"),
}
"""What is asked -> the route that does it."""


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return *path* with what *query* gives; parameters that are None are left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path
