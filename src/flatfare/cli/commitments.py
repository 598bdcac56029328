"""``flatfare commitments``: fixed fees, and whom they served."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction

import click

from flatfare.cli import output
from flatfare.cli.options import Amount, Noun, book_of, format_options, lake_of, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.commitment import AllocatedBy, Commitment, CommitmentKind, Every, Serves
from flatfare.core.errors import BadUsage
from flatfare.core.money import decimal_text, dollar_text, nano_of, parse_amount
from flatfare.service import allocating, clock, committing
from flatfare.service.allocating import Fee
from flatfare.store import commitments as kept
from flatfare.store import reading


@click.group(cls=Noun)
def commitments() -> None:
    """Fixed fees: seats and subscriptions, provisioned capacity, own machines, credit plans."""


def _choices(words: type[CommitmentKind] | type[Every] | type[AllocatedBy]) -> click.Choice[str]:
    return click.Choice([str(word) for word in words])


@commitments.command()
@click.argument("name")
@click.option("--kind", type=_choices(CommitmentKind), required=True, help="What the fee buys.")
@click.option(
    "--amount",
    "amount_nano",
    type=Amount(),
    required=True,
    metavar="AMOUNT",
    help="The fee, such as 200 or $19.99.",
)
@click.option(
    "--every", type=_choices(Every), default="month", show_default=True, help="How often it is owed."
)
@click.option("--from", "from_day", required=True, metavar="DATE", help="The first day it is owed for.")
@click.option("--until", "until_day", metavar="DATE", help="The first day it is no longer owed for.")
@click.option("--provider", help="Serves calls to this provider only.")
@click.option("--model", metavar="PATTERN", help="Serves these models only, such as 'claude-*'.")
@click.option("--key", help="Serves calls made with this key only.")
@click.option(
    "--label", "label", multiple=True, metavar="KEY=VALUE", help="Serves calls with this label only."
)
@click.option(
    "--by",
    "allocated_by",
    type=_choices(AllocatedBy),
    default="tokens",
    show_default=True,
    help="What a call's share is measured by.",
)
@click.option("--units", type=click.IntRange(1), help="Tokens, calls or credits that one period can serve.")
@click.option(
    "--overage",
    "overage_nano",
    type=Amount(),
    metavar="AMOUNT",
    default="0",
    help="Price of each unit beyond those.",
)
@click.option(
    "--multiplier",
    multiple=True,
    metavar="PATTERN=TIMES",
    help="Units that a model draws, such as 'claude-opus-*=27'.",
)
@click.option(
    "--replace", "replaces", is_flag=True, help="New terms of a commitment that stands: they begin at --from."
)
@pass_settings
def add(
    settings: Settings,
    name: str,
    kind: str,
    amount_nano: int,
    every: str,
    from_day: str,
    until_day: str | None,
    provider: str | None,
    model: str | None,
    key: str | None,
    label: tuple[str, ...],
    allocated_by: str,
    units: int | None,
    overage_nano: int,
    multiplier: tuple[str, ...],
    replaces: bool,
) -> None:
    """Add a fixed fee under NAME, from a day on.

    Calls it serves bear a share of it instead of their list cost.
    """
    agreed = Commitment(
        id="",
        name=name,
        kind=CommitmentKind(kind),
        amount_nano=amount_nano,
        every=Every(every),
        from_day=_day(from_day),
        until_day=_day(until_day) if until_day else None,
        serves=Serves(provider, model, key, labels.parse(",".join(label))),
        allocated_by=AllocatedBy(allocated_by),
        units=units,
        overage_nano=overage_nano,
        multipliers=_multipliers(multiplier),
    )
    now_us = clock.now_us()
    with book_of(settings, create=True) as book:
        new = committing.add(book, agreed, recorded_at_us=now_us, by_whom=user_name(), replaces=replaces)
    output.say(f"{new.name}: {dollar_text(new.amount_nano)} every {new.every} from {new.from_day}.")


@commitments.command()
@click.argument("name")
@click.option(
    "--on", "until_day", required=True, metavar="DATE", help="The first day it is no longer owed for."
)
@pass_settings
def end(settings: Settings, name: str, until_day: str) -> None:
    """End the fixed fee NAME; what was owed before stays."""
    with book_of(settings) as book:
        ended = committing.end(book, name, _day(until_day))
    output.say(f"{ended.name} is owed for until {ended.until_day}, that day not included.")


@commitments.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the fixed fees, those that ended included."""
    with book_of(settings) as book:
        rows = [_row(commitment) for commitment in kept.all_of(book)]
    _show(rows, _TERMS, shape, "No fixed fees yet. Add one: flatfare commitments add NAME --help")


