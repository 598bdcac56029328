"""What a page is made of: figures, charts, tables, notes and forms, as values.

A page says what there is to see; the templates alone say how it looks. Text is text: what
stands in these values is escaped wherever it is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from flatfare.web.frames import Colours, Frame, Spec


@dataclass(frozen=True, slots=True)
class Change:
    """How a figure moved against the period before."""

    text: str
    tone: str  # good, bad, even
    is_up: bool
    before: str  # what it was


@dataclass(frozen=True, slots=True)
class Figure:
    """One number in large, what it is, and how it moved."""

    label: str
    value: str | None  # None: not known
    beside: str = ""
    change: Change | None = None
    href: str | None = None
    why: str | None = None  # where it says why the figure is not known
    tone: str = ""  # lead, good, bad


@dataclass(frozen=True, slots=True)
class Figures:
    """The few figures that a page begins with."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table. ``text`` None reads as a dash, which links to ``why``."""

    text: str | None
    beside: str = ""
    href: str | None = None
    tone: str = ""  # quiet, good, bad, strong, code, long
    bar: float | None = None  # a share from 0 to 1, drawn behind the text
    meter: tuple[float, float] | None = None  # spent and reserved, as shares of a limit
    badge: str = ""
    why: str | None = None
    act: "Act | None" = None

    @property
    def is_blank(self) -> bool:
        """It says nothing."""
        return self.text == "" and not (self.beside or self.badge or self.meter or self.act)


@dataclass(frozen=True, slots=True)
class Act:
    """A button that changes something; it may ask before."""

    to: str
    label: str
    ask: str = ""  # the question that is asked first
    hidden: tuple[tuple[str, str], ...] = ()
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title and how it is set; ``sort`` is the address that sorts by it."""

    title: str
    align: str = "right"  # left, right
    sort: str | None = None
    sorted_: str = ""  # ascending, descending
    gives_way: bool = False  # not shown where there is little room
    is_long: bool = False  # says so much that it has a line of its own where there is little room


@dataclass(frozen=True, slots=True)
class Csv:
    """A table as comma-separated values: its columns and its rows."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Tab:
    """One of several ways to look."""

    title: str
    href: str
    is_here: bool = False


SLIM_MAX = 3
"""Columns of figures that fit beside a name on a phone."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with where to download it."""

    kind: ClassVar[str] = "table"
    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: Csv | None = None
    tabs: tuple[Tab, ...] = ()
    more_tabs: tuple[Tab, ...] = ()
    note: str = ""
    empty: str = "Nothing here in this period."
    more: tuple[str, str] | None = None  # a text and an address: there are more rows than are shown
    hint: str = ""  # what a click on a row does

    @property
    def shown(self) -> frozenset[int]:
        """The columns that say anything in any row."""
        return frozenset(
            at for at in range(len(self.columns)) if at == 0 or any(not row[at].is_blank for row in self.rows)
        )

    @property
    def is_slim(self) -> bool:
        """So few numbers in a row that it stays a table where there is little room."""
        kept = [self.columns[at] for at in self.shown if at and not self.columns[at].gives_way]
        return 1 <= len(kept) <= SLIM_MAX and all(one.align == "right" and one.title for one in kept)

    @property
    def abreast(self) -> int:
        """How many of a row's figures stand side by side where there is little room."""
        kept = [self.columns[at] for at in self.shown if at and not self.columns[at].gives_way]
        short = sum(not one.is_long for one in kept)
        return 3 if short == 5 or short % 3 == 0 else 2


Draw: TypeAlias = Callable[[Colours, Frame], Spec]


