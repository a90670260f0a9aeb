"""Every test in a browser has an end, and one that was given a page fails where something went wrong with it."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.chromium import bounded
from support.console_look import Look


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with bounded():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Iterator[None]:
    """Look at what went wrong with its page as a part of the test: after it, it is an error beside a failure."""
    result = yield
    for one in pyfuncitem.funcargs.values():
        if isinstance(one, Look) and one.is_checked:
            assert one.wrong == []
    return result
