"""``flatfare tail``: watch calls as they come, with what each cost."""

import json
import time

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, pass_settings
from flatfare.config import Settings
from flatfare.core.moments import datetime_of
from flatfare.core.money import dollar_text
from flatfare.service.arriving import document_of
from flatfare.store import arrivals
from flatfare.store.lake import Lake

POLL_S = 0.25
ROWS_MAX = 1000
_Row = dict[str, str | int | None]


@click.command()
@click.option(
    "-n", "last", type=click.IntRange(0), default=10, show_default=True, help="Show so many past calls first."
)
@click.option("--once", is_flag=True, help="Show the past calls and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each call.")
@pass_settings
def tail(settings: Settings, last: int, once: bool, as_json: bool) -> None:
    """Watch calls of the gateway as they come, with what each cost. Ctrl-C ends it."""
    with book_of(settings, create=True) as book:
        found = arrivals.past(book, Lake(settings.lake), max(last, 1))
        if not found.rows and not once:
            output.note("No calls yet. In another terminal: flatfare serve, and point your SDK at it.")
        seen = {row["id"] for row in found.rows}  # one that came meanwhile comes once
        rows = found.rows[-last:] if last else []
        while True:
            for row in rows:
                output.say(_json_line(row) if as_json else _line(row))
            if once:
                return
            found = arrivals.since(book, found.cursor, ROWS_MAX)
            rows = [row for row in found.rows if row["id"] not in seen]
            if found.rows:
                continue
            try:
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                return


def _line(row: _Row) -> str:
    moment = datetime_of(int(row["at_us"] or 0)).astimezone().strftime("%H:%M:%S")
    cost_nano = row["cost_nano"]
    cost = output.MISSING if cost_nano is None else dollar_text(int(cost_nano))
    if row["cost_state"] == "estimated":
        cost = f"~{cost}"
    model = row["model"] or row["model_asked"] or output.MISSING
    labels = " ".join(f"{key}={value}" for key, value in json.loads(str(row["labels"])).items())
    said = _remark(row)
    duration_s = int(row["duration_ms"] or 0) / 1000
    tokens = f"{row['input_tokens']:,} in {row['output_tokens']:,} out"
    line = f"{moment}  {cost:>11}  {row['provider']}/{model}  {tokens}  {duration_s:.2f} s"
    return "  ".join(part for part in (line, labels, said) if part)


def _remark(row: _Row) -> str:
    """What a person should know: that a call did not end well, or why its cost is not known."""
    if row["status"] != "ok":
        status = f" {row['http_status']}" if row["http_status"] else ""
        return f"[{row['status']}{status}]"
    return f"[cost unknown: {row['cost_reason']}]" if row["cost_nano"] is None else ""


def _json_line(row: _Row) -> str:
    return json.dumps(document_of(row), ensure_ascii=False, separators=(",", ":"))
