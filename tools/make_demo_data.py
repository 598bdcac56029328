"""Makes the data that `flatfare demo` ships from the public files they come from.

Numbers only, in the columns that the import knows; no figure is altered. Rows are
left out by a stated rule, never by hand, and the rule's count is printed. Run it
again after the sources change::

    python tools/make_demo_data.py ../shared/data
"""

import sys
from pathlib import Path

import duckdb

TARGET = Path(__file__).parent.parent / "src" / "flatfare" / "data" / "demo"

# Rows whose count of successes is not the board's own score times its sessions are left out: on SWE-bench
# the file counts finished sessions as successful, whether or not the patch passed (read 2026-11-21).
OPEN_AGENT_ROWS = """
    SELECT *, abs(successful_sessions / total_sessions - benchmark_score) < 0.0005 AS counts_agree
    FROM read_csv('{folder}/exgentic_open_agent/results.csv')
"""

# Costs stay text, so that every digit is the source's own.
OPEN_AGENT = """
    SELECT
        CASE shown.benchmark_name
            WHEN 'Tau Bench 2' THEN 'tau2-bench' WHEN 'BrowseCompPlus' THEN 'BrowseComp-Plus'
            ELSE shown.benchmark_name END AS benchmark,
        CASE shown.benchmark_name
            WHEN 'BrowseCompPlus' THEN 'web research' WHEN 'AppWorld' THEN 'everyday apps'
            ELSE shown.subset_name END AS domain,
        regexp_extract(shown.model, '[^_]+$') || ' in ' || shown.agent_name AS path,
        shown.agent_name AS "label.agent",
        regexp_extract(shown.model, '[^_]+$') AS "label.model",
        shown.total_sessions AS n,
        shown.successful_sessions AS successes,
        shown.total_agent_cost AS total_cost,
        shown.total_benchmark_cost AS total_simulation_cost,
        shown.average_steps AS calls_per_task
    FROM read_csv('{folder}/exgentic_open_agent/results.csv', all_varchar = true) AS shown
    JOIN ({rows}) AS read USING (agent, model, benchmark)
    WHERE read.counts_agree
    ORDER BY benchmark DESC, domain, path
"""

OPENHANDS = """
    SELECT
        benchmark AS domain,
        model || ' in ' || CASE agent
            WHEN 'openhands' THEN 'OpenHands' WHEN 'openhands_subagents' THEN 'OpenHands with subagents'
            WHEN 'acp-claude' THEN 'Claude Code' WHEN 'acp-codex' THEN 'Codex'
            WHEN 'acp-gemini' THEN 'Gemini CLI' END AS path,
        instance_id AS task,
        resolved,
        cost_usd
    FROM read_parquet('{folder}/openhands_index/instances.parquet')
    ORDER BY domain, path, task
"""

AIDER = """
    SELECT
        model || CASE WHEN edit_format = 'architect' OR count(*) OVER (PARTITION BY model) > 1
            THEN ' (' || edit_format || ')' ELSE '' END AS path,
        total_tests::DOUBLE::INTEGER AS n,
        pass_num_2::DOUBLE::INTEGER AS successes,
        total_cost,
        prompt_tokens::DOUBLE::BIGINT AS input_tokens,
        completion_tokens::DOUBLE::BIGINT AS output_tokens,
        date
    FROM read_csv('{folder}/aider/polyglot.csv', all_varchar = true)
    ORDER BY date, path
"""


def main(folder: Path) -> None:
    """Write the three files, and say what was left out."""
    engine = duckdb.connect()
    TARGET.mkdir(parents=True, exist_ok=True)
    rows = OPEN_AGENT_ROWS.format(folder=folder)
    write(engine, OPEN_AGENT.format(folder=folder, rows=rows), "open-agent-leaderboard.csv")
    left_out = engine.execute(
        f"SELECT count(*), list(DISTINCT benchmark) FROM ({rows}) WHERE NOT counts_agree"
    ).fetchone()
    print(f"left out, as their counts disagree with the published score (rows, benchmarks): {left_out}")
    write(engine, OPENHANDS.format(folder=folder), "openhands-index.parquet")
    write(engine, AIDER.format(folder=folder), "aider-polyglot.csv")


def write(engine: duckdb.DuckDBPyConnection, query: str, name: str) -> None:
    """One query's rows as one file, CSV or Parquet by its name."""
    form = "parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19" if name.endswith(".parquet") else "csv, HEADER"
    rows = engine.execute(f"COPY ({query}) TO '{TARGET / name}' (FORMAT {form})").fetchone()
    print(f"{name}: {rows[0] if rows else 0} rows, {(TARGET / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
