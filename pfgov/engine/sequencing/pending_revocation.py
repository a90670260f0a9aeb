"""Whether what a packet's owner and its pending target have would survive the next tick.

Follow-ups take things away a moment after the change that calls for it.  Whoever is about to be shown something asks
here first, so that nobody reads meanwhile what policy denies already.  Nothing is recorded and nothing moves.
"""

from pfgov.core import commands as c
from pfgov.core.decide import takings
from pfgov.engine.sequencing.sequencer import Sequencer


def no_revocation_pending(sequencer: Sequencer, packet_id: str) -> bool:
    """Return whether nothing is due that takes *packet_id*, or a part of what it may read, from anybody.

    Raises:
        PfgovError: ``store.*``, the state cannot be loaded.
    """
    decider = sequencer.decider
    state = decider.state
    packet = state.packets.get(packet_id)
    if packet is None:
        return True
    now = sequencer.now()
    return not any(
        decider.dry_run(action, c.ENGINE, now).events
        for action in takings(state, packet, now, is_timed=decider.is_timed)
    )
