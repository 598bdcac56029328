"""Outcomes: how many tasks were tried, verified, settled and taken back; which path is worth its price.

The picture is the leaderboard's, of the book's own tasks.
"""

from flatfare.core.errors import BadUsage
from flatfare.service.leaderboard.ranking import board_of
from flatfare.service.leaderboard.showing import Showing
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import document_of
from flatfare.service.reporting.funnel import Funnel as Counted
from flatfare.service.reporting.funnel import funnel
from flatfare.service.reporting.wording import percent
from flatfare.web.access import Right
from flatfare.web.frames import Colours, Frame, Json, Spec
from flatfare.web.pages.blocks import Block, Chart, Funnel, Key, Notes, Step, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import key_tabs, other_keys, ranked
from flatfare.web.site.charts import NARROW, WIDE, drawn, signature

TABS = ("path", "action", "model", "team", "customer")
POINTS_MAX = 60
"""A picture of more paths than so many shows none."""


def view(visit: Visit) -> View:
    """The page."""
    asking = visit.asking
    key = asking.by or "path"
    counted = _counted(visit)
    found = visit.report(key, sort=asking.sort or "cost-per-verified-outcome", limit=visit.limit)
    blocks: list[Block] = [] if counted is None else [_funnel(counted, found, visit)]
    chart = frontier(found, visit, key)
    if chart is not None:
        blocks.append(chart)
    table = ranked(
        found,
        visit,
        name="ranked",
        title="Cheapest verified outcome first" if asking.sort is None else "By group",
        key=key,
        tabs=key_tabs(visit, key, (*TABS, key)),
        more_tabs=key_tabs(visit, key, other_keys(visit, (*TABS, key))),
        empty=visit.nothing("No task in this period."),
    )
    blocks += [table, Notes(_NOTES)]
    document = {
        **document_of(found, visit.books.settings.currency),
        "funnel": None if counted is None else counted.as_json("action"),
    }
    return View("Outcomes", tuple(blocks), document, is_live=True)


_NOTES = (
    "Assumed is not verified: nobody spoke before the window closed. Only matured tasks count.",
    "Settled, held, voided and reversed are the money of a task, a field of its own beside its outcome.",
)


def _counted(visit: Visit) -> Counted | None:
    """The funnel's counts; None where a filter says nothing of a task."""
    try:
        return funnel(visit.books.book, visit.books.lake, **visit.within)[1]
    except BadUsage:
        return None


def _funnel(counted: Counted, found: Report, visit: Visit) -> Funnel:
    everything = counted.attempted

    def step(label: str, count: int, beside: str, tone: str = "", **of: str) -> Step:
        share = count / everything if everything else 0.0
        (name, value), *_ = [*of.items(), ("", "")]
        href = visit.asking.filtered(name, value, "/tasks") if name and count else None
        return Step(label, f"{count:,}", share, beside, href, tone)

    tries = f"in {found.total.figures.attempts:,} attempts; {counted.open:,} still open"
    shown = [
        step("Attempted", everything, "tasks", "quiet"),
        step("Matured", counted.matured, tries, "quiet"),
        step("Verified", counted.verified, _of(counted.verified, everything), outcome="verified"),
        step("Settled", counted.settled, _of(counted.settled, counted.verified), settlement="settled"),
        step("Reversed", counted.reversed, "verified once, and no longer", "bad", outcome="reversed"),
        step("Failed", counted.failed, _of(counted.failed, everything), "bad", outcome="failed"),
        step("Assumed", counted.assumed, "nobody verified them", "quiet", outcome="assumed"),
    ]
    if counted.disputed:
        shown.append(step("Disputed", counted.disputed, "whatever their outcome", "bad"))
    return Funnel("From attempt to settlement", tuple(shown))


def _of(count: int, whole: int) -> str:
    return f"{percent(count / whole)} of {whole:,}" if whole else ""


def frontier(found: Report, visit: Visit, key: str) -> Chart | None:
    """Cost per verified outcome against success rate, a point a group; None with fewer than two points."""
    own = [row for row in found.rows if not row.is_published and row.keys[0] and row.n]
    rows = own or [row for row in found.rows if row.is_published and row.keys[0] and row.n]
    rows = sorted(rows, key=lambda row: -row.figures.spend_nano)[:POINTS_MAX]
    board = board_of("", "", [_showing(row) for row in rows])
    points = drawn(board)
    if len(points) < 2:
        return None

    def draw(colours: Colours, frame: Frame) -> Spec:
        return _told(signature(board, colours, frame))

    names = [one.showing.path for one in points if one.is_on_frontier]
    alt = (
        f"{len(points)} points, cost per verified outcome against success rate. "
        f"On the frontier: {', '.join(names)}."
    )
    return Chart(
        "frontier",
        f"What a verified outcome costs, and how often there is one, by {key.removeprefix('label.')}",
        draw,
        alt,
        WIDE,
        NARROW,
        ranked(found, visit, name="frontier", title=f"By {key}", key=key),
        (
            Key("accent", "on the frontier: nothing is both cheaper and verified more often"),
            Key("point", "other"),
            Key("open", "at least: part of the cost is unknown"),
        ),
        "Upper left is better. Bars are 95 % intervals.",
        has_table_below=True,
    )


def _showing(row: Row) -> Showing:
    f = row.figures
    return Showing(
        "",
        "",
        row.keys[0] or "",
        (),
        row.n,
        row.verified,
        f.cost_nano,
        f.attempts,
        f.assumed,
        None if row.is_published else f.failure_nano,
        f.unknown_cost_tasks,
        None if row.is_published else f.sums(),
    )


def _told(spec: Spec) -> Spec:
    """The picture with what each point says when it is touched."""
    said = (
        "datum.path + ': ' + format(datum.cost, '$,.4~f') + ' per verified outcome, ' + "
        "format(100 * datum.rate, '.1f') + ' % verified'"
    )
    layers = spec["layer"]
    assert isinstance(layers, list)
    told: list[Json] = [_with_words(layer) for layer in layers]
    return {**spec, "transform": [{"calculate": said, "as": "said"}], "layer": told}


def _with_words(layer: Json) -> Json:
    assert isinstance(layer, dict)
    mark, encoding = layer.get("mark"), layer.get("encoding")
    if isinstance(mark, dict) and mark.get("type") == "point" and isinstance(encoding, dict):
        return {**layer, "encoding": {**encoding, "tooltip": {"field": "said"}}}
    return layer


PAGE = Page("/outcomes", "outcomes", "Outcomes", Right.READ, view, narrows=True)
