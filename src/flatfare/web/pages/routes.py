"""The addresses of pages: each as HTML, JSON and CSV, its charts as pictures, its forms' deeds.

Who asks is settled before anything is looked up; what fails is told on a page of its own, in
the sentences that the command line has.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError, NotFound
from flatfare.web.access import COOKIE, Door, NotKnown, Visitor
from flatfare.web.desk import Books, Desk
from flatfare.web.pages import drawing, live, rendering, signing_in, signing_on
from flatfare.web.pages.asking import Asking, asked
from flatfare.web.pages.blocks import View
from flatfare.web.pages.csv_text import csv_text
from flatfare.web.pages.extents import Extents
from flatfare.web.pages.forms import form_fields
from flatfare.web.pages.held import Views
from flatfare.web.pages.live import Arriving
from flatfare.web.pages.navigation import PAGES, shown_to
from flatfare.web.pages.packing import packed
from flatfare.web.pages.page import Deed, Later, Page, Sent, Visit
from flatfare.web.pages.periods import TITLES
from flatfare.web.pages.problem import FAULT, Fault, html_answer, problem_page

COOKIE_S = 30 * 86_400
_FOR_EVER = "public, max-age=31536000, immutable"
_log = logging.getLogger("flatfare.web")

Serve = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Every address of the dashboard, and how its streams are ended."""

    routes: list[BaseRoute]
    end: Callable[[], None]


def dashboard(settings: Settings, desk: Desk, door: Door) -> Dashboard:
    """The dashboard on the books of a desk."""
    doorway = _Doorway(settings, desk, door)
    arriving = Arriving(desk, doorway.forget)
    found: list[BaseRoute] = [
        Route("/assets/{name}", _asset, methods=["GET"]),
        Route("/overview", _to_overview, methods=["GET"]),
        live.route(desk, door, arriving),
        *signing_in.routes(desk, door),
        *signing_on.routes(desk),
    ]
    for page in PAGES:
        base = "/overview" if page.path == "/" else page.path
        found += [
            Route(page.path, doorway.html(page), methods=["GET"], name=page.name),
            Route(f"{base}/charts/{{chart}}.{{ending}}", doorway.picture(page), methods=["GET"]),
        ]
        found += [Route(deed.path, doorway.deed(page, deed), methods=["POST"]) for deed in page.deeds]
    # Endings come first: a path that takes a name would else take the ending with it.
    endings: list[BaseRoute] = [
        Route(f"{'/overview' if page.path == '/' else page.path}.{ending}", serve(page), methods=["GET"])
        for page in PAGES
        for ending, serve in (("json", doorway.json), ("csv", doorway.csv))
    ]
    return Dashboard([*endings, *found], arriving.end)


async def _to_overview(request: Request) -> Response:
    return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/", 307)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    headers = {"cache-control": _FOR_EVER}
    if name == "charts.js":
        return packed(request, drawing.script(), headers, "text/javascript")
    if name not in rendering.ASSETS:
        raise NotFound(f"There is no file {name[:60]!r} here.")
    return packed(request, rendering.asset(name), headers, rendering.ASSETS[name])


