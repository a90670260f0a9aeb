"""The verifier without the rest of the project: as one file, and as a copied package."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from conformance.ledger_verify.corpus.build import ROOT, VECTORS
from conformance.ledger_verify.corpus.run import run
from support.ed25519_vectors import own
from support.roots import MemoryRoot, Tenant

from pfgov_ledger import build_pyz, keys
from pfgov_ledger.report import dumps
from pfgov_ledger.verify import verify

ALONE = Path(__file__).with_name("alone.py")
CASES = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("*/*/*.case.json"))
GOLDEN = [name for name in CASES if name.startswith("golden/")]


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier as one file."""
    return build_pyz.build(tmp_path_factory.mktemp("pyz") / "pfgov-verify.pyz")


def alone(paths: list[Path], cases: list[str]) -> dict[str, Any]:
    """What a bare interpreter finds, with only *paths* to import from."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ALONE), ":".join(map(str, paths)), *cases],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expected(cases: list[str]) -> dict[str, str]:
    """The package's own reports."""
    return {case: dumps(run(VECTORS / case, VECTORS)[1]) for case in cases}


def pyz_run(pyz: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the file as a program, with the standard library alone."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(pyz), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
def test_the_one_file_gives_the_same_reports(pyz: Path) -> None:
    """The one-file verifier, without any library, disagrees with the package about the corpus."""
    found = alone([pyz], CASES)
    assert found["reports"] == expected(CASES)
    assert "cryptography" not in found["modules"]
    assert found["modules"]["pfgov_ledger"].startswith(str(pyz))


@pytest.mark.process
def test_the_one_file_judges_every_signature(pyz: Path) -> None:
    """The one-file verifier, without any library, disagrees with the textbook about a signature at an edge."""
    found = alone([pyz], [])
    assert found["signatures"] == [case.is_valid for case in own()]
    assert "cryptography" not in found["modules"]


@pytest.mark.process
def test_the_one_file_tells_its_exit_status(pyz: Path) -> None:
    """The one-file verifier ends with another status than it reports."""
    anchor = str(VECTORS / "anchor.txt")
    golden = str(VECTORS / "golden/v1/full.lineage.jsonl")
    assert pyz_run(pyz, golden, "--key", anchor).returncode == 0
    assert pyz_run(pyz, golden).returncode == 4
    assert pyz_run(pyz, golden, "--no-such-option").returncode == 2
    tampered = str(VECTORS / "tampered/sequence/delete.lineage.jsonl")
    assert pyz_run(pyz, tampered, "--key", anchor).returncode == 1
    cut = str(VECTORS / "tampered/truncated/no_trailer.lineage.jsonl")
    assert pyz_run(pyz, cut, "--key", anchor).returncode == 5


def test_the_one_file_is_built_the_same_twice(pyz: Path, tmp_path: Path) -> None:
    """Two builds of the same sources differ."""
    assert build_pyz.build(tmp_path / "again.pyz").read_bytes() == pyz.read_bytes()


@pytest.mark.process
def test_the_package_runs_with_cryptography_alone(tmp_path: Path) -> None:
    """The copied package needs something besides cryptography to verify the golden files."""
    (tmp_path / "copy").mkdir()
    for source in (ROOT / "ledger" / "pfgov_ledger").glob("*.py"):
        target = tmp_path / "copy" / "pfgov_ledger" / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    site = tmp_path / "site"
    site.mkdir()
    libraries = Path(sysconfig.get_paths()["platlib"])
    for name in libraries.iterdir():
        if name.name.startswith(("cryptography", "cffi", "_cffi_backend", "pycparser")):
            (site / name.name).symlink_to(name)
    found = alone([tmp_path / "copy", site], GOLDEN)
    assert found["reports"] == expected(GOLDEN)
    assert found["modules"]["pfgov_ledger"].startswith(str(tmp_path / "copy"))
    foreign = {
        name
        for name, origin in found["modules"].items()
        if origin.startswith((str(site), str(libraries)))
    }
    assert "cryptography" in foreign
    assert foreign <= {"cryptography", "cffi", "_cffi_backend"}


@pytest.mark.process
def test_the_one_file_knows_a_path_through_a_root(pyz: Path, tmp_path: Path) -> None:
    """The one-file verifier lacks what a path needs, or says something else of it than the package."""
    tenant, root = Tenant("a.example/t").grow(4), MemoryRoot()
    raw = root.path(tenant.prove(2), root.add(tenant.checkpoint()))
    (tmp_path / "anchor.txt").write_text(tenant.anchor.to_text())
    vkey = keys.vkey_of(root.key)
    for number, changed in enumerate((raw, raw.replace(b"index 0", b"index 1"), raw[:-30])):
        file = tmp_path / f"{number}.path"
        file.write_bytes(changed)
        done = pyz_run(
            pyz, str(file), "--key", str(tmp_path / "anchor.txt"), "--via", str(vkey), "--json"
        )
        report = verify(file, anchor=tenant.anchor, via=vkey)
        assert (done.returncode, done.stdout) == (report.exit_status, dumps(report)), done.stderr
        assert report.exit_status == (0 if number == 0 else 1)
