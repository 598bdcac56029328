"""``flatfare bought``: what vendors billed for outcomes, what was really bought, and what to dispute."""

import csv
import json
import os
from decimal import Decimal
from pathlib import Path

import click
import yaml

from flatfare.cli import output
from flatfare.cli.options import (
    Noun,
    book_of,
    format_options,
    lake_of,
    pass_settings,
    period_options,
    text_of,
)
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.definition import Definition
from flatfare.core.errors import BadInput, BadUsage, NotFound, StoreFailure
from flatfare.core.money import decimal_text, dollar_text, nano_of
from flatfare.service import clock
from flatfare.service.buying import accounting, disputing, vendors
from flatfare.service.buying.accounting import Account
from flatfare.service.buying.judging import DISPUTABLE, State
from flatfare.service.tasks import defining

_STATES = (
    Field("state", "What was billed", align="left"),
    Field("lines", "Lines"),
    Field("amount", "Amount"),
    Field("share", "Share"),
)
_VENDORS = (
    Field("key", "Vendor", align="left"),
    Field("unit", "Unit", align="left"),
    Field("price", "List price"),
    Field("decides", "Who decides", align="left"),
    Field("reversible", "Can it be turned", align="left"),
    Field("checked", "Checked"),
)
_WORDS = {
    State.VERIFIED: "verified by your own verifiers",
    State.ASSUMED: "assumed: only the vendor says so",
    State.REOPENED: "reopened",
    State.HANDED_OFF: "handed off to a person",
    State.FAILED: "failed by your own verifiers",
    State.DUPLICATE: "duplicate",
    State.UNMATCHED: "never matched to a ticket",
    State.OPEN: "window still open",
}
_CSV = ("vendor", "state", "lines", "amount")


@click.group(cls=Noun, shows="report")
def bought() -> None:
    """Outcomes that vendors billed, counted by somebody else than the vendor.

    Bring a statement in with: flatfare import bought FILE --vendor NAME --tickets FILE
    """


@bought.command("report")
@click.option("--vendor", metavar="NAME", help="Only this vendor.")
@click.option(
    "--definition",
    "definition_file",
    metavar="FILE",
    help="Judge all by this definition (YAML); else by the one in force when each was opened.",
)
@period_options
@format_options
@pass_settings
def show_report(
    settings: Settings,
    shape: str,
    since: int | None,
    until: int | None,
    vendor: str | None,
    definition_file: str | None,
) -> None:
    """What was billed, and what of it was verified, assumed, reopened or billed twice."""
    found = _accounts(settings, vendor, since, until, definition_file)
    if shape == "json":
        output.print_json([accounting.document_of(account) for account in found])
    elif shape == "csv":
        output.print_csv((row for account in found for row in _csv_rows(account)), _CSV)
    else:
        for account in found:
            _print_account(account)


@bought.command()
@click.option("--vendor", metavar="NAME", help="With this vendor; needed where there are several.")
@click.option("--out", required=True, metavar="FILE", help="A file that ends in .csv or .json.")
@click.option(
    "--include-assumed",
    "with_assumed",
    is_flag=True,
    help="Claim also what nobody but the vendor says was done.",
)
@click.option("--definition", "definition_file", metavar="FILE", help="Judge all by this definition (YAML).")
@period_options
@pass_settings
def dispute(
    settings: Settings,
    since: int | None,
    until: int | None,
    vendor: str | None,
    out: str,
    with_assumed: bool,
    definition_file: str | None,
) -> None:
    """Write the lines that should not have been billed to a file, with evidence and the amount claimed."""
    if Path(out).suffix.lower() not in (".csv", ".json"):
        raise BadUsage(f"Found --out {out}: name a file that ends in .csv or .json.")
    found = _accounts(settings, vendor, since, until, definition_file)
    if len(found) > 1:
        names = ", ".join(account.vendor for account in found)
        raise BadUsage(f"There are statements of several vendors ({names}): say which with --vendor NAME.")
    document = disputing.dispute_of(found[0], clock.now_us(), with_assumed=with_assumed)
    _write(Path(out), document)
    output.say(
        f"{out}: {document['lines_disputed']:,} of {document['lines_billed']:,} lines disputed, "
        f"{dollar_text(nano_of(Decimal(str(document['claimed']))))} claimed."
    )


