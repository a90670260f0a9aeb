"""Requests for the console: who visits, which page, and what is answered.

A page is sent whole, or without what surrounds it to a page that is open already (``Pfgov-Fragment``).  What is asked
and drawn is elsewhere, and so is what a request and a reply are made of.
"""

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from pfgov.app.hosting import PATIENCE_SECONDS, UnpublishedError
from pfgov.app.local import LOCAL, LocalLedger
from pfgov.errors import BusyError, NotFoundError, PfgovError
from pfgov_api.console import assets, doing, downloads, live, playground, receipts, searching
from pfgov_api.console.actions import BY_NAME
from pfgov_api.console.exchange import (
    EVENTS,
    FRAGMENT,
    HOME,
    HTML,
    Asgi,
    asset,
    body_of,
    form_of,
    from_here,
    is_act,
    named,
    packed_reply,
    protection,
    query_of,
    require_sound,
    to,
)
from pfgov_api.console.fragments import Drawn, Fragments
from pfgov_api.console.issuer import IssuerDoor
from pfgov_api.console.pages import NAVIGATION, VALUE_LENGTH_MAX, Page, Visit
from pfgov_api.console.rendering import render
from pfgov_api.console.sessions import Sessions, cookie, secret_of
from pfgov_api.console.site import PAGES
from pfgov_api.console.visiting import Visitor
from pfgov_api.dispatcher import PAUSE_SECONDS, options, read_headers
from pfgov_api.grants import Grant
from pfgov_api.leaving import cut, uncancel, while_there
from pfgov_api.limits import SIGN_IN_BYTES_MAX
from pfgov_api.mounting import ledger_of
from pfgov_api.origins import require_here
from pfgov_api.outgoing import request_id_of
from pfgov_api.problems import FramingError, HttpError, UnauthenticatedError, status_of
from pfgov_api.replies import Reply
from pfgov_api.scarcity import no_mistake
from pfgov_api.service import Service
from pfgov_api.streams import require_room

NOBODY: Final = "nobody is signed in"
START: Final = "overview"
SIGN_IN: Final = "/console/sign-in"

log = logging.getLogger("pfgov.api")


