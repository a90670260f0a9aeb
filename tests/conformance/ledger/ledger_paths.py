"""Writes ``ledger/vectors/paths.json``: paths through a root that hold, and broken ones, for whoever writes a verifier.

``python -m conformance.ledger.ledger_paths`` in the folder ``tests``; the bytes are the same each time.
"""

import json
from pathlib import Path
from typing import Any, Final

from support.paths import BROKEN, WITNESS, World

from pfgov_ledger import keys

PATH: Final = Path(__file__).parents[3] / "ledger" / "vectors" / "paths.json"


def made() -> dict[str, Any]:
    """The file's content."""
    world = World()
    signed = world.root.note(WITNESS)
    good = [
        {
            "ledger": tenant.origin,
            "seq": seq,
            "path": world.root.path(tenant.prove(seq), index, signed).decode(),
        }
        for tenant, index in ((world.a, 3), (world.b, 1))
        for seq in range(tenant.tree.size)
    ]
    broken: list[dict[str, Any]] = []
    for name, (make, codes) in BROKEN.items():
        world = World()
        raw = make(world)
        broken.append(
            {"about": name, "ledger": world.a.origin, "path": raw.decode(), "fails": codes}
        )
    world = World()
    return {
        "root": str(world.vkey),
        "witness": str(keys.vkey_of(WITNESS)),
        "anchors": {one.origin: one.anchor.to_text() for one in (world.a, world.b)},
        "good": good,
        "broken": broken,
    }


def text() -> str:
    """The same as it is written."""
    return json.dumps(made(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
