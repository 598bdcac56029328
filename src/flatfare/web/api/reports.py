"""Reports over HTTP: the same document that ``flatfare report --json`` prints."""

from dataclasses import replace

import msgspec

from flatfare.core.attribution import Rule
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment
from flatfare.service.reporting import keys, turns
from flatfare.service.reporting.attributing import attributed, weights_of
from flatfare.service.reporting.comparing import compared
from flatfare.service.reporting.document import document_of
from flatfare.service.reporting.funnel import funnel
from flatfare.service.reporting.report import Report, report
from flatfare.web.access import Right, Visitor
from flatfare.web.endpoint import Asked, Endpoint


class ReportQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked; see ``flatfare report --help``."""

    by: list[str] = msgspec.field(default_factory=lambda: ["path"])
    filter: list[str] = []  # KEY=VALUE; values of one key are alternatives
    since: str | None = None
    until: str | None = None
    cost: str = "counts"
    handoff_cost: str | None = None
    time_zone: str | None = None
    sort: str | None = None
    limit: int | None = None
    against: str | None = None


def _report(asked: Asked) -> object:
    query: ReportQuery = asked.query
    books, by = asked.books, keys.asked(asked.query.by) or ["path"]
    if keys.TURN in by:
        return _turns(asked, by)
    found = report(
        books.book,
        books.lake,
        now_us=books.now_us,
        by=by,
        since_us=moment(query.since),
        until_us=moment(query.until),
        filters=asked.visitor.scope.narrowed(filter_of(text) for text in query.filter),
        handoff_nano=dollars(query.handoff_cost or "0", from_zero=True),
        cost=query.cost,
        time_zone=query.time_zone or books.settings.time_zone,
        sort=query.sort,
        limit=None if query.against else query.limit,
    )
    document = document_of(seen_by(asked.visitor, found), books.settings.currency)
    if query.against is not None:
        document["against"] = [one.as_json() for one in compared(found, query.against)]
    return document


def _turns(asked: Asked, by: list[str]) -> object:
    """What each turn of a conversation costs, which has figures of its own."""
    query: ReportQuery = asked.query
    found, loose = turns.turns(
        asked.books.book,
        asked.books.lake,
        now_us=asked.books.now_us,
        by=by,
        since_us=moment(query.since),
        until_us=moment(query.until),
        filters=asked.visitor.scope.narrowed(filter_of(text) for text in query.filter),
        time_zone=query.time_zone or asked.books.settings.time_zone,
        limit=query.limit,
    )
    return turns.document_of(found, loose, [name for name in by if name != keys.TURN])


def seen_by(visitor: Visitor, found: Report) -> Report:
    """The report without what is of everybody together, for who does not see everybody."""
    return found if visitor.scope.is_whole else replace(found, idle_nano=0)


def moment(text: str | None) -> int | None:
    """A time in a query, in microseconds since 1970."""
    return None if text is None else parse_moment(text)[0]


def filter_of(text: str) -> tuple[str, str]:
    """A filter in a query, ``key=value``."""
    name, sign, value = text.partition("=")
    if not sign:
        raise BadInput(f"Found the filter {text[:60]!r}: write key=value, such as team=search.")
    return name, value


class AttributionQuery(msgspec.Struct, forbid_unknown_fields=True):
    """By which rule, and what tells parts apart; see ``flatfare outcomes attribution --help``."""

    rule: Rule = Rule.RESOLVER
    by: str = "part"
    share: list[str] = []  # PART=WEIGHT
    filter: list[str] = []
    since: str | None = None
    until: str | None = None


def _attribution(asked: Asked) -> object:
    query: AttributionQuery = asked.query
    books = asked.books
    found = attributed(
        books.book,
        books.lake,
        now_us=books.now_us,
        rule=query.rule,
        by=query.by,
        shares=weights_of(query.share),
        filters=asked.visitor.scope.narrowed(filter_of(text) for text in query.filter),
        since_us=moment(query.since),
        until_us=moment(query.until),
    )
    rows = [one.as_json(query.by) for one in found]
    return {"rule": query.rule, "by": query.by, "shares": query.share, "rows": rows}


class FunnelQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks, and by which key of theirs."""

    by: str = "action"
    filter: list[str] = []
    since: str | None = None
    until: str | None = None


def _funnel(asked: Asked) -> object:
    query: FunnelQuery = asked.query
    books = asked.books
    groups, total = funnel(
        books.book,
        books.lake,
        now_us=books.now_us,
        by=query.by,
        filters=asked.visitor.scope.narrowed(filter_of(text) for text in query.filter),
        since_us=moment(query.since),
        until_us=moment(query.until),
    )
    rows = [one.as_json(query.by) for one in groups]
    return {"by": query.by, "rows": rows, "total": total.as_json(query.by)}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/attribution",
        "attribution",
        "Whose the verified outcomes are that several parts touched, by a rule that is named",
        Right.READ,
        _attribution,
        query=AttributionQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/funnel",
        "funnel",
        "How many tasks were attempted, verified, settled and reversed",
        Right.READ,
        _funnel,
        query=FunnelQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/report",
        "report",
        "Cost, tasks, verified and cost per verified outcome, in groups",
        Right.READ,
        _report,
        query=ReportQuery,
        narrows=True,
    ),
)
