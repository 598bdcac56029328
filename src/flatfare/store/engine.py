"""DuckDB as the lake's engine: opened with bounded memory, offline, its errors translated."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.store.layout import Column, lake_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_MB = 640
"""DuckDB's own share, so that the whole process stays under 1 GiB; more is spilled to disk."""

ROW_GROUP = 122_880


def open_engine(spill: Path | None = None, threads: int | None = None) -> "DuckDBPyConnection":
    """A DuckDB connection of its own: no extension is fetched, no network, times in UTC.

    It spills into ``spill``, or not at all where none is given.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": f"{int(os.environ.get('FLATFARE_MEMORY_MB', MEMORY_MB))}MB",
        "preserve_insertion_order": False,
    }
    if threads:
        settings["threads"] = threads
    settings["temp_directory"] = str(spill) if spill else ""
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def translated(what: str) -> Iterator[None]:
    """DuckDB's failures as the product's: a full disk, a broken file, memory."""
    import duckdb

    try:
        yield
    except duckdb.IOException as problem:
        raise StoreFailure(f"{what}: {_first_line(problem)}. Nothing was changed.") from problem
    except duckdb.OutOfMemoryException as problem:
        raise StoreFailure(
            f"{what} needs more memory than allowed ({_first_line(problem)}). "
            "Set FLATFARE_MEMORY_MB higher and try again. Nothing was changed."
        ) from problem
    except duckdb.Error as problem:
        raise StoreFailure(f"{what}: {_first_line(problem)}. Nothing was changed.") from problem


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0].rstrip(".")


def write_parquet(engine: "DuckDBPyConnection", query: str, file: Path) -> int:
    """Write a query's rows to a Parquet file; returns how many."""
    with translated("Writing to the lake"):
        row = engine.execute(
            f"COPY ({query}) TO {quoted(str(file))} "
            f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP})"
        ).fetchone()
    return int(row[0]) if row else 0


def load(
    engine: "DuckDBPyConnection",
    table: str,
    columns: tuple[Column, ...],
    batches: Iterable[Sequence[Sequence[object]]],
) -> int:
    """Make a temporary table of these columns from batches of rows; returns how many rows."""
    engine.execute(lake_table(table, columns))
    return append(engine, table, batches)


def append(engine: "DuckDBPyConnection", table: str, batches: Iterable[Sequence[Sequence[object]]]) -> int:
    """Add batches of rows to a table, each kept by itself; returns how many rows.

    What is kept can be packed: rows that wait together take ten times the memory.
    """
    total = 0
    for batch in batches:
        with engine.appender(table) as appender:
            appender.append_rows(batch)
        total += len(batch)
    return total


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def named(text: str) -> str:
    """Text as an SQL name."""
    return '"' + text.replace('"', '""') + '"'
