"""P7, sums agree: every figure of a report equals the sum of its rows, live and sealed."""

import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatfare.service.reporting import Report, report
from flatfare.store import calls as hot_calls
from flatfare.store import gathering
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from flatfare.store.sealing import seal_calls
from tests.builders import (
    DAY_US,
    NOW_US,
    OPENED_US,
    Record,
    book_in,
    call,
    seal_tasks,
    task,
    write_calls,
    write_tasks,
)
from tests.service.reporting.recomputed import Group, recomputed

ASKED = (
    ("path",),
    ("model",),
    ("domain",),
    ("team", "model"),
    ("purpose",),
    ("purpose", "model"),
    ("session", "outcome"),
    ("month", "path"),
    ("day",),
    ("source", "provider"),
    ("action", "key"),
    (),
)
PLAIN_PURPOSES = ("work", "work", "simulation", "test")
PURPOSES = (*PLAIN_PURPOSES, "verification")
FIELDS = [name for name in Group.__dataclass_fields__ if name != "costs"]

_COSTS = st.one_of(st.none(), st.just(0), st.integers(1, 10**12))
_LABELS = st.fixed_dictionaries(
    {}, optional={"domain": st.sampled_from(("retail", "airline")), "team": st.sampled_from(("a", "b"))}
)
_TIMES = st.integers(OPENED_US, OPENED_US + 40 * DAY_US)


