"""The deciding side: the queue, the order of commands, leases and time, and the answers after the commit."""

from pfgov.engine.sequencing.command_queue import CommandQueue, Started, is_light
from pfgov.engine.sequencing.deciding import Decider
from pfgov.engine.sequencing.failing import MismatchError, UnknownOutcomeError, mismatch
from pfgov.engine.sequencing.heartbeats import Heartbeat, HeartbeatResult, hear
from pfgov.engine.sequencing.ports import Ports
from pfgov.engine.sequencing.sequencer import Sequencer
from pfgov.engine.sequencing.ticking import rest

__all__ = [
    "CommandQueue",
    "Decider",
    "Heartbeat",
    "HeartbeatResult",
    "MismatchError",
    "Ports",
    "Sequencer",
    "Started",
    "UnknownOutcomeError",
    "hear",
    "is_light",
    "mismatch",
    "rest",
]
