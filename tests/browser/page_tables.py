"""The tables that ``ledger/verify.html`` carries, from the package that they must agree with.

``python tests/browser/page_tables.py`` writes them into the page after a code, a reason or an event
was added; a test compares.  The page's program is written by hand.
"""

import json
import re
from pathlib import Path
from typing import Any

from pfgov_ledger import errors, vocabulary
from pfgov_ledger.report import EXPLANATIONS
from pfgov_ledger.verdicts import WHY

PAGE = Path(__file__).parents[2] / "ledger" / "verify.html"


def malformed(cls: type[errors.LedgerError]) -> set[str]:
    """The codes of *cls* and everything below it."""
    return {cls.code}.union(*(malformed(sub) for sub in cls.__subclasses__()))


def tables() -> dict[str, dict[str, Any]]:
    """Every table, by the id of its element."""
    hidden = malformed(errors.MalformedError)
    codes = {
        code: {"malformed": code in hidden, "sentence": sentence}
        for code, sentence in EXPLANATIONS.items()
    }
    return {"codes": codes, "why": dict(WHY), "events": dict(vocabulary.EVENTS)}


def refreshed(page: str) -> str:
    """*page* with the tables as they should be."""
    for name, table in tables().items():
        rows = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in table.items()
        )
        start = f'<script type="application/json" id="{name}">\n'
        before, _, rest = page.partition(start)
        _, end, after = rest.partition("\n</script>")
        page = f"{before}{start}{{\n{rows}\n}}{end}{after}"
    return re.sub(r"[ \t]+\n", "\n", page)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text()))
