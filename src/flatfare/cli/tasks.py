"""``flatfare tasks``: each task with its outcome and cost, its whole story, and what is told of it."""

import json
import secrets

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Amount,
    Noun,
    book_of,
    changing,
    filter_of,
    format_options,
    lake_of,
    pass_settings,
    period_options,
    user_name,
)
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.core.identity import task_id, time_ordered
from flatfare.core.money import decimal_text, dollar_text, nano_of, parse_amount
from flatfare.service import clock
from flatfare.service.arriving import prices_of
from flatfare.service.reporting import listing, neighbours
from flatfare.service.tasks import telling
from flatfare.service.tasks.recording import Teller, mature, record

_FIELDS = (
    Field("task", "Task", align="left"),
    Field("name", "Action", align="left"),
    Field("path", "Path", align="left"),
    Field("opened_at", "Opened", align="left"),
    Field("state", "Outcome", align="left", is_strong=True),
    Field("cost", "Cost"),
    Field("calls", "Calls", gives_way=1),
    Field("attempts", "Attempts", gives_way=2),
    Field("settlement", "Settlement", align="left", gives_way=3),
)


@click.group(cls=Noun)
def tasks() -> None:
    """Tasks: units of work somebody wants done, whether they were done, and what they cost.

    Programs tell of tasks by the SDK or POST /api/events; here people look at them and have their say.
    """


@tasks.command("list")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only these, such as outcome=failed or team=search; values of one key are alternatives.",
)
@click.option(
    "--sort",
    type=click.Choice(sorted(listing.ORDERS)),
    default=listing.NEWEST,
    show_default=True,
    help="The newest first, or the dearest.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, listing.LIMIT_MAX),
    default=50,
    show_default=True,
    help="At most so many.",
)
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out so many first.")
@period_options
@format_options
@pass_settings
def list_tasks(
    settings: Settings,
    shape: str,
    since: int | None,
    until: int | None,
    filters: tuple[str, ...],
    sort: str,
    limit: int,
    offset: int,
) -> None:
    """List tasks, the newest or the dearest first."""
    with book_of(settings) as book:
        mature(book, lake_of(settings), now_us=clock.now_us())
        found = listing.listed(
            book,
            lake_of(settings),
            now_us=clock.now_us(),
            filters=[filter_of(text) for text in filters],
            since_us=since,
            until_us=until,
            sort=sort,
            limit=limit,
            offset=offset,
        )
    documents = [task.as_json(settings.currency) for task in found]
    is_narrowed = filters or since is not None or until is not None or offset
    nothing = (
        "No task is like that." if is_narrowed else "No tasks. How to tell of them: docs/guides/outcomes.md"
    )
    rows = [listing.csv_row(one) for one in documents] if shape == "csv" else [_row(task) for task in found]
    output.print_list(rows, _FIELDS, shape, nothing=nothing, documents=documents, columns=listing.CSV_COLUMNS)


@tasks.command()
@click.argument("task")
@format_options
@pass_settings
def show(settings: Settings, task: str, shape: str) -> None:
    """Tell TASK's whole story; TASK is its id, or its name as its source gave it."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        lake = lake_of(settings)
        mature(book, lake, now_us=now_us)
        found = telling.find(book, lake, task, now_us=now_us)
        document = telling.story(book, lake, found, now_us=now_us, currency=settings.currency)
        document = neighbours.told(book, lake, found, document, now_us=now_us)
    if shape != "table":
        output.print_document(document, shape)
    else:
        _print_story(document)


@tasks.command()
@click.argument("task")
@click.argument("judgement", type=click.Choice(["pass", "fail", "abstain"]))
@click.option("--evidence", required=True, metavar="TEXT", help="What you looked at; its hash is kept.")
@click.option("--as", "verifier", metavar="NAME", help="Who judges; you, if not given.")
@click.option("--version", default="1", show_default=True, help="The version of who judges.")
@click.option(
    "--kind",
    type=click.Choice(["human", "code", "model", "customer"]),
    default="human",
    show_default=True,
    help="Who judges: a person, a program, a model or the customer.",
)
@click.option("--attempt", "attempt_number", type=click.IntRange(1), help="Which attempt was looked at.")
@pass_settings
def judge(
    settings: Settings,
    task: str,
    judgement: str,
    evidence: str,
    verifier: str | None,
    version: str,
    kind: str,
    attempt_number: int | None,
) -> None:
    """Give a verdict on TASK."""
    said = {
        "verifier": verifier or user_name(),
        "version": version,
        "kind": kind,
        "judgement": judgement,
        "evidence": evidence,
    }
    if attempt_number is not None:
        said["attempt_number"] = attempt_number  # type: ignore[assignment]
    _tell(settings, "judged", task, said)


@tasks.command()
@click.argument("task")
@click.argument("name")
@click.option("--value", metavar="TEXT", help="Such as 2 for a CSAT of 2.")
@pass_settings
def signal(settings: Settings, task: str, name: str, value: str | None) -> None:
    """Say what the world said of TASK: accepted, reopened, csat, chargeback, refund, or another NAME."""
    _tell(settings, "signalled", task, {"name": name, **({"value": value} if value else {})})


@tasks.command()
@click.argument("task")
@click.argument("minutes")
@click.option(
    "--rate",
    "rate_nano",
    type=Amount(),
    metavar="AMOUNT",
    help="Dollars for an hour; the definition's rate if not given.",
)
@pass_settings
def rework(settings: Settings, task: str, minutes: str, rate_nano: int | None) -> None:
    """Say that people worked MINUTES on TASK afterwards."""
    given = {} if rate_nano is None else {"rate": decimal_text(rate_nano)}
    _tell(settings, "reworked", task, {"minutes": minutes, "by_whom": user_name(), **given})


@tasks.command()
@click.argument("task")
@click.option("--reason", metavar="TEXT", help="What is not right.")
@click.option("--resolved", is_flag=True, help="The dispute is over.")
@pass_settings
def dispute(settings: Settings, task: str, reason: str | None, resolved: bool) -> None:
    """Say that TASK's outcome is not right; the flag stands beside it until the dispute is resolved."""
    _tell(
        settings,
        "dispute_resolved" if resolved else "disputed",
        task,
        {"reason": reason} if reason else {},
    )


