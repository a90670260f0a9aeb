"""An engine from before semantics 4, as far as orders go: what came in unsorted stayed so until it was loaded again."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def older_engine(monkeypatch: pytest.MonkeyPatch, *, semantics: int = 3) -> Generator[None]:
    """Plant the old fault for as long as the block runs; ledgers created meanwhile follow rules *semantics*."""
    with monkeypatch.context() as patch:
        plant(patch)
        patch.setattr("pfgov.engine.engine.SEMANTICS", semantics)
        yield


def plant(patch: pytest.MonkeyPatch) -> None:
    """Take the one order away, where commands come in and where they are folded."""
    patch.setattr("pfgov.engine.answers.canonical", _same)
    patch.setattr("pfgov.core.apply.members.in_order", dict)


def _same(value: Any) -> Any:
    return value
