"""The primitives against vectors that other people wrote; tests/data/README.md says whose."""

import json
from typing import Any

import pytest
from support.ed25519_vectors import DATA, Case, cctv, edge_cases, wycheproof

from pfgov_ledger import canonical, checkpoint, ed25519, errors, note


def _accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    found = {check(public, message, signature) for check in (ed25519.verify, ed25519.verify_pure)}
    assert len(found) == 1, "the library and the pure verifier disagree"
    return found.pop()


def _misjudged(cases: list[Case]) -> list[str]:
    return [
        case.about
        for case in cases
        if _accepts(case.public, case.message, case.signature) is not case.is_valid
    ]


def test_rfc_8032() -> None:
    """The signatures of the RFC hold, and their keys are derived and used as it says."""
    from pfgov_ledger.keys import SeedSigner

    cases = json.loads((DATA / "rfc8032.json").read_text())
    assert len(cases) == 5
    for case in cases:
        public, message, signature = (
            bytes.fromhex(case[name]) for name in ("public", "message", "signature")
        )
        signer = SeedSigner(role="issuer", name="i", seed=bytes.fromhex(case["secret"]))
        assert signer.public == public
        assert signer.sign(message) == signature
        assert _accepts(public, message, signature)
        assert not _accepts(public, message + b"x", signature)


def test_wycheproof_ed25519() -> None:
    """All 151 signatures of Wycheproof are judged as it judges them, by both verifiers."""
    cases = wycheproof()
    assert len(cases) == 151
    assert _misjudged(cases) == []


@pytest.mark.go
def test_edge_cases_of_ed25519() -> None:
    """Of 768 edge cases the strict rule accepts exactly 43: none of low order, none non-canonical."""
    cases = edge_cases()
    assert (len(cases), sum(case.is_valid for case in cases)) == (768, 43)
    assert _misjudged(cases) == []


def test_cctv_ed25519() -> None:
    """Of the 914 of C2SP/CCTV the strict rule accepts exactly 43; what hashes a re-encoded point never holds."""
    cases = cctv()
    assert (len(cases), sum(case.is_valid for case in cases)) == (914, 43)
    assert _misjudged(cases) == []


# --- RFC 8785 ---------------------------------------------------------------------------------


def test_rfc_8785_documents_are_outside_the_profile() -> None:
    """Every document of the RFC's test data has floats or free-form keys, and each is refused for that."""
    codes = {}
    for path in sorted((DATA / "rfc8785" / "output").glob("*.json")):
        with pytest.raises(errors.MalformedError) as caught:
            canonical.decode(path.read_bytes())
        codes[path.stem] = caught.value.code
    floats = {name for name, code in codes.items() if code == "ledger.float"}
    assert floats == {"values"}
    assert {codes[name] for name in codes.keys() - floats} == {"ledger.key_name"}
    assert len(codes) == 6


def _scalars(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *(leaf for item in value.values() for leaf in _scalars(item))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _scalars(item)]
    return [value]


def test_rfc_8785_strings_and_literals_are_written_as_the_rfc_writes_them() -> None:
    """What of the RFC's test data falls in the profile comes out byte for byte as in its outputs."""
    count = 0
    for path in sorted((DATA / "rfc8785" / "input").glob("*.json")):
        output = (DATA / "rfc8785" / "output" / path.name).read_bytes()
        for scalar in _scalars(json.loads(path.read_bytes())):
            if not isinstance(scalar, float):
                written = canonical.encode(scalar)
                assert written in output, (path, scalar)
                assert canonical.decode(written) == scalar
                count += 1
    assert count > 40


# --- C2SP -------------------------------------------------------------------------------------


def test_the_example_of_signed_note() -> None:
    """The note and verifier key that the specification prints verify, and not with another text."""
    key = note.parse_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    raw = (
        "This is an example message.\n\n\N{EM DASH} example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ).encode()
    assert note.open_note(raw, [key]).text == b"This is an example message.\n"
    with pytest.raises(errors.CheckpointSignatureError):
        note.open_note(raw.replace(b"example message", b"changed message"), [key])


def test_the_example_of_tlog_checkpoint_and_cosignature() -> None:
    """The specifications' checkpoint is read, and the message its cosignature covers is the printed one."""
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = checkpoint.parse_text(text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert found.text() == text
    assert (
        checkpoint.cosignature_message(text, 1_679_315_147)
        == b"cosignature/v1\ntime 1679315147\n" + text
    )
