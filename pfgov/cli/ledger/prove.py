"""``pfgov ledger prove``: one entry with its proof, a small text file that anybody can check against the anchor.

The server hands out the same bytes: a C2SP tlog-proof whose ``extra`` line carries the entry and signature.
What the format says is the ledger package's business.
"""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger


@verb(
    ledger,
    "prove",
    examples=(
        "pfgov ledger prove 4 --out entry-4.tlog-proof",
        "pfgov-verify entry-4.tlog-proof --key .pfgov/anchor.txt",
    ),
    then="a whole history instead of one entry: pfgov ledger export --subject packet/fp-001 --fresh",
)
@click.argument("seq", type=click.IntRange(min=0))
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; standard output by default.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def prove(output: Output, seq: int, out: Path | None, force: bool) -> int:
    """Prove that the entry at position SEQ is in the signed log."""
    from pfgov.cli.opening import reading
    from pfgov.cli.writing import target
    from pfgov_ledger import checkpoint, note, proof

    is_file = out is not None and str(out) != "-"
    if out is not None and is_file and out.exists() and not force:
        raise click.BadParameter(f"{out} exists; --force replaces it", param_hint="--out")
    with reading(output) as book:
        raw, anchor = book.proof(seq), book.anchor_path
    stated = checkpoint.parse_text(note.split(proof.parse(raw).checkpoint)[0])
    if out is None or not is_file:
        if output.json:
            output.emit({"seq": seq, "size": stated.size, "proof": raw.decode()})
        else:
            output.write(raw.decode())
        return 0
    with target(out) as file:
        file.write(raw)
    command = f"pfgov-verify {out} --key {anchor}"
    output.show(
        {"seq": seq, "size": stated.size, "file": str(out), "verify": command},
        f"{out}: entry {seq} in the log of {stated.size}",
        f"next:  {command}",
    )
    return 0
