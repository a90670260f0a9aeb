"""Exact numbers, moments, identifiers and capabilities, at their edges."""

import re
from decimal import Decimal

import pytest

from pfgov.clock import ManualClock
from pfgov.core import capability, ids, quantity
from pfgov.errors import InvalidError
from pfgov.limits import INTEGER_MAX
from pfgov.model import times


@pytest.mark.parametrize(
    ("value", "micro"),
    [
        (0, 0), (1, 1_000_000), (-3, -3_000_000), (0.9, 900_000), (1e-6, 1), ("0.10", 100_000),
        (Decimal("0.90"), 900_000), (Decimal("-0.0"), 0), (Decimal("0e999999"), 0),
        (999_999_999, 999_999_999_000_000),
        (Decimal("-999999999.999999"), -999_999_999_999_999),
        (Decimal("5E-1"), 500_000), (Decimal("1.50000000000"), 1_500_000),
    ],
)  # fmt: skip
def test_quantities_are_exact(value: float | str | Decimal, micro: int) -> None:
    """A number is its exact count of millionths."""
    assert quantity.to_micro(value) == micro
    assert quantity.from_text(quantity.to_text(micro)) == micro


@pytest.mark.parametrize(
    "value",
    [
        True, False, float("nan"), float("inf"), Decimal("sNaN"), Decimal("Infinity"), "", " 1", "1_000", "1e3", "٣",
        "0x1", "1.", ".5", "+1", 0.1234567, Decimal("0.12345600000000000000000000000000000001"),
        Decimal("1e-999999"), Decimal("1e999999"), 1_000_000_000, -1_000_000_000,
    ],
)  # fmt: skip
def test_not_quantities(value: float | str | Decimal) -> None:
    """Booleans, not-a-number, foreign spellings, a seventh digit and a tenth are refused, never rounded."""
    with pytest.raises(InvalidError):
        quantity.to_micro(value)


@pytest.mark.parametrize(
    "text", ["", "-0", "01", "1.0", "1.", ".5", "0.1234567", "1e3", "+1", "٣", "1234567890"]
)
def test_only_the_canonical_spelling_is_read_back(text: str) -> None:
    """The ledger's decimal has one spelling; every other is refused."""
    with pytest.raises(InvalidError):
        quantity.from_text(text)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-06-13T20:00:00Z", 1_781_380_800_000_000),
        ("2026-06-13T22:00:00+02:00", 1_781_380_800_000_000),
        ("2026-06-13T15:30:00.25-04:30", 1_781_380_800_250_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2255-06-05T23:47:34.740991Z", INTEGER_MAX),
    ],
)
def test_moments(text: str, microseconds: int) -> None:
    """A moment is its exact microseconds, whatever its offset."""
    assert times.to_microseconds(text) == microseconds
    assert times.to_microseconds(times.to_moment(microseconds)) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-06-13", "2026-06-13T20:00:00", "2026-06-13 20:00:00Z", "2026-06-13t20:00:00z", "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z", "2026-06-13T24:00:00Z", "2026-06-13T23:59:60Z", "2026-06-13T20:00:00.1234567Z",
        "2026-06-13T20:00:00+24:00", "2026-06-13T20:00:00+01:60", "2026-06-13T20:00:00Z\n", "٢026-06-13T20:00:00Z",
        "1969-12-31T23:59:59Z", "2255-06-05T23:47:34.740992Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_not_moments(text: str) -> None:
    """A date alone, a local time, a leap second, a seventh digit and a time outside the profile are refused."""
    with pytest.raises(InvalidError):
        times.to_microseconds(text)


def test_the_pattern_of_moments_fits_what_is_read() -> None:
    """A client that checks its requests holds a day that there is, an offset or a far year for a mistake."""
    pattern = re.compile(times.DATE_TIME)
    for year in (1970, 1972, 1999, 2000, 2026, 2028, 2100, 2200, 2249, 2250, 2252, 2254):
        for month in range(1, 13):
            for day in range(1, 32):
                text = f"{year}-{month:02d}-{day:02d}T12:00:00Z"
                try:
                    times.to_microseconds(text)
                except InvalidError:
                    assert not pattern.fullmatch(text), text
                else:
                    assert pattern.fullmatch(text), text
    for end in (
        "+14:00",
        "-12:00",
        "+13:45",
        "-00:00",
        "+23:59",
        ".123456+14:00",
        "z",
        "+24:00",
        ".1234567Z",
        "",
    ):
        text = f"2026-06-13T20:00:00{end}"
        is_read = end not in {"z", "+24:00", ".1234567Z", ""}
        assert bool(pattern.fullmatch(text)) is is_read, text
        if is_read:
            times.to_microseconds(text)


