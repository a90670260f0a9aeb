"""Verify: is it true?  The program of ``ledger/verify.html`` in the console's own page; nothing leaves the browser."""

from typing import Final

from pfgov_api.console.pages import Page, Shown, Visit


async def _show(visit: Visit) -> Shown:
    may_export = visit.visitor.may("export_ledger")
    return Shown("Verify", "verify.html", lambda: {"may_export": may_export})


PAGES: Final = (Page("verify", "verify", "anchor", _show, is_live=False),)
