"""A book with something to see on every page: an invented firm's calls, tasks, verdicts, budgets and keys."""

import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from flatfare.config import Channel, Provider, Secret, Settings
from flatfare.core.action_price import parse_price
from flatfare.core.budget import Budget, Scope, TopUp, Window
from flatfare.core.checks.submission import Submission
from flatfare.core.identity import task_id
from flatfare.core.sale import Costs
from flatfare.prices.book import Found, PriceBook
from flatfare.service import selling
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.alerts import alerting
from flatfare.service.budgets import budgeting
from flatfare.service.costing.price_versions import keep_used
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import budgets
from flatfare.store.alerts import Alert
from flatfare.store.book import Book, Value, open_book
from flatfare.store.lake import Lake
from tests.builders import DAY_US, Record, call, id_of, seal_tasks, task, write_calls, write_tasks

HOSTILE = "<script>alert(1)</script>"
"""A label's value that must stay text wherever it is shown."""

DAYS = 64
CHECKS = ("quotations-stand", "no-promises")  # of the action
ACTION = Path(__file__).parents[2] / "examples" / "actions" / "contract-review.yaml"
_PATHS = (
    # path, model, provider, success rate, dollars a call, calls a task
    ("small first", "gpt-5-mini", "openai", 0.71, 0.004, 3),
    ("large alone", "claude-sonnet-4-5", "anthropic", 0.93, 0.031, 2),
    ("small, then large", "gpt-5-mini", "openai", 0.90, 0.011, 4),
    ("deep thought", "gemini-2.5-pro", "gemini", 0.95, 0.092, 6),
    ("agents in a circle", "gpt-5", "openai", 0.38, 0.064, 11),
)
_TEAMS = ("search", "support", "legal")
_CUSTOMERS = ("acme", "borealis", "cumulus", HOSTILE)
_ACTIONS = ("resolve-ticket", "review-contract", "answer-question")
_NANO = 1_000_000_000


def settings_in(folder: Path) -> Settings:
    """Where the book lies, with providers and a channel to show."""
    return Settings(
        database=f"sqlite:///{folder}/book.db",
        lake=f"{folder}/lake",
        providers={
            "openai": Provider("openai", "https://api.openai.com/v1", "openai", Secret("sk-never-shown")),
            "local": Provider("local", "http://127.0.0.1:8000/v1", "openai"),
        },
        alerts={"ops": Channel("ops", Secret("https://hooks.example/never-shown"), kinds=("budget.*",))},
    )


def empty(folder: Path) -> Settings:
    """A book with nothing in it."""
    settings = settings_in(folder)
    open_book(settings.database).close()
    return settings


def lively(folder: Path, now_us: int) -> Settings:
    """The firm's book, up to now."""
    settings = settings_in(folder)
    with open_book(settings.database) as book:
        book.execute("PRAGMA synchronous = OFF")
        rows = list(_rows(now_us))
        write_tasks(book, [row for row, _ in rows])
        seal_tasks(book, Lake(settings.lake))
        claude = {"price_version": _kept_prices(book, now_us)}
        made = [call for _, calls in rows for call in calls]
        write_calls(book, [one | claude if one["provider"] == "anthropic" else one for one in made])
        write_calls(book, _loose(now_us))
        _agreements(book, settings, now_us)
        _sold(book, Lake(settings.lake), now_us)
    return settings


def _kept_prices(book: Book, now_us: int) -> str:
    """The version of Claude's prices, kept as with the first call that has them."""
    prices = PriceBook.standard()
    found = prices.find("anthropic", "claude-sonnet-4-5", now_us)
    assert isinstance(found, Found)
    version = found.version
    with book.writing():
        keep_used(book, prices, now_us)
    return version


