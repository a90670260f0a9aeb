"""Verdict tables as they are shown: every member, each reason with the observed value and the bound, the nearest miss.

The stored table is canonical JSON, one row a member (:func:`pfgov.core.decide.placement.verdict_table`), and its digest
stands in the entry; here it is read, never made.  The nearest miss is the member that the fewest reasons kept out, if
all of them are about a value that could be different.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pfgov.core.nearness import OTHER, of_texts
from pfgov.core.verdicts import RESERVED, Reason, Verdict
from pfgov.decoding import Reader
from pfgov.errors import StoreCorruptError


class ReasonView(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was not plainly satisfied."""

    rule: str
    effect: str
    cause: str
    message: str
    observed: str | None = None
    bound: str | None = None
    missing: str | None = None


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one member came to: eligible, or each reason why not."""

    member_id: str
    outcome: str
    active: int
    score: int | None = None
    reasons: list[ReasonView] = []

    @property
    def is_eligible(self) -> bool:
        """Whether policy and capacity allow it."""
        return self.outcome == "allow"


_Stored = tuple[
    str, str, int, int | None, list[tuple[str, str, str, str, str | None, str | None, str | None]]
]
_TABLE: Final = Reader[list[_Stored]](list[_Stored])


def read_table(raw: bytes, *, digest: str | None = None) -> list[VerdictRow]:
    """Return the rows of a verdict table (canonical JSON, not compressed).

    Args:
        raw: The table.
        digest: What the entry says its SHA-256 is (hex).

    Raises:
        StoreCorruptError: it is not a verdict table, or not the one with that digest.
    """
    if digest is not None and hashlib.sha256(raw).hexdigest() != digest:
        raise StoreCorruptError(
            f"the stored verdict table is not the one that the entry names ({digest[:12]})",
            hint="regenerate it from the ledger: pfgov ledger replay",
        )
    try:
        rows = _TABLE.decode(raw)
    except msgspec.DecodeError as error:
        raise StoreCorruptError(f"the stored verdict table cannot be read: {error}") from error
    return [
        VerdictRow(
            member_id=member_id,
            outcome=outcome,
            active=active,
            score=score,
            reasons=[
                ReasonView(
                    rule=rule,
                    effect=effect,
                    cause=cause,
                    message=message,
                    observed=observed,
                    bound=bound,
                    missing=missing,
                )
                for rule, effect, cause, message, observed, bound, missing in reasons
            ],
        )
        for member_id, outcome, active, score, reasons in rows
    ]


def shown_to_a_member(member_id: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what keeps a member from packets that wait, as its own key may read it.

    *verdicts* are about one packet each; of packets that need other capabilities nothing is said while others wait, nor
    of those that wait for a review.  Every rule is told by its name; what was seen and what is asked for only by
    rules about the member itself, for others may speak of the packet, which is none of its business.
    """
    denied = [verdict for verdict in verdicts if verdict.outcome == "deny"]
    of_its_kind = [one for one in denied if all(r.name != _KIND for r in one.reasons)]
    kept = of_its_kind or denied
    counts = Counter(name for verdict in kept for name in {one.name for one in verdict.reasons})
    rows = [
        VerdictRow(
            member_id=member_id,
            outcome=verdict.outcome,
            active=0,
            reasons=[_shown(reason) for reason in verdict.reasons],
        )
        for verdict in kept
    ]
    return {
        "waiting": len(verdicts),
        "kept_from": len(kept),
        "rules": dict(sorted(counts.items())),
        "nearest_misses": nearest_misses(rows),
    }


_KIND: Final = "kernel/capabilities"
"""The rule that says that a packet is another kind of work."""


def _shown(reason: Reason) -> ReasonView:
    is_own = reason.name in _SUBJECTS or reason.policy == RESERVED
    missing = reason.missing or ""
    return ReasonView(
        rule=reason.name,
        effect=reason.effect,
        cause=reason.cause,
        message=reason.message if is_own else "",
        observed=reason.observed if is_own else None,
        bound=reason.bound if is_own else None,
        missing=reason.missing if missing.startswith("member.") else None,
    )


NEAREST_SHOWN: Final = 8
"""Kinds of near misses that are shown."""


