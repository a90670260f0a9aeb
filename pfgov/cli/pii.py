"""``pfgov pii``: see what would be found in a context or a file, before it is handed in.

Nothing is sent, recorded or kept, and what was found is not printed: only its class, and how often.
"""

import sys
from pathlib import Path
from typing import Final

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb

pii: Final = Nouns(
    "pii",
    help="Look for personal data and secrets, by the detectors that look through contexts.",
    examples=("pfgov pii scan context.json", "pfgov pii classes"),
    then="what is found and what is not: docs/reference/personal-data.md",
)
"""``pfgov pii``."""


@verb(
    pii,
    "scan",
    examples=(
        "pfgov pii scan context.json",
        "pfgov pii scan notes.txt --expect nothing",
    ),
    then="declare what no pattern finds, such as names: pfgov packet submit --data-class pii.name",
    files=FILES,
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--detector",
    "detectors",
    multiple=True,
    metavar="NAME",
    help="Ask this one, too; repeatable. By default those in PFGOV_DETECTORS.",
)
@click.option(
    "--expect",
    type=click.Choice(["nothing"]),
    help="Exit with 1 if anything is found.",
)
def scan_file(output: Output, file: Path, detectors: tuple[str, ...], expect: str | None) -> int:
    """Say which classes of data FILE holds, and how often each.

    A JSON document is read as a context is; any other file as one text in UTF-8.  What cannot be looked through is
    pii.unknown, as it is at submission.
    """
    from pfgov.core.wording import counted
    from pfgov.labelling import COUNT_MAX, chosen, scan
    from pfgov.limits import CONTEXT_BYTES_MAX

    plug_ins = chosen(detectors or None)
    if str(file) == "-":
        payload = sys.stdin.buffer.read(CONTEXT_BYTES_MAX + 1)
    elif file.is_file():
        with file.open("rb") as opened:
            payload = opened.read(CONTEXT_BYTES_MAX + 1)
    else:
        raise click.BadParameter(f"{file} is no file that can be read", param_hint="FILE")
    found = scan(
        payload, plug_ins, count_max=COUNT_MAX, is_json=payload.lstrip()[:1] in {b"{", b"["}
    )
    lines = [
        f"{name}  {'at least ' if times >= COUNT_MAX else ''}{counted(times, 'time')}"
        for name, times in found.counts.items()
    ]
    if found.why is not None:
        lines.append(f"not all of it could be looked through: {found.why}")
    output.show(
        {
            "file": str(file),
            "detectors": list(found.detectors),
            "classes": dict(found.counts),
            "unreadable": found.why,
        },
        *(lines or [f"nothing was found by {', '.join(found.detectors)}"]),
    )
    return 1 if expect == "nothing" and found.counts else 0


@verb(pii, "classes", examples=("pfgov pii classes",), then="pfgov pii scan FILE", files=FILES)
def list_classes(output: Output) -> int:
    """List the classes that the patterns can find."""
    from pfgov.labelling import CLASSES

    output.show({"classes": list(CLASSES)}, *CLASSES)
    return 0
