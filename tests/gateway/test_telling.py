"""A cost that several calls tell of is counted once, in whatever order they come and wherever they lie."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.core.budget import Budget, Scope, Window
from flatfare.gateway.booking import Booked, Booker
from flatfare.gateway.records import Ended, Figures, Intent, Progress, Record, Result, Told
from flatfare.gateway.tap import nothing
from flatfare.service.budgets import budgeting
from flatfare.store import budgets, journals, newest, sealing, segments
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from flatfare.store.reading import opened
from tests.gateway.calls import NOON_US, call_id, figures, intent, result, write_journal
from tests.store.servers import Server

AWAITED = Figures(usage_state="unknown", cost_reason="the response is queued")


class Place:
    """A book, a lake and a folder of journals, and one booker until another is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.book: Book = open_book(str(folder / "flatfare.db"))
        self.lake = Lake(folder / "lake")
        self.begin_anew()

    def begin_anew(self) -> None:
        """As after a restart: what a booker remembered is gone."""
        self.booker = Booker(self.book, self.lake, self.folder)

    def book_calls(self, *records: Record) -> Booked:
        """Journal these, and book them to the end; returns the last turn."""
        write_journal(self.folder, records)
        while not (booked := self.booker.book_once()).is_idle:
            pass
        return booked

    def seal(self) -> None:
        sealing.seal_calls(self.book, self.lake, before_us=10**18, now_us=1)

    def costs(self) -> dict[str, int | None]:
        """What each call costs by now: None where that is unknown."""
        return {one: cost for one, (_, cost, _) in self.present().items()}

    def present(self) -> dict[str, tuple[int | None, int | None, str | None]]:
        """Input tokens, cost and reason of each call by now, by its id."""
        with opened(self.book, self.lake, "calls") as engine:
            rows = engine.execute(
                "SELECT CAST(id AS VARCHAR), input, cost_nano, cost_reason FROM calls WHERE n = 1 "
                "QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY revision DESC) = 1 ORDER BY 1"
            ).fetchall()
            sums = engine.execute("SELECT SUM(n), SUM(cost_nano), SUM(input) FROM calls").fetchone()
        known = [cost for _, _, cost, _ in rows if cost is not None]
        read = [tokens for _, tokens, _, _ in rows if tokens is not None]
        assert sums == (len(rows), sum(known) if known else None, sum(read) if read else None)
        return {one: tuple(rest) for one, *rest in rows}  # type: ignore[misc]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.book.close()


def of(number: int, endpoint: str, answer: str = "resp_1", **fields: object) -> tuple[Intent, Result]:
    """A call about an answer that the provider keeps."""
    asked = msgspec.structs.replace(intent(number), endpoint=endpoint)
    return asked, result(number, external_id=answer, **fields)


def begun(number: int, answer: str = "resp_1", **fields: object) -> tuple[Intent, Result]:
    """A call that began an answer in the background."""
    return of(number, "responses", answer, **{"figures": AWAITED, **fields})


def fetched(number: int, answer: str = "resp_1", **fields: object) -> tuple[Intent, Result]:
    """A call that fetched it, and was shown what the answer used."""
    return of(number, "responses.retrieve", answer, **fields)


def costs_of(**by_number: int | None) -> dict[str, int | None]:
    return {call_id(int(number[1:])): cost for number, cost in by_number.items()}


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("is_new", [False, True], ids=["remembered", "restarted"])
def test_an_answer_costs_what_its_beginning_did_not_know_however_often_it_is_fetched(
    place: Place, is_sealed: bool, is_new: bool
) -> None:
    place.book_calls(*begun(1))
    for number in (2, 3):
        if is_sealed:
            place.seal()
        if is_new:
            place.begin_anew()
        place.book_calls(*fetched(number))
    assert place.present() == {
        call_id(1): (3, 21, None),
        call_id(2): (None, 0, "counted at the call that began it"),
        call_id(3): (None, 0, "counted at the call that began it"),
    }
    assert place.book.value("SELECT COUNT(*) FROM adjustments") == 1


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_answer_whose_cost_was_known_when_it_was_made_stays_as_it_was(
    place: Place, is_sealed: bool
) -> None:
    place.book_calls(*begun(1, figures=figures(1)))
    if is_sealed:
        place.seal()
        place.begin_anew()
    place.book_calls(*fetched(2))
    assert place.costs() == costs_of(n1=11, n2=0)
    assert place.book.value("SELECT COUNT(*) FROM adjustments") == 0


