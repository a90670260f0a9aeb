"""What people and programs are shown: members, packets, entries and verdicts as plain frozen values.

A view is made from the records of the state or from an entry of the ledger, and becomes one JSON object.  The
command line draws its tables from views and the server sends them, so that both say the same.  Views are for reading:
nothing is hashed, signed or decided from them, which is why numbers are ordinary JSON numbers here.
"""

from pfgov.views.discovery import Discovery, discovery
from pfgov.views.entries import EntryView, entry_view
from pfgov.views.members import MemberView, member_view
from pfgov.views.packets import PacketView, packet_view
from pfgov.views.sentences import sentence
from pfgov.views.verdicts import ReasonView, VerdictRow, nearest_miss, read_table

__all__ = [
    "Discovery",
    "EntryView",
    "MemberView",
    "PacketView",
    "ReasonView",
    "VerdictRow",
    "discovery",
    "entry_view",
    "member_view",
    "nearest_miss",
    "packet_view",
    "read_table",
    "sentence",
]
