"""The short cut in SQL reads what the core reads, for whatever text and number a file may hold."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment
from flatfare.core.money import nano_of, parse_amount
from flatfare.service.importing.columns import Bound, SourceColumn
from flatfare.service.importing.fields import Field
from flatfare.service.importing.order import Order
from flatfare.service.importing.parsing import parsed


def read(sort: str, kind: str, values: Sequence[object]) -> list[tuple[object, object]]:
    """For each value what the short cut makes of it, and the text that it leaves to the core."""
    column = SourceColumn("x", "c0", kind)
    how = parsed("x", Bound(Field("x", sort), (column,)), Order("calls"), comma=False)
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute(f"CREATE TABLE raw (line BIGINT, c0 {kind})")
    engine.executemany("INSERT INTO raw VALUES (?, ?)", list(enumerate(values)))
    inner = f", {how.inner} AS i_x" if how.inner else ""
    base = f"SELECT *, {how.value} AS v_x FROM (SELECT *{inner} FROM raw)"
    return engine.execute(f"SELECT v_x, {how.odd_text} FROM ({base}) ORDER BY line").fetchall()


def agrees(sort: str, kind: str, values: Sequence[object], core: Callable[[str], object]) -> None:
    """Where the short cut reads a value, it reads the core's; where not, the text is left to the core."""
    for value, (short, left) in zip(values, read(sort, kind, values), strict=True):
        if short is not None:
            assert short == core(str(value)), value
        else:
            assert left is not None, value


def nano(text: str) -> object:
    try:
        return nano_of(parse_amount(text)[0])
    except BadInput:
        return None


def moment(text: str) -> object:
    try:
        return parse_moment(text)[0]
    except BadInput:
        return None


def count(text: str) -> object:
    return int(text) if text.isdigit() and text.isascii() else None


amounts = st.one_of(
    st.decimals(min_value=0, max_value=2000, allow_nan=False, places=9).map(str),
    st.decimals(min_value=0, max_value=1, allow_nan=False, places=20).map(str),
    st.integers(0, 10**12).map(lambda n: f"0.{n:012}5"),  # near halves
    st.floats(min_value=0, max_value=1e6, allow_nan=False).map(repr),
    st.from_regex(r"\A\$? ?[0-9]{1,4}(\.[0-9]{0,14})?([eE]-?[0-9])?\Z"),
    st.from_regex(r"\A-?[0-9]{1,3}(,[0-9]{3}){0,2}(\.[0-9]{1,3})?\Z"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, min_size=20, max_size=60))
def test_amounts_as_text(texts: list[str]) -> None:
    agrees("amount", "VARCHAR", texts, nano)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=5000, allow_nan=False), min_size=20, max_size=60))
def test_amounts_as_doubles(values: list[float]) -> None:
    agrees("amount", "DOUBLE", values, nano)


halves = st.integers(0, 10**9).map(lambda n: (n + 0.5) / 1e9)


@settings(max_examples=40, deadline=None)
@given(st.lists(halves, min_size=20, max_size=60))
def test_doubles_near_a_half_are_left_to_the_core(values: list[float]) -> None:
    assert all(short is None for short, _ in read("amount", "DOUBLE", values))


times = st.one_of(
    st.datetimes(min_value=datetime(1995, 1, 1)).map(lambda at: at.isoformat()),
    st.datetimes(
        min_value=datetime(1995, 1, 1), timezones=st.just(timezone(timedelta(hours=5, minutes=30)))
    ).map(lambda at: at.isoformat(" ")),
    st.integers(0, 10**14).map(str),
    st.from_regex(
        r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9])?(Z|[+-][01][0-9])?\Z"
    ),
    st.dates().map(str),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(times, min_size=20, max_size=60))
def test_moments_as_text(texts: list[str]) -> None:
    agrees("moment", "VARCHAR", texts, moment)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4 * 10**18), min_size=20, max_size=60))
def test_moments_as_numbers(values: list[int]) -> None:
    agrees("moment", "BIGINT", values, moment)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.from_regex(r"\A-?[0-9]{1,20}(\.[0-9]{1,2})?\Z"), min_size=20, max_size=60))
def test_counts_as_text(texts: list[str]) -> None:
    agrees("count", "VARCHAR", texts, count)


@pytest.mark.parametrize("nothing", ["", "null", "None", "NaN", "n/a", "-", "—"])
@pytest.mark.parametrize("sort", ["amount", "count", "moment"])
def test_words_for_nothing_are_nothing(sort: str, nothing: str) -> None:
    assert read(sort, "VARCHAR", [nothing]) == [(None, None)]
