"""What a scan finds, what it does not mistake, and how it ends when somebody wants it not to."""

import base64
import gzip
import json
import logging
import threading
import zlib
from collections.abc import Mapping

import pytest

from pfgov.labelling import (
    CLASSES,
    COUNT_MAX,
    UNKNOWN,
    is_quick,
    micros_for,
    scan,
    scanning,
)
from pfgov.labelling.reading import LAYERS_MAX, OPAQUE_BYTES_MAX, QUICK_BYTES_MAX, plain_text
from pfgov.labelling.scanning import SCAN_MICROS, SCAN_MICROS_MIN
from pfgov.limits import CONTEXT_BYTES_MAX

FINDS: dict[str, tuple[str, ...]] = {
    "pii.email": ("write to Ana.Lopez+x@mail.example.co.uk, please", "jürgen@müller.example", "A@B.IO"),
    "pii.iban": (
        "DE89 3704 0044 0532 0130 00", "gb82west12345698765432 and so on", "FR14-2004-1010-0505-0001-3M02-606",
    ),
    "pii.card": ("4111 1111 1111 1111", "card=378282246310005.", "5555 5555 5555 5555 4444", "3782-822463-10005"),
    "pii.phone": (
        "+49 (0)30 1234567", "call me: 030 123 45 67", "(212) 555-0187",
        "(271)305-1981x770",
        "Noté 03 22 52 41 63", "090-5023-9375", "(01632) 960359", "Tél. 0698854816",
        "電話 03-1234-5678", "मोबाइल 98765 43210",
    ),
    "pii.ip": ("dns 8.8.8.8", "from 203.0.113.7 at noon", "2001:db8::8a2e:370:7334", "2001:0DB8:0:0:0:8A2E:370:7334"),
    "pii.birth_date": (
        "born 1980-03-12", "Geburtsdatum: 12.3.1980", "né le 4 avril 1971", "生年月日 1980年3月12日", "DOB 03/12/80",
    ),
    "pii.passport": ("passport no. X1234567", "Reisepass C01X00T478"),
    "pii.national_id.us": ("536-90-4399", "SSN 536904399"),
    "pii.national_id.gb": ("AB 12 34 56 C", "NHS number 943 476 5919"),
    "pii.national_id.de": ("Steuer-ID 86 095 742 719",),
    "pii.national_id.fr": ("2 95 10 99 126 111 93",),
    "pii.national_id.es": ("DNI 12345678Z", "x-5253868-R"),
    "pii.national_id.it": ("RSSMRA85T10A562S", "rss mra 85t10 a562s"),
    "pii.national_id.nl": ("BSN 111222333", "burgerservicenummer: 1112.22.333"),
    "pii.national_id.pl": ("44051401359",),
    "pii.national_id.br": ("390.533.447-05", "39053344705"),
    "pii.national_id.se": ("880320-0016", "personnummer 8803200016", "198803200016"),
    "pii.national_id.in": ("2341 2341 2346", "PAN ABCPE1234F", "Aadhaar 234123412346"),
    "pii.national_id.jp": ("マイナンバー 1234 5678 9018", "my number: 123456789018"),
    "secret.key": ("-----BEGIN RSA PRIVATE KEY-----", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9),
    "secret.password": ("password: hunter22!", '"api_key": "a8f5f167f44f"', "postgres://app:s3cr3t@db/x"),
}  # fmt: skip
"""Class -> texts in which it is found."""

NOTHING = (
    "the total is 1,234,567.89 of 2026-11-29 10:15:00", "version 1.22.333", "order 4111111111111112",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c1523a7b0a4", "127.0.0.1 and 0.0.0.0 and ::1",
    "4f3c2b1a-9d8e-4c7b-a6f5-0123456789ab", "1782331200000000", "3.141592653589793", "0.4111111111111111",
    "room 030 123", "a@b", "@here",
    "12:30:45", "DE00 3704 0044 0532 0130 00", "999.999.999.999", "000-12-3456", "password: ********", "${API_KEY}",
    "ten chickens were born on the farm", "due 2026-12-01", "fast forward x86_64-unknown-linux-gnu",
    "QmFzZTY0IG9mIG5vdGhpbmcgc3BlY2lhbA==", "MEUCIQDf2S0vXk", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
)  # fmt: skip