def _optional(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.one_of(st.none(), strategy)


@st.composite
def tasks(draw: st.DrawFn, *, is_plain: bool = False) -> list[Record]:
    """Tasks of every outcome, matured or not, with and without amounts of their own.

    Plain ones are the kind that most books hold and that a shorter way of summing serves:
    a row for every task, no amount beside the calls, no verification.
    """
    has_amounts = not is_plain and draw(st.booleans())
    rows = []
    for number in range(7 if is_plain else draw(st.integers(0, 5))):
        amounts = (
            {
                "given_nano": draw(_optional(st.integers(0, 10**11))),
                "given_verification_nano": draw(_optional(st.integers(0, 10**9))),
                "given_simulation_nano": draw(_optional(st.integers(0, 10**9))),
                "given_calls": draw(_optional(st.integers(1, 40))),
                "given_input_tokens": draw(_optional(st.integers(0, 10**6))),
                "rework_nano": draw(_optional(st.integers(0, 10**10))),
                "rework_ms": draw(_optional(st.integers(1, 10**6))),
            }
            if has_amounts
            else {}
        )
        opened = draw(_TIMES)
        rows.append(
            task(
                f"task {number}",
                draw(st.sampled_from(("open", "verified", "failed", "assumed", "reversed"))),
                path=draw(st.sampled_from((None, "small", "large"))),
                labels=draw(_LABELS),
                session=draw(st.sampled_from((None, "s1", "s2"))),
                source=draw(st.sampled_from(("import", "gateway"))),
                opened_at_us=opened,
                matures_at_us=draw(st.sampled_from((None, opened + DAY_US, NOW_US + DAY_US))),
                **amounts,
            )
        )
    return rows


@st.composite
def calls(draw: st.DrawFn, *, is_plain: bool = False) -> list[Record]:
    """Calls of every purpose, on tasks that are there, on others, and on none."""
    rows = []
    for number in range(draw(st.integers(0, 12))):
        owner = draw(st.sampled_from((None, *range(7))))
        cost = draw(_COSTS)
        is_computed = draw(st.booleans())
        rows.append(
            call(
                str(number),
                None if owner is None else f"task {owner}",
                cost,
                at_us=draw(_TIMES),
                purpose=draw(st.sampled_from(PLAIN_PURPOSES if is_plain else PURPOSES)),
                model=draw(st.sampled_from((None, "m1", "m2"))),
                provider=draw(st.sampled_from(("p1", "p2"))),
                key_id=draw(st.sampled_from((None, "k1"))),
                session=draw(st.sampled_from((None, "s1", "s3"))),
                source=draw(st.sampled_from(("import", "sdk"))),
                labels=draw(_LABELS),
                input=draw(st.integers(0, 10**6)),
                cache_read=draw(_optional(st.integers(0, 10**6))),
                output=draw(st.integers(0, 10**6)),
                reasoning=draw(_optional(st.integers(0, 10**6))),
                reported_nano=None if is_computed else cost,
                computed_nano=cost if is_computed else None,
                cost_basis=None if cost is None else ("computed" if is_computed else "reported"),
            )
        )
    return rows


def corrected(rng: random.Random, former: Record) -> tuple[Record, Record]:
    """A call taken back, and its new revision: another price, labels, or task."""
    revision = int(str(former.get("revision") or 0)) + 1
    changes: dict[str, Value] = rng.choice(
        (
            {"cost_nano": 77, "computed_nano": 77, "cost_state": "measured", "cost_reason": None},
            {"cost_nano": None, "computed_nano": None, "reported_nano": None, "cost_state": "unknown"},
            {"labels": '{"team":"late"}'},
            {"task_id": None},
            {"task_id": task("task 1")["id"]},
            {"model": "m3"},
        )
    )
    taken_back = hot_calls.taken_back({"n": 1, **former}, revision)
    return taken_back, {**former, **changes, "revision": revision, "n": 1}


@dataclass(frozen=True)
class Story:
    """Records and when they were written: the same books, told in different orders."""

    tasks: list[Record]
    calls: list[Record]
    seed: int

    def told(self, folder: Path, *, seals: bool) -> tuple[Book, Lake, list[Record]]:
        """The book after everything happened, and all call rows that were written."""
        rng, sealing = random.Random(self.seed), random.Random(self.seed + 1)
        book, lake = book_in(folder)
        written: list[Record] = []
        newest: dict[Value, Record] = {row["id"]: row for row in self.calls}
        events: list[tuple[str, Mapping[str, Value]]] = [
            *(("call", row) for row in self.calls),
            *(("task", row) for row in self.tasks),
        ]
        corrections = rng.sample(self.calls, k=rng.randint(0, min(4, len(self.calls))))
        rng.shuffle(events)
        middle = rng.randint(0, len(events))
        for some in (events[:middle], events[middle:]):
            written += [dict(row) for kind, row in some if kind == "call"]
            write_calls(book, [row for kind, row in some if kind == "call"])
            write_tasks(book, [row for kind, row in some if kind == "task"])
            if seals and sealing.random() < 0.7:
                _seal(book, lake, sealing)
        for former in (*corrections, *corrections[:1]):
            pair = corrected(rng, newest[former["id"]])
            newest[former["id"]] = pair[1]
            written.extend(pair)
            write_calls(book, pair)
            book.execute(
                "INSERT INTO adjustments VALUES (?, ?, ?, 'test', '{}', 'late', 'test', 0)",
                (f"{former['id']}{pair[1]['revision']}", former["id"], pair[1]["revision"]),
            )
            if seals and sealing.random() < 0.5:
                _seal(book, lake, sealing)
        if seals:
            _seal(book, lake, sealing)
            seal_tasks(book, lake)
        return book, lake, written


def _seal(book: Book, lake: Lake, dice: random.Random) -> None:
    """Seal the calls, and now and then gather what was sealed so far."""
    seal_calls(book, lake, NOW_US, NOW_US)
    if dice.random() < 0.5:
        gathering.gather(book, lake, NOW_US)


@pytest.fixture(autouse=True, scope="module")
def _small_gatherings() -> Iterator[None]:
    """Two files are enough to be gathered."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gathering, "FILES_MIN", 2)
        yield


stories = st.builds(Story, tasks=tasks(), calls=calls(), seed=st.integers(0, 2**32))
plain_stories = st.builds(
    Story, tasks=tasks(is_plain=True), calls=calls(is_plain=True), seed=st.integers(0, 2**32)
)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def figures_of(group: object) -> dict[str, int]:
    """The figures that both ways of summing have."""
    return {name: getattr(group, name) for name in FIELDS}


def same(found: Report, expected: dict[tuple[str | None, ...], Group]) -> None:
    """Every row, every figure."""
    rows = {row.keys: row for row in found.rows}
    assert set(rows) == set(expected)
    for keys, group in expected.items():
        assert figures_of(rows[keys].figures) == figures_of(group), keys
        ranks = rows[keys].percentiles
        assert (ranks.p50_nano, ranks.p90_nano, ranks.p99_nano) == tuple(map(group.percentile, (50, 90, 99)))


def agrees(story: Story, several: list[tuple[str, ...]]) -> None:
    """Reports of a book equal plain recomputations, their rows add up, and hot rows would say the same."""
    with tempfile.TemporaryDirectory() as folder:
        sealed, lake, written = story.told(Path(folder) / "sealed", seals=True)
        hot, hot_lake, _ = story.told(Path(folder) / "hot", seals=False)
        with sealed, hot:
            total = recomputed(written, story.tasks, (), now_us=NOW_US).get((), Group())
            for by in several:
                found = report(sealed, lake, by=by, now_us=NOW_US, threads=1)
                same(found, recomputed(written, story.tasks, by, now_us=NOW_US) if by else {})
                assert figures_of(found.total.figures) == figures_of(total)
                if by:
                    assert sum(row.figures.spend_nano for row in found.rows) == found.total.figures.spend_nano
                assert report(hot, hot_lake, by=by, now_us=NOW_US, threads=1) == found


some_questions = st.lists(st.sampled_from(ASKED), min_size=2, max_size=2, unique=True)


@settings(quick, max_examples=25)
@given(story=st.one_of(stories, plain_stories), several=some_questions)
def test_reports_equal_plain_recomputations_sealed_and_hot(
    story: Story, several: list[tuple[str, ...]]
) -> None:
    agrees(story, several)


@pytest.mark.soak
@settings(quick, max_examples=2000)
@given(story=st.one_of(stories, plain_stories))
def test_every_report_of_many_books_equals_a_plain_recomputation(story: Story) -> None:
    agrees(story, list(ASKED))
