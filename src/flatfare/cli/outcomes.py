"""``flatfare outcomes``: what makes a task of each kind verified; tasks out and in as open records."""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import yaml

from flatfare.cli import output
from flatfare.cli.import_ import bring_each
from flatfare.cli.options import (
    Noun,
    book_of,
    changing,
    filter_of,
    format_options,
    lake_of,
    pass_settings,
    period_options,
    text_of,
    user_name,
)
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core import labels as label_rules
from flatfare.core.attribution import Rule
from flatfare.core.errors import BadInput, NotFound, StoreFailure
from flatfare.core.outcome import Outcome
from flatfare.service import clock
from flatfare.service.importing.order import Imported
from flatfare.service.importing.run import Stores
from flatfare.service.importing.sources import named_files, opened_whole
from flatfare.service.importing.watching import OnProgress
from flatfare.service.outcomes import importing
from flatfare.service.outcomes.exporting import Wanted, exported
from flatfare.service.outcomes.schema import Problem
from flatfare.service.reporting.attributing import attributed, weights_of
from flatfare.service.reporting.funnel import funnel as counted
from flatfare.service.tasks import defining
from flatfare.service.tasks.recording import mature
from flatfare.verifiers import again

_FIELDS = (
    Field("action", "Action", align="left"),
    Field("version", "Version"),
    Field("verified_when", "Verified when", align="left"),
    Field("verifiers", "Verifiers", align="left"),
    Field("window", "Window"),
    Field("silence", "Silence", align="left"),
    Field("in_force_from", "In force from", align="left"),
)


_ATTRIBUTED = ("tasks", "verified", "spend", "cost_per_verified_outcome")
_FUNNEL = (
    *("attempted", "verified", "settled", "reversed", "failed", "assumed", "open", "disputed"),
    *("held", "voided", "refunded"),
)


@click.group(cls=Noun, shows="definitions")
def outcomes() -> None:
    """Outcomes: the truth of tasks, and the definitions they are judged by."""


@outcomes.command()
@click.argument("file")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def define(settings: Settings, file: str, reason: str | None, as_json: bool) -> None:
    """Put the definitions in FILE (YAML) in force for tasks that are opened from now on.

    A file holds one definition, or a list of them. The one that is in force already changes nothing.
    """
    given = [defining.of_document(document) for document in _documents(file)]
    for one in given:
        again.check(one)
    with changing(settings, create=True) as book:
        made = [
            defining.define(book, one, by_whom=user_name(), at_us=clock.now_us(), reason=reason)
            for one in given
        ]
    if as_json:
        output.print_json([defining.document_of(one) for one in made])
        return
    for one in made:
        output.say(f"{one.action} version {one.version} is in force for tasks opened from now on.")


