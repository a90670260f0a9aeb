"""Everything is in the wheel, by every way it can be built, and works from there.

The builds use the backend that is installed, so no network is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pfgov.app import schemas

ROOT = Path(__file__).parents[2]
PACKAGES = {"pfgov": "pfgov", "ledger/pfgov_ledger": "pfgov_ledger", "api/pfgov_api": "pfgov_api"}
LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    "*cache*",
    ".hypothesis",
    ".coverage*",
    "htmlcov",
    "dist",
    "build",
    ".pfgov",
    ".mirror",
)

pytestmark = pytest.mark.process


def run(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """The standard output of a command that succeeds."""
    env = {  # a copy of the tree is not what coverage should measure
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("COV")
    }
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    """Build *target* (``wheel`` or ``sdist``) of *source* and return the one file in *folder*."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder), cwd=source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, so that a build cannot see or leave anything else."""
    copy = tmp_path_factory.mktemp("source") / "pfgov"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree."""
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the tree."""
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files, as an installer lays them out."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def expected(source: Path) -> set[str]:
    """What a wheel of *source* has to hold, besides its metadata."""
    wanted = {
        f"{name}/{path.relative_to(source / folder).as_posix()}"
        for folder, name in PACKAGES.items()
        for path in (source / folder).rglob("*")
        if path.is_file()
    }
    policies = source / "policies"
    wanted.add("pfgov_api/console/static/verify.html")  # the page of ledger/, served by the console
    return wanted | {
        f"pfgov/_policies/{path.relative_to(policies).as_posix()}"
        for path in policies.rglob("*")
        if path.is_file()
    }


def contents(wheel: Path) -> dict[str, int]:
    """The files of a wheel with their checksums."""
    return {info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()}


def test_the_wheel_holds_everything_and_nothing_else(source: Path, wheel: Path) -> None:
    """Every module, type marker and policy is in the wheel; tests, docs and caches are not."""
    found = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert found == expected(source)
    assert {"pfgov/py.typed", "pfgov_ledger/py.typed", "pfgov_api/py.typed"} <= found


def test_the_wheel_has_the_schemas(wheel: Path) -> None:
    """An editor that looks into the installed package finds no schema of policy files, or an old one."""
    archive = zipfile.ZipFile(wheel)
    for name, text in schemas.texts().items():
        assert archive.read(f"pfgov/schemas/{name}").decode() == text


def test_the_wheel_has_its_licence_and_commands(wheel: Path) -> None:
    """The licence travels along, and both commands and all schedulers are registered."""
    archive = zipfile.ZipFile(wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert archive.read(licence).startswith(b"\n                                 Apache License")
    (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    text = archive.read(points).decode()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, target in {
        **settings["scripts"],
        **settings["entry-points"]["pfgov.schedulers"],
        **settings["entry-points"]["pfgov.recomputers"],
    }.items():
        assert f"{name} = {target}" in text


def test_a_wheel_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """Building by way of the source distribution gives the same files, byte for byte."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build("wheel", unpacked, tmp_path / "again")
    assert contents(again) == contents(wheel)


def test_the_sdist_can_test_itself(sdist: Path) -> None:
    """The source distribution has the tests, the golden data and the Makefile."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "Makefile",
        "constraints.txt",
        "tests/README.md",
        "tests/data/seed/packet.json",
    } <= names


def test_policies_are_found_in_a_wheel(site: Path, tmp_path: Path) -> None:
    """An installed package reads the policies that came with it."""
    code = (
        "import pfgov.policy.load as load; print(load.__file__);"
        "print(load.shipped_directory('kernel')); print(load.shipped_directory('starter'))"
    )
    lines = run(sys.executable, "-c", code, cwd=tmp_path, path=site).splitlines()
    assert [line for line in lines if not line.startswith(str(site))] == []
    assert lines[1:] == [str(site / "pfgov" / "_policies" / name) for name in ("kernel", "starter")]


def test_policies_are_found_in_a_checkout(source: Path, tmp_path: Path) -> None:
    """A checkout (or an editable install, which is one) reads its own ``policies/``."""
    code = "import pfgov.policy.load as load; print(load.shipped_directory('kernel'))"
    path = os.pathsep.join([str(source), str(source / "ledger")])
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=Path(path)).strip() == str(
        source / "policies" / "kernel"
    )


def test_the_kernel_loads_from_a_wheel(site: Path, tmp_path: Path) -> None:
    """The installed kernel policy is the one that this release was made with."""
    code = "from pfgov.policy.load import kernel_policy; print(kernel_policy().name)"
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=site).strip() == "kernel"


LIGHT = {
    "pfgov_ledger.__main__": (
        "pfgov",
        "pydantic",
        "celpy",
        "litestar",
        "sqlite_utils",
        "rich_click",
        "orjson",
    ),
    "pfgov.cli": ("litestar", "celpy", "uvicorn", "schemathesis"),
}
"""Module -> what it may not have imported before it has anything to do."""


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_asking_for_help_imports_little(module: str, site: Path, tmp_path: Path) -> None:
    """``--help`` of each command is answered without the heavy dependencies."""
    code = (
        f"import sys, importlib; main = importlib.import_module({module!r}).main; sys.argv = ['x', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('loaded:', [name for name in {LIGHT[module]!r} if name in sys.modules])"
    )
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=site).splitlines()[-1] == "loaded: []"


WORKER = """
import json
import sys

ALLOWED = {allowed!r}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"a worker would need {{name}}", name=name)

sys.meta_path.insert(0, Blocked())
before = len(sys.modules)
import pfgov.client
from pfgov.client import AsyncClient, Client, Worker
loaded = len(sys.modules) - before
without_http = "httpx2" not in sys.modules
import httpx2
from pfgov_ledger.verify import verify
answer = httpx2.MockTransport(lambda _: httpx2.Response(200, json={{"packet_id": "p"}}))
with Client("http://localhost", transport=answer) as client:
    found = client.packet("p")
Worker(AsyncClient("http://localhost"), {{"id": "w", "type": "worker"}})
print(json.dumps([loaded, without_http, found]))
"""

NEEDED = ("cryptography", "httpx2")
"""What a worker installs beside pfgov itself; docs/reference/client.md says so."""

MODULES_MAX = 260
"""Modules that importing the client loads, most of them the standard library's."""


def _installed_with(*names: str) -> set[str]:
    """The distributions that come with *names*, by their normal names."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        wanted = [Requirement(one) for one in metadata.requires(name) or ()]
        waiting += [
            canonicalize_name(one.name)
            for one in wanted
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return found


def test_a_worker_needs_nothing_of_the_server(site: Path, tmp_path: Path) -> None:
    """A worker from a wheel needs more than httpx2 and cryptography, or its import loads far more than it uses."""
    installed = _installed_with(*NEEDED)
    packages = {
        package
        for package, names in metadata.packages_distributions().items()
        if any(canonicalize_name(name) in installed for name in names)
    }
    allowed = {"pfgov", "pfgov_ledger", *packages, *sys.stdlib_module_names}
    said = run(sys.executable, "-c", WORKER.format(allowed=allowed), cwd=tmp_path, path=site)
    loaded, without_http, found = json.loads(said)
    assert loaded <= MODULES_MAX
    assert without_http
    assert found == {"packet_id": "p"}
