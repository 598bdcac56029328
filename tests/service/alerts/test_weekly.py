"""The weekly report: the report's own figures of two weeks, owed once a week to each channel."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flatfare.config import Channel, Secret, Settings, WeeklyReport
from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.errors import BadUsage
from flatfare.core.moments import micros_of
from flatfare.core.week import Week
from flatfare.service.alerts import weekly
from flatfare.service.alerts.alerting import raise_alert, tell
from flatfare.service.alerts.sending import NotTaken, send
from flatfare.service.budgets import budgeting
from flatfare.service.reporting import report
from flatfare.service.reporting.document import figures_of
from flatfare.store import alerts, budgets
from flatfare.store.alerts import Alert
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.builders import Record, book_in, call, task, write_calls, write_tasks

BERLIN = ZoneInfo("Europe/Berlin")
DOLLAR = 1_000_000_000
HOUR_US = 3_600_000_000
Places = tuple[Book, Lake]


def at(*parts: int) -> int:
    return micros_of(datetime(*parts, tzinfo=BERLIN))  # type: ignore[arg-type, misc]


NOW_US = at(2026, 11, 16, 9)


def settings(*names: str, **more: object) -> Settings:
    channels = {name: Channel(name, Secret(f"https://hooks.example/{name}")) for name in names or ("ops",)}
    wanted = WeeklyReport(tuple(channels), "monday", 8)
    return replace(Settings(time_zone="Europe/Berlin", alerts=channels, weekly_report=wanted), **more)  # type: ignore[arg-type]


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Two weeks: in the second the work costs half, and one path fails dearly."""
    book, lake = book_in(tmp_path)
    tasks: list[Record] = []
    calls: list[Record] = []
    for number in range(40):
        is_late = number >= 20
        opened_us = at(2026, 11, 9 if is_late else 2, 0, 0, number)
        outcome = "failed" if number % 5 == 0 else "verified"
        path = "dear" if number % 5 == 0 else "plain"
        moments = {"opened_at_us": opened_us, "matures_at_us": opened_us + HOUR_US}
        tasks.append(task(f"t{number}", outcome, path=path, **moments))
        cost = (1 if is_late else 2) * DOLLAR
        calls.append(call(f"c{number}", f"t{number}", cost, at_us=opened_us, input=1_000_000))
    edge_us = at(2026, 11, 16)  # the first moment after the week is in no week of the report
    tasks.append(task("edge", opened_at_us=edge_us, matures_at_us=edge_us + 1))
    calls.append(call("edge", "edge", 99 * DOLLAR, at_us=edge_us))
    write_tasks(book, tasks)
    write_calls(book, calls)
    yield book, lake
    book.close()


def document(places: Places, asked: Settings | None = None) -> dict[str, object]:
    asked = asked or settings()
    return weekly.weekly(*places, asked, weekly.week_of(asked, None, NOW_US), now_us=NOW_US)


def figure(found: Mapping[str, object], name: str) -> Mapping[str, object]:
    lines = found["figures"]
    assert isinstance(lines, list)
    return next(line for line in lines if line["name"] == name)


def test_its_figures_are_those_of_the_report_of_the_same_days(places: Places) -> None:
    found = document(places)
    week = Week.named("2026-W46", BERLIN)
    for name, one in (("this_week", week), ("week_before", week.before())):
        same = report(
            *places,
            now_us=NOW_US,
            since_us=one.since_us,
            until_us=one.until_us,
            time_zone="Europe/Berlin",
        )
        assert found[name] == figures_of(same.total)
    assert found["this_week"]["cost"] == "20.000000000"  # type: ignore[index]


def test_it_says_how_each_figure_moved(places: Places) -> None:
    found = document(places)
    cost = figure(found, "Cost per verified outcome")
    assert (cost["now"], cost["before"], cost["change"]) == ("$1.25", "$2.50", "−50.0 %")
    spend = figure(found, "Spend")
    assert (spend["now"], spend["before"], spend["change"]) == ("$20.00", "$40.00", "−50.0 %")
    assert figure(found, "Verified")["change"] == "+0.0 %"