class _Doorway:
    """Lets visitors to pages, and tells what went wrong in the shape they asked for."""

    def __init__(self, settings: Settings, desk: Desk, door: Door) -> None:
        self._settings = settings
        self._desk = desk
        self._door = door
        self._extents = Extents()
        self._views = Views()

    def forget(self) -> None:
        """The books have changed: what is held is of before."""
        self._extents.forget()
        self._views.forget()

    def html(self, page: Page) -> Serve:
        async def serve(request: Request) -> Response:
            if page.path == "/" and "token" in request.query_params:
                return self._let_in(request)
            try:
                return await self._ask(request, page, _html)
            except FlatfareError as problem:
                return self._problem(request, problem)
            except Exception as bug:  # noqa: BLE001 - the outermost door of a page: the log has where it stands
                _log.error("%s failed.", request.url.path, exc_info=bug)
                return self._problem(request, Fault(FAULT))

        return serve

    def json(self, page: Page) -> Serve:
        return self._plain(page, _json)

    def csv(self, page: Page) -> Serve:
        return self._plain(page, _csv)

    def picture(self, page: Page) -> Serve:
        return self._plain(page, _picture)

    def deed(self, page: Page, deed: Deed) -> Serve:
        async def serve(request: Request) -> Response:
            try:
                return await self._do(request, page, deed)
            except FlatfareError as problem:
                return self._problem(request, problem)
            except Exception as bug:  # noqa: BLE001 - the outermost door of a form
                _log.error("%s failed.", request.url.path, exc_info=bug)
                return self._problem(request, Fault(FAULT))

        return serve

    def _plain(self, page: Page, show: "Callable[[Request, Visit, Page, View], Response]") -> Serve:
        async def serve(request: Request) -> Response:
            return await self._ask(request, page, show)

        return serve

    async def _ask(
        self, request: Request, page: Page, show: "Callable[[Request, Visit, Page, View], Response]"
    ) -> Response:
        self._door.check_origin(request)

        def answered(books: Books) -> Response:
            visitor = self._door.visitor(request, books)
            if visitor.is_anybody:
                raise NotKnown("Sign in, or open the address with the token that flatfare serve prints.")
            visitor.require(page.right)
            if not page.narrows:
                visitor.require_whole("This page")
            visit = self._visit(request, page, visitor, books)
            if show in (_json, _csv):
                visit = replace(visit, rows_max=None)
            held = self._views.of(visit, page, is_picture=show is _picture)
            return show(request, visit, page, held)

        return await self._desk.ask(answered, writes=False)

    def _visit(self, request: Request, page: Page, visitor: Visitor, books: Books) -> Visit:
        extent = self._extents.of(books)
        asking = asked(
            _filled(page.path, request.path_params),
            request.query_params.multi_items(),
            now_us=books.now_us,
            zone=books.settings.time_zone,
            extent=extent,
            takes=page.takes,
        )
        path = {name: value for name, value in request.path_params.items() if name not in ("chart", "ending")}
        return Visit(visitor, books, asking, extent, path)

    async def _do(self, request: Request, page: Page, deed: Deed) -> Response:
        self._door.check_origin(request)
        fields = await form_fields(request)

        def done(books: Books) -> tuple[Visit, str | View | Later]:
            visitor = self._door.visitor(request, books)
            visitor.require(deed.right)
            visitor.require_mark(fields.get("mark", ""))
            if not deed.narrows:
                visitor.require_whole("This")
            came = deed.do(Sent(visitor, books, fields, request.path_params))
            extent = self._extents.of(books)
            asking = asked(page.path, (), now_us=books.now_us, zone=books.settings.time_zone, extent=extent)
            return Visit(visitor, books, asking, extent), came

        visit, came = await self._desk.ask(done, writes=True)
        if isinstance(came, Later):
            came = await came.work(request.app.state.workshop)
        self.forget()
        return RedirectResponse(came, 303) if isinstance(came, str) else _html(request, visit, page, came)

    def _let_in(self, request: Request) -> Response:
        """The address that ``serve`` prints: the token goes into a cookie and out of the address."""
        self._door.check_origin(request)
        if not self._door.is_token(request.query_params["token"]):
            refused = NotKnown(
                "This address is of another start of flatfare serve: use the last one it printed."
            )
            return self._problem(request, refused)
        rest = [pair for pair in request.query_params.multi_items() if pair[0] != "token"]
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in rest)
        answer = RedirectResponse(f"/?{query}" if query else "/", 303)
        answer.set_cookie(
            COOKIE, request.query_params["token"], COOKIE_S, path="/", httponly=True, samesite="strict"
        )
        return answer

    def _problem(self, request: Request, problem: FlatfareError) -> Response:
        is_asking = request.method in ("GET", "HEAD") and "token" not in request.query_params
        if isinstance(problem, NotKnown) and is_asking:
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(there, safe='')}", 303)
        return problem_page(problem)


def _filled(path: str, values: Mapping[str, str]) -> str:
    """A page's address with what was asked for in place of its names."""
    for name, value in values.items():
        path = path.replace(f"{{{name}:path}}", quote(value)).replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _html(request: Request, visit: Visit, page: Page, view: View) -> Response:
    asking = visit.asking
    values = {
        "view": view,
        "page": page,
        "asking": asking,
        "visitor": visit.visitor,
        "navigation": shown_to(visit.visitor),
        "as_of": rendering.moment_text(visit.books.now_us, asking.zone),
        "labels": _keys_to_filter(visit),
        "picture": lambda chart, ending, **more: _picture_address(asking, chart, ending, more),
        "can_draw": drawing.can_draw(),
        "mark": visit.visitor.mark,
        "signs_out": not visit.visitor.name.startswith("the user"),
        "titles": _periods(asking),
    }
    return html_answer(rendering.page_of("page.html", values))


def _periods(asking: Asking) -> list[tuple[str, str, bool]]:
    def address(name: str) -> str:
        return asking.url(period=name, since=None, until=None, limit=None)

    return [(title, address(name), name == asking.period.name) for name, title in TITLES.items()]


def _keys_to_filter(visit: Visit) -> list[str]:
    built_in = ("path", "model", "provider", "action", "key", "source", "outcome", "purpose", "session")
    labels = [name for name in visit.extent.labels if name not in built_in]
    usual = [name for name in ("team", "customer", "feature") if name not in labels]
    return [*labels, *built_in, *usual]


def _picture_address(asking: Asking, chart: str, ending: str, more: dict[str, str]) -> str:
    base = "/overview" if asking.path == "/" else asking.path
    return asking.url(f"{base}/charts/{chart}.{ending}", **more)


def _json(request: Request, visit: Visit, page: Page, view: View) -> Response:
    return Response(msgspec.json.encode(view.document), 200, None, "application/json")


def _csv(request: Request, visit: Visit, page: Page, view: View) -> Response:
    tables = view.tables()
    wanted = request.query_params.get("table")
    table = next((one for one in tables if wanted in (None, one.name)), None)
    if table is None or table.csv is None:
        known = ", ".join(one.name for one in tables) or "none"
        raise NotFound(f"This page has no table {wanted or ''!r}. It has: {known}.")
    name = f"flatfare-{page.name}-{table.name}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(csv_text(table.csv), 200, headers, "text/csv; charset=utf-8")


def _picture(request: Request, visit: Visit, page: Page, view: View) -> Response:
    name, ending = request.path_params["chart"], request.path_params["ending"]
    chart = view.chart(name)
    if chart is None:
        raise NotFound(f"This page has no chart {name[:40]!r}, or nothing to draw in this period.")
    theme = request.query_params.get("theme", "light")
    frame = request.query_params.get("frame", "wide")
    drawn = drawing.picture(chart, ending, theme, frame)
    return packed(request, drawn, {"cache-control": "private, max-age=60"}, drawing.MEDIA[ending])
