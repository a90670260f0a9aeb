"""Whatever starts Python starts it on a safe path: nothing is imported from the folder that somebody stands in."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.ledgers import fresh, opened, packet, register, submit

from pfgov import interpreter

ROOT = Path(__file__).resolve().parents[3]
SHADOWED = ("queue", "zlib_", "secrets", "msgspec", "pickle", "sqlite3", "click", "json")


def _hostile(folder: Path) -> Path:
    """Fill *folder* with modules that leave a mark when they are imported."""
    folder.mkdir()
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'ran')!r}, 'a').write({name!r})\nraise SystemExit(0)\n"
        )
    return folder


@pytest.mark.process
def test_interpreter_the_writer_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``queue.py`` in the folder that the engine stands in does not run beside the signing keys."""
    directory, here = fresh(tmp_path), _hostile(tmp_path / "here")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend("")
    monkeypatch.setattr(sys, "path", [str(here), "", ".", *sys.path])
    with opened(directory, committing="process") as engine:
        register(engine, "m")
        assert submit(engine, packet("p")).count == 2
    assert not (here / "ran").exists()


@pytest.mark.process
def test_interpreter_what_a_child_starts_has_a_safe_path_too() -> None:
    """A child's own child is started by a library, which knows nothing of ``-P``."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.flags.safe_path)"],
        env=interpreter.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"


@pytest.mark.process
def test_interpreter_the_command_line_imports_nothing_from_the_current_folder(
    tmp_path: Path,
) -> None:
    """``python -m pfgov.cli`` leaves the current folder before it imports anything more."""
    here = _hostile(tmp_path / "here")
    paths = [str(ROOT), str(ROOT / "ledger"), str(ROOT / "api")]
    environment = {**interpreter.environment(), "PYTHONPATH": ":".join([*paths, *sys.path])}
    del environment["PYTHONSAFEPATH"]
    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", "status", "--dir", str(tmp_path / "none")],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "store.missing" in done.stderr
    assert (done.returncode, (here / "ran").exists()) == (4, False)


def test_interpreter_keeps_what_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative folders and the current one go, others stay, and so does a checkout that one stands in."""
    monkeypatch.chdir(tmp_path)
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert interpreter.safe_path(["", ".", "lib", str(tmp_path), str(link), "/usr/lib"]) == [
        "/usr/lib"
    ]
    monkeypatch.chdir(interpreter.HOME)
    assert interpreter.safe_path([str(interpreter.HOME), ""]) == [str(interpreter.HOME)]
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert interpreter.safe_path(["/usr/lib", ""]) == ["/usr/lib"]


def test_interpreter_is_the_only_one_who_starts_python() -> None:
    """No product module but that one names ``sys.executable``: a second way to start Python would not be safe."""
    found = [
        str(path.relative_to(ROOT))
        for top in ("pfgov", "api/pfgov_api", "ledger/pfgov_ledger")
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "executable"
    ]
    assert found == ["pfgov/interpreter.py"]
