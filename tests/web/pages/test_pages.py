"""Pages: what each shows, in which shapes, and that its figures are those of the report."""

import csv
import io
import json
import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.core.money import NANO, dollar_text, nano_of, parse_amount
from flatfare.store.book import open_book
from flatfare.web.pages import drawing
from flatfare.web.pages.money import nano_text
from flatfare.web.pages.navigation import PAGES
from tests.builders import call, task, write_calls, write_tasks
from tests.web.conftest import COOKIE, TOKEN, looking
from tests.web.lively import HOSTILE, Settings, empty

PLAIN = [page for page in PAGES if "{" not in page.path]
WEIGHT_MAX = 150_000


class Read(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def links_of(text: str) -> list[str]:
    return [
        str(attributes["href"]) for tag, attributes in Read(text).tags if tag == "a" and attributes["href"]
    ]


def some_task(client: TestClient) -> str:
    found = client.get("/tasks.json?limit=1&sort=cost&filter=action%3Dresolve-ticket").json()["tasks"]
    return str(found[0]["task"])


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
@pytest.mark.parametrize("book", ["operator", "newcomer"])
def test_a_page_is_plain_html_that_loads_nothing_from_elsewhere(
    page: object, book: str, request: pytest.FixtureRequest
) -> None:
    client: TestClient = request.getfixturevalue(book)
    answer = client.get(page.path)  # type: ignore[attr-defined]
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) < WEIGHT_MAX
    for tag, attributes in Read(answer.text).tags:
        assert "style" not in attributes, (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert tag != "style"
        if tag == "script":
            assert attributes.get("src", "").startswith("/assets/")  # type: ignore[union-attr]
        for name in ("src", "href", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("/", "#", "?")), (tag, value)


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
@pytest.mark.parametrize("book", ["operator", "newcomer"])
def test_every_link_of_a_page_leads_somewhere(
    page: object, book: str, request: pytest.FixtureRequest
) -> None:
    client: TestClient = request.getfixturevalue(book)
    found = links_of(client.get(page.path).text)  # type: ignore[attr-defined]
    kinds: dict[str, str] = {}  # one of each kind: a table has fifty of the same
    for address in sorted(found):
        if not address.startswith("#"):
            kinds.setdefault(re.sub(r"[=/][^&/]*", "", address), address)
    for address in kinds.values():
        answer = client.get(address)
        assert answer.status_code in (200, 303), (address, answer.text[:300])


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
def test_a_page_is_also_json_and_csv(page: object, operator: TestClient) -> None:
    base = "/overview" if page.path == "/" else page.path  # type: ignore[attr-defined]
    document = operator.get(f"{base}.json")
    assert document.status_code == 200
    assert isinstance(document.json(), dict)
    rows = operator.get(f"{base}.csv")
    assert rows.status_code == 200, rows.text
    assert rows.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(list(csv.reader(io.StringIO(rows.text)))) > 1


@pytest.mark.parametrize("query", ["", "?period=90d&filter=team%3Dsearch", "?by=customer&period=all"])
def test_the_overview_s_figures_are_those_of_the_report(operator: TestClient, query: str) -> None:
    page = operator.get(f"/overview.json{query}").json()
    asked = f"since={page['since']}" if page["since"] else ""
    filters = "&filter=team%3Dsearch" if "team" in query else ""
    by = "customer" if "by=customer" in query else "path"
    report = operator.get(f"/api/report?by={by}&{asked}{filters}").json()
    for key in ("rows", "total"):
        assert page[key] == report[key]
    shown = Read(operator.get(f"/{query}").text).text
    total = report["total"]
    for figure in ("cost_per_verified_outcome", "spend"):
        assert dollar_text(nano_of(parse_amount(total[figure])[0])) in shown
    assert f"{total['verified']:,}" in shown


def test_spend_adds_up_over_any_key(operator: TestClient) -> None:
    by_model = operator.get("/spend.json?period=all").json()
    by_team = operator.get("/spend.json?period=all&by=team").json()
    assert by_model["total"]["spend"] == by_team["total"]["spend"]
    parts = (by_model["anatomy"]["cost"], by_model["total"]["rework_cost"])
    whole = sum(nano_of(parse_amount(part)[0]) for part in parts)
    assert whole == nano_of(parse_amount(by_model["total"]["spend"])[0])
    nano = sum(nano_of(parse_amount(row["spend"])[0]) for row in by_team["rows"])
    assert nano == nano_of(parse_amount(by_team["total"]["spend"])[0])


@pytest.mark.parametrize("key", ["model", "provider", "purpose"])
def test_rows_taken_together_over_time_are_those_of_the_report(operator: TestClient, key: str) -> None:
    shown = Read(operator.get(f"/spend?period=all&by={key}").text).text
    for row in operator.get(f"/api/report?by={key}&sort=spend").json()["rows"]:
        value = row[key] or "not given"
        spend = dollar_text(nano_of(parse_amount(row["spend"])[0]))
        assert re.search(rf"{re.escape(value)} (≥ )?{re.escape(spend)}", shown), (value, spend)


@pytest.mark.parametrize("key", ["day", "week", "month", "quarter", "year"])
def test_spend_is_shown_by_any_period(operator: TestClient, key: str) -> None:
    whole = operator.get("/spend.json?period=all").json()["total"]["spend"]
    for period in ("all", "year", "30d"):
        address = f"period={period}&by={key}"
        assert operator.get(f"/spend?{address}").status_code == 200
        assert operator.get(f"/spend/charts/spend.json?{address}").status_code in (200, 404)
    found = operator.get(f"/spend.json?period=all&by={key}").json()
    assert sum(nano_of(parse_amount(row["spend"])[0]) for row in found["rows"]) == nano_of(
        parse_amount(whole)[0]
    )


def test_spend_tells_what_calls_are_made_of_and_how_they_ended(operator: TestClient) -> None:
    found = operator.get("/spend.json?period=all").json()["anatomy"]
    assert set(found["units"]) == {"input", "cache_read", "output", "reasoning", "web_search"}
    assert sum(one["calls"] for one in found["endings"]) == found["calls"]
    shown = Read(operator.get("/spend?period=all").text).text
    assert "Reasoning" in shown
    assert f"{int(found['units']['reasoning']):,}" in shown


def test_outcomes_count_every_task_once(operator: TestClient) -> None:
    found = operator.get("/outcomes.json?period=all").json()
    counted = found["funnel"]
    states = ("verified", "failed", "assumed", "reversed", "open")
    assert sum(counted[state] for state in states) == counted["attempted"]
    assert counted["attempted"] == found["total"]["tasks"] + found["total"]["open"]
    assert counted == operator.get("/api/funnel").json()["total"]
    assert operator.get("/outcomes.json?period=all&filter=model%3Dgpt-5").json()["funnel"] is None


def test_a_list_of_tasks_adds_up_to_the_report(operator: TestClient) -> None:
    listed = operator.get("/tasks.json?period=all&filter=outcome%3Dverified").json()["tasks"]
    report = operator.get("/api/report?by=path").json()["total"]
    assert len(listed) == report["verified"]
    rows = list(csv.DictReader(io.StringIO(operator.get("/tasks.csv?period=all").text)))
    assert len(rows) == report["tasks"] + report["open"]


def test_a_task_s_story_says_what_it_cost_and_holds_it_against_its_neighbours(operator: TestClient) -> None:
    task = some_task(operator)
    story = operator.get(f"/tasks/{task}.json").json()
    shown = Read(operator.get(f"/tasks/{task}").text).text
    assert dollar_text(nano_of(parse_amount(story["cost"]["at_least"])[0])) in shown
    assert "times the median" in shown
    assert story["neighbours"]["sentence"] in shown
    assert story["neighbours"] == operator.get(f"/api/tasks/{task}").json()["neighbours"]
    assert shown.count("gpt-5") >= story["calls_n"]
    rows = list(csv.DictReader(io.StringIO(operator.get(f"/tasks/{task}.csv?table=calls").text)))
    assert len(rows) == story["calls_n"]


def test_a_task_that_was_sold_shows_what_became_of_its_price(operator: TestClient) -> None:
    (task, *_) = operator.get("/tasks.json?period=all&filter=settlement%3Dsettled").json()["tasks"]
    story = operator.get(f"/tasks/{task['task']}.json").json()
    shown = Read(operator.get(f"/tasks/{task['task']}").text).text
    assert "Settlement: settled" in shown
    for said in ("quoted", "held", "settled", "Earned", "$5.00", story["sale"]["customer"]):
        assert said in shown
    assert sum(float(one["amount"]) for one in story["sale"]["entries"][0]["postings"]) == 0
    for said in ("Attempt 1, small", "Attempt 2, large", "no-promises", "an attempt", "a verdict"):
        assert said in shown  # on the timeline, though no call is known


def test_charts_come_as_picture_and_specification(operator: TestClient) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    for address in ("/overview/charts/prices", "/spend/charts/spend", "/outcomes/charts/frontier"):
        light = operator.get(f"{address}.svg")
        assert light.headers["content-type"] == "image/svg+xml"
        assert light.text.startswith("<svg")
        dark = operator.get(f"{address}.svg?theme=dark&frame=narrow").text
        assert dark.startswith("<svg")
        assert dark != light.text
        middle = operator.get(f"{address}.json?frame=middle").json()
        panels = middle.get("vconcat", [middle])
        assert [panel["width"] for panel in panels] == [640] * len(panels)
        assert operator.get(f"{address}.png").content.startswith(b"\x89PNG")
        assert operator.get(f"{address}.json").json()["config"]["font"]
    assert operator.get("/overview/charts/nothing.svg").status_code == 404
    assert operator.get("/overview/charts/prices.gif").status_code == 404
    assert operator.get("/overview/charts/prices.svg?theme=pink").status_code == 400


def test_the_charts_script_comes_with_the_drawing_library(operator: TestClient) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    answer = operator.get("/assets/charts.js")
    assert answer.status_code == 200
    assert "vegaEmbed" in answer.text
    assert "immutable" in answer.headers["cache-control"]


def test_without_the_drawing_library_every_figure_still_stands(
    operator: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    shown = operator.get("/").text
    assert "<picture>" not in shown
    assert "pip install" in shown
    assert "Price of tokens against price of outcomes" in shown


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: page.name)
def test_what_somebody_wrote_stays_text(page: object, operator: TestClient) -> None:
    takes_period = page.narrows and page.name != "settings"  # type: ignore[attr-defined]
    query = "?period=all" if takes_period else ""
    shown = operator.get(f"{page.path}{query}").text  # type: ignore[attr-defined]
    assert HOSTILE not in shown
    assert "<script>alert" not in shown


def test_a_hostile_label_is_shown_and_filtered_by_as_text(operator: TestClient) -> None:
    query = "?by=customer&period=all"
    read = Read(operator.get(f"/spend{query}").text)
    assert HOSTILE in read.text
    (link,) = [
        one for one in links_of(operator.get(f"/spend{query}").text) if "script" in one and "filter" in one
    ]
    alone = operator.get(str(link))
    assert alone.status_code == 200
    assert HOSTILE not in alone.text
    assert HOSTILE in Read(alone.text).text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/?period=yesteryear", "no period"),
        ("/?utm=1", "does not take"),
        ("/?since=2026-02-30", "2026-02-30"),
        ("/?since=2026-03-01&until=2026-02-01", "turn them round"),
        ("/?until=9999-12-31", "9999"),
        ("/?filter=team", "key=value"),
        ("/?by=nonsense", "no key"),
        ("/?zone=Mars/Olympus", "no time zone"),
        ("/?limit=-1", "number of rows"),
        ("/?period=7d&period=30d", "more than once"),
        ("/?sort=beauty", "no order"),
        ("/tasks?filter=model%3Dgpt-5", "cannot be filtered"),
        ("/tasks/nobody", "no task"),
        ("/prices/openai/no-such-model", "no-such-model"),
    ],
)
def test_what_cannot_be_answered_says_why_on_a_page(operator: TestClient, address: str, said: str) -> None:
    answer = operator.get(address)
    assert answer.status_code in (400, 404)
    assert said in Read(answer.text).text
    assert "content-security-policy" in answer.headers


