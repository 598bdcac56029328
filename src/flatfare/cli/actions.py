"""``flatfare actions``: work sold at a fixed price, carried out, verified, and paid when it is."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click

from flatfare.cli import bulk_runs, output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core.action import Action
from flatfare.core.checks.submission import Json, NotJson, read_json
from flatfare.core.currency import dollars, parse_in, payable_text
from flatfare.core.errors import BadInput, BadUsage, FlatfareError
from flatfare.core.moments import iso
from flatfare.core.money import dollar_text
from flatfare.runner import bulk as bulk_work
from flatfare.runner import judging, recovering, trying
from flatfare.runner.books import Shelf
from flatfare.runner.checking import check as checked
from flatfare.runner.inputs import File
from flatfare.runner.running import Order, running
from flatfare.service import clock
from flatfare.service.actions import advising, documents, publishing, receipts
from flatfare.service.actions.reading import read_file
from flatfare.service.invoicing.periods import moment_in
from flatfare.store import runs as kept_runs
from flatfare.store.lake import Lake


@click.group(cls=Noun)
def actions() -> None:
    """Actions: kinds of work with a fixed price, paid only when they are verified."""


@actions.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@format_options
@pass_settings
def check(settings: Settings, files: tuple[Path, ...], shape: str) -> None:
    """Say everything that is wrong with action files, with file and line. Ends with 1 if anything is."""
    problems: list[str] = []
    warnings: list[str] = []
    for file in files:
        try:
            found = checked(read_file(file), settings, str(file))
        except BadInput as problem:
            problems += str(problem).split("\n")
        else:
            problems += found.problems
            warnings += found.warnings
    if shape != "table":
        output.print_document({"problems": problems, "warnings": warnings}, shape)
    else:
        for text in problems:
            output.say(text)
        for text in warnings:
            output.note(f"{text} (a warning)")
        if not problems:
            output.note(f"{len(files)} {'file' if len(files) == 1 else 'files'} can be published.")
    sys.exit(1 if problems else 0)


@actions.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from", "from_", metavar="TIME", help="It holds from then on, such as 2027-01-01; at once if not said."
)
@click.option("--reason", help="Why, for the record.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def publish(settings: Settings, file: Path, from_: str | None, reason: str | None, is_json: bool) -> None:
    """Publish an action: from now on, or a day to come, it is what is sold. This version never changes."""
    action = read_file(file)
    found = checked(action, settings, str(file))
    for text in found.warnings:
        output.note(f"{text} (a warning)")
    if found.problems:
        raise BadInput("\n".join(found.problems))
    with book_of(settings, create=True) as book:
        made = publishing.publish(
            book,
            action,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
            from_us=None if from_ is None else moment_in(from_, settings.time_zone),
        )
    if is_json:
        output.print_json(documents.published_document(made))
    else:
        output.say(
            f"{action.name} version {action.version} is published: {documents.price_words(action.price)}"
            + (f", from {iso(made.begins_us)} on." if made.is_to_come(clock.now_us()) else ".")
        )


@actions.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the actions that are published."""
    with book_of(settings, create=True) as book:
        rows = documents.catalogue(publishing.listed(book), clock.now_us())
    keys = ("name", "version", "price", "path", "description")
    fields = [output.Field(key, key, "left", is_strong=key == "name") for key in keys]
    output.print_list(
        rows, fields, shape, nothing="No action is published yet: flatfare actions publish FILE"
    )
    for row in rows if shape == "table" else ():
        to_come = row["to_come"]
        assert isinstance(to_come, list)
        for one in to_come:
            output.say(
                f"{row['name']} version {one['version']}: {one['price']}, from {one['valid_from']} on."
            )


