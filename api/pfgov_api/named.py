"""Many ledgers behind one server: which one a request is for, who may enter it, and its own service.

``/l/NAME/api/...`` is for the ledger NAME, and where ledgers have a domain, whatever is asked at NAME.DOMAIN;
everything else is for the default one.  Whoever cannot prove a right to enter has nothing opened: an unknown name is
looked up in memory, a wrong key in that ledger's own file of keys.  What can be said without the ledger is said without
it.  A key of one ledger is nothing in another, unless all are shared.
"""

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from pfgov.app.hosting import TICK_SECONDS, Engine
from pfgov.app.tenancy import Keeper, Place, Request, Stage, is_name, unknown
from pfgov.app.tenancy.making import Made, make_ledger
from pfgov.app.turns import Follower
from pfgov.errors import (
    BusyError,
    EngineStoppedError,
    GrantEndedError,
    InvalidError,
    PfgovError,
    StoreLockedError,
    StoreUnavailableError,
)
from pfgov.model import NewLedger
from pfgov_api.access import Access
from pfgov_api.grants import Grant
from pfgov_api.hosts import Domain
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.limits import (
    NAMED_CALLS_MAX,
    NAMED_CALLS_PER_LEDGER_MAX,
    STRANGERS_BURST_MAX,
    STRANGERS_SECONDS,
)
from pfgov_api.mounting import LEDGER, MOUNT, PREFIX, SERVICE
from pfgov_api.operations import ANYONE, Operation
from pfgov_api.origins import require_here
from pfgov_api.service import Service
from pfgov_api.standby import Standby

_PREFIX: Final = PREFIX.encode()

FIRST_SCOPES: Final = ("admin", "assessor", "operator")
"""What the first key of a ledger that was made over HTTP may do in it: everything that one key can need to begin."""

KEYS_SECONDS: Final = 0.25
"""How soon it is noticed that a key of a named ledger was made or revoked."""


class NamedAccess(Access):
    """The door of one ledger of many; its principals are counted apart from those of the others.

    Without keys it is open for only as long as the *default* one is: somebody may make the first key while they run.
    """

    def __init__(self, name: str, keyring: KeyRing, default: Access) -> None:
        super().__init__(keyring)
        self._name = name
        self._default = default

    def grant(self, authorization: str | None) -> Grant:
        """Return who sends this ``Authorization`` header; errors as of :class:`Access`."""
        self._follow_default()
        try:
            granted = super().grant(authorization)
        except StoreUnavailableError as error:
            raise StoreUnavailableError(
                f"nobody is let in: the ledger {self._name} has no keys that can be read",
                code=error.code,
                hint="whoever runs the server makes one: pfgov key create --dir DIR/NAME --scope operator",
            ) from error
        share = granted.share and f"{self._name}/{granted.share}"
        return replace(granted, share=share, holds=lambda: self._still(granted))

    def _still(self, granted: Grant) -> bool:
        self._follow_default()
        return granted.holds()

    @property
    def is_open(self) -> bool:
        """Whether everybody on this machine is its operator: never where a key must exist."""
        self._follow_default()
        return not self.keyring.must_exist and super().is_open

    def _follow_default(self) -> None:
        """Demand a key from when on the default ledger does; one that cannot tell does."""
        if not self.keyring.must_exist:
            try:
                self.keyring.must_exist = not self._default.is_open
            except StoreUnavailableError:
                self.keyring.must_exist = True


class SharedAccess(Access):
    """The door of the default ledger, at another: it is kept there, and only asked here."""

    async def start(self) -> None:
        """Leave it as it is."""

    async def stop(self) -> None:
        """Leave it as it is."""


