"""The commands that a page shows, run in its order in an empty folder, do what it says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from tests.documents import ROOT, shown
from tests.runner.rig import CONTRACT, Model, provided

GUIDES = ROOT / "docs" / "guides"
TICKETS = "ticket,Opened,agent,Resolved?,Cost ($),team\n" + "".join(
    f"T-{n},2026-10-0{1 + n % 7} 09:00,bot,{'no' if n % 4 == 0 else 'yes'},0.20,law\n" for n in range(40)
)
CALLS = "request_id,ticket_id,startTime,model,provider,prompt_tokens,completion_tokens\n" + "".join(
    f"r{n},T-{n % 40},2026-10-01T09:00:00Z,gpt-5-mini,openai,1000,200\n" for n in range(90)
)
ANSWER = (
    '{"object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "choices": [], '
    '"usage": {"prompt_tokens": 2000, "completion_tokens": 500}}'
)
STATEMENT = "conversation_id,date,amount,status\n" + "".join(
    f"c{n},2026-09-0{1 + n % 9},$0.99,assumed\n" for n in range(30)
)
DESK = "conversation,ticket,opened_at,closed_at,reopened\n" + "".join(
    f"c{n},{n},2026-09-01,2026-09-02,{'yes' if n % 9 == 0 else 'no'}\n" for n in range(29)
)
SAMPLE = "conversation_id,reviewer,verdict,reviewed_at\n" + "".join(
    f"c{n},ann,{'fail' if n % 5 == 0 else 'pass'},2026-09-20\n" for n in range(20)
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "ann")
    return tmp_path


def flatfare(*words: str, ends: int = 0) -> str:
    result = CliRunner().invoke(root, words)
    assert result.exit_code == ends, f"flatfare {' '.join(words)}: {result.output}{result.exception or ''}"
    return result.output


def run(page: Path, first: str, change: Callable[[str], str] = str) -> str:
    """Run the block that begins so; returns what all of it printed."""
    return "".join(flatfare(*map(change, words)) for words in shown(page, first))


def write(**texts: str) -> None:
    for name, text in texts.items():
        Path(name.replace("_dot_", ".").replace("_", "-")).write_text(text)


def test_the_readme_s_own_data() -> None:
    write(tickets_dot_csv=TICKETS, calls_dot_csv=CALLS)
    printed = run(ROOT / "README.md", "flatfare import tasks")
    assert "tickets.csv: 40 read, 40 new, 0 known, 0 rejected, 40 verdicts." in printed
    assert "75.0 %" in printed
    assert "Sound:" in printed


def test_the_readme_s_response() -> None:
    write(response_dot_json=ANSWER)
    assert "measured" in run(ROOT / "README.md", "flatfare meter")


def test_the_readme_s_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("examples").symlink_to(ROOT / "examples")
    text = Path("examples/actions/contract.txt").read_text()
    with provided(Model()) as port:
        places = {"openai": {"base_url": f"http://127.0.0.1:{port}/v1"}}
        Path("flatfare.yaml").write_text(json.dumps({"listen": "127.0.0.1:0", "providers": places}))
        Path("own.txt").write_text(CONTRACT)  # what the provider of the tests can review
        printed = run(
            ROOT / "README.md",
            "flatfare actions check",
            lambda word: word.replace("examples/actions/contract.txt", "own.txt"),
        )
    assert "5.00 USD per verified outcome" in printed
    assert "billed 5.00 USD (settled)" in printed
    assert "Balance after: 45.00 USD (45.00 in the wallet)." in printed
    assert len(text) >= 200, "the action asks for as much"
    believed = run(ROOT / "README.md", "flatfare audit", lambda word: _task() if word == "TASK" else word)
    assert "Nothing was changed" in believed
    assert "quotations-stand" in believed


def _task() -> str:
    return str(json.loads(flatfare("tasks", "list", "--json").splitlines()[0])["task"])


def test_selling() -> None:
    printed = run(GUIDES / "selling.md", "flatfare customers create")
    assert "blog-10: 10 × blog-post for 20.00 USD" in printed
    assert "The ledger holds" in printed


def test_bought_outcomes() -> None:
    write(september_dot_csv=STATEMENT, tickets_dot_csv=DESK, qa_sample_dot_csv=SAMPLE)
    printed = run(GUIDES / "bought-outcomes.md", "flatfare import bought")
    assert "Intercom Fin: 30 conversations, $29.70 billed" in printed
    assert "never matched to a ticket" in printed
    assert "of 30 lines disputed" in printed


def test_outcome_records_go_out_are_checked_and_come_back() -> None:
    write(tickets_dot_csv=TICKETS)
    flatfare("import", "tasks", "tickets.csv", "--set", "name=resolve")
    printed = run(ROOT / "docs" / "outcome-record.md", "flatfare outcomes export")
    assert "40" in printed


def test_guards_by_command_and_by_file() -> None:
    printed = run(GUIDES / "guards.md", "flatfare guards create")
    assert "loops" in printed
    block = (GUIDES / "guards.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    write(limits_dot_yaml=block)
    assert "Done: " in flatfare("apply", "limits.yaml", "--yes")
    assert "Nothing was changed" in flatfare("audit", "verify")


def test_budgets() -> None:
    assert "search" in run(GUIDES / "budgets.md", "flatfare budgets create")


def test_what_people_tell_of_tasks() -> None:
    write(tickets_dot_csv="task,success,name\ncontract-7,true,contract-review\n")
    flatfare("import", "tasks", "tickets.csv")
    printed = run(GUIDES / "outcomes.md", "flatfare tasks list")
    assert "contract-7 is verified, disputed." in printed
    block = (GUIDES / "outcomes.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    write(contract_review_dot_yaml=block)
    assert "version 1 is in force" in flatfare("outcomes", "define", "contract-review.yaml")


def test_fixed_fees() -> None:
    write(tickets_dot_csv=TICKETS, calls_dot_csv=CALLS)
    flatfare("import", "tasks", "tickets.csv", "--ignore", "Cost ($)")
    flatfare("import", "calls", "calls.csv")
    printed = run(GUIDES / "fixed-fees.md", "flatfare commitments add")
    assert "$300.00            90" in printed
    assert "are shares of fixed fees" in printed