def test_ulids_sort_by_time() -> None:
    """A later ULID is a greater text, and tells its millisecond."""
    early, late = ids.ulid(1_000, b"\xff" * 10), ids.ulid(2_000, b"\x00" * 10)
    assert early < late
    assert (ids.ulid_time(early), ids.ulid_time(late)) == (1_000, 2_000)
    assert ids.ulid(0, bytes(10)) == "0" * 26
    assert ids.ulid((2**48 - 1) * 1_000, b"\xff" * 10) == "7" + "Z" * 25


@pytest.mark.parametrize(
    ("time", "random"), [(-1, bytes(10)), (2**48 * 1_000, bytes(10)), (0, bytes(9))]
)
def test_ulids_refuse_what_does_not_fit(time: int, random: bytes) -> None:
    """A time outside 48 bits, or the wrong number of random bytes, is the caller's mistake."""
    with pytest.raises(ValueError, match="ULID"):
        ids.ulid(time, random)


@pytest.mark.parametrize("text", ["", "0" * 25, "8" + "0" * 25, "I" * 26, "0" * 25 + "l"])
def test_not_ulids(text: str) -> None:
    """Wrong length, wrong letters and more than 128 bits are no ULID."""
    with pytest.raises(ValueError, match="not a ULID"):
        ids.ulid_time(text)


def test_fresh_ulids_differ() -> None:
    """Two ULIDs of the same millisecond are different and carry the clock's time."""
    clock = ManualClock(1_782_331_200_000_000)
    first, second = ids.fresh_ulid(clock), ids.fresh_ulid(clock)
    assert first != second
    assert ids.ulid_time(first) == ids.ulid_time(second) == clock.now()


@pytest.mark.parametrize(
    ("requirement", "version", "accepted"),
    [
        ("ocr", None, True), ("ocr", "1.0", True), ("ocr>=1.2", None, False), ("ocr>=1.2", "1.2", True),
        ("ocr>=1.2", "1.10", True), ("ocr>=1.2", "1.1.9", False), ("ocr>=1.2,<2", "2", False),
        ("ocr ~= 1.4", "1.9", True), ("ocr~=1.4", "2.0", False), ("ocr!=1.5", "1.5", False),
        ("ocr>=1", "2.0rc1", False), ("ocr>=2.0rc1", "2.0rc1", True), ("ocr==1.*", "1.7", True),
    ],
)  # fmt: skip
def test_requirements(requirement: str, version: str | None, accepted: bool) -> None:
    """A version range asks for a version inside it; a bare name takes any."""
    assert capability.parse_requirement(requirement).accepts(version) is accepted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ">=1",
        "a>",
        "a>=",
        "a>=x",
        "a b",
        "a;b",
        "a[x]",
        "a @ http://x",
        "a===1",
        "a>=1;os_name=='x'",
        "ä",
        "a\n",
    ],
)
def test_not_requirements(text: str) -> None:
    """What is neither a name nor a name with a range is refused."""
    with pytest.raises(InvalidError):
        capability.parse_requirement(text)


def test_requirements_have_one_spelling() -> None:
    """The order and spacing of specifiers do not matter."""
    texts = {str(capability.parse_requirement(text)) for text in ("a>=1,<2", "a <2 , >=1")}
    assert texts == {"a<2,>=1"}


@pytest.mark.parametrize(
    ("text", "canonical"), [("1.0-RC1", "1.0rc1"), ("v1.2", "1.2"), ("1.2", "1.2")]
)
def test_versions_have_one_spelling(text: str, canonical: str) -> None:
    """A version is kept in its canonical spelling."""
    assert capability.canonical_version(text) == canonical


@pytest.mark.parametrize("text", ["", "one", "1 2", " 1", "1.2\n", "1" * 65])
def test_not_versions(text: str) -> None:
    """What PEP 440 does not know is refused."""
    with pytest.raises(InvalidError):
        capability.canonical_version(text)