def found(value: object) -> Mapping[str, int]:
    """What a context with *value* in it holds."""
    return scan(json.dumps({"step": "one", "notes": value}, ensure_ascii=False).encode()).counts


def test_every_class_has_an_example() -> None:
    """A class is in the table that no text here is of."""
    assert {*FINDS, UNKNOWN} == set(CLASSES)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in FINDS.items() for text in texts]
)
def test_what_is_there_is_found(name: str, text: str) -> None:
    """A text is looked through, and what is in it is not found."""
    assert name in found(text)
    assert name in found([{"deep": [text]}])


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_it_is_not_found(text: str) -> None:
    """A sum, a digest, a version or a time is taken for a person's."""
    assert found(text) == {}


HIDDEN = {
    "in letters of full width": "".join(chr(ord(c) + 0xFEE0) for c in "bob@example.com"),
    "with characters that nobody sees": "b\u200bo\u2060b\u00ad@exam\ufeffple.com",
    "in percent signs": "bob%40example.com",
    "in percent signs, twice": "bob%2540example.com",
    "in entities": "bob&#64;example&#x2e;com",
    "in escapes": "bob\\u0040example.com",
    "as JSON inside": json.dumps(json.dumps({"m": "bob@example.com"})),
    "in Base64": base64.b64encode(b"mail bob@example.com now").decode(),
    "in Base64 for addresses": base64.urlsafe_b64encode(b"mail bob@example.com now").decode().rstrip("="),
    "in Base64, twice": base64.b64encode(base64.b64encode(b"mail bob@example.com now")).decode(),
    "in hexadecimal": b"mail bob@example.com now".hex(),
    "in gzip": base64.b64encode(gzip.compress(b"mail bob@example.com now" * 5, mtime=0)).decode(),
    "in zlib": base64.b64encode(zlib.compress(b"mail bob@example.com now" * 5)).decode(),
    "in UTF-16": base64.b64encode("mail bob@example.com now".encode("utf-16")).decode(),
    "as a name": {"bob@example.com": True},
    "as the name of nothing": {"bob@example.com": {}},
}  # fmt: skip


@pytest.mark.parametrize("how", HIDDEN)
def test_what_is_encoded_is_found(how: str) -> None:
    """An encoding that any program undoes hides an address."""
    assert found(HIDDEN[how]) == {"pii.email": 1}


@pytest.mark.parametrize(
    "text",
    [
        "\u0664" + "\u0661" * 15, "\u096a" + "\u0967" * 15, "4111\u00a01111\u20111111\u22121111",
        "4111\u200b111111111111",
    ],
)  # fmt: skip
def test_numbers_are_found_in_any_digits(text: str) -> None:
    """Another script's digits, or another hyphen, hides a card."""
    assert found(text) == {"pii.card": 1}


def test_numbers_of_json_are_looked_at() -> None:
    """A card that is a number and no text is not seen."""
    assert found(4111111111111111) == {"pii.card": 1}
    assert found([4111111111111111]) == {"pii.card": 1}


def test_the_name_of_a_field_says_what_its_value_is() -> None:
    """A number that only its field names is not found, or the next field's name counts for it."""
    assert "pii.phone" in scan(b'{"mobile": "98765 43210"}').counts
    assert "pii.phone" in scan(b'{"mobile": ["98765 43210"]}').counts
    assert scan(b'{"mobile": null, "ticket": "98765 43210"}').counts == {}


def opaque(size: int) -> str:
    """Base64 of *size* bytes that are no text."""
    return base64.b64encode(bytes((number * 197 + 91) % 256 for number in range(size))).decode()


def nested(depth: int) -> str:
    """An address in so many layers of Base64."""
    raw = b"mail bob@example.com now"
    for _ in range(depth):
        raw = base64.b64encode(raw)
    return raw.decode()


