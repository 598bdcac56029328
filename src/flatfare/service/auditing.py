"""Auditing what was imported: records that cannot be right, each with why and where.

Published ledgers hold all of these: zeros for what was not recorded, totals that are
not the sum of their parts, runs counted twice, charges that no price explains. The
audit changes nothing; it says what to look at before believing a figure.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from flatfare.core.money import dollar_text
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ZERO_REASON = "the source gives a cost of 0"
"""How every import begins the reason for a zero that it does not believe."""

EXAMPLES = 3
TOLERANCE_PERCENT = 1  # sources print rounded costs; a price that is off by less is the same price
SMALL_NANO = 1_000  # a microdollar: below it rounding explains any difference

_TIERS = (None, "batch", "flex", "priority")
_DETAILS: tuple[dict[str, str], ...] = ({}, {"thinking": "on"})  # dearer answers where a model thought
_CONTEXTS: tuple[dict[str, int], ...] = (
    {},
    {"input": 10**9},
)  # the base rates, and those of the longest prompts
_REMARK = re.compile(r"\s*\([^()]*\)$")  # boards write "gpt-5 (high)"
_LATE_US = 4_000_000_000_000_000  # in 2096: the prices that hold until further notice
_WEEK_US = 7 * 86_400_000_000
_COMMON_PROVIDERS = ("openai", "anthropic", "gemini", "xai", "deepseek", "mistral", "cohere", "openrouter")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One kind of thing that cannot be right in one place, how often, and some cases of it."""

    check: str
    source: str
    subject: str  # the path, model or pair it is about
    count: int
    what: str
    examples: tuple[str, ...] = ()


Check = Callable[["DuckDBPyConnection", PriceBook], Iterator[Suspicion]]


def audit(book: Book, lake: Lake, prices: PriceBook, now_us: int) -> list[Suspicion]:
    """Every suspicion about what is kept, the most frequent first."""
    found: list[Suspicion] = []
    with reading.opened(book, lake) as engine:
        _load_aggregates(engine, book)
        engine.execute(f"CREATE TEMP MACRO now_us() AS {now_us}")
        for check in _CHECKS:
            found += check(engine, prices)
    return sorted(found, key=lambda one: (-one.count, one.check, one.source, one.subject))


def _load_aggregates(engine: "DuckDBPyConnection", book: Book) -> None:
    engine.execute(
        "CREATE TEMP TABLE aggregates (benchmark VARCHAR, domain VARCHAR, path VARCHAR, n BIGINT, "
        "successes BIGINT, rate_digits VARCHAR, cost_nano BIGINT, cost_reason VARCHAR, "
        "input_tokens BIGINT, output_tokens BIGINT, source VARCHAR)"
    )
    with engine.appender("aggregates") as appender:
        for batch in book.stream(
            "SELECT benchmark, domain, path, n, successes, rate_digits, cost_nano, cost_reason, "
            "input_tokens, output_tokens, source FROM aggregates"
        ):
            appender.append_rows(batch)


