"""``ledger/vectors/ed25519.json`` is what its script writes, and every verifier of ours judges it so."""

import re

from conformance.ledger import ledger_signatures
from support.ed25519_vectors import own

from pfgov_ledger import ed25519

CASES = own()
EXACT = re.compile(r"A = aB \+ \dT; R = rB \+ \dT; SB = R \+ hA")


def test_the_signatures_are_what_the_textbook_gives() -> None:
    """ledger/vectors/ed25519.json is not what the textbook gives: run ledger_signatures.py, and say why it changed."""
    assert ledger_signatures.PATH.read_text(encoding="utf-8") == ledger_signatures.text()


def test_the_verdicts_follow_from_how_a_case_is_made() -> None:
    """Valid is what has a prime part in A and in R and fulfils the equation itself, and an ordinary signature."""
    valid = {case.about for case in CASES if case.is_valid}
    exact = {case.about for case in CASES if EXACT.fullmatch(case.about)}
    assert valid == exact | {"A = B; R = B"}
    assert (len(CASES), len(exact)) == (1066, 43)


def test_the_library_judges_every_signature_as_the_textbook() -> None:
    """With `cryptography` a signature is accepted that the strict rule refuses, or the other way round."""
    found = [ed25519.verify(case.public, case.message, case.signature) for case in CASES]
    assert [c.about for c, ok in zip(CASES, found, strict=True) if ok is not c.is_valid] == []


def test_plain_python_judges_every_signature_as_the_textbook() -> None:
    """Without a library a signature is accepted that the strict rule refuses, or the other way round."""
    found = [ed25519.verify_pure(case.public, case.message, case.signature) for case in CASES]
    assert [c.about for c, ok in zip(CASES, found, strict=True) if ok is not c.is_valid] == []