def test_where_nothing_is_a_browser_is_shown_a_page_and_a_program_a_document(operator: TestClient) -> None:
    page = operator.get("/nothing<b>", headers={"accept": "text/html,*/*"})
    assert page.status_code == 404
    assert "There is nothing at /nothing" in Read(page.text).text
    assert "<b>" not in page.text
    for path, accept in (("/nothing", "*/*"), ("/api/nothing", "text/html")):
        told = operator.get(path, headers={"accept": accept})
        assert (told.status_code, told.headers["content-type"]) == (404, "application/problem+json")


def test_filters_period_and_zone_go_along_from_page_to_page(operator: TestClient) -> None:
    text = operator.get("/?period=90d&filter=team%3Dsearch&zone=Europe/Berlin&by=model").text
    spend = next(one for one in links_of(text) if one.startswith("/spend?"))
    for part in ("period=90d", "filter=team=search", "zone=Europe/Berlin"):
        assert part in spend
    assert "by=" not in spend
    assert "Europe/Berlin" in Read(text).text


def test_every_page_says_as_of_when_and_in_which_zone(operator: TestClient) -> None:
    for page in PLAIN:
        assert re.search(r"As of \d{4}-\d\d-\d\d \d\d:\d\d UTC", Read(operator.get(page.path).text).text)


