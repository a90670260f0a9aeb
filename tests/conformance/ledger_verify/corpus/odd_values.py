"""Signed bodies whose values are of no type that anybody would write.

The reports show such values; every verifier has to show them in the same words.
"""

from collections.abc import Iterator
from typing import Any, Final

from conformance.ledger_verify.corpus.case import Case
from conformance.ledger_verify.corpus.insiders import resigned
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.story import genesis, tell
from conformance.ledger_verify.corpus.tools import Export

ODD: Final[dict[str, Any]] = {
    "absent": None,
    "true": True,
    "number": -7,
    "list": ["a", None, [False, {"b": "\u00fc\n"}]],
    "object": {"b": [1, "\u2028"], "constructor": {"length": 2}},
    "quotes": "it's \"\\\u007f\t",
    "long_text": "\U0001d4ab" * 300,
    "long_list": ["\U0001d4ab"] * 300,
}
"""Name -> a value where an id, an origin, a number or a hash should be."""


def cases() -> Iterator[Case]:
    """Every odd value, where the report shows it."""
    log = tell()
    for name, value in ODD.items():
        yield Case(
            "subject_mismatch",
            f"odd_id_{name}",
            "An event names something as its packet that is no id.",
            resigned(log, 15, lambda m, v=value: m["body"].update(packet_id=v), is_indexed=True),
            {"integrity": ("subject_mismatch", 15)},
        )
        odd = MemoryLog()
        genesis(odd, origin=value)
        odd.commit()
        yield Case(
            "origin_mismatch",
            f"odd_origin_{name}",
            "Genesis says of something that is no origin that it is the log's.",
            odd.full(),
            {"authenticity": ("origin_mismatch", 0)},
            anchor="log-key-only.txt",
        )
        odd = MemoryLog()
        genesis(odd)
        odd.add("index_committed", "ledger", {"root": value, "size": value, "subjects": value})
        odd.commit()
        yield Case(
            "index_mismatch",
            f"odd_index_{name}",
            "A committed map with a root, a size and a count that are none.",
            odd.full(),
            {"completeness": ("index_mismatch", 1)},
        )
    yield from _true_for_one()
    export = Export(log.full())
    export.chunk(5)["field"] = "\U0001d4ab" * 200
    yield Case(
        "attachment_unnamed",
        "odd_field",
        "A payload whose field has 200 characters, which some languages count as 400.",
        export.build(),
        {"integrity": ("attachment_unnamed", 5)},
    )


def _true_for_one() -> Iterator[Case]:
    log = MemoryLog()
    genesis(log)
    root = log.map_at(1).root().hex()
    log.add("index_committed", "ledger", {"root": root, "size": True, "subjects": True})
    log.commit()
    yield Case(
        "index_mismatch",
        "true_for_one",
        "A committed map of the right root says true for 1.",
        log.full(),
        {"completeness": ("index_mismatch", 1)},
    )
