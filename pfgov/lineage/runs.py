"""Packets as runs: OpenLineage, and OCSF's record of who called what.

A packet is a run of its workload.  What a job needs to know of earlier entries goes on in a temporary file.
"""

import uuid
from collections.abc import Iterator
from typing import Final

from pfgov.lineage.records import IN_MEMORY_MAX, Lineage, Record
from pfgov.lineage.text import line, moment
from pfgov_ledger.canonical import Json
from pfgov_ledger.disk_map import DiskMap

PRODUCER: Final = "https://github.com/pfgov/pfgov"
RUN_EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACET: Final = (
    "https://github.com/pfgov/pfgov/blob/main/docs/reference/lineage-formats.md#ledger-facet"
)
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
UNKNOWN_WORKLOAD: Final = "unknown"
"""The job of a packet whose creation the export does not hold."""

_RUN_STATES: Final = {
    "packet_created": "START",
    "packet_completed": "COMPLETE",
    "packet_failed": "FAIL",
    "packet_cancelled": "ABORT",
}


def run_id(log: str, subject: str) -> str:
    """Return the run as a UUID (RFC 9562 version 5) of the log's name and, of a packet, its id, else the subject."""
    return str(uuid.uuid5(NAMESPACE, f"{log}\n{subject.removeprefix('packet/')}"))


def _text(value: Json, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def to_openlineage(lineage: Lineage) -> Iterator[str]:
    """Yield an OpenLineage 2-0-2 RunEvent for each entry.

    A packet is a run of its workload, and what is neither its start nor its end is RUNNING.  What is about something
    else (a member, a policy, a key, the ledger) is a run of that, of a job named after its kind, and its events are
    OTHER.
    """
    jobs: DiskMap[str] = DiskMap(IN_MEMORY_MAX, pack=str, unpack=str)
    try:
        for record in lineage:
            yield line(_run_event(record, _job(record, jobs)))
    finally:
        jobs.close()


def _job(record: Record, jobs: DiskMap[str]) -> str:
    """Return the name of the job that the record's run is of."""
    packet = record.packet_id
    if packet is None:
        return f"pfgov.{record.kind}"
    if record.entry.type == "packet_created":
        jobs.put(packet, _text(record.entry.body.get("workload_type"), UNKNOWN_WORKLOAD))
    return jobs.get(packet) or UNKNOWN_WORKLOAD


def _run_event(record: Record, job: str) -> dict[str, object]:
    entry = record.entry
    about = {"subject": entry.subject} if record.packet_id is None else {"packet": record.packet_id}
    running = "OTHER" if record.packet_id is None else "RUNNING"
    facet: dict[str, object] = {
        "_producer": PRODUCER,
        "_schemaURL": FACET,
        **record.origin_of(),
        **about,
        "event": entry.type,
        "body": entry.body,
    }
    return {
        "eventType": _RUN_STATES.get(entry.type, running),
        "eventTime": moment(entry.time),
        "run": {"runId": run_id(entry.log, entry.subject), "facets": {"pfgov_ledger": facet}},
        "job": {"namespace": f"pfgov://{entry.log}", "name": job},
        "inputs": [],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT,
    }


OCSF_VERSION: Final = "1.5.0"
_OCSF_ACTIVITIES: Final = {
    "packet_created": (1, "Create"),
    "member_registered": (1, "Create"),
    "packet_cancelled": (4, "Delete"),
    "member_retired": (4, "Delete"),
    "attachment_erased": (4, "Delete"),
}
_REFUSED: Final = frozenset({"denied", "escalated", "no_candidate", "no_capacity"})


def to_ocsf(lineage: Lineage) -> Iterator[str]:
    """Yield an OCSF 1.5 API Activity (class 6003) for each entry: actor, operation, resource, and how it ended."""
    for record in lineage:
        entry = record.entry
        activity, name = _OCSF_ACTIVITIES.get(entry.type, (3, "Update"))
        is_refused = record.outcome in _REFUSED or entry.type.endswith(("_denied", "_refused"))
        yield line(
            {
                "metadata": {
                    "version": OCSF_VERSION,
                    "uid": record.name,
                    "product": {"name": "pfgov", "vendor_name": "pfgov"},
                    "log_name": entry.log,
                },
                "category_uid": 6,
                "category_name": "Application Activity",
                "class_uid": 6003,
                "class_name": "API Activity",
                "activity_id": activity,
                "activity_name": name,
                "type_uid": 600300 + activity,
                "time": entry.time // 1_000,
                "severity_id": 1,
                "severity": "Informational",
                "status_id": 2 if is_refused else 1,
                "status": "Failure" if is_refused else "Success",
                "actor": {"user": {"uid": record.principal or "unknown"}},
                "api": {"operation": entry.type, "service": {"name": "pfgov"}},
                "src_endpoint": {"uid": record.member_id or "unknown"},
                "resources": [{"uid": entry.subject, "type": entry.subject.partition("/")[0]}],
                "unmapped": {
                    "pfgov": {**record.origin_of(), "time": entry.time, "body": entry.body}
                },
            }
        )
