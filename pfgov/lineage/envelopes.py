"""Entries as others sign and carry statements: DSSE envelopes, in-toto Statements, CloudEvents.

The DSSE envelope holds the issuer's own signature over the entry's own bytes, so whoever has the issuer's key
verifies it without pfgov.  The other two carry the entry and say where it stands; they are unsigned, and point at what
is signed.
"""

import base64
from collections.abc import Iterator
from typing import Final

from pfgov.lineage.records import Lineage
from pfgov.lineage.text import line, moment
from pfgov_ledger import dsse

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://github.com/pfgov/pfgov/lineage-entry/v1"
"""The type of our predicate; ``docs/reference/lineage-formats.md`` describes its members."""


def to_dsse(lineage: Lineage) -> Iterator[str]:
    """Yield a DSSE envelope for each entry (secure-systems-lab/dsse, ``envelope.md``), with its stored signature."""
    for record in lineage:
        yield line(
            {
                "payloadType": dsse.ENTRY_TYPE,
                "payload": base64.b64encode(record.entry.raw).decode(),
                "signatures": [
                    {
                        "keyid": record.entry.issuer.hex(),
                        "sig": base64.b64encode(record.signature).decode(),
                    }
                ],
            }
        )


def to_in_toto(lineage: Lineage) -> Iterator[str]:
    """Yield an in-toto Statement v1 for each entry: the subject is the entry, named ``ORIGIN/SEQ``."""
    for record in lineage:
        entry = record.entry
        predicate: dict[str, object] = {
            **record.origin_of(),
            "time": moment(entry.time),
            "subject": entry.subject,
            "subjectSeq": entry.subject_seq,
            "type": entry.type,
            "issuer": entry.issuer.hex(),
            "signature": base64.b64encode(record.signature).decode(),
            "body": entry.body,
        }
        yield line(
            {
                "_type": STATEMENT,
                "subject": [{"name": record.name, "digest": {"sha256": record.sha256}}],
                "predicateType": PREDICATE,
                "predicate": predicate,
            }
        )


def to_cloudevents(lineage: Lineage) -> Iterator[str]:
    """Yield a CloudEvent 1.0 for each entry, in the JSON format; ``source`` and ``id`` together are unique."""
    for record in lineage:
        entry = record.entry
        yield line(
            {
                "specversion": "1.0",
                "id": record.name,
                "source": f"urn:pfgov:log:{entry.log}",
                "type": f"pfgov.{entry.type}",
                "subject": entry.subject,
                "time": moment(entry.time),
                "datacontenttype": "application/json",
                "pfgovlog": entry.log,
                "pfgovseq": str(entry.seq),
                "pfgovleaf": entry.leaf.hex(),
                "data": entry.body,
            }
        )
