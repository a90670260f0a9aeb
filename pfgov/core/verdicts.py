"""What policy says about one member: allow, escalate or deny, with every reason.

These values cross from the policy engine to ``decide`` and from there into the verdict table that the ledger
commits to.  They hold no behaviour beyond combining: deny over escalate over allow.  This
module does not know how a condition is evaluated, nor what happens after the verdict.
"""

from enum import StrEnum
from typing import Final, Literal

import msgspec

from pfgov.core.characters import escaped
from pfgov.core.commands import Obligation


class Point(StrEnum):
    """When policy is asked."""

    REGISTER = "register"
    ASSIGN = "assign"
    HANDOFF = "handoff"
    ACCEPT = "accept"
    RETAIN = "retain"
    EXPORT = "export"
    SUBMIT = "submit"
    UPDATE = "update"
    UPDATE_MEMBER = "update_member"
    REVIEW = "review"
    COMPLETE = "complete"
    ACTIVATE = "activate"


PLACING: Final = frozenset(
    {Point.REGISTER, Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN}
)
"""Points that decide who joins and who owns: where no policy covers one, nothing is allowed there."""

GUARDING: Final = frozenset(Point) - PLACING
"""Points that decide who may do something else: where no policy covers one, rights alone decide."""


Effect = Literal["deny", "escalate"]

RESERVED: Final = "pfgov"
"""The policy name of reasons that no author can write: ``pfgov:missing_input``, ``pfgov:capacity`` ..."""


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One rule that was not plainly satisfied.

    Attributes:
        policy: Name of the policy, or ``pfgov`` for a reserved reason of the engine itself.
        rule: The rule's id; for a reserved reason its name (``capacity``, ``no_policy`` ...).
        effect: What the rule does.
        cause: ``violated`` when the condition said so; else the reserved reason that made it bind
            (``missing_input``, ``type_error``, ``evaluation_error``, ``cost_exceeded``).
        message: One sentence with the values in it.
        observed: The value that was seen, as text, where there is one.
        bound: The value it was held against, as text, where there is one.
        missing: The path of the absent fact (``member.trust_score``).
        to: Whom an escalation asks.
        expires: How long an escalation waits, in microseconds.
        approvals: How many different principals an escalation asks for.
    """

    policy: str
    rule: str
    effect: Effect = "deny"
    cause: str = "violated"
    message: str = ""
    observed: str | None = None
    bound: str | None = None
    missing: str | None = None
    to: str | None = None
    expires: int | None = None
    approvals: int = 1

    @property
    def name(self) -> str:
        """How the reason is written in a ledger entry: ``policy/rule`` or ``pfgov:reserved``."""
        return (
            f"{RESERVED}:{self.rule}" if self.policy == RESERVED else f"{self.policy}/{self.rule}"
        )


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """All that policy said about one member at one point.

    ``shadow`` holds what shadowed policies would have said; it never binds.
    """

    outcome: Literal["allow", "escalate", "deny"]
    reasons: tuple[Reason, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    shadow: tuple[Reason, ...] = ()


CARRIED_OUT: Final = frozenset({"redact", "notify"})
"""The obligations that pfgov carries out."""

UNDOABLE: Final = f"{RESERVED}:obligation"
"""The reason of an obligation that it does not."""

ALLOW: Final = Verdict(outcome="allow")
"""The common verdict, shared."""


def combine(
    reasons: tuple[Reason, ...],
    obligations: tuple[Obligation, ...] = (),
    shadow: tuple[Reason, ...] = (),
) -> Verdict:
    """Return the verdict that *reasons* make: deny over escalate over allow.

    An obligation that pfgov cannot carry out is a denial, with a reserved reason behind the others.
    """
    undoable = [item.type for item in obligations if item.type not in CARRIED_OUT]
    if undoable and not any(reason.name == UNDOABLE for reason in reasons):
        said = f"pfgov cannot carry out the obligation {escaped(repr(undoable[0]))}"
        reasons = (*reasons, reserved("obligation", said))
    if not reasons:
        return Verdict("allow", (), obligations, shadow) if obligations or shadow else ALLOW
    denied = reasons[0].effect == "deny" or any(reason.effect == "deny" for reason in reasons)
    return Verdict("deny" if denied else "escalate", reasons, obligations, shadow)


def reserved(
    rule: str, message: str, *, observed: str | None = None, bound: str | None = None
) -> Reason:
    """Return a reason that only the engine gives, such as ``capacity`` or ``lifecycle``."""
    return Reason(
        policy=RESERVED, rule=rule, cause=rule, message=message, observed=observed, bound=bound
    )
