"""``flatfare verifiers sample``: which share of tasks somebody better looks at, and having them looked at."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Amount,
    Moment,
    Noun,
    book_of,
    format_options,
    lake_of,
    pass_settings,
    text_of,
    user_name,
)
from flatfare.config import Secret, Settings
from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.identity import task_id
from flatfare.core.money import decimal_text
from flatfare.core.outcome import Judgement
from flatfare.service import clock
from flatfare.service.access.secret_box import found_box
from flatfare.service.judging import reviewing, sampling
from flatfare.service.judging.asking import KEY_VARIABLE, Asker, Whose, gateway_of
from flatfare.service.tasks.sampled import share_of
from flatfare.store.sampling import HUMAN, Plan
from flatfare.verifiers import again, kinds


@click.group(cls=Noun)
def sample() -> None:
    """Have a share of tasks looked at by people or by a stronger verifier, drawn by their ids alone."""


@sample.command()
@click.argument("name")
@click.option("--share", required=True, metavar="0.05|5%", help="Of the tasks.")
@click.option("--action", help="Only of this kind of task.")
@click.option("--judge", metavar="VERIFIER", help="Whose error is to be known: only tasks that it judged.")
@click.option("--to", "sends_to", default=HUMAN, show_default=True, metavar="KIND", help="Who looks again.")
@click.option("--params", metavar="FILE|YAML", help="Parameters of that kind of verifier.")
@click.option(
    "--as", "verifier", metavar="NAME", help="What its verdicts are called; its kind, if not stated."
)
@click.option("--question", help="What people are asked.")
@click.option(
    "--reviewers", type=click.IntRange(1, reviewing.WANTED_MAX), help="How many people; 2 if not stated."
)
@click.option("--rate", type=Amount(), metavar="60.00", help="What an hour of a reviewer costs, in dollars.")
@click.option("--link", metavar="URL", help="Where people see the work: {task}, {external_id}, {label.NAME}.")
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Tasks opened from then on; from now, if not stated."
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def add(
    settings: Settings,
    name: str,
    share: str,
    action: str | None,
    judge: str | None,
    sends_to: str,
    params: str | None,
    verifier: str | None,
    question: str | None,
    reviewers: int | None,
    rate: int | None,
    link: str | None,
    since: int | None,
    is_json: bool,
) -> None:
    """Draw a share of tasks under NAME from now on."""
    terms: dict[str, object] = {
        "from_us": since,
        "verifier": verifier,
        "question": question,
        "reviewers": reviewers,
        "rate": decimal_text(rate),
        "link": link,
    }
    if sends_to != HUMAN:
        terms["parameters"] = dict(parameters_of(params))
        kinds.verifier(sends_to, parameters_of(params))  # what cannot be is said now
    elif params is not None:
        raise BadUsage("--params are of a kind of verifier: state which with --to.")
    stated = {key: value for key, value in terms.items() if value is not None}
    plan = Plan(name, share_of(share), sends_to, clock.now_us(), action, judge, stated)
    with book_of(settings, create=True) as book:
        sampling.create(book, plan, by_whom=user_name())
    if is_json:
        output.print_json(sampling.document_of(plan))
    else:
        output.say(f"{name} draws {plan.share:%} of {action or 'all tasks'} for {plan.verifier}.")
        output.note(f"Have them looked at: flatfare verifiers sample run {name}")


_LIST = (
    output.Field("plan", "plan", "left", is_strong=True),
    output.Field("action", "action", "left"),
    output.Field("judge", "judge", "left"),
    output.Field("share", "share"),
    output.Field("verifier", "looks again", "left"),
    output.Field("from", "from", "left"),
    output.Field("ended", "ended", "left"),
)


@sample.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Those that have ended too.")
@format_options
@pass_settings
def list_(settings: Settings, with_ended: bool, shape: str) -> None:
    """List the plans."""
    with book_of(settings) as book:
        rows = [sampling.document_of(plan) for plan in sampling.plans(book, with_ended=with_ended)]
    output.print_list(
        rows, _LIST, shape, nothing="No plans. Make one: flatfare verifiers sample add NAME --share 5%"
    )


@sample.command()
@click.argument("name")
@format_options
@pass_settings
def drawn(settings: Settings, name: str, shape: str) -> None:
    """List the tasks that NAME has drawn and nobody has looked at again."""
    with book_of(settings) as book:
        found = sampling.waiting(book, lake_of(settings), sampling.found(book, name))
    rows = [
        {"task": one.task_id, "external_id": one.external_id, "action": one.action, "labels": one.labels}
        for one in found
    ]
    fields = (output.Field("external_id", "task", "left", is_strong=True), output.Field("task", "id", "left"))
    columns = ["task", "external_id", "action"]
    output.print_list(rows, fields, shape, nothing="No task is waiting to be judged.", columns=columns)


@sample.command()
@click.argument("name")
@click.option("--from", "file", metavar="FILE", help="JSON Lines of {task, output, input, expected}.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Tasks at most.")
@click.option("--direct", is_flag=True, help="Ask providers without the gateway: then nothing is metered.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def run(settings: Settings, name: str, file: str | None, limit: int, direct: bool, is_json: bool) -> None:
    """Have what NAME has drawn looked at again: put it before people, or let the verifier judge it.

    What actions keep is known; other outputs are not stored: give them in a file. People can be
    given a link instead.
    """
    done = dict.fromkeys((*map(str, Judgement), "asked", "without_content"), 0)
    with book_of(settings) as book:
        plan = sampling.found(book, name)
        lake = lake_of(settings)
        waiting = sampling.waiting(book, lake, plan)[:limit]
        contents = sampling.kept(book, waiting) | ({} if file is None else dict(_contents(file)))
        for one in waiting:
            submission = contents.get(one.task_id) or contents.get(str(one.external_id))
            if submission is None and (plan.sends_to != HUMAN or "link" not in plan.terms):
                done["without_content"] += 1
            elif plan.sends_to == HUMAN:
                sampling.ask_people(
                    book,
                    plan,
                    one,
                    submission,
                    at_us=clock.now_us(),
                    asked_by=user_name(),
                    box=found_box(os.environ),
                )
                done["asked"] += 1
            elif submission is not None:
                asker = partial(asker_of, settings, direct=direct)
                done[str(again.judged(book, lake, plan, one, submission, asker))] += 1
    _tell(plan, done, is_json)


def _tell(plan: Plan, done: Mapping[str, int], is_json: bool) -> None:
    if is_json:
        output.print_json({"plan": plan.name, **done})
        return
    counts = [f"{count} {what.replace('_', ' ')}" for what, count in done.items() if count]
    output.say(f"{plan.name}: {', '.join(counts) or 'nothing waits'}.")
    if done["without_content"]:
        output.note("What these say is not known here: give it with --from FILE, or a plan a --link.")


@sample.command()
@click.argument("name")
@pass_settings
def end(settings: Settings, name: str) -> None:
    """Draw no more by NAME. What was drawn, and what was found, stays."""
    with book_of(settings) as book:
        sampling.end(book, name, at_us=clock.now_us(), by_whom=user_name())
    output.say(f"{name} draws no more.")


def asker_of(settings: Settings, whose: Whose, *, direct: bool) -> Asker:
    """Who puts questions to models, by way of the gateway unless ``direct``."""
    if direct:
        return Asker(settings, None, whose=whose)
    key = os.environ.get(KEY_VARIABLE)
    return Asker(settings, gateway_of(settings, os.environ), whose=whose, key=Secret(key) if key else None)


def parameters_of(given: str | None) -> Mapping[str, object]:
    """Parameters of a kind of verifier: a file, or YAML."""
    import yaml

    if given is None:
        return {}
    text = given if given.lstrip().startswith("{") else text_of(given)
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise BadInput(f"The parameters are no YAML: {problem}") from None
    if not isinstance(found, dict):
        raise BadInput("The parameters are names and values, such as {at: /total}.")
    return found


def _contents(name: str) -> Iterator[tuple[str, Submission]]:
    """What tasks say, by their ids and by their names."""
    for number, line in enumerate(text_of(name).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            task, said = row["task"], row["output"]
        except (ValueError, KeyError, TypeError):
            raise BadInput(f'{name}:{number} is no task: expected {{"task": …, "output": …}}.') from None
        submission = Submission(str(said), str(row.get("input") or ""), row.get("expected"))
        yield str(task), submission
        yield str(task_id(None, str(task))), submission