def _zero_costs(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """A cost of zero where work was done: nearly always a cost that was not recorded."""
    rows = engine.execute(
        f"""SELECT source, subject, kind, SUM(cases) FROM (
            SELECT source, COALESCE(model, 'no model') AS subject, 'calls' AS kind, SUM(n) AS cases FROM calls
            WHERE cost_reason LIKE '{ZERO_REASON}%' OR (reported_nano = 0 AND cost_state = 'unknown')
            GROUP BY ALL
            UNION ALL SELECT source, COALESCE(path, name), 'tasks', COUNT(*) FROM tasks
            WHERE given_reason LIKE '{ZERO_REASON}%' GROUP BY ALL
            UNION ALL SELECT source, path, 'published results', COUNT(*) FROM aggregates
            WHERE cost_reason LIKE '{ZERO_REASON}%' GROUP BY ALL)
        GROUP BY ALL HAVING SUM(cases) > 0 ORDER BY ALL"""
    ).fetchall()
    for source, subject, kind, count in rows:
        yield Suspicion(
            "zero cost",
            source,
            subject,
            int(count),
            f"{kind} at a cost of 0 beside work that was done: not recorded",
        )


def _totals(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """A task's own total against the sum of its calls, where all of them are known."""
    rows = engine.execute(
        f"""WITH parts AS (
            SELECT task_id, SUM(reported_nano) AS nano FROM folded WHERE purpose = 'work'
            GROUP BY task_id HAVING SUM(unknown_n) = 0 AND SUM(reported_n) = SUM(n) AND SUM(n) > 0),
        off AS (
            SELECT source, COALESCE(path, name) AS subject,
                   COALESCE(external_id, CAST(id AS VARCHAR)) AS task, given_nano, nano FROM tasks
            JOIN parts ON parts.task_id = tasks.id
            WHERE given_nano IS NOT NULL AND ABS(given_nano - nano) > {SMALL_NANO}
              AND 100 * ABS(given_nano - nano) > {TOLERANCE_PERCENT} * GREATEST(given_nano, nano))
        SELECT source, subject, COUNT(*), LIST((task, given_nano, nano) ORDER BY task)[1:{EXAMPLES}]
        FROM off GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    for source, subject, count, cases in rows:
        examples = tuple(
            f"{task}: {dollar_text(int(given))} given, its calls sum to {dollar_text(int(summed))}"
            for task, given, summed in cases
        )
        yield Suspicion(
            "total", source, subject, count, "tasks whose cost is not the sum of their calls", examples
        )


def _repeated_calls(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """The same call twice: same moment, task, model, tokens and cost."""
    rows = engine.execute(
        f"""SELECT source, COALESCE(model, 'no model'), SUM(copies - 1), LIST(task ORDER BY task)[:{EXAMPLES}]
        FROM (
            SELECT source, model, COALESCE(CAST(task_id AS VARCHAR), 'no task') AS task, SUM(n) AS copies
            FROM calls WHERE input IS NOT NULL OR reported_nano IS NOT NULL
            GROUP BY source, model, task, at_us, purpose, session, turn, input, cache_read, output, reasoning,
                     reported_nano HAVING SUM(n) > 1)
        GROUP BY 1, 2 ORDER BY ALL"""
    ).fetchall()
    for source, subject, count, tasks in rows:
        examples = tuple(f"task {task}" for task in tasks)
        yield Suspicion(
            "repeat", source, subject, int(count), "calls that say the same to the last token", examples
        )


def _repeated_runs(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """Two paths with the same count, successes and cost to the last digit: one run under two names."""
    rows = engine.execute(
        """WITH runs AS (
            SELECT source, CONCAT_WS(' ', labels ->> '$.benchmark', labels ->> '$.domain') AS board, path,
                   COUNT(*) AS n, COUNT(*) FILTER (WHERE outcome = 'verified') AS successes,
                   SUM(given_nano) AS nano
            FROM tasks WHERE path IS NOT NULL GROUP BY ALL
            UNION ALL
            SELECT source, CONCAT_WS(' ', benchmark, domain), path, n, successes, cost_nano FROM aggregates)
        SELECT source, board, STRING_AGG(DISTINCT path, ' = ' ORDER BY path), COUNT(DISTINCT path) - 1,
               n, successes, nano
        FROM runs WHERE nano > 0 AND n > 1 GROUP BY source, board, n, successes, nano
        HAVING COUNT(DISTINCT path) > 1 ORDER BY ALL"""
    ).fetchall()
    for source, board, paths, count, n, successes, nano in rows:
        cost = dollar_text(int(nano))
        what = f"published twice: {successes} of {n} done for {cost} under each name ({board.strip()})"
        yield Suspicion("repeat", source, paths, int(count), what)


def _rates(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """A stated rate that is not the stated successes over the stated number."""
    rows = engine.execute(
        """SELECT source, path, benchmark || ' ' || domain, successes, n, rate_digits FROM aggregates
        WHERE successes > n OR successes < 0 OR (TRY_CAST(rate_digits AS DOUBLE) IS NOT NULL
          AND ABS(TRY_CAST(rate_digits AS DOUBLE) * n - successes) > 1
          AND ABS(TRY_CAST(rate_digits AS DOUBLE) / 100 * n - successes) > 1) ORDER BY ALL"""
    ).fetchall()
    for source, path, board, successes, n, rate in rows:
        what = f"a rate of {rate} beside {successes} of {n} ({board.strip()})"
        yield Suspicion("rate", source, path, 1, what)


def _times(engine: "DuckDBPyConnection", _: PriceBook) -> Iterator[Suspicion]:
    """Tasks that ended before they began, and records from the future."""
    rows = engine.execute(
        """SELECT source, COALESCE(path, name), 'tasks that ended before they began', COUNT(*) FROM tasks
        WHERE closed_at_us < opened_at_us GROUP BY ALL
        UNION ALL SELECT source, COALESCE(path, name), 'tasks from the future', COUNT(*) FROM tasks
        WHERE opened_at_us > now_us() + 86400000000 GROUP BY ALL
        UNION ALL SELECT source, COALESCE(model, 'no model'), 'calls from the future', SUM(n) FROM calls
        WHERE at_us > now_us() + 86400000000 GROUP BY ALL HAVING SUM(n) > 0 ORDER BY ALL"""
    ).fetchall()
    for source, subject, what, count in rows:
        yield Suspicion("time", source, subject, int(count), what)


# Where a source does not say what was cached, any share of the prompt may have been (is_vague).
_CHARGES = """
    SELECT source, COALESCE(provider, '') AS provider, model, 'calls' AS kind, reported_nano AS nano, n,
           COALESCE(input, 0) + COALESCE(input_audio, 0) + COALESCE(input_image, 0)
             + COALESCE(tool_use_input, 0) AS plain,
           COALESCE(cache_read, 0) AS cached,
           COALESCE(cache_write, 0) + COALESCE(cache_write_5m, 0) + COALESCE(cache_write_1h, 0) AS written,
           COALESCE(output, 0) + COALESCE(reasoning, 0) + COALESCE(output_audio, 0)
             + COALESCE(output_image, 0) AS answered,
           cache_read IS NULL AS is_vague, external_id AS example
    FROM calls
    WHERE reported_nano > 0 AND model IS NOT NULL AND usage_state <> 'unknown'
      AND web_search IS NULL AND other_usage IS NULL
    UNION ALL
    SELECT source, COALESCE(labels ->> '$.provider', ''), labels ->> '$.model', 'tasks', given_nano, 1,
           given_input_tokens, 0, 0, given_output_tokens, TRUE, external_id
    FROM tasks
    WHERE given_nano > 0 AND given_input_tokens > 0 AND given_output_tokens IS NOT NULL
      AND labels ->> '$.model' IS NOT NULL
    UNION ALL
    SELECT source, '', path, 'published results', cost_nano, 1, input_tokens, 0, 0, output_tokens, TRUE,
           CONCAT_WS(' ', benchmark, domain)
    FROM aggregates WHERE cost_nano > 0 AND input_tokens > 0 AND output_tokens IS NOT NULL
"""

# One call has one set of rates; a total over many calls may mix sets, so only its outer bounds hold.
_JUDGED = f"""
    WITH spans AS (
        SELECT charges.*,
               charges.cached * published.cached + charges.written * published.written
                 + charges.answered * published.answered AS sure_nano,
               charges.plain * IF(is_vague, published.cached, published.plain) AS least_nano,
               charges.plain * IF(is_vague, GREATEST(published.plain, published.written), published.plain)
                 AS most_nano
        FROM charges JOIN published USING (provider, model)),
    judged AS (
        SELECT source, model, kind, nano, n, example, plain, cached, written, answered,
               {1 - TOLERANCE_PERCENT / 100} * MIN(sure_nano + least_nano) - {SMALL_NANO} AS least_nano,
               {1 + TOLERANCE_PERCENT / 100} * MAX(sure_nano + most_nano) + {SMALL_NANO} AS most_nano,
               BOOL_OR(nano BETWEEN {1 - TOLERANCE_PERCENT / 100} * (sure_nano + least_nano) - {SMALL_NANO}
                 AND {1 + TOLERANCE_PERCENT / 100} * (sure_nano + most_nano) + {SMALL_NANO}) AS is_one_of_them
        FROM spans GROUP BY ALL)
    SELECT source, model, kind, SUM(n),
           LIST((example, nano, least_nano, most_nano) ORDER BY nano DESC, example)[1:{EXAMPLES}]
    FROM judged
    WHERE plain + cached + written + answered > 0
      AND NOT CASE kind WHEN 'calls' THEN is_one_of_them ELSE nano BETWEEN least_nano AND most_nano END
    GROUP BY ALL HAVING SUM(n) > 0 ORDER BY ALL
"""


def _unexplained(engine: "DuckDBPyConnection", prices: PriceBook) -> Iterator[Suspicion]:
    """A charge that no published price of its model explains, of any date, tier or context size.

    A model that the price book does not know is not judged.
    """
    engine.execute(f"CREATE OR REPLACE TEMP VIEW charges AS {_CHARGES}")
    models = engine.execute("SELECT DISTINCT provider, model FROM charges ORDER BY ALL").fetchall()
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE published (provider VARCHAR, model VARCHAR, "
        "plain DOUBLE, cached DOUBLE, written DOUBLE, answered DOUBLE)"
    )
    with engine.appender("published") as appender:
        for provider, model in models:
            appender.append_rows([(provider, model, *rates) for rates in _published(prices, provider, model)])
    for source, model, kind, count, cases in engine.execute(_JUDGED).fetchall():
        examples = tuple(
            f"{example or 'one of them'}: {dollar_text(int(nano))}, where published prices give "
            f"{dollar_text(int(least))} to {dollar_text(int(most))}"
            for example, nano, least, most in cases
        )
        what = f"{kind} whose cost no published price of the model explains"
        yield Suspicion("price", source, model, int(count), what, examples)


def _published(prices: PriceBook, provider: str, model: str) -> Iterator[tuple[float, float, float, float]]:
    """Every set of rates that was ever published for a model, in nano units per token.

    Shape ``(uncached input, cache read, cache write, output)``; each set once.
    """
    seen: set[tuple[float, float, float, float]] = set()
    model = _REMARK.sub("", model)
    for name in [provider] if provider else _COMMON_PROVIDERS:
        for tier, details in product(_TIERS, _DETAILS):
            schedule = prices.schedule(name, model, Circumstances(tier, details=details))
            hours = schedule.segments(_LATE_US, _LATE_US + _WEEK_US)  # peak hours and weekends
            for moment in (0, *schedule.boundaries, _LATE_US, *hours):
                for counts in _CONTEXTS:
                    found = schedule.at(moment, counts)
                    if isinstance(found, Found) and (rates := _per_token(found)) not in seen:
                        seen.add(rates)
                        yield rates
        if seen:
            return


def _per_token(found: Found) -> tuple[float, float, float, float]:
    def rate(*units: str) -> float:
        weight = next((found.weights[unit] for unit in units if unit in found.weights), 0)
        return weight / found.denominator

    written = max(rate("cache_write_5m", "input"), rate("cache_write_1h", "input"))
    return rate("input"), rate("cache_read", "input"), written, rate("output")


_CHECKS: Sequence[Check] = (
    _zero_costs,
    _totals,
    _repeated_calls,
    _repeated_runs,
    _rates,
    _times,
    _unexplained,
)
