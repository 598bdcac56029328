"""Text files line by line, in bounded memory, into a table of the engine.

No line is held that is longer than the order allows; a broken line is one reject and
the next line is read as if nothing had been.
"""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from flatfare.core.errors import BadInput
from flatfare.service.importing.columns import SourceColumn
from flatfare.store.engine import translated

if TYPE_CHECKING:
    from duckdb import Appender, DuckDBPyConnection

BATCH = 20_000
_SHOWN = 400  # of a line that could not be read, so much is shown
_COLUMNS_MAX = 1_000
_SHAPES_MAX = 1_000  # of rows, whose places are kept at hand
_REJECTS_MAX = 100_000  # held in memory; a file with more broken lines is no file of rows

TABLE = "stage.raw"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no row, and why."""

    line: int
    reason: str
    row: object


class Line(NamedTuple):
    """One line as text, and what is wrong with it."""

    number: int
    text: str
    problem: str | None = None


def opened_text(path: Path) -> AbstractContextManager[BinaryIO]:
    """The file's bytes, unpacked where it is gzipped."""
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    return cast(AbstractContextManager[BinaryIO], gzip.open(path, "rb") if is_gzip else path.open("rb"))


def encoding_of(head: bytes, asked: str | None) -> str:
    """The encoding that was asked for, else that of the byte order mark, else UTF-8.

    Raises ``BadInput`` for a name that is none, and for UTF-16 and UTF-32, whose
    lines cannot be told apart by bytes.
    """
    if asked:
        try:
            "".encode(asked)
        except LookupError:
            raise BadInput(
                f"Found the encoding {asked!r}, which is not known: write utf-8 or latin-1."
            ) from None
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (asked or "").lower().startswith(
        ("utf-16", "utf-32", "utf16")
    ):
        raise BadInput("The file is written in UTF-16: save it as UTF-8 (in a spreadsheet: 'CSV UTF-8').")
    return asked or "utf-8"


def lines(stream: BinaryIO, encoding: str, bytes_max: int) -> Iterator[Line]:
    """The lines of a stream; what cannot be decoded or is too long comes with its problem."""
    number = 0
    while raw := stream.readline(bytes_max + 1):
        number += 1
        if len(raw) > bytes_max and not raw.endswith(b"\n"):
            start = raw[:_SHOWN].decode(encoding, "replace")
            _skip_line(stream)
            yield Line(
                number,
                start,
                f"The line is longer than {bytes_max >> 20 or bytes_max} "
                f"{'MB' if bytes_max >> 20 else 'bytes'}: no record has that size.",
            )
            continue
        if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
            raw = raw[3:]
        yield _decoded(raw, number, encoding)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _decoded(raw: bytes, number: int, encoding: str) -> Line:
    if b"\x00" in raw:
        text = raw.decode(encoding, "replace")
        return Line(number, text, "The line holds a NUL byte: it is damaged, or not text.")
    try:
        return Line(number, raw.decode(encoding))
    except UnicodeDecodeError as problem:
        text = raw.decode(encoding, "backslashreplace")
        return Line(
            number,
            text,
            f"The line is not {encoding.upper()} (byte 0x{raw[problem.start]:02X} at column "
            f"{problem.start + 1}): "
            "save the file as UTF-8, or name its encoding with --encoding latin-1.",
        )


class EnoughRead(Exception):
    """As many rows were read as were asked for."""


def _done() -> None:
    """Nothing is left to tell."""


class TextTable:
    """The table ``stage.raw`` being filled with rows of text; columns may be added as they show up."""

    def __init__(
        self, engine: "DuckDBPyConnection", on_batch: Callable[[], None], rows_max: int | None
    ) -> None:
        self._engine = engine
        self._rows_max = rows_max
        self._on_batch = on_batch
        self._names: dict[str, int] = {}
        self._shapes: dict[tuple[str, ...], list[int]] = {}
        self._batch: list[Sequence[object]] = []
        self._made: int | None = None  # columns that the table has so far
        self._appender: Appender | None = None
        self.rows = 0
        self.rejected: list[Rejected] = []
        self.place = "line"
        self.is_comma_likely = False

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        return tuple(SourceColumn(name, f"c{index}", "VARCHAR") for name, index in self._names.items())

    def column(self, name: str) -> int:
        """The place of a column, new or known."""
        place = self._names.get(name)
        if place is None:
            if len(self._names) >= _COLUMNS_MAX:
                raise BadInput(
                    f"The rows have more than {_COLUMNS_MAX} different fields: is it one record a row?"
                )
            place = self._names[name] = len(self._names)
        return place

    def in_places(self, named: dict[str, str | None]) -> list[str | None]:
        """The cells of a row given by name, in the order of the columns."""
        shape = tuple(named)
        places = self._shapes.get(shape)
        if places is None:
            places = [self.column(name) for name in shape]
            if len(self._shapes) < _SHAPES_MAX:
                self._shapes[shape] = places
        cells: list[str | None] = [None] * len(self._names)
        for place, cell in zip(places, named.values(), strict=True):
            cells[place] = cell
        return cells

    def add(self, line: int, cells: Sequence[str | None]) -> None:
        """Take a row, its cells in the order of the columns; it may be shorter."""
        self._batch.append((line, *cells))
        if len(self._batch) >= (self._rows_max or BATCH):
            self._flush()
            if self._rows_max:
                raise EnoughRead

    def reject(self, line: int, reason: str, row: object) -> None:
        """Take a line that is no row."""
        if len(self.rejected) >= _REJECTS_MAX:
            raise BadInput(
                f"More than {_REJECTS_MAX:,} lines could not be read, such as line {line}: {reason}"
            )
        self.rejected.append(Rejected(line, reason, row))

    def finish(self) -> None:
        """Write what is left, and make the relation ``raw``."""
        self._on_batch = _done
        self._flush()
        self._close()
        self._engine.execute(f"CREATE TEMP VIEW raw AS SELECT * FROM {TABLE}")

    def _flush(self) -> None:
        with translated("Reading the file"):
            appender = self._widened()
            width = len(self._names) + 1
            rows = [row if len(row) == width else (*row, *[None] * (width - len(row))) for row in self._batch]
            appender.append_rows(rows)
        self.rows += len(rows)
        self._batch = []
        self._on_batch()

    def _widened(self) -> "Appender":
        """The table's appender, after the columns that showed up since were added."""
        if self._appender is not None and self._made == len(self._names):
            return self._appender
        self._close()
        if self._made is None:
            body = "".join(f", c{index} VARCHAR" for index in range(len(self._names)))
            self._engine.execute(f"CREATE TABLE {TABLE} (line BIGINT{body})")
        else:
            for index in range(self._made, len(self._names)):
                self._engine.execute(f"ALTER TABLE {TABLE} ADD COLUMN c{index} VARCHAR")
        self._made = len(self._names)
        self._appender = self._engine.appender(TABLE)
        return self._appender.__enter__()

    def _close(self) -> None:
        if self._appender is not None:
            self._appender.__exit__(None, None, None)
            self._appender = None
