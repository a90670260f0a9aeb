"""A policy set as people and programs are shown it: its digest, its policies and where each rule is asked.

The canonical document is another thing: that is what a digest is of.
"""

from typing import Any

from pfgov.policy.policyset import PolicySet


def set_view(found: PolicySet) -> dict[str, Any]:
    """Return *found* as it is shown."""
    return {
        "digest": found.digest,
        "points": sorted(str(point) for point in found.points),
        "policies": [
            {
                "name": one.name,
                "version": one.version,
                "mode": one.mode,
                "description": one.description,
                "rules": [
                    {"id": rule.id, "on": sorted(str(point) for point in rule.on)}
                    for rule in one.rules
                ],
            }
            for one in found.bundle.policies
        ],
    }