def test_unknown_reads_as_a_dash_that_leads_to_why(operator: TestClient) -> None:
    found = operator.get("/unknown.json?period=all").json()["unknown"]
    assert "no price" in {one["reason"] for one in found}
    page = Read(operator.get("/unknown?period=all").text).text
    assert "no price" in page
    shown = operator.get("/?period=all").text
    assert 'href="/unknown' in shown


def test_every_task_whose_cost_is_not_known_has_its_reason(operator: TestClient) -> None:
    tasks = operator.get("/tasks.json?period=all").json()["tasks"]
    lacking = [one for one in tasks if one["cost"]["reason"]]
    stories = [operator.get(f"/tasks/{one['task']}.json").json() for one in lacking]
    untold = [one for one in stories if not any(call["purpose"] == "work" for call in one["calls"])]
    assert len(untold) > 6
    found = operator.get("/unknown.json?period=all").json()["unknown"]
    said = {one["reason"]: one["count"] for one in found if one["of_what"] == "tasks"}
    assert said == {"no call names the task, and its source gives no cost": len(untold)}
    alone = operator.get("/unknown.json?period=all&filter=action%3Dcontract-review").json()["unknown"]
    assert [one["count"] for one in alone] == [6]


def test_an_empty_book_shows_the_three_ways_in(newcomer: TestClient) -> None:
    read = Read(newcomer.get("/").text)
    for way in ("Gateway", "SDK", "Import", "Waiting for the first call"):
        assert way in read.text
    assert newcomer.get("/overview.json").json() == {"is_empty": True, "ways": ["gateway", "sdk", "import"]}


