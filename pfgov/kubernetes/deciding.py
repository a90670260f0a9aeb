"""What is to be done, from what is seen: pure, and the same again until it is done."""

from pfgov.kubernetes.actions import Action
from pfgov.kubernetes.deciding_members import decide_members
from pfgov.kubernetes.deciding_pods import decide_pods, pair
from pfgov.kubernetes.mirroring import decide_mirrors
from pfgov.kubernetes.seen import Seen


def decide(seen: Seen) -> list[Action]:
    """Return what is to be done: members first, so that a pod finds them; mirrors last, since nobody waits for them."""
    pairing = pair(seen)
    return [*decide_members(seen), *decide_pods(seen, pairing), *decide_mirrors(seen, pairing)]
