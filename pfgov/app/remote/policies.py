"""A folder of policies as the API takes it: names without folders, and texts.  Nothing is compiled here."""

from pathlib import Path

from pfgov.files import read_regular


def policy_files(directory: Path) -> dict[str, str]:
    """Return the policy files below a folder, each under one name without folders, as the API takes them."""
    from pfgov.policy.files.folder import list_folder

    found: dict[str, str] = {}
    for path in list_folder(directory).policies:
        suffix = "".join(path.suffixes[-1:])
        found[f"{len(found):02}{suffix}"] = read_regular(path).decode("utf-8", errors="replace")
    return found
