"""Settings for the whole suite: how long Hypothesis searches, what the collector walks, whether compiled modules are
kept, where temporary files go, and which processes coverage leaves alone.

``PFGOV_LONG=1`` (``make test-long``) tries every example of a property, and ``make test`` a quarter of them.
``PFGOV_FUZZ=1`` (``make fuzz``) searches longer still and from a new seed each time; otherwise a run is the same every
time, so that a red build is about the change and not about luck.  Tests marked ``unmeasured`` look at what a process
imports or how large it grows, so coverage must not ride along in the processes they start.
"""

import gc
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support import temporary_folder
from support.searching import FUZZ, examples

settings.register_profile(
    "same",
    max_examples=examples(100),
    deadline=None,  # a busy machine is not a failure
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=5_000,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("fuzz" if FUZZ else "same")

# Images of containers often set it.  The suite starts hundreds of interpreters; each would compile 300 modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

FOLDER = temporary_folder.make()  # before pytest asks where to write; its workers find TMPDIR set


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every property, so that the long run finds what the short one searched only in part."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.searched)


def pytest_collection_finish() -> None:
    """Keep thousands of tests out of the collector's way: one walk of them takes a quarter of a second."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(exitstatus: int) -> Iterator[None]:
    """Give the memory back; what a failed run wrote is kept until the next one."""
    yield
    if FOLDER is not None and exitstatus == pytest.ExitCode.OK:
        temporary_folder.give_back(FOLDER)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Say where a failed run left what it wrote."""
    if FOLDER is not None and exitstatus != pytest.ExitCode.OK:
        terminalreporter.write_line(f"what the tests wrote is in {FOLDER} until the next run")


@pytest.fixture(autouse=True)
def _unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("unmeasured") is not None:
        for name in [name for name in os.environ if name.startswith("COV")]:
            monkeypatch.delenv(name)
