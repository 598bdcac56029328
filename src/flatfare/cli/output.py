"""How the command line speaks: tables, JSON and CSV on stdout; messages and progress on stderr.

Colour, boxes and progress bars appear on a terminal only, and ``NO_COLOR`` is heeded.
"""

import csv
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from flatfare.cli import fitting
from flatfare.service.importing.watching import unwatched

if TYPE_CHECKING:
    from rich.console import Console

MISSING = "—"
BAR_WIDTH = 8
_STEPS = "▁▂▃▄▅▆▇█"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table: its key in the rows, its title, and how it is set."""

    key: str
    title: str
    align: str = "right"  # left, right
    is_strong: bool = False
    gives_way: int = 0  # on a narrow terminal the highest is left out first; 0 never is


class Advance(Protocol):
    """Tells a progress bar how far the work has come."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


def print_json(document: object) -> None:
    """One JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_json_lines(rows: Iterable[object]) -> None:
    """One JSON document a line."""
    for row in rows:
        click.echo(json.dumps(row, ensure_ascii=False, separators=(",", ":")))


def print_csv(rows: Iterable[Mapping[str, object]], keys: Sequence[str]) -> None:
    """Comma-separated values with a header; None is an empty field.

    Text that a spreadsheet would take for a formula is set behind an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(keys)
    for row in rows:
        writer.writerow([csv_cell(row.get(key)) for key in keys])
    click.echo(buffer.getvalue(), nl=False)


def print_list(
    rows: Sequence[Mapping[str, object]],
    fields: Sequence[Field],
    shape: str,
    *,
    nothing: str,
    documents: Sequence[object] | None = None,
    columns: Sequence[str] | None = None,
    read: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None,
) -> None:
    """A list in the shape that was asked for: a table, CSV, or JSON Lines.

    ``documents`` are what JSON prints, the rows if not given; ``columns`` those of CSV, the table's if not
    given; ``read`` gives a row as a person reads it; ``nothing`` is said where there is no row for a table.
    """
    if shape == "json":
        print_json_lines(rows if documents is None else documents)
    elif shape == "csv":
        print_csv(rows, [field.key for field in fields] if columns is None else columns)
    elif not rows:
        say(nothing)
    else:
        print_table(rows if read is None else map(read, rows), fields)


def print_document(document: Mapping[str, object], shape: str) -> None:
    """One document as JSON, or as a row of CSV."""
    if shape == "csv":
        print_documents([document], shape)
    else:
        print_json(document)


def print_documents(documents: Sequence[Mapping[str, object]], shape: str) -> None:
    """Documents as JSON Lines, or as rows of CSV: what is nested has a dotted column, a list stays JSON."""
    if shape != "csv":
        print_json_lines(documents)
        return
    rows = [dict(_leaves(document)) for document in documents]
    print_csv(rows, list(dict.fromkeys(column for row in rows for column in row)))


def _leaves(document: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        elif isinstance(value, (list, tuple, Mapping)):
            yield f"{above}{key}", json.dumps(value, ensure_ascii=False)
        else:
            yield f"{above}{key}", value


def csv_cell(value: object) -> object:
    """A cell of CSV: nothing for None, true or false as in JSON, and no formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + value
    return value


def print_table(
    rows: Iterable[Mapping[str, object]], fields: Sequence[Field], title: str | None = None
) -> None:
    """A table that fits the terminal, as lines where it is too narrow for one; None reads as a dash."""
    from rich.table import Table
    from rich.text import Text

    where = console()
    read = fitting.read_moment if where.is_terminal else str
    cells = [[read(_cell(row.get(field.key))) for field in fields] for row in rows]
    widths: Mapping[int, int | None] | None = dict.fromkeys(range(len(fields)))
    if where.is_terminal:
        widths = fitting.fitted(list(map(_wanted, fields, zip(*cells, strict=True))), where.width)
    if widths is None:
        _print_lines(cells, fields, title, where)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for at, width in widths.items():
        field = fields[at]
        table.add_column(
            field.title,
            justify="left" if field.align == "left" else "right",
            style="bold" if field.is_strong else None,
            no_wrap=field.align != "left",
            overflow="fold",
            width=width,
        )
    for line in cells:
        table.add_row(*(Text(line[at]) for at in widths))
    where.print(table)


def _wanted(field: Field, texts: Sequence[str]) -> fitting.Wanted:
    is_moment = all(text == MISSING or fitting.is_day(text) for text in texts)
    return fitting.Wanted([field.title, *texts], field.align == "left" and not is_moment, field.gives_way)


def _print_lines(
    cells: Iterable[Sequence[str]], fields: Sequence[Field], title: str | None, where: "Console"
) -> None:
    """Rows as lines: what each is called, and below it what is known of it."""
    from rich.padding import Padding
    from rich.text import Text

    if title:
        where.print(Text(title, style="italic"))
    titles = [" ".join(field.title.split()) for field in fields]
    for first, *rest in cells:
        where.print(Text(first, style="bold"))
        pieces = [
            f"{name} {text}".strip() for name, text in zip(titles[1:], rest, strict=True) if text != MISSING
        ]
        for line in fitting.lines(pieces, where.width):
            where.print(Padding(Text("  ".join(line)), (0, 0, 0, 2), expand=False))


def _cell(value: object) -> str:
    return MISSING if value is None or value == "" else str(value)


def console(*, stderr: bool = False) -> "Console":
    """A console for stdout or stderr; wide enough to break nothing where it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # Given both: rich takes 80 columns for a terminal that calls itself dumb, however wide it is.
    width, height = shutil.get_terminal_size((200, 24)) if stream.isatty() else (200, 24)
    return Console(file=stream, width=width, height=height, highlight=False, soft_wrap=False)


def spark(values: Sequence[float | None]) -> str:
    """A line of bars as high as the values, from zero to the highest; a space where one is not known.

    >>> spark([0, 1, 2, None, 4, 8])
    '▁▂▃ ▅█'
    """
    most = max((value for value in values if value is not None), default=0)
    return "".join(" " if value is None else _STEPS[_step(value, most)] for value in values)


def _step(value: float, most: float) -> int:
    """How many of the seven steps above the lowest; what is not zero is seen to be more than zero."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, round(7 * value / most))


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar along the line as long as the share, to an eighth of a character.

    >>> bar(0.5, 4), bar(0.03, 4)
    ('██', '▏')
    """
    eighths = max(1 if share > 0 else 0, round(8 * width * min(1.0, max(0.0, share))))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def say(text: str = "") -> None:
    """A line of the answer itself, on stdout."""
    click.echo(text)


def say_words(text: str, indent: int = 0) -> None:
    """A sentence of the answer: on a terminal its lines end between words."""
    pad = " " * indent
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for line in textwrap.wrap(
        text, width, initial_indent=pad, subsequent_indent=pad, break_long_words=False, break_on_hyphens=False
    ):
        say(line)


def note(text: str) -> None:
    """A message beside the answer, on stderr."""
    click.echo(text, err=True)


def complain(text: str) -> None:
    """Why the command failed, on stderr."""
    click.echo(f"flatfare: {text}", err=True)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A progress bar on stderr while the work lasts; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield unwatched
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
