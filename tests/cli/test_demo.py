"""``flatfare demo``: the first screen anybody sees, and that each of its figures is in the sources."""

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from flatfare.cli.root import root
from flatfare.core.errors import BadUsage

Run = Callable[..., Result]
Shared = Callable[..., Path]


@pytest.fixture(scope="module")
def screen() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: name)
        shown = CliRunner().invoke(root, ["demo"], catch_exceptions=False)
    assert shown.exit_code == 0
    return shown.stdout


def sql(query: str, *parameters: object) -> list[tuple[object, ...]]:
    with duckdb.connect() as engine:
        return engine.execute(query, parameters).fetchall()


def test_the_screen(screen: str) -> None:
    assert "\n".join(line.rstrip() for line in screen.splitlines()) == snapshot("""\
CUSTOMER SUPPORT: what one resolved request costs
250 requests a system, airline, retail and telecom; resolved only if the database ends up right.
tau2-bench, run by the Open Agent Leaderboard; the simulated customer is not in the cost.
Tokens: the maker's list price for a million in and out. 95 %: the doubt about the share solved.

model                 in the harness        tokens $/M  per try  solved  PER RESOLVED           95 %
DeepSeek-V3.2         LiteLLM Tool Calling   0.28/0.42  $0.0384    72 %       $0.0530  0.0495–0.0577
Kimi-K2.5             LiteLLM Tool Calling   0.60/3.00  $0.0633    71 %       $0.0885  0.0824–0.0965
DeepSeek-V3.2         OpenAI Solo            0.28/0.42  $0.0173    19 %       $0.0920  0.0717–0.1197
DeepSeek-V3.2         Claude Code CLI        0.28/0.42  $0.0521    56 %       $0.0930  0.0840–0.1046
Kimi-K2.5             SmolAgents Code        0.60/3.00  $0.1084    68 %       $0.1584  0.1467–0.1737
gpt-5.2-2025-12-11    LiteLLM Tool Calling  1.75/14.00  $0.1258    61 %       $0.2055  0.1876–0.2285
gemini-3-pro-preview  LiteLLM Tool Calling  2.00/12.00  $0.2135    76 %       $0.2809  0.2640–0.3035
gpt-5.2-2025-12-11    SmolAgents Code       1.75/14.00  $0.2809    68 %       $0.4155  0.3842–0.4562
gemini-3-pro-preview  OpenAI Solo           2.00/12.00  $0.3634    73 %       $0.4965  0.4641–0.5393
claude-opus-4-5       LiteLLM Tool Calling  5.00/25.00  $0.6471    75 %       $0.8651  0.8112–0.9369
claude-opus-4-5       Claude Code CLI       5.00/25.00    $1.88    77 %         $2.45      2.30–2.64

Why tokens are the wrong unit
· Same model, same price per token: claude-opus-4-5 resolves a request for $0.8651 in one harness
  and for $2.45 in another, 2.8 times as much.
· The cheapest try is not the cheapest result: DeepSeek-V3.2 in OpenAI Solo takes $0.0173 a try,
  45 % of the first line, and costs 1.7 times as much per resolved request.
· Cheaper still, at $0.0045 a try: Kimi-K2.5 in OpenAI Solo resolved 1 of 250.
· Coding (OpenHands Index, 43 systems, 51,451 tasks): of $50,733 spent, 43 % went into tasks that
  failed. A price per token counts that as work.
· Exercises (Aider polyglot, 51 systems of known cost): a solved case costs from $0.0031 (DeepSeek
  Chat V3 (prev)) to $1.81 (gpt-4.5-preview).

Next
  make demo OPEN=1             the same in a browser (flatfare demo --open)
  flatfare demo --keep DIR     keep this book, for flatfare leaderboard and report
  flatfare import tasks FILE   your own tasks; then flatfare report --by path\
""")


def test_who_has_no_flatfare_in_the_shell_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    shown = CliRunner().invoke(root, ["demo"], catch_exceptions=False).stdout
    assert "/activate         so that the shell finds flatfare" in shown.partition("Next\n")[2]


def test_it_fits_a_terminal_of_a_hundred_columns_and_a_screenful_of_lines(screen: str) -> None:
    lines = screen.splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 35


