"""What counts as time that the processor spent on a piece of work."""

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from pfgov.clock import processor_micros


@pytest.fixture
def walks() -> Iterator[list[int]]:
    """What slow walks of the collector took, in microseconds: each takes at least 20 ms here."""
    taken: list[int] = []

    def slow(phase: str, about: dict[str, int]) -> None:
        if phase == "start" and about["generation"] == 2:
            began = time.thread_time_ns()
            while time.thread_time_ns() - began < 20_000_000:
                pass
            taken.append((time.thread_time_ns() - began) // 1_000)

    gc.callbacks.append(slow)
    yield taken
    gc.callbacks.remove(slow)


def test_a_walk_of_the_collector_is_not_the_work_s(walks: list[int]) -> None:
    """A decision in a program with a large heap is given up, because the collector walked that heap meanwhile."""
    before = processor_micros()
    gc.collect()
    assert processor_micros() - before < walks[0]


def test_each_thread_has_its_own_walks(walks: list[int]) -> None:
    """A walk in one thread is taken off the work of another, which could go on for longer then."""
    before = processor_micros()
    other = threading.Thread(target=gc.collect)
    other.start()
    other.join()
    assert len(walks) == 1
    assert processor_micros() >= before


def test_work_counts() -> None:
    """Time passes for nobody any more."""
    before = processor_micros()
    sum(range(200_000))
    assert processor_micros() > before