def _tell(settings: Settings, kind: str, task: str, said: dict[str, str]) -> None:
    """Record one event of a task that there is."""
    now_us = clock.now_us()
    with changing(settings) as book:
        lake = lake_of(settings)
        found = telling.find(book, lake, task, now_us=now_us)
        event_id = str(time_ordered(now_us, secrets.token_bytes(10)))
        name = task if str(task_id(None, task)) == found.id else found.id
        event = {"event": kind, "id": event_id, "task": name, "at": now_us, **said}
        done = record(book, lake, [event], Teller(user_name(), source="cli"), now_us=now_us)
        if done.refused:
            raise BadInput(done.refused[0].reason)
        now = telling.find(book, lake, found.id, now_us=now_us)
    dispute = ", disputed" if now.columns["is_disputed"] else ""
    output.say(f"{found.columns['external_id'] or found.id} is {now.columns['outcome']}{dispute}.")


def _row(task: listing.Listed) -> dict[str, object]:
    row = task.as_json()
    known = dollar_text(task.cost.known_nano)
    cost = f"≥ {known}" if task.cost.known_nano else None
    state = f"{_outcome(row)}{', disputed' if row['disputed'] else ''}"
    name = row["external_id"] or row["task"]
    return {**row, "task": name, "cost": cost if task.cost.lacks else known, "state": state}


def _outcome(told: dict[str, object]) -> str:
    """The outcome, and whether it may still turn."""
    if told["outcome"] == "open" or told["state"] != "open":
        return str(told["state"])
    return f"{told['outcome']} (window open)"


def _print_story(told: dict[str, object]) -> None:
    cost = told["cost"]
    assert isinstance(cost, dict)
    amount = dollar_text(nano_of(parse_amount(str(cost["at_least"]))[0]))
    output.say(f"{told['name']}  {told['external_id'] or ''}  {told['task']}")
    dispute = ", disputed" if told["disputed"] else ""
    output.say(
        f"  {_outcome(told)}{dispute}; settlement {told['settlement']}; path {told['path'] or output.MISSING}"
    )
    if cost["state"] == "unknown":
        amount = f"at least {amount}" if amount != "$0.00" else f"not known ({cost['reason']})"
    output.say(f"  cost {amount}, {told['calls_n'] or 0} calls")
    beside = told["neighbours"]
    if isinstance(beside, dict):
        output.say(f"  {beside['sentence']}")
    if told["labels"]:
        output.say(f"  labels {json.dumps(told['labels'], ensure_ascii=False)}")
    if told["missing"]:
        output.say(f"  waits for the word of {', '.join(_listed(told['missing']))}")
    for title, rows in (
        ("Moves", [f"{m['from']} → {m['to']}  {m['because']}" for m in _dicts(told["moves"])]),
        ("Attempts", [f"{a['number']}  {a['rung'] or ''}  {a['status']}" for a in _dicts(told["attempts"])]),
        ("Verdicts", [_verdict(verdict) for verdict in _dicts(told["verdicts"])]),
        ("Calls", [_call(call) for call in _dicts(told["calls"])]),
        ("Rework", [f"{r['minutes']} min  {r['by_whom'] or ''}" for r in _dicts(told["rework"])]),
    ):
        moments = [
            str(row.get("at") or row.get("time") or row.get("started_at"))
            for row in _dicts(told[title.lower()])
        ]
        if rows:
            output.say(f"\n{title}")
            for moment, row in zip(moments, rows, strict=True):
                output.say(f"  {moment}  {row}")
    if not told["chain_holds"]:
        output.say(
            "\nThe chain of its verdicts does not hold: something was changed. See: flatfare audit verify"
        )


def _verdict(said: dict[str, object]) -> str:
    score = f" ({said['score']})" if said["score"] is not None else ""
    who = f"{said['verifier']} {said['version']} [{said['kind']}]"
    not_heard = "" if said["counts"] else "  does not count: not from the review queue"
    return f"{said['judgement']}{score}  {who}  evidence {str(said['evidence_hash'])[:12]}{not_heard}"


def _call(call: dict[str, object]) -> str:
    cost = call["cost"]
    assert isinstance(cost, dict)
    return (
        f"{call['status']}  {call['provider']}/{call['model']}  {call['input_tokens']} in "
        f"{call['output_tokens']} out  {cost['amount'] or output.MISSING}  {call['purpose']}"
        f"{_prices(call)}"
    )


def _prices(call: dict[str, object]) -> str:
    """By which prices, for who asks why it costs that."""
    prices = prices_of(call)
    return "" if prices is None else f"  prices {prices}"


def _dicts(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def _listed(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(one) for one in value]
