"""``pfgov packet audit``: one page for whoever has to account for a packet, with the entries that prove each line."""

from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.packet.group import packet
from pfgov.cli.packet.move import packet_argument

if TYPE_CHECKING:
    from pfgov.app.views import PacketAudit


@verb(
    packet,
    "audit",
    examples=(
        "pfgov packet audit fp-001",
        "pfgov packet audit fp-001 --markdown > fp-001.md",
        "pfgov packet audit fp-001 --json",
    ),
    then="have it verified elsewhere: pfgov ledger export --subject packet/fp-001 --fresh --out fp-001.lineage.jsonl",
)
@packet_argument
@click.option("--markdown", is_flag=True, help="As a Markdown document, to be kept with a report.")
def audit(output: Output, packet_id: str, markdown: bool) -> int:
    """Answer what an auditor asks about one packet: seven questions, from the ledger alone.

    Who registered, what was advertised, why this member, what context moved, why it changed hands, which policy allowed
    it, and when the member retired.  After each line stand the positions of its entries and the first digits of their
    leaf hashes; --json has them whole.
    """
    from pfgov.app.views.audit import audit_markdown
    from pfgov.cli.opening import reading

    if markdown and output.json:
        raise click.UsageError(
            "--markdown and --json are two forms of one answer; name one",
            click.get_current_context(),
        )
    with reading(output) as book:
        found = book.audit(packet_id)
    if markdown:
        output.write(audit_markdown(found))
    else:
        output.show({"audit": found}, *_page(found))
    return 0


def _page(found: "PacketAudit") -> list[Any]:
    from rich.text import Text

    from pfgov.app.views.audit import notes
    from pfgov.cli.output import indented

    owner = f"owned by {found.current_owner}" if found.current_owner else "owned by nobody"
    stands = f"{found.packet_id} ({found.workload_type}) is {found.status}, {owner} under epoch {found.epoch}"
    parts: list[Any] = [f"{stands}; read from {found.size} entries"]
    for answer in found.answers:
        parts += ["", Text(answer.question, style="bold")]
        if not answer.lines:
            parts.append(indented("nothing of the kind is on record", style="dim"))
        for line in answer.lines:
            parts.append(indented(line.says))
            proof = ", ".join(f"{one.seq} ({one.leaf[:12]})" for one in line.entries)
            if proof:
                what = "entry" if len(line.entries) == 1 else "entries"
                parts.append(indented(f"   {what} {proof}", style="dim"))
    return [*parts, "", *notes(found)]
