"""A page: its address, who may see it, and what it shows; asked once for HTML, JSON, CSV and pictures.

A page that does not heed a visitor's scope is not shown to somebody who sees only a part.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from flatfare.service.reporting.extent import Extent
from flatfare.service.reporting.report import Report, report
from flatfare.store import keys
from flatfare.web.access import Right, Visitor
from flatfare.web.api.reports import seen_by
from flatfare.web.desk import Books
from flatfare.web.endpoint import OnRecord
from flatfare.web.pages.asking import Asking
from flatfare.web.pages.blocks import View
from flatfare.web.workshop import Workshop

ROWS_ON_A_PAGE = 50


_BEGIN = (
    "Nothing is in the books yet. Send calls through the gateway: flatfare serve. "
    "Or bring what you have: flatfare import tasks FILE"
)


class Within(TypedDict):
    """What a look is about: what has matured by now, in a period, of what was filtered."""

    now_us: int
    since_us: int | None
    until_us: int | None
    filters: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at one page: by whom, at what, and from which books."""

    visitor: Visitor
    books: Books
    asking: Asking
    extent: Extent
    path: Mapping[str, str] = field(default_factory=dict)
    rows_max: int | None = ROWS_ON_A_PAGE  # None: all

    def report(
        self,
        *by: str,
        before: bool = False,
        more: Sequence[tuple[str, str]] = (),
        sort: str | None = None,
        limit: int | None = None,
    ) -> Report:
        """The report of the period asked for (or of the one ``before``), as everybody is told it."""
        period = self.asking.period
        since_us, until_us = period.since_us, period.until_us
        if before and period.before is not None:
            since_us, until_us = period.before
        found = report(
            self.books.book,
            self.books.lake,
            now_us=self.books.now_us,
            by=by,
            since_us=since_us,
            until_us=until_us,
            filters=self.visitor.scope.narrowed([*self.asking.filters, *more]),
            time_zone=self.asking.zone,
            sort=sort,
            limit=limit,
        )
        return seen_by(self.visitor, found)

    @property
    def within(self) -> Within:
        """The period and the filters asked for, no wider than the visitor sees."""
        period = self.asking.period
        return {
            "now_us": self.books.now_us,
            "since_us": period.since_us,
            "until_us": period.until_us,
            "filters": [*self.visitor.scope.narrowed(self.asking.filters)],
        }

    def names_of_keys(self) -> Mapping[str, str]:
        """What the keys are called, by their ids."""
        return {key.id: key.name for key in keys.all_of(self.books.book)}

    def nothing(self, here: str) -> str:
        """What an empty table says: that nothing is ``here``, or how a book that holds nothing is begun."""
        return _BEGIN if self.extent.is_empty else here

    @property
    def limit(self) -> int | None:
        """How many rows a table has; None for all."""
        asked = self.asking.limit
        return self.rows_max if asked is None else asked or None


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that was sent."""

    visitor: Visitor
    books: Books
    fields: Mapping[str, str]
    path: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """What was written in a field; None where nothing was."""
        return self.fields.get(name, "").strip() or None

    @property
    def on_record(self) -> OnRecord:
        """What is put on record with a change that the form makes."""
        return {"at_us": self.books.now_us, "by_whom": self.visitor.name, "reason": self.text("reason")}


@dataclass(frozen=True, slots=True)
class Later:
    """Work that takes its time: it is waited for without a thread, and then shown."""

    work: Callable[[Workshop], Awaitable[View]]


@dataclass(frozen=True, slots=True)
class Deed:
    """What a form does: where it is sent, who may, and where one is shown what came of it."""

    path: str
    name: str
    right: Right
    do: Callable[[Sent], "str | View | Later"]  # the address to go to, or what is shown once
    narrows: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    path: str
    name: str
    title: str  # in the navigation
    right: Right
    view: Callable[[Visit], View]
    takes: tuple[str, ...] = ()  # parameters of its own
    narrows: bool = False  # heeds the visitor's scope
    in_navigation: bool = True
    is_personal: bool = False  # shows each visitor something of their own
    deeds: tuple[Deed, ...] = ()
