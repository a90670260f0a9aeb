"""Ed25519 signatures that other people wrote, each with the strict rule's verdict: tests/data/README.md says whose.

Knows where they are and how they are spelt; does not know any verifier.
"""

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"
WYCHEPROOF = DATA / "ed25519" / "wycheproof" / "ed25519_test.json"
WYCHEPROOF_SHA256 = "752d2ea7d7c6cf4736381b6cbacb61f8182b126ab7cd9b058f00c50084975536"
EDGE_CASES = "filippo.io/mostly-harmless/ed25519vectors@v0.0.0-20210322192420-30a2d7243a94"
EDGE_CASES_SHA256 = "ed3dd0730ec5ef2dbfd629186fbefeb6299cbbf9a6ed94af0478f07291acacca"
REFUSED_FLAGS = {"LowOrderA", "LowOrderR", "NonCanonicalA", "NonCanonicalR", "LowOrderResidue"}


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


def _module(name: str) -> Path:
    tool = shutil.which("go")
    if tool is None:
        pytest.skip("no Go toolchain on this machine, and the edge cases are a Go module")
    done = subprocess.run(
        [tool, "mod", "download", "-json", name], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"{name} cannot be had here: {(done.stdout + done.stderr).strip()[:200]}")
    return Path(json.loads(done.stdout)["Dir"])