@actions.command()
@click.argument("name")
@click.option("--version", type=int, help="Which version; the one that is sold now if not said.")
@format_options
@pass_settings
def show(settings: Settings, name: str, version: int | None, shape: str) -> None:
    """Show a published action: its file, as it was published."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        found = publishing.shown(book, name, version, at_us=now_us)
    if shape != "table":
        output.print_document(documents.published_document(found), shape)
        return
    output.say(found.action.source.rstrip("\n"))
    output.note(f"Published by {found.by_whom} at {iso(found.at_us)}, hash {found.hash[:16]}.")
    if found.is_to_come(now_us):
        output.note(f"It is to come: it holds from {iso(found.begins_us)} on.")


@actions.command()
@click.argument("former")
@click.argument("new")
@format_options
@pass_settings
def diff(settings: Settings, former: str, new: str, shape: str) -> None:
    """Say what changed between two actions: each a file, NAME, or NAME:VERSION."""
    lines = documents.differences(_named(settings, former), _named(settings, new))
    if shape != "table":
        output.print_documents([{"difference": line} for line in lines], shape)
        return
    for line in lines:
        output.say(line)
    if not lines:
        output.note("Nothing that decides anything differs.")


def _named(settings: Settings, text: str) -> Action:
    if Path(text).is_file():
        return read_file(Path(text))
    name, _, version = text.partition(":")
    if version and not version.isdigit():
        raise BadUsage(f"Found {text!r}: write a file, NAME or NAME:VERSION.")
    with book_of(settings) as book:
        return publishing.published(book, name, int(version) if version else None).action


@actions.command()
@click.argument("name")
@click.option(
    "--input", "given", metavar="FILE|JSON", help="The input: JSON, a file of JSON, or the one file it takes."
)
@click.option("--file", "files", multiple=True, metavar="PROPERTY=FILE", help="A file of the input.")
@click.option("--customer", help="Who pays; without one no money moves.")
@click.option("--id", "key", help="Your own id of this run: the same again is the same run.")
@click.option("--version", type=int, help="Which version; the one that is sold now if not said.")
@click.option(
    "--bulk", type=click.Path(exists=True, path_type=Path), help="A CSV, lines of JSON, or a folder."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where results of --bulk go, a line of JSON each."
)
@click.option("--rejects", type=click.Path(path_type=Path), help="Where rows go that are no input.")
@click.option(
    "--batch", is_flag=True, help="With --bulk: ask models in their providers' batches, at batch prices."
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 50_000),
    help="Rows at a time: 8, at most 200; with --batch 5,000, at most 50,000.",
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON: the run with its receipt.")
@pass_settings
def run(
    settings: Settings,
    name: str,
    given: str | None,
    files: tuple[str, ...],
    customer: str | None,
    key: str | None,
    version: int | None,
    bulk: Path | None,
    out: Path | None,
    rejects: Path | None,
    batch: bool,
    parallel: int | None,
    is_json: bool,
) -> None:
    """Carry out an action. Ends with 0 where it is verified and 1 where it is not.

    Its model calls go through the gateway that runs, or through one of its own while it lasts.
    With --batch they cost half as much and may take a day; stopped, the same command goes on.
    """
    with book_of(settings, create=True) as book:
        action = publishing.valid(book, name, version, at_us=clock.now_us()).action
    if bulk is not None:
        job = bulk_runs.job_of(action, out, rejects, customer, key, parallel, is_batch=batch)
        bulk_runs.carry_out(settings, job, bulk, is_batch=batch, is_json=is_json)
        return
    if batch:
        raise BadUsage("--batch is for many rows: say which with --bulk FILE.")
    values, found = _input(action, given, files)
    order = Order(name, values, found, customer, key, version)
    document = asyncio.run(_run_one(settings, order))
    if is_json:
        output.print_json(document)
    else:
        _print_run(document)
    sys.exit(0 if document["ending"] == "verified" else 1)


async def _run_one(settings: Settings, order: Order) -> dict[str, object]:
    async with running(settings) as runner:
        result = await runner.run(order)
        await runner.handed_over(result.run)
        if runner.gate.book is not None:
            await runner.gate.book()
            await runner.books.do(_book_costs)
        return await runner.books.do(_document, result.run.id, result.output, result.reasons)


def _book_costs(shelf: Shelf) -> None:
    judging.book_open_costs(shelf, clock.now_us())


def _document(shelf: Shelf, run_id: str, text: str | None, reasons: tuple[str, ...]) -> dict[str, object]:
    found = receipts.run_of(shelf.book, run_id)
    return receipts.document_of(
        shelf.book, shelf.lake, found, for_operator=True, output=text, reasons=reasons
    )


def _print_run(document: Mapping[str, object]) -> None:
    """The output on stdout, how it went on stderr."""
    found = document["output"]
    if found is not None:
        output.say(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=2))
    receipt = document["receipt"]
    output.note(
        f"{document['action']} version {document['version']}: {document['ending']}, run {document['id']}"
    )
    reasons = document["reasons"]
    for reason in reasons if isinstance(reasons, list) else []:
        if document["ending"] != "verified":
            output.note(f"  {reason}")
    if isinstance(receipt, dict):
        for line in _receipt_lines(receipt):
            output.note(line)


def _receipt_lines(receipt: Mapping[str, object]) -> list[str]:
    billed, operator = receipt["billed"], receipt.get("operator")
    assert isinstance(billed, dict)
    currency = str(billed["currency"])
    amount = payable_text(parse_in(str(billed["amount"]), currency), currency)
    lines = [f"  billed {amount} {currency} ({receipt['settlement']})"]
    verdicts = receipt["verdicts"]
    lines += [
        f"  attempt {said['attempt']}: {said['verifier']} {said['version']} said {said['judgement']}, "
        f"evidence {said['evidence_hash'][:16]}"
        for said in (verdicts if isinstance(verdicts, list) else [])
    ]
    if isinstance(operator, dict):
        cost = operator["cost"]
        unsure = f" ({cost['reason']})" if cost["reason"] else ""
        margin = operator["margin"]
        left = output.MISSING if margin is None else dollar_text(dollars(str(margin)))
        lines.append(f"  cost {dollar_text(dollars(cost['amount']))}{unsure}, margin {left}")
    return lines


def _input(
    action: Action, given: str | None, files: tuple[str, ...]
) -> tuple[Mapping[str, Json], dict[str, File]]:
    found = {}
    for text in files:
        name, sign, path = text.partition("=")
        if not sign:
            raise BadUsage(f"Found --file {text!r}: write PROPERTY=FILE.")
        found[name] = _file(Path(path))
    if given is None:
        return {}, found
    if given.lstrip().startswith("{"):
        return _object(given, "--input"), found
    if given == "-":
        return _object(sys.stdin.read(), "stdin"), found
    place = Path(given)
    if place.suffix == ".json" or not action.files:
        return _object(_file(place).content.decode("utf-8", "replace"), given), found
    required = action.input_schema.get("required", [])
    names = [name for name in action.files if isinstance(required, list) and name in required] or [
        *action.files
    ]
    return {}, found | {names[0]: _file(place)}


def _file(place: Path) -> File:
    try:
        return File(place.name, place.read_bytes())
    except OSError as problem:
        raise BadInput(f"{place} cannot be read: {problem.strerror}.") from None


def _object(text: str, what: str) -> Mapping[str, Json]:
    try:
        found = read_json(text)
    except NotJson as problem:
        raise BadInput(f"{what} is no JSON: {problem}.") from None
    if not isinstance(found, Mapping):
        raise BadInput(f"{what} is JSON, and no object: an input has names and values.")
    return found


@actions.command("runs")
@click.option("--action", help="Only of this action.")
@click.option("--customer", help="Only of this customer.")
@click.option("--state", help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@format_options
@pass_settings
def runs_(
    settings: Settings, action: str | None, customer: str | None, state: str | None, limit: int, shape: str
) -> None:
    """List runs, the newest first; one that was refused was not begun, and says why."""
    with book_of(settings) as book:
        rows = [
            {
                "id": one.id,
                "started_at": iso(one.started_at_us),
                "action": f"{one.action} {one.action_version}",
                "customer": one.customer,
                "state": str(one.state),
                "ending": one.ending,
                "attempts": one.attempts,
                "reason": receipts.refusal_of(one),
            }
            for one in kept_runs.listed(book, action=action, customer=customer, state=state, limit=limit)
        ]
    keys = ("id", "started_at", "action", "customer", "state", "ending", "attempts", "reason")
    fields = [output.Field(key, key.replace("_", " "), "left") for key in keys if key != "reason"]
    nothing = "No run yet. Begin one: flatfare actions run NAME"
    output.print_list(rows, fields, shape, nothing=nothing, columns=keys)
    for row in rows if shape == "table" else ():
        if row["reason"]:
            output.say(f"{row['id']} was refused: {row['reason']}")


@actions.command()
@click.argument("run_id", metavar="RUN")
@format_options
@pass_settings
def receipt(settings: Settings, run_id: str, shape: str) -> None:
    """Show a run's receipt: price, verdicts with their evidence, and what it cost."""
    with book_of(settings) as book:
        found = receipts.run_of(book, run_id)
        document = receipts.receipt_of(book, Lake(settings.lake), found, for_operator=True)
    if shape != "table":
        output.print_document(document, shape)
        return
    why = receipts.refusal_of(found)
    what = f"refused: {why}" if why else document["outcome"]
    output.say(f"{document['action']} version {document['version']}: {what}")
    for line in _receipt_lines(document):
        output.say(line)


