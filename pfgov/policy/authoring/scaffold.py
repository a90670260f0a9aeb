"""A folder to begin with: a copy of a shipped pack with its tests and fixtures.

Files are copied, never linked: they are the author's from then on.  Nothing is overwritten.
"""

from pathlib import Path

from pfgov.files import make_public, replace_public
from pfgov.policy.files.model import KERNEL
from pfgov.policy.load import shipped_directory, shipped_names
from pfgov.policy.problems import PolicyTargetError, UnknownPackError


def make(target: Path, pack: str = "starter") -> list[Path]:
    """Copy *pack* to *target* and return the files.

    Raises:
        UnknownPackError: There is no such pack.
        PolicyTargetError: *target* holds something already.
        OSError: *target* cannot be written.
    """
    if pack == KERNEL:
        raise UnknownPackError(
            "the kernel policy is in force everywhere: there is nothing to copy",
            hint=f"copy one of: {', '.join(shipped_names())}",
        )
    origin = shipped_directory(pack)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PolicyTargetError(
            f"{target} exists and is not empty",
            hint="name a folder that does not exist yet",
        )
    copied: list[Path] = []
    for path in sorted(origin.rglob("*")):
        if path.is_file() and path.suffix in {".yaml", ".md"}:
            place = target / path.relative_to(origin)
            make_public(place.parent)
            replace_public(place, path.read_bytes())
            copied.append(place)
    return copied