@pytest.mark.parametrize("path", ["/tasks", "/outcomes", "/spend", "/prices", "/unknown"])
def test_an_empty_page_of_an_empty_book_names_the_next_command(newcomer: TestClient, path: str) -> None:
    assert "flatfare import tasks FILE" in Read(newcomer.get(path).text).text


def test_a_chart_without_enough_verified_says_so(operator: TestClient) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    few = "period=7d&filter=path%3Dagents%20in%20a%20circle"
    drawn = operator.get(f"/overview/charts/prices.svg?{few}").text
    assert "too few to say what one costs" in drawn
    assert "too few" not in operator.get("/overview/charts/prices.svg").text


def test_an_action_s_page_says_what_its_sales_came_to(operator: TestClient) -> None:
    (row,) = operator.get("/actions.json").json()["versions"]
    assert (row["sales"], row["earned"], row["margin"]) == (6, "25.000000000", "22.500000000")
    assert operator.get("/actions/contract-review.json").json()["sold"]["earned"] == "25.000000000"
    shown = Read(operator.get("/actions/contract-review").text).text
    for said in ("Sold 6", "Earned $25.00", "Margin $22.50", "At risk $5.00"):
        assert said in shown


def test_an_amount_of_a_bill_stands_in_cents_where_it_is_whole() -> None:
    assert [nano_text(nano, "USD") for nano in (50_000_000, -5 * NANO, 1_234 * NANO, 12_345_678)] == [
        "$0.05",
        "−$5.00",
        "$1,234.00",
        "$0.0123",
    ]
    assert nano_text(2 * NANO, "EUR") == "2.00 EUR"


def test_where_there_is_little_room_figures_stand_in_columns(operator: TestClient) -> None:
    def classes(path: str) -> list[str | None]:
        tags = Read(operator.get(path).text).tags
        return [attributes.get("class") for tag, attributes in tags if tag == "table"]

    assert classes("/tasks") == [None]  # path, opened, outcome, cost
    assert "three" in classes("/prices")  # provider, input, cached, output, spend
    said = [attributes for tag, attributes in Read(operator.get("/audit").text).tags if tag == "td"]
    assert any("long" in str(one["class"]) for one in said if one["data-label"] == "Says")


