"""An API over a fresh ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import SCOPES, Api
from support.console_api import sign_in


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An API without keys: everybody on this machine is the operator."""
    with Api(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that the tests of a module share: a member, a packet, and keys."""
    with Api(tmp_path_factory.mktemp("api")) as found:
        found.member("m1")
        found.member("m2")
        found.packet("p1")
        found.keys()
        yield found


@pytest.fixture(scope="module")
def signed(shared: Api) -> dict[str, dict[str, str]]:
    """The cookie of each scope."""
    return {scope: sign_in(shared, scope) for scope in SCOPES}
