"""The primitives against vectors that other people wrote; tests/data/ledger-vectors/README.md says whose."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pfgov_ledger import canonical, checkpoint, ed25519, errors, merkle, note

DATA = Path(__file__).parents[2] / "data" / "ledger-vectors"
PINNED = {
    "wycheproof/ed25519_test.json": "752d2ea7d7c6cf4736381b6cbacb61f8182b126ab7cd9b058f00c50084975536",
    "cctv/ed25519vectors.json": "b38e84caf3e7e89170ff520292dbeae421b0a794c27408ce5ce973018fe3d7f9",
}


def _external(name: str) -> Path:
    for folder in filter(None, (os.environ.get("PFGOV_LEDGER_VECTORS"), str(DATA))):
        path = Path(folder) / name
        if path.exists():
            return path
    pytest.skip(
        f"{name} is not here; set PFGOV_LEDGER_VECTORS (tests/data/ledger-vectors/README.md)"
    )


def _pinned(name: str) -> Any:
    raw = _external(name).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == PINNED[name], (
        f"{name} is another version than the pinned one"
    )
    return json.loads(raw)


def _accepts(public: str, message: bytes, signature: str) -> bool:
    found = {
        check(bytes.fromhex(public), message, bytes.fromhex(signature))
        for check in (ed25519.verify, ed25519.verify_pure)
    }
    assert len(found) == 1, "the library and the pure verifier disagree"
    return found.pop()


def test_rfc_8032() -> None:
    """The signatures of the RFC hold, and their keys are derived and used as it says."""
    from pfgov_ledger.keys import SeedSigner

    for case in json.loads((DATA / "rfc8032.json").read_text()):
        message = bytes.fromhex(case["message"])
        signer = SeedSigner(role="issuer", name="i", seed=bytes.fromhex(case["secret"]))
        assert signer.public.hex() == case["public"]
        assert signer.sign(message).hex() == case["signature"]
        assert _accepts(case["public"], message, case["signature"])
        assert not _accepts(case["public"], message + b"x", case["signature"])


def test_wycheproof_ed25519() -> None:
    """All 151 signatures of Wycheproof are judged as it judges them, by both verifiers."""
    cases = [
        (group["publicKey"]["pk"], test)
        for group in _pinned("wycheproof/ed25519_test.json")["testGroups"]
        for test in group["tests"]
    ]
    assert len(cases) == 151
    for public, test in cases:
        expected = test["result"] == "valid"
        assert _accepts(public, bytes.fromhex(test["msg"]), test["sig"]) is expected, test[
            "comment"
        ]


def test_cctv_ed25519() -> None:
    """Of CCTV's 914 edge cases the strict rule accepts exactly 43: none of low order, none non-canonical."""
    cases = _pinned("cctv/ed25519vectors.json")
    accepted = [case for case in cases if _accepts(case["key"], case["msg"].encode(), case["sig"])]
    assert (len(cases), len(accepted)) == (914, 43)
    refused = {
        "low_order_A",
        "low_order_R",
        "non_canonical_A",
        "non_canonical_R",
        "low_order_residue",
    }
    for case in cases:
        assert (case in accepted) == (not refused & set(case["flags"] or ())), case


def _hash(text: str | None) -> bytes:
    return base64.b64decode(text or "")


# Its roots are the text "don't care 2", which cannot be roots; here a root is 32 bytes.
NOT_HASHES = "sizes-are-equal-one-and-proof-is-empty.json"


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_transparency_dev_merkle(kind: str) -> None:
    """Each of the 98 proofs passes or fails as the reference says, but for one whose roots are no hashes."""
    paths = sorted(_external(f"merkle/testdata/{kind}").rglob("*.json"))
    assert len(paths) == 98
    for path in paths:
        case = json.loads(path.read_text())
        proof = [_hash(item) for item in case["proof"] or []]
        try:
            if kind == "inclusion":
                place = (_hash(case["leafHash"]), case["leafIdx"], case["treeSize"])
                merkle.check_inclusion(*place, proof, _hash(case["root"]))
            else:
                roots = (_hash(case["root1"]), _hash(case["root2"]))
                merkle.check_consistency(case["size1"], case["size2"], *roots, proof)
            is_refused = False
        except errors.TreeError:
            is_refused = True
        assert is_refused is (case["wantErr"] or path.name == NOT_HASHES), path


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
