"""Sealing moves rows and changes no figure: live, sealed, corrected, and with a writer that fails."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatfare.core.errors import Conflict, StoreFailure
from flatfare.service import doctoring
from flatfare.store import adjustments, calls, reading, sealing, segments
from flatfare.store.adjustments import Correction
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.store.rows import MINUTE_US, NOON_US, call, place, write

FIGURES = "SUM(n), SUM(cost_nano), SUM(unknown_n), SUM(input_tokens), SUM(output_tokens)"


def folded_totals(book: Book, lake: Lake) -> list[tuple[object, ...]]:
    with reading.opened(book, lake, "folded") as engine:
        return engine.execute(
            f"SELECT model, labels, {FIGURES} FROM folded GROUP BY 1, 2 HAVING SUM(n) <> 0 ORDER BY 1, 2"
        ).fetchall()


def listed_ids(book: Book, lake: Lake) -> list[tuple[object, ...]]:
    with reading.opened(book, lake, "calls") as engine:
        return engine.execute("SELECT id, revision, n FROM calls ORDER BY ALL").fetchall()


def test_reports_read_the_same_before_and_after(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(100)])
    before, ids = folded_totals(book, lake), listed_ids(book, lake)
    assert sealing.seal_calls(book, lake, NOON_US + 40 * MINUTE_US, now_us=1) == 40
    assert book.value("SELECT COUNT(*) FROM calls") == 60
    assert (folded_totals(book, lake), listed_ids(book, lake)) == (before, ids)
    assert sealing.seal_calls(book, lake, NOON_US + 40 * MINUTE_US, now_us=2) == 0
    assert doctoring.examine(book, lake).is_sound


def test_a_correction_of_a_sealed_call_reads_as_if_it_had_come_in_time(tmp_path: Path) -> None:
    book, lake = place(tmp_path / "late")
    write(book, [call(number) for number in range(9)])
    sealing.seal_calls(book, lake, NOON_US + 5 * MINUTE_US, now_us=1)
    with reading.opened(book, lake, "calls") as engine:
        found = adjustments.present_calls(engine, "input < 103", [])
    change = {"labels": '{"team":"search"}', "cost_nano": 7}
    corrections = [Correction(row, change) for row in found]
    with book.writing():
        assert adjustments.write(book, corrections, kind="label", reason="late", by_whom="t", at_us=1) == 3

    in_time, other_lake = place(tmp_path / "in time")
    write(in_time, [call(number, **(change if number < 3 else {})) for number in range(9)])
    assert folded_totals(book, lake) == folded_totals(in_time, other_lake)
    sealing.seal_calls(book, lake, NOON_US + 99 * MINUTE_US, now_us=2)
    assert folded_totals(book, lake) == folded_totals(in_time, other_lake)
    assert doctoring.examine(book, lake).is_sound


def test_a_correction_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    write(book, [call(0)])
    with reading.opened(book, lake, "calls") as engine:
        found = adjustments.present_calls(engine, "true", [])
    with book.writing():
        same = [Correction(row, {"cost_nano": row["cost_nano"]}) for row in found]
        assert adjustments.write(book, same, kind="reprice", reason="", by_whom="t", at_us=1) == 0
    assert book.value("SELECT COUNT(*) FROM calls") == 1


def test_two_corrections_of_one_revision_cannot_both_stand(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    write(book, [call(0)])
    with reading.opened(book, lake, "calls") as engine:
        found = adjustments.present_calls(engine, "true", [])
    with book.writing():
        adjustments.write(
            book, [Correction(found[0], {"cost_nano": 5})], kind="reprice", reason="", by_whom="a", at_us=1
        )
    with pytest.raises(Conflict, match="came first"), book.writing():
        adjustments.write(
            book, [Correction(found[0], {"cost_nano": 6})], kind="reprice", reason="", by_whom="b", at_us=1
        )
    with reading.opened(book, lake, "folded") as engine:
        assert engine.execute("SELECT SUM(cost_nano) FROM folded").fetchone() == (5,)


def test_a_call_given_twice_stands_once(tmp_path: Path) -> None:
    book, _ = place(tmp_path)
    assert write(book, [call(0), call(0)]) == 1
    assert write(book, [call(0, cost_nano=99)]) == 0
    assert book.value("SELECT cost_nano FROM calls") == 1


def test_a_seal_that_fails_at_the_end_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(10)])
    before = folded_totals(book, lake)

    def refuse(*_: object) -> None:
        raise StoreFailure("the disk is full")

    monkeypatch.setattr(segments, "list_segment", refuse)
    with pytest.raises(StoreFailure, match="disk is full"):
        sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    monkeypatch.undo()
    assert list((tmp_path / "lake").rglob("*.parquet")) == []
    assert folded_totals(book, lake) == before


def test_calls_taken_from_under_a_seal_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(10)])
    placed = Lake.place

    def with_a_rival(self: Lake, *arguments: object) -> object:
        book.execute("DELETE FROM calls WHERE id = ?", (call(3)["id"],))
        return placed(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Lake, "place", with_a_rival)
    with pytest.raises(StoreFailure, match="another process changed them"):
        sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    assert segments.listed(book) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["write", "seal", "correct"]), st.integers(0, 12), st.integers(0, 50)),
        max_size=12,
    )
)
def test_any_history_sums_to_its_newest_rows(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, int]]
) -> None:
    book, lake = place(tmp_path_factory.mktemp("history"))
    truth: dict[str, int] = {}
    for deed, number, amount in history:
        row = call(number, cost_nano=amount)
        if deed == "write":
            if str(row["id"]) in truth:
                continue
            write(book, [row])
            truth[str(row["id"])] = amount
        elif deed == "seal":
            sealing.seal_calls(book, lake, NOON_US + number * MINUTE_US, now_us=1)
        else:
            with reading.opened(book, lake, "calls") as engine:
                found = adjustments.present_calls(engine, "id = ?", [row["id"]])
            with book.writing():
                corrections = [Correction(one, {"cost_nano": amount}) for one in found]
                adjustments.write(book, corrections, kind="reprice", reason="", by_whom="t", at_us=1)
            truth |= {str(one["id"]): amount for one in found}
    with reading.opened(book, lake, "folded", "calls") as engine:
        sums = engine.execute(
            "SELECT COALESCE(SUM(n), 0), COALESCE(SUM(cost_nano), 0) FROM folded"
        ).fetchone()
        newest = adjustments.present_calls(engine, "true", [])
    assert sums == (len(truth), sum(truth.values()))
    assert {str(one["id"]): one["cost_nano"] for one in newest} == truth
    assert doctoring.examine(book, lake).is_sound
    book.close()


def test_columns_that_a_correction_negates_are_figures() -> None:
    row = calls.taken_back(call(4, web_search=2, turn=3), revision=1)
    assert (row["input"], row["cost_nano"], row["web_search"], row["n"]) == (-104, -41, -2, -1)
    assert (row["turn"], row["at_us"], row["revision"]) == (3, NOON_US + 4 * MINUTE_US, 1)


def test_more_calls_than_memory_holds_are_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATFARE_MEMORY_MB", "60")
    book, lake = place(tmp_path)
    with book:
        text = '{"messages":3,"prompt_hash":"%032x"}'
        write(book, (call(number, labels='{"team":"x"}', traits=text % number) for number in range(40_000)))
        assert sealing.seal_calls(book, lake, before_us=NOON_US * 2, now_us=1) == 40_000
        assert [segment.rows for segment in segments.listed(book, "calls")] == [40_000]