def test_customer_support_is_what_the_board_published(screen: str, shared: Shared) -> None:
    rows = sql(
        """SELECT regexp_extract(model, '[^_]+$'), agent_name,
                  SUM(total_agent_cost) / SUM(successful_sessions),
                  SUM(total_agent_cost) / SUM(total_sessions),
                  SUM(successful_sessions) / SUM(total_sessions)
           FROM read_csv(?) WHERE benchmark LIKE 'tau2%' AND agent <> 'tool_calling_with_shortlisting'
           GROUP BY ALL HAVING SUM(average_steps * total_sessions) >= SUM(total_sessions)
           ORDER BY 3""",
        str(shared("data", "exgentic_open_agent", "results.csv")),
    )
    assert len(rows) == 18
    shown = [line for line in screen.splitlines() if line.split("  ")[0] in {str(row[0]) for row in rows}]
    told = {(line[:22].strip(), line[22:44].strip()): line for line in shown}
    # each model's cheapest and dearest harness, and the cheapest try of all
    for model in {row[0] for row in rows}:
        own = [row for row in rows if row[0] == model]
        for _, harness, per_verified, per_try, rate in (own[0], own[-1]):
            line = told[str(model), str(harness)]
            assert dollars(per_verified) in line
            assert dollars(per_try) in line
            assert f"{100 * float(str(rate)):.0f} %" in line
    cheapest_try = min(rows, key=lambda row: float(str(row[3])))
    assert (cheapest_try[0], cheapest_try[1]) in told
    assert (dollars(rows[0][2]), dollars(rows[-1][2])) == ("$0.0530", "$2.45")


def test_coding_spend_is_what_the_index_published(screen: str, shared: Shared) -> None:
    ((tasks, paths, spend, failed),) = sql(
        """SELECT COUNT(*), COUNT(DISTINCT agent || model), SUM(CAST(cost_usd AS DECIMAL(18, 9))),
                  SUM(CAST(cost_usd AS DECIMAL(18, 9))) FILTER (WHERE NOT resolved)
           FROM read_parquet(?)""",
        str(shared("data", "openhands_index", "instances.parquet")),
    )
    assert f"{paths} systems, {tasks:,} tasks" in screen
    assert f"of ${float(str(spend)):,.0f} spent" in screen
    share = float(str(failed)) / float(str(spend))
    assert f"{100 * share:.0f} % went into" in screen
    assert share == pytest.approx(0.43, abs=0.005)


def test_exercises_are_what_aider_published(screen: str, shared: Shared) -> None:
    rows = sql(
        """SELECT model, total_cost / pass_num_2 FROM read_csv(?)
           WHERE total_cost > 0 ORDER BY 2""",
        str(shared("data", "aider", "polyglot.csv")),
    )
    text = " ".join(screen.split())
    assert f"{len(rows)} systems of known cost" in text
    assert f"from {dollars(rows[0][1])} ({rows[0][0]}) to {dollars(rows[-1][1])} ({rows[-1][0]})" in text
    assert float(str(rows[0][1])) == pytest.approx(0.0031, abs=0.00005)
    assert float(str(rows[-1][1])) == pytest.approx(1.82, rel=0.01)


def test_keeping_the_book_leaves_it_for_the_other_commands(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shown = CliRunner().invoke(root, ["demo", "--keep", str(kept)], catch_exceptions=False)
    assert str(kept / "flatfare.db") in shown.stdout
    board = CliRunner().invoke(
        root,
        [
            *("leaderboard", "--benchmark", "Aider polyglot", "--csv"),
            *("--database", str(kept / "flatfare.db"), "--lake", str(kept / "lake")),
        ],
        catch_exceptions=False,
    )
    assert len(board.stdout.splitlines()) == 1 + 69


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(BadUsage, match="not empty"):
        CliRunner().invoke(root, ["demo", "--keep", str(tmp_path)], catch_exceptions=False)


def test_open_serves_the_dashboard_on_the_demo_s_book_until_it_is_ended(tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="needs the web extra")
    environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    short = Path(tempfile.mkdtemp(prefix="ff"))  # a socket's path has 107 signs at most
    environment |= {"TMPDIR": str(short), "FLATFARE_TOKEN": "t", "FLATFARE_LISTEN": "127.0.0.1:0"}
    command = [sys.executable, "-m", "flatfare", "demo", "--open"]
    errors = tmp_path / "errors.txt"
    with errors.open("w", encoding="utf-8") as to:
        demo = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=to, text=True, env=environment, cwd=tmp_path
        )
    try:
        assert demo.stdout is not None
        said = (line.split()[-1] for line in demo.stdout if line.startswith("The dashboard: "))
        address = next(said, "")
        assert address, errors.read_text(encoding="utf-8")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address, timeout=30) as page:
            assert page.url == address.partition("?")[0]
            firm = page.read().decode()
        with browser.open(f"{page.url}?period=all&filter=source=OpenHands%20Index", timeout=30) as page:
            public = page.read().decode()
        assert "agents in a circle" in firm
        assert "51,451 matured tasks" in public
        assert "claude-fable-5 in OpenHands" in public
        assert "agents in a circle" not in public
    finally:
        demo.terminate()
        demo.stdout.close()
        assert demo.wait(30) == 0
    assert list(short.rglob("flatfare.db")) == []
    shutil.rmtree(short)


def dollars(amount: object) -> str:
    """As the product writes an amount, by other means."""
    value = float(str(amount))
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
