"""Who am I, what may I do here, and where else am I signed in?"""

from collections.abc import Mapping
from typing import Any, Final

from pfgov_api.console.actions import ACTIONS
from pfgov_api.console.pages import NAVIGATION, Page, Shown, Visit


async def _show(visit: Visit) -> Shown:
    session = await visit.visitor.ask("show_session")

    def values() -> Mapping[str, Any]:
        return {
            "session": session,
            "places": visit.visitor.places,
            "pages": [name for _, name, needs in NAVIGATION if visit.visitor.may(needs)],
            "actions": [one.verb for one in ACTIONS if visit.visitor.may(one.operation)],
            "may_settings": visit.visitor.may("show_configuration"),
            "may_keys": visit.visitor.may("list_keys"),
        }

    return Shown("Who am I", "session.html", values)


PAGES: Final = (Page("session", "session", "show_session", _show, is_live=False),)
