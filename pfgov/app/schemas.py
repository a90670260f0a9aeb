"""The JSON Schemas that are published: of policy files, and of packets as they are submitted.

The same text is printed by ``pfgov policy schema``, lies in the package (``pfgov/schemas``) for editors that want a
file, and is written there by ``make docs``.
"""

import json
from pathlib import Path
from typing import Any

from pfgov.model.packet import schema as packet_schema
from pfgov.policy.authoring.schema import schemas as policy_schemas


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of document, by its name."""
    return {**policy_schemas(), "Packet": packet_schema()}


def texts() -> dict[str, str]:
    """Return the text of each schema's file, by the file's name."""
    return {
        f"{kind.lower()}.schema.json": json.dumps(schema, indent=2) + "\n"
        for kind, schema in schemas().items()
    }


def write(folder: Path) -> list[Path]:
    """Write ``KIND.schema.json`` files to *folder* and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, text in texts().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
