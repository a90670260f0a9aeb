"""The search box: to the page of what was found, or to a list where several things begin with the text."""

from pfgov.app.search import FOUND_MAX, SearchView
from pfgov_api.console.fragments import Drawn
from pfgov_api.console.rendering import render, segment
from pfgov_api.console.visiting import Visitor


async def find(visitor: Visitor, text: str) -> str | Drawn:
    """Return the page of the one thing that *text* names, or a page with everything that it begins.

    Raises:
        PfgovError: who asks may not search, or the text cannot be one.
    """
    text = text.strip()
    found: SearchView = await visitor.ask("search", {"q": text}) if text else _NOTHING
    exact = [f"/console/members/{segment(one)}" for one in found.members if one == text]
    exact += [f"/console/workloads/{segment(one)}" for one in found.packets if one == text]
    every = [f"/console/members/{segment(one)}" for one in found.members]
    every += [f"/console/workloads/{segment(one)}" for one in found.packets]
    every += [f"/console/audit/{one}" for one in found.entries]
    if len(exact) == 1 and not found.entries:
        return exact[0]
    if len(every) == 1:
        return every[0]
    is_cut = FOUND_MAX in (len(found.members), len(found.packets), len(found.entries))
    values = {"sought": text, "found": found, "is_cut": is_cut, "most": FOUND_MAX}
    html = render("search.html", **values, may_look=visitor.may("show_fleet"))
    return Drawn("Search", "", html.encode())


_NOTHING = SearchView(members=[], packets=[], entries=[])
