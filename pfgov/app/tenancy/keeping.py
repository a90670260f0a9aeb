"""The keeper of many ledgers: opens one when it is asked for, and closes those that rest.

A ledger that is closed costs a small record.  It is opened again by a request, or by a visit when something in it is
due: so leases and deadlines end in ledgers that nobody asks for, too.  What cannot be opened fails alone, and is not
tried again for a while.  An open ledger is closed when nobody has used it for some time, or sooner when another needs
its place; never while it is used, nor while something is due soon.  Where servers share ledgers, each visits its own
and hands over what is another's.  Everything runs in one event loop, except what touches a disk.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from pfgov.app.hosting import Host
from pfgov.app.tenancy import limits
from pfgov.app.tenancy.claims import Claims
from pfgov.app.tenancy.names import unknown
from pfgov.app.tenancy.opening import Folder, open_engine, put_to_rest
from pfgov.app.tenancy.patience import Late, for_ever, heard
from pfgov.app.tenancy.places import Counts, Place, TooManyLedgersError
from pfgov.app.tenancy.visits import Visits
from pfgov.clock import Clock, SystemClock
from pfgov.engine import Engine, Options
from pfgov.engine.sequencing import rest
from pfgov.errors import EngineStoppedError, PfgovError, StoreUnavailableError
from pfgov.limits import MICRO

T = TypeVar("T")

HostOf = Callable[[Place, Engine], Host]
"""Makes what serves an engine that was just opened; it may refuse."""

THREADS: Final = 64
"""For what touches a disk: so many ledgers may hang, one thread each, before no other can be opened."""

CANDIDATES_MAX: Final = 8
"""Open ledgers that are asked whether they may rest, before whoever wants a place is told that there is none."""

log = logging.getLogger("pfgov.api")


class Keeper:
    """Keeps the ledgers in one folder.  Only its event loop may call it."""

    def __init__(
        self,
        folder: Path,
        host_of: HostOf,
        *,
        most: int = limits.OPEN_LEDGERS_MAX,
        claims: Claims | None = None,
        leave_out: Path | None = None,
        clock: Clock | None = None,
        options: Options | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            folder: The folder of the ledgers' folders.
            host_of: Makes what serves an open ledger.
            most: How many may be open at once.
            claims: Where they are reached, to be named to whoever finds one locked, and which are for which server.
            leave_out: A folder that is none of them, for it is served already.
            clock: The system's by default.
            options: How each engine runs.
        """
        self.folder = folder
        self.places: dict[str, Place] = {}
        self.counts = Counts()
        self._host_of = host_of
        self._most = most
        self._claims = claims
        self._clock = clock or SystemClock()
        self._options = options or Options()
        self._open: dict[str, Place] = {}
        self._opening: set[Place] = set()
        self._starting = 0
        self._visits = Visits()
        self._folder = Folder(folder, self._clock, leave_out)
        self._stamped_at = 0
        self._is_stopping = False
        self._room = asyncio.Semaphore(limits.OPENINGS_AT_ONCE)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ledgers")
        self._running: list[asyncio.Task[None]] = []
        self._late = Late()

    # --- running ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Learn which ledgers there are, and begin to keep them.

        Raises:
            StoreUnavailableError: the folder cannot be read.
            InvalidError: ``store.head_lock_shared``, all of them would have one head lock.
        """
        await self._run(self._folder.check)
        if self._claims is not None:
            await self._run(self._claims.refresh)
        await self.scan()
        self._stamped_at = self._clock.monotonic()
        self._running = [
            asyncio.create_task(for_ever(self.look, limits.SCAN_SECONDS)),
            asyncio.create_task(for_ever(self._visit_and_wait, 0.0)),
        ]

    def begin_to_stop(self) -> None:
        """Open nothing more, let streams of events end, and begin to close what nobody uses."""
        self._is_stopping = True
        for place in tuple(self._open.values()):
            if place.host is not None:
                place.host.stopping.set()
                place.host.news.publish()
                if not place.users:
                    self._closing(place, place.host, None)

    async def stop(self) -> None:
        """Close everything; what was accepted is answered."""
        self.begin_to_stop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        opening = [place.opening for place in self._opening if place.opening is not None]
        await asyncio.gather(*opening, return_exceptions=True)
        for place in tuple(self._open.values()):
            if place.host is not None:
                self._closing(place, place.host, None)
        closing = [place.closing for place in self.places.values() if place.closing is not None]
        await asyncio.gather(*closing, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- which there are -------------------------------------------------------------------

    def find(self, name: str) -> Place:
        """Return the place of *name*, looking at no disk.

        Raises:
            UnknownLedgerError: there is none.
        """
        place = self.places.get(name)
        if place is None:
            raise unknown(name)
        return place

    async def scan(self) -> None:
        """Learn of ledgers that were added, and forget those that are gone."""
        found = await self._run(self._folder.scan, frozenset(self.places))
        if found is None:
            return
        if found.is_cut:
            log.error("more than %d ledgers: not all are served", limits.NAMED_LEDGERS_MAX)
        for name in found.names:
            if name not in self.places:
                place = self.places[name] = Place(name, self.folder / name)
                place.can_be_led = name in found.by_turns
                place.note = found.notes.get(name)
                if place.note is not None:
                    self._visits.at(place, place.note.due)
                elif self.is_ours(place):
                    self._visits.soon(place)
        for name in self.places.keys() - set(found.names):
            if self.places[name].is_at_rest:
                del self.places[name]

    def is_ours(self, place: Place) -> bool:
        """Whether this server may have the ledger of *place*, as far as the others are concerned."""
        return not place.can_be_led or self._claims is None or self._claims.is_ours(place.name)

    def _ours_of(self, places: Sequence[Place]) -> set[str]:
        return {place.name for place in places if self.is_ours(place)}

    def is_at(self, place: Place) -> str | None:
        """Return where the ledger of *place* is to be had, if that is at another server."""
        if self._claims is None or self.is_ours(place):
            return None
        at = self._claims.server_of(place.name)
        return None if at in {None, self._claims.address} else f"{at}/l/{place.name}"

    # --- using -----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def using(self, place: Place) -> AsyncGenerator[Host]:
        """Give what serves the ledger of *place*, opened if it rests; it stays open for as long as the block runs.

        Raises:
            UnknownLedgerError: its folder has no ledger.
            TooManyLedgersError: there is no room for one more.
            StoreUnavailableError: it cannot be opened.
        """
        place.users += 1
        try:
            yield place.host if place.host is not None else await self._opened(place)
        finally:
            place.users -= 1
            place.used_at = self._clock.monotonic()

    async def _opened(self, place: Place) -> Host:
        while place.closing is not None:
            await asyncio.wait([place.closing])
        if place.host is not None:
            return place.host
        if place.opening is None:
            place.refuse(self._clock.monotonic())
            self._refuse_late()
            if len(self._opening) >= limits.OPENINGS_WAITING_MAX:
                raise self._refused(f"{len(self._opening)} ledgers wait to be opened")
            self._opening.add(place)
            place.opening = asyncio.create_task(self._open_it(place))
            place.opening.add_done_callback(heard)
        return await asyncio.shield(place.opening)

    def _refuse_late(self) -> None:
        if self._is_stopping:
            raise EngineStoppedError("the server is stopping", hint="ask again when it is back")

    def _refused(self, why: str) -> TooManyLedgersError:
        self.counts.refused += 1
        return TooManyLedgersError(
            why, hint="try again in a moment; or let the server open more: --ledgers-open"
        )

    async def _open_it(self, place: Place) -> Host:
        try:
            async with self._room:
                await self._make_room()
                began = self._clock.monotonic()
                self._starting += 1
                try:
                    host = await self._started(place)
                finally:
                    self._starting -= 1
        except (TooManyLedgersError, EngineStoppedError):
            raise  # it is not the ledger's fault
        except Exception as error:
            known = error if isinstance(error, PfgovError) else PfgovError("it failed unexpectedly")
            self._could_not(place, known, error)
            raise place.failed(known) from error
        finally:
            self._opening.discard(place)
            place.opening = None
        self.counts.openings += 1
        self.counts.opening_micros += self._clock.monotonic() - began
        place.works()
        place.host, place.was_open, place.visit_at = host, host.leads, None
        place.used_at = self._clock.monotonic()
        place.look_at = 0
        self._open[place.name] = place
        return host

    def _could_not(self, place: Place, known: PfgovError, error: Exception) -> None:
        now = self._clock.monotonic()
        if place.failure is None or place.failure.code != known.code:
            trace = None if isinstance(error, PfgovError) else error
            log.error(
                "the ledger %s cannot be opened: %s (%s)",
                place.name,
                known.message,
                known.code,
                exc_info=trace,
            )
        self.counts.failures += 1
        place.fails(known, now)
        self._visits.at(place, self._clock.now() + place.wait)

    async def _started(self, place: Place) -> Host:
        engine = await self._in_time(place)
        try:
            self._refuse_late()
            host = self._host_of(place, engine)
            await host.start()
        except BaseException:
            await self._run(engine.close)
            raise
        return host

    async def _in_time(self, place: Place) -> Engine:
        """Open an engine; one that takes too long holds up nobody else, and is closed when it comes after all.

        Until then it is not begun again: each time would take a thread more from all the others.
        """
        if ("open", place.name) in self._late:
            raise StoreUnavailableError(
                f"{place.directory} is still being opened",
                hint="see whether the disk or the database is slow or full",
            )
        opening = asyncio.ensure_future(
            self._run(open_engine, place, self._clock, self._options, self._claims)
        )
        done, _ = await asyncio.wait([opening], timeout=limits.OPENING_SECONDS)
        if not done:
            self._late.add(("open", place.name), opening)
            opening.add_done_callback(self._came_late)
            raise StoreUnavailableError(
                f"{place.directory} was not opened within {limits.OPENING_SECONDS:g} s",
                hint="see whether the disk or the database is slow or full",
            )
        return opening.result()

    def _came_late(self, opening: "asyncio.Future[Engine]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._threads.submit(opening.result().close)

    # --- resting ---------------------------------------------------------------------------

    async def _make_room(self) -> None:
        """Let the ledger rest that was used longest ago, where as many are open as may be.

        Raises:
            TooManyLedgersError: none may rest.
        """
        while len(self._open) + self._starting >= self._most:
            now = self._clock.monotonic()
            idle = [one for one in self._open.values() if not one.users and one.look_at <= now]
            idle.sort(key=lambda one: one.used_at)
            for place in idle[:CANDIDATES_MAX]:
                if await self.rest(place, limits.REST_SECONDS_MIN):
                    break
            else:
                raise self._refused(f"{len(self._open)} ledgers are open and in use")

    async def rest(self, place: Place, least_seconds: float) -> bool:
        """Close the ledger of *place* if nobody uses it and nothing is due within *least_seconds*; say whether it was.

        What is due now happens first.  One whose disk hangs is left alone until it answers.
        """
        return await self._late.wait("rest", place.name, self._rest(place, least_seconds)) is True

    async def _rest(self, place: Place, least_seconds: float) -> bool:
        host, used_at = place.host, place.used_at
        if host is None or not self._is_idle(place) or host.is_keeping:
            return False
        if not host.leads:  # what is due is another's business
            again = self._clock.now() + round(limits.AGAIN_SECONDS * MICRO)
            await asyncio.shield(self._closing(place, host, again if self.is_ours(place) else None))
            return True
        if host.fault is not None:
            return False
        try:
            due = await self._run(_next_due, host.engine)
            left = None if due is None else due - self._clock.now()
            if left is None or left >= least_seconds * MICRO:
                await self._run(host.engine.commit_index)  # what is exported later is complete
        except PfgovError:
            due, left = None, 0
        if left is not None and left < least_seconds * MICRO:
            pause = min(max(left, MICRO), round(limits.REST_SECONDS * MICRO))
            place.look_at = self._clock.monotonic() + pause
            return False
        is_still_idle = self._is_idle(place) and place.used_at == used_at
        if not is_still_idle or host.is_keeping:  # somebody came meanwhile, or it was closed
            return False
        await asyncio.shield(self._closing(place, host, due, is_known=True))
        return True

    @staticmethod
    def _is_idle(place: Place) -> bool:
        return place.host is not None and not place.users

    def drop(self, place: Place) -> None:
        """Close the ledger of *place*, whoever uses it: it is another server's from now on, or is to be ours."""
        if place.host is not None:
            due = self._clock.now() if self.is_ours(place) else None
            self._closing(place, place.host, due)

    def _closing(
        self, place: Place, host: Host, due: int | None, *, is_known: bool = False
    ) -> asyncio.Task[None]:
        """Begin to close an open ledger: from now on nobody gets in until it is closed."""
        place.host = None
        del self._open[place.name]
        place.closing = asyncio.create_task(self._close(place, host, due, is_known=is_known))
        place.closing.add_done_callback(heard)
        return place.closing

    async def _close(self, place: Place, host: Host, due: int | None, *, is_known: bool) -> None:
        try:
            await host.stop()
            if is_known:
                place.note = await self._run(put_to_rest, place, host.engine, due)
            else:
                place.note = await self._run(host.engine.close)
            self._visits.at(place, due)
        except Exception as error:  # what was acknowledged is on disk
            log.exception(
                "the ledger %s was not closed as it should be", place.name, exc_info=error
            )
            self._visits.at(place, self._clock.now())
        finally:
            self.counts.closings += 1
            place.closing = None

    # --- now and then ----------------------------------------------------------------------

    async def look(self) -> None:
        """Learn of new ledgers, let those rest that nobody uses, and notice when somebody else wrote one that rests."""
        await self.scan()
        await self._late.wait("servers", "", self._share_out())
        now = self._clock.monotonic()
        for place in tuple(self._open.values()):
            is_idle = not place.users and now - place.used_at >= limits.REST_SECONDS * MICRO
            if is_idle and place.look_at <= now:
                place.look_at = now + round(limits.REST_SECONDS * MICRO)
                await self.rest(place, limits.REST_SECONDS)
        if now - self._stamped_at >= limits.STAMP_SECONDS * MICRO:
            self._stamped_at = now
            await self._late.wait("stamps", "", self._look_at_stamps())

    async def _share_out(self) -> None:
        """Learn which servers there are; look after what is ours now, and hand over what is another's, a few at a time.

        What somebody did with a ledger while it was another's is not known here: it is looked at.
        """
        if self._claims is None:
            return
        if await self._run(self._claims.refresh):
            resting = [one for one in self.places.values() if one.can_be_led and one.is_at_rest]
            ours = await self._run(self._ours_of, resting)
            for place in resting:
                self._visits.at(place, None)
                place.was_open = False
                if place.name in ours:
                    self._visits.soon(place)
        leaving = [
            place
            for place in self._open.values()
            if place.host is not None
            and place.host.leads
            and not place.host.is_keeping
            and not self.is_ours(place)
        ]
        for place in leaving[: limits.HANDED_OVER_MAX]:
            self.drop(place)

    async def _look_at_stamps(self) -> None:
        known = {
            name: place.note.stamp
            for name, place in self.places.items()
            if place.note is not None and place.is_at_rest
        }
        written = await self._run(
            lambda: [name for name, stamp in known.items() if self._folder.stamp(name) != stamp]
        )
        for name in written:
            place = self.places.get(name)
            if place is not None and place.is_at_rest:
                self._visits.soon(place)

    def next_visit(self) -> Place | None:
        """Return the ledger that is to be visited now, if there is one."""
        return self._visits.next(self.places, self._clock.now())

    async def visit(self, place: Place) -> None:
        """Open a ledger that nobody asked for, let happen what is due, and close it if nothing more is due soon."""
        place.visit_at = None
        if not self.is_ours(place):
            return
        self.counts.visits += 1
        try:
            async with self.using(place) as host:
                await host.settle()
        except TooManyLedgersError:
            self._visits.at(place, self._clock.now() + MICRO)
            return
        except PfgovError:
            return  # it is tried again when its time has come
        await self.rest(place, limits.REST_SECONDS_MIN)

    async def _visit_and_wait(self) -> None:
        place = self.next_visit()
        if place is None:
            await asyncio.sleep(limits.SCAN_SECONDS)
            return
        began = self._clock.monotonic()
        await self._late.wait("visit", place.name, self.visit(place))
        took = (self._clock.monotonic() - began) / MICRO
        await asyncio.sleep(min(limits.VISIT_SHARE * took, limits.SCAN_SECONDS))

    @property
    def overdue(self) -> int:
        """Ledgers in which something is due, and that nobody has visited yet."""
        now = self._clock.now()
        return sum(
            1
            for place in self.places.values()
            if place.visit_at is not None and place.visit_at <= now
        )

    async def _run(self, do: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)


def _next_due(engine: Engine) -> int | None:
    """Let happen what is due in *engine*, and return when something will be again."""
    return engine.queue.do(rest)
