"""What answers look like, as JSON Schema: views as they are made, and beside them everything else that is sent.

Every answer to every test of the API is held to them, and an object has no other fields than those that stand here.
"""

from collections.abc import Mapping
from typing import Any, Final

from pfgov.app.views import OUTCOMES
from pfgov_api.view_schemas import COUNT as _COUNT
from pfgov_api.view_schemas import FLAG as _FLAG
from pfgov_api.view_schemas import (
    LEDGER_MADE,
    LEDGER_STANDING,
    POLICY_TEST_RUN,
    settings_schema,
    view_schemas,
)
from pfgov_api.view_schemas import MAYBE_TEXT as _MAYBE_TEXT
from pfgov_api.view_schemas import MAYBE_TIME as _MAYBE_TIME
from pfgov_api.view_schemas import NUMBER as _NUMBER
from pfgov_api.view_schemas import TEXT as _TEXT
from pfgov_api.view_schemas import TIME as _TIME
from pfgov_api.view_schemas import closed as _closed
from pfgov_api.view_schemas import list_of as _list
from pfgov_api.view_schemas import reference as _ref

_MAYBE_COUNT: Final = {"type": ["integer", "null"], "minimum": 0}
_ANY: Final = {"type": "object", "additionalProperties": True}
_URL: Final = {"type": "string", "format": "uri"}
_COUNTS: Final = {"type": "object", "additionalProperties": _COUNT}
_AUTHZEN_ENDPOINTS: Final = (
    "policy_decision_point",
    "access_evaluation_endpoint",
    "access_evaluations_endpoint",
    "search_subject_endpoint",
    "search_resource_endpoint",
    "search_action_endpoint",
)


