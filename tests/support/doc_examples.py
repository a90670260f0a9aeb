"""Running the examples of a Markdown page, in order, in one workspace.

* ```python`` blocks run in one namespace for the page; those that begin with ``>>>`` are compared as doctests.
* ```console`` blocks: each line that begins with ``$`` is a command of the shell, what follows is its output.  In an
  expected output ``...`` stands for anything, within a line or, alone on a line, for any lines.  A command without
  output only has to succeed; one that has to fail is followed by ``[exit status N]`` as its last line.
* ```yaml file=NAME``, ```json file=NAME`` blocks are written to NAME first.

Everything else is prose.  The workspace holds copies of the two golden inputs.
"""

import contextlib
import doctest
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.region import Lexeme

from support import prefork

ROOT = Path(__file__).parents[2]
SEED = ROOT / "tests" / "data" / "seed"
_FENCE = re.compile(
    r"^```(?P<language>\w+)(?: +file=(?P<file>\S+))? *\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_STATUS = re.compile(r"\[exit status (\d+)\]")
COMMAND_SECONDS_MAX = 120


class DiffersError(AssertionError):
    """An example does not do what the page says."""


def run_page(page: Path, workspace: Path) -> int:
    """Run every example of *page* in *workspace* and return how many there were."""
    for path in SEED.iterdir():
        shutil.copy(path, workspace)
    sybil = Sybil(parsers=[_parse], path=str(page.parent))
    document = sybil.parse(page)
    document.namespace["workspace"] = workspace
    started: list[int] = []
    document.namespace["started"] = started
    before = Path.cwd()
    os.chdir(workspace)
    try:
        examples = list(document.examples())
        for example in examples:
            example.evaluate()
    finally:
        os.chdir(before)
        for group in started:  # or the next run of a page that failed meets the server that it left
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
    return len(examples)


def matches(wanted: str, found: str) -> bool:
    """Whether *found* is what *wanted* says, with ``...`` for anything."""
    parts = [re.escape(part) for part in wanted.strip("\n").split("...")]
    return re.fullmatch("(?s:.*)".join(parts), found.strip("\n")) is not None


def _parse(document: Document) -> Iterable[Region]:
    for found in _FENCE.finditer(document.text):
        body = found["body"]
        if found["file"]:
            yield Region(found.start(), found.end(), (found["file"], body), _write)
        elif found["language"] == "python" and body.startswith(">>>"):
            yield Region(found.start(), found.end(), body, _session)
        elif found["language"] == "python":
            yield Region(found.start(), found.end(), Lexeme(body, 0, 0), PythonEvaluator())
        elif found["language"] == "console":
            yield Region(found.start(), found.end(), body, _console)


def _session(example: Example) -> None:
    """Run ``>>>`` lines and compare what they print."""
    lines = doctest.DocTestParser().get_doctest(
        example.parsed, example.namespace, "example", example.path, example.line
    )
    said = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    if runner.run(lines, out=said.write, clear_globs=False).failed:
        raise DiffersError(said.getvalue())
    example.namespace.update(lines.globs)


def _write(example: Example) -> None:
    name, body = example.parsed
    path = Path(example.namespace["workspace"]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")


def _console(example: Example) -> None:
    for command, wanted in _commands(example.parsed):
        _run(command, wanted, Path(example.namespace["workspace"]), example.namespace["started"])


def _commands(body: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0] + "\n" + line, "")
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def _run(command: str, wanted: str, workspace: Path, started: list[int]) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PFGOV_")}
    env |= {
        "PATH": os.pathsep.join((prefork.program(), str(Path(sys.executable).parent), env["PATH"])),
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in (".", "ledger", "api")),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "TERM": "dumb",
    }
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=workspace,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        started.append(process.pid)
        try:
            said = process.communicate(timeout=COMMAND_SECONDS_MAX)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    status = _STATUS.search(wanted)
    output = _STATUS.sub("", wanted)
    if process.returncode != (int(status.group(1)) if status else 0):
        raise DiffersError(f"$ {command}\nexit status {process.returncode}\n{said}")
    if output.strip() and not matches(output, said):
        raise DiffersError(f"$ {command}\nwanted:\n{output}\nfound:\n{said}")
