"""``flatfare disputes``: an outcome that is said not to be right, and who decides on which evidence."""

import secrets

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Noun,
    book_of,
    format_options,
    is_within,
    lake_of,
    pass_settings,
    period_options,
    user_name,
)
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.core.identity import time_ordered
from flatfare.core.outcome import Judgement
from flatfare.service import clock
from flatfare.service.invoicing import disputing
from flatfare.service.invoicing.disputing import Reverified
from flatfare.service.tasks.events import evidence_hash
from flatfare.store import disputes as kept

_FIELDS = (
    Field("dispute", "Dispute", align="left"),
    Field("task", "Task", align="left"),
    Field("customer", "Customer", align="left"),
    Field("state", "State", align="left", is_strong=True),
    Field("reason", "Reason", align="left"),
    Field("opened_at", "Opened", align="left"),
)


@click.group(cls=Noun)
def disputes() -> None:
    """Disputes: decided on the evidence of a verifier that has not spoken before."""


@disputes.command("open")
@click.argument("task")
@click.option("--reason", required=True, metavar="TEXT", help="What is not right.")
@pass_settings
def open_dispute(settings: Settings, task: str, reason: str) -> None:
    """Open a dispute about TASK."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        made = disputing.open_dispute(
            book,
            lake_of(settings),
            dispute_id=time_ordered(now_us, secrets.token_bytes(10)),
            task_id=task,
            reason=reason,
            at_us=now_us,
            by_whom=user_name(),
        )
    output.say(f"{made.id} is open about task {made.task_id}.")


@disputes.command("list")
@click.option("--state", type=click.Choice(["open", "upheld", "rejected"]), help="In this state alone.")
@period_options
@format_options
@pass_settings
def list_disputes(
    settings: Settings, shape: str, state: str | None, since: int | None, until: int | None
) -> None:
    """List disputes, the newest first."""
    with book_of(settings) as book:
        rows = [
            one.as_json() for one in kept.listed(book, state) if is_within(one.opened_at_us, since, until)
        ]
    output.print_list(
        rows,
        _FIELDS,
        shape,
        nothing="No disputes. A flag of tasks dispute is no case to decide: flatfare disputes open TASK",
    )


@disputes.command()
@click.argument("dispute")
@format_options
@pass_settings
def show(settings: Settings, dispute: str, shape: str) -> None:
    """Show a dispute with its evidence: the task's whole story, as JSON."""
    with book_of(settings) as book:
        found = disputing.one_of(book, dispute)
        document = disputing.document_of(book, lake_of(settings), found, now_us=clock.now_us())
    output.print_document(document, shape)


@disputes.command()
@click.argument("dispute")
@click.option("--uphold/--reject", "is_upheld", default=None, help="For who opened it, or against.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the record.")
@click.option("--verifier", metavar="NAME", help="Who looked at it anew; one that has not spoken before.")
@click.option("--version", default="1", show_default=True, help="The verifier's version.")
@click.option(
    "--kind",
    type=click.Choice(["human", "code", "model"]),
    default="human",
    show_default=True,
    help="Who that is.",
)
@click.option("--evidence", metavar="TEXT", help="What was looked at; its hash is kept.")
@pass_settings
def decide(
    settings: Settings,
    dispute: str,
    is_upheld: bool | None,
    reason: str,
    verifier: str | None,
    version: str,
    kind: str,
    evidence: str | None,
) -> None:
    """Decide DISPUTE: what is upheld is reversed, in whichever month that falls."""
    if is_upheld is None:
        raise BadUsage("Say --uphold or --reject.")
    if (verifier is None) is not (evidence is None):
        raise BadUsage("Give --verifier and --evidence together: who looked, and at what.")
    looked = None
    if verifier is not None:
        said = Judgement.FAIL if is_upheld else Judgement.PASS
        looked = Reverified(verifier, version, kind, said, evidence_hash(evidence))
    with book_of(settings) as book:
        found = disputing.decide(
            book,
            lake_of(settings),
            dispute,
            is_upheld=is_upheld,
            reason=reason,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reverified=looked,
        )
    output.say(f"{found.id} is {found.state}.")
