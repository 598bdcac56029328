"""``flatfare verifiers``: the kinds of checks there are, one tried on files, and a judge that is judged."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Noun,
    book_of,
    bytes_of,
    format_options,
    lake_of,
    pass_settings,
    text_of,
    user_name,
)
from flatfare.cli.sampling import asker_of, parameters_of, sample
from flatfare.config import Settings
from flatfare.core.checks.submission import Json, NotJson, Submission, read_json
from flatfare.core.errors import BadUsage, Conflict
from flatfare.core.outcome import Judgement
from flatfare.service import clock
from flatfare.service.judging import calibrating, sampling
from flatfare.service.judging.asking import Whose
from flatfare.service.tasks.recording import Teller, record
from flatfare.verifiers import kinds, verdicts
from flatfare.verifiers.kinds import Means


@click.group(cls=Noun)
def verifiers() -> None:
    """Verifiers: who says whether work was done, how sure it is, and how often it errs."""


verifiers.add_command(sample)


@verifiers.command("list")
@format_options
def list_(shape: str) -> None:
    """List the kinds of verifiers there are, those of other distributions included."""
    rows = [
        {"kind": name, "by": str(kinds.named(name).kind), "what": kinds.summary_of(kinds.named(name))}
        for name in kinds.names()
    ]
    fields = (
        output.Field("kind", "kind", "left", is_strong=True),
        output.Field("by", "by", "left"),
        output.Field("what", "what it checks", "left"),
    )
    output.print_list(rows, fields, shape, nothing="There is no kind of verifier here.")


@verifiers.command()
@click.argument("kind")
def show(kind: str) -> None:
    """Say what KIND checks, what it takes, and when it abstains."""
    output.say(kinds.page_of(kinds.named(kind)))


@verifiers.command()
@click.argument("kind")
@click.option("--output", "output_file", required=True, metavar="FILE", help="What is judged; - is stdin.")
@click.option("--input", "input_file", metavar="FILE", help="What the task gave: a source to quote from.")
@click.option("--expected", "expected_file", metavar="FILE", help="What was expected: JSON, else text.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="A file that goes with the output.")
@click.option("--params", metavar="FILE|YAML", help="Parameters: a file, or YAML such as '{at: /total}'.")
@click.option("--task", metavar="NAME", help="The task that pays, where a model is asked.")
@click.option("--producer", "producers", multiple=True, metavar="MODEL", help="A model that did the work.")
@click.option("--direct", is_flag=True, help="Ask providers without the gateway: then nothing is metered.")
@click.option("--record", "is_recorded", is_flag=True, help="Put the verdict on the task.")
@format_options
@pass_settings
def check(
    settings: Settings,
    kind: str,
    output_file: str,
    input_file: str | None,
    expected_file: str | None,
    files: tuple[str, ...],
    params: str | None,
    task: str | None,
    producers: tuple[str, ...],
    direct: bool,
    is_recorded: bool,
    shape: str,
) -> None:
    """Have KIND judge an output. Ends with 0 for pass and 1 for fail or abstain.

    A kind that asks a model asks it through the gateway (FLATFARE_URL, else where flatfare serve
    listens; FLATFARE_KEY), so that its calls are metered as verification.
    """
    text = text_of(output_file)
    submission = Submission(
        text,
        "" if input_file is None else text_of(input_file),
        None if expected_file is None else _json_or_text(text_of(expected_file)),
        {Path(name).name: bytes_of(name) for name in files},
    )
    if is_recorded and task is None:
        raise BadUsage("A verdict is put on a task: name it with --task.")
    means = Means(asker_of(settings, Whose(task), direct=direct), producers)
    found = kinds.verifier(kind, parameters_of(params), means=means).judge(submission)
    if is_recorded and task is not None:
        _record(settings, verdicts.event_of(found, submission, task, clock.now_us()))
    if shape != "table":
        output.print_document(
            {
                "verifier": found.verifier,
                "version": found.version,
                "judgement": str(found.judgement),
                "score": None if found.score is None else str(found.score),
                "reasons": list(found.reasons),
                "evidence": json.loads(found.evidence),
                "evidence_hash": found.evidence_hash,
            },
            shape,
        )
    else:
        output.say(f"{found.judgement}  {found.verifier} {found.version}")
        for reason in found.reasons:
            output.say(f"  {reason}")
    sys.exit(0 if found.judgement is Judgement.PASS else 1)


def _record(settings: Settings, event: Mapping[str, object]) -> None:
    """Tell the book of a verdict."""
    with book_of(settings, create=True) as book:
        done = record(
            book, lake_of(settings), [event], Teller(user_name(), source="cli"), now_us=clock.now_us()
        )
    if done.refused:
        raise Conflict(f"The verdict was refused: {done.refused[0].reason}")


def _json_or_text(text: str) -> Json:
    try:
        return read_json(text)
    except NotJson:
        return text.rstrip("\n")


@verifiers.command()
@click.option("--judge", metavar="VERIFIER", help="Whose error is measured.")
@click.option("--truth", metavar="VERIFIER", help="The better verifier it is held against.")
@click.option("--plan", metavar="NAME", help="The sampling plan whose draw the labels are.")
@click.option("--by", default="domain", show_default=True, metavar="KEY", help="What parts the domains.")
@click.option("--cluster", metavar="KEY", help="Tasks of one value go together, such as trials of one case.")
@click.option("--judge-model", metavar="MODEL", help="The model that judges, if its name does not say so.")
@click.option(
    "--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of intervals."
)
@format_options
@pass_settings
def calibrate(
    settings: Settings,
    judge: str | None,
    truth: str | None,
    plan: str | None,
    by: str,
    cluster: str | None,
    judge_model: str | None,
    confidence: float,
    shape: str,
) -> None:
    """Measure how a judge errs, domain by domain, and correct its figures by it, or refuse to.

    Both are names of verifiers whose verdicts are in the book, and those of --plan if not
    stated. Tasks that only the judge saw are corrected by those of the same domain that both
    saw, which must be a draw at random: with --plan, labels that it did not draw are left out,
    and so are tasks that it does not cover.
    """
    with book_of(settings) as book:
        drawn = None if plan is None else sampling.found(book, plan, with_ended=True)
        judge = judge or (None if drawn is None else drawn.judge)
        truth = truth or (None if drawn is None else drawn.verifier)
        if judge is None or truth is None:
            raise BadUsage(
                "Say who is measured and against whom: --judge and --truth, or a --plan with both."
            )
        found = calibrating.of_book(
            book,
            lake_of(settings),
            judge=judge,
            truth=truth,
            by=by,
            confidence=confidence,
            judge_model=judge_model,
            plan=drawn,
            cluster=cluster,
        )
    document = calibrating.document_of(found)
    if shape != "table":
        output.print_document(document, shape)
        return
    rows = [_row(part) for part in document["domains"]]  # type: ignore[attr-defined]
    if len(rows) > 1:
        rows.append(_row({"domain": "all", **document["total"]}))  # type: ignore[dict-item]
    output.print_table(rows, _FIELDS)
    for text in _remarks(found, document):
        output.say(text)


_FIELDS = (
    output.Field("domain", "domain", "left", is_strong=True),
    output.Field("tasks", "tasks"),
    output.Field("labels", "labels"),
    output.Field("sensitivity", "sensitivity"),
    output.Field("specificity", "specificity"),
    output.Field("said", "judge says"),
    output.Field("rate", "corrected"),
    output.Field("said_cost", "cost/success, judge"),
    output.Field("cost", "corrected"),
)


def _row(part: Mapping[str, object]) -> dict[str, object]:
    return {
        "domain": part["domain"] or output.MISSING,
        "tasks": part["tasks"],
        "labels": part["labels"],
        "sensitivity": _share(part.get("sensitivity")),
        "specificity": _share(part.get("specificity")),
        "said": _percent(part["judged_success_rate"]),
        "rate": _with_interval(_percent(part["success_rate"]), part["success_rate_interval"], _percent),
        "said_cost": _at_least(part["judged_cost_per_success"], part),
        "cost": _with_interval(
            _at_least(part["cost_per_verified_outcome"], part),
            part["cost_per_verified_outcome_interval"],
            _plain,
        ),
    }


def _at_least(amount: object, part: Mapping[str, object]) -> object:
    return f"≥ {amount}" if amount is not None and part["cost_is_at_least"] else amount


def _share(share: object) -> str | None:
    if not isinstance(share, dict):
        return None
    return _with_interval(_percent(share["share"]), share["interval"], _percent)


def _with_interval(value: object, interval: object, written: "object") -> str | None:
    if value is None or not isinstance(interval, list):
        return None if value is None else str(value)
    assert callable(written)
    return f"{value} [{written(interval[0])}, {written(interval[1])}]"


def _percent(value: object) -> str | None:
    return f"{value:.0%}" if isinstance(value, int | float) else None


def _plain(value: object) -> str:
    return output.MISSING if value is None else str(value)


def _remarks(found: calibrating.Calibration, document: Mapping[str, object]) -> list[str]:
    said = [
        f"{part.domain or 'no domain'}: refused. {part.corrected.refused}"
        for part in found.parts
        if part.corrected.refused
    ]
    said += [f"{part.domain}: {text}" for part in found.parts for text in part.corrected.warnings]
    if document["error_rates_transfer"] is False:
        said.append(
            "The judge errs otherwise from domain to domain: what is measured in one says nothing of another."
        )
    if found.has_drifted:
        named = ", ".join(domain or "no domain" for domain in found.drifted)
        said.append(
            f"{named}: the judge errs otherwise from month to month: it has changed, or the work has."
        )
    if found.not_drawn:
        said.append(f"{found.not_drawn} labels were left out: the plan did not draw their tasks.")
    if found.contradicted:
        said.append(
            f"On {found.contradicted} tasks one of the two said both pass and fail at one moment: neither "
            "counts. Where these are several tries, give each a task of its own."
        )
    gap = found.self_preference
    if gap is not None and gap.low > 0:
        high = 1.0 if gap.high is None else gap.high
        more = f"{gap.low:.0%} to {high:.0%}"
        said.append(f"It passes failures of its own family ({found.own_family}) {more} more often.")
    if found.unknown_costs:
        said.append(
            f"The cost of {found.unknown_costs} tasks is not wholly known: what stands there is at least so "
            "much, by what is known, and has no upper end. Which and why: flatfare doctor"
        )
    return said
