"""What a person may have meant by a few characters: a packet, a member, an entry by its position or its hash.

Whole ids come first, then what begins with the text.  A hash is looked for among the newest entries only: nothing is
indexed by it.
"""

import re
from typing import Final

import msgspec

from pfgov.app.ledger import EntryPageWanted
from pfgov.app.local.reading import LocalReading
from pfgov.storage.port import PacketFilter

FOUND_MAX: Final = 10
HASHES_LOOKED_AT_MAX: Final = 5_000
_HASH: Final = re.compile("[0-9a-f]{8,64}", re.ASCII)
_LAST: Final = "\x7f"


class SearchView(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of members and packets, and positions of entries, the likeliest first."""

    members: list[str]
    packets: list[str]
    entries: list[int]


def search(ledger: LocalReading, text: str) -> SearchView:
    """Return what *text* is, or begins; nothing for an empty one."""
    if not text:
        return SearchView(members=[], packets=[], entries=[])
    with ledger.reader.snapshot() as queries:
        ids = [one.member_id for one in ledger.reader.members()]
        size = queries.size()
    members = sorted((one for one in ids if one.startswith(text)), key=len)[:FOUND_MAX]
    wanted = PacketFilter(after=text, limit=FOUND_MAX)
    packets = [text] if ledger.reader.has_packet(text) else []
    packets += [
        one.packet_id for one in ledger.reader.packets(wanted) if one.packet_id.startswith(text)
    ]
    entries: list[int] = []
    if text.isascii() and text.isdigit() and len(text) <= 15 and int(text) < size:
        entries.append(int(text))
    if _HASH.fullmatch(text):
        page = EntryPageWanted(limit=HASHES_LOOKED_AT_MAX, full=True, newest=True)
        newest = ledger.listed(page).entries
        entries += [one.seq for one in newest if (one.leaf or "").startswith(text)][:FOUND_MAX]
    return SearchView(members=members, packets=packets[:FOUND_MAX], entries=entries)
