"""Where a request comes from: other web sites do not write, and while there are no keys only this machine asks."""

from collections.abc import Mapping

from pfgov.locality import is_passed_on, names_here
from pfgov_api.problems import CrossSiteError


def from_another_site(method: str, headers: Mapping[str, str]) -> None:
    """Refuse writes that a browser sends on behalf of another site (Fetch Metadata; Origin where that is missing).

    Raises:
        CrossSiteError: it does.
    """
    if method in {"GET", "HEAD"}:
        return
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site in {"cross-site", "same-site"} or (
        site is None and origin and origin.partition("://")[2] != headers.get("host", "")
    ):
        raise CrossSiteError(
            "this was sent by another web site",
            hint="call the API from a program, or from its own origin",
        )


def require_here(headers: Mapping[str, str]) -> None:
    """Refuse, while nobody needs a key, requests to any name but this machine's, and those that a proxy passes on.

    A web page may have had its own name resolved to this machine; and behind a proxy everybody comes from here.

    Raises:
        CrossSiteError: the request is one of them.
    """
    if is_passed_on(headers):
        raise CrossSiteError(
            "without API keys this server answers to this machine only, not to whom a proxy speaks for",
            hint="create a key: pfgov key create --help",
        )
    host = headers.get("host", "")
    if not names_here(host):
        raise CrossSiteError(
            f"without API keys this server answers to localhost only, not to {host[:64]!r}",
            hint="call http://localhost, or create a key: pfgov key create --help",
        )
