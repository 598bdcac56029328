"""``flatfare budgets`` and ``flatfare estimate``: as a person uses them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.store import chains
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.store.sealing import seal_calls
from tests.builders import OPENED_US, book_in, call, task, write_calls, write_tasks

ASKED = '{"model": "gpt-4o", "max_tokens": 1000, "messages": [{"role": "user", "content": "How many legs?"}]}'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    """The command line in a folder of its own."""

    def __call__(self, *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(root, words, input=given)


def test_a_budget_is_created_listed_topped_up_and_removed(run: Run, tmp_path: Path) -> None:
    made = run(
        "budgets", "create", "--name", "search", "--amount", "5.00", "--scope", "team=search", "--json"
    )
    assert json.loads(made.stdout)["amount"] == "5.000000000"
    assert run("budgets", "top-up", "search", "2.50", "--expires", "7d", "--reason", "launch").exit_code == 0
    (listed,) = (json.loads(line) for line in run("budgets", "list", "--json").stdout.splitlines())
    assert listed["subjects"] == [
        {
            "subject": "search",
            "limit": "7.500000000",
            "spent": "0.000000000",
            "reserved": "0.000000000",
            "left": "7.500000000",
            "share": 0.0,
        }
    ]
    shown = run("budgets", "show", "search").stdout
    assert "$7.50" in shown
    assert "thresholds: 50:alert, 75:alert, 90:alert, 100:alert" in shown
    assert "$2.50 more since" in shown
    assert shown.rstrip().endswith(": launch")
    assert run("budgets", "change", "search", "--threshold", "90:stop", "--contact", "ann").exit_code == 0
    assert run("budgets", "override", "search", "1.00", "--expires", "1d").exit_code == 0
    assert run("budgets", "remove", "search", "--reason", "over").exit_code == 0
    assert "No budgets yet" in run("budgets", "list").stdout
    with open_book(str(tmp_path / "flatfare.db")) as book:
        kinds = [row[0] for row in book.rows("SELECT kind FROM chained_records ORDER BY position")]
        assert chains.broken_at(book, chains.ORGANISATION) is None
    assert kinds == [
        f"budget.{what}" for what in ("created", "topped_up", "changed", "overridden", "removed")
    ]


def test_a_top_up_says_what_may_be_spent_now(run: Run) -> None:
    run("budgets", "create", "--name", "search", "--amount", "5.00")
    said = run("budgets", "top-up", "search", "2.50").stdout
    assert "may spend $7.50 per month" in said


def test_who_spent_of_a_budget_is_of_its_own_scope(run: Run, tmp_path: Path) -> None:
    run(
        "budgets",
        "create",
        "--name",
        "mine",
        "--amount",
        "5.00",
        "--scope",
        "team=search",
        "--per",
        "lifetime",
    )
    spent = {"mine": ("search", 20), "other": ("sales", 900)}
    with open_book(str(tmp_path / "flatfare.db")) as book:
        write_calls(
            book,
            [
                call(name, None, nano * 1_000_000, labels={"team": team}, model=name)
                for name, (team, nano) in spent.items()
            ],
        )
    said = run("budgets", "show", "mine").stdout
    assert "spent: $0.0200 by no key, mine" in said
    assert "other" not in said


def test_who_spent_is_told_since_the_last_calls_were_sealed_and_says_so(run: Run, tmp_path: Path) -> None:
    run("budgets", "create", "--name", "all", "--amount", "5.00", "--per", "lifetime")
    with open_book(str(tmp_path / "flatfare.db")) as book:
        write_calls(book, [call("sealed", None, 700_000_000, model="first", at_us=OPENED_US)])
        seal_calls(book, Lake(tmp_path / "lake"), before_us=OPENED_US + 1, now_us=OPENED_US + 1)
        write_calls(book, [call("hot", None, 20_000_000, model="next", at_us=OPENED_US + 1_000_000)])
    said = run("budgets", "show", "all").stdout
    assert "spent since 2026-01-10T09:00:00.000001Z: $0.0200 by no key, next" in said
    assert "first" not in said


def test_a_key_is_made_with_its_budget(run: Run) -> None:
    key = json.loads(
        run("keys", "create", "--name", "svc", "--budget", "5.00", "--per", "month", "--json").stdout
    )
    (budget,) = (json.loads(line) for line in run("budgets", "list", "--json").stdout.splitlines())
    assert budget["scope"] == f"key={key['id']}"
    assert (budget["name"], budget["amount"], budget["per"]) == ("svc", "5.000000000", "month")


def test_a_key_whose_budget_cannot_be_made_is_not_to_be_used(run: Run) -> None:
    assert run("budgets", "create", "--name", "svc", "--amount", "1").exit_code == 0
    assert run("keys", "create", "--name", "svc", "--budget", "5.00").exit_code == 1
    assert run("keys", "list", "--json").stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--amount", "-1"], "Found a budget of $-1.000000000: expected 0 to"),
        (["--amount", "1", "--scope", "team"], "Found the scope"),
        (["--amount", "1", "--per", "fortnight"], "Found the window"),
        (["--amount", "1", "--time-zone", "Mars"], "Found the time zone"),
        (["--amount", "1", "--threshold", "x"], "write 90"),
        (["--amount", "1", "--threshold", "90:explode"], "one of alert"),
        (["--amount", "1", "--scope", "key=nobody"], "no key 'nobody'"),
    ],
)
def test_what_cannot_be_a_budget_is_said(run: Run, words: list[str], said: str) -> None:
    done = run("budgets", "create", "--name", "x", *words)
    assert done.exit_code != 0
    assert said in str(done.exception) + done.output


def test_an_estimate_says_at_most_and_likely(run: Run) -> None:
    found = json.loads(run("estimate", "-", "--json", given=ASKED).stdout)
    # (100 + 64 bytes) x $2.50 and 1,000 x $10 per million, 1.7 times of it if the project is set to priority.
    assert found["at_most"]["amount"] == "0.017697000"
    assert "priority rates" in found["at_most"]["reason"]
    assert found["likely"]["output_tokens"] == 500
    assert found["likely"]["output_from"] == "a guess: no answers of it here yet"
    text = run("estimate", "-", given=ASKED).stdout
    assert "at most  $0.0176" in text


def test_an_estimate_knows_what_the_settings_say_of_the_provider(run: Run, tmp_path: Path) -> None:
    own = "providers: {openai: {base_url: https://api.openai.com/v1, default_tier: standard}}"
    (tmp_path / "flatfare.yaml").write_text(own)
    found = json.loads(run("estimate", "-", "--json", given=ASKED).stdout)
    assert found["at_most"]["amount"] == "0.010410000"


def test_an_estimate_goes_by_the_last_answers_also_where_they_are_sealed(run: Run, tmp_path: Path) -> None:
    book, lake = book_in(tmp_path)
    outputs = [10, 20, 30, 900, 1000]
    write_calls(
        book,
        [
            call(f"c{n}", None, model_asked="gpt-4o", output=output, reasoning=1, at_us=OPENED_US + n)
            for n, output in enumerate(outputs)
        ],
    )
    said = "the middle of the last 5 answers here"
    for before_us in (OPENED_US, OPENED_US + 2, OPENED_US + 9):  # none sealed, some, and all
        seal_calls(book, lake, before_us=before_us, now_us=1)
        likely = json.loads(run("estimate", "-", "--json", given=ASKED).stdout)["likely"]
        assert (likely["output_tokens"], likely["output_from"]) == (31, said)


def test_an_estimate_that_cannot_be_made_says_why(run: Run) -> None:
    done = run("estimate", "-", given='{"messages": []}')
    assert done.exit_code == 1
    assert "the request names no model" in done.stdout
    done = run("estimate", "-", "--endpoint", "nonsense", given="{}")
    assert "openai has" in str(done.exception) + done.output
    assert "- holds no request: expected a body" in str(run("estimate", "-", given="a,b\n1,2\n").exception)


FILE = """
budgets:
  search: {amount: 500, per: month, scope: team=search, thresholds: [75, "90:stop"]}
  each-session: {amount: 2.00, per: lifetime, scope: "session=*", hard: true}
