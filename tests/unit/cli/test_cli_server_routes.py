"""Where a command goes when it goes to a server."""

import pytest

from pfgov.app.remote.routes import MEMBER, PACKET, Route
from pfgov.errors import NotFoundError


@pytest.mark.parametrize("name", ["a/b", "", ".", "..", "a b", "a?x=1", "a%2fb", "x" * 129, "é"])
def test_cli_server_a_name_that_cannot_be_an_id_is_not_found(name: str) -> None:
    """What no packet or member can be called leads to no other path: over a folder it is not found, so here, too."""
    with pytest.raises(NotFoundError) as packet:
        Route("GET", PACKET).about(packet_id=name)
    with pytest.raises(NotFoundError) as member:
        Route("GET", MEMBER).about(name)
    assert (packet.value.code, member.value.code) == ("packet.not_found", "member.not_found")


def test_cli_server_an_id_is_a_part_of_the_path() -> None:
    """Every character of an id stands in a path as it is."""
    assert Route("GET", PACKET).about(packet_id="a:b@c~d.e-f_G") == "/api/packets/a:b@c~d.e-f_G"
