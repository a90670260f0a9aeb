"""Ed25519 signatures with the strict rule's verdict: what others wrote (tests/data/README.md says who), and ours.

Knows where they are and how they are spelt; does not know any verifier.
"""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"
OWN = Path(__file__).parents[2] / "ledger" / "vectors" / "ed25519.json"
WYCHEPROOF = DATA / "ed25519" / "wycheproof" / "ed25519_test.json"
WYCHEPROOF_SHA256 = "752d2ea7d7c6cf4736381b6cbacb61f8182b126ab7cd9b058f00c50084975536"
EDGE_CASES = "filippo.io/mostly-harmless/ed25519vectors@v0.0.0-20210322192420-30a2d7243a94"
EDGE_CASES_SHA256 = "ed3dd0730ec5ef2dbfd629186fbefeb6299cbbf9a6ed94af0478f07291acacca"
REFUSED_FLAGS = {"LowOrderA", "LowOrderR", "NonCanonicalA", "NonCanonicalR", "LowOrderResidue"}
CCTV = "c2sp.org/CCTV/ed25519@v0.0.0-20240306222714-3ec4d716e805"
CCTV_SHA256 = "b38e84caf3e7e89170ff520292dbeae421b0a794c27408ce5ce973018fe3d7f9"
CCTV_REFUSED_FLAGS = {
    "low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue"
}  # fmt: skip
CCTV_BESIDE = Path(__file__).parents[3] / "shared" / "fixtures" / "cctv" / "ed25519vectors.json"
"""Where the file lies beside a checkout, if somebody put it there."""
CCTV_INSTEAD = "; put C2SP/CCTV's ed25519/ed25519vectors.json to ../shared/fixtures/cctv, or its path in PFGOV_CCTV"


@dataclass(frozen=True)
class Case:
    """One signature; ``is_valid`` is the verdict that every verifier has to give."""

    about: str
    public: bytes
    message: bytes
    signature: bytes
    is_valid: bool


def _pinned(path: Path, digest: str) -> Any:
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == digest, f"{path.name} is not the pinned one"
    return json.loads(raw)


def wycheproof() -> list[Case]:
    """The 151 of Wycheproof, as it judges them."""
    return [
        Case(
            test["comment"],
            bytes.fromhex(group["publicKey"]["pk"]),
            bytes.fromhex(test["msg"]),
            bytes.fromhex(test["sig"]),
            test["result"] == "valid",
        )
        for group in _pinned(WYCHEPROOF, WYCHEPROOF_SHA256)["testGroups"]
        for test in group["tests"]
    ]


def own() -> list[Case]:
    """The cases of ``ledger/vectors/ed25519.json``, whose verdicts are computed in textbook arithmetic."""
    return [
        Case(
            case["about"],
            bytes.fromhex(case["public"]),
            bytes.fromhex(case["message"]),
            bytes.fromhex(case["signature"]),
            case["valid"],
        )
        for case in json.loads(OWN.read_text(encoding="utf-8"))["cases"]
    ]


def edge_cases() -> list[Case]:
    """The 768 of ``ed25519vectors``; valid is what is nowhere of low order and nowhere non-canonical.

    Skips the test where there is no Go toolchain, or where it cannot have the module.
    """
    found = _pinned(_module(EDGE_CASES) / "ed25519vectors.json", EDGE_CASES_SHA256)
    return [
        Case(
            f"{number}: {item['Flags']}",
            bytes.fromhex(item["A"]),
            item["M"].encode(),
            bytes.fromhex(item["R"] + item["S"]),
            not REFUSED_FLAGS & set(item["Flags"] or ()),
        )
        for number, item in enumerate(found)
    ]


def cctv() -> list[Case]:
    """The 914 of C2SP/CCTV, judged as the 768 are; whatever hashes a re-encoded point is non-canonical anyway.

    Reads the file that ``PFGOV_CCTV`` names, the one beside the checkout, or the Go module; skips the test where
    there is none.
    """
    given = os.environ.get("PFGOV_CCTV")
    if given:
        path = Path(given)
    elif CCTV_BESIDE.is_file():
        path = CCTV_BESIDE
    else:
        path = _module(CCTV, CCTV_INSTEAD) / "ed25519vectors.json"
    return [
        Case(
            f"{item['number']}: {item['flags']}",
            bytes.fromhex(item["key"]),
            item["msg"].encode(),
            bytes.fromhex(item["sig"]),
            not CCTV_REFUSED_FLAGS & set(item["flags"] or ()),
        )
        for item in _pinned(path, CCTV_SHA256)
    ]


def _module(name: str, instead: str = "") -> Path:
    tool = shutil.which("go")
    if tool is None:
        pytest.skip(f"no Go toolchain on this machine, and {name} is a Go module{instead}")
    done = subprocess.run(
        [tool, "mod", "download", "-json", name], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[:200]
        pytest.skip(f"{name} cannot be had here{instead}: {said}")
    return Path(json.loads(done.stdout)["Dir"])
