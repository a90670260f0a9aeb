"""Servers share ledgers out evenly, all alike from the same list, and move no more than they must."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pfgov.app.tenancy.claims import Claims
from pfgov.app.tenancy.limits import SERVER_SILENT_SECONDS, SERVERS_MAX
from pfgov.errors import StoreUnavailableError
from pfgov.storage.leading import Node

ADDRESSES = st.sets(
    st.from_regex(r"https?://[a-zA-Z0-9.\[\]:-]{1,20}:[0-9]{1,5}", fullmatch=True)
    | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    min_size=1,
    max_size=6,
)
NAMES = [f"tenant-{i}" for i in range(60)]


def node(address: str, *, silent: float = 0.1, draining: bool = False) -> Node:
    """A server of the default ledger."""
    return Node(address, "process 1 on x", False, 1, 9, 0, silent, draining)


def shared(addresses: list[str]) -> dict[str, dict[str, str | None]]:
    """Which server each of these takes to be that of each ledger."""
    found = {}
    for address in addresses:
        claims = Claims(address, lambda: [node(one) for one in addresses])
        claims.refresh()
        found[address] = {name: claims.server_of(name) for name in NAMES}
        assert [name for name in NAMES if claims.is_ours(name)] == [
            name for name, at in found[address].items() if at == address
        ]
    return found


@given(ADDRESSES, st.randoms())
def test_servers_agree_and_move_no_more_than_they_must(addresses: set[str], random: object) -> None:
    """Two servers want one ledger, or nobody does; or a server that leaves moves ledgers that were never its own."""
    listed = sorted(addresses)
    getattr(random, "shuffle")(listed)  # noqa: B009 - hypothesis' own
    before = shared(listed)
    assert len({tuple(one.items()) for one in before.values()}) == 1
    at = before[listed[0]]
    assert set(at.values()) <= addresses
    if len(listed) == 1:
        return
    gone, *rest = listed
    after = shared(rest)[rest[0]]
    assert {name for name in NAMES if at[name] != after[name]} == {
        name for name in NAMES if at[name] == gone
    }


def test_servers_have_like_shares() -> None:
    """One server is to have most of the ledgers."""
    addresses = [f"http://10.0.0.{i}:8080" for i in range(1, 6)]
    claims = Claims(addresses[0], lambda: [node(one) for one in addresses])
    claims.refresh()
    shares = Counter(claims.server_of(f"tenant-{i}") for i in range(10_000))
    assert set(shares) == set(addresses)
    assert all(1_800 < share < 2_200 for share in shares.values()), shares


def test_servers_that_are_silent_or_leave_have_none() -> None:
    """A dead server's ledgers are led by nobody; or one that was told to leave takes more."""
    there = [node("a"), node("b", silent=SERVER_SILENT_SECONDS + 0.1), node("c", draining=True)]
    claims = Claims("a", lambda: there)
    assert claims.refresh()
    assert not claims.refresh()
    assert claims.servers == {"a"}
    assert all(map(claims.is_ours, NAMES))
    there[0] = node("a", draining=True)
    assert claims.refresh()
    assert claims.servers == frozenset()
    assert not any(map(claims.is_ours, NAMES))
    there[2] = node("c")
    assert claims.refresh()
    assert {claims.server_of(name) for name in NAMES} == {"c"}
    assert not any(map(claims.is_ours, NAMES))


def test_servers_are_so_many() -> None:
    """A database with a thousand rows of servers keeps each server busy; or two take another choice of these."""
    addresses = [f"http://10.0.{i // 256}.{i % 256}:8080" for i in range(1_000)]
    found = []
    for listed in (addresses, addresses[::-1]):
        claims = Claims(addresses[0], lambda listed=listed: [node(one) for one in listed])  # type: ignore[misc]
        claims.refresh()
        found.append(claims.servers)
    assert found[0] == found[1]
    assert len(found[0]) == SERVERS_MAX


def test_servers_that_cannot_be_asked_for_are_as_they_were() -> None:
    """A database that is away for a moment has every server take every ledger."""
    is_away = False

    def nodes() -> list[Node]:
        if is_away:
            raise StoreUnavailableError("away")
        return [node("a"), node("b")]

    claims = Claims("a", nodes)
    claims.refresh()
    before = [claims.server_of(name) for name in NAMES]
    is_away = True
    assert not claims.refresh()
    assert [claims.server_of(name) for name in NAMES] == before


def test_servers_that_know_of_no_others_take_what_they_are_asked_for() -> None:
    """A server whose default ledger is in a file has no ledger of a database."""
    claims = Claims("a")
    assert not claims.refresh()
    assert all(map(claims.is_ours, NAMES))
    assert claims.server_of("x") is None