BOMBS = {
    "packed a thousandfold": base64.b64encode(gzip.compress(b"a" * 20_000_000, mtime=0)).decode(),
    "packed in what is packed": base64.b64encode(
        gzip.compress(base64.b64encode(gzip.compress(b"a" * 20_000_000, mtime=0)), mtime=0)
    ).decode(),
    "cut short": base64.b64encode(gzip.compress(b"mail bob@example.com" * 9, mtime=0)[:-12]).decode(),
    "too many layers": nested(LAYERS_MAX + 2),
    "one character that becomes eighteen": "\ufdfa" * 300_000,
    "no text": opaque(OPAQUE_BYTES_MAX + 1),
    "a zip archive": base64.b64encode(b"PK\x03\x04" + bytes(range(200))).decode(),
    "a document": base64.b64encode(b"%PDF-1.7 " + bytes(range(200))).decode(),
}  # fmt: skip


@pytest.mark.parametrize("how", BOMBS)
def test_what_cannot_be_looked_through_is_unknown(how: str) -> None:
    """A bomb or a sealed box passes as if nothing were in it."""
    assert UNKNOWN in found(BOMBS[how])


def test_base64_without_a_digit_and_padding_is_undone() -> None:
    """What is packed so that nothing but letters is left passes for a name; and names make nobody wait."""
    letters = base64.b64encode(b" 4111 1111 1111 1111 ").decode()
    assert letters.isalpha()
    assert found(letters) == {"pii.card": 1}
    assert not is_quick(json.dumps({"note": letters}).encode())
    name = "customerValidationRequestIdentifierOfTheSecondKind"
    assert found(name * 40) == {}
    assert is_quick(json.dumps({name: name}).encode())


def test_short_data_that_is_no_text_is_not_unknown() -> None:
    """A signature or a digest makes a context unreadable."""
    assert found(opaque(64)) == {}
    assert found(opaque(OPAQUE_BYTES_MAX)) == {}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"\xff\xfe", b'{"a": "\xff"}', b"[" * 100_000, b'{"a":1}x',
        b'{"a":"' + b"x" * CONTEXT_BYTES_MAX + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_context_is_unknown(payload: bytes) -> None:
    """Bytes that are no JSON, nested without end, or too many pass as if nothing were in them."""
    assert scan(payload).classes == (UNKNOWN,)


