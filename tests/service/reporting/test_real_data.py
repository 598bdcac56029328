"""Reports of real data equal independent SQL over the source files, to the nano-dollar."""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from flatfare.config import Settings
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.service.reporting import Report, report
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.builders import book_in

NOW_US = 1_795_219_200_000_000  # 2026-11-21
NANO = "CAST(ROUND(CAST({} AS DECIMAL(38, 18)) * 1000000000) AS HUGEINT)"
RANKED = "quantile_disc({}, [0.5, 0.9, 0.99])"


@pytest.fixture(scope="module")
def imported(
    shared: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[Book, Lake]]]:
    """Books with one data set each, imported by column mapping alone."""
    books: dict[str, tuple[Book, Lake]] = {}

    def of(name: str) -> tuple[Book, Lake]:
        if name not in books:
            book, lake = books[name] = book_in(tmp_path_factory.mktemp(name))
            stores = Stores(book, lake, Settings())
            for file, order in ORDERS[name]:
                import_file(stores, str(shared("data", *file.split("/"))), order, NOW_US)
        return books[name]

    yield of
    for book, _ in books.values():
        book.close()


ORDERS = {
    "tau2": [
        ("tau2_runs/calls.parquet", Order("calls", source="tau2", maps={"task": "run+task_id+trial"})),
        (
            "tau2_runs/sims.parquet",
            Order("tasks", source="tau2", maps={"task": "run+task_id+trial", "path": "run"}),
        ),
    ],
    "openhands": [
        (
            "openhands_index/instances.parquet",
            Order(
                "tasks",
                source="openhands",
                maps={"path": "agent+model", "task": "agent+model+benchmark+instance_id"},
            ),
        )
    ],
}

Line = tuple[object, ...]


def lines_of(found: Report) -> dict[Line, Line]:
    """Counts, sums and ranks of each row."""
    return {
        row.keys: (
            row.n,
            row.verified,
            row.figures.cost_nano,
            row.figures.success_nano,
            row.figures.success_squared,
            row.figures.unknown_cost_tasks,
            *(row.percentiles.p50_nano, row.percentiles.p90_nano, row.percentiles.p99_nano),
        )
        for row in found.rows
    }


@pytest.mark.parametrize(
    ("by", "columns"),
    [
        (("path",), ("agent || '/' || model",)),
        (("benchmark",), ("benchmark",)),
        (("model", "benchmark"), None),
        (("agent", "benchmark"), ("agent", "benchmark")),
    ],
)
def test_openhands_groups_equal_sql_over_the_published_file(
    imported: Callable[[str], tuple[Book, Lake]],
    shared: Callable[..., Path],
    by: tuple[str, ...],
    columns: tuple[str, ...] | None,
) -> None:
    found = report(*imported("openhands"), by=by, now_us=NOW_US)
    if columns is None:  # no call says which model it was: one row per benchmark, without a model
        assert {row.keys[0] for row in found.rows} == {None}
        return
    assert lines_of(found) == openhands_lines(shared("data", "openhands_index", "instances.parquet"), columns)


def openhands_lines(file: Path, columns: tuple[str, ...]) -> dict[Line, Line]:
    keys = ", ".join(columns)
    rows = duckdb.sql(
        f"""SELECT {keys}, COUNT(*), COUNT(*) FILTER (WHERE resolved), COALESCE(SUM(nano), 0),
                   COALESCE(SUM(nano) FILTER (WHERE resolved), 0),
                   COALESCE(SUM(nano * nano) FILTER (WHERE resolved), 0),
                   COUNT(*) FILTER (WHERE nano IS NULL), {RANKED.format("nano")}
        FROM (SELECT *, CASE WHEN cost_usd > 0 THEN {NANO.format("cost_usd")} END AS nano FROM '{file}')
        GROUP BY ALL"""
    ).fetchall()
    at = len(columns)
    return {row[:at]: (*map(int, row[at:-1]), *(row[-1] or (None,) * 3)) for row in rows}


def test_openhands_spends_43_percent_in_tasks_that_failed(
    imported: Callable[[str], tuple[Book, Lake]], shared: Callable[..., Path]
) -> None:
    total = report(*imported("openhands"), by=("path",), now_us=NOW_US).total
    file = shared("data", "openhands_index", "instances.parquet")
    nano = NANO.format("cost_usd")
    failed, spent = duckdb.sql(
        f"SELECT SUM({nano}) FILTER (WHERE NOT resolved), SUM({nano}) FROM '{file}'"
    ).fetchall()[0]
    assert (total.n, total.figures.cost_nano, total.figures.failure_nano) == (51_451, spent, failed)
    assert 0.43 <= failed / spent < 0.44


def test_tau2_tasks_cost_what_their_calls_cost_where_all_are_known_else_what_the_source_gave(
    imported: Callable[[str], tuple[Book, Lake]], shared: Callable[..., Path]
) -> None:
    book, lake = imported("tau2")
    found = report(book, lake, by=("path", "domain"), now_us=NOW_US)
    calls, sims = (shared("data", "tau2_runs", f"{name}.parquet") for name in ("calls", "sims"))
    rows = duckdb.sql(
        f"""WITH calls AS (
                SELECT run, task_id, trial, COUNT(*) AS n, COUNT(nano) AS known_n, SUM(nano) AS nano
                FROM (SELECT *, CASE WHEN cost_usd > 0 OR cost_usd = 0 AND COALESCE(prompt_tokens, 0)
                                          + COALESCE(completion_tokens, 0) = 0
                                     THEN {NANO.format("cost_usd")} END AS nano
                      FROM '{calls}' WHERE role = 'assistant') GROUP BY ALL),
            sims AS (
                SELECT *, CASE WHEN agent_cost > 0 OR agent_cost = 0 AND COALESCE(agent_prompt_tokens, 0)
                                    + COALESCE(agent_completion_tokens, 0) = 0
                               THEN {NANO.format("agent_cost")} END AS given FROM '{sims}'),
            costs AS (
                SELECT sims.run, domain, success,
                       CASE WHEN n = known_n THEN nano WHEN given IS NOT NULL THEN given
                            WHEN known_n > 0 THEN nano END AS cost,
                       NOT COALESCE(n = known_n, FALSE) AND given IS NULL AS lacks
                FROM sims LEFT JOIN calls USING (run, task_id, trial))
        SELECT run, domain, COUNT(*), COUNT(*) FILTER (WHERE success), COALESCE(SUM(cost), 0),
               COALESCE(SUM(cost) FILTER (WHERE success), 0),
               COALESCE(SUM(cost * cost) FILTER (WHERE success), 0), COUNT(*) FILTER (WHERE lacks),
               {RANKED.format("cost")} FILTER (WHERE NOT lacks)
        FROM costs GROUP BY ALL"""
    ).fetchall()
    assert lines_of(found) == {row[:2]: (*map(int, row[2:-1]), *(row[-1] or (None,) * 3)) for row in rows}
    assert found.total.n == 1_132


def test_tau2_simulation_stands_apart_to_the_nano_dollar(
    imported: Callable[[str], tuple[Book, Lake]], shared: Callable[..., Path]
) -> None:
    found = report(*imported("tau2"), by=("month",), now_us=NOW_US)
    row = duckdb.sql(
        f"""SELECT SUM({NANO.format("cost_usd")}) FROM '{shared("data", "tau2_runs", "calls.parquet")}'
        WHERE role = 'user'"""
    ).fetchall()[0]
    assert (
        found.total.figures.simulation_nano
        == sum(one.figures.simulation_nano for one in found.rows)
        == row[0]
    )
