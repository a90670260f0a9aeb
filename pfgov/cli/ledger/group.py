"""The group ``pfgov ledger``; its commands are in the modules beside this one."""

from typing import Final

from pfgov.cli.frame import Nouns

ledger: Final = Nouns(
    "ledger",
    help="The history: every decision, signed and chained.\n\n"
    "An export is one file that anybody can verify without pfgov and without the network.",
    order=("export", "verify", "prove", "replay", "head", "log", "keys", "erase", "doctor"),
    examples=(
        "pfgov ledger export --out all.lineage.jsonl",
        "pfgov-verify all.lineage.jsonl --key .pfgov/anchor.txt",
    ),
    then="give the anchor (pfgov ledger keys) to whoever shall verify, by another way than the export",
)
