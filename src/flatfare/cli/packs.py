"""``flatfare packs``: what is sold in advance, such as ten blog posts for $20."""

from collections.abc import Mapping

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, new_id, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core.currency import parse_in, payable_text
from flatfare.core.grant import PRIORITY
from flatfare.service import clock, selling
from flatfare.service.selling import showing


@click.group(cls=Noun)
def packs() -> None:
    """Packs: units of an action, or credit, sold in advance.

    A pack never changes: a new price is a new pack, and what was sold stays as it was sold.
    """


@packs.command()
@click.argument("name")
@click.option("--price", required=True, metavar="20.00", help="What it costs.")
@click.option("--currency", default="USD", show_default=True, metavar="CODE", help="Of its price.")
@click.option("--units", type=int, help="How many sales of the action it pays for.")
@click.option("--action", "actions", multiple=True, metavar="NAME", help="Which action; several, or all.")
@click.option("--credit", metavar="25.00", help="Credit in place of units; its price, if not said.")
@click.option("--expires-days", type=int, help="So many days after it was bought; never, if not said.")
@click.option("--priority", type=int, default=PRIORITY, show_default=True, help="Lower is drawn first.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@format_options
@pass_settings
def create(
    settings: Settings,
    name: str,
    price: str,
    currency: str,
    units: int | None,
    actions: tuple[str, ...],
    credit: str | None,
    expires_days: int | None,
    priority: int,
    reason: str | None,
    shape: str,
) -> None:
    """Offer the pack NAME."""
    with book_of(settings, create=True) as book:
        made = selling.packs.create(
            book,
            name=name,
            price_nano=parse_in(price, currency),
            currency=currency,
            units=units,
            actions=actions,
            credit_nano=None if credit is None else parse_in(credit, currency),
            expires_days=expires_days,
            priority=priority,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
    if shape == "json":
        output.print_json(showing.pack_document(made))
    else:
        what = f"{made.units} × {', '.join(made.actions)}" if made.units else "credit"
        output.say(
            f"{made.name}: {what} for {payable_text(made.price_nano, currency)} {currency}. "
            f"Sell it: flatfare packs sell {made.name} CUSTOMER"
        )


@packs.command()
@click.argument("name")
@click.argument("customer")
@click.option(
    "--paid",
    type=click.Choice(["cash", "invoice", "promotion"]),
    default="cash",
    show_default=True,
    help="Paid, to be invoiced, or given away.",
)
@click.option("--id", "given_id", metavar="UUID", help="The same twice is one purchase.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@format_options
@pass_settings
def sell(
    settings: Settings,
    name: str,
    customer: str,
    paid: str,
    given_id: str | None,
    reason: str | None,
    shape: str,
) -> None:
    """Sell the pack NAME to CUSTOMER: a lot that sales draw from, in the order that the guide states."""
    now_us = clock.now_us()
    with book_of(settings) as book:
        lot = selling.grant_pack(
            book,
            grant_id=new_id(given_id),
            customer=customer,
            pack=name,
            at_us=now_us,
            paid=paid,
            by_whom=user_name(),
            reason=reason,
        )
    document = showing.grant_document(lot)
    if shape == "json":
        output.print_json(document)
    else:
        until = f" until {document['expires_at']}" if lot.expires_at_us else ""
        output.say(f"{customer} has {name}{until} ({lot.id}).")


@packs.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def withdraw(settings: Settings, name: str, reason: str | None) -> None:
    """Offer NAME no more; what was sold of it stays good."""
    with book_of(settings) as book:
        selling.packs.withdraw(book, name, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{name} is offered no more.")


_FIELDS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("price", "price"),
    output.Field("currency", "", "left"),
    output.Field("units", "units"),
    output.Field("actions", "for", "left"),
    output.Field("credit", "credit"),
    output.Field("expires_days", "expires after days"),
    output.Field("withdrawn_at", "withdrawn", "left"),
)


@packs.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List every pack there ever was."""
    with book_of(settings, create=True) as book:
        documents = [showing.pack_document(pack) for pack in selling.packs.listed(book)]
    rows: list[dict[str, object]] = []
    for document in documents:
        actions = document["actions"]
        assert isinstance(actions, list)
        rows.append({**document, "actions": ", ".join(actions) or "all"})
    output.print_list(
        rows,
        _FIELDS,
        shape,
        nothing="No packs yet. Offer one: flatfare packs create NAME --price 20 --units 10 --action NAME",
        documents=documents,
        read=_read,
    )


def _read(row: Mapping[str, object]) -> dict[str, object]:
    currency = str(row["currency"])
    amounts = {key: row[key] for key in ("price", "credit") if isinstance(row[key], str)}
    return {**row} | {
        key: payable_text(parse_in(str(text), currency), currency) for key, text in amounts.items()
    }
