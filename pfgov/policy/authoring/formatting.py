"""The canonical form of policy files: keys in one order, two spaces, expressions laid out, comments kept.

Only files that load are touched, and only if the formatted text means the same: it is read again and
compared before anything is written.  An expression that is laid out anew is another text, and its set has another
digest; what it says is the same, and that is compared, too.
"""

import io
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pfgov.errors import PolicyError
from pfgov.files import replace_private
from pfgov.policy.cel.layout import laid_out
from pfgov.policy.files.folder import list_folder
from pfgov.policy.files.source import SourceError, plain, read
from pfgov.policy.load import parse_file
from pfgov.policy.problems import PolicyErrors, PolicyFolderError, Problem

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
    folder = list_folder(root)
    for path in sorted((*folder.policies, *folder.tests, *folder.fixtures)):
        problems: list[Problem] = []
        if parse_file(path, problems) is None:
            raise PolicyErrors(problems)
        before = path.read_text(encoding="utf-8")
        after = format_text(before, str(path))
        if after != before:
            changed.append(path)
            if write:
                _rewrite(path.resolve(), after)
    return changed


def _rewrite(path: Path, text: str) -> None:
    """Let *text* be in the file *path* as a whole, or what was there: for the same people as before."""
    mode = stat.S_IMODE(path.stat().st_mode)
    replace_private(path, text.encode())
    path.chmod(mode)


def format_text(text: str, file: str = "policy") -> str:
    """Return the canonical form of one file; what is no mapping has none but its own.

    Raises:
        PolicyError: The formatted text would not mean the same (``policy.format``): nothing to do
            with the author; the file is left as it is.
    """
    import ruamel.yaml

    library: Any = ruamel.yaml  # it is only partly typed
    yaml = library.YAML()
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), _null)
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    if not isinstance(tree, dict):
        return text
    _arrange(tree, "")
    for key in ("rules", "cases", "properties"):
        for item in _items(tree, key):
            _arrange(item, key)
    if "metadata" in tree:
        _arrange(tree["metadata"], "metadata")
    for mapping, key in _expressions(tree):
        mapping[key] = _laid_out(mapping[key])
    out = io.StringIO()
    yaml.dump(tree, out)
    made = _tidy(out.getvalue())
    if not _is_same(text, made, file):
        raise PolicyError(f"{file} cannot be formatted without changing it", code="policy.format")
    return made


def _null(representer: Any, _: None) -> Any:
    """Write what is absent as the word, not as nothing."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


_CONDITIONS: Final = ("when", "require", "deny", "never")


def _expressions(tree: Any) -> Iterator[tuple[Any, str]]:
    """Yield where an expression stands in a file: a mapping and a key of it."""
    for key in ("rules", "properties"):
        for item in _items(tree, key):
            yield from _texts(item, _CONDITIONS)
    yield from _texts(tree.get("variables"), None)


def _items(tree: Any, key: str) -> Sequence[Any]:
    """Return the elements of a list in *tree*; what is none is for ``policy check`` to name."""
    found = tree.get(key)
    return found if isinstance(found, list) else ()  # pyright: ignore[reportUnknownVariableType]


def _texts(mapping: Any, names: Sequence[str] | None) -> Iterator[tuple[Any, str]]:
    """Yield *mapping* with each of *names*, or of all its keys, that has a text."""
    if isinstance(mapping, dict):
        entries = cast("dict[str, object]", mapping)
        for name in names if names is not None else list(entries):
            if isinstance(entries.get(name), str):
                yield mapping, name


def _laid_out(text: Any) -> Any:
    """Return an expression in order, in the style of its scalar; a folded one breaks where it broke."""
    made = laid_out(str(text))
    if made == text:
        return text
    folds = getattr(text, "fold_pos", None)
    if type(text) is str:
        return made
    same = type(text)(made)
    if folds is not None:
        same.fold_pos = _moved(str(text), made, folds)
    return same


def _moved(before: str, after: str, folds: Sequence[int]) -> list[int]:
    """Return the blanks of *after* that follow as many characters as the blanks *folds* of *before* did."""
    wanted = {len(before[:at].replace(" ", "")) for at in folds}
    seen, found = 0, list[int]()
    for at, character in enumerate(after):
        if character != " ":
            seen += 1
        elif seen in wanted:
            found.append(at)
            wanted.discard(seen)
    return found


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
        old, new = (cast("dict[str, Any]", plain(read(text, file))) for text in (before, after))
    except SourceError:
        return False
    for tree in (old, new):
        for mapping, key in _expressions(tree):
            mapping[key] = laid_out(mapping[key])
    return old == new
