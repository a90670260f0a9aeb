"""Everything that can be done in the console, as data: the operation, its form, and what is said before it is sent.

Who may do it is the operation's business; a button that would be refused is not drawn.
"""

from dataclasses import dataclass
from typing import Final, Literal

_PARTS: Final = {
    "member": "members", "packet": "workloads", "proposal": "policies", "set": "policies", "policy": "policies",
    "publisher": "policies",
}  # fmt: skip
DIGESTED: Final = frozenset({"proposal", "set", "publisher"})
"""What is named by 64 hexadecimal digits, of which a person reads and types the first."""

Kind = Literal[
    "text",
    "number",
    "list",
    "select",
    "flag",
    "moment",
    "amounts",
    "pairs",
    "offers",
    "verdict",
    "lines",
]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form; ``name`` is where its value goes in the body, with dots between objects.

    ``hint`` is said below it; ``example`` stands in it while it is empty.  ``goes`` is where its value goes where the
    form has that name already.
    """

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    example: str = ""
    options: tuple[str, ...] = ()
    required: bool = False
    value: str = ""
    goes: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done.

    Attributes:
        operation: The operation of the API that it runs.
        verb: What its buttons say.
        says: What it will do, before it is done; ``{id}`` is what it is about.
        about: ``member``, ``packet``, ``proposal``, an earlier ``set``, a ``policy`` in shadow mode, the key of a
            ``publisher``, or empty where it is about none of those.
        statuses: Where its subject has to stand for the button to be drawn.
        fields: What can be said with it.
        must_type: Whether the id has to be typed.
        is_grave: Whether it is drawn as something that cannot be taken back.
        looks_ahead: What is shown of what would change: the next owners of ``packets``, who else offers a
            ``capability`` and who asks for it, what a ``review`` is about, whose ``silence`` a halt is about, or the
            ``impact`` of another set.
        here: The part of the console that it belongs to.
        title: The heading of its form; the verb and what it is about, where none is given.
        can_look: What its second button says, which shows what would change and records nothing.
        name: What its form is called; the operation, where none is given.
        always: What its body says besides.
    """

    operation: str
    verb: str
    says: str
    about: Literal["member", "packet", "proposal", "set", "policy", "publisher", ""]
    statuses: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = ()
    must_type: bool = False
    is_grave: bool = False
    looks_ahead: Literal["", "packets", "capability", "review", "silence", "impact"] = ""
    here: str = ""
    title: str = ""
    can_look: str = ""
    name: str = ""
    always: tuple[tuple[str, object], ...] = ()

    @property
    def ends_halt(self) -> bool:
        """Whether it lets leases end again: that is no command of its own, and its receipt is found afterwards."""
        return self.looks_ahead == "silence"

    def __post_init__(self) -> None:
        """Take its name from the operation, and the part of the console from what it is about, where they are not said."""
        if not self.name:
            object.__setattr__(self, "name", self.operation)
        if not self.here:
            about = self.about or ("member" if "member" in self.operation else "packet")
            object.__setattr__(self, "here", _PARTS[about])


def _in(*statuses: str) -> frozenset[str]:
    return frozenset(statuses)


_REASON: Final = Field(
    "reason", "Reason", hint="It stands in the entry for good; leave personal data out."
)
_NOTE: Final = Field(
    "note", "Note", hint="It stands in the entry for good; leave personal data out."
)
_REPORT: Final = Field(
    "report",
    "A signed report of impact",
    "lines",
    hint="Where the settings demand one: what pfgov policy impact --sign wrote about the set with it in force.",
)
_LIVE: Final = _in("PENDING", "AWAITING_REVIEW", "ASSIGNED", "HANDOFF_PENDING")