@dataclass(frozen=True, slots=True)
class Key:
    """A line of a chart's legend: what a colour or a shape stands for."""

    mark: str  # accent, point, band, open, or s0 … s7 of a series
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of figures that also stand in a table; drawn when it is asked for."""

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    draw: Draw
    alt: str
    wide: Frame
    narrow: Frame
    table: Table
    keys: tuple[Key, ...] = ()
    note: str = ""
    has_table_below: bool = False  # the page shows the same table by itself


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a funnel."""

    label: str
    value: str
    share: float
    beside: str = ""
    href: str | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Funnel:
    """Stages, each a part of the first."""

    kind: ClassVar[str] = "funnel"
    title: str
    steps: tuple[Step, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that began at a share of a timeline and lasted for one; a length of 0 is a mark."""

    label: str
    begins: float
    length: float
    tone: str
    said: str
    beside: str = ""  # what is said at its end: a cost, or how it ended


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when, one line each."""

    kind: ClassVar[str] = "timeline"
    title: str
    spans: tuple[Span, ...]
    length: str
    note: str = ""
    keys: tuple[Key, ...] = ()
    ticks: tuple[str, ...] = ()  # along the time, the first at its beginning and the last at its end


@dataclass(frozen=True, slots=True)
class Search:
    """A form that looks something up: name, label, value and a hint of each field."""

    kind: ClassVar[str] = "search"
    to: str
    fields: tuple[tuple[str, str, str, str], ...]
    button: str


@dataclass(frozen=True, slots=True)
class Text:
    """Text as somebody or a model wrote it: shown as it is, never as a page."""

    kind: ClassVar[str] = "text"
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Take:
    """Takes out what is next to be judged."""

    kind: ClassVar[str] = "take"
    to: str
    waiting: int
    name: str


@dataclass(frozen=True, slots=True)
class Judge:
    """What one reviewer has before them, and how they say what they found."""

    kind: ClassVar[str] = "judge"
    review: str
    question: str
    parts: tuple[tuple[str, str], ...]  # a title and untrusted text
    link: str
    note: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person should look at, and where it is seen."""

    text: str
    href: str | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Concerns:
    """What needs attention."""

    kind: ClassVar[str] = "concerns"
    concerns: tuple[Concern, ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences below the figures."""

    kind: ClassVar[str] = "notes"
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A word and what it says here."""

    label: str
    value: Cell


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one thing, in a list."""

    kind: ClassVar[str] = "facts"
    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """A value that can be picked."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a form asks."""

    name: str
    label: str
    hint: str = ""
    value: str = ""
    type: str = "text"  # text, number, date, password, select, checkbox, textarea
    options: tuple[Option, ...] = ()
    is_required: bool = False
    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form that changes something."""

    kind: ClassVar[str] = "form"
    name: str
    title: str
    to: str
    button: str
    fields: tuple[Field, ...]
    note: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that is shown once."""

    kind: ClassVar[str] = "secret"
    title: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways in: what it is for and what to type."""

    title: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What stands in an empty book: the ways in, and that calls are waited for."""

    kind: ClassVar[str] = "first_run"
    ways: tuple[Way, ...]


Block: TypeAlias = (
    Figures
    | Table
    | Chart
    | Funnel
    | Timeline
    | Search
    | Text
    | Take
    | Judge
    | Concerns
    | Notes
    | Facts
    | Form
    | Secret
    | FirstRun
)


@dataclass(frozen=True, slots=True)
class View:
    """One page: what it is called, what it shows, and the same as a document."""

    title: str
    blocks: tuple[Block, ...]
    document: object = None
    eyebrow: tuple[str, str] | None = None  # where one comes from: a text and an address
    lede: str = ""
    has_period: bool = True  # the page is about a period
    takes_filters: bool = True  # and about what was asked for of it
    compares: bool = False  # figures stand against those of the period before
    is_live: bool = False  # shows itself anew when calls arrive

    def chart(self, name: str) -> Chart | None:
        """The chart of that name."""
        return next((one for one in self.blocks if isinstance(one, Chart) and one.name == name), None)

    def tables(self) -> list[Table]:
        """Every table that can be downloaded, those of charts too."""
        found = [one.table if isinstance(one, Chart) else one for one in self.blocks]
        return [one for one in found if isinstance(one, Table) and one.csv is not None]