"""


def test_a_file_of_budgets_is_shown_first_and_then_applied(run: Run, tmp_path: Path) -> None:
    (tmp_path / "budgets.yaml").write_text(FILE)
    run("budgets", "create", "--name", "other", "--amount", "1")
    shown = run("apply", "budgets.yaml", "--plan")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["create", "create"]
    assert run("apply", "budgets.yaml").exit_code == 1, "nobody agreed"
    assert run("apply", "budgets.yaml", "--yes").stdout.endswith("Done: 2 changes.\n")
    assert "Nothing to do" in run("apply", "budgets.yaml").stdout
    (tmp_path / "budgets.yaml").write_text(FILE.replace("500", "600").replace("lifetime", "day"))
    shown = run("apply", "budgets.yaml", "--yes", "--prune")
    assert shown.stdout.splitlines()[0].endswith("search: amount 500.000000000 → 600.000000000")
    assert [line.split()[:2] for line in shown.stdout.splitlines()[:-1]] == [
        ["change", "search:"],
        ["replace", "each-session:"],
        ["remove", "other:"],
    ]
    names = {json.loads(line)["name"] for line in run("budgets", "list", "--json").stdout.splitlines()}
    assert names == {"search", "each-session"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "has no budgets"),
        ("budgets: {a: {}}", "has no amount"),
        ("budgets: {a: {amount: 1, colour: red}}", "'colour'"),
        ("budgets: {a: {amount: x}}", "The budget 'a'"),
        ("budgets: {a: {amount: 1, per: never}}", "The budget 'a': Found the window"),
        ("keys: {}\nbudgets: {}", "nothing else can be applied"),
        ("budgets: [", "no YAML"),
    ],
)
def test_a_file_that_cannot_be_applied_changes_nothing(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "budgets.yaml").write_text(text)
    done = run("apply", "budgets.yaml", "--yes")
    assert done.exit_code == 1
    assert said in str(done.exception) + done.output
    assert run("budgets", "list", "--json").stdout == ""


def test_a_budget_on_an_action_says_how_many_units_are_left(run: Run, tmp_path: Path) -> None:
    """Ten reviews at $10, of which eight were verified: $12.50 for each that was."""
    book, _ = book_in(tmp_path)
    outcomes = ["verified"] * 8 + ["failed"] * 2
    write_tasks(book, [{**task(f"r{n}", outcome), "name": "review"} for n, outcome in enumerate(outcomes)])
    write_calls(book, [call(f"r{n}", f"r{n}", 10 * 10**9) for n in range(10)])
    run(
        "budgets",
        "create",
        "--name",
        "reviews",
        "--amount",
        "5000",
        "--per",
        "quarter",
        "--scope",
        "action=review",
    )
    run("budgets", "create", "--name", "sorting", "--amount", "5", "--scope", "action=sort")
    run("budgets", "create", "--name", "search", "--amount", "5", "--scope", "team=search")
    listed = [json.loads(line) for line in run("budgets", "list", "--json").stdout.splitlines()]
    found = {one["name"]: one["subjects"][0].get("units_left") for one in listed}
    said = "about 400 review left, at $12.50 each (an estimate, from 8 verified)"
    units = {"units": 400, "cost_each": "12.500000000", "n": 8, "said": said}
    assert found == {"reviews": units, "sorting": None, "search": None}, "unknown is left out"
    assert said in run("budgets", "show", "reviews").stdout
    assert "400" in run("budgets", "list").stdout
    assert "about 400 (n=8)" in run("budgets", "list", "--csv").stdout