class Strangers:
    """How often those who show no key may have a ledger opened: so many at once, and then one in so many seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left = float(STRANGERS_BURST_MAX)
        self._seen = monotonic()

    def take(self) -> None:
        """Let one in.

        Raises:
            BusyError: there were too many.
        """
        now = self._monotonic()
        self._left = min(self._left + (now - self._seen) / STRANGERS_SECONDS, STRANGERS_BURST_MAX)
        self._seen = now
        if self._left < 1:
            raise BusyError(
                "this ledger rests", hint="ask with a key of it, or try again in a moment"
            )
        self._left -= 1


class Named:
    """The ledgers beside the default one."""

    def __init__(
        self,
        folder: Path,
        operations: tuple[Operation, ...],
        *,
        default: Service,
        share: bool = False,
        domain: Domain | None = None,
        make_keeper: Callable[..., Keeper] = Keeper,
        check: Callable[[Engine, KeyRing], None] | None = None,
        tick_seconds: float = TICK_SECONDS,
        **options: Any,
    ) -> None:
        """Open nothing yet.

        Args:
            folder: The folder of their folders.
            operations: Every operation there is.
            default: The service of the default ledger.
            share: Whether whoever may enter the default ledger may enter these, with the same rights, and nobody else.
            domain: Where each of them has a host of its own, beside its path.
            make_keeper: Makes what keeps them, given *options*.
            check: Refuses to serve an engine with its keys to everybody; None where nobody is served without a key.
            tick_seconds: How often the clock of an open ledger ticks.
            options: The keeper's.
        """
        self._keeper = make_keeper(folder, self._service, **options)
        self._default = default
        self._share = share
        self.domain = domain
        self._check = check
        self._tick_seconds = tick_seconds
        self._doors: dict[str, Access] = {}
        self._strangers = Strangers()
        self._for_anybody = _paths(one for one in operations if one.access == ANYONE)
        self._static = _paths(one for one in operations if one.is_static)
        self._making = asyncio.Lock()
        self.calls = 0
        self._calls_of: dict[str, int] = {}

    @property
    def keeper(self) -> Keeper:
        """What opens and closes them."""
        return self._keeper

    def greeting(self, url: str) -> str:
        """Return what a server says of them when it starts; *url* is where it is found."""
        keeper = self.keeper
        whose = "its keys for all" if self._share else "each with its own keys"
        there = "" if self.domain is None else f", and at NAME.{self.domain.name}"
        return f"  ledgers    {url}{PREFIX}NAME{there}   {len(keeper.places)} in {keeper.folder}, {whose}"

    def gauges(self) -> dict[str, int]:
        """Return how many ledgers stand how, and what waits; no name of any is said."""
        stages = Counter(place.stage for place in self.keeper.places.values())
        return {
            **{f"pfgov_ledgers_{stage.value}": stages[stage] for stage in Stage},
            "pfgov_ledgers_overdue": self.keeper.overdue,
            "pfgov_ledgers_requests_in_flight": self.calls,
        }

    def counters(self) -> dict[str, int]:
        """Return what was done with them."""
        done = self.keeper.counts
        return {
            "pfgov_ledgers_openings_total": done.openings,
            "pfgov_ledgers_opening_milliseconds_total": done.opening_micros // 1_000,
            "pfgov_ledgers_closings_total": done.closings,
            "pfgov_ledgers_failures_total": done.failures,
            "pfgov_ledgers_visits_total": done.visits,
            "pfgov_ledgers_refused_total": done.refused,
        }

    def _service(self, place: Place, engine: Engine) -> Service:
        """Return the service of a ledger that was just opened."""
        access = self.access(place)
        if access.is_open and self._check is not None:
            self._check(engine, access.keyring)
        service = self._serving(place, engine, access)
        service.leave = lambda: self.keeper.drop(place)
        return service

    def _serving(self, place: Place, engine: Engine, access: Access) -> Service:
        """Return what serves a ledger that this server leads, or follows."""
        if not isinstance(engine, Follower):
            return Service(
                engine,
                access.keyring,
                access=access,
                beside=self._default,
                tick_seconds=self._tick_seconds,
            )

        def lead() -> None:
            if not self.keeper.is_ours(place):
                raise StoreLockedError("another server is to lead it")

        return Standby(
            engine,
            access.keyring,
            lead,
            access=access,
            beside=self._default,
            tick_seconds=self._tick_seconds,
            claimant=lambda: self.keeper.is_at(place),
        )

    def access(self, place: Place) -> Access:
        """Return the door of a ledger, open or not: its own keys, unless all are shared."""
        if self._share:
            return self._doors.setdefault("", _shared(self._default.access))
        door = self._doors.get(place.name)
        if door is None:
            # Where the default ledger has keys, or others than this machine come, a ledger without keys is nobody's.
            must_exist = self._check is None
            keyring = KeyRing(
                place.directory / FILE, must_exist=must_exist, recheck_seconds=KEYS_SECONDS
            )
            door = NamedAccess(place.name, keyring, self._default.access)
            self._doors[place.name] = door
        return door

    async def make(self, wanted: NewLedger, by: Grant) -> tuple[Made, bool]:
        """Make the ledger that is *wanted* by a principal; its first key is one that its owner drew.

        Raises:
            InvalidError: a key is needed, or none is of use.
            GrantEndedError: the principal lost its rights before its turn came.
            EngineStoppedError: the server is stopping.
            PfgovError: as of :func:`pfgov.app.tenancy.making.make_ledger`.
        """
        key = wanted.key
        if self._share and key is not None:
            raise InvalidError(
                "the default ledger's keys are valid in every ledger here, and no others",
                hint="leave the key out",
                pointer="/key",
            )
        if key is None and not self._share and not self._default.access.is_open:
            raise InvalidError(
                "a ledger without a key would be nobody's",
                hint="name its first key by id and SHA-256: pfgov ledger create --first-key FILE draws one",
                pointer="/key",
            )

        def finish(directory: Path) -> None:
            if key is not None:
                now = self._default.engine.clock.now()
                KeyRing(directory / FILE).adopt(key.id, key.digest, FIRST_SCOPES, now=now)

        asked = hashlib.sha256(msgspec.json.encode(wanted.model_dump())).hexdigest()
        making = self._make(Request(wanted.name, by.principal.id, asked), by, finish)
        return await asyncio.shield(making)  # a caller that goes away does not stop it

    async def _make(
        self, wanted: Request, by: Grant, finish: Callable[[Path], None]
    ) -> tuple[Made, bool]:
        async with self._making:  # one at a time: it takes a thread
            if not by.holds():  # others may have been made meanwhile, for seconds
                raise GrantEndedError(
                    f"the rights of {by.principal.id} ended before its turn came",
                    hint="ask for a new key or token",
                )
            if self._default.stopping.is_set():
                raise EngineStoppedError("the server is stopping", hint="ask again when it is back")
            folder, clock = self.keeper.folder, self._default.engine.clock
            done = await asyncio.to_thread(make_ledger, folder, wanted, clock, finish)
        await self.keeper.scan()
        return done

    def asked(self, scope: Mapping[str, Any]) -> tuple[Place, str, str] | None:
        """Return which ledger a request is for, what stands before its paths, and the path there; no disk is touched.

        At a ledger's own host every path is that ledger's.  None is the default one.

        Raises:
            UnknownLedgerError: there is none of that name.
            HostError: the host can be read in two ways.
        """
        raw_path: bytes = scope.get("raw_path", b"")
        if self.domain is not None and scope["type"] == "http":
            name = self.domain.named(scope["headers"])
            if name is not None:
                return self.keeper.find(name), "", raw_path.decode("latin-1")
        if not raw_path.startswith(_PREFIX):
            return None
        place, path = self.find(raw_path)
        return place, f"{PREFIX}{place.name}", path

    def find(self, raw_path: bytes) -> tuple[Place, str]:
        """Return which ledger a path is for, and the path there; no disk is touched.

        Raises:
            UnknownLedgerError: there is none of that name.
        """
        name, slash, rest = raw_path.removeprefix(_PREFIX).decode("latin-1").partition("/")
        if not is_name(name):
            raise unknown(name)
        return self.keeper.find(name), f"{slash or '/'}{rest}"

    def admit(self, place: Place, path: str, headers: Mapping[str, str]) -> bool:
        """Return whether the ledger is needed to answer; refuse those for whom it is not to be opened.

        Raises:
            UnauthenticatedError: a key is needed, and this is none.
            PfgovError: as of :meth:`Access.grant` and ``require_here``.
            BusyError: too many without a key have had ledgers opened.
        """
        if place.host is not None:
            return True
        if self._static.fullmatch(path):
            return False
        access = self.access(place)
        try:
            access.grant(headers.get("authorization"))
            if access.is_open:
                require_here(headers)
        except PfgovError:
            if not self._for_anybody.fullmatch(path):
                raise
            self._strangers.take()
        return True

    def count_in(self, place: Place) -> None:
        """Count a request or a stream in; :meth:`count_out` counts it out.

        Raises:
            BusyError: this ledger has its share, or all together have theirs.
        """
        of_this = self._calls_of.get(place.name, 0)
        if of_this >= NAMED_CALLS_PER_LEDGER_MAX or self.calls >= NAMED_CALLS_MAX:
            raise BusyError(
                f"{of_this} requests and streams of this ledger are being answered",
                hint="try again in a moment",
            )
        self.calls += 1
        self._calls_of[place.name] = of_this + 1

    def count_out(self, place: Place) -> None:
        """Count it out."""
        self.calls -= 1
        left = self._calls_of[place.name] - 1
        if left:
            self._calls_of[place.name] = left
        else:
            del self._calls_of[place.name]


def _shared(access: Access) -> SharedAccess:
    return SharedAccess(access.keyring, access.tokens)


def _paths(operations: Any) -> re.Pattern[str]:
    """Return what matches the paths of *operations*."""
    each = (re.sub(r"\{\w+\}", "[^/]+", one.path) for one in operations)
    return re.compile("|".join(f"({one})" for one in each), re.ASCII)


class Mounts:
    """Before the application: finds the ledger that a request is for, and has it answered by that ledger's service."""

    def __init__(
        self, app: ASGIApp, named: Named, refuse: Callable[[PfgovError, Scope], ASGIApp]
    ) -> None:
        """Take the application of the default ledger, the others, and what makes an answer of an error."""
        self._app = app
        self._named = named
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            asked = self._named.asked(cast("dict[str, Any]", scope))
            if asked is not None:
                self._named.count_in(asked[0])
        except PfgovError as error:
            await self._refuse(error, scope)(scope, receive, send)
            return
        if asked is None:
            await self._app(scope, receive, send)
            return
        place, mount, path = asked
        try:
            inner = _mounted(scope, place, mount, path)
            await self._answered(place, path, cast("Scope", inner), receive, send)
        except _RefusedError as refused:
            await self._refuse(refused.why, scope)(scope, receive, send)
        finally:
            self._named.count_out(place)

    async def _answered(
        self, place: Place, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        opened = self._named.keeper.using(place)
        try:
            if not self._named.admit(place, path, headers):
                await self._app(scope, receive, send)
                return
            host = await opened.__aenter__()
        except PfgovError as error:
            raise _RefusedError(error) from None
        try:
            cast("dict[str, Any]", scope)[SERVICE] = host
            await self._app(scope, receive, send)
        finally:
            await opened.__aexit__(None, None, None)


class _RefusedError(Exception):
    """A ledger is not opened, because of what is said."""

    def __init__(self, why: PfgovError) -> None:
        super().__init__(why.message)
        self.why = why


def _mounted(scope: Scope, place: Place, mount: str, path: str) -> dict[str, Any]:
    """Return the scope of a request to *path* in the ledger of *place*."""
    inside = scope["path"].removeprefix(mount) or "/"
    raw_path = path.encode("latin-1")
    return {**scope, "path": inside, "raw_path": raw_path, LEDGER: place.name, MOUNT: mount}
