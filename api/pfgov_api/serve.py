"""Running the server: uvicorn with a graceful end, loopback only while there are no keys.

On SIGTERM no new connection is taken, streams of events end, what was accepted is answered, and the ledger is closed; a
connection that hangs is cut after a few seconds.  What hangs otherwise, a disk above all, is not waited for: within
five seconds the process is gone, with its writer, as if it had been killed; what was acknowledged is on disk.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn

from pfgov.accepting import ACCEPTED_AT_ONCE, Scarcity
from pfgov.app.hosting import Engine, kill_writers
from pfgov.app.turns import Follower, Turns
from pfgov.app.webhook import Webhooks, delivery_of
from pfgov.app.witnesses import Witnesses
from pfgov.errors import ForbiddenError, StoreUnavailableError
from pfgov_api.addresses import BACKLOG, is_loopback, listen, local_url
from pfgov_api.app import application
from pfgov_api.beside import Beside, Rooted, others, root_over
from pfgov_api.connections import uvicorn_config
from pfgov_api.greeting import Greeting
from pfgov_api.interim import Interim
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.logs import log_to
from pfgov_api.oidc.library import jwt
from pfgov_api.oidc.settings import Settings, read_settings
from pfgov_api.oidc.sources import KeySource, source_of
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.scarcity import exhausted
from pfgov_api.service import Service
from pfgov_api.standby import Standby

GRACE_SECONDS: Final = 3
ENDS_SECONDS: Final = 4.0
"""After this long a server that was told to stop ends, closed or not."""

KILLED_SECONDS: Final = 4.7
"""After this long the kernel ends it, should even that not work: no Python has to run for it."""

UNCLOSED: Final = 4
"""The exit status of a server that ended without having closed its ledger: it could not be stored."""

CONNECTIONS_MAX: Final = 4_000
"""Connections and requests that uvicorn holds; the service refuses earlier, and more politely."""

KEYS_EVERY_SECONDS: Final = 0.25
"""How soon a running server notices that a key was made or revoked."""

FILES_WANTED: Final = 8_192

FOLLOW_AGAIN_SECONDS: Final = 1.0
"""Between two tries to stand by while the database cannot be reached."""

log = logging.getLogger("pfgov.api")

COLLECTED_EVERY: Final = (10_000, 20, 20)
"""Allocations, and collections of the younger generation, after which Python looks for garbage in cycles.

A request makes next to none, and what lives for long is walked each time: Python's own 700 cost a tenth of the server's
time, in pauses of 0.2 s with 30,000 packets in memory.
"""


def serve(  # noqa: PLR0913 - as many as the command has options
    directory: Path,
    host: str,
    port: int,
    *,
    log_level: str = "info",
    oidc: Path | None = None,
    signers: Sequence[tuple[str, str]] = (),
    public: str | None = None,
    openly: bool = False,
    witnesses: Witnesses | None = None,
    webhooks: Webhooks | None = None,
    node_url: str | None = None,
    beside: Beside | None = None,
    rooted: Rooted | None = None,
) -> None:
    """Serve the ledger in *directory* until told to stop.

    Args:
        directory: The ledger's folder.
        host: Where to listen.
        port: The port.
        log_level: What to log.
        oidc: The file that describes an issuer of tokens, if one is believed.
        signers: (role, URI) of signing keys that are not the folder's own files, oldest first.
        public: The URL under which others find the server, where that is not the one at which it listens.
        openly: Let everybody on this machine be the operator although there were keys.
        witnesses: Who cosigns checkpoints.
        webhooks: Who is told of what was committed.
        node_url: The URL under which other servers of the ledger reach this one; where it listens by default.
        beside: The folder of other ledgers that are served, too.
        rooted: The root that is kept over all of them.

    Raises:
        ForbiddenError: ``serve.open``, others are to reach it and there is neither a key nor an issuer;
            ``serve.keys_missing``, there were keys and their file is gone.
        StoreError: ``serve.address``, nothing can listen there: the port is taken, or no such address is ours.
        PfgovError: the ledger cannot be opened or created, or its keys not be read.
    """
    issuer = None if oidc is None else _issuer(oidc)
    is_here = is_loopback(host) and not (public or (beside and beside.hosts))
    keyring = _keyring(directory, must_exist=issuer is None and not is_here)
    is_open = issuer is None and _has_no_keys(keyring)
    check = _check(is_open=is_open, openly=openly)
    _require_here(public or (beside and beside.hosts) or host, is_right=is_here or not is_open)
    _prepare(log_level)
    sockets = listen(host, port)  # before anything is made: it may not be had
    _closed.clear()
    try:
        address = local_url(host, sockets[0].getsockname()[1])
        turns = Turns(directory, node_url or address, signers)

        def begin(engine: Engine, is_new: bool) -> tuple[Service, Greeting]:  # noqa: FBT001 - as it comes
            if check is not None:
                check(engine, keyring)
            tokens = None if issuer is None else Tokens(*issuer, engine.clock)
            if isinstance(engine, Follower):
                service = _standby(engine, turns, keyring, tokens, public)
            else:
                service = _leader(engine, keyring, tokens, public, witnesses, webhooks)
            service.named = others(beside, service, check, turns, directory)
            service.root = root_over(rooted, service, directory)
            return service, Greeting.of(service, directory, address, is_new=is_new)

        with Interim(sockets) if turns.can_change else contextlib.nullcontext() as interim:
            _take_turns(turns, begin, partial(_answer, sockets=sockets, interim=interim))
        _closed.set()
    finally:
        _close(sockets)


def _prepare(log_level: str) -> None:
    """Make this process a server's."""
    log_to(sys.stderr, log_level)
    _raise_limits()
    signal.signal(signal.SIGTERM, _leave)


