"""P8, verdicts are evidence: no way leads to ``verified`` but a verdict with verifier, version and evidence.

Whatever is told, by whichever door, a task that is verified has such a verdict in its chain; silence,
closing, settling or a row of one's own do not verify; judged figures carry the judge's measured error.
"""

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.core.definition import Definition, standing_of
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement, Outcome, Verdict, VerifierKind
from flatfare.service import vouching
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.service.tasks.defining import of_document
from flatfare.service.tasks.events import KINDS
from flatfare.service.tasks.recording import Teller, mature, record
from flatfare.store import reading
from flatfare.store.book import Book, open_book
from flatfare.store.heads import Heads
from flatfare.store.lake import Lake
from flatfare.web.access import Door
from flatfare.web.application import application

NOW = 1_800_000_000_000_000
FAR = NOW + 10**15


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Book, Lake]]:
    folder = tmp_path_factory.mktemp("p8")
    with open_book(str(folder / "book.db")) as book:
        yield book, Lake(folder / "lake")


text = st.sampled_from(["", "a", "tests", "verified", "pass", "\x00", "ab12"])
anything = st.one_of(st.none(), text, st.integers(-1, 3), st.booleans())
FIELDS = (
    *("name", "path", "labels", "deadline", "value", "attempt", "number", "rung", "status", "verifier"),
    *("version", "kind", "judgement", "evidence", "evidence_hash", "score", "attempt_number", "cost"),
    *("minutes", "rate", "by_whom", "reason", "outcome", "settlement"),
)
told = st.fixed_dictionaries(
    {"event": st.sampled_from(sorted(KINDS))},
    optional=dict.fromkeys(FIELDS, anything)
    | {
        "judgement": st.sampled_from(["pass", "fail", "abstain", "verified", None]),
        "kind": st.sampled_from(["code", "model", "human", "customer", "signal", "oracle"]),
        "verifier": st.sampled_from(["tests", "", None]),
        "version": st.sampled_from(["1", "", None]),
        "name": st.sampled_from(["accepted", "reopened", "csat", "thanks", "task"]),
        "status": st.sampled_from(["ok", "verified"]),
    },
)


def unfounded(book: Book) -> list[tuple[object, ...]]:
    """Tasks that are verified and have no verdict that passes, or no acceptance, with what P8 asks of it."""
    return book.rows(
        "SELECT id FROM tasks WHERE outcome = 'verified' AND NOT EXISTS (SELECT 1 FROM verdicts "
        "WHERE task_id = tasks.id AND (judgement = 'pass' OR verifier = 'signal:accepted') "
        "AND verifier <> '' AND verifier_version <> '' AND length(evidence_hash) > 0)"
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(told, min_size=1, max_size=6))
def test_nothing_that_can_be_told_verifies_without_evidence(
    place: tuple[Book, Lake], events: list[dict[str, object]]
) -> None:
    book, lake = place
    task = uuid.uuid4().hex
    given_ids = [{**event, "id": str(uuid.uuid4()), "task": task, "at": NOW} for event in events]
    record(book, lake, given_ids, Teller("anybody"), now_us=FAR)
    mature(book, lake, now_us=FAR)
    assert unfounded(book) == []


@pytest.mark.parametrize(
    "missing",
    [
        {"verifier": ""},
        {"version": ""},
        {"evidence": None},
        {"evidence": "x", "evidence_hash": "y"},
        {"evidence": None, "evidence_hash": ""},
        {"evidence": ""},
        {"evidence": " \n"},
        {"evidence": None, "evidence_hash": hashlib.sha256(b"").hexdigest()},
    ],
)
def test_a_verdict_without_verifier_version_or_evidence_is_refused(
    place: tuple[Book, Lake], missing: dict[str, object]
) -> None:
    said = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen", **missing}
    said = {name: value for name, value in said.items() if value is not None}
    event = {"event": "judged", "id": str(uuid.uuid4()), "task": "bare", **said}
    assert len(record(*place, [event], Teller("x"), now_us=NOW).refused) == 1