@actions.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--customer", help="All that is kept of this customer's runs.")
@pass_settings
def erase(settings: Settings, run_id: str | None, customer: str | None) -> None:
    """Erase the input and output that are kept of RUN, or of a customer; receipts stay."""
    with book_of(settings) as book:
        count = receipts.erase(
            book, run_id=run_id, customer=customer, at_us=clock.now_us(), by_whom=user_name()
        )
    output.say(f"{count} {'run' if count == 1 else 'runs'} had something that is erased now")


@actions.command()
@click.option("--give-up", is_flag=True, help="Give back what could be taken up again, too.")
@pass_settings
def recover(settings: Settings, give_up: bool) -> None:
    """Look after runs whose process is gone: finish what was decided, resume or give back the rest."""
    counts: Counter[str] = Counter()
    stuck: list[recovering.Stuck] = []

    async def work() -> None:
        async with running(settings) as runner:
            async for left in recovering.recover_all(
                runner.books, runner.owner, clock.now_us, give_up=give_up
            ):
                counts.update(left.counts())
                stuck.extend(left.stuck)
                for one in left.to_resume:
                    try:
                        await runner.result(await runner.resume(one))
                    except FlatfareError as problem:
                        counts["to_resume"] -= 1
                        stuck.append(recovering.Stuck(one.id, str(problem)))
            await recovering.follow_all_awaited(runner.books, clock.now_us)

    asyncio.run(work())
    output.say(
        f"{counts['finished']} finished, {counts['given_back']} given back, {counts['to_resume']} taken up "
        f"again, {counts['waiting']} waiting to be asked for again"
    )
    for one in stuck:
        output.complain(f"run {one.run_id}: {one.problem}")
    if stuck:
        sys.exit(1)


