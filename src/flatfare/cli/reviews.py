"""``flatfare reviews``: work put before people, judged blind, and how far they agree."""

import os
import sys
from collections.abc import Mapping

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Amount,
    Moment,
    Noun,
    Span,
    book_of,
    format_options,
    lake_of,
    pass_settings,
    period_options,
    text_of,
    user_name,
)
from flatfare.config import Settings
from flatfare.core.checks.submission import Submission
from flatfare.core.identity import task_id
from flatfare.core.labels import parse
from flatfare.core.moments import iso
from flatfare.core.outcome import Judgement
from flatfare.service import clock
from flatfare.service.access.secret_box import found_box
from flatfare.service.judging import review_reports, reviewing
from flatfare.service.judging.reviewing import Sheet, Wanted, with_own_labels
from flatfare.store.lake import Lake


@click.group(cls=Noun)
def reviews() -> None:
    """Reviews: what people judge without sight of each other, of any verdict, or of who did the work."""


_LIST = (
    output.Field("id", "review", "left"),
    output.Field("name", "name", "left", is_strong=True),
    output.Field("state", "state", "left"),
    output.Field("answers", "answers"),
    output.Field("reviewers", "of"),
    output.Field("judgement", "judgement", "left"),
    output.Field("opened", "opened", "left"),
    output.Field("due", "due", "left"),
    output.Field("task", "task", "left"),
)
_CSV = (
    *("id", "task", "attempt", "name", "verifier", "version", "state", "reviewers", "answers"),
    *("is_disputed", "judgement", "plan", "asked_by", "opened", "due", "decided"),
)