def test_it_names_the_path_whose_failures_cost_most(places: Places) -> None:
    worst = document(places)["dearest_failing_path"]
    assert isinstance(worst, dict)
    assert (worst["path"], worst["cost_of_failures"], worst["failed"]) == ("dear", "4.000000000", 4)


def test_it_names_budgets_that_are_nearly_spent_and_no_others(places: Places) -> None:
    book, _ = places
    for name, spent in (("tight", 9), ("wide", 1)):
        window = Window.of("month")
        budget = Budget("", name, Scope("team", name), 10 * DOLLAR, window)
        made = budgeting.create(book, budget, at_us=NOW_US, by_whom="me")
        with book.writing():
            begins_us, ends_us = made.window.span(NOW_US)
            allowance = budgets.Allowance(made.id, name, begins_us)
            budgets.book_spend(book, allowance, ends_us, None, spent * DOLLAR)
    said = [one["said"] for one in document(places)["budgets"]]  # type: ignore[union-attr, index]
    assert said == ["tight, tight: 90 % of $10.00 per month"]


def test_an_unknown_cost_is_said_and_never_zero(places: Places) -> None:
    opened_us = at(2026, 11, 10)
    write_tasks(places[0], [task("u", opened_at_us=opened_us, matures_at_us=opened_us + 1)])
    write_calls(places[0], [call("u", "u", None, at_us=opened_us)])
    found = document(places)
    assert str(figure(found, "Spend")["now"]).startswith("≥ ")
    assert figure(found, "Cost not known")["now"] == "1"


def test_nothing_is_owed_before_its_hour(places: Places) -> None:
    asked = settings()
    assert not weekly.owe_if_due(*places, replace(asked, weekly_report=None), now_us=NOW_US)
    assert weekly.owe_if_due(*places, asked, now_us=at(2026, 11, 16, 7, 59))  # the week before's, late
    assert weekly.owe_if_due(*places, asked, now_us=at(2026, 11, 16, 8))
    told = [alert.subject for alert, _ in alerts.latest(places[0], 10)]
    assert told == ["2026-W46", "2026-W45"]


