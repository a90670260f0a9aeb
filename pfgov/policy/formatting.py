"""The canonical form of policy files: keys in one order, two spaces, comments kept.

Only files that load are touched, and only if the formatted text means the same: it is read again and
compared before anything is written.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pfgov.errors import PolicyError
from pfgov.policy.load import parse_file, yaml_files
from pfgov.policy.problems import PolicyErrors, PolicyFolderError, Problem
from pfgov.policy.source import SourceError, plain, read

_WIDTH: Final = 10_000
"""Lines are never wrapped: a folded expression would be another text, hence another digest."""

_ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "apiVersion",
        "kind",
        "metadata",
        "policy",
        "now",
        "on",
        "mode",
        "imports",
        "params",
        "variables",
        "rules",
        "cases",
        "properties",
        "packets",
        "members",
        "principals",
    ),
    "metadata": ("name", "version", "description"),
    "rules": ("id", "on", "when", "require", "deny", "escalate", "message", "obligations"),
    "cases": (
        "name",
        "action",
        "packet",
        "source",
        "principal",
        "members",
        "reason",
        "now",
        "expect",
    ),
    "properties": ("name", "on", "monotone", "direction", "never", "runs", "seed"),
}
"""The order of keys at the top and inside the named lists."""


def format_directory(root: Path, *, write: bool) -> list[Path]:
    """Format every YAML file below *root*, fixtures included; return those that change.

    Raises:
        PolicyErrors: A file is not acceptable YAML.
        PolicyError: There is no such folder.
        OSError: A file cannot be written.
    """
    if not root.is_dir():
        raise PolicyFolderError(f"there is no folder {root}")
    changed: list[Path] = []
    for path in sorted({*yaml_files(root), *root.rglob("fixtures/*.yaml")}):
        problems: list[Problem] = []
        if parse_file(path, problems) is None:
            raise PolicyErrors(problems)
        before = path.read_text(encoding="utf-8")
        after = format_text(before, str(path))
        if after != before:
            changed.append(path)
            if write:
                path.write_text(after, encoding="utf-8")
    return changed


def format_text(text: str, file: str = "policy") -> str:
    """Return the canonical form of one file.

    Raises:
        PolicyError: The formatted text would not mean the same (``policy.format``): nothing to do
            with the author; the file is left as it is.
    """
    import ruamel.yaml

    library: Any = ruamel.yaml  # it is only partly typed
    yaml = library.YAML()
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    _arrange(tree, "")
    for key in ("rules", "cases", "properties"):
        for item in tree.get(key) or ():
            _arrange(item, key)
    if "metadata" in tree:
        _arrange(tree["metadata"], "metadata")
    out = io.StringIO()
    yaml.dump(tree, out)
    made = _tidy(out.getvalue())
    if not _is_same(text, made, file):
        raise PolicyError(f"{file} cannot be formatted without changing it", code="policy.format")
    return made


def _arrange(mapping: Any, name: str) -> None:
    """Move the known keys to their places; comments travel with their keys."""
    order = _ORDERS[name]
    if not hasattr(mapping, "move_to_end"):
        return
    known = [key for key in order if key in mapping]
    if known != [key for key in mapping if key in known]:
        for key in [*known, *(key for key in list(mapping) if key not in known)]:
            mapping.move_to_end(key)


def _tidy(text: str) -> str:
    lines: Sequence[str] = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).rstrip("\n") + "\n"


def _is_same(before: str, after: str, file: str) -> bool:
    try:
        return plain(read(before, file)) == plain(read(after, file))
    except SourceError:
        return False