@actions.command()
@click.argument("name")
@click.option("--version", type=int, help="Runs of this version only.")
@click.option("--sample", type=click.Path(exists=True, path_type=Path), help="Inputs to try every rung on.")
@click.option(
    "--sales", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Sales a month."
)
@click.option(
    "--risk", type=click.FloatRange(0.001, 0.5), default=0.05, show_default=True, help="Of a month's loss."
)
@click.option(
    "--margin", type=click.FloatRange(0.0, 0.95), default=0.3, show_default=True, help="Wanted of a sale."
)
@format_options
@pass_settings
def price(
    settings: Settings,
    name: str,
    version: int | None,
    sample: Path | None,
    sales: int,
    risk: float,
    margin: float,
    shape: str,
) -> None:
    """Advise on a price: what work costs, what each price risks, and whether a fixed price fits at all.

    From the runs there were; or, with --sample, from a trial of every rung on these inputs,
    with real calls.
    """
    with book_of(settings) as book:
        action = publishing.shown(book, name, version, at_us=clock.now_us()).action
        seen = advising.history(book, name, version)
    tried: tuple[advising.Tried, ...] = ()
    if sample is not None:
        trial = asyncio.run(_trial(settings, action, sample))
        tried, seen = trial.tried, [*trial.seen]
    is_flat = action.price.currency == "USD" and not action.price.tiers
    advice = advising.advise(
        name,
        seen,
        current_nano=action.price.per_verified_nano if is_flat else None,
        sales=sales,
        risk_max=risk,
        margin=margin,
        tried=tried,
    )
    document = advising.document_of(advice)
    if shape != "table":
        output.print_document(document, shape)
    else:
        _print_advice(document, advice)


async def _trial(settings: Settings, action: Action, sample: Path) -> trying.Trial:
    async with running(settings) as runner:
        return await trying.try_out(runner, action, bulk_work.rows_of(sample, action))


def _print_advice(document: Mapping[str, object], advice: advising.Advice) -> None:
    words = {"fit": "fit for a fixed price", "with care": "fit for a fixed price only with care"}
    words |= {"not fit": "not fit for a fixed price", "too few": "not enough runs to say"}
    output.say(f"{advice.action}: {words[advice.verdict]} ({advice.seen} runs, {advice.verified} verified)")
    for text in advice.why:
        output.say(f"  {text}")
    if advice.recommended_nano is not None and advice.per_verified is not None:
        point = round(advice.per_verified.point or 0)
        output.say(
            f"  A verified outcome costs {dollar_text(point)}; a price of "
            f"{dollar_text(advice.recommended_nano)} is recommended."
        )
    if advice.per_token_nano is not None and advice.per_action_nano is not None:
        output.say(
            f"  {advice.sales} sales cost {dollar_text(advice.per_token_nano)} by their tokens, and earn "
            f"{dollar_text(advice.per_action_nano)} at that price."
        )
    prices = document["prices"]
    rows = [_price_row(one) for one in prices] if isinstance(prices, list) else []
    if rows:
        loss = f"loss over {advice.sales} sales"
        fields = (
            output.Field("price", "price", is_strong=True),
            output.Field("margin", "margin a sale"),
            output.Field("share", "of what it earns"),
            output.Field("sale", "loss a sale"),
            output.Field("month", loss),
        )
        output.print_table(rows, fields)
    for choice, ladder in advice.ladders:
        cost = ladder.cost_per_verified_nano
        told = output.MISSING if cost is None else dollar_text(round(cost))
        output.say(f"  {choice}: {' > '.join(ladder.rungs)}, {ladder.success:.0%} verified at {told} each")


def _price_row(one: Mapping[str, object]) -> dict[str, object]:
    def chance(key: str) -> str:
        found = one[key]
        assert isinstance(found, dict)
        low, high = found["interval"]
        return f"{found['probability']:.1%} ({low:.1%} to {high:.1%})"

    share = one["margin_share"]
    return {
        "price": one["price"],
        "margin": one["margin"],
        "share": None if share is None else f"{share:.0%}",
        "sale": chance("loss_per_sale"),
        "month": chance("loss_over_sales"),
    }