def _check(*, is_open: bool, openly: bool) -> Callable[[Engine, KeyRing], None] | None:
    """Return what refuses to let everybody into another ledger, too; None where nobody gets in without a key."""
    if not is_open:
        return None
    if openly:
        return lambda _engine, _keyring: None
    looked_at: dict[str, int] = {}

    def require_no_keys_ever(engine: Engine, keyring: KeyRing) -> None:
        """Look at what is new since the last turn: a takeover may not take as long as the ledger is large."""
        size, known = engine.reader.head().size, looked_at.get(engine.origin, 0)
        _require_no_keys_ever(engine, keyring, known if known <= size else 0)
        looked_at[engine.origin] = size

    return require_no_keys_ever


def _keyring(directory: Path, *, must_exist: bool) -> KeyRing:
    return KeyRing(directory / FILE, must_exist=must_exist, recheck_seconds=KEYS_EVERY_SECONDS)


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _take_turns(
    turns: Turns,
    begin: Callable[[Engine, bool], tuple[Service, Greeting]],
    answer: Callable[[Service, Greeting], None],
) -> None:
    """Lead the ledger and stand by, in turns, until told to stop.

    A database that goes away while a turn begins, or is handed over, ends that turn and not the server: an end would
    leave the ledger one server.  The first turn is another thing: whoever starts a server is told that it cannot be.

    Args:
        turns: What opens the engines.
        begin: Makes the service of one engine, and says whether the ledger is new; it may ask the database.
        answer: Serves until told to stop, or to hand over.

    Raises:
        PfgovError: the ledger cannot be opened, or what was accepted not be kept at the end.
    """
    engine, is_new = turns.begin()
    has_begun = False
    while True:
        _collect_seldom()
        service: Service | None = None
        try:
            with engine:
                service, greeting = begin(engine, is_new)
                has_begun = True
                answer(service, greeting)
        except StoreUnavailableError as error:
            if not has_begun or (service is not None and not service.hands_over):
                raise
            log.warning("this server's turn is over: %s", error.message)
        following = _following(turns) if service is None else _next(service, turns)
        if following is None:
            return
        engine, is_new = following, False


def _leader(
    engine: Engine,
    keyring: KeyRing,
    tokens: Tokens | None,
    public: str | None,
    witnesses: Witnesses | None,
    webhooks: Webhooks | None,
) -> Service:
    """Return the service of a server that leads."""
    return Service(
        engine,
        keyring,
        tokens=tokens,
        public_url=public,
        witnesses=witnesses,
        webhooks=None if webhooks is None else delivery_of(webhooks, engine),
    )


def _standby(
    follower: Follower, turns: Turns, keyring: KeyRing, tokens: Tokens | None, public: str | None
) -> Service:
    """Return the service of a server that does not lead."""
    return Standby(follower, keyring, turns.lead, tokens=tokens, public_url=public)


def _next(service: Service, turns: Turns) -> Engine | None:
    """Return what a *service* that handed over is followed by; None where the server was told to end."""
    won = service.won() if isinstance(service, Standby) else None
    if service.hands_over:
        return won or _following(turns)
    if won is not None:
        won.close()  # it was told to end while it took over
    return None


def _following(turns: Turns) -> Engine:
    """Stand by; a database that cannot be reached just now is waited for: an end would leave the ledger one server."""
    is_said = False
    while True:
        try:
            return turns.follow()
        except StoreUnavailableError as error:
            if not is_said:
                log.warning("this server stands by as soon as that can be read: %s", error.message)
            is_said = True
            time.sleep(FOLLOW_AGAIN_SECONDS)


def _answer(
    service: Service,
    greeting: Greeting,
    sockets: list[socket.socket],
    interim: Interim | None,
) -> None:
    """Answer whoever asks at *sockets* until told to stop; *greeting* is said once that begins.

    Where another service may follow, *interim* answers between the two.  uvicorn closes what it is given, which are
    copies then.  What asyncio listens at must not be closed by others before it is told.
    """
    given = sockets if interim is None else [one.dup() for one in sockets]
    kept = () if interim is None else sockets
    try:
        Stopping(_config(service), service, greeting.say, kept, interim).run(sockets=given)
    except SystemExit as left:  # uvicorn raises the signal again when all is done
        if left.code:
            raise
    except RuntimeError as error:  # asyncio ends its threads in one more, which may not be had
        if exhausted(error) is None or not service.stopping.is_set():
            raise


