"""Every page in a real Chromium: light and dark, wide and narrow, by keyboard alone, and for everybody."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from flatfare.core.checks.submission import Submission
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.store.book import open_book
from flatfare.web.pages.navigation import PAGES
from tests.builders import call, task, write_calls, write_tasks
from tests.web.browser.conftest import Seen, opened, picture, served
from tests.web.conftest import PASSWORD, let_in
from tests.web.lively import HOSTILE, empty, lively

AXE = "axe-core@4.11.0"
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""All that a page of one theme can lack and the same page of the other has."""

PLAIN = [page.path for page in PAGES if "{" not in page.path]
SHAPES = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]
INSIDE = [
    "a task with calls",
    "a task with verdicts",
    "/actions/contract-review",
    "a run of an action",
    "/customers/acme",
    "/customers/acme/statement",
    "an invoice",
    "/prices/openai/gpt-5",
]
DEMO = ["/", "/outcomes", "/spend", "/tasks", "/actions", "/unknown"]


_CONTROLS = """[...document.querySelectorAll('main a, main button')].filter((one) => one.checkVisibility())
    .map((one) => [one.textContent, one.getBoundingClientRect().left, one.getBoundingClientRect().right])"""


def _looks() -> list[tuple[str, str]]:
    looks = [(book, path) for book in ("lively", "empty") for path in PLAIN]
    looks += [("demo", path) for path in DEMO]
    return [
        *looks,
        ("lively", "/spend?by=team&period=90d&filter=customer%3Dacme"),
        *(("lively", path) for path in INSIDE),
    ]


def _address(page: Any, address: str, path: str) -> str:
    if path == "a run of an action":
        return address + _run(page, address)
    if path == "an invoice":
        (invoice,) = page.request.get(f"{address}/customers/acme.csv?table=invoices").text().splitlines()[1:]
        return f"{address}/invoices/{invoice.partition(',')[0]}"
    kinds = {"a task with calls": "resolve-ticket", "a task with verdicts": "contract-review"}
    if path not in kinds:
        return address + path
    query = f"limit=2&sort=cost&period=all&filter=action%3D{kinds[path]}"
    found = page.request.get(f"{address}/tasks.json?{query}").json()
    return f"{address}/tasks/{found['tasks'][0]['task']}"


def _run(page: Any, address: str) -> str:
    """Where the receipt of a run stands; the first to ask for it has the action carried out."""
    place = f"{address}/actions/word-count"
    if not page.request.get(f"{place}.json").json()["runs"]:
        mark = re.search(r'name="mark" value="([0-9a-f]+)"', page.request.get(place).text())
        assert mark is not None
        sent = {"input": '{"text": "one two two three"}', "customer": "acme", "mark": mark[1]}
        came = page.request.post(f"{place}/runs", form=sent, headers={"origin": address})
        if "verified" not in came.text():
            pytest.skip("no command can be contained on this machine")
    (run,) = page.request.get(f"{place}.json").json()["runs"]
    return f"/runs/{run['id']}"


def _shown() -> list[tuple[str, str, str, int]]:
    """Every look in every shape; of the empty book and the demo's two shapes do."""
    few = (("light", 1440), ("dark", 390))
    return [
        (book, path, theme, width)
        for book, path in _looks()
        for theme, width in (SHAPES if book == "lively" else few)
    ]


