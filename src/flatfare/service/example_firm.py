"""An invented firm's last two months, for the demo's dashboard: teams, budgets, customers, reviews.

Every figure is made up by a fixed rule and comes in by the ways that everybody's own data do; its
source says that it is invented, so that it is never taken for somebody's.
"""

import json
import random
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from flatfare.core.action_price import parse_price
from flatfare.core.budget import Allowance, Budget, Scope, Window
from flatfare.core.checks.submission import Submission
from flatfare.core.identity import task_id
from flatfare.core.moments import DAY_US, MICROSECONDS, iso
from flatfare.core.sale import Costs
from flatfare.service import selling
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.budgets import budgeting
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.service.reporting import report
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import budgets

SOURCE = "example firm (invented)"
BY_WHOM = "example firm"
DAYS, TASKS_A_DAY = 62, 18
NANO = 1_000_000_000

_PATHS = (
    # path, model, provider, how often verified, calls a task, how often it is taken
    ("small first", "gpt-5-mini", "openai", 0.72, 3, 6),
    ("large alone", "claude-sonnet-4-5", "anthropic", 0.92, 2, 5),
    ("small, then large", "gpt-5", "openai", 0.89, 3, 7),
    ("deep thought", "gemini-2.5-pro", "gemini", 0.95, 4, 2),
    ("agents in a circle", "claude-opus-4-5", "anthropic", 0.41, 7, 2),
)
_TEAMS = (("search", 5), ("support", 4), ("legal", 2))
_CUSTOMERS = (("acme", 6), ("borealis", 4), ("cumulus", 2))
SOLD, CHECKS = "contract-review", ("quotations-stand", "no-promises")
"""What the firm sells, and who verifies it."""

_ACTIONS = ("resolve-ticket", "answer-question", "review-contract")

Row = dict[str, object]


def found(stores: Stores, now_us: int) -> None:
    """Enter the firm into the book."""
    tasks = list(_tasks(now_us))
    calls = [call for task in tasks for call in _calls(task)]
    for task in tasks:
        task.pop("how")
    with tempfile.TemporaryDirectory(prefix="flatfare-") as folder:
        for kind, rows in (("tasks", tasks), ("calls", calls)):
            file = Path(folder) / f"{kind}.jsonl"
            file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
            import_file(stores, str(file), Order(kind, SOURCE, verifier="example checks"), now_us)
    _agree(stores, now_us)
    _sell(stores, now_us)
    _ask(stores, now_us)