def _has_no_keys(keyring: KeyRing) -> bool:
    """Whether there is no file of keys.

    Raises:
        StoreUnavailableError: ``key.file``, there is one by which nobody could be let in.
    """
    if not os.path.lexists(keyring.path):
        return True
    keyring.records()
    return False


def _require_here(where: str, *, is_right: bool) -> None:
    """Refuse to let everybody who reaches *where* be the operator, unless that *is_right*.

    Raises:
        ForbiddenError: ``serve.open``.
    """
    if is_right:
        return
    raise ForbiddenError(
        f"without API keys everybody who reaches {where} would be the operator",
        code="serve.open",
        hint="create a key first: pfgov key create --scope admin --scope operator; or name an issuer with --oidc; "
        "or listen on 127.0.0.1",
    )


def _require_no_keys_ever(engine: Engine, keyring: KeyRing, start: int = 0) -> None:
    """Refuse to let everybody in where not everybody was: a file of keys that is lost opens nothing.

    Args:
        engine: The ledger.
        keyring: Its keys: none.
        start: Whatever stands before was looked at.

    Raises:
        ForbiddenError: ``serve.keys_missing``.
    """
    seen, before = engine.reader.other_principal(start), engine.reader.predecessor()
    if seen is None and before is None and not keyring.has_been_used:
        return
    why = "keys were made here"
    if seen is not None:
        why = f"the ledger knows commands of {seen}"
    elif before is not None:
        why = f"the ledger continues {before}, whose keys are not taken over"
    raise ForbiddenError(
        f"{keyring.path} is missing, and {why}: without it everybody on this machine would be the operator",
        code="serve.keys_missing",
        hint="put the file back from a backup; or make a new key: pfgov key create --scope operator; "
        "or let everybody here in: pfgov serve --open",
    )


def _config(service: Service) -> uvicorn.Config:
    return uvicorn_config(
        application(service),
        service.draw_id,
        date_header=True,
        backlog=ACCEPTED_AT_ONCE,
        connections_max=_connections_max(),
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
        lifespan="on",
    )


def _connections_max() -> int:
    """Return how many connections there may be: files and databases need descriptors, too."""
    return min(CONNECTIONS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def _issuer(path: Path) -> tuple[Settings, KeySource]:
    """Return what *path* says about the issuer, and where its keys come from; everything wrong is said now.

    Raises:
        SettingsError: the file is wrong.
        MissingOidcError: tokens cannot be verified here.
        StoreUnavailableError: the file of the issuer's keys cannot be read.
    """
    settings = read_settings(path)
    jwt()
    return settings, source_of(settings)


def _leave(_signal: int, _frame: Any) -> None:
    """Leave by the front door, before and after uvicorn looks after signals."""
    end_soon()
    raise SystemExit(0)


_closed: Final = threading.Event()
"""Set when the ledger is closed: what still runs then reads."""


def end_soon() -> None:
    """See to it that this process ends within five seconds, whatever hangs."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, KILLED_SECONDS)
    timer = threading.Timer(ENDS_SECONDS, _end)
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # no thread can be had
        timer.start()


def _end() -> None:
    kill_writers()
    os._exit(0 if _closed.is_set() else UNCLOSED)


def _raise_limits() -> None:
    """Allow as many open files as the administrator does: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_WANTED, hard), hard))


def _collect_seldom() -> None:
    """Leave what is loaded by now out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_EVERY)


class Stopping(uvicorn.Server):
    """uvicorn, telling the service first that the end has come, so that streams close by themselves."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        greet: Callable[[], None],
        kept: Sequence[socket.socket],
        interim: Interim | None,
    ) -> None:
        super().__init__(config)
        self._interim = interim
        self._service = service
        self._greet = greet
        self._kept = kept
        service.leave = self.leave

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer, and only then say so."""
        if self._interim is not None:
            await asyncio.to_thread(self._interim.end)
        is_stopping = self._service.stopping.is_set
        asyncio.get_running_loop().set_exception_handler(Scarcity(log, is_stopping))
        await super().startup(sockets=sockets)
        for one in sockets or ():
            one.listen(BACKLOG)  # asyncio accepts as many at once as it is told may wait
        if self.started:
            self._greet()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop."""
        end_soon()
        self._end_service()
        _close(self._kept)  # nobody comes in any more
        super().handle_exit(sig, frame)

    def leave(self) -> None:
        """Stop answering in this service: another takes over its connections that nobody has accepted."""
        if self._interim is not None:
            self._interim.begin()
        self._end_service()
        self.should_exit = True

    def _end_service(self) -> None:
        self._service.stopping.set()
        self._service.trials.kill()
        self._service.simulations.kill()
        self._service.news.publish()
        if self._service.named is not None:
            self._service.named.keeper.begin_to_stop()
