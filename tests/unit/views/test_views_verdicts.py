"""Verdict tables: read back as they were written, and the nearest miss in one sentence."""

import hashlib
import json

import pytest

from pfgov.app.views import ReasonView, VerdictRow, nearest_misses, read_table
from pfgov.app.views.verdicts import plain, shown_to_a_member
from pfgov.core.verdicts import ALLOW, Reason, Verdict
from pfgov.errors import StoreCorruptError


def row(member_id: str, *reasons: ReasonView) -> VerdictRow:
    """Return a member's row."""
    denied = any(reason.effect == "deny" for reason in reasons)
    outcome = "deny" if denied else "escalate" if reasons else "allow"
    return VerdictRow(member_id=member_id, outcome=outcome, active=0, reasons=list(reasons))


def reason(
    rule: str,
    observed: str | None = None,
    bound: str | None = None,
    *,
    effect: str = "deny",
    message: str = "m",
    missing: str | None = None,
) -> ReasonView:
    """Return a reason."""
    return ReasonView(
        rule=rule,
        effect=effect,
        cause="violated",
        message=message,
        observed=observed,
        bound=bound,
        missing=missing,
    )


TRUST = reason("kernel/minimum-trust", "0.87", "0.9")
REGION = reason("kernel/region", "eu-west", "[us-east, us-west]")
REVIEW = reason("kernel/pii-review", "true", "false", effect="escalate")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], None),
        ([row("a")], None),
        ([row("a", REVIEW)], None),
        ([row("a", TRUST)], "a would be eligible with trust 0.9; has 0.87"),
        ([row("a", TRUST, REVIEW)], "a would be eligible with trust 0.9; has 0.87"),
        (
            [row("b", TRUST, REGION), row("c", REGION)],
            "c would be eligible with a region within us-east, us-west; has eu-west",
        ),
        (
            [row("b", TRUST, REGION)],
            "b would be eligible with trust 0.9 (has 0.87) and a region within us-east, us-west (has eu-west)",
        ),
        (
            [row("b", TRUST), row("a", reason("kernel/minimum-trust", "0.5", "0.9"))],
            "b would be eligible with trust 0.9; has 0.87",
        ),
        (
            [row("a", reason("kernel/region", missing="member.region"))],
            "a would be eligible with member.region known (kernel/region)",
        ),
        ([row("a", reason("mine/rule"))], None),
        (
            [row("a", reason("kernel/capabilities", "{scan: }", "[ocr, pdf]")), row("b", TRUST)],
            "b would be eligible with trust 0.9; has 0.87",
        ),
        (
            [
                row("a", reason("kernel/pii-clearance", "[]", "[pii.customer]")),
                row("b", reason("mine/low", "0.3", "0.9")),
            ],
            "b would be eligible with mine/low satisfied by 0.9; has 0.3",
        ),
        ([row("a", reason("kernel/active", "FAILED", "ACTIVE"))], None),
        ([row("a", reason("mine/payment", "payment", "payment"))], None),
        ([row("a", reason("mine/rule", "1", "2"))], "a would be eligible with mine/rule satisfied by 2; has 1"),
        (
            [row("a", reason("pfgov:capacity", "6", "4", message="cpu would be 6 of 4"))],
            "a would be eligible with more room: cpu would be 6 of 4",
        ),
    ],
)  # fmt: skip
def test_nearest_miss(rows: list[VerdictRow], sentence: str | None) -> None:
    """The smallest distance first; a review is asked for, not missed."""
    assert next(iter(nearest_misses(rows)), None) == sentence


def test_the_nearest_of_each_kind() -> None:
    """One member for each set of rules, the nearest of those that it keeps out; the nearest kind comes first."""
    lacks = reason("kernel/capabilities", "{}", "[ocr, pdf]")
    rows = [
        row("a", lacks), row("b", TRUST), row("c", reason("kernel/minimum-trust", "0.1", "0.9")),
        row("d", reason("kernel/capabilities", "{pdf: }", "[ocr]")), row("e", REGION),
        row("f", REGION, TRUST),
    ]  # fmt: skip
    assert nearest_misses(rows) == [
        "b would be eligible with trust 0.9; has 0.87",
        "d would be eligible with the capabilities ocr; has pdf",
        "e would be eligible with a region within us-east, us-west; has eu-west",
        "f would be eligible with a region within us-east, us-west (has eu-west) and trust 0.9 (has 0.87)",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a, b]", "a, b"), ("[]", "none"), ("{}", "none"), ("{a: , b: 1.2}", "a, b 1.2"), ("0.9", "0.9"), ("", ""),
        ("eu-west/2b", "eu-west/2b"),
        ("[pii:customer, b:c]", "pii:customer, b:c"), ("{ocr:eu: 1.2, a: }", "ocr:eu 1.2, a"),
    ],
)  # fmt: skip
def test_values_as_people_write_them(text: str, shown: str) -> None:
    """Lists lose their brackets, maps their punctuation."""
    assert plain(text) == shown


def test_a_table_reads_back() -> None:
    """Rows come back with everything that was stored."""
    stored = [
        ["a", "deny", 2, None, [["k/r", "deny", "violated", "m", "1", "2", None]]],
        ["b", "allow", 0, 7, []],
    ]
    raw = json.dumps(stored).encode()
    rows = read_table(raw, digest=hashlib.sha256(raw).hexdigest())
    assert [one.member_id for one in rows] == ["a", "b"]
    assert rows[0].reasons[0] == reason("k/r", "1", "2")
    assert (rows[1].is_eligible, rows[1].score) == (True, 7)


@pytest.mark.parametrize("raw", [b"", b"[[1]]", b"{}", b'[["a","deny",0,null]]'])
def test_a_table_that_is_none(raw: bytes) -> None:
    """Bytes that are not a verdict table are a damaged store."""
    with pytest.raises(StoreCorruptError, match="cannot be read"):
        read_table(raw)


def test_another_table_than_the_entry_names() -> None:
    """A table with another digest than the entry's is not shown."""
    with pytest.raises(StoreCorruptError, match="not the one that the entry names"):
        read_table(b"[]", digest="0" * 64)


def test_what_keeps_a_member_from_what_waits_says_nothing_of_packets_to_its_own_key() -> None:
    """A member's key reads labels of packets that are none of its business, in the reasons of rules about them."""
    secret = Reason("house", "customers", message="acme is not for m", observed="acme", bound="[m]")
    trust = Reason("kernel", "minimum-trust", message="m", observed="0.5", bound="0.9")
    verdicts = [Verdict("deny", (trust,)), Verdict("deny", (secret,)), ALLOW]
    shown = shown_to_a_member("m", verdicts)
    assert shown == {
        "waiting": 3,
        "kept_from": 2,
        "rules": {"house/customers": 1, "kernel/minimum-trust": 1},
        "nearest_misses": ["m would be eligible with trust 0.9; has 0.5"],
    }