@reviews.command("list")
@click.option("--state", type=click.Choice(["open", "decided", "withdrawn"]), help="Only these.")
@click.option("--name", help="Only this kind of work.")
@click.option("--task", help="Only of this task.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@period_options
@format_options
@pass_settings
def list_(
    settings: Settings,
    state: str | None,
    name: str | None,
    task: str | None,
    limit: int,
    since: int | None,
    until: int | None,
    shape: str,
) -> None:
    """List reviews, the newest first. What was said shows once a review is decided."""
    with book_of(settings) as book:
        rows = review_reports.listed(
            book,
            state=state,
            name=name,
            task_id=None if task is None else str(task_id(None, task)),
            since_us=since,
            until_us=until,
            limit=limit,
        )
    output.print_list(
        rows,
        _LIST,
        shape,
        nothing="No reviews. Put work in: flatfare reviews add TASK --output FILE",
        columns=_CSV,
    )


@reviews.command()
@click.argument("review")
@format_options
@pass_settings
def show(settings: Settings, review: str, shape: str) -> None:
    """Show REVIEW; who said what, once it is decided."""
    with book_of(settings) as book:
        document = review_reports.whole_document_of(book, review)
    if shape != "table":
        output.print_document(document, shape)
        return
    for key, value in document.items():
        if key != "said":
            output.say(f"{key}: {output.MISSING if value is None else value}")
    for said in document["said"] or []:  # type: ignore[attr-defined]
        output.say(f"  {said['reviewer']}: {said['judgement']}  {said['reason'] or ''}".rstrip())


@reviews.command()
@click.argument("task")
@click.option("--output", "output_file", metavar="FILE", help="What is judged; - is stdin.")
@click.option("--input", "input_file", metavar="FILE", help="What the task gave.")
@click.option("--link", metavar="URL", help="Where the work can be seen, instead of or beside the output.")
@click.option("--name", default="task", show_default=True, help="The kind of work.")
@click.option("--question", default=reviewing.QUESTION, show_default=True, help="What reviewers are asked.")
@click.option(
    "--reviewers",
    type=click.IntRange(1, reviewing.WANTED_MAX),
    default=2,
    show_default=True,
    help="How many people judge it.",
)
@click.option("--attempt", type=click.IntRange(1), help="Which attempt at the task.")
@click.option("--rate", type=Amount(), metavar="60.00", help="What an hour of a reviewer costs, in dollars.")
@click.option("--due", type=Moment(), metavar="TIME", help="By when; what is due first is shown first.")
@click.option(
    "--keep", type=Span(), default="30d", show_default=True, help="Erase what is shown after so long."
)
@click.option(
    "--label", "label", multiple=True, metavar="KEY=VALUE", help="Whose it is; the task's, if known."
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def add(
    settings: Settings,
    task: str,
    output_file: str | None,
    input_file: str | None,
    link: str | None,
    name: str,
    question: str,
    reviewers: int,
    attempt: int | None,
    rate: int | None,
    due: int | None,
    keep: int,
    label: tuple[str, ...],
    is_json: bool,
) -> None:
    """Put the work on TASK before people to judge."""
    given = "" if input_file is None else text_of(input_file)
    wanted = Wanted(
        task_id=str(task_id(None, task)),
        submission=None if output_file is None else Submission(text_of(output_file), given),
        link=link,
        name=name,
        question=question,
        reviewers=reviewers,
        attempt=attempt,
        rate_nano_per_hour=rate,
        due_at_us=due,
        keep_us=keep,
        labels=parse(",".join(label)),
    )
    with book_of(settings, create=True) as book:
        wanted = with_own_labels(book, Lake(settings.lake), wanted)
        review, is_new = reviewing.enqueue(
            book, wanted, at_us=clock.now_us(), asked_by=user_name(), box=found_box(os.environ)
        )
    if is_json:
        output.print_json(review_reports.document_of(review))
    else:
        output.say(f"{review.id}  {'is asked of' if is_new else 'was asked before, of'} {review.wanted}.")


_WHO = click.option("--as", "reviewer", metavar="NAME", help="Who reviews; you, if not stated.")


@reviews.command()
@_WHO
@click.option("--name", help="Only this kind of work.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def next(settings: Settings, reviewer: str | None, name: str | None, is_json: bool) -> None:  # noqa: A001
    """Take what waits longest for another reviewer; it is yours for half an hour. Ends with 1 for none."""
    reviewer = reviewer or user_name()
    with book_of(settings) as book:
        tell = reviewing.teller(book, lake_of(settings), reviewer, now_us=clock.now_us())
        reviewing.record_decided(book, tell, now_us=clock.now_us())
        sheet = reviewing.next_for(
            book, reviewer, now_us=clock.now_us(), name=name, box=found_box(os.environ)
        )
        waiting = reviewing.count_waiting(book, reviewer, name)
    if is_json:
        output.print_json({"review": None if sheet is None else sheet.document(), "waiting": waiting})
    elif sheet is None:
        output.note(f"Nothing waits for {reviewer}.")
    else:
        _show_sheet(sheet, reviewer)
    sys.exit(0 if sheet is not None else 1)


def _show_sheet(sheet: Sheet, reviewer: str) -> None:
    output.say(f"{sheet.review.name}: {sheet.review.question}")
    for key, value in (sheet.shown or {}).items():
        output.say(f"\n--- {key}\n{value}")
    if sheet.review.link:
        output.say(f"\n{sheet.review.link}")
    output.note(
        f"\nYours until {iso(sheet.until_us)}: flatfare reviews submit {sheet.review.id} pass|fail|abstain "
        f"--as {reviewer} [--reason TEXT] [--minutes N]"
    )


@reviews.command()
@click.argument("review")
@click.argument("judgement", type=click.Choice([str(one) for one in Judgement]))
@_WHO
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--minutes", metavar="N", help="How long it took.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def submit(
    settings: Settings,
    review: str,
    judgement: str,
    reviewer: str | None,
    reason: str | None,
    minutes: str | None,
    is_json: bool,
) -> None:
    """Say what you found of REVIEW. An answer stands: it is not changed afterwards."""
    reviewer = reviewer or user_name()
    with book_of(settings) as book:
        taken = reviewing.submit(
            book,
            reviewing.teller(book, lake_of(settings), reviewer, now_us=clock.now_us()),
            review,
            reviewer,
            Judgement(judgement),
            now_us=clock.now_us(),
            reason=reason,
            minutes=minutes,
        )
    if is_json:
        output.print_json({"review": review, "state": taken.review.state, "is_new": taken.is_new})
    else:
        output.say(f"{review} is {taken.review.state}.")


@reviews.command()
@click.argument("review")
@_WHO
@pass_settings
def release(settings: Settings, review: str, reviewer: str | None) -> None:
    """Give REVIEW back without an answer."""
    with book_of(settings) as book:
        reviewing.release(book, review, reviewer or user_name())
    output.say(f"{review} waits for somebody else.")


@reviews.command()
@click.argument("review")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def withdraw(settings: Settings, review: str, reason: str | None) -> None:
    """Ask nobody any more about REVIEW, and erase what was to be judged."""
    with book_of(settings) as book:
        reviewing.withdraw(book, review, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{review} is withdrawn.")


_PAIRS = (
    output.Field("reviewers", "reviewers", "left", is_strong=True),
    output.Field("reviews", "reviews"),
    output.Field("agreed", "agreed"),
    output.Field("kappa", "kappa"),
    output.Field("interval", "interval", "left"),
)
_REVIEWERS = (
    output.Field("reviewer", "reviewer", "left", is_strong=True),
    output.Field("answers", "answers"),
    output.Field("passed", "passed"),
    output.Field("abstained", "abstained"),
    output.Field("as_the_others", "as the others"),
    output.Field("minutes_median", "median minutes"),
)


@reviews.command()
@click.option("--name", help="Only this kind of work.")
@period_options
@format_options
@pass_settings
def agreement(settings: Settings, name: str | None, since: int | None, until: int | None, shape: str) -> None:
    """Say how far reviewers agree beyond chance, on what they judged blind."""
    with book_of(settings) as book:
        found = review_reports.agreement_of(book, name=name, since_us=since, until_us=until)
    if shape != "table":
        output.print_document(found, shape)
        return
    alpha = found["alpha"]
    output.say(
        f"{found['reviews']} reviews decided, {found['judged_blind']} judged by two or more without sight of "
        f"each other; {_share(found['unanimous'])} of these unanimous, {found['undecided']} undecided."
    )
    output.say(f"Krippendorff's alpha: {output.MISSING if alpha is None else f'{alpha:.3f}'}")
    pairs: list[dict[str, object]] = found["pairs"]  # type: ignore[assignment]
    people: list[dict[str, object]] = found["reviewers"]  # type: ignore[assignment]
    if pairs:
        output.print_table([_pair(row) for row in pairs], _PAIRS, "Cohen's kappa")
    if people:
        output.print_table(
            [{**row, "as_the_others": _share(row["as_the_others"])} for row in people], _REVIEWERS
        )


def _pair(row: Mapping[str, object]) -> dict[str, object]:
    names, kappa, ends = row["reviewers"], row["kappa"], row["interval"]
    assert isinstance(names, list)
    return {
        **row,
        "reviewers": " and ".join(names),
        "kappa": f"{kappa:.3f}" if isinstance(kappa, float) else None,
        "interval": f"[{ends[0]:.2f}, {ends[1]:.2f}]" if isinstance(ends, list) else None,
    }


def _share(share: object) -> str:
    assert isinstance(share, dict)
    return f"{share['count']} of {share['n']}"