@bought.command("vendors")
@format_options
def list_vendors(shape: str) -> None:
    """Vendors of outcomes, their units and list prices, with source and date."""
    rows = [
        {
            "key": one.key,
            "name": one.name,
            "unit": one.unit,
            "one_per_conversation": one.is_one_per_conversation,
            "price": decimal_text(one.price_nano),
            "price_note": one.price_note,
            "decides": one.decides,
            "rule": one.rule,
            "reversible": one.reversible,
            "source": one.source,
            "checked": one.checked,
            "also": list(one.also),
        }
        for one in vendors.listed()
    ]
    if shape != "table":
        output.print_documents(rows, shape)
    else:
        output.print_table(rows, _VENDORS)


def _accounts(
    settings: Settings, vendor: str | None, since: int | None, until: int | None, definition_file: str | None
) -> list[Account]:
    definition = _definition(definition_file) if definition_file else None
    with book_of(settings) as book:
        found = accounting.accounts(
            book,
            lake_of(settings),
            now_us=clock.now_us(),
            vendor=vendor,
            since_us=since,
            until_us=until,
            definition=definition,
        )
    if not found:
        whose = f" of {vendor}" if vendor else ""
        raise NotFound(
            f"There is no statement{whose} in this period. Bring one in: flatfare import bought FILE "
            "--vendor NAME"
        )
    return found


def _definition(file: str) -> Definition:
    try:
        return defining.of_document(yaml.safe_load(text_of(file)))
    except yaml.YAMLError as problem:
        raise BadInput(f"{file} is no YAML: {problem}") from None


def _print_account(account: Account) -> None:
    facts = vendors.vendor_of(account.vendor)
    paid = account.billed_nano + account.amount_nano(State.CREDIT)
    rows = [
        {
            "state": _WORDS[state],
            "lines": f"{account.count(state):,}",
            "amount": dollar_text(account.amount_nano(state)),
            "share": _share(account.amount_nano(state), account.billed_nano),
        }
        for state in _WORDS
        if account.count(state)
    ]
    billed = dollar_text(account.billed_nano)
    title = f"{facts.name}: {len(account.conversations):,} conversations, {billed} billed"
    output.print_table(rows, _STATES, title)
    if account.count(State.CREDIT):
        output.say(f"Credited: {dollar_text(-account.amount_nano(State.CREDIT))}; paid {dollar_text(paid)}.")
    output.say(_price_sentence(account))
    judged, verified = account.judged
    matured = account.row.n
    if judged < matured:
        output.note(
            f"Judged by a verifier of your own: {judged:,} of {matured:,} conversations, {verified:,} "
            "verified. The others are assumed, which is not verified: flatfare import verdicts FILE --source "
            f"{account.lines[0].line.source}"
        )
    if claimable := account.amount_nano(*DISPUTABLE):
        output.say(
            f"Disputable: {dollar_text(claimable)} in {account.count(*DISPUTABLE):,} lines "
            f"(flatfare bought dispute --vendor {account.vendor} --out dispute.csv)."
        )
    for one in account.own:
        output.say(one.sentence)
    output.say()


def _price_sentence(account: Account) -> str:
    facts, cost = vendors.vendor_of(account.vendor), account.row.cost_per_verified_nano
    price = "—" if account.price_nano is None else dollar_text(account.price_nano)
    listed = f", list price {dollar_text(facts.price_nano)}" if facts.price_nano is not None else ""
    said = f"A unit costs {price}{listed}; "
    if cost is None:
        return said + "what a verified outcome costs is not known: none was verified."
    ratio = account.row.cost_per_verified
    interval = ratio.interval if ratio else None
    within = ""
    if interval is not None and interval.high is not None:
        within = f" (95 % interval {dollar_text(round(interval.low))}–{dollar_text(round(interval.high))})"
    return said + f"a verified outcome costs {dollar_text(cost)}{within}."


def _share(part: int, whole: int) -> str | None:
    return f"{100 * part / whole:.1f} %" if whole else None


def _csv_rows(account: Account) -> list[dict[str, object]]:
    return [
        {
            "vendor": account.vendor,
            "state": str(state),
            "lines": account.count(state),
            "amount": decimal_text(account.amount_nano(state)),
        }
        for state in State
    ]


def _write(path: Path, document: dict[str, object]) -> None:
    """Write the dispute, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8", newline="") as stream:
            if path.suffix.lower() == ".json":
                json.dump(document, stream, ensure_ascii=False, indent=2)
                stream.write("\n")
            else:
                writer = csv.DictWriter(stream, disputing.COLUMNS, extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
                writer.writerows(
                    {name: output.csv_cell(row.get(name)) for name in disputing.COLUMNS}
                    for row in disputing.rows_of(document)
                )
        aside.replace(path)
    except OSError as problem:
        raise StoreFailure(f"{path} cannot be written: {problem.strerror}.") from problem
    finally:
        aside.unlink(missing_ok=True)
