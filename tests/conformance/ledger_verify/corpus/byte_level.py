"""Entries whose bytes are not the one canonical encoding of what they say, signed all the same."""

from collections.abc import Callable, Iterator

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.story import tell
from conformance.ledger_verify.corpus.tools import Export, Line

from pfgov_ledger import strict64

AGENT, EPOCH = b'"agent-c"', b'"epoch":3'
OWNER = b'"owner":{"incarnation":1,"member_id":"agent-c"}'


def cases() -> Iterator[Case]:
    """Every offence against the canonical form."""

    def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        return lambda raw: raw.replace(old, new, 1)

    for code, name, about, change in (
        ("duplicate_key", "duplicate_key", "A key stands twice.", swapped(EPOCH, b'"epoch":3,"epoch":4')),
        ("float", "fraction", "A number with a fraction.", swapped(EPOCH, b'"epoch":3.0')),
        ("float", "exponent", "A number with an exponent.", swapped(EPOCH, b'"epoch":3e0')),
        ("negative_zero", "minus_zero", "Minus zero.", swapped(EPOCH, b'"epoch":-0')),
        ("not_a_number", "nan", "NaN.", swapped(EPOCH, b'"epoch":NaN')),
        ("integer_range", "two_to_53", "2 to the 53rd.", swapped(EPOCH, b'"epoch":9007199254740992')),
        ("byte_order_mark", "mark_in_entry", "A byte order mark before the entry.",
         lambda raw: b"\xef\xbb\xbf" + raw),
        ("lone_surrogate", "escaped_surrogate", "Half of a surrogate pair, escaped.",
         swapped(AGENT, b'"\\ud800"')),
        ("lone_surrogate", "encoded_surrogate", "Half of a surrogate pair, as bytes.",
         swapped(AGENT, b'"\xed\xa0\x80"')),
        ("forbidden_character", "nul", "U+0000.", swapped(AGENT, b'"\\u0000"')),
        ("forbidden_character", "noncharacter", "U+FFFE.", swapped(AGENT, b'"\xef\xbf\xbe"')),
        ("not_utf8", "latin_1", "A byte that is not UTF-8.", swapped(AGENT, b'"\xff"')),
        ("key_name", "capital_key", "A key with a capital letter.", swapped(b'"epoch"', b'"Epoch"')),
        ("non_canonical", "space", "A space between two members.", swapped(b',"owner"', b', "owner"')),
        ("non_canonical", "escaped_slash", "An escape that is not needed.", swapped(b'"packet/', b'"packet\\/')),
        ("non_canonical", "unsorted_keys", "Two members out of order.",
         swapped(EPOCH + b"," + OWNER, OWNER + b"," + EPOCH)),
        ("version_unknown", "entry_version_2", "An entry of version 2.", swapped(b'"v":1}', b'"v":2}')),
        ("entry_shape", "missing_member", "An entry without its term.", swapped(b'"term":0,', b"")),
        ("entry_shape", "upper_hex", "A hash in capital letters.", upper_prev),
        ("oversize", "large_entry", "An entry of 70,000 bytes.", swapped(AGENT, b'"' + b"a" * 70_000 + b'"')),
        ("too_deep", "nested", "Values nested seventeen times.", swapped(EPOCH, b'"epoch":' + b"[" * 17 + b"]" * 17)),
        ("not_json", "trailing_comma", "A comma too many.", swapped(b'"epoch":3,', b'"epoch":3,,')),
    ):  # fmt: skip
        log = tell()
        export = Export(log.full())
        line = export.line_of(20)
        export.put(line, change(strict64.decode(line["e"])), log.issuer)
        yield Case(code, name, about, export.build(), {"integrity": (code, 20)})
    log = tell()
    export = Export(log.full())

    def unsorted(members: Line) -> None:
        members["body"]["labels"].reverse()

    export.edit(2, unsorted, log.issuer)
    export.rechain(3, log.issuer)
    export.remerkle(log.log_key)
    yield Case(
        "pairs_unsorted",
        "unsorted_pairs",
        "A map whose pairs are out of order.",
        export.build(),
        {"integrity": ("pairs_unsorted", 2)},
    )


def upper_prev(raw: bytes) -> bytes:
    """The entry with its ``prev`` in capitals."""
    at = raw.index(b'"prev":"') + 8
    return raw[:at] + raw[at : at + 64].upper() + raw[at + 64 :]
