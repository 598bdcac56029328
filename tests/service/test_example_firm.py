"""The demo's invented firm: what a newcomer is to find is there, and its source says what it is."""

import time
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.core.budget import Window
from flatfare.service import example_firm, selling
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.budgets import budgeting
from flatfare.service.importing.run import Stores
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month_of
from flatfare.service.judging import review_reports
from flatfare.service.reporting import listing, report
from flatfare.store.book import open_book
from flatfare.store.lake import Lake

NOW_US = time.time_ns() // 1000


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("firm")
    settings = Settings(database=str(folder / "flatfare.db"), lake=str(folder / "lake"))
    made = Stores(open_book(settings.database), Lake(settings.lake), settings)
    example_firm.found(made, NOW_US)
    return made


def test_the_dearest_path_is_the_one_that_mostly_fails(stores: Stores) -> None:
    found = report(stores.book, stores.lake, now_us=NOW_US, by=("path",), sort="-cost-per-verified-outcome")
    dearest = next(row for row in found.rows if row.cost_per_verified_nano)
    assert dearest.keys == ("agents in a circle",)
    assert (dearest.success_rate or 1) < 0.5
    assert {row.keys[0] for row in found.rows} > {"small first", "deep thought"}


def test_one_task_cost_many_times_its_neighbours(stores: Stores) -> None:
    first, second, *_ = listing.listed(stores.book, stores.lake, now_us=NOW_US, sort="cost", limit=2)
    assert first.cost.known_nano > 3 * second.cost.known_nano
    assert (first.calls or 0) > 100


def test_one_team_is_over_its_budget_and_one_will_be(stores: Stores) -> None:
    shares = {
        str(budget["name"]): subject["share"]
        for budget in budgeting.listed(stores.book, at_us=NOW_US)
        for subject in budget["subjects"]  # type: ignore[attr-defined]
    }
    assert shares["legal team"] > 1
    assert shares["support team"] < 0.9


def test_a_customer_has_an_invoice_coming_and_work_waits_to_be_judged(stores: Stores) -> None:
    draft = issuing.draft(Books(stores.book, stores.lake, "UTC"), "acme", month_of(NOW_US, "UTC"))
    is_early = Window.of("month").span(NOW_US)[0] > NOW_US - 3_600_000_000
    assert draft["total"] == "30.000000000" or is_early
    assert selling.verify(stores.book) == []
    assert len(review_reports.listed(stores.book, state="open")) == 3


def test_what_it_sells_is_published_and_was_verified(stores: Stores) -> None:
    (version,) = publishing.listed(stores.book)
    example = Path(__file__).parents[2] / "examples" / "actions" / "contract-review.yaml"
    assert version.action.source == read_file(example).source
    found = report(stores.book, stores.lake, now_us=NOW_US, by=("action",))
    (sold,) = [row for row in found.rows if row.keys == ("contract-review",)]
    assert sold.figures.verified + sold.figures.open == 9


def test_its_source_says_that_it_is_invented(stores: Stores) -> None:
    found = report(stores.book, stores.lake, now_us=NOW_US, by=("source",))
    assert all("invented" in str(row.keys[0]) for row in found.rows)
