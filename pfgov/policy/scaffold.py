"""A folder to begin with: a copy of a shipped pack with its tests and fixtures.

Files are copied, never linked: they are the author's from then on.  Nothing is overwritten.
"""

import shutil
from pathlib import Path

from pfgov.errors import PolicyError
from pfgov.policy.load import shipped_directory, shipped_names
from pfgov.policy.model import KERNEL


def make(target: Path, pack: str = "starter") -> list[Path]:
    """Copy *pack* to *target* and return the files.

    Raises:
        PolicyError: There is no such pack (``policy.not_shipped``), or *target* holds something
            already (``policy.exists``).
        OSError: *target* cannot be written.
    """
    if pack == KERNEL:
        raise PolicyError(
            "the kernel policy is in force everywhere: there is nothing to copy",
            code="policy.not_shipped",
            hint=f"copy one of: {', '.join(shipped_names())}",
        )
    origin = shipped_directory(pack)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PolicyError(
            f"{target} exists and is not empty",
            code="policy.exists",
            hint="name a folder that does not exist yet",
        )
    copied: list[Path] = []
    for path in sorted(origin.rglob("*")):
        if path.is_file() and path.suffix in {".yaml", ".md"}:
            place = target / path.relative_to(origin)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            copied.append(place)
    return copied