@pytest.mark.parametrize("hour", [2, 8])
@pytest.mark.parametrize("begins", [(2026, 10, 12), (2026, 3, 16)])
def test_each_week_is_owed_once_through_a_change_of_the_clocks(
    places: Places, hour: int, begins: tuple[int, int, int]
) -> None:
    asked = settings(weekly_report=WeeklyReport(("ops",), "sunday", hour))
    first_us = at(*begins)
    weekly.owe_if_due(*places, asked, now_us=first_us)
    owed = [
        now_us
        for now_us in range(first_us, first_us + 21 * 24 * HOUR_US, HOUR_US // 2)
        if weekly.owe_if_due(*places, asked, now_us=now_us)
    ]
    assert len(owed) == 3
    assert len({alert.id for alert, _ in alerts.latest(places[0], 10)}) == 4


def test_it_is_told_once_however_often_the_bookkeeper_is_started(places: Places) -> None:
    book, lake = places
    sent: list[str] = []

    def take(channel: Channel, batch: Sequence[Alert]) -> None:
        sent.append(f"{channel.name} {batch[0].id}")

    for _ in range(3):
        weekly.owe_if_due(book, lake, settings("ops", "mail"), now_us=NOW_US)
        tell(book, settings("ops", "mail"), take, now_us=lambda: NOW_US)
    assert sorted(sent) == ["mail weekly-2026-W46", "ops weekly-2026-W46"]


def test_a_channel_named_later_is_owed_its_own_and_the_others_nothing(places: Places) -> None:
    book, lake = places
    weekly.owe_if_due(book, lake, settings("ops"), now_us=NOW_US)
    weekly.owe_if_due(book, lake, settings("ops", "mail"), now_us=NOW_US + 1)
    owed = alerts.owed_to(book, "weekly-2026-W46")
    assert {name: one.due_at_us for name, one in owed.items()} == {"ops": NOW_US, "mail": NOW_US + 1}


def test_channels_that_are_not_named_are_not_told(places: Places) -> None:
    asked = settings("ops", "other", weekly_report=WeeklyReport(("ops",)))
    weekly.owe_if_due(*places, asked, now_us=NOW_US)
    assert list(alerts.owed_to(places[0], "weekly-2026-W46")) == ["ops"]


def test_an_empty_book_is_no_news(tmp_path: Path) -> None:
    book, lake = book_in(tmp_path)
    assert not weekly.owe_if_due(book, lake, settings(), now_us=NOW_US)
    assert alerts.latest(book, 1) == []


def test_it_waits_for_the_end_of_quiet_hours_and_is_in_no_digest(places: Places) -> None:
    quiet = Channel("ops", Secret("https://a/b"), quiet="08:00-10:00", digest="daily")
    asked = settings(alerts={"ops": quiet})
    weekly.owe_if_due(*places, asked, now_us=NOW_US)
    ten_us = at(2026, 11, 16, 10)
    with places[0].writing():
        raise_alert(places[0], Alert("a", "budget.crossed", "x", "X.", {}, NOW_US - 3 * 24 * HOUR_US), asked)
    sent: list[list[str]] = []
    tell(places[0], asked, lambda _, batch: sent.append([one.id for one in batch]), now_us=lambda: ten_us - 1)
    assert ["weekly-2026-W46"] not in sent
    tell(places[0], asked, lambda _, batch: sent.append([one.id for one in batch]), now_us=lambda: ten_us)
    assert ["weekly-2026-W46"] in sent


class Messenger:
    """Takes the place of Apprise."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.said: dict[str, object] = {}
        self.attached: bytes | None = None

    def add(self, url: str) -> bool:
        return True

    def notify(self, *, title: str, body: str, attach: list[str] | None = None) -> bool:
        self.said = {"title": title, "body": body}
        self.attached = Path(attach[0]).read_bytes() if attach else None
        return self.takes


@pytest.fixture
def messenger(monkeypatch: pytest.MonkeyPatch) -> Messenger:
    apprise = pytest.importorskip("apprise", reason="needs the alerts extra")
    found = Messenger()
    monkeypatch.setattr(apprise, "Apprise", lambda: found)
    return found


MAIL = Channel("mail", Secret("mailto://someone@example"))


def test_a_message_has_the_figures_as_text_and_the_page_beside(places: Places, messenger: Messenger) -> None:
    alert = weekly.alert_of(document(places), NOW_US)
    send(MAIL, [alert], page=lambda said: json.dumps(said).encode())
    assert "Week 46 of 2026" in str(messenger.said["title"])
    assert "Cost per verified outcome: $1.25" in str(messenger.said["body"])
    assert "the week before $2.50, −50.0 %" in str(messenger.said["body"])
    assert json.loads(messenger.attached or b"")["week"] == "2026-W46"


def test_without_what_makes_pages_the_text_comes_and_says_so(places: Places, messenger: Messenger) -> None:
    def page(said: Mapping[str, object]) -> bytes:
        raise BadUsage("no typst")

    send(MAIL, [weekly.alert_of(document(places), NOW_US)], page=page)
    assert "no typst" in str(messenger.said["body"])
    assert messenger.attached is None


def test_what_is_not_taken_is_owed_still(places: Places, messenger: Messenger) -> None:
    messenger.takes = False
    with pytest.raises(NotTaken):
        send(MAIL, [weekly.alert_of(document(places), NOW_US)])


def test_the_page_is_a_pdf_with_and_without_its_picture(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typst", reason="needs the invoices extra")
    from flatfare.web import weekly_page

    found = document(places)
    assert "<svg" in (weekly_page.chart(found) or "")
    assert weekly_page.page(found).startswith(b"%PDF-")
    monkeypatch.setattr(weekly_page, "can_draw", lambda: False)
    assert weekly_page.page(found).startswith(b"%PDF-")


def test_without_typst_it_says_what_to_install(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    from flatfare.web import weekly_page

    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(BadUsage, match=r"flatfare\[invoices\]"):
        weekly_page.page(document(places))