def _rows(now_us: int) -> Iterator[tuple[Record, list[Record]]]:
    chance = random.Random(7)
    for number in range(DAYS * 14):
        opened = now_us - DAYS * DAY_US + number * DAYS * DAY_US // (DAYS * 14) + chance.randrange(10**9)
        path, model, provider, rate, dollars, calls = chance.choices(_PATHS, (6, 5, 7, 2, 2))[0]
        labels = {
            "team": chance.choices(_TEAMS, (5, 4, 2))[0],
            "customer": chance.choices(_CUSTOMERS, (6, 4, 2, 1))[0],
        }
        name = f"t{number}"
        ages = (now_us - opened) / DAY_US / DAYS
        yield (
            task(
                name,
                _outcome(chance, rate, opened, now_us),
                path=path,
                labels=labels,
                opened_at_us=opened,
                closed_at_us=opened + 40_000_000,
                matures_at_us=opened + DAY_US // 2,
                external_id=f"ticket-{number}",
            )
            | {"name": chance.choice(_ACTIONS)},
            [
                _call(
                    chance,
                    f"{name}.{at}",
                    name,
                    model,
                    provider,
                    labels,
                    opened,
                    dollars * (0.7 + 0.5 * ages),
                )
                for at in range(max(1, calls + chance.randrange(-1, 2)))
            ],
        )


def _outcome(chance: random.Random, rate: float, opened: int, now_us: int) -> str:
    if now_us - opened < DAY_US // 2:
        return "open"
    if chance.random() < rate:
        return "reversed" if chance.random() < 0.03 else "verified"
    return "assumed" if chance.random() < 0.15 else "failed"


def _call(
    chance: random.Random,
    name: str,
    of: str | None,
    model: str,
    provider: str,
    labels: dict[str, str],
    opened: int,
    dollars: float,
) -> Record:
    cost: int | None = int(dollars * chance.uniform(0.4, 1.8) * _NANO)
    if model == "gpt-5" and chance.random() < 0.006:
        cost = None
    given: dict[str, Value | dict[str, str]] = {
        "provider": provider,
        "model": model,
        "labels": labels,
        "at_us": opened + chance.randrange(1, 30_000_000),
        "duration_ms": chance.randrange(300, 9000),
        "input": chance.randrange(400, 6000),
        "cache_read": chance.randrange(0, 9000),
        "output": chance.randrange(50, 900),
        "reasoning": chance.randrange(0, 2500),
        "web_search": 1 if chance.random() < 0.05 else None,
        "status": "failed" if chance.random() < 0.03 else "ok",
        "purpose": "verification" if chance.random() < 0.12 else "work",
    }
    return call(name, of, cost, **given)


def _loose(now_us: int) -> Iterator[Record]:
    """Calls that belong to no task."""
    chance = random.Random(8)
    for number in range(60):
        at = now_us - chance.randrange(DAYS * DAY_US)
        yield _call(chance, f"loose{number}", None, "gpt-5-mini", "openai", {"team": "search"}, at, 0.02)


def _agreements(book: Book, settings: Settings, now_us: int) -> None:
    made = now_us - 50 * DAY_US
    issuing.create(book, Terms("search-service", labels={"team": "search"}), at_us=made, by_whom="ada")
    issuing.create(book, Terms(f"ci {HOSTILE}", labels={"team": "legal"}), at_us=made, by_whom="ada")
    issuing.create(book, Terms("former"), at_us=made, by_whom="ada")
    issuing.revoke(book, "former", at_us=made + DAY_US, by_whom="ada", reason="it was in a log")
    for name, scope, dollars, window, hard, spent in (
        ("everything", "organisation", 900, "month", False, 412),
        ("search team", "team=search", 200, "month", True, 171),
        ("legal team", "team=legal", 60, "month", False, 66),
        ("each customer", "customer=*", 40, "day", False, 22),
    ):
        wanted = Budget(
            "",
            name,
            Scope.of(scope),
            dollars * _NANO,
            Window.of(window),
            is_hard=hard,
            contact="ops@acme.example",
        )
        budget = budgeting.create(book, wanted, at_us=made, by_whom="ada")
        subject = "acme" if scope.endswith("*") else (budget.scope.value or budget.scope.key)
        begins, ends = budget.window.span(now_us)
        with book.writing():
            allowance = budgets.Allowance(budget.id, subject, begins)
            budgets.lease(book, allowance, ends, "epoch", "node", 9 * _NANO)
            budgets.book_spend(book, allowance, ends, None, spent * _NANO)
    budgeting.top_up(
        book,
        "search team",
        TopUp(25 * _NANO, now_us - DAY_US, now_us + 5 * DAY_US, "finance", "launch week"),
        at_us=now_us - DAY_US,
    )
    with book.writing():
        alert = Alert(
            id_of("alert"),
            "budget.crossed",
            "legal team",
            "The budget 'legal team' has passed 100 % of $60.00.",
            {"percent": 100},
            now_us - DAY_US,
        )
        alerting.raise_alert(book, alert, settings)


