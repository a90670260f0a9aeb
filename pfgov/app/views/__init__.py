"""What people and programs are shown: members, packets, entries and verdicts as plain frozen values.

A view is made from the records of the state or from an entry of the ledger, and becomes one JSON object.  The
command line draws its tables from views and the server sends them, so that both say the same.  Views are for reading:
nothing is hashed, signed or decided from them, which is why numbers are ordinary JSON numbers here.
"""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.app.views.audit import PacketAudit
    from pfgov.app.views.discovery import Discovery, decision_view, discovery_view
    from pfgov.app.views.entries import EntryView, entry_view
    from pfgov.app.views.members import MemberView, member_view
    from pfgov.app.views.outcomes import OUTCOMES, outcome_view
    from pfgov.app.views.packets import PacketView, packet_view
    from pfgov.app.views.proposals import (
        ApprovalView,
        ProposalView,
        PublisherKeyView,
        PublisherView,
        proposal_views,
        publisher_views,
    )
    from pfgov.app.views.sentences import sentence
    from pfgov.app.views.verdicts import (
        ReasonView,
        VerdictRow,
        misses_result,
        nearest_misses,
        read_table,
    )

__all__ = [
    "OUTCOMES",
    "ApprovalView",
    "Discovery",
    "EntryView",
    "MemberView",
    "PacketAudit",
    "PacketView",
    "ProposalView",
    "PublisherKeyView",
    "PublisherView",
    "ReasonView",
    "VerdictRow",
    "decision_view",
    "discovery_view",
    "entry_view",
    "member_view",
    "misses_result",
    "nearest_misses",
    "outcome_view",
    "packet_view",
    "proposal_views",
    "publisher_views",
    "read_table",
    "sentence",
]

__getattr__ = face(
    __name__,
    {
        "pfgov.app.views.audit": ("PacketAudit",),
        "pfgov.app.views.discovery": (
            "Discovery",
            "decision_view",
            "discovery_view",
        ),
        "pfgov.app.views.entries": (
            "EntryView",
            "entry_view",
        ),
        "pfgov.app.views.members": (
            "MemberView",
            "member_view",
        ),
        "pfgov.app.views.outcomes": (
            "OUTCOMES",
            "outcome_view",
        ),
        "pfgov.app.views.packets": (
            "PacketView",
            "packet_view",
        ),
        "pfgov.app.views.proposals": (
            "ApprovalView",
            "ProposalView",
            "PublisherKeyView",
            "PublisherView",
            "proposal_views",
            "publisher_views",
        ),
        "pfgov.app.views.sentences": ("sentence",),
        "pfgov.app.views.verdicts": (
            "ReasonView",
            "VerdictRow",
            "misses_result",
            "nearest_misses",
            "read_table",
        ),
    },
)