def test_of_one_turn_too_it_is_counted_at_the_call_that_began_it(place: Place) -> None:
    place.book_calls(*fetched(2), *begun(1), *fetched(3), *of(4, "responses.cancel"))
    assert place.costs() == costs_of(n1=21, n2=0, n3=0, n4=0)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_answer_that_was_not_begun_here_is_counted_when_it_is_fetched_first(
    place: Place, is_sealed: bool
) -> None:
    place.book_calls(*fetched(1))
    if is_sealed:
        place.seal()
        place.begin_anew()
    place.book_calls(*fetched(2), *fetched(3))
    assert place.costs() == costs_of(n1=11, n2=0, n3=0)
    assert place.present()[call_id(2)][2] == "counted when it was fetched first"


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("began", [AWAITED, figures(1)], ids=["unknown", "known"])
def test_a_beginning_that_is_booked_after_a_fetch_bears_the_cost(
    place: Place, is_sealed: bool, began: Figures
) -> None:
    """As where another worker's journal, or another node's, is booked later."""
    place.book_calls(*fetched(2))
    if is_sealed:
        place.seal()
        place.begin_anew()
    place.book_calls(*begun(1, figures=began))
    place.book_calls(*fetched(3))
    assert place.costs() == costs_of(n1=21 if began is AWAITED else 11, n2=0, n3=0)


def test_answers_of_other_providers_and_other_ids_are_other_answers(place: Place) -> None:
    place.book_calls(*begun(1))
    elsewhere, shown = fetched(2)
    place.book_calls(msgspec.structs.replace(elsewhere, provider="azure"), shown, *fetched(3, "resp_2"))
    assert place.costs() == costs_of(n1=None, n2=21, n3=31)


def test_a_fetch_that_could_not_be_priced_says_nothing_and_costs_nothing(place: Place) -> None:
    place.book_calls(*begun(1))
    place.book_calls(*fetched(2, figures=Figures(cost_reason="the model has no price")))
    assert place.costs() == costs_of(n1=None, n2=0)
    place.book_calls(*fetched(3))
    assert place.costs() == costs_of(n1=31, n2=0, n3=0)


def test_of_two_fetches_the_surer_cost_counts(place: Place) -> None:
    estimated = msgspec.structs.replace(figures(2), cost_state="estimated")
    place.book_calls(*fetched(1, figures=Figures(cost_reason="the model has no price")))
    place.book_calls(*fetched(2, figures=estimated))
    place.book_calls(*fetched(3))
    place.book_calls(*fetched(4, figures=estimated))
    assert place.costs() == costs_of(n1=31, n2=0, n3=0, n4=0)


def test_an_answer_that_failed_costs_nothing_and_is_known_to(place: Place) -> None:
    place.book_calls(*begun(1))
    place.book_calls(*fetched(2, figures=nothing("the response failed")))
    assert place.present()[call_id(1)] == (None, 0, "the response failed")


def test_a_fetch_that_was_given_up_too_soon_is_counted_once_all_the_same(place: Place) -> None:
    asked, shown = fetched(2)
    place.book_calls(*begun(1), asked)  # its worker dies: it is booked at its bound
    assert place.costs() == costs_of(n1=None, n2=1000)
    place.book_calls(shown)
    assert place.costs() == costs_of(n1=21, n2=0)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_fetch_told_again_in_one_record_is_counted_once(place: Place, is_sealed: bool) -> None:
    place.book_calls(*begun(1))
    for _ in range(2):
        place.book_calls(Ended(*fetched(2), is_again=True))
        if is_sealed:
            place.seal()
            place.begin_anew()
    assert place.costs() == costs_of(n1=21, n2=0)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_fetch_told_in_one_record_tells_a_beginning_that_is_remembered(
    place: Place, is_sealed: bool
) -> None:
    place.book_calls(*begun(1))
    if is_sealed:
        place.seal()
    place.book_calls(Ended(*fetched(2), is_again=True))
    assert place.costs() == costs_of(n1=21, n2=0)


def test_a_beginning_that_was_given_up_too_soon_bears_the_cost_that_a_fetch_had(place: Place) -> None:
    asked, started = begun(1)
    place.book_calls(asked)
    place.book_calls(*fetched(2))  # of what nobody knows who began it
    place.book_calls(started)
    assert place.costs() == costs_of(n1=21, n2=0)


