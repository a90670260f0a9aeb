"""``pfgov policy lsp``: policy files in an editor."""

from pfgov.cli.frame import FILES, Output, verb
from pfgov.cli.policy import policy


@verb(
    policy,
    "lsp",
    examples=("pfgov policy lsp",),
    then="have your editor start it: docs/how-to/edit-policies-in-an-editor.md",
    files=FILES,
)
def lsp(output: Output) -> int:  # noqa: ARG001 - every command gets one
    """Serve an editor over standard input and output (Language Server Protocol), until it leaves.

    It shows what `pfgov policy check` says while you type, what facts, labels and functions mean and who sets them,
    completes them, and offers what was probably meant. It reads policy files only, and needs no ledger.
    """
    from pfgov.lsp.serving import serve_stdio

    serve_stdio()
    return 0