_REGISTER: Final = (
    Field("id", "Id", example="agent-01", required=True),
    Field(
        "type",
        "Type",
        "select",
        options=("agent", "service", "tool", "node", "vnode", "model", "human", "worker"),
        value="agent",
    ),
    Field("capabilities", "Capabilities", "offers", example="ocr 1.2, planning"),
    Field("capacity", "Capacity", "amounts", example="cpu 8, memory 32, tasks 12"),
    Field(
        "trust_score",
        "Trust",
        "number",
        hint="0 to 1; counts where an assessor attests it, and most policies want some",
    ),
    Field("region", "Region", example="eu-west/2b"),
    Field("clearances", "Clearances", "list", example="pii.customer"),
    Field("labels", "Labels", "pairs", example="team=claims"),
    Field("lease_seconds", "Lease in seconds", "number", example="How long it may be silent"),
    Field(
        "handoff_mode",
        "Handoffs",
        "select",
        hint="auto: what moves to it is its own at once; accept: it has to take it over",
        options=("auto", "accept"),
        value="auto",
    ),
    Field("weight", "Weight", "number", example="Its share of the work, 1 to 1000"),
)
_SUBMIT: Final = (
    Field("workload_type", "Work", example="claim-intake", required=True),
    Field("packet_id", "Id", example="Drawn for you if left empty"),
    Field("required_capabilities", "Needs", "list", example="ocr>=1.2, planning"),
    Field("demand", "Takes", "amounts", example="cpu 0.5, memory 1"),
    Field("policy_constraints.minimum_trust_score", "Least trust", "number", example="0 to 1"),
    Field("policy_constraints.allowed_regions", "Regions", "list", example="eu-west, eu-central"),
    Field("data_classes", "Data classes", "list", example="pii.customer"),
    Field(
        "policy_constraints.pii_review_required",
        "A person has to agree before anybody owns it",
        "flag",
    ),
    Field("priority", "Priority", "number", example="0 to 1000, the higher the sooner"),
    Field("deadline", "Deadline", "moment"),
    Field("labels", "Labels", "pairs", example="case=CASE-1"),
    Field("scheduler", "Scheduler", example="The ledger's own if left empty"),
    Field("hold", "Hold it: do not place it yet", "flag"),
)
_UPDATE: Final = (
    Field("capacity", "Capacity", "amounts", hint="Replaces all of it", example="cpu 8, memory 32"),
    Field("region", "Region"),
    Field("clearances", "Clearances", "list", hint="Replaces all of them"),
    Field("lease_seconds", "Lease in seconds", "number"),
    Field("weight", "Weight", "number"),
    Field("discovered", "Offers now, too", "offers", example="ocr 1.2"),
    Field("withdrawn", "Offers no more", "list", example="ocr"),
)