def test_work_that_came_to_nothing_can_fail_on_it(place: tuple[Book, Lake]) -> None:
    said = {"verifier": "tests", "version": "1", "judgement": "fail", "evidence": ""}
    event = {"event": "judged", "id": str(uuid.uuid4()), "task": "empty", **said}
    assert record(*place, [event], Teller("x"), now_us=NOW).recorded == 1


def test_an_imported_verdict_that_names_nobody_verifies_nothing(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.csv"
    file.write_text("task_id,verifier,result,at\nt1,,pass,2026-01-01\nt2,tests,pass,2026-01-01\n")
    with open_book(str(tmp_path / "book.db")) as book:
        stores = Stores(book, Lake(tmp_path / "lake"), Settings())
        found = import_file(stores, str(file), Order("verdicts"), NOW)
        with reading.opened(book, stores.lake) as engine:
            rows = engine.execute("SELECT external_id, outcome FROM tasks").fetchall()
    assert (found.rejected, found.first_reasons[0]) == (1, "Found no verifier in this row.")
    assert rows == [("t2", "verified")]


def test_a_verdict_cannot_be_made_without_evidence() -> None:
    with pytest.raises(BadInput, match="without evidence"):
        Verdict("tests", "1", VerifierKind.CODE, Judgement.PASS, "", 1)


def test_no_definition_lets_silence_verify() -> None:
    with pytest.raises(BadInput, match="Silence verifies nothing"):
        of_document({"action": "chat", "silence": "verified"})
    for silence in (Outcome.ASSUMED, Outcome.FAILED):
        standing = standing_of([], Definition(silence=silence), closes_at_us=1, now_us=9)
        assert standing.outcome is silence


def test_no_definition_is_met_by_nobody() -> None:
    for document in (
        {"action": "a", "verified_when": {"quorum": 0}, "verifiers": ["x"]},
        {"action": "a", "verified_when": {"weight": 0}, "verifiers": ["x"]},
        {"action": "a", "verified_when": "any"},
        {"action": "a", "verifiers": [{"name": "x", "weight": 0}]},
    ):
        with pytest.raises(BadInput):
            of_document(document)


def test_no_door_of_the_api_takes_an_outcome(tmp_path: Path) -> None:
    """What an outcome is, is never given: only verdicts are."""
    app = application(Settings(database=f"sqlite:///{tmp_path}/book.db"), Door("t", is_loopback=True))
    with TestClient(app, base_url="http://localhost:4180") as client:
        operator = {"Authorization": "Bearer t"}
        described = client.get("/openapi.json", headers=operator).json()
        taken = json.dumps([path.get("post", {}).get("requestBody") for path in described["paths"].values()])
        assert "outcome" not in taken.replace("outcomes", "")
        event = {"event": "opened", "id": str(uuid.uuid4()), "task": "t", "outcome": "verified"}
        answer = client.post("/api/events", json={"events": [event]}, headers=operator).json()
        assert "outcome" in answer["refused"][0]["reason"]


def test_a_row_that_says_verified_is_found(tmp_path: Path) -> None:
    """The negative control: who writes into the book itself is found out."""
    database = tmp_path / "book.db"
    lake, heads = Lake(tmp_path / "lake"), Heads(tmp_path / "heads", tmp_path / "key")
    with open_book(str(database)) as book:
        event = {"event": "opened", "id": str(uuid.uuid4()), "task": "t"}
        record(book, lake, [event], Teller("x"), now_us=NOW)
        assert vouching.verify(book, lake, heads, now_us=NOW).holds
    with sqlite3.connect(database) as written:
        written.execute("UPDATE tasks SET outcome = 'verified'")
    with open_book(str(database)) as book:
        assert len(unfounded(book)) == 1
        assert not vouching.verify(book, lake, heads, now_us=NOW).holds
