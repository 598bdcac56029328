"""``flatfare import``: calls, tasks, verdicts and leaderboards from CSV, JSON Lines and Parquet."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast

import click

from flatfare.cli import output
from flatfare.cli.options import Amount, Moment, changing, lake_of, pass_settings, user_name
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage, FlatfareError
from flatfare.core.moments import iso, parse_moment
from flatfare.service import clock
from flatfare.service.buying.statements import check_vendor, import_bought
from flatfare.service.buying.vendors import vendor_of
from flatfare.service.importing.events import drain, import_events, key_told
from flatfare.service.importing.order import ExchangeRate, Imported, Order
from flatfare.service.importing.previewing import preview
from flatfare.service.importing.results import TOOLS, check_fixed, import_results
from flatfare.service.importing.run import Stores, import_file
from flatfare.service.importing.sources import STDIN, named_files, opened
from flatfare.service.importing.watching import OnProgress
from flatfare.service.tasks.recording import Teller
from flatfare.store import gathering
from flatfare.store.book import Book
from flatfare_sdk.settings import settings as spool_settings

_Given = dict[str, object]


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What every kind of import takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("files", nargs=-1, required=True, metavar="FILE…")(command)


_OPTIONS = (
    click.option("--map", "maps", multiple=True, metavar="OURS=THEIRS",
        help="Which column is which field; several make one key: task=run+task_id."),
    click.option("--set", "fixed", multiple=True, metavar="OURS=VALUE",
        help="One value for every row, such as label.domain=retail or cached=outside."),
    click.option("--value", "values", multiple=True, metavar="OURS:THEIRS=OURS",
        help="What a word of theirs means, such as outcome:solved=verified."),
    click.option("--source", metavar="NAME",
        help="A name for where this comes from; ids are unique within it."),
    click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="Leave a column out."),
    click.option("--keep-unknown", is_flag=True, help="Keep columns that are not recognised as labels."),
    click.option("--pass-at", metavar="NUMBER",
        help="From which score on a result is a pass (1 if not given)."),
    click.option("--at", "at_us", type=Moment(), metavar="TIME", help="The time of rows that name none."),
    click.option("--verifier", metavar="NAME", help="Who judged, where no column says so."),
    click.option("--verifier-kind", type=click.Choice(["code", "model", "human", "customer", "signal"]),
        help="What kind of verifier that is, where no column says so."),
    click.option("--rework-rate", type=Amount(), metavar="AMOUNT",
        help="What an hour of a person's rework costs."),
    click.option("--exchange", multiple=True, metavar="CUR=RATE@DATE",
        help="What one of a currency is worth in dollars, such as EUR=1.08@2026-11-01."),
    click.option("--zero-is-free", is_flag=True, help="A cost of 0 means free, not unrecorded."),
    click.option("--decimal-comma/--decimal-point", default=None, help="How the file writes numbers."),
    click.option("--encoding", metavar="NAME", help="The file's encoding, where it is not UTF-8."),
    click.option("--time-format", metavar="FORMAT",
        help="How times are written that are not ISO 8601, such as %m/%d/%Y."),
    click.option("--update", is_flag=True,
        help="Take rows that were imported before with other content as corrections."),
    click.option("--rejects", metavar="PATH", help="Where rejected rows go; beside the file if not given."),
    click.option("--url", metavar="URL", help="Where the data were published, kept with them."),
    click.option("--licence", metavar="NAME", help="The data's licence, kept with them."),
    click.option("--dry-run", is_flag=True, help="Show how the file would be read; import nothing."),
    click.option("--json", "is_json", is_flag=True, help="Print JSON."),
)  # fmt: skip


_ALSO = {
    **dict.fromkeys(("inspect-ai", "inspect_ai", "inspect-logs"), "inspect"),
    **dict.fromkeys(("tau2", "tau-bench", "tau2-bench", "simulations"), "tau"),
    **dict.fromkeys(("swebench", "swe_bench"), "swe-bench"),
    "junit-xml": "junit",
    "bought-outcomes": "bought",
}
"""Other names that people try for a kind."""


class _Kinds(click.Group):
    """The kinds of import, by any of their names."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALSO.get(cmd_name, cmd_name))


@click.group(cls=_Kinds)
def import_() -> None:
    """Import calls, tasks, verdicts or leaderboards from CSV, JSON Lines or Parquet.

    Columns are recognised by their usual names. Results of other tools (Inspect
    AI, tau-bench, SWE-bench, JUnit) and statements of vendors have kinds of
    their own. Importing twice adds nothing.
    """