@commitments.command()
@click.argument("name", required=False)
@format_options
@pass_settings
def show(settings: Settings, name: str | None, shape: str) -> None:
    """Show each period's fee: what of it served calls, and what was idle."""
    with book_of(settings) as book, reading.opened(book, lake_of(settings), "folded") as engine:
        fees = allocating.charge(engine, book, datetime.now(UTC).date())
    rows = [_fee_row(fee) for fee in fees if name in (None, fee.commitment.name)]
    _show(rows, _FEES, shape, f"No fees were owed{f' for {name!r}' if name else ''} yet.")


_TERMS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("kind", "kind", "left"),
    output.Field("amount", "fee"),
    output.Field("every", "every", "left"),
    output.Field("from", "from", "left"),
    output.Field("until", "until", "left"),
    output.Field("serves", "serves", "left"),
    output.Field("by", "shared by", "left"),
    output.Field("units", "units"),
)
_FEES = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("from", "from", "left"),
    output.Field("until", "until", "left"),
    output.Field("fee", "fee"),
    output.Field("calls", "calls served"),
    output.Field("allocated", "allocated"),
    output.Field("idle", "idle"),
)


_AMOUNTS = ("amount", "fee", "allocated", "idle")


def _show(rows: list[dict[str, object]], fields: tuple[output.Field, ...], shape: str, empty: str) -> None:
    output.print_list(rows, fields, shape, nothing=empty, read=_in_dollars)


def _in_dollars(row: Mapping[str, object]) -> dict[str, object]:
    """The row with its amounts as a person reads them."""
    amounts = {key: dollar_text(nano_of(parse_amount(str(row[key]))[0])) for key in _AMOUNTS if key in row}
    return {**row, **amounts}


def _row(commitment: Commitment) -> dict[str, object]:
    serves = commitment.serves
    stated = [
        *(
            f"{name} {value}"
            for name, value in (("provider", serves.provider), ("model", serves.model))
            if value
        ),
        *([f"key {serves.key}"] if serves.key else []),
        *(f"{key}={value}" for key, value in serves.labels.items()),
    ]
    return {
        "name": commitment.name,
        "kind": str(commitment.kind),
        "amount": decimal_text(commitment.amount_nano),
        "every": str(commitment.every),
        "from": commitment.from_day.isoformat(),
        "until": commitment.until_day.isoformat() if commitment.until_day else None,
        "serves": ", ".join(stated) or "every call",
        "by": str(commitment.allocated_by),
        "units": commitment.units,
    }


def _fee_row(fee: Fee) -> dict[str, object]:
    return {
        "name": fee.commitment.name,
        "from": fee.from_day.isoformat(),
        "until": fee.until_day.isoformat(),
        "fee": decimal_text(fee.fee_nano),
        "calls": fee.served_calls,
        "allocated": decimal_text(fee.served_nano),
        "idle": decimal_text(fee.idle_nano),
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadUsage(f"Found {text!r} where a day was expected: write it like 2026-08-01.") from None


def _multipliers(given: tuple[str, ...]) -> dict[str, Fraction]:
    found = {}
    for text in given:
        pattern, sign, times = text.rpartition("=")
        try:
            found[pattern] = Fraction(times)
        except (ValueError, ZeroDivisionError):
            sign = ""
        if not sign or found[pattern] < 0:
            raise BadUsage(f"Found --multiplier {text!r}: write PATTERN=TIMES, such as 'claude-opus-*=27'.")
    return found
