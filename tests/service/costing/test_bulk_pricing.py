"""Bulk pricing equals the single path, row for row: amount, state, reason and own currency."""

from collections.abc import Iterator

import duckdb
import pytest

from flatfare.prices.book import PriceBook
from flatfare.service.costing.bulk_pricing import PRICED, priced_row, priced_sql
from tests.service import lakes


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def check(connection: duckdb.DuckDBPyConnection, book: PriceBook) -> list[tuple[object, ...]]:
    """Every row priced both ways; the rows as SQL priced them."""
    query = priced_sql(connection, "calls", book)
    result = connection.execute(f"SELECT * FROM ({query}) ORDER BY id")
    names = [column[0] for column in result.description]
    rows = result.fetchall()
    assert len(rows) == connection.execute("SELECT count(*) FROM calls").fetchall()[0][0]
    for values in rows:
        row = dict(zip(names, values, strict=True))
        expected = priced_row(book, row, lakes.UNITS)
        assert tuple(row[name] for name in PRICED) == expected, row
    return rows


def test_twenty_thousand_rows_of_every_kind_are_equal(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "calls", 20_000)
    rows = check(connection, lakes.own_book())
    states = {row[-5] for row in rows}
    assert states == {"measured", "estimated", "unknown"}
    reasons = {str(row[-4]).split(" for ")[0][:30] for row in rows}
    assert len(reasons) > 10


def test_terms_of_an_organisation_hold_in_bulk(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "calls", 2_000, seed=0.1)
    rows = check(connection, lakes.own_book("acme"))
    assert rows != check(connection, lakes.own_book())


def test_plain_rows_that_fit_in_64_bits_are_equal(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "calls", 3_000, broken=False, seed=0.7)
    connection.execute("DELETE FROM calls WHERE provider IN ('china', 'perplexity', 'deepseek')")
    check(connection, PriceBook.standard())


def test_an_empty_table_gives_no_rows(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "calls", 0)
    assert check(connection, PriceBook.standard()) == []


def test_only_the_columns_asked_for_stay(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "calls", 10)
    query = priced_sql(connection, "calls", PriceBook.standard(), keep=["id", "model"])
    assert [column[0] for column in connection.execute(query).description] == ["id", "model", *PRICED]


def test_columns_priced_before_are_replaced(connection: duckdb.DuckDBPyConnection) -> None:
    lakes.fill(connection, "plain", 50)
    connection.execute(
        "CREATE TABLE calls AS SELECT *, 7::BIGINT AS computed_nano, 'x' AS computed_reason FROM plain"
    )
    query = priced_sql(connection, "calls", PriceBook.standard())
    names = [column[0] for column in connection.execute(query).description]
    assert names.count("computed_nano") == 1