@import_.command()
@_options
@pass_settings
def calls(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """One row a request to a model: time, model, tokens, cost."""
    _run(settings, "calls", files, given)


@import_.command()
@_options
@pass_settings
def tasks(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """One row a task: path, labels, outcome, and its cost if that is all there is."""
    _run(settings, "tasks", files, given)


@import_.command()
@_options
@pass_settings
def verdicts(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """One row a verdict: task, verifier, result, time."""
    _run(settings, "verdicts", files, given)


@import_.command()
@_options
@pass_settings
def leaderboard(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """One row a published result: benchmark, path, n, successes or rate, cost."""
    _run(settings, "leaderboard", files, given)


@import_.command()
@click.option("--scorer", "scorers", multiple=True, metavar="NAME", help="Only this scorer judges.")
@_options
@pass_settings
def inspect(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """Evaluation logs of Inspect AI (.eval, .json): samples, model events, scores."""
    scorers = cast(tuple[str, ...], given.pop("scorers"))
    _run(settings, "inspect", files, given, {"scorer": ",".join(scorers)} if scorers else {})


@import_.command()
@_options
@pass_settings
def tau(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """Simulations of tau-bench, tau2-bench and their kin: rewards, costs, messages."""
    _run(settings, "tau", files, given)


@import_.command("swe-bench")
@click.option("--predictions", metavar="FILE", help="The predictions: who made the patches, who was tried.")
@click.option("--harness", metavar="VERSION", help="The version of the harness that ran the tests.")
@_options
@pass_settings
def swe_bench(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """Reports of SWE-bench style evaluations, and trajectories with their cost."""
    asked = {name: given.pop(name) for name in ("predictions", "harness")}
    _run(settings, "swe-bench", files, given, {name: str(value) for name, value in asked.items() if value})


@import_.command()
@click.option(
    "--each", type=click.Choice(["case", "suite"]), default="case", show_default=True, help="What is a task."
)
@_options
@pass_settings
def junit(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """JUnit reports: each test case a task, or each suite."""
    _run(settings, "junit", files, given, {"each": str(given.pop("each"))})


@import_.command()
@click.option(
    "--vendor", required=True, metavar="NAME", help="Who billed: intercom-fin, zendesk, salesforce …"
)
@click.option(
    "--tickets", metavar="FILE", help="Your own tickets: conversation, closed, reopened, handed off, csat."
)
@click.option(
    "--ticket-map",
    "ticket_maps",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Which column of the tickets is which field.",
)
@_options
@pass_settings
def bought(settings: Settings, /, files: tuple[str, ...], **given: object) -> None:
    """A vendor's statement: one row a unit it billed, matched to tickets."""
    vendor = vendor_of(check_vendor(_text(given.pop("vendor"))))
    tickets = _text(given.pop("tickets"))
    ticket_maps = _pairs(given.pop("ticket_maps"), "--ticket-map", "reopened=times_reopened")
    order = _order("bought", given)
    check_fixed(order)
    if given["dry_run"]:
        raise BadUsage(
            "Found --dry-run: a statement is read whole. To try it, import it into a book of its own: "
            "--database sqlite:///try.db --lake ./try-lake"
        )
    rejects = _text(given["rejects"])

    def bring(stores: Stores, names: Sequence[str], on_progress: OnProgress) -> Imported:
        return import_bought(
            stores,
            names[0],
            order,
            vendor,
            clock.now_us(),
            tickets=tickets,
            ticket_maps=ticket_maps,
            rejects=rejects,
            on_progress=on_progress,
            on_wait=_say_who_writes,
        )

    bring_each(settings, ([name] for name in named_files(files)), bring, is_json=bool(given["is_json"]))


@import_.command()
@click.argument("files", nargs=-1, metavar="[FILE…]")
@click.option("--key", metavar="NAME", help="Whose key told them; the one in FLATFARE_KEY if not given.")
@click.option("--rejects", metavar="PATH", help="Where refused events go; beside the file if not given.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def events(
    settings: Settings, /, files: tuple[str, ...], key: str | None, rejects: str | None, is_json: bool
) -> None:
    """What programs recorded by the SDK while no server could be reached.

    Without a file, this user's spool for FLATFARE_URL and FLATFARE_KEY is drained: what has been
    recorded is taken away. So is a folder that is named; a file is read and stays. Each event is
    recorded once, by its id.
    """
    names = named_files(files) if files else [spool_settings(os.environ).folder]

    def bring(stores: Stores, names: Sequence[str], on_progress: OnProgress) -> Imported:
        name, teller, now_us = names[0], _teller(stores.book, key), clock.now_us()
        if not files or Path(name).is_dir():
            return drain(stores, name, teller, now_us, rejects=rejects)
        return import_events(stores, name, Path(name), teller, now_us, rejects=rejects)

    bring_each(settings, ([name] for name in names), bring, is_json=is_json)


def _teller(book: Book, name: str | None) -> Teller:
    """Who told: the key by that name, the one in the environment, or this user without one."""
    secret = os.environ.get("FLATFARE_KEY", "").strip()
    if name is None and not secret:
        return Teller(user_name())
    found = key_told(book, name, secret)
    if found is None:
        said = f"named {name!r}" if name else "of FLATFARE_KEY"
        raise BadUsage(f"The book has no key {said}: name one of flatfare keys list with --key.")
    return found


def _run(
    settings: Settings,
    kind: str,
    files: tuple[str, ...],
    given: _Given,
    choices: Mapping[str, str] | None = None,
) -> None:
    order = replace(_order(kind, given), choices=choices or {})
    names = named_files(files)
    if kind in TOOLS:
        _run_results(settings, names, order, given)
        return
    if given["dry_run"]:
        _preview(names, order, is_json=bool(given["is_json"]))
        return
    readable, failures = _looked_at(names)
    if not readable:
        raise click.exceptions.Exit(1)
    rejects = _text(given["rejects"])

    def bring(stores: Stores, names: Sequence[str], on_progress: OnProgress) -> Imported:
        now_us = clock.now_us()
        return import_file(
            stores, names[0], order, now_us, rejects=rejects, on_progress=on_progress, on_wait=_say_who_writes
        )

    bring_each(
        settings, ([name] for name in readable), bring, is_json=bool(given["is_json"]), failures=failures
    )


def _run_results(settings: Settings, names: list[str], order: Order, given: _Given) -> None:
    """Import another tool's results; small files that are many come in together."""
    if order.maps or given["dry_run"]:
        what = "--map" if order.maps else "--dry-run"
        raise BadUsage(f"Found {what}: results of {order.kind} have one shape, and no columns to look at.")
    check_fixed(order)
    rejects = _text(given["rejects"])

    def bring(stores: Stores, names: Sequence[str], on_progress: OnProgress) -> Imported:
        now_us = clock.now_us()
        return import_results(
            stores, names, order, now_us, rejects=rejects, on_progress=on_progress, on_wait=_say_who_writes
        )

    groups = [names] if TOOLS[order.kind].is_together else [[name] for name in names]
    bring_each(settings, groups, bring, is_json=bool(given["is_json"]))


def bring_each(
    settings: Settings,
    groups: Iterable[Sequence[str]],
    bring: Callable[[Stores, Sequence[str], OnProgress], Imported],
    *,
    is_json: bool,
    failures: int = 0,
) -> None:
    """Bring files in, group by group, and say what came of each.

    One that cannot be read keeps no other out. Exits 1 where there was one, or where rows were rejected.
    """
    results = []
    with changing(settings, create=True) as book:
        stores = Stores(book, lake_of(settings), settings)
        for names in groups:
            try:
                with output.progress(f"Importing {names[0]}") as on_progress:
                    results.append(bring(stores, names, on_progress))
            except BadUsage:
                raise
            except FlatfareError as problem:
                output.complain(str(problem))
                failures += 1
        _gather(stores)
    _tell(results, is_json=is_json)
    if failures or any(result.rejected for result in results):
        raise click.exceptions.Exit(1)


def _say_who_writes(holder: str) -> None:
    output.note(f"Waiting for {holder}, which is writing to the lake …")


def _gather(stores: Stores) -> None:
    """Many imports are many small files: once there are enough of them, they are read as one."""
    try:
        gathering.gather(stores.book, stores.lake, clock.now_us(), on_wait=_say_who_writes)
    except FlatfareError as problem:
        output.note(f"What was imported stands; small files of the lake are read one by one: {problem}")


def _preview(names: list[str], order: Order, *, is_json: bool) -> None:
    """Show how each file would be read."""
    shown = [preview(name, order) for name in names]
    if is_json:
        output.print_json([asdict(one) for one in shown])
        return
    for one in shown:
        rows = [{"field": ours, "from": theirs} for ours, theirs in one.fields.items()]
        output.print_table(rows, (Field("field", "field", "left"), Field("from", "column", "left")), one.file)
        if one.unused:
            output.note(f"Not read: {', '.join(one.unused)}.")
        for text in one.notes:
            output.note(text)
        for number, row in enumerate(one.rows, start=1):
            output.say(f"row {number}: " + ", ".join(f"{key}={value}" for key, value in row.items() if value))
    output.note("A dry run: nothing was imported.")


def _looked_at(names: list[str]) -> tuple[list[str], int]:
    """The files that are files of rows, and how many are not: before a book is made for nothing."""
    readable = []
    for name in names:
        try:
            if name != STDIN:
                opened(name, Path())
            readable.append(name)
        except FlatfareError as problem:
            output.complain(str(problem))
    return readable, len(names) - len(readable)


def _tell(results: Sequence[Imported], *, is_json: bool) -> None:
    """Say what came of each file: counts on stdout, notes and reasons on stderr."""
    for result in results:
        for text in result.notes:
            output.note(f"{result.file}: {text}")
        for reason in result.first_reasons:
            output.note(f"{result.file}: rejected: {reason}")
    if is_json:
        output.print_json([_as_json(result) for result in results])
        return
    for result in results:
        output.say(_sentence(result))


def _sentence(result: Imported) -> str:
    if result.already_at_us is not None:
        return f"{result.file}: already imported on {iso(result.already_at_us)}: nothing to do."
    what = "conversations read" if result.kind == "bought" else "read"
    parts = [f"{result.read:,} {what}", f"{result.new:,} new"]
    if result.updated:
        parts.append(f"{result.updated:,} updated")
    parts += [f"{result.known:,} known", f"{result.rejected:,} rejected"]
    more = {"new lines" if name == "lines" else name: count for name, count in result.more.items()}
    parts += [f"{count:,} {name}" for name, count in more.items() if count]
    end = f"; see {result.rejects_file}" if result.rejects_file else ""
    return f"{result.file}: {', '.join(parts)}{end}."


def _as_json(result: Imported) -> dict[str, object]:
    already = result.already_at_us
    return {
        "file": result.file,
        "kind": result.kind,
        "read": result.read,
        "new": result.new,
        "updated": result.updated,
        "known": result.known,
        "rejected": result.rejected,
        **result.more,
        "rejects_file": result.rejects_file,
        "already_imported_at": iso(already),
        "notes": list(result.notes),
    }


def _order(kind: str, given: _Given) -> Order:
    fixed = _pairs(given["fixed"], "--set", "label.domain=retail")
    source = fixed.pop("source", None) or given["source"] or "import"
    pass_at, rework = given["pass_at"], given["rework_rate"]
    at_us = given["at_us"]
    return Order(
        kind=kind,
        source=str(source),
        maps=_pairs(given["maps"], "--map", "task=instance_id"),
        fixed=fixed,
        values=_values(given["values"]),
        ignored=tuple(cast(Iterable[str], given["ignored"])),
        pass_at=None if pass_at is None else _decimal(str(pass_at), "--pass-at"),
        at_us=at_us if isinstance(at_us, int) else None,
        verifier=_text(given["verifier"]),
        verifier_kind=_text(given["verifier_kind"]),
        encoding=_text(given["encoding"]),
        time_format=_text(given["time_format"]),
        rework_nano_per_hour=cast(int | None, rework),
        exchange=dict(map(_exchange, cast(Iterable[str], given["exchange"]))),
        zero_is_free=bool(given["zero_is_free"]),
        keep_unknown=bool(given["keep_unknown"]),
        decimal_comma=cast(bool | None, given["decimal_comma"]),
        update=bool(given["update"]),
        url=_text(given["url"]),
        licence=_text(given["licence"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _pairs(given: object, option: str, example: str) -> dict[str, str]:
    pairs = {}
    for text in cast(Iterable[str], given):
        ours, equals, value = text.partition("=")
        if not equals or not ours.strip():
            raise BadUsage(f"Found {option} {text}: write it like {option} {example}.")
        pairs[ours.strip()] = value.strip()
    return pairs


def _values(given: object) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {}
    for text in cast(Iterable[str], given):
        left, equals, ours = text.rpartition("=")
        name, colon, theirs = left.partition(":")
        if not equals or not colon:
            raise BadUsage(f"Found --value {text}: write it like --value outcome:solved=verified.")
        values.setdefault(name.strip(), {})[theirs.strip()] = ours.strip()
    return values


def _decimal(text: str, option: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadUsage(f"Found {option} {text}: write a number like 0.9.")
    return number


def _exchange(text: str) -> tuple[str, ExchangeRate]:
    currency, _, rest = text.partition("=")
    rate, _, day = rest.partition("@")
    if len(currency) != 3 or not rate or not day:
        raise BadUsage(f"Found --exchange {text}: write it like --exchange EUR=1.08@2026-11-01.")
    try:
        parse_moment(day)
    except BadInput as problem:
        raise BadUsage(str(problem)) from problem
    number = _decimal(rate, "--exchange")
    if number <= 0:
        raise BadUsage(f"Found --exchange {text}: a rate is above 0.")
    return currency.upper(), ExchangeRate(number, day)
