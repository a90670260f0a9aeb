"""What a page is made of: its path, the operation that it cannot do without, and what finds what it shows."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from pfgov_api.console.visiting import Visitor

PAGE_ROWS: Final = 100
"""Rows of a table, at most."""

VALUE_LENGTH_MAX: Final = 300
"""Characters of a value in the query of a page."""


def in_utc(text: str) -> str:
    """Return what a field for a moment says, which names no zone, as a moment in UTC; anything else as it is.

    >>> in_utc("2026-11-29T19:40"), in_utc("2026-11-29T19:40:05"), in_utc("2026-11-29T19:40:05Z"), in_utc("soon")
    ('2026-11-29T19:40:00Z', '2026-11-29T19:40:05Z', '2026-11-29T19:40:05Z', 'soon')
    """
    is_local = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", text, re.ASCII)
    if is_local is None:
        return text
    return f"{text}Z" if is_local[1] else f"{text}:00Z"


def as_written(text: str) -> str:
    """Return what a browser sends of a text as it was written: it ends lines in CR LF."""
    return text.replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page: who, at what, and how it is filtered."""

    visitor: Visitor
    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]

    def link(self, **changes: str | int | None) -> str:
        """Return the address of this page with other values in its query; None takes one away."""
        query = {**self.query, **changes}
        kept = {name: value for name, value in query.items() if value not in {None, ""}}
        return f"{self.url}?{urlencode(kept)}" if kept else self.url

    def moment(self, name: str) -> str | None:
        """Return a value of the query as a moment in UTC."""
        text = self.query.get(name)
        return in_utc(text) if text else None

    def number(self, name: str) -> int | None:
        """Return a value of the query as a position; None where it is none."""
        text = self.query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows: its title, its template and the values in it, worked out in a thread."""

    title: str
    template: str
    values: Callable[[], Mapping[str, Any]]


View = Callable[[Visit], Awaitable[Shown]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: Below ``/console/``, with parameters in braces.
        here: The part of the console that it belongs to.
        needs: The operation without which there is nothing to show.
        view: What it shows.
        query: What its query may say.
        is_live: Whether it is drawn anew when the ledger grows.
        is_personal: Whether it is another one for another visitor with the same rights.
    """

    path: str
    here: str
    needs: str
    view: View
    query: tuple[str, ...] = ()
    is_live: bool = True
    is_personal: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in *path* if it is this page's."""
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]{1,200})", self.path), path)
        return None if found is None else found.groupdict()


NAVIGATION: Final[tuple[tuple[str, str, str], ...]] = (
    ("overview", "Overview", "show_fleet"),
    ("members", "Members", "show_fleet"),
    ("capabilities", "Capabilities", "show_fleet"),
    ("workloads", "Workloads", "show_fleet"),
    ("assignments", "Assignments", "list_decisions"),
    ("handoffs", "Handoffs", "show_fleet"),
    ("audit", "Audit", "list_entries"),
    ("analytics", "Analytics", "show_analytics"),
    ("simulator", "Simulator", "simulate"),
    ("policies", "Policies", "show_policies"),
    ("verify", "Verify", "anchor"),
    ("settings", "Settings", "show_configuration"),
    ("keys", "Keys", "list_keys"),
)
"""The parts of the console: the path, the name, and the operation that somebody needs to be allowed to see it."""