def _sold(book: Book, lake: Lake, now_us: int) -> None:
    """Customers, a published action, sales of it, and reviews that wait."""
    selling.customers.create(book, name="acme", terms="invoice", at_us=now_us - 40 * DAY_US, by_whom="ada")
    selling.customers.create(book, name="borealis", at_us=now_us - 40 * DAY_US, by_whom="ada")
    selling.top_up_wallet(
        book,
        entry_id=UUID(id_of("paid")),
        customer="borealis",
        amount_nano=50 * _NANO,
        currency="USD",
        at_us=now_us - 30 * DAY_US,
        by_whom="finance",
    )
    publishing.publish(book, read_file(ACTION), at_us=now_us - 35 * DAY_US, by_whom="ada")
    for number in range(6):
        sell_one(
            book, lake, number, "acme" if number % 2 else "borealis", now_us - (20 - 3 * number) * DAY_US
        )
    for number in range(3):
        wanted = Wanted(
            id_of(f"t{number}"),
            submission=Submission(
                output=f"The answer {number}. {HOSTILE}", input="What is our refund policy?"
            ),
            name="answer-question",
            question="Is the answer right, and is it polite?",
        )
        reviewing.enqueue(book, wanted, at_us=now_us - DAY_US, asked_by="ada")


def sell_one(book: Book, lake: Lake, number: int, customer: str, at_us: int) -> None:
    """One task that was told of, judged and paid for; the last is still open."""
    name = f"contract-{number}"
    is_done = number < 5

    def told(what: str, after_s: int, **more: object) -> dict[str, object]:
        at = at_us + after_s * 1_000_000
        return {"event": what, "id": id_of(f"{name} {what} {after_s}"), "task": name, "at": at, **more}

    judged = {"verifier": CHECKS[-1], "version": "1"}
    opened = {"name": "contract-review", "action_version": "1", "path": "small, then large"}
    labels = {"customer": customer, "team": "legal"}
    events = [
        told("opened", 0, **opened, labels=labels),
        told("attempt_started", 1, attempt="first", number=1, rung="small"),
        told("judged", 20, **judged, judgement="fail", evidence={}, attempt_number=1),
        told("attempt_ended", 21, attempt="first", status="ok"),
        told("attempt_started", 22, attempt="second", number=2, rung="large"),
        *(
            told(
                "judged", 60 + at, verifier=one, version="1", judgement="pass", evidence=at, attempt_number=2
            )
            for at, one in enumerate(CHECKS)
        ),
        told("attempt_ended", 65, attempt="second", status="ok"),
        told("reworked", 90, minutes="4", rate="60.00", by_whom="kim"),
        told("signalled", 120, name="accepted", source="survey"),
        told("closed", 70),
    ]
    now = at_us + 200_000_000
    found = record(book, lake, events if is_done else events[:2], Teller("sdk"), now_us=now)
    assert not found.refused, found.refused
    task = str(task_id(None, name))
    quote = selling.quote(
        book,
        quote_id=UUID(id_of(f"quote {name}")),
        customer=customer,
        action="contract-review",
        action_version="1",
        price=parse_price("5.00"),
        at_us=at_us,
    )
    selling.hold(book, task_id=task, quote_id=UUID(quote.id), at_us=at_us + 500_000)
    if is_done:
        costs = Costs(work_nano=400_000_000 + number * 50_000_000)
        selling.settle(book, task_id=task, at_us=now, attempts=2, costs=costs)