@outcomes.command()
@click.option("--by", default="action", show_default=True, metavar="KEY", help="action, path or a label.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Only these tasks.")
@period_options
@format_options
@pass_settings
def funnel(
    settings: Settings,
    shape: str,
    since: int | None,
    until: int | None,
    by: str,
    filters: tuple[str, ...],
) -> None:
    """Show how many tasks were attempted, verified, settled and reversed, and where the rest stands."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        lake = lake_of(settings)
        mature(book, lake, now_us=now_us)
        groups, total = counted(
            book,
            lake,
            now_us=now_us,
            by=by,
            filters=[filter_of(text) for text in filters],
            since_us=since,
            until_us=until,
        )
    rows = [one.as_json(by) for one in groups]
    if shape == "json":
        output.print_json({"by": by, "rows": rows, "total": total.as_json(by)})
    elif shape == "csv":
        output.print_csv(rows, list(total.as_json(by)))
    else:
        fields = [Field(name, name.replace("_", " ").capitalize()) for name in total.as_json(by)]
        shown = [name for name in _FUNNEL if any(row[name] for row in rows)]
        kept = [field for field in fields if field.key in shown]
        output.print_table(
            [*rows, {**total.as_json(by), by: "Total"}], [Field(by, by.capitalize(), align="left"), *kept]
        )


@outcomes.command()
@click.option(
    "--rule",
    type=click.Choice([rule.value for rule in Rule]),
    default=Rule.RESOLVER.value,
    show_default=True,
    help="To whom the credit goes.",
)
@click.option("--by", default="part", show_default=True, metavar="KEY", help="What tells parts apart.")
@click.option(
    "--share", "shares", multiple=True, metavar="PART=WEIGHT", help="For the rule shares; one for each part."
)
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Only these tasks.")
@period_options
@format_options
@pass_settings
def attribution(
    settings: Settings,
    shape: str,
    since: int | None,
    until: int | None,
    rule: str,
    by: str,
    shares: tuple[str, ...],
    filters: tuple[str, ...],
) -> None:
    """Say whose the verified outcomes are that several parts touched, by a rule that is named.

    What each part spent is what its own calls cost; people's rework is the part 'human'.
    """
    now_us = clock.now_us()
    with book_of(settings) as book:
        found = attributed(
            book,
            lake_of(settings),
            now_us=now_us,
            rule=Rule(rule),
            by=by,
            shares=weights_of(shares),
            filters=[filter_of(text) for text in filters],
            since_us=since,
            until_us=until,
        )
    rows = [one.as_json(by) for one in found]
    if shape == "json":
        output.print_json({"rule": rule, "by": by, "shares": list(shares), "rows": rows})
    elif shape == "csv":
        output.print_csv([{"rule": rule, **row} for row in rows], ["rule", *_ATTRIBUTED, by])
    else:
        fields = [Field(name, name.replace("_", " ").capitalize()) for name in _ATTRIBUTED]
        output.print_table(rows, [Field(by, by.capitalize(), align="left"), *fields])
        output.say(f"Credit by the rule {rule}; spend by what each part called.")


@outcomes.command()
@click.argument("action", required=False)
@format_options
@pass_settings
def definitions(settings: Settings, action: str | None, shape: str) -> None:
    """List the definitions of ACTION, or of all, every version."""
    with book_of(settings) as book:
        found = [defining.shown(version) for version in defining.listed(book, action)]
    if action is not None and not found:
        raise NotFound(
            f"There is no definition of {action!r}: its tasks are verified when every verifier that spoke "
            "says pass. Make one: flatfare outcomes define FILE"
        )
    if shape != "table":
        output.print_documents(found, shape)
    elif found:
        output.print_table([_row(one) for one in found], _FIELDS)
    else:
        output.say("No definitions: a task is verified when every verifier that spoke says pass.")


@outcomes.command()
@click.option("--out", metavar="FILE", help="Write there instead of printing.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only tasks of this kind.")
@click.option(
    "--outcome",
    "states",
    multiple=True,
    type=click.Choice([str(one) for one in Outcome]),
    help="Only tasks that stand so.",
)
@click.option("--label", "labelled", multiple=True, metavar="KEY=VALUE", help="Only tasks with this label.")
@click.option("--source", metavar="NAME", help="Only tasks of this source.")
@click.option(
    "--without-calls", is_flag=True, help="Leave single calls out: the costs say what they add up to."
)
@period_options
@pass_settings
def export(
    settings: Settings,
    out: str | None,
    names: tuple[str, ...],
    states: tuple[str, ...],
    labelled: tuple[str, ...],
    source: str | None,
    without_calls: bool,
    since: int | None,
    until: int | None,
) -> None:
    """Print tasks as outcome records, one a line (JSON Lines); no texts."""
    wanted = Wanted(since, until, names, states, label_rules.parse(",".join(labelled)), source)
    with book_of(settings) as book:
        mature(book, lake_of(settings), now_us=clock.now_us())
        records = exported(book, lake_of(settings), wanted, with_calls=not without_calls)
        if out is None:
            output.print_json_lines(records)
            return
        count = _written(records, Path(out))
    output.say(f"{out}: {count:,} records.")


@outcomes.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--rejects", metavar="PATH", help="Where rejected lines go; beside the file if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def import_records(settings: Settings, files: tuple[str, ...], rejects: str | None, as_json: bool) -> None:
    """Bring outcome records in, with their ids and chains; each task once, however often."""

    def bring(stores: Stores, names: Sequence[str], on_progress: OnProgress) -> Imported:
        return importing.import_records(stores, names[0], clock.now_us(), rejects=rejects)

    bring_each(settings, ([name] for name in named_files(files)), bring, is_json=as_json)


@outcomes.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each problem.")
def validate(files: tuple[str, ...], as_json: bool) -> None:
    """Check files of outcome records: by their schema, their chains and their sums.

    Each problem names its line, the path in the record, what was found and what was expected.
    """
    total = wrong = 0
    for name in named_files(files):
        with tempfile.TemporaryDirectory() as place:
            source = opened_whole(name, Path(place), "*.jsonl")
            for line in importing.lines_of(source.path):
                total += 1
                wrong += bool(line.problems)
                for problem in line.problems:
                    _tell_problem(source.name, line.number, problem, as_json=as_json)
    output.note(f"{total:,} records, {wrong:,} of them wrong." if wrong else f"{total:,} records, all right.")
    if wrong or not total:
        raise click.exceptions.Exit(1)


def _tell_problem(file: str, line: int, problem: Problem, *, as_json: bool) -> None:
    if as_json:
        output.print_json_lines([{"file": file, "line": line, **asdict(problem)}])
    else:
        output.say(f"{file}:{line}: {problem}")


def _written(records: Iterable[object], path: Path) -> int:
    """Write records to a file, whole or not at all; returns how many."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with aside.open("w", encoding="utf-8") as stream:
            for count, record in enumerate(records, start=1):  # noqa: B007 (the last number is the count)
                stream.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
        aside.replace(path)
    except OSError as problem:
        raise StoreFailure(f"{path} cannot be written: {problem.strerror}.") from problem
    finally:
        aside.unlink(missing_ok=True)
    return count


def _documents(file: str) -> list[object]:
    try:
        found = yaml.safe_load(text_of(file))
    except yaml.YAMLError as problem:
        raise BadInput(f"{file} is no YAML: {problem}") from None
    return found if isinstance(found, list) else [found]


def _row(shown: dict[str, object]) -> dict[str, object]:
    verifiers = shown["verifiers"]
    assert isinstance(verifiers, list)
    names = ", ".join(
        one if isinstance(one, str) else f"{one['name']} ({one['weight']})" for one in verifiers
    )
    return {**shown, "verifiers": names or "all that spoke"}