def nearest_misses(rows: Sequence[VerdictRow]) -> list[str]:
    """Return what would have made another member eligible: for each set of rules the member nearest to it.

    The distance is that of :mod:`pfgov.core.nearness`; the nearest kind comes first.  Escalations are left out: a
    review is asked for, not missing.  Nothing brings back who has failed or retired.
    """
    nearest: dict[frozenset[str], tuple[int, str, int]] = {}
    for i, row in enumerate(rows):
        denials = _denials(row)
        if not denials or not all(map(_is_mendable, denials)):
            continue
        kind = frozenset(reason.rule for reason in denials)
        found = (sum(map(_distance, denials)), row.member_id, i)
        nearest[kind] = min(found, nearest.get(kind, found))
    return [_wished(rows[i]) for _, _, i in sorted(nearest.values())[:NEAREST_SHOWN]]


def misses_result(misses: list[str]) -> dict[str, Any]:
    """Return near misses as programs read them: the nearest one alone, and the nearest of each kind."""
    return {"nearest_miss": misses[0] if misses else None, "nearest_misses": misses}


def _wished(row: VerdictRow) -> str:
    wishes = [_wish(reason) for reason in _denials(row)]
    if len(wishes) == 1:
        wanted, has = wishes[0]
        return f"{row.member_id} would be eligible with {wanted}" + (f"; has {has}" if has else "")
    every = " and ".join(wanted + (f" (has {has})" if has else "") for wanted, has in wishes)
    return f"{row.member_id} would be eligible with {every}"


def _denials(row: VerdictRow) -> list[ReasonView]:
    return [reason for reason in row.reasons if reason.effect == "deny"]


_GONE: Final = frozenset({"FAILED", "RETIRED"})


def _is_mendable(reason: ReasonView) -> bool:
    """Whether another value would satisfy a rule: a bound that is the observed value is one that must not be."""
    if reason.rule == "kernel/active" and reason.observed in _GONE:
        return False
    if reason.missing is not None:
        return True
    return reason.observed is not None and reason.bound not in {None, reason.observed}


def _distance(reason: ReasonView) -> int:
    return OTHER if reason.missing is not None else of_texts(reason.observed, reason.bound)


_SUBJECTS: Final = {
    "kernel/minimum-trust": "trust",
    "kernel/region": "a region within",
    "kernel/capabilities": "the capabilities",
    "kernel/pii-clearance": "clearances for",
    "kernel/active": "status",
}
"""What a rule is about, for rules of the shipped policies; others are named by themselves."""


def _wish(reason: ReasonView) -> tuple[str, str | None]:
    """Return what would have satisfied a rule, and what was seen instead."""
    if reason.missing is not None:
        return f"{reason.missing} known ({reason.rule})", None
    if reason.rule == "pfgov:capacity":
        return f"more room: {reason.message}", None
    about = _SUBJECTS.get(reason.rule, f"{reason.rule} satisfied by")
    return f"{about} {plain(reason.bound or '')}", plain(reason.observed or "")


_CLOSED: Final = {"[": "]", "{": "}"}
CUT: Final = "..."
"""How a long value ends where it was shortened: its bracket is gone."""


def plain(text: str) -> str:
    """Return a value as CEL writes it, as people do: a list without brackets, a map's keys with their values.

    >>> plain("[us-east]"), plain("[]"), plain("{planning: , routing: 1.2}"), plain("0.9")
    ('us-east', 'none', 'planning, routing 1.2', '0.9')
    >>> plain("[pii:customer]"), plain("{ocr:eu: 1.2}")
    ('pii:customer', 'ocr:eu 1.2')
    >>> plain("{ocr: , planning: 1.2, rout..."), plain("[us-east, eu-...")
    ('ocr, planning 1.2, rout...', 'us-east, eu-...')
    """
    opened, is_cut = text[:1], text.endswith(CUT)
    if opened not in _CLOSED or not (is_cut or text.endswith(_CLOSED[opened])):
        return text
    parts = (text[1:] if is_cut else text[1:-1]).split(", ")
    if opened == "{":  # a key may have a colon of its own, but no blank after it
        parts = [" ".join(f"{part} ".split(": ", 1)) for part in parts]
    return ", ".join(" ".join(part.split()) for part in parts) or "none"
