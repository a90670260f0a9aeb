"""Every test in a browser has an end."""

from collections.abc import Iterator

import pytest
from support.chromium import bounded


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with bounded():
        yield