class Console:
    """The console of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.fragments = Fragments()
        self.sessions = Sessions()
        self.issuer = IssuerDoor(service, self.sessions, _local)
        self.pulse = live.Pulse(service, lambda: self.fragments.slowest)

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the handlers of every path of the console."""
        read: Any = ("GET", "HEAD", "OPTIONS")

        async def handle(request: Asgi) -> ASGIApp:
            if ledger_of(request) is not None:  # it shows the default ledger, and no other
                raise NotFoundException
            if request.scope["method"] == "OPTIONS":
                is_form = request.scope["path"].startswith(HOME)
                return options(self.service, request, "GET, HEAD, OPTIONS" + ", POST" * is_form)
            return await self.answer(request)

        paths: tuple[tuple[str, Any], ...] = (
            ("/", read),
            ("/console", read),
            ("/console/{rest:path}", (*read, "POST")),
        )
        return [
            HTTPRouteHandler(path, http_method=methods, status_code=200, name=f"console {path}")(
                handle
            )
            for path, methods in paths
        ]

    async def answer(self, request: Asgi) -> Reply:
        """Answer one request, whatever happens."""
        headers, twice = read_headers(request)
        request_id, sent_id = request_id_of(self.service.draw_id, headers)
        raw = request.scope["raw_path"].decode("latin-1")
        visitor: Visitor | None = None
        try:
            require_sound(headers, twice)
            form = await self._sign_in_form(request, raw, headers)
            counted, share = self.service.admit("console"), None
            try:
                reply = await self._outside(request, raw, headers, form)
                if reply is None:
                    visitor = self._visitor(headers, request_id, acts=is_act(raw, headers))
                    share = self._take_share(visitor)
                    reply = await self._inside(request, raw, headers, visitor)
            finally:
                self.service.dismiss(share, counted=counted)
        except UnauthenticatedError as error:
            asked = request.scope["query_string"].decode("latin-1")
            reply = self._sign_in(f"{raw}?{asked}" if asked else raw, headers, error)
        except PfgovError as error:
            asked = raw if request.scope["method"] != "POST" else ""
            reply = self._problem(error, visitor, headers, request_id, asked)
            if isinstance(error, FramingError):
                reply.headers["connection"] = "close"  # what follows may be a part of it
        except asyncio.CancelledError:
            if not self.service.stopping.is_set():
                raise
            uncancel()
            ended = cut(is_write=request.scope["method"] == "POST" and visitor is not None)
            reply = self._problem(ended, visitor, headers, request_id)
        except Exception as error:  # the last resort: our mistake must not show its inside
            said = no_mistake(error) or HttpError("something went wrong here", code="http.internal")
            trace = error if isinstance(said, HttpError) else None
            log.exception("unexpected error", extra={"request_id": request_id}, exc_info=trace)
            reply = self._problem(said, visitor, headers, request_id)
        reply.headers["x-request-id"] = sent_id
        reply.is_head = request.scope["method"] == "HEAD"
        return reply

    # --- before anybody is known -----------------------------------------------------------

    async def _sign_in_form(
        self, request: Asgi, raw: str, headers: Mapping[str, str]
    ) -> dict[str, str] | None:
        """Return what somebody signs in with; None where nobody does.

        It is taken in before the request counts: anybody may send one, and let its body wait.
        """
        if raw != SIGN_IN or request.scope["method"] != "POST" or self.service.access.is_open:
            return None
        from_here(headers)
        return form_of(await body_of(request, headers, SIGN_IN_BYTES_MAX))

    async def _outside(
        self, request: Asgi, raw: str, headers: Mapping[str, str], form: dict[str, str] | None
    ) -> Reply | None:
        """Answer what needs no grant; None for everything else."""
        if raw in {"/", "/console"}:
            return to(HOME + START)
        if raw.startswith("/console/static/"):
            return asset(raw.removeprefix("/console/static/"), headers)
        if raw == HOME:
            return to(HOME + START)
        came = await self.issuer.answer(raw, query_of(request), headers)
        if came is not None:
            return came
        if form is not None:
            return self._signing_in(form, headers)
        if raw == SIGN_IN and not self.service.access.is_open:
            return self._sign_in(query_of(request).get("next", ""), headers, None)
        return None

    def _grant(self, headers: Mapping[str, str], *, acts: bool) -> Grant:
        """Return who visits: the session's grant, or everybody's on this machine while there are no keys."""
        access = self.service.access
        if access.is_open:
            require_here(headers)
            return access.grant(None)
        session = self.sessions.find(secret_of(headers.get("cookie")), acts=acts)
        if session is None:
            raise UnauthenticatedError(NOBODY, hint="sign in with an API key")
        return session.grant

    def _visitor(self, headers: Mapping[str, str], request_id: str, *, acts: bool) -> Visitor:
        grant, secret = self._grant(headers, acts=acts), secret_of(headers.get("cookie"))
        places = (
            () if self.service.access.is_open else self.sessions.places(grant.principal.id, secret)
        )
        return Visitor(self.service, grant, request_id, places)

    def _take_share(self, visitor: Visitor) -> str | None:
        """Count a request of *visitor* as one over the API is; return what it is counted under.

        Raises:
            TooManyError: it has its share of them.
        """
        share = visitor.grant.share
        if share is not None:
            self.service.requests.take(share)
        return share

    # --- somebody is known -----------------------------------------------------------------

    async def _inside(
        self, request: Asgi, raw: str, headers: Mapping[str, str], visitor: Visitor
    ) -> Reply:
        rest = named(raw.removeprefix(HOME))
        query = query_of(request)
        if request.scope["method"] == "POST":
            from_here(headers)
            form = form_of(await body_of(request, headers))
            if rest == "sign-out":
                return self._signing_out(headers, visitor, form)
            if rest == "simulate":
                return await _simulated(visitor, form)
            if rest == "policies/try":
                running = playground.run(visitor, form)
                only_asks = form.get("do", "") not in playground.RECORDED
                tried = await (while_there(request, running) if only_asks else running)
                if isinstance(tried, str):
                    return to(tried)
                return await self._page(tried, headers, visitor, {})
            return await self._act(rest, form, headers, visitor)
        if raw == EVENTS:
            return self._following(visitor, headers)
        if rest.startswith("raw/"):
            return await downloads.give(rest.removeprefix("raw/"), visitor, query)
        if rest == "search":
            found = await searching.find(visitor, query.get("q", ""))
            return (
                to(found)
                if isinstance(found, str)
                else await self._page(found, headers, visitor, {})
            )
        chosen = doing.chosen(rest, query)
        if chosen is not None:
            return to(chosen)
        target = doing.match(rest)
        if target is not None:
            form_page = await doing.ask(visitor, target, query)
            return await self._page(form_page, headers, visitor, query)
        page, path = _find(rest)
        if not visitor.may(page.needs):
            await visitor.ask(page.needs, None, **path)  # which says why not
        known = {name: query[name][:VALUE_LENGTH_MAX] for name in page.query if name in query}
        seen = headers.get(FRAGMENT, "")
        at_least = int(seen) + 1 if re.fullmatch("[0-9]{1,15}", seen) else None
        size = await self._size()
        drawn = await self._drawn(Visit(visitor, raw, path, known), page, at_least, size)
        head = size - 1 if page.is_live else None
        return await self._page(drawn, headers, visitor, query, head=head)

    def _following(self, visitor: Visitor, headers: Mapping[str, str]) -> Reply:
        """Return the stream that an open page follows; it ends with the session, however long nobody looks."""
        grant, secret = visitor.grant, secret_of(headers.get("cookie"))
        require_room(self.service, grant)
        if not self.service.access.is_open:
            grant = replace(grant, holds=lambda: self.sessions.lasts(secret))
        more = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = live.changes(self.service, grant, self.pulse)
        return Reply(200, media_type="text/event-stream", headers=more, stream=stream)

    async def _drawn(self, visit: Visit, page: Page, at_least: int | None, size: int) -> Drawn:
        """Return what *page* shows: as of now, or for a page that is open as of the entry that it was told of."""
        principal = visit.visitor.grant.principal
        is_own = page.is_personal or not page.is_live  # such a page is nobody else's
        who = principal.id if is_own else ""
        key = (visit.url, tuple(sorted(visit.query.items())), principal.rights, who)

        async def draw() -> Drawn:
            shown = await page.view(visit)

            def fill() -> Drawn:
                html = render(shown.template, **shown.values())
                return Drawn.for_many(shown.title, page.here, html.encode())

            return await asyncio.to_thread(fill)

        wanted = size if at_least is None else min(at_least, size)
        return await self.fragments.get(key, wanted, size, draw)

    async def _size(self) -> int:
        """Return how far the ledger is; while a commit is being published that takes a moment."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await self.service.read(LOCAL, LocalLedger.size)
            except UnpublishedError:
                if loop.time() > patience:
                    raise BusyError(
                        "the ledger is being written", hint="try again in a moment"
                    ) from None
            await asyncio.sleep(PAUSE_SECONDS)

    async def _page(
        self,
        drawn: Drawn,
        headers: Mapping[str, str],
        visitor: Visitor | None,
        query: Mapping[str, str],
        *,
        head: int | None = None,
    ) -> Reply:
        """Return a page, or what is inside it to a page that asks for itself anew.

        A page that follows the ledger says as of which entry it was drawn, its *head*: what comes between that and the
        first word of its stream is news.
        """
        if FRAGMENT in headers:
            tag = f'"{drawn.tag or hashlib.sha256(drawn.html).hexdigest()[:32]}"'
            more = {
                "ETag": tag,
                "Cache-Control": "no-cache",
                "Vary": f"{FRAGMENT}, Accept-Encoding",
            }
            if tag in headers.get("if-none-match", ""):
                return Reply(304, headers=more)
            return await packed_reply(drawn.html, headers, drawn.status, more, drawn.packed)
        nonce = secrets.token_urlsafe(16)
        html = render(
            "base.html",
            nonce=nonce,
            title=drawn.title,
            here=drawn.here,
            inner=drawn.html.decode(),
            navigation=[]
            if visitor is None
            else [one for one in NAVIGATION if visitor.may(one[2])],
            visitor=visitor,
            is_open=self.service.access.is_open,
            head=head,
            did=None
            if visitor is None
            else receipts.shown(query.get("did", ""), visitor.grant.principal.id),
            asset=assets.url,
        )
        return await packed_reply(html.encode(), headers, drawn.status, protection(nonce))

    def _problem(
        self,
        error: PfgovError,
        visitor: Visitor | None,
        headers: Mapping[str, str],
        request_id: str,
        url: str = "",
    ) -> Reply:
        again = url if url and status_of(error) in {429, 503} else None
        parts = [] if visitor is None else [one for one in NAVIGATION if visitor.may(one[2])]
        part = next((one for one in parts if one[0] == _part_of(url) and not again), None)
        inner = render("problem.html", error=error, request_id=request_id, again=again, part=part)
        nonce = secrets.token_urlsafe(16)
        if FRAGMENT in headers:
            headers = protection(nonce)
            return Reply(status_of(error), inner.encode(), media_type=HTML, headers=headers)
        html = render(
            "base.html",
            nonce=nonce,
            title="Not shown",
            here="" if part is None else part[0],
            inner=inner,
            navigation=parts,
            visitor=visitor,
            is_open=self.service.access.is_open,
            head=None,
            did=None,
            asset=assets.url,
        )
        return Reply(status_of(error), html.encode(), media_type=HTML, headers=protection(nonce))

    # --- acting ----------------------------------------------------------------------------

    async def _act(
        self, rest: str, form: Mapping[str, str], headers: Mapping[str, str], visitor: Visitor
    ) -> Reply:
        found = doing.match(rest)
        if found is None:
            raise NotFoundError(f"there is nothing to do at {rest[:200]}", code="http.not_found")
        done = await doing.run(visitor, found, form)
        if isinstance(done, Drawn):
            return await self._page(done, headers, visitor, {})
        return to(done)

    def _signing_in(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        try:
            grant = self.service.access.grant(f"Bearer {form.get('key', '').strip()}")
        except UnauthenticatedError as error:
            return self._sign_in(form.get("next", ""), headers, error)
        reply = to(_local(form.get("next", "")))
        reply.headers["set-cookie"] = cookie(self.sessions.begin(grant))
        return reply

    def _signing_out(
        self, headers: Mapping[str, str], visitor: Visitor, form: Mapping[str, str]
    ) -> Reply:
        if form.get("session"):
            self.sessions.end_named(visitor.grant.principal.id, form["session"])
            return to(HOME + "session")
        self.sessions.end(secret_of(headers.get("cookie")))
        reply = to(SIGN_IN)
        reply.headers["set-cookie"] = cookie("")
        return reply

    def _sign_in(self, target: str, headers: Mapping[str, str], error: PfgovError | None) -> Reply:
        nonce = secrets.token_urlsafe(16)
        said = None if error is None or error.message == NOBODY else error
        issuer = self.issuer.name
        inner = render("sign_in.html", target=_local(target), error=said, issuer=issuer)
        html = inner
        if FRAGMENT not in headers:
            html = render(
                "base.html",
                nonce=nonce,
                title="Sign in",
                here="",
                inner=inner,
                navigation=[],
                visitor=None,
                is_open=False,
                head=None,
                did=None,
                asset=assets.url,
            )
        status = 200 if error is None else 401
        return Reply(status, html.encode(), media_type=HTML, headers=protection(nonce))


def _find(rest: str) -> tuple[Page, dict[str, str]]:
    for page in PAGES:
        path = page.match(rest)
        if path is not None:
            return page, path
    raise NotFoundError(
        f"there is no page {rest[:200]!r}", code="http.not_found", hint="choose one from the menu"
    )


def _part_of(url: str) -> str:
    """Return the part of the console that an address belongs to: a form to its action's, a file to the audit."""
    begins, _, rest = url.removeprefix(HOME).partition("/")
    if begins == "do":
        action = BY_NAME.get(rest.partition("/")[0])
        return "" if action is None else action.here
    return "audit" if begins == "raw" else begins


def _local(target: str) -> str:
    """Return *target* if it is a page of this console: nobody is sent elsewhere after signing in."""
    is_ours = re.fullmatch(r"/console/[A-Za-z0-9._:@~%/-]*(\?[A-Za-z0-9._:@~%/=&+-]*)?", target)
    is_page = is_ours and not target.startswith(
        ("/console/sign-in", "/console/signed-in", "/console/static", "/console/events")
    )
    return target if is_page else HOME + START


async def _simulated(visitor: Visitor, form: Mapping[str, str]) -> Reply:
    seed = form.get("seed", "")
    number = int(seed) if seed.isascii() and seed.isdigit() and len(seed) <= 10 else seed
    body = {"scenario": form.get("scenario", ""), "seed": number}
    if form.get("scheduler"):
        body["scheduler"] = form["scheduler"]
    answer = await visitor.begin("simulate", body)
    return Reply(200, media_type=answer.media_type, headers=answer.headers, stream=answer.stream)
