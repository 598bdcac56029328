"""Hot rows in an engine: the book's rows that are not sealed, loaded once, and then only what changed since.

Brought up to date, the engine's tables hold exactly the book's rows of that moment. After a
failure halfway they hold anything: the engine is to be thrown away.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flatfare.store.book import Book, Value
from flatfare.store.engine import append
from flatfare.store.folding import folding, refolding
from flatfare.store.lake import Lake
from flatfare.store.layout import KINDS, lake_table, names
from flatfare.store.segments import Segment, sealed_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REFOLD_ROWS = 10_000
"""Sums of what came are added behind the sums there are, until there are so many more than at first."""

_NUMBER = {"calls": "rowid", "folded": "rowid", "tasks": "written", "verdicts": "written"}
"""The column by whose number it is seen what was written since."""


class HotRows:
    """Tables ``hot_calls``, ``hot_folded``, ``hot_tasks`` and ``hot_verdicts``, as they are asked for."""

    def __init__(self, engine: "DuckDBPyConnection", lake: Lake) -> None:
        self._engine = engine
        self._lake = lake
        self._unseen: dict[str, int] = {}  # the number from which on rows of a kind may not be here
        self._folded = 0  # sums there were when they were last summed

    def bring_up_to_date(self, book: Book, kinds: Iterable[str], sealed_since: Iterable[Segment]) -> None:
        """Load what these kinds lack. Call it inside ``book.reading()``.

        ``sealed_since`` are the files that were listed since the last time: their rows have left the book.
        """
        left = {kind: [one for one in sealed_since if one.kind == kind] for kind in KINDS}
        wanted = {*kinds, *self._unseen}
        for kind in filter(wanted.__contains__, KINDS):
            if kind not in self._unseen:
                self._load_all(book, kind)
                continue
            self._load_since(book, kind)
            if left[kind]:
                self._take_away(book, kind, left[kind])
        if "folded" in self._unseen:
            self._sum_again()

    def _load_all(self, book: Book, kind: str) -> None:
        self._engine.execute(f"DROP TABLE IF EXISTS hot_{kind}")
        self._engine.execute(lake_table(f"hot_{kind}", KINDS[kind], is_temporary=False))
        unseen = _unseen_from(book, kind)
        self._append(book, kind)
        self._unseen[kind] = unseen
        if kind == "folded":
            self._folded = self._count(kind)

    def _load_since(self, book: Book, kind: str) -> None:
        """What was written since; of what is written over, the former row goes."""
        since, unseen = self._unseen[kind], _unseen_from(book, kind)
        if since == unseen:
            return
        where = f" WHERE {_NUMBER[kind]} >= ?"
        if _NUMBER[kind] == "written":
            keys = book.rows(f"SELECT id FROM {kind}{where}", (since,))
            self._engine.execute(
                f"DELETE FROM hot_{kind} WHERE id IN (SELECT CAST(UNNEST(?) AS UUID))",
                ([str(key) for (key,) in keys],),
            ).fetchall()
        self._append(book, kind, where, (since,))
        self._unseen[kind] = unseen

    def _append(self, book: Book, kind: str, where: str = "", values: tuple[Value, ...] = ()) -> None:
        if kind == "folded":
            query = folding(f"calls{where}", "/")  # calls that only count folded are folded where they lie
        else:
            query = f"SELECT {names(KINDS[kind])} FROM {kind}{where}"
        append(self._engine, f"hot_{kind}", book.stream(query, values))

    def _take_away(self, book: Book, kind: str, files: list[Segment]) -> None:
        """Take away what was sealed; whatever else has left the book, load anew what is there."""
        if kind == "calls":
            self._engine.execute(
                f"DELETE FROM hot_calls WHERE (id, revision, n) IN "
                f"(SELECT (id, revision, n) FROM {sealed_rows(files, self._lake)})"
            ).fetchall()
        if kind == "folded" or self._count(kind) != book.value(f"SELECT COUNT(*) FROM {kind}"):
            self._load_all(book, kind)

    def _sum_again(self) -> None:
        """Sum the sums, where many have come behind those that there were."""
        if self._count("folded") > 2 * self._folded + REFOLD_ROWS:
            self._engine.execute(f"CREATE OR REPLACE TABLE hot_folded AS {refolding('hot_folded')}")
            self._folded = self._count("folded")

    def _count(self, kind: str) -> int:
        return int(self._engine.execute(f"SELECT COUNT(*) FROM hot_{kind}").fetchall()[0][0])


def _unseen_from(book: Book, kind: str) -> int:
    """The number that what is written from now on has at least."""
    if _NUMBER[kind] == "written":
        return book.unseen_from()
    return int(book.value("SELECT COALESCE(MAX(rowid), 0) FROM calls") or 0) + 1