def test_the_token_goes_into_a_cookie_and_out_of_the_address(lively_settings: Settings) -> None:
    with looking(lively_settings, has_token=False) as client:
        answer = client.get(f"/?token={TOKEN}&period=7d")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?period=7d"
        cookie = answer.headers["set-cookie"]
        for part in (f"{COOKIE}={TOKEN}", "HttpOnly", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert client.get("/?token=another").status_code == 401


def test_prices_show_history_and_who_says_so(operator: TestClient) -> None:
    shown = Read(operator.get("/prices/openai/gpt-5").text).text
    assert "Every statement" in shown
    assert "genai-prices" in shown
    found = operator.get("/prices.json?like=gpt-5-mini&provider=openai").json()["models"]
    assert "gpt-5-mini" in [one["model"] for one in found]


def test_the_audit_calls_ids_by_their_names(operator: TestClient) -> None:
    records = operator.get("/audit.json?kind=budget").json()["records"]
    named = next(one for one in records if one["kind"] == "budget.created")
    assert named["name"]
    assert named["subject"] != named["name"]
    shown = operator.get("/audit?kind=budget").text
    assert named["name"] in shown
    assert named["subject"] not in shown


def test_a_call_leads_to_the_prices_it_was_costed_with(operator: TestClient) -> None:
    (kept,) = operator.get("/prices/version.json").json()["versions"]
    assert kept["model"] == "claude-sonnet-4-5"
    tasks = operator.get("/tasks.json?filter=path%3Dlarge%20alone&period=all&limit=1").json()["tasks"]
    page = f"/tasks/{tasks[0]['task']}"
    calls = operator.get(f"{page}.json").json()["calls"]
    assert {call["price_version"] for call in calls} == {kept["version"]}
    text = operator.get(page).text
    (link,) = {link for link in links_of(text) if link.startswith("/prices/version?of=")}
    shown = Read(operator.get(link).text).text
    assert kept["version"] in shown
    assert "3.00 per 1,000,000 tokens" in shown
    table = operator.get(f"{page}.csv?table=calls").text.splitlines()
    assert table[0].endswith(",cost,cost_basis,price_version")
    assert table[1].endswith(kept["version"])


def test_the_api_tells_the_prices_of_a_version_or_that_it_has_none(operator: TestClient) -> None:
    (kept,) = operator.get("/prices/version.json").json()["versions"]
    found = operator.get("/api/prices/version", params={"version": kept["version"]}).json()["prices"]
    assert [terms["version"] for terms in found] == [kept["version"]]
    assert {row["unit"]: row["rate"] for row in found[0]["rates"]}["output"] == "15.00"
    gone = kept["version"][:-12] + "0" * 12
    assert operator.get("/api/prices/version", params={"version": gone}).status_code == 404
    assert operator.get("/api/prices/version", params={"version": "gpt-4o"}).status_code == 400
    assert "does not have the prices" in operator.get("/prices/version", params={"of": gone}).text


def test_a_csv_holds_no_formula(operator: TestClient) -> None:
    text = operator.get("/tasks.csv?period=all&limit=5").text
    assert not re.search(r"(^|,)[=+@]", text, re.MULTILINE)


def test_the_document_of_the_page_is_valid_json(operator: TestClient) -> None:
    for page in PLAIN:
        base = "/overview" if page.path == "/" else page.path
        json.loads(operator.get(f"{base}.json").content)


def test_a_model_without_a_price_has_no_spend_of_zero(tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="needs the web extra")
    settings = empty(tmp_path)
    with open_book(settings.database) as book:
        write_tasks(book, [task("one", opened_at_us=time.time_ns() // 1000)])
        made = {"model": "in-house-7b", "provider": "openai", "at_us": time.time_ns() // 1000}
        write_calls(book, [call("first", "one", None, **made)])
    with looking(settings) as client:
        shown = Read(client.get("/prices").text).text
    assert "in-house-7b no price in the book" in shown
    assert "$0.00" not in shown


def test_files_and_pictures_travel_packed_and_pages_never(operator: TestClient) -> None:
    for address in ("/assets/dashboard.css", "/assets/dashboard.js"):
        small = operator.get(address, headers={"accept-encoding": "gzip"})
        plain = operator.get(address, headers={"accept-encoding": "identity"})
        assert small.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == small.headers["vary"] == "accept-encoding"
        assert small.text == plain.text
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    page = operator.get("/", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in page.headers  # it holds a secret beside what somebody wrote


def test_a_page_with_its_files_and_pictures_stays_light(operator: TestClient) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    for path in ("/?limit=50", "/outcomes", "/spend"):
        page = operator.get(path)
        pictures = re.findall(r'<img src="([^"]+)"', page.text)
        files = [*map(unescape, pictures), "/assets/dashboard.css", "/assets/dashboard.js"]
        sizes = [int(operator.get(file).headers["content-length"]) for file in files]
        assert len(page.content) + sum(sizes) < WEIGHT_MAX