@pytest.mark.parametrize(("book", "path", "theme", "width"), _shown())
def test_a_page_shows_without_an_error_and_without_a_scroll_bar_below(
    browser: Any, addresses: dict[str, str], book: str, path: str, theme: str, width: int
) -> None:
    address = addresses[book]
    page = opened(browser, address, width=width, theme=theme)
    seen = Seen(address)
    seen.watch(page)
    answer = page.goto(_address(page, address, path), wait_until="load")
    assert answer.status == 200
    page.evaluate("Promise.all([...document.images].map((one) => one.decode()))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for words, left, right in page.evaluate(_CONTROLS):
        assert left >= -1, words
        assert right <= width + 1, words
    picture(page, f"{book}{path}-{theme}-{width}".replace("/", "-"))
    seen.check()
    page.context.close()


def test_a_chart_answers_when_it_is_touched(browser: Any, addresses: dict[str, str]) -> None:
    for path in ("/", "/spend", "/outcomes"):
        page = opened(browser, addresses["lively"])
        seen = Seen(addresses["lively"])
        seen.watch(page)
        page.goto(addresses["lively"] + path)
        page.hover("[data-chart] .picture")
        page.wait_for_selector("[data-alive=yes] .picture svg", state="attached")
        marks = page.locator("[data-alive=yes] svg .mark-symbol path, [data-alive=yes] svg .mark-rect path")
        marks.first.hover(force=True)
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert "$" in page.inner_text("#vg-tooltip-element")
        seen.check()
        page.context.close()


def test_filter_and_drill_down_by_keyboard_alone(browser: Any, addresses: dict[str, str]) -> None:
    page = opened(browser, addresses["lively"])
    page.goto(addresses["lively"] + "/spend?by=team")
    page.keyboard.press("f")
    assert page.evaluate("document.activeElement.matches('[data-filter-key]')")
    page.select_option("[data-filter-key]", "customer")
    page.wait_for_selector("datalist option[value=acme]", state="attached")
    page.keyboard.press("Tab")
    page.keyboard.type("acme")
    page.keyboard.press("Enter")
    page.wait_for_url("**filter=customer*acme*")
    assert "customer = acme" in page.inner_text(".chips")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.textContent")
    assert first in ("search", "support", "legal")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**filter=team*{first}*")
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('summary')")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.focus(".chips a")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "acme" not in url)
    page.context.close()


def test_a_click_anywhere_on_a_row_leads_on(browser: Any, addresses: dict[str, str]) -> None:
    page = opened(browser, addresses["lively"])
    page.goto(addresses["lively"] + "/")
    page.click("section.part tbody tr:first-child td:last-child", position={"x": 4, "y": 4})
    page.wait_for_url("**filter=path*")
    page.context.close()


def test_a_newcomer_finds_what_a_newcomer_looks_for(browser: Any, addresses: dict[str, str]) -> None:
    page = opened(browser, addresses["demo"])
    page.goto(addresses["demo"])
    # the dearest path that mostly fails: the first row of the first table
    assert "agents in a circle" in page.inner_text("section.part tbody tr >> nth=0")
    # the team over its budget: on the first page, and by a click
    assert "The budget legal team is 1" in page.inner_text(".concerns")
    page.click("nav[aria-label=Sections] >> text=Budgets")
    assert "legal" in page.inner_text("dl.figures > div:has-text('Used up')")
    # why one task cost so much more than its neighbours
    page.click("nav[aria-label=Sections] >> text=Tasks")
    page.click("thead >> text=Cost")
    page.wait_for_url("**sort=cost*")
    page.click("tbody tr >> nth=0")
    page.wait_for_url("**/tasks/*")
    assert "times the median" in page.inner_text("dl.figures")
    assert "times as many calls" in page.inner_text("p.lede")
    # what one customer's next invoice will say
    page.click("nav[aria-label=Sections] >> text=Customers")
    page.click("tbody >> text=acme")
    page.wait_for_url("**/customers/acme")
    assert "The next invoice, of" in page.inner_text("main")
    picture(page, "a newcomer at the end")
    page.context.close()


def test_without_scripts_every_figure_is_there(browser: Any, addresses: dict[str, str]) -> None:
    page = opened(browser, addresses["lively"], java_script_enabled=False)
    page.goto(addresses["lively"] + "/spend")
    page.click("details.menu summary >> nth=0")
    page.click("text=Last 90 days")
    assert "period=90d" in page.url
    page.click("text=The figures as a table")
    assert page.locator("figure table tbody tr").count() > 5
    page.context.close()


def test_the_first_call_shows_itself(browser: Any, tmp_path: Path) -> None:
    settings = empty(tmp_path)
    with served(settings) as address:
        page = opened(browser, address)
        seen = Seen(address)
        seen.watch(page)
        page.goto(address)
        assert "Waiting for the first call" in page.inner_text("main")
        time.sleep(1.5)
        with open_book(settings.database) as book:
            write_calls(
                book, [call("first", None, 12_345_678, source="gateway", at_us=time.time_ns() // 1000)]
            )
        page.wait_for_selector("dl.figures", timeout=15_000)
        assert "$0.0123" in page.inner_text("dl.figures")
        seen.check()
        page.context.close()


@pytest.mark.parametrize("width", [701, 905, 1024, 1185, 1280])
def test_no_width_between_phone_and_desk_has_a_scroll_bar_below(
    browser: Any, addresses: dict[str, str], width: int
) -> None:
    page = opened(browser, addresses["lively"], width=width)
    wide = {}
    for path in (*PLAIN, *INSIDE, "/spend?period=all", "/outcomes?by=model"):
        page.goto(_address(page, addresses["lively"], path))
        taken = page.evaluate("document.documentElement.scrollWidth")
        if taken > width:
            wide[path] = taken
    assert wide == {}
    page.context.close()


@pytest.mark.parametrize("width", [1440, 1000, 390])
def test_a_large_figure_stays_on_one_line(browser: Any, addresses: dict[str, str], width: int) -> None:
    page = opened(browser, addresses["demo"], width=width)
    page.goto(addresses["demo"] + "/?period=all")
    measure = "one => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight)"
    figures = page.locator("dl.figures strong").all()
    assert any("≥" in one.inner_text() for one in figures)
    for one in figures:
        assert one.evaluate(measure) < 1.5, one.inner_text()
    page.context.close()


def test_figures_that_come_by_themselves_leave_the_keyboard_where_it_was(
    browser: Any, tmp_path: Path
) -> None:
    settings = lively(tmp_path, time.time_ns() // 1000)
    with served(settings) as address:
        page = opened(browser, address)
        page.goto(address)
        for key in ("j", "j"):
            page.keyboard.press(key)
        row = page.evaluate("document.activeElement.textContent")
        spend = page.inner_text("dl.figures > div:nth-child(4) strong")
        time.sleep(1.5)
        with open_book(settings.database) as book:
            rows = [call("new", None, 5_000_000_000, source="gateway", at_us=time.time_ns() // 1000)]
            write_calls(book, rows)
        changed = "was => document.querySelector('dl.figures > div:nth-child(4) strong').innerText !== was"
        page.wait_for_function(changed, arg=spend, timeout=15_000)
        assert page.evaluate("document.activeElement.textContent") == row
        page.context.close()


def test_reviews_are_judged_by_keyboard_alone(browser: Any, tmp_path: Path) -> None:
    settings = empty(tmp_path)
    with open_book(settings.database) as book:
        rows = [task(name) for name in ("one", "two")]
        write_tasks(book, rows)
        for row in rows:
            wanted = Wanted(
                str(row["id"]), submission=Submission(output=f"Done. {HOSTILE}"), question="Is it?"
            )
            reviewing.enqueue(book, wanted, at_us=time.time_ns() // 1000, asked_by="test")
    with served(settings) as address:
        page = opened(browser, address)
        seen = Seen(address)
        seen.watch(page)
        page.goto(f"{address}/reviews")
        for key in ("n", "1", "2"):
            page.keyboard.press(key)
            page.wait_for_load_state()
            if key == "n":
                page.wait_for_selector("[data-judge]")
                picture(page, "a review")
            time.sleep(0.5)
        page.wait_for_selector("text=Nothing waits for you")
        seen.check()
        page.context.close()


def test_somebody_signs_in_makes_a_key_and_signs_out(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    settings = empty(tmp_path)
    let_in(settings, "ada", "admin")
    with served(settings) as address:
        page = browser.new_context().new_page()
        seen = Seen(address)
        seen.watch(page)
        page.goto(f"{address}/settings")
        picture(page, "sign-in")
        page.fill("input[name=name]", "ada")
        page.fill("input[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/settings")
        page.click("text=New key")
        page.fill("#new-key input[name=name]", "from a browser")
        page.click("#new-key button")
        page.wait_for_selector(".secret")
        assert page.inner_text(".secret code").startswith("ff_")
        picture(page, "new-key")
        page.goto(f"{address}/settings")
        assert "from a browser" in page.inner_text("main")
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("text=Revoke")
        page.wait_for_load_state()
        page.goto(f"{address}/settings")
        assert "from a browser" not in page.inner_text("main")
        page.click("text=Sign out")
        page.wait_for_url("**/sign-in")
        page.goto(f"{address}/spend")
        assert "/sign-in" in page.url
        seen.check()
        page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chosen_theme_has_contrast_and_every_control_a_name(
    browser: Any, addresses: dict[str, str], axe: str, theme: str
) -> None:
    rules = "" if theme == "light" else f", runOnly: {json.dumps(OF_COLOURS)}"
    found = {}
    for book, paths in _looks_by_book().items():
        page = opened(browser, addresses[book], theme=theme)
        for path in paths:
            page.goto(_address(page, addresses[book], path))
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            page.evaluate(axe)
            said = page.evaluate(f"axe.run({{resultTypes: ['violations']{rules}}})")
            for one in said["violations"]:
                if one["impact"] in ("serious", "critical"):
                    nodes = [node["html"][:160] for node in one["nodes"][:3]]
                    found[f"{theme} {book} {path} {one['id']}"] = nodes
        page.context.close()
    assert found == {}, json.dumps(found, indent=1)


def _looks_by_book() -> dict[str, list[str]]:
    looks: dict[str, list[str]] = {}
    for book, path in _looks():
        looks.setdefault(book, []).append(path)
    return looks


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, fetched once into a cache; skipped where there is no npm or no network."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flatfare-tests"
    file = folder / f"{AXE.replace('@', '-')}.js"
    if not file.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core comes by npm, which is not installed here")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", AXE, "--pack-destination", str(folder), "--silent"]
        packed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if packed.returncode:
            pytest.skip(f"axe-core could not be fetched: {packed.stderr.strip()[-200:]}")
        archive = folder / packed.stdout.strip().splitlines()[-1]
        subprocess.run(["tar", "-xzf", archive, "-C", folder, "package/axe.min.js"], check=True)
        (folder / "package" / "axe.min.js").rename(file)
        archive.unlink()
    return file.read_text(encoding="utf-8")
