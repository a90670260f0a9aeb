"""Where a scenario may begin: with the members, the packets and the policies of a ledger, instead of its own.

They are registered and submitted anew, in a ledger of the simulator's own and under its keys: an invented history is
never signed by those who vouch for the real one.  So owners are chosen anew, and what a packet or a member went
through before is not in it: reviews, handoffs, reliability.
"""

from dataclasses import dataclass

from pfgov.core import commands as c
from pfgov.policy import PolicySet


@dataclass(frozen=True, slots=True)
class Start:
    """What a history begins with; *packets* are also what arriving packets are like, dealt out in turn.

    Attributes:
        policies: The set that is binding.
        members: The members, in the order in which they join.
        packets: The packets, in the order in which they come.
    """

    policies: PolicySet
    members: tuple[c.RegisterMember, ...]
    packets: tuple[c.SubmitPacket, ...]
