"""The border: wire models that turn JSON (or a YAML tree) into the frozen actions of :mod:`pfgov.commands`.

:mod:`~pfgov.model.reader` reads hostile bytes, :func:`~pfgov.model.border.parse` checks a tree against a model and
says everything that is wrong with it, and each model's ``to_action`` returns what the engine may trust.  Nothing
here reads the state, the clock or a disk.
"""

from pfgov.model.border import Wire, parse, parse_json
from pfgov.model.member import (
    CapabilityOffer,
    MemberRegistration,
    MemberUpdate,
)
from pfgov.model.packet import FlightPacket, PacketUpdate
from pfgov.model.reader import Json, check_tree, read_json, write_json

__all__ = [
    "CapabilityOffer",
    "FlightPacket",
    "Json",
    "MemberRegistration",
    "MemberUpdate",
    "PacketUpdate",
    "Wire",
    "check_tree",
    "parse",
    "parse_json",
    "read_json",
    "write_json",
]
