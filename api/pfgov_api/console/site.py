"""Every page of the console, in one tuple."""

from typing import Final

from pfgov_api.console.pages import Page
from pfgov_api.console.views import (
    account,
    assignments,
    audit,
    insights,
    keeping,
    members,
    overview,
    policies,
    skills,
    verifying,
    work,
)

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *members.PAGES,
    *skills.PAGES,
    *work.PAGES,
    *assignments.PAGES,
    *audit.PAGES,
    *insights.PAGES,
    *policies.PAGES,
    *verifying.PAGES,
    *keeping.PAGES,
    *account.PAGES,
)
"""The tests walk it: each page empty, filled and large."""
