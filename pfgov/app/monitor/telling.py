"""Telling somebody of alarms: each once for as long as it lasts, over HTTP, until it was taken.

The body is the look as JSON.  Who takes it, and what is done then, is not known here.
"""

import http.client
import json
from typing import Final

from pfgov.app.monitor.watching import Look
from pfgov.engine.witnessing.asking import Post, poster

SECONDS: Final = 10.0
"""How long whoever is told may take."""


class Teller:
    """Posts looks with new alarms to *url*."""

    def __init__(self, url: str, post: Post | None = None) -> None:
        self._url = url
        self._post = post or poster(SECONDS, "application/json")
        self._taken: set[tuple[str, int | None, str | None]] = set()

    def tell(self, look: Look) -> str | None:
        """Tell of the alarms of *look* that were not told; return why that failed, if it did."""
        alarms = {(one.code, one.position, one.found) for one in look.alarms}
        if look.status != "unknown":
            self._taken &= alarms  # what is over is told again when it comes back
        if alarms <= self._taken:
            return None
        try:
            answer = self._post(self._url, json.dumps(look.to_json()).encode())
        except (OSError, http.client.HTTPException) as error:
            return f"nobody was told: no answer from {self._url} ({type(error).__name__})"
        if not 200 <= answer.status < 300:
            return f"nobody was told: {self._url} answers {answer.status}"
        self._taken |= alarms
        return None