@pytest.mark.parametrize(
    "text", ["1:2:3:4:5:6:7 ", "1111 2222 3333 ", "a@" * 20, "phone 1 ", "12345678-"]
)
def test_a_scan_that_has_no_time_left_is_unknown(text: str) -> None:
    """A text that is slow to look through holds the door, or passes without having been looked through."""
    payload = json.dumps({"x": text * (200_000 // len(text))}).encode()
    assert scan(payload, micros=0).classes == (UNKNOWN,)


def test_without_a_context_there_is_nothing() -> None:
    """A packet without a context is of an unknown class, or nobody is said to have looked."""
    nothing = scan(None)
    assert (nothing.classes, nothing.detectors, nothing.why) == ((), ("patterns@2",), None)


def test_a_class_is_counted_up_to_a_bound() -> None:
    """Counting goes on without end, or a scan that needs none counts all the same."""
    payload = json.dumps(["bob@example.com"] * 12_000).encode()
    assert scan(payload).counts == {"pii.email": 1}
    assert scan(payload, count_max=COUNT_MAX).counts == {"pii.email": COUNT_MAX}
    assert scan(payload[:160] + b'"]', count_max=COUNT_MAX).counts == {"pii.email": 8}


class Planted:
    """A detector of others, which may do anything."""

    name = "planted"
    version = "7"

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.seen: list[str] = []

    def detect(self, text: str) -> Mapping[str, int]:
        self.seen.append(text)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


def test_a_plug_in_adds_its_classes() -> None:
    """What a plug-in finds is left out, or takes the place of what the patterns found."""
    plug_in = Planted({"pii.name": 2})
    seen = scan(b'{"who": "Ana, ana@example.com"}', (plug_in,))
    assert seen.counts == {"pii.email": 1, "pii.name": 2}
    assert seen.detectors == ("patterns@2", "planted@7")
    assert plug_in.seen == ["who: Ana, ana@example.com"]


def test_a_plug_in_that_does_not_return_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in that hangs keeps the door shut for ever, or is asked again and again by everybody who comes."""
    release = threading.Event()

    class Hanging(Planted):
        def detect(self, text: str) -> Mapping[str, int]:
            super().detect(text)
            release.wait(60)
            return {"pii.name": 1}

    monkeypatch.setattr(scanning, "PLUG_IN_SECONDS", 0.01)
    plug_in = Hanging(None)
    for _ in range(3):
        assert scan(b'{"a": "b"}', (plug_in,)).classes == (UNKNOWN,)
    assert len(plug_in.seen) == 1
    release.set()
    for thread in threading.enumerate():
        if thread.name == "detector planted":
            thread.join()
    monkeypatch.setattr(scanning, "PLUG_IN_SECONDS", 60)
    assert scan(b'{"a": "b"}', (plug_in,)).classes == ("pii.name",)


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("ana@example.com"), None, {"pii.name": "many"}, {"Not A Class": 1}, {"pii.\u0430": 1}, ["pii.name"]],
)  # fmt: skip
def test_a_plug_in_that_fails_is_unknown_and_quotes_nothing(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken plug-in hides what it would have found, breaks the door, or its error carries the text out."""
    caplog.set_level(logging.DEBUG)
    seen = scan(b'{"who": "ana@example.com"}', (Planted(answer),))
    assert UNKNOWN in seen.classes
    assert "pii.email" in seen.classes
    assert "ana" not in f"{seen}{caplog.text}"


PACKED = gzip.compress(b"4111 1111 1111 1112 " * 50_000, mtime=0)
BASE64 = base64.b64encode(PACKED).decode()
DISGUISES = {
    "Base64": BASE64,
    "Base64 for URLs": BASE64.replace("+", "-").replace("/", "_"),
    "hexadecimal": PACKED.hex(),
    "in Base64 again": base64.b64encode(BASE64.encode()).decode(),
    "percent signs": "".join(f"%{byte:02x}" for byte in BASE64.encode()),
    "entities": "".join(f"&#{byte};" for byte in BASE64.encode()),
    "escapes": BASE64.replace("A", "\\u0041"),
    "another alphabet's capitals": "".join(chr(ord(one) + 0xFEE0) for one in BASE64),
}


@pytest.mark.parametrize("how", DISGUISES)
def test_what_may_be_packed_is_not_quick(how: str) -> None:
    """A few kilobytes that become a megabyte are looked through where everybody waits for it."""
    raw = json.dumps({"context": {"a": DISGUISES[how][:3_000]}}, ensure_ascii=False).encode()
    assert not is_quick(raw)


def test_what_is_short_and_plain_is_quick_and_stays_short() -> None:
    """Ordinary submissions cost a thread each, or a quick one comes to more than it is."""
    ordinary = {
        "packet_id": "fp-2026-11-29-000123",
        "workload_type": "incident-response",
        "context": {"step": "start", "id": "550e8400-e29b-41d4-a716-446655440000", "n": [1, 2.5], "when": None},
    }  # fmt: skip
    raw = json.dumps(ordinary).encode()
    assert is_quick(raw)
    assert len(plain_text(raw, lambda: None)) <= 2 * len(raw)
    assert not is_quick(raw + b" " * QUICK_BYTES_MAX)


def test_a_short_context_has_a_short_time() -> None:
    """A few kilobytes take as long as a megabyte may."""
    assert micros_for(None) == micros_for(b"") == SCAN_MICROS_MIN
    assert micros_for(b"x" * 10_000) == SCAN_MICROS_MIN + 20_000
    assert micros_for(b"x" * CONTEXT_BYTES_MAX) == SCAN_MICROS
