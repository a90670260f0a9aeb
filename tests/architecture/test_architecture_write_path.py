"""ARCHITECTURE.md names each step of a submission, and one that is sent passes them in that order, and few others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import api_server
from support.api_server import Api
from support.tracing import Called, Tracer, tracing
from support.writers import threaded

from pfgov.app import loop_bridge

ROOT = Path(__file__).parents[2]
FILES_MAX = 67
"""Files of ours that a submission may pass: who follows one has to open so many."""

_ROW = re.compile(r"^\| (\d+) \| `([^`]+)` \| `([^`]+)` \| .+ \|$", re.MULTILINE)


def steps() -> list[Called]:
    """What ARCHITECTURE.md says, in its order."""
    rows = _ROW.findall((ROOT / "ARCHITECTURE.md").read_text())
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    return [Called(file, name) for _, file, name in rows]


def functions(file: str) -> set[str]:
    """The qualified names of what is defined at the top of a file, and in its classes."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        inside = [node] if not isinstance(node, ast.ClassDef) else node.body
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + n.name for n in inside if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return found


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Tracer]]:
    """A server as it runs, in this process: the writer is a thread here, or its calls would not be seen."""
    with pytest.MonkeyPatch.context() as patch, tracing() as tracer:
        patch.setattr(loop_bridge, "TURN_SECONDS", 60.0)  # being watched is slow
        opened = api_server.opened
        patch.setattr(
            api_server,
            "opened",
            lambda *given, **options: opened(
                *given, committing="process", start_writer=threaded(lambda *_: None), **options
            ),
        )
        with Api(tmp_path_factory.mktemp("traced")) as api:
            api.member("m1")
            api.member("m2")
            api.keys()
            for number in range(3):
                api.packet(f"before-{number}")
            yield api, tracer


def _submit(api: Api, packet_id: str) -> None:
    body = {
        "packet_id": packet_id,
        "workload_type": packet_id,  # of a kind that was not judged before
        "context_checkpoint": {"step": "one"},
    }
    headers = {"Idempotency-Key": packet_id}
    answer = api.post("/api/packets", body, scope="operator", headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("step", steps(), ids=lambda step: f"{step.file}:{step.name}")
def test_each_step_is_there(step: Called) -> None:
    """ARCHITECTURE.md names a file or function that does not exist."""
    assert step.name in functions(step.file)


def test_a_submission_takes_the_steps_in_order(traced: tuple[Api, Tracer]) -> None:
    """A submission does something else than ARCHITECTURE.md says, or in another order."""
    api, tracer = traced
    with tracer.recording() as calls:
        _submit(api, "in-order")
    at = 0
    for step in steps():
        assert step in calls, f"{step} is not passed at all"
        assert step in calls[at:], f"{step} comes before the step above it"
        at = calls.index(step, at)


def test_a_submission_passes_few_files(traced: tuple[Api, Tracer]) -> None:
    """Whoever follows a submission has to open more files than agreed."""
    api, tracer = traced
    with tracer.recording():
        _submit(api, "few-files")
    assert len(tracer.files) <= FILES_MAX, "\n".join(sorted(tracer.files))


def test_a_late_write_is_refused_where_it_is_said(traced: tuple[Api, Tracer]) -> None:
    """A write under an epoch that is over is refused elsewhere than ARCHITECTURE.md says."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.search(r"\*\*A late write is refused\*\* in `([^`]+)`, `([^`]+)`", text)
    assert named is not None
    api, tracer = traced
    _submit(api, "late")
    stale = {**api.claim("late"), "epoch": 0}
    with tracer.recording() as calls:
        answer = api.post("/api/packets/late/complete", stale, scope="operator")
    assert answer.json()["code"] == "ownership.stale_epoch", answer.text
    assert Called(*named.groups()) in calls
    assert Called("pfgov/engine/answers.py", "Request.answer") in calls


def test_a_larger_fleet_is_judged_by_classes(traced: tuple[Api, Tracer]) -> None:
    """From eight members on the verdict is taken elsewhere than ARCHITECTURE.md says."""
    api, tracer = traced
    for number in range(3, 12):
        api.member(f"m{number}")
    with tracer.recording() as calls:
        _submit(api, "by-classes")
    assert Called("pfgov/core/decide/judging.py", "judge") in calls
    assert Called("pfgov/policy/judging/fleet.py", "Fleet.kinds") in calls