def _page(of: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    items = _list(_ref(of))
    return _closed({"items": items}, {"next": _TEXT, **(more or {})})


_HALT: Final = {
    "halted": {**_MAYBE_TEXT, "description": "why leases do not end; null where they do"},
    "remedy": {**_MAYBE_TEXT, "description": "what ends that"},
}


_RECEIPT: Final = _closed(
    {"position": _MAYBE_COUNT, "count": _COUNT, "size": _COUNT},
    {"entry": _TEXT, "signature": _TEXT, "issuer": _TEXT, "proof": _TEXT},
)
_ENTRIES: Final = _list(_ref("EntryShown"))
_IDLE: Final = {
    **_closed(
        {"waiting": _COUNT, "kept_from": _COUNT, "rules": _COUNTS, "nearest_misses": _list(_TEXT)}
    ),
    "description": "what keeps the member from packets that wait, of which a few were looked at; where it asked",
}
_FOLLOWED: Final = {"as_a_result": _ENTRIES, "settled": _FLAG}
_RULE_IN_FULL: Final = _closed(
    {
        "rule": _TEXT,
        "status": {"type": "string", "enum": ["satisfied", "applies", "failed", "undecided"]},
        "steps": _list(_closed({"depth": _COUNT, "text": _TEXT, "value": _TEXT})),
    }
)
_OUTCOME: Final = {"type": "string", "enum": list(OUTCOMES)}
_DECIDED: Final = {
    "type": "string",
    "enum": ["allowed", "denied", "escalated", "no_candidate", "no_capacity"],
}
_REVIEW_ASKED: Final = _closed(
    {
        "to": _TEXT,
        "point": _TEXT,
        "rules": _list(_TEXT),
        "member_id": _MAYBE_TEXT,
        "approvals": _COUNT,
        "expires_at": _TIME,
    }
)
_SAID: Final = {"outcome": _OUTCOME, "reasons": _list(_TEXT), "position": _MAYBE_COUNT}
_RESULT: Final = _closed(
    {},
    {
        "packet_id": _TEXT,
        "member_id": _TEXT,
        "incarnation": _COUNT,
        "epoch": _COUNT,
        "outcome": _TEXT,
        "digest": _TEXT,
        "owner": _MAYBE_TEXT,
        "target": _TEXT,
        "handoff": _COUNT,
        "coverage": _closed(
            {"covered": _list(_TEXT), "closed": _list(_TEXT), "left_to_rights": _list(_TEXT)}
        ),
    },
)
_MISSES: Final = {"nearest_miss": _MAYBE_TEXT, "nearest_misses": _list(_TEXT)}
_WITNESS: Final = _closed(
    {
        "name": _TEXT,
        "key": _TEXT,
        "known": _MAYBE_COUNT,
        "outcome": _MAYBE_TEXT,
        "alarm": _FLAG,
    },
    {"why": _TEXT},
)
_NODE: Final = _closed(
    {
        "role": {"enum": ["leader", "standby"]},
        "term": _COUNT,
        "leader": _MAYBE_TEXT,
        "position": _COUNT,
        "lag": _COUNT,
        "draining": _FLAG,
        "risks": _list(_TEXT),
    }
)
_WITNESSED: Final = {
    **_closed({"size": _COUNT, "age_seconds": _MAYBE_COUNT, "each": _list(_WITNESS)}),
    "type": ["object", "null"],
}
_EVENT: Final = _closed({"position": _COUNT, "type": _TEXT, "subject": _TEXT, "says": _TEXT})

_OTHERS: Final[dict[str, Any]] = {
    "Text": {"type": "string"},
    "Stream": {"type": "string", "description": "lines, sent as they are made"},
    "Problem": _closed(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": _COUNT,
            "detail": _TEXT,
            "instance": _TEXT,
            "code": _TEXT,
        },
        {
            "hint": _TEXT,
            "reasons": _list(_TEXT),
            "errors": _list(
                _closed({"pointer": _TEXT, "detail": _TEXT, "code": _TEXT}, {"hint": _TEXT})
            ),
            "receipt": _ref("Receipt"),
        },
    ),
    "Receipt": _RECEIPT,
    "Recorded": _closed(
        {"receipt": _ref("Receipt"), **_SAID, "events": _list(_EVENT), "result": _RESULT},
        {"review": _ref("ReviewAsked"), "witnessed": _FLAG, "recorded": _ENTRIES, **_FOLLOWED},
    ),
    "ReviewAsked": _REVIEW_ASKED,
    "Payloads": _closed(
        {
            "payloads": _list(
                _closed(
                    {
                        "commitment": _TEXT,
                        "subject": _TEXT,
                        "field": _TEXT,
                        "entry": _COUNT,
                        "view_of": _MAYBE_TEXT,
                        "bytes": _MAYBE_COUNT,
                        "state": {"type": "string", "enum": ["present", "erased", "altered"]},
                        "why": _MAYBE_TEXT,
                    }
                )
            )
        }
    ),
    "ErasedPayloads": _closed(
        {
            "state": {"type": "string", "enum": ["done", "pending"]},
            "why": _TEXT,
            "erased": _list(_TEXT),
            "already_erased": _list(_TEXT),
            "entries": _list(_COUNT),
            "left": _COUNT,
            "events": _list(_EVENT),
        },
        {"receipt": _ref("Receipt")},
    ),
    "KeyList": _closed(
        {
            "origin": _TEXT,
            "next": _closed({"seq": _COUNT, "prev": _TEXT}),
            "keys": _list(
                _closed(
                    {
                        "role": _TEXT,
                        "public": _TEXT,
                        "id": _TEXT,
                        "since": _COUNT,
                        "until": _MAYBE_COUNT,
                        "state": {"type": "string", "enum": ["in_force", "replaced", "revoked"]},
                    }
                )
            ),
        }
    ),
    "KeyChanged": _closed(
        {
            "receipt": _ref("Receipt"),
            "events": _list(_EVENT),
            **_SAID,
            "result": _closed({"role": _TEXT, "old": _MAYBE_TEXT, "new": _MAYBE_TEXT}),
            "checkpoint": _MAYBE_TEXT,
        },
        {"witnessed": _FLAG},
    ),
    "Ticked": _closed({**_HALT, "as_a_result": _ENTRIES}, _FOLLOWED),
    "Configuration": _closed({"configuration": settings_schema()}),
    "MemberPage": _page("Member"),
    "PacketPage": _page("Packet", _HALT),
    "EntryPage": _page("EntryShown"),
    "Entry": _closed(
        {"entry": _TEXT, "signature": _TEXT, "position": _COUNT, "shown": _ref("EntryShown")}
    ),
    "Indexed": _closed(
        {"receipt": _ref("Receipt"), **_SAID, "events": _list(_EVENT), "result": _RESULT},
        {"witnessed": _FLAG},
    ),
    "Heard": _closed(
        {
            "lost": _list(_closed({"packet_id": _TEXT, "epoch": _COUNT})),
            "unnamed": _list(_closed({"packet_id": _TEXT, "epoch": _COUNT})),
            "held_back": {
                **_list(_closed({"packet_id": _TEXT, "epoch": _COUNT, "seconds": _COUNT})),
                "description": "owned and named, and not to be begun for so many seconds at most: who had it before has"
                " not said yet that it stopped; ask again until it is not listed",
            },
            "lease_until": {
                **_COUNT,
                "description": "microseconds; lease_ends_at is the same as a moment",
            },
            "lease_ends_at": _TIME,
            "lease_seconds": _COUNT,
            "status": _TEXT,
            "was_suspect": _FLAG,
            "position": _COUNT,
        },
        {**_FOLLOWED, "idle": _IDLE},
    ),
    "CapabilityList": _closed(
        {
            "items": _list(
                _closed({"name": _TEXT, "versions": _list(_TEXT), "members": _list(_TEXT)})
            )
        }
    ),
    "Result": _closed({"commitment": _TEXT, "result": {}}),
    "Context": _closed({"commitment": _TEXT, "context": {}}),
    "Consistency": _closed(
        {"from": _COUNT, "to": _COUNT, "hashes": _list(_TEXT), "checkpoint": _TEXT}
    ),
    "DecisionAnswer": _closed(
        {
            "outcome": _DECIDED,
            "allowed": _FLAG,
            "member_id": _MAYBE_TEXT,
            "packet_id": _MAYBE_TEXT,
            "reasons": _list(_TEXT),
        },
        {
            "point": _TEXT,
            "policy": _TEXT,
            "considered": _COUNT,
            "eligible": _COUNT,
            "rejected": _COUNTS,
            "table": _TEXT,
            "members": _list(_ref("VerdictRow")),
            **_MISSES,
            "receipt": _ref("Receipt"),
            "events": _list(_EVENT),
            "position": _MAYBE_COUNT,
            "review": _ref("ReviewAsked"),
            "entry": _ref("EntryShown"),
            "problem": _ref("Problem"),
        },
    ),
    "DecisionAnswers": _closed({"decisions": _list(_ref("DecisionAnswer"))}),
    "PolicySet": _closed(
        {
            "digest": _TEXT,
            "points": _list(_TEXT),
            "coverage": _closed(
                {"covered": _list(_TEXT), "closed": _list(_TEXT), "left_to_rights": _list(_TEXT)}
            ),
            "policies": _list(
                _closed(
                    {
                        "name": _TEXT,
                        "version": _TEXT,
                        "mode": {"type": "string", "enum": ["enforce", "shadow"]},
                        "description": _MAYBE_TEXT,
                        "rules": _list(_closed({"id": _TEXT, "on": _list(_TEXT)})),
                    }
                )
            ),
        }
    ),
    "Playground": _closed(
        {"policy": _TEXT, "members": _list(_ref("VerdictRow")), **_MISSES},
        {"in_full": _list(_closed({"member_id": _TEXT, "rules": _list(_RULE_IN_FULL)}))},
    ),
    "PolicyTestRun": POLICY_TEST_RUN,
    "Live": _closed({"status": _TEXT, "version": _TEXT}),
    "Ready": _closed(
        {"status": _TEXT, "policy": _MAYBE_TEXT, **_HALT},
        {
            "clock_ahead_seconds": _NUMBER,
            "witness_alarms": _list(_TEXT),
            "witnessed": _closed({"size": _COUNT, "age_seconds": {"type": ["number", "null"]}}),
            "node": _NODE,
        },
    ),
    "Status": _closed(
        {
            "origin": _TEXT,
            "size": _COUNT,
            "policy": _MAYBE_TEXT,
            "members": _COUNT,
            "live_packets": _COUNT,
            "waiting_packets": _COUNT,
            "queued": _COUNT,
            **_HALT,
            "clock_ahead": {"type": "integer", "description": "microseconds"},
            "reloads": _COUNT,
            "erasure_pending": _FLAG,
            "packets": _COUNTS,
            "witnesses": _WITNESSED,
            "node": {"oneOf": [_NODE, {"type": "null"}]},
        }
    ),
    "PublisherList": _closed(
        {
            "items": _list(
                _closed(
                    {
                        "name": _TEXT,
                        "versions": _COUNT,
                        "keys": _list(
                            _closed(
                                {
                                    "key": _TEXT,
                                    "since": _COUNT,
                                    "status": {
                                        "enum": ["trusted", "expired", "rotated", "revoked"]
                                    },
                                },
                                {"expires_at": _TEXT, "until": _COUNT},
                            )
                        ),
                    }
                )
            )
        }
    ),
    "ProposalList": _closed(
        {
            "items": _list(
                _closed(
                    {
                        "digest": _TEXT,
                        "proposal": _COUNT,
                        "proposer": _TEXT,
                        "approvals": _list(_closed({"principal": _TEXT}, {"name": _TEXT})),
                        "needed": _COUNT,
                    },
                    {"name": _TEXT, "note": _TEXT, "report": _TEXT},
                )
            )
        }
    ),
    "Session": _closed(
        {
            "principal": _TEXT,
            "name": _MAYBE_TEXT,
            "rights": _list(_TEXT),
            "is_open": _FLAG,
            "operations": _list(_TEXT),
        }
    ),
    "Witnesses": _closed({"witnesses": _WITNESSED}),
    "Webhooks": _page("Webhook"),
    "Webhook": _closed(
        {
            "name": _TEXT,
            "host": _TEXT,
            "types": _list(_TEXT),
            "next": _COUNT,
            "tries": _COUNT,
            "why": _MAYBE_TEXT,
            "delivered": _COUNT,
            "dropped": _COUNT,
            "dead": _list(
                _closed({"position": _COUNT, "type": _TEXT, "tries": _COUNT, "why": _TEXT})
            ),
        }
    ),
    "PolicyDocument": {**_ANY, "description": "A policy set in its canonical form."},
    "OpenApi": {**_ANY, "description": "An OpenAPI 3.1 document."},
    "ApiKeys": _closed(
        {
            "keys": _list(
                _closed(
                    {
                        "id": _TEXT,
                        "scopes": _list(_TEXT),
                        "name": _TEXT,
                        "created_at": _TIME,
                        "revoked_at": _MAYBE_TIME,
                    }
                )
            )
        }
    ),
    "LedgerList": _page("LedgerStanding"),
    "LedgerStanding": LEDGER_STANDING,
    "LedgerMade": LEDGER_MADE,
    "Impact": _closed({"report": _ref("ImpactReport"), "fresh": _FLAG}),
    "ShadowList": _closed(
        {"items": _list(_closed({"policy": _TEXT, "report": _ref("ImpactReport"), "fresh": _FLAG}))}
    ),
    "ImpactReport": _closed(
        {
            "format": _TEXT,
            "ledger": _closed(
                {
                    "origin": _TEXT,
                    "size": _COUNT,
                    "root": _TEXT,
                    "semantics": _COUNT,
                    "first": _COUNT,
                    "sample": _COUNT,
                }
            ),
            "binding": _MAYBE_TEXT,
            "proposed": _TEXT,
            "sets_in_force": _list(_TEXT),
            "counts": _closed(
                {
                    "decisions": _COUNT,
                    "same": _COUNT,
                    "wider": _COUNT,
                    "narrower": _COUNT,
                    "flips": _COUNT,
                    "by_kind": _list({"type": "array", "items": {}, "minItems": 2, "maxItems": 2}),
                }
            ),
            "by": _ANY,
            "flips": _list(_ANY),
            "now": _ANY,
        }
    ),
    "AuthzenDecision": _closed(
        {"decision": _FLAG},
        {
            "context": _closed(
                {"reasons": _list(_TEXT)}, {"position": _MAYBE_COUNT, "outcome": _DECIDED}
            )
        },
    ),
    "AuthzenDecisions": {
        "oneOf": [
            _closed({"evaluations": _list(_ref("AuthzenDecision"))}),
            _ref("AuthzenDecision"),
        ]
    },
    "AuthzenPage": _closed({"next_token": _TEXT, "count": _COUNT}),
    "AuthzenEntities": _closed(
        {"results": _list(_closed({"type": _TEXT, "id": _TEXT}))}, {"page": _ref("AuthzenPage")}
    ),
    "AuthzenActions": _closed(
        {"results": _list(_closed({"name": _TEXT}))}, {"page": _ref("AuthzenPage")}
    ),
    "AuthzenConfiguration": _closed(dict.fromkeys(_AUTHZEN_ENDPOINTS, _URL)),
}


def _all() -> dict[str, Any]:
    found = {**view_schemas(), **_OTHERS}
    # the view, and what the decision would say, if anybody was asked
    discovered = found["Discovered"]
    said = {**found["DecisionAnswer"]["properties"], **discovered["properties"]}
    found["Discovered"] = {**discovered, "properties": said}
    return found


SCHEMAS: Final[dict[str, Any]] = _all()
"""Name -> schema of every answer that an operation may name."""
