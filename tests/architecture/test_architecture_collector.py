"""What decision record 0019 promises: what lives for long is not walked by the collector."""

import gc

import msgspec
import pytest

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core import records
from pfgov.engine import Receipt


def _all(kind: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    return {kind}.union(*(_all(sub) for sub in kind.__subclasses__()))


def _kinds() -> list[type[msgspec.Struct]]:
    kinds = {Receipt, *_all(c.Action), *_all(c.Part), *_all(e.Event)}
    own = (one for one in vars(records).values() if isinstance(one, type))
    kinds |= {one for one in own if issubclass(one, msgspec.Struct)}
    return sorted(kinds, key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__qualname__)
def test_architecture_the_collector_does_not_track(kind: type[msgspec.Struct]) -> None:
    """A record, event or command that is tracked makes every collection longer, for as long as it lives."""
    assert kind.__struct_config__.gc is False


def test_architecture_a_packet_in_memory_is_not_tracked() -> None:
    """The setting says what it seems to say."""
    assert not gc.is_tracked(e.Owner(member_id="m", incarnation=1))
