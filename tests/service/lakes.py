"""Generated calls in the lake's columns: every kind of condition, and every kind of broken row."""

from typing import TYPE_CHECKING

from flatfare.prices.book import PriceBook
from tests.prices.books import MemoryLog, at

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

UNITS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "tool_use_input",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "cache_read_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
    "web_search",
)
KINDS = (
    ("openai", "gpt-4o", "", ""),
    ("openai", "gpt-4o-2024-05-13", "", ""),
    ("openai", "o3", "", ""),
    ("openai", "o3", "flex", ""),
    ("openai", "gpt-4.1", "batch", ""),
    ("openai", "gpt-5.4", "priority", "eu"),
    ("openai", "gpt-5.4", "", "us"),
    ("openai", "gpt-6-mini", "", ""),
    ("openai", "gpt-4o", "sapphire", ""),
    ("anthropic", "claude-sonnet-4-5-20250929", "", ""),
    ("anthropic", "claude-sonnet-4-5", "batch", "us"),
    ("gemini", "gemini-2.5-pro", "", ""),
    ("vertex", "gemini-2.5-pro", "", "europe-west4"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", "us-east-1"),
    ("deepseek", "deepseek-flash", "", ""),
    ("deepseek", "deepseek-chat", "", ""),
    ("xai", "grok-4-fast-reasoning", "", ""),
    ("perplexity", "sonar-pro", "", ""),
    ("openrouter", "minimax/minimax-m2:free", "", ""),
    ("china", "yuan-1", "", ""),
    ("china", "o'neill", "", ""),
    ("", "", "", ""),
)
FIRST, LAST = at("2025-03-01"), at("2026-11-20")


def own_book(organisation: str | None = None) -> PriceBook:
    """The standard book with rates in another currency, and terms of an organisation."""
    return PriceBook.standard(
        MemoryLog(
            [
                {
                    "provider": "china",
                    "model": "yuan-1",
                    "currency": "CNY",
                    "rates": {"input": "4", "output": "16.5", "web_search": "0.03"},
                },
                {"provider": "china", "model": "o'neill", "rates": {"input": "0.7777777"}},
                *(
                    {
                        "provider": "exchange",
                        "model": "CNY",
                        "from": f"2026-{month:02d}-03",
                        "rate": f"0.13{month:02d}7",
                    }
                    for month in (1, 2, 3, 5, 6, 7, 8, 9, 10)
                ),
                {"provider": "*", "model": "*", "times": "0.93", "organisation": "acme", "name": "terms"},
            ]
        ),
        organisation=organisation,
    )


def fill(
    connection: "DuckDBPyConnection", table: str, rows: int, *, broken: bool = True, seed: float = 0.42
) -> None:
    """A table of so many generated calls; some of them broken, if asked for."""
    chosen = KINDS if broken else KINDS[:-1]
    kinds = ", ".join(
        "{"
        + ", ".join(f"'{name}': '{_escaped(value)}'" for name, value in zip("pmtr", kind, strict=True))
        + "}"
        for kind in chosen
    )
    used = {"input": 300_000, "cache_read": 90_000, "output": 20_000, "reasoning": 9_000, "web_search": 4}
    columns = ", ".join(
        f"CASE WHEN random() < {0.9 if unit in used else 0.05} "
        f"THEN floor(random() * {used.get(unit, 5000)})::BIGINT WHEN random() < 0.3 THEN 0 END AS {unit}"
        for unit in UNITS
    )
    conditions = ", ".join(
        f"nullif(k.{key}, '') AS {name}"
        for key, name in zip("pmtr", ("provider", "model", "service_tier", "region"), strict=True)
    )
    place = f"1 + (random() * {len(chosen)})::INTEGER % {len(chosen)}"
    connection.execute("SELECT setseed(?)", [seed])
    connection.execute(
        f"CREATE OR REPLACE TABLE {table} AS SELECT id, {conditions}, "
        f"{FIRST} + (random() * {LAST - FIRST})::BIGINT AS at_us, {columns}, "
        "NULL::VARCHAR AS other_usage, 'measured' AS usage_state "
        f"FROM (SELECT range AS id, [{kinds}][{place}] AS k FROM range({rows}))"
    )
    if broken:
        _break(connection, table)


def _break(connection: "DuckDBPyConnection", table: str) -> None:
    nothing = ", ".join(f"{unit} = NULL" for unit in UNITS)
    for every, what in (
        (97, "at_us = NULL"),
        (101, "input = -5"),
        (103, "output = 2000000000000000"),
        (107, nothing),
        (109, "usage_state = 'unknown'"),
        (113, "usage_state = 'estimated'"),
        (127, """other_usage = '{"page": "3", "input_audio_second": "12.345"}'"""),
        (131, """other_usage = '{"file_search": "2"}'"""),
        (137, "other_usage = 'nonsense'"),
        (139, "input = 1000000000000000"),
    ):
        connection.execute(f"UPDATE {table} SET {what} WHERE id % {every} = 0")


def _escaped(text: str) -> str:
    return text.replace("'", "''")