ACTIONS: Final[tuple[Action, ...]] = (
    Action("register_member", "Register a member", "A member joins the fleet, and waiting packets may go to it.", "",
           fields=_REGISTER),
    Action("update_member", "Change", "Fields left empty stay as they are.  Packets that {id} may own no longer move off.",
           "member", _in("ACTIVE", "SUSPECT", "DRAINING", "QUARANTINED"), _UPDATE,
           title="Change {id}"),
    Action("update_member", "Withdraw", "{id} offers it no longer, and packets that ask for it move off.", "member",
           fields=(Field("withdrawn", "Capability", "list", example="ocr", required=True),), is_grave=True,
           looks_ahead="capability", can_look="What would that change?", title="Withdraw a capability of {id}",
           name="withdraw_capability"),
    Action("assess_trust", "Assess trust", "The score is attested under your name, and what {id} owns is judged again.",
           "member", _in("ACTIVE", "SUSPECT", "DRAINING", "QUARANTINED"),
           (Field("score", "Score", "number", example="0 to 1", required=True), Field("expires_at", "Until", "moment")),
           title="Assess the trust of {id}"),
    Action("drain_member", "Drain", "{id} takes nothing new, its packets move off, and then it retires.", "member",
           _in("ACTIVE", "SUSPECT"),
           (Field("deadline", "Deadline", "moment", hint="After it, packets are taken"),
            Field("mode", "Mode", "select", options=("start_first", "stop_first"), value="start_first")),
           looks_ahead="packets"),
    Action("cancel_drain", "Cancel the drain", "{id} stays, and takes work again.", "member", _in("DRAINING"),
           title="Cancel the drain of {id}"),
    Action("quarantine_member", "Quarantine", "{id} takes no new work; what it owns stays with it.", "member",
           _in("ACTIVE", "SUSPECT", "DRAINING"), (_REASON, Field("until", "Until", "moment"))),
    Action("release_member", "Release", "The quarantine of {id} ends, and it takes work again.", "member", _in("QUARANTINED")),
    Action("fail_member", "Declare failed", "Every packet of {id} is taken from it at once and placed anew; what it still"
           " writes is refused.", "member", _in("ACTIVE", "SUSPECT", "DRAINING", "QUARANTINED"), (_REASON,),
           must_type=True, is_grave=True, looks_ahead="packets",
           title="Declare {id} failed"),
    Action("recover_member", "Recover", "{id} comes back in its next life, owning nothing.", "member", _in("FAILED", "SUSPECT")),
    Action("retire_member", "Retire", "{id} leaves for good, once its packets have moved off; it can only register again.",
           "member", _in("ACTIVE", "SUSPECT"), must_type=True, is_grave=True, looks_ahead="packets"),
    Action("submit_packet", "Submit a packet", "The packet is recorded, and placed at once unless it is held.", "",
           fields=_SUBMIT, can_look="Who could own it?"),
    Action("review_packet", "Review", "What policy escalated is granted or refused under your name.", "packet",
           _in("AWAITING_REVIEW", "ASSIGNED"),
           (Field("granted", "Verdict", "verdict", options=("grant", "refuse"), required=True),
            _NOTE),
           looks_ahead="review"),
    Action("assign_packet", "Assign", "An owner is looked for now; with a target only that member is judged.", "packet",
           _in("PENDING", "AWAITING_REVIEW"), (Field("target", "Target", example="Any member if left empty"),), looks_ahead="packets", can_look="Check the target"),
    Action("hand_off_packet", "Hand off", "{id} begins to move from its owner; with a target only to that member.", "packet",
           _in("ASSIGNED"), (Field("target", "Target", example="Whom the scheduler chooses if left empty"), _REASON),
           looks_ahead="packets", can_look="Check the target",
           title="Hand {id} off"),
    Action("accept_handoff", "Accept for the target", "Policy judges once more, and the target owns {id}.", "packet",
           _in("HANDOFF_PENDING"),
           looks_ahead="packets", title="Accept {id} for the target"),
    Action("abort_handoff", "Abort the handoff", "{id} stays with its owner.", "packet", _in("HANDOFF_PENDING"),
           title="Abort the handoff of {id}"),
    Action("requeue_packet", "Requeue", "{id} is taken from its owner and waits for a new one.", "packet",
           _in("ASSIGNED"), (_REASON,)),
    Action("cancel_packet", "Cancel", "The work is called off; {id} has ended.", "packet", _LIVE, (_REASON,),
           must_type=True, is_grave=True),
    Action("approve_proposal", "Approve", "You agree, under your name, that this set is made binding; that is another step.",
           "proposal", _in("OPEN"), (_NOTE,)),
    Action("reject_proposal", "Turn down", "The proposal ends.  It can be made again.", "proposal", _in("OPEN"), (_NOTE,),
           title="Turn {id} down"),
    Action("roll_back_policies", "Go back", "The set {id} is made binding again, from the ledger itself, and what members own is"
           " judged again.  What is demanded of an activation is demanded of it, too.", "set", _in("EARLIER"),
           (Field("emergency", "It is an emergency: what is demanded is passed over, and that is recorded", "flag"),),
           must_type=True, is_grave=True, looks_ahead="impact", title="Go back to {id}"),
    Action("promote_policy", "Put in force", "{id} decides from then on: the set with it is made binding, and what members own is"
           " judged again.", "policy", _in("SHADOW"), (_REPORT,), must_type=True, is_grave=True, looks_ahead="impact",
           title="Put {id} in force"),
    Action("trust_publisher", "Trust a publisher's key", "Bundles that this key signed are let in from then on, and so are its"
           " reports of impact.  Said again of a key that is trusted, it moves the end of its time.", "",
           fields=(Field("name", "Publisher", example="acme", required=True),
                   Field("public_key", "Key", hint="The public key, as its publisher told it to you, and not as a bundle says",
                         example="64 hexadecimal digits", required=True, goes="key"),
                   Field("expires_at", "Until", "moment")), here="policies"),
    Action("revoke_publisher", "Revoke", "What the key {id} signs is let in no more, for good.  A set that is binding stays so.",
           "publisher", _in("trusted", "expired", "rotated"), must_type=True, is_grave=True, title="Revoke the key {id}"),
    Action("configure", "Change settings", "Decisions read the new values from the next entry on; what is not named stays.", "",
           fields=(Field("settings", "Settings", "pairs", example="activation_approvals=1, deletion_seconds=60", required=True),),
           here="settings"),
    Action("tick", "Let leases end again", "Every member gets a whole lease from now; who stays silent for that long is"
           " declared failed, and its packets move.  Whom you name below gets none and fails at once.", "",
           fields=(Field("dead", "Known to be dead", "list", example="Nobody, if left empty"),), is_grave=True,
           looks_ahead="silence", here="overview", name="end_halt", always=(("resume", True),)),
    Action("rotate_key", "Replace a key", "The server makes a new key, or opens the next one that its operator configured; it"
           " signs from the next entry on.  Keep the new anchor.", "",
           fields=(Field("role", "Role", "select", options=("log", "issuer"), value="log", required=True),), here="keys"),
)  # fmt: skip
"""In the order in which they are drawn."""

BY_NAME: Final = {one.name: one for one in ACTIONS}