def _tasks(now_us: int) -> Iterator[Row]:
    chance = random.Random(11)
    for number in range(DAYS * TASKS_A_DAY):
        opened = now_us - DAYS * DAY_US + number * DAY_US // TASKS_A_DAY
        how = chance.choices(_PATHS, [path[5] for path in _PATHS])[0]
        is_old = now_us - opened > DAY_US // 2
        is_done = chance.random() < how[3]
        yield {
            "task": f"{number:05d}",
            "name": chance.choice(_ACTIONS),
            "path": how[0],
            "team": _picked(chance, _TEAMS),
            "customer": _picked(chance, _CUSTOMERS),
            "opened_at": iso(opened),
            "closed_at": iso(opened + 60 * MICROSECONDS),
            "matures_at": iso(opened + DAY_US // 2),
            "outcome": ("verified" if is_done else "failed") if is_old else "open",
            "how": (how, 66 if number == DAYS * TASKS_A_DAY - 40 else 1, opened, chance.randrange(1 << 30)),
        }


def _picked(chance: random.Random, of: Iterable[tuple[str, int]]) -> str:
    names = list(of)
    return chance.choices([name for name, _ in names], [weight for _, weight in names])[0]


def _calls(task: Row) -> Iterator[Row]:
    """What the task's path called; once somebody's agents did not find out of their circle."""
    how = task["how"]
    assert isinstance(how, tuple)
    (_, model, provider, _, calls, _), times, opened, seed = how
    chance = random.Random(seed)
    at = opened
    for number in range(max(1, calls + chance.randrange(-1, 2)) * times):
        took_ms = chance.randrange(600, 9000)
        yield {
            "call": f"{task['task']}.{number}",
            "task": task["task"],
            "at": iso(at),
            "provider": provider,
            "model": model if chance.random() > 0.003 else "in-house-7b",  # which nobody has a price for
            "prompt_tokens": chance.randrange(900, 14_000),
            "completion_tokens": chance.randrange(60, 1900),
            "status": "failed" if chance.random() < 0.02 else "ok",
            "purpose": "verification" if chance.random() < 0.12 else "work",
            "duration_ms": took_ms,
            "team": task["team"],
            "customer": task["customer"],
        }
        at += took_ms * 1000


def _agree(stores: Stores, now_us: int) -> None:
    """Keys, and budgets of which one is used up and one will not last."""
    book, since_us = stores.book, now_us - 50 * DAY_US
    for team, _ in _TEAMS:
        issuing.create(book, Terms(f"{team}-service", labels={"team": team}), at_us=since_us, by_whom=BY_WHOM)
    window = Window.of("month")
    begins, ends = window.span(now_us)
    spent = _spent_by_team(stores, begins, now_us)
    for team, part in (("search", 1.12), ("support", 2.6), ("legal", 0.93)):
        nano = max(spent.get(team, 0), NANO)
        limit = max(NANO, int(nano * part) // NANO * NANO)
        wanted = Budget("", f"{team} team", Scope.of(f"team={team}"), limit, window, is_hard=team != "legal")
        made = budgeting.create(book, wanted, at_us=since_us, by_whom=BY_WHOM)
        with book.writing():
            allowance = Allowance(made.id, team, begins)
            budgets.book_spend(book, allowance, ends, None, spent.get(team, 0))


def _spent_by_team(stores: Stores, since_us: int, now_us: int) -> Mapping[str, int]:
    answer = report(
        stores.book,
        stores.lake,
        now_us=now_us,
        by=("team",),
        since_us=since_us,
        filters=[("source", SOURCE)],
    )
    return {str(row.keys[0]): row.figures.spend_nano for row in answer.rows if row.keys[0]}


def _sell(stores: Stores, now_us: int) -> None:
    """One customer who pays in advance and one who is billed, and what they bought this month."""
    book = stores.book
    action = read_file(Path(str(files("flatfare").joinpath("data", "demo", f"{SOLD}.yaml"))))
    publishing.publish(book, action, at_us=now_us - 51 * DAY_US, by_whom=BY_WHOM)
    selling.customers.create(book, name="acme", terms="invoice", at_us=now_us - 50 * DAY_US, by_whom=BY_WHOM)
    selling.customers.create(book, name="borealis", at_us=now_us - 50 * DAY_US, by_whom=BY_WHOM)
    selling.top_up_wallet(
        book,
        entry_id=_id("top-up"),
        customer="borealis",
        amount_nano=40 * NANO,
        currency="USD",
        at_us=now_us - 45 * DAY_US,
        by_whom=BY_WHOM,
    )
    begins = min(Window.of("month").span(now_us)[0], now_us - DAY_US // 24)
    for number in range(9):
        at_us = begins + (now_us - begins) * (number + 1) // 11
        _sale(stores, number, "borealis" if number % 3 == 0 else "acme", at_us, now_us)


def _sale(stores: Stores, number: int, customer: str, at_us: int, now_us: int) -> None:
    book, name = stores.book, f"contract-{number + 1}"

    def told(what: str, after_s: int, **more: object) -> Row:
        at = at_us + after_s * MICROSECONDS
        return {"event": what, "id": str(_id(f"{name} {what} {after_s}")), "task": name, "at": at, **more}

    labels = {"team": "legal", "customer": customer}
    opened = {"name": SOLD, "action_version": "1", "path": "small, then large", "labels": labels}
    verdict = {"version": "1", "judgement": "pass", "evidence": number}
    events = [
        told("opened", 0, **opened),
        *(told("judged", 39 + at, verifier=one, **verdict) for at, one in enumerate(CHECKS)),
        told("closed", 41),
    ]
    record(book, stores.lake, events, Teller(BY_WHOM, SOURCE), now_us=now_us)
    task = str(task_id(None, name))
    quote = selling.quote(
        book,
        quote_id=_id(f"{name} quote"),
        customer=customer,
        action=SOLD,
        action_version="1",
        price=parse_price("5.00"),
        at_us=at_us,
    )
    selling.hold(book, task_id=task, quote_id=uuid.UUID(quote.id), at_us=at_us)
    costs = Costs(work_nano=310_000_000 + 35_000_000 * number)
    selling.settle(book, task_id=task, at_us=at_us + 42 * MICROSECONDS, costs=costs)


def _ask(stores: Stores, now_us: int) -> None:
    """Work that waits for somebody's judgement."""
    for number in range(3):
        wanted = Wanted(
            str(task_id(None, f"contract-{number + 1}")),
            submission=Submission(
                output=f'Clause {number + 4} is risky: "The supplier may change prices at any time."',
                input="Review this contract for the buyer, and quote each risky clause.",
            ),
            name=SOLD,
            question="Is every risky clause named, and does every quotation stand in the contract?",
        )
        reviewing.enqueue(stores.book, wanted, at_us=now_us - DAY_US, asked_by=BY_WHOM)


def _id(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"flatfare example firm {name}")
