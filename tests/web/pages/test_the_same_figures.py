"""Whatever is asked, the page, the API and the command line say the same, to the last nano-dollar."""

import csv
import io
import json
import re
from itertools import product

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from flatfare.cli.root import root
from flatfare.config import Settings
from flatfare.core.money import dollar_text, nano_of, parse_amount
from flatfare.web.pages.periods import TITLES
from tests.web.pages.test_pages import Read

FILTERS = ([], ["team=search"], ["team=search", "team=legal", "customer=acme"])
KEYS = ("path", "model", "customer")
ASKED = [
    *product(TITLES, FILTERS[:2], ["path"], ["UTC"]),
    *product(["30d", "all"], FILTERS, KEYS, ["Europe/Berlin"]),
]


def _address(page: dict[str, object], filters: list[str], by: str, zone: str) -> str:
    ends = [f"{name}={page[name]}" for name in ("since", "until") if page[name]]
    return "&".join([f"by={by}", f"time_zone={zone}", *ends, *(f"filter={one}" for one in filters)])


def _told(settings: Settings, page: dict[str, object], filters: list[str], by: str, zone: str) -> str:
    words = ["report", "--by", by, "--time-zone", zone, "--json", "--limit", "0"]
    words += [word for name in ("since", "until") if page[name] for word in (f"--{name}", str(page[name]))]
    words += [word for one in filters for word in ("--filter", one)]
    place = ["--database", settings.database, "--lake", str(settings.lake)]
    answer = CliRunner().invoke(root, [*words, *place])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.mark.parametrize(("period", "filters", "by", "zone"), ASKED, ids=str)
def test_page_api_and_command_line_say_the_same(
    operator: TestClient, lively_settings: Settings, period: str, filters: list[str], by: str, zone: str
) -> None:
    query = "&".join([f"period={period}", f"by={by}", f"zone={zone}", *(f"filter={one}" for one in filters)])
    for _ in range(3):  # a task's window may close between one question and the next, but not each time
        page = operator.get(f"/overview.json?{query}").json()
        api = operator.get(f"/api/report?{_address(page, filters, by, zone)}").json()
        told = json.loads(_told(lively_settings, page, filters, by, zone))
        others = [operator.get(f"/{other}.json?{query}").json()["total"] for other in ("spend", "outcomes")]
        shown = Read(operator.get(f"/?{query}").text).text
        rows = csv.DictReader(io.StringIO(operator.get(f"/overview.csv?{query}&table=ranked").text))
        costs = [row["cost"] for row in rows]
        if operator.get(f"/overview.json?{query}").json()["rows"] == page["rows"]:
            break
    for name in ("rows", "total"):
        assert page[name] == api[name] == told[name]
    for total in others:
        assert (total["spend"], total["verified"]) == (api["total"]["spend"], api["total"]["verified"])
    assert dollar_text(nano_of(parse_amount(api["total"]["spend"])[0])) in shown
    assert costs == [row["cost"] or "" for row in told["rows"]]


def test_a_figure_of_the_page_is_the_rounded_one_of_the_data(operator: TestClient) -> None:
    page = operator.get("/overview.json?period=all").json()
    shown = Read(operator.get("/?period=all").text).text
    for row in page["rows"]:
        cost = row["cost_per_verified_outcome"]
        if cost is not None:
            text = dollar_text(nano_of(parse_amount(cost)[0]))
            assert re.search(rf"{re.escape(str(row['path']))} (≥ )?{re.escape(text)}", shown), (row, text)
