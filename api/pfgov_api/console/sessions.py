"""Who is signed in: a random name in a cookie, its digest here, and the grant that the key had, asked again each time.

Sessions are in memory and end with the process, with their key, after half an hour in which nobody did anything, and
after twelve hours.  What an open page asks for by itself is nothing that somebody did.  Nobody's key is kept, here or
in the browser.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pfgov_api.console.visiting import Place
from pfgov_api.grants import Grant

COOKIE: Final = "__Host-pfgov"
AWAY: Final = "__Host-pfgov-away"
"""The cookie of a browser that was sent to the issuer; it proves who comes back."""

IDLE_SECONDS: Final = 1_800.0
LONGEST_SECONDS: Final = 43_200.0
SESSIONS_MAX: Final = 1_000
SESSIONS_PER_PRINCIPAL_MAX: Final = 20
"""Browsers in which one key is signed in; with one more the one unseen for longest is signed out, and nobody else."""


@dataclass(slots=True)
class Session:
    """One browser that is signed in."""

    name: str
    grant: Grant
    since: float
    seen: float


@dataclass(slots=True)
class Sessions:
    """Everybody who is signed in, by the digest of their cookie."""

    now: Callable[[], float] = time.monotonic
    _known: dict[str, Session] = field(default_factory=dict[str, Session])

    def begin(self, grant: Grant) -> str:
        """Return the secret of a new session; where there are too many, the one unseen for longest gives way."""
        self._forget()
        own = [k for k, one in self._known.items() if one.grant.principal.id == grant.principal.id]
        full = own if len(own) >= SESSIONS_PER_PRINCIPAL_MAX else list(self._known)
        if full is own or len(full) >= SESSIONS_MAX:
            del self._known[min(full, key=lambda one: self._known[one].seen)]
        secret, moment = secrets.token_urlsafe(32), self.now()
        digest = _digest(secret)
        self._known[digest] = Session(digest[:12], grant, moment, moment)
        return secret

    def find(self, secret: str | None, *, acts: bool = True) -> Session | None:
        """Return the session of *secret* if it lasts; where a person *acts* in it, note that it was seen."""
        session = self._known.get(_digest(secret)) if secret else None
        if session is None or not self._lasts(session):
            return None
        if acts:
            session.seen = self.now()
        return session

    def lasts(self, secret: str | None) -> bool:
        """Whether there is a session of *secret* still; asking is no action in it."""
        return self.find(secret, acts=False) is not None

    def end(self, secret: str | None) -> None:
        """End the session of *secret*."""
        if secret:
            self._known.pop(_digest(secret), None)

    def of(self, principal_id: str) -> list[Session]:
        """Return the sessions of one principal, the newest first."""
        self._forget()
        found = [one for one in self._known.values() if one.grant.principal.id == principal_id]
        return sorted(found, key=lambda one: -one.since)

    def places(self, principal_id: str, secret: str | None) -> tuple[Place, ...]:
        """Return where a principal is signed in, as a page shows it."""
        moment, own = self.now(), _digest(secret or "")[:12]
        return tuple(
            Place(one.name, moment - one.since, moment - one.seen, one.name == own)
            for one in self.of(principal_id)
        )

    def end_named(self, principal_id: str, name: str) -> None:
        """End a session of *principal_id* by the name in its list."""
        for digest, one in list(self._known.items()):
            if one.name == name and one.grant.principal.id == principal_id:
                del self._known[digest]

    def _lasts(self, session: Session) -> bool:
        moment = self.now()
        return (
            moment - session.seen < IDLE_SECONDS
            and moment - session.since < LONGEST_SECONDS
            and session.grant.holds()
        )

    def _forget(self) -> None:
        self._known = {digest: one for digest, one in self._known.items() if self._lasts(one)}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def cookie(secret: str, name: str = COOKIE) -> str:
    """Return the header that sets the cookie of *secret*, or with an empty one takes it back."""
    life = "" if secret else "; Max-Age=0"
    return f"{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax{life}"


def secret_of(header: str | None, cookie_name: str = COOKIE) -> str | None:
    """Return the secret in a ``Cookie`` header; None where there is none, or more than one."""
    found = [
        value
        for name, _, value in (part.strip().partition("=") for part in (header or "").split(";"))
        if name == cookie_name
    ]
    return found[0] if len(found) == 1 else None