def test_what_the_lake_does_not_have_is_looked_for_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[set[newest.Answer]] = []
    look = newest.sealed_of

    def counted(book: Book, lake: Lake, since_us: dict[newest.Answer, int]) -> dict[str, newest.Call]:
        looks.extend([set(since_us)] if since_us else [])
        return look(book, lake, since_us)

    place.book_calls(*begun(1))
    place.seal()
    place.begin_anew()
    monkeypatch.setattr(newest, "sealed_of", counted)
    for number in range(2, 8, 2):
        place.book_calls(*fetched(number, "resp_1"), *fetched(number + 1, "resp_2"))
    assert looks == [{("openai", "resp_1"), ("openai", "resp_2")}]


def test_an_answer_begun_just_now_is_not_looked_for_in_the_lake(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.book_calls(*begun(1))
    place.seal()
    place.begin_anew()
    monkeypatch.setattr(segments, "sealed_rows", None)
    place.book_calls(*fetched(2, "resp_2", begun_at_us=time.time_ns() // 1000))
    assert place.costs()[call_id(2)] == 21


def test_only_files_are_read_that_may_hold_the_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is older than what the provider keeps."""
    days_us = 86_400_000_000
    early, late = 1, 61 * 86_400_000  # the number of a call is its moment, in milliseconds
    place.book_calls(*begun(early))
    place.seal()
    place.book_calls(*begun(late, "resp_2"))
    place.seal()
    place.begin_anew()
    read: list[int] = []
    rows = segments.sealed_rows
    monkeypatch.setattr(
        segments, "sealed_rows", lambda files, lake: read.append(len(files)) or rows(files, lake)
    )
    place.book_calls(*fetched(late + 1, "resp_2"))
    begun_at_us = NOON_US + 61 * days_us
    place.book_calls(*fetched(late + 2, "resp_3", begun_at_us=begun_at_us))
    assert read == [1, 1]
    monkeypatch.undo()
    assert place.costs() == {call_id(early): None, call_id(late): 10 * late + 11, call_id(late + 1): 0} | {
        call_id(late + 2): 10 * late + 21
    }


def test_a_turn_asks_the_book_no_oftener_for_twenty_times_the_fetches(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = place.book.rows
    monkeypatch.setattr(place.book, "rows", lambda query, *given: asked.append(query) or rows(query, *given))
    place.book_calls(*begun(1), *fetched(2))
    few = len(asked)
    asked.clear()
    place.book_calls(*begun(3, "resp_2"), *(one for n in range(4, 44) for one in fetched(n, "resp_2")))
    assert len(asked) == few


# what is told by a call's id


@pytest.mark.parametrize("is_sealed", [False, True])
def test_what_is_told_before_its_call_is_booked_waits_for_it(place: Place, is_sealed: bool) -> None:
    """As where the worker that made a batch is booked after the one that fetched its answers."""
    place.book_calls(Told(call_id(1), nothing("its answers are calls of their own")))
    place.begin_anew()
    place.book_calls(intent(1), result(1, figures=AWAITED))
    if is_sealed:
        place.seal()
    place.book_calls(Told(call_id(1), nothing("told again")))
    assert place.present() == {call_id(1): (None, 0, "its answers are calls of their own")}
    assert journals.told_calls(place.book) == {}


def test_a_call_given_up_too_soon_may_be_ended_and_told_in_one_turn(place: Place) -> None:
    place.book_calls(intent(1))
    place.book_calls(result(1, figures=AWAITED), Told(call_id(1), nothing("its answers are here")))
    assert place.costs() == costs_of(n1=0)


def test_a_cost_that_is_measured_is_not_told_anew_in_its_own_turn_either(place: Place) -> None:
    place.book_calls(intent(1), result(1), Told(call_id(1), nothing("its answers are here")))
    assert place.costs() == costs_of(n1=11)


# budgets


def budget_of(book: Book) -> tuple[Budget, str]:
    wanted = Budget("", "all", Scope.of("organisation"), 10**9, Window.of("lifetime"), is_hard=False)
    made = budgeting.create(book, wanted, at_us=NOON_US, by_whom="test")
    return made, f"epoch\n{made.id} 0 organisation"


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("order", ["begun first", "fetched first", "together"])
def test_budgets_are_charged_once(place: Place, is_sealed: bool, order: str) -> None:
    budget, reservation = budget_of(place.book)
    (start, started), (look, shown) = begun(1), fetched(2)
    beginning: tuple[Record, ...] = (msgspec.structs.replace(start, reservation=reservation), started)
    fetch: tuple[Record, ...] = (msgspec.structs.replace(look, reservation=reservation), shown)
    steps = {"begun first": [beginning, fetch], "fetched first": [fetch, beginning]}
    for records in steps.get(order, [(*beginning, *fetch)]):
        place.book_calls(*records)
        if is_sealed:
            place.seal()
            place.begin_anew()
    assert place.costs() == costs_of(n1=21, n2=0)
    assert budgets.standings(place.book, budget, NOON_US)[0].spent_nano == 21
    assert place.book.value("SELECT COUNT(*) FROM budget_charges") == 0


def test_a_budget_follows_where_an_estimate_becomes_a_cost(place: Place) -> None:
    """As of a stream that was cut, whose answer was fetched afterwards."""
    budget, reservation = budget_of(place.book)
    estimated = msgspec.structs.replace(figures(1), cost_state="estimated")
    asked, cut = begun(1, figures=estimated)
    place.book_calls(msgspec.structs.replace(asked, reservation=reservation), cut)
    assert budgets.standings(place.book, budget, NOON_US)[0].spent_nano == 11
    place.book_calls(*fetched(2))
    assert budgets.standings(place.book, budget, NOON_US)[0].spent_nano == 21


def test_a_budget_follows_where_a_session_that_was_given_up_is_ended_after_all(place: Place) -> None:
    budget, reservation = budget_of(place.book)
    asked = msgspec.structs.replace(intent(1), reservation=reservation)
    place.book_calls(asked, Progress(result(1), reservation))  # its worker dies
    place.book_calls(result(1, figures=figures(5)))
    assert place.costs() == costs_of(n1=51)
    assert budgets.standings(place.book, budget, NOON_US)[0].spent_nano == 51


MEASURED, ESTIMATED = figures(2), msgspec.structs.replace(figures(1), cost_state="estimated")
STEP = st.tuples(
    st.sampled_from(["responses", "responses.retrieve", "responses.retrieve"]),
    st.sampled_from([AWAITED, ESTIMATED, MEASURED]),
    st.sampled_from(["", "book", "seal", "restart"]),  # what happens then
)


@settings(max_examples=30, deadline=None)
@given(st.lists(STEP, min_size=2, max_size=6, unique_by=lambda step: step[0] == "responses" or object()))
def test_any_order_of_what_is_told_gives_one_cost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Figures, str]]
) -> None:
    place = Place(tmp_path_factory.mktemp("order"))
    budget, reservation = budget_of(place.book)
    waiting: list[Record] = []
    for number, (endpoint, told, then) in enumerate([*steps]):
        asked, ended = of(number, endpoint, figures=told)
        waiting += [msgspec.structs.replace(asked, reservation=reservation), ended]
        if then:
            place.book_calls(*waiting)
            waiting = []
        if then == "seal":
            place.seal()
        if then == "restart":
            place.begin_anew()
    place.book_calls(*waiting)
    known = {told.cost_state: told.cost_nano for _, told, _ in steps}
    cost = known.get("measured") or known.get("estimated")
    costs = place.costs()
    bearers = [one for one, borne in costs.items() if borne != 0]
    assert [costs[one] for one in bearers] == [cost]
    begun_at = [number for number, (endpoint, _, _) in enumerate(steps) if endpoint == "responses"]
    assert not begun_at or bearers == [call_id(begun_at[0])]
    charged = budgets.standings(place.book, budget, NOON_US)[0].spent_nano
    assert charged == (1000 if cost is None else cost)  # the most that it can cost, until that is known
    place.book.close()


# nodes


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("order", ["begun first", "fetched first"])
def test_nodes_that_share_a_book_count_an_answer_once(
    tmp_path: Path, postgres: Server, order: str, is_sealed: bool
) -> None:
    """One node begins it and another is asked for it; each books its own journals, in no set order."""
    database, lake = postgres.new_database(), Lake(tmp_path / "lake")
    steps: list[tuple[str, tuple[Record, ...]]] = [
        ("one", begun(1)),
        ("two", fetched(2)),
        ("one", fetched(3)),
    ]
    with open_book(database) as one, open_book(database) as two:
        bookers = {
            name: Booker(book, lake, tmp_path / name / "journal")
            for name, book in (("one", one), ("two", two))
        }
        for name, records in steps if order == "begun first" else [steps[1], steps[0], steps[2]]:
            write_journal(tmp_path / name / "journal", records)
            bookers[name].book_once()
            if is_sealed:
                sealing.seal_calls(one, lake, before_us=10**18, now_us=1)
        with opened(one, lake, "calls") as engine:
            query = "SELECT CAST(id AS VARCHAR), SUM(cost_nano)::BIGINT FROM calls GROUP BY 1"
            costs = dict(engine.execute(query).fetchall())
    assert costs == costs_of(n1=21, n2=0, n3=0)
