"""Comma-separated values and their kin: the separator is found by looking, a crooked row is one reject."""

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from flatfare.core.errors import BadInput
from flatfare.service.importing.order import Order
from flatfare.service.importing.textual import Line, TextTable, encoding_of, lines

_SEPARATORS = ",;\t|"
_LOOKED_AT = 50
_LINES_SHOWN = 20
_SHOWN = 400  # characters of a row that could not be read
_DECIMAL_COMMA = re.compile(r"-?(0,\d+|\d+,\d{1,2}|\d+,\d{4,})")


class _Record:
    """The lines that the record now being read is made of."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self.first = 0
        self.problem: str | None = None
        self.texts: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for number, text, problem in self._source:
            if not self.texts:
                self.first = number
                self.texts.append(text)
            elif len(self.texts) < _LINES_SHOWN:
                self.texts.append(text)
            if problem:
                self.problem = self.problem or problem
                yield text if len(text) < _SHOWN else "\n"
            else:
                yield text

    def clear(self) -> None:
        self.problem = None
        self.texts = []


def delimited_rows(stream: BinaryIO, name: str, order: Order, table: TextTable) -> None:
    """Read every row into the table; the first row names the columns."""
    head = stream.read(1 << 16)
    stream.seek(0)
    encoding = encoding_of(head, order.encoding)
    separator = separator_of(head.decode(encoding, "replace"), name)
    csv.field_size_limit(order.line_bytes_max)
    record = _Record(lines(stream, encoding, order.line_bytes_max))
    reader = csv.reader(record, delimiter=separator, strict=True)
    header = _header(reader, record, name)
    for column in header:
        table.column(column)
    width = len(header)
    commas = 0
    while True:
        record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as problem:
            table.reject(record.first, _said(problem), _shown(record))
            continue
        if record.problem:
            table.reject(record.first, record.problem, _shown(record))
        elif len(cells) == width:
            table.add(record.first, cells)
            if separator == ";" and table.rows == 0 and any(map(_DECIMAL_COMMA.fullmatch, cells)):
                commas += 1
        elif cells:
            _crooked(cells, width, record, table)
    table.is_comma_likely = commas > 0


def _crooked(cells: list[str], width: int, record: _Record, table: TextTable) -> None:
    """A row of another length: harmless where what it has too many of is empty."""
    if len(cells) > width and not any(cells[width:]):
        table.add(record.first, cells[:width])
    elif any(cells):
        table.reject(
            record.first,
            f"The row has {len(cells)} cells where the header has {width}: is a separator or a quote "
            "missing?",
            _shown(record),
        )


def _header(reader: Iterator[list[str]], record: _Record, name: str) -> list[str]:
    try:
        cells = next((cells for cells in reader if any(cell.strip() for cell in cells)), None)
    except csv.Error as problem:
        raise BadInput(f"{name} has no header that can be read: {_said(problem)}") from problem
    if record.problem:
        raise BadInput(f"{name} has no header that can be read: {record.problem}")
    if cells is None:
        raise BadInput(f"{name} is empty: nothing was imported.")
    while cells and not cells[-1].strip():
        cells.pop()
    names: list[str] = []
    for place, cell in enumerate(cells, start=1):
        column = cell.strip() or f"column {place}"
        names.append(column if column not in names else f"{column} ({place})")
    return names


def separator_of(text: str, name: str) -> str:
    """The separator that cuts the first rows into the same number of cells, more than one.

    >>> separator_of("a;b;c\\n1,5;2;3\\n", "x.csv")
    ';'
    """
    whole = text.splitlines(keepends=True)[: _LOOKED_AT + 1]
    whole = whole[:-1] if len(whole) > 2 else whole
    best, chosen = (0.0, 0), "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    for separator in _SEPARATORS:
        try:
            counts = [len(cells) for cells in csv.reader(whole, delimiter=separator) if cells]
        except csv.Error:
            continue
        if counts and counts[0] > 1:
            score = (sum(count == counts[0] for count in counts) / len(counts), counts[0])
            if score > best:
                best, chosen = score, separator
    return chosen


def _said(problem: csv.Error) -> str:
    text = str(problem)
    if "field larger" in text or "unexpected end" in text:
        return "A quote is opened in this row and never closed."
    return f"The row is not well-formed: {text}."


def _shown(record: _Record) -> str:
    return "".join(record.texts).rstrip("\r\n")[:_SHOWN]
